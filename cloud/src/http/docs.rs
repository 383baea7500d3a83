//! `GET /docs`: the contract for people. One page made from the OpenAPI document at the start of the server; it loads
//! nothing from elsewhere and needs no script.

use askama::Template;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

#[derive(Template)]
#[template(path = "docs.html")]
struct Page {
    about: String,
    groups: Vec<Group>,
    scopes: Vec<(String, String)>,
    refusals: Vec<(String, String)>,
    schemas: Vec<(String, String)>,
}

struct Group {
    name: String,
    about: String,
    operations: Vec<Operation>,
}

struct Operation {
    id: String,
    verb: String,
    path: String,
    summary: String,
    about: String,
    scopes: String,
    parameters: Vec<Parameter>,
    bodies: Vec<(String, Shape)>,
    answers: Vec<Answer>,
}

struct Answer {
    status: String,
    about: String,
    shapes: Vec<(String, Shape)>,
}

struct Parameter {
    name: String,
    place: String,
    required: bool,
    kind: String,
    about: String,
}

/// What a body looks like: a schema by name, or written out.
struct Shape {
    name: Option<String>,
    kind: String,
}

/// The page of a document.
pub(super) fn page(document: &Value) -> axum::body::Bytes {
    let page = Page {
        about: text(&document["info"]["description"]),
        groups: groups(document),
        scopes: pairs(
            &document["components"]["securitySchemes"]["oauth2"]["flows"]["clientCredentials"]["scopes"],
        ),
        refusals: refusals(document),
        schemas: document["components"]["schemas"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, schema)| (name.clone(), format!("{schema:#}")))
            .collect(),
    };
    page.render().expect("the template writes into memory").into()
}

/// Sends it.
pub(super) fn answer(page: &axum::body::Bytes) -> Response {
    let headers =
        [(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CACHE_CONTROL, "public, max-age=300")];
    (StatusCode::OK, headers, page.clone()).into_response()
}

fn groups(document: &Value) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        for (verb, operation) in item.as_object().into_iter().flatten() {
            let Some(id) = operation["operationId"].as_str() else { continue };
            let name = text(&operation["tags"][0]);
            let at = groups.iter().position(|group| group.name == name).unwrap_or_else(|| {
                let tags = document["tags"].as_array().into_iter().flatten();
                let about =
                    tags.filter(|tag| tag["name"] == name.as_str()).map(|tag| text(&tag["description"]));
                groups.push(Group { about: about.collect(), name, operations: Vec::new() });
                groups.len() - 1
            });
            groups[at].operations.push(operation_of(id, verb, path, operation));
        }
    }
    groups
}

fn operation_of(id: &str, verb: &str, path: &str, operation: &Value) -> Operation {
    let scopes =
        operation["security"].as_array().into_iter().flatten().filter_map(|one| one["oauth2"].as_array());
    let scopes: Vec<String> = scopes.flatten().map(text).collect();
    let parameters = operation["parameters"].as_array().into_iter().flatten().map(|one| Parameter {
        name: text(&one["name"]),
        place: text(&one["in"]),
        required: one["required"] == true,
        kind: kind(&one["schema"]),
        about: text(&one["description"]),
    });
    let answers = operation["responses"].as_object().into_iter().flatten();
    let answers = answers.filter(|(_, answer)| answer.get("$ref").is_none());
    Operation {
        id: id.to_owned(),
        verb: verb.to_uppercase(),
        path: path.to_owned(),
        summary: text(&operation["summary"]),
        about: text(&operation["description"]),
        scopes: scopes.join(" "),
        parameters: parameters.collect(),
        bodies: shapes(&operation["requestBody"]["content"]),
        answers: answers
            .map(|(status, answer)| Answer {
                status: status.clone(),
                about: text(&answer["description"]),
                shapes: shapes(&answer["content"]),
            })
            .collect(),
    }
}

fn shapes(content: &Value) -> Vec<(String, Shape)> {
    let shape = |schema: &Value| {
        let name = schema["$ref"].as_str().and_then(|name| name.rsplit('/').next()).map(str::to_owned);
        Shape { kind: kind(schema), name }
    };
    content
        .as_object()
        .into_iter()
        .flatten()
        .map(|(mime, media)| (mime.clone(), shape(&media["schema"])))
        .collect()
}

/// A schema in a word or two.
fn kind(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str() {
        return name.rsplit('/').next().unwrap_or_default().to_owned();
    }
    let mut words = match &schema["type"] {
        Value::String(word) => vec![word.clone()],
        Value::Array(words) => words.iter().map(text).filter(|word| word != "null").collect(),
        _ => Vec::new(),
    };
    for (key, sign) in [("format", ""), ("minimum", "≥ "), ("maximum", "≤ "), ("pattern", "")] {
        match &schema[key] {
            Value::Null => {}
            Value::String(word) => words.push(word.clone()),
            other => words.push(format!("{sign}{other}")),
        }
    }
    if let Some(one_of) = schema["enum"].as_array() {
        words.push(one_of.iter().map(text).collect::<Vec<_>>().join(" | "));
    }
    words.join(", ")
}

fn refusals(document: &Value) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    for item in
        document["paths"].as_object().into_iter().flatten().flat_map(|(_, item)| item.as_object()).flatten()
    {
        for (status, answer) in item.1["responses"].as_object().into_iter().flatten() {
            let Some(name) = answer["$ref"].as_str().and_then(|name| name.rsplit('/').next()) else {
                continue;
            };
            let about = text(&document["components"]["responses"][name]["description"]);
            if !found.iter().any(|(known, _)| known == status) {
                found.push((status.clone(), about));
            }
        }
    }
    found.sort();
    found
}

fn pairs(object: &Value) -> Vec<(String, String)> {
    object.as_object().into_iter().flatten().map(|(name, value)| (name.clone(), text(value))).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
