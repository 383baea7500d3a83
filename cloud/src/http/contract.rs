//! The API's contract: one OpenAPI 3.1 document, made from the handlers and the types they read and write.
//!
//! Handlers say what is their own (`#[utoipa::path]`); what every operation has in common is added here once:
//! how it may be refused, and the headers every answer carries. The schemas in it are not only published: the
//! extractors of [`super::read`] hold requests against them, so document and server cannot part. A copy is checked
//! in as `docs/openapi.json`, and a test holds the two against each other.

mod texts;
mod variants;

use std::any::TypeId;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use jsonschema::Validator;
use serde_json::{Value, json};
use utoipa::openapi::OpenApi;
use utoipa::openapi::path::Parameter;
use utoipa::{IntoParams, ToSchema};

use crate::auth::Scope;

/// The version of the API. It grows by additions only; a change that breaks a client gets a new path (`/v2`).
const API_VERSION: &str = "1.0.0";
/// The verbs of OpenAPI that we use.
const VERBS: [&str; 7] = ["get", "put", "post", "delete", "head", "patch", "options"];
/// Most complaints that are listed about one request.
const COMPLAINTS: usize = 100;

/// The name of each way to be refused, by status: a response of `components` that operations refer to.
const REFUSALS: [(u16, &str, &str); 15] = [
    (400, "BadRequest", "The request cannot be read."),
    (401, "Unauthenticated", "Nobody is signed in, or the token is unknown or has ended."),
    (403, "NotAllowed", "Signed in, but without the scope or role this needs."),
    (404, "NotFound", "There is no such thing for this tenant."),
    (408, "CutOff", "The body did not come whole."),
    (409, "Conflict", "It cannot be done in the state things are in."),
    (410, "Gone", "Its time is over."),
    (412, "ChangedMeanwhile", "It was changed since the version that `If-Match` names."),
    (413, "TooLarge", "The body is over the limit."),
    (415, "UnsupportedMediaType", "The body has a media type that is not taken here."),
    (422, "Invalid", "The request can be read, but is not sound; `errors` names each field."),
    (423, "Locked", "Another request is writing to it."),
    (428, "PreconditionRequired", "`If-Match` is missing."),
    (429, "TooMany", "Over the limit of requests; `Retry-After` says when to come again."),
    (460, "ChecksumMismatch", "The bytes do not have the checksum they came with."),
];

/// Bodies that are one of several things and, as every body does, refuse what they do not know; the schemas of their
/// variants do not say so by themselves.
const CLOSED: [&str; 2] = ["Review", "OrderKind"];

/// Says of each variant of a schema that it has no other properties.
fn close(schema: &mut Value) {
    for variant in schema["oneOf"].as_array_mut().into_iter().flatten() {
        variant["additionalProperties"] = json!(false);
    }
}

/// The document of what [`super::api_routes`] collected, finished.
pub fn finished(collected: OpenApi) -> Value {
    let mut document = serde_json::to_value(collected).expect("an OpenAPI document is plain data");
    document["openapi"] = json!("3.1.0");
    document["info"] = json!({
        "title": "Platen",
        "version": API_VERSION,
        "summary": "Takes paper to signature.",
        "description": "Documents come in as scans and go out as signed evidence. Times are RFC 3339 UTC, ids are \
            UUIDv7, digests are lower-case hex SHA-256. Refusals are RFC 9457 problem documents with a stable `type`. \
            Lists are read by cursor: pass `next` as `after`. `If-Match` and `traceparent` mean what their \
            standards say.",
        "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
    });
    for body in CLOSED {
        close(&mut document["components"]["schemas"][body]);
    }
    variants::name(&mut document);
    texts::without_nul(&mut document);
    document["servers"] = json!([{ "url": "/" }]);
    document["components"]["securitySchemes"] = security_schemes();
    let schema = json!({ "$ref": "#/components/schemas/Problem" });
    for (_, name, description) in REFUSALS {
        document["components"]["responses"][name] = json!({
            "description": description,
            "content": { "application/problem+json": { "schema": schema } },
        });
    }
    document["components"]["responses"]["Failed"] = json!({
        "description": "The server, or a service behind it, failed. Nothing acknowledged is lost; try again.",
        "content": { "application/problem+json": { "schema": schema } },
    });
    if let Some(paths) = document["paths"].as_object_mut() {
        for (path, item) in paths {
            for verb in VERBS {
                if let Some(operation) = item.get_mut(verb) {
                    never_null(operation);
                    refusals(path, verb, operation);
                }
            }
        }
    }
    document
}

/// A parameter is there or it is not: none of them is `null`.
fn never_null(operation: &mut Value) {
    let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
    for parameter in parameters.into_iter().flatten() {
        let Some(kind) = parameter.pointer_mut("/schema/type") else { continue };
        let words = kind.as_array().into_iter().flatten().filter(|word| *word != "null");
        if let [only] = words.collect::<Vec<_>>()[..] {
            *kind = only.clone();
        }
    }
}

/// Adds the refusals that follow from what an operation takes.
fn refusals(path: &str, verb: &str, operation: &mut Value) {
    let secured = operation["security"].as_array().is_some_and(|all| !all.is_empty());
    let has_body = operation.get("requestBody").is_some();
    let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
    let takes = |place: &str| parameters.iter().any(|one| one["in"] == place);
    let if_match = parameters.iter().find(|one| one["name"] == "If-Match");
    let mut statuses = vec![400, 429];
    if secured {
        statuses.extend([401, 403]);
    }
    if takes("path") {
        statuses.push(404);
    }
    if has_body {
        statuses.extend([408, 413, 415, 422]);
    }
    if takes("query") {
        statuses.push(422);
    }
    if let Some(parameter) = if_match {
        statuses.extend([409, 412]);
        if parameter["required"] == true {
            statuses.push(428);
        }
    }
    if matches!(verb, "post" | "delete") && path.contains('{') {
        statuses.push(409);
    }
    let of_operation = &mut operation["responses"];
    for (status, name, _) in REFUSALS.iter().filter(|(status, ..)| statuses.contains(status)) {
        let key = status.to_string();
        if of_operation.get(&key).is_none() {
            of_operation[key] = json!({ "$ref": format!("#/components/responses/{name}") });
        }
    }
    of_operation["5XX"] = json!({ "$ref": "#/components/responses/Failed" });
}

fn security_schemes() -> Value {
    let scopes: BTreeMap<&str, &str> =
        Scope::ALL.iter().map(|scope| (scope.as_str(), scope.meaning())).collect();
    json!({
        "oauth2": {
            "type": "oauth2",
            "description": "A client's secret, or an assertion signed by a client's or a device's key (RFC 7523). \
                Tokens last 15 minutes.",
            "flows": { "clientCredentials": { "tokenUrl": "/oauth/token", "scopes": scopes } },
        },
        "session": {
            "type": "apiKey", "in": "cookie", "name": crate::auth::SESSION_COOKIE,
            "description": "A person's session. What changes something must carry the session's `X-CSRF-Token`.",
        },
    })
}

/// The finished document, and the validators of the schemas in it, each made when first needed.
#[derive(Debug, Default)]
pub struct Contract {
    validators: Mutex<HashMap<TypeId, Arc<Validator>>>,
}

impl Contract {
    /// What is wrong with a body, by field; nothing where it is what the schema of `T` says.
    pub fn body<T: ToSchema + 'static>(&self, body: &Value) -> BTreeMap<String, String> {
        let validator = self.validator(TypeId::of::<T>(), schema_of::<T>);
        complaints(&validator, body, &json!({}))
    }

    /// What is wrong with a query, by parameter. `query` is put into the types its schemas name first.
    pub fn query<T: IntoParams + 'static>(&self, query: &mut Value) -> BTreeMap<String, String> {
        let schema = schema_of_query(&T::into_params(|| None));
        typed(&schema, query);
        let validator = self.validator(TypeId::of::<T>(), || schema.clone());
        complaints(&validator, query, &schema)
    }

    fn validator(&self, of: TypeId, schema: impl FnOnce() -> Value) -> Arc<Validator> {
        let mut validators = self.validators.lock().unwrap_or_else(PoisonError::into_inner);
        let made = validators.entry(of).or_insert_with(|| {
            let options = jsonschema::options().should_validate_formats(true);
            Arc::new(options.build(&schema()).expect("the schemas of our own types are sound"))
        });
        Arc::clone(made)
    }
}

/// The schema of a body, with all schemas it refers to.
fn schema_of<T: ToSchema>() -> Value {
    let mut named = Vec::new();
    T::schemas(&mut named);
    let mut schema = serde_json::to_value(T::schema()).expect("a schema is plain data");
    if CLOSED.contains(&T::name().as_ref()) {
        close(&mut schema);
    }
    let named: serde_json::Map<String, Value> = named
        .into_iter()
        .map(|(name, schema)| (name, serde_json::to_value(schema).expect("a schema is plain data")))
        .collect();
    schema["components"] = json!({ "schemas": named });
    schema
}

fn schema_of_query(parameters: &[Parameter]) -> Value {
    let mut properties = serde_json::Map::new();
    let mut required = Vec::new();
    for parameter in parameters {
        let shown = serde_json::to_value(parameter).expect("a parameter is plain data");
        properties.insert(parameter.name.clone(), shown["schema"].clone());
        if shown["required"] == true {
            required.push(parameter.name.clone());
        }
    }
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

/// Turns the texts of a query into the numbers and truths their schemas ask for, where they are.
fn typed(schema: &Value, query: &mut Value) {
    let Some(query) = query.as_object_mut() else { return };
    for (name, value) in query {
        let kind = &schema["properties"][name]["type"];
        let is = |word: &str| kind == word || kind.as_array().is_some_and(|all| all.contains(&json!(word)));
        let Some(text) = value.as_str() else { continue };
        // What serde reads must be what was meant: no signs, blanks or leading zeros that a number would lose.
        let read = if is("integer") {
            text.parse::<i64>().ok().filter(|number| number.to_string() == text).map(|number| json!(number))
        } else if is("boolean") {
            text.parse::<bool>().ok().map(|truth| json!(truth))
        } else {
            None
        };
        if let Some(read) = read {
            *value = read;
        }
    }
}

fn complaints(validator: &Validator, value: &Value, schema: &Value) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for error in validator.iter_errors(value).take(COMPLAINTS) {
        let path = error.instance_path().to_string();
        let field = path.trim_start_matches('/').replace('/', ".");
        let field = if field.is_empty() { "(all of it)".to_owned() } else { field };
        let mut complaint: String = error.to_string().chars().take(300).collect();
        if schema["properties"][&field].is_null() && schema["properties"].is_object() {
            let known: Vec<&str> = schema["properties"]
                .as_object()
                .into_iter()
                .flatten()
                .map(|(name, _)| name.as_str())
                .collect();
            complaint = format!("{complaint}; there are {}", known.join(", "));
        }
        found.insert(field, complaint);
    }
    found
}

/// `GET /openapi.json`.
pub(super) fn answer(document: &Arc<str>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/vnd.oai.openapi+json;version=3.1"),
        (header::CACHE_CONTROL, "public, max-age=300"),
    ];
    (StatusCode::OK, headers, document.to_string()).into_response()
}
