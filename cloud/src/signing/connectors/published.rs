//! Requests and answers held against an interface as its provider publishes it: OpenAPI 3 or Swagger 2.
//!
//! Two things are looked at: whether a body is valid by its schema, and whether it has members the schema does not know
//! (published schemas leave that open, and it is where typing errors hide). Forms are read back into the objects they
//! stand for first. The documents lie beside the project; where they are absent nothing is held against anything, and
//! that is said.

use std::path::Path;

use serde_json::{Map, Value, json};

/// How deep schemas are followed: some refer to themselves.
const DEPTH: usize = 24;

/// A published interface.
#[derive(Debug)]
pub(super) struct Published {
    document: Value,
    prefix: &'static str,
}

impl Published {
    /// Loads a document; `prefix` stands before its paths in addresses.
    pub(super) fn load(name: &str, prefix: &'static str) -> Option<Self> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/reference/openapi").join(name);
        let Ok(text) = std::fs::read_to_string(&path) else {
            eprintln!("not held against the published interface: {} is absent", path.display());
            return None;
        };
        let mut document: Value = if name.ends_with(".yaml") {
            serde_saphyr::from_str(&text).expect("YAML")
        } else {
            serde_json::from_str(&text).expect("JSON")
        };
        modernise(&mut document);
        let mut wanted = Vec::new();
        references(&document, &mut wanted);
        for pointer in wanted {
            complete(&mut document, &pointer);
        }
        Some(Self { document, prefix })
    }

    /// What a request has against the interface, each as a sentence.
    pub(super) async fn request(
        &self,
        method: &str,
        target: &str,
        kind: Option<&str>,
        body: &[u8],
    ) -> Vec<String> {
        let place = format!("{method} {target}");
        let Some(operation) = self.operation(method, target) else {
            // Tokens and files lie beside the interface.
            let beside = target.starts_with("/oauth/") || target.starts_with("/file/");
            return if beside { Vec::new() } else { vec![format!("{place}: there is no such operation")] };
        };
        let mut found = self.query(&place, operation, target);
        let schema = match operation.get("requestBody") {
            Some(whole) => whole["content"]
                .as_object()
                .and_then(|content| {
                    content.iter().find(|(name, _)| kind.is_some_and(|kind| kind.starts_with(*name)))
                })
                .map(|(_, media)| media["schema"].clone()),
            None => list(&operation["parameters"])
                .find(|parameter| parameter["in"] == "body")
                .map(|parameter| parameter["schema"].clone()),
        };
        let value = match kind {
            Some(kind) if kind.starts_with("multipart/form-data") => {
                let fields = form(kind, body).await.expect("a form");
                let schema = schema.clone().unwrap_or_default();
                Some(self.object_of_form(&schema, fields))
            }
            Some(kind) if kind.starts_with("application/json") => serde_json::from_slice(body).ok(),
            _ => None,
        };
        match (schema, value) {
            (Some(schema), Some(value)) => found.extend(self.complaints(&place, &schema, &value)),
            (None, Some(value)) if value != json!({}) => {
                found.push(format!("{place}: a body is not expected"))
            }
            _ => {}
        }
        found
    }

    /// What an answer has against the interface.
    pub(super) fn answer(&self, method: &str, target: &str, status: u16, body: &[u8]) -> Vec<String> {
        let place = format!("{method} {target} -> {status}");
        let Some(operation) = self.operation(method, target) else { return Vec::new() };
        let responses = &operation["responses"];
        let response =
            responses.get(status.to_string()).or_else(|| responses.get("4XX")).unwrap_or(&Value::Null);
        if response.is_null() && status < 300 {
            return vec![format!("{place}: there is no such answer")];
        }
        let schema = if response.get("content").is_some() {
            response["content"]["application/json"]["schema"].clone()
        } else {
            response["schema"].clone()
        };
        match serde_json::from_slice::<Value>(body) {
            Ok(value) if schema.is_object() => self.complaints(&place, &schema, &value),
            _ => Vec::new(),
        }
    }

    fn operation(&self, method: &str, target: &str) -> Option<&Value> {
        let path = target.split('?').next()?.strip_prefix(self.prefix)?;
        let wanted: Vec<&str> = path.split('/').collect();
        let fits = |template: &&String| {
            let parts: Vec<&str> = template.split('/').collect();
            parts.len() == wanted.len()
                && parts.iter().zip(&wanted).all(|(part, word)| part.starts_with('{') || part == word)
        };
        let paths = self.document["paths"].as_object()?;
        // A path that is written out goes before one with a placeholder.
        let template = paths.keys().filter(fits).min_by_key(|template| template.matches('{').count())?;
        paths[template].get(method.to_lowercase())
    }

    fn query(&self, place: &str, operation: &Value, target: &str) -> Vec<String> {
        let query = target.split_once('?').map(|(_, query)| query).unwrap_or_default();
        let pairs: Vec<(String, String)> = serde_urlencoded::from_str(query).expect("a query");
        let known: Vec<&str> = list(&operation["parameters"])
            .map(|parameter| self.resolved(parameter))
            .filter(|parameter| parameter["in"] == "query")
            .filter_map(|parameter| parameter["name"].as_str())
            .collect();
        let unknown = pairs.iter().filter(|(name, _)| !known.contains(&name.as_str()));
        unknown.map(|(name, _)| format!("{place}: the query has no `{name}`")).collect()
    }

    fn complaints(&self, place: &str, schema: &Value, value: &Value) -> Vec<String> {
        let mut whole = json!({ "allOf": [schema] });
        for part in ["components", "definitions"] {
            if let Some(there) = self.document.get(part) {
                whole[part] = there.clone();
            }
        }
        let validator = jsonschema::draft202012::options().build(&whole).expect("a schema");
        let invalid = validator.iter_errors(value).map(|error| {
            let message: String = error.to_string().chars().take(300).collect();
            format!("{place}: {}: {message}", error.instance_path())
        });
        let mut found: Vec<String> = invalid.collect();
        let mut unknown = Vec::new();
        self.unknown(schema, value, "", DEPTH, &mut unknown);
        found.extend(
            unknown.into_iter().map(|path| format!("{place}: {path} is not in the published schema")),
        );
        found
    }

    fn resolved<'a>(&'a self, schema: &'a Value) -> &'a Value {
        match schema["$ref"].as_str().and_then(|reference| reference.strip_prefix('#')) {
            Some(pointer) => self.document.pointer(pointer).unwrap_or(&Value::Null),
            None => schema,
        }
    }

    /// The members a schema knows, with theirs of all it is put together from; `None` where any are allowed.
    fn members<'a>(&'a self, schema: &'a Value, depth: usize) -> Option<Vec<(&'a str, &'a Value)>> {
        let schema = self.resolved(schema);
        if depth == 0 || schema.get("additionalProperties").is_some_and(|more| *more != json!(false)) {
            return None;
        }
        let own = schema["properties"].as_object().into_iter().flatten();
        let mut members: Vec<(&str, &Value)> = own.map(|(name, schema)| (name.as_str(), schema)).collect();
        for way in ["allOf", "anyOf", "oneOf"] {
            for part in list(&schema[way]) {
                members.extend(self.members(part, depth - 1)?);
            }
        }
        for pointer in schema["discriminator"]["mapping"].as_object().into_iter().flatten() {
            let target =
                pointer.1.as_str().and_then(|reference| self.document.pointer(reference.strip_prefix('#')?));
            for part in target.map(|target| list(&target["allOf"])).into_iter().flatten() {
                let own = part["properties"].as_object().into_iter().flatten();
                members.extend(own.map(|(name, schema)| (name.as_str(), schema)));
            }
        }
        (!members.is_empty()).then_some(members)
    }

    fn unknown(&self, schema: &Value, value: &Value, path: &str, depth: usize, found: &mut Vec<String>) {
        if depth == 0 {
            return;
        }
        match value {
            Value::Array(items) => {
                let schema = &self.resolved(schema)["items"];
                for (at, item) in items.iter().enumerate() {
                    self.unknown(schema, item, &format!("{path}[{at}]"), depth - 1, found);
                }
            }
            Value::Object(object) => {
                let Some(members) = self.members(schema, DEPTH) else { return };
                for (name, member) in object {
                    let path = format!("{path}.{name}");
                    match members.iter().find(|(known, _)| known == name) {
                        Some((_, schema)) => self.unknown(schema, member, &path, depth - 1, found),
                        // Its own `required` lists name it, though no property does.
                        None if list(&self.resolved(schema)["required"]).any(|known| known == name) => {}
                        None => found.push(path),
                    }
                }
            }
            _ => {}
        }
    }

    /// The object that `name[0][member]` fields stand for, with numbers and truths where the schema has them.
    fn object_of_form(&self, schema: &Value, fields: Vec<(String, Vec<u8>)>) -> Value {
        let mut object = Value::Object(Map::new());
        for (name, value) in fields {
            let mut steps: Vec<&str> = name.split(['[', ']']).filter(|step| !step.is_empty()).collect();
            // `name[]` adds to a list.
            if name.ends_with("[]") {
                steps.push("-");
            }
            set(&mut object, &steps, Value::String(String::from_utf8_lossy(&value).into_owned()));
        }
        self.coerced(schema, object, DEPTH)
    }

    fn coerced(&self, schema: &Value, value: Value, depth: usize) -> Value {
        let schema = self.resolved(schema);
        let types = |wanted: &str| match &schema["type"] {
            Value::String(name) => name == wanted,
            Value::Array(names) => names.iter().any(|name| name == wanted),
            _ => false,
        };
        match value {
            Value::String(text) if types("integer") || types("number") => text.parse::<f64>().map_or_else(
                |_| json!(text),
                |number| match number.fract() == 0.0 {
                    true => json!(number as i64),
                    false => json!(number),
                },
            ),
            Value::String(text) if types("boolean") => match text.as_str() {
                "1" | "true" => json!(true),
                "0" | "false" => json!(false),
                _ => json!(text),
            },
            Value::Array(items) => {
                let each = |item| self.coerced(&schema["items"], item, depth.saturating_sub(1));
                Value::Array(items.into_iter().map(each).collect())
            }
            Value::Object(object) if depth > 0 => {
                let members = self.members(schema, DEPTH).unwrap_or_default();
                let one = |(name, value): (String, Value)| {
                    let known = members.iter().find(|(known, _)| *known == name);
                    let value = known.map_or_else(
                        || value.clone(),
                        |(_, schema)| self.coerced(schema, value.clone(), depth - 1),
                    );
                    (name, value)
                };
                Value::Object(object.into_iter().map(one).collect())
            }
            other => other,
        }
    }
}

fn set(value: &mut Value, steps: &[&str], leaf: Value) {
    let Some((first, rest)) = steps.split_first() else {
        *value = leaf;
        return;
    };
    if *first == "-" || first.parse::<usize>().is_ok() {
        if !value.is_array() {
            *value = json!([]);
        }
        let Value::Array(items) = value else { return };
        let at = first.parse().unwrap_or(items.len());
        while items.len() <= at {
            items.push(Value::Null);
        }
        set(&mut items[at], rest, leaf);
    } else {
        if !value.is_object() {
            *value = json!({});
        }
        set(&mut value[*first], rest, leaf);
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// OpenAPI 3.0's `nullable`, and its placeholders for files, in the words of JSON Schema.
fn modernise(value: &mut Value) {
    match value {
        Value::Object(object) => {
            if object.get("nullable") == Some(&json!(true))
                && let Some(Value::String(kind)) = object.get("type").cloned()
            {
                object.insert("type".into(), json!([kind, "null"]));
                if let Some(Value::Array(allowed)) = object.get_mut("enum") {
                    allowed.push(Value::Null);
                }
            }
            object.values_mut().for_each(modernise);
        }
        Value::Array(items) => items.iter_mut().for_each(modernise),
        _ => {}
    }
}

/// What is referred to in a document.
fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            if let Some(Value::String(reference)) = object.get("$ref") {
                found.extend(reference.strip_prefix("#/").map(str::to_owned));
            }
            object.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

/// Makes a schema that is referred to and was never published one that anything fits.
fn complete(document: &mut Value, pointer: &str) {
    if document.pointer(&format!("/{pointer}")).is_some() {
        return;
    }
    let mut at = document;
    for step in pointer.split('/') {
        at = &mut at[step];
    }
    *at = json!({});
}

/// The fields of a `multipart/form-data` body; `None` if it is none.
pub(super) async fn form(kind: &str, body: &[u8]) -> Option<Vec<(String, Vec<u8>)>> {
    let boundary = multer::parse_boundary(kind).ok()?;
    let stream = futures_util::stream::iter([Ok::<_, std::convert::Infallible>(body.to_vec())]);
    let mut form = multer::Multipart::new(stream, boundary);
    let mut fields = Vec::new();
    while let Some(field) = form.next_field().await.ok()? {
        let name = field.name().unwrap_or_default().to_owned();
        fields.push((name, field.bytes().await.ok()?.to_vec()));
    }
    Some(fields)
}

#[tokio::test]
async fn a_request_that_is_not_as_published_is_found() {
    let Some(published) = Published::load("docuseal.json", "") else { return };
    let check = async |body: Value, part: &str| {
        let kind = Some("application/json");
        let found = published.request("POST", "/submissions/pdf", kind, body.to_string().as_bytes()).await;
        assert_eq!(found.is_empty(), part.is_empty(), "{found:?}");
        assert!(found.iter().any(|line| line.contains(part)) || part.is_empty(), "{found:?}");
    };
    let document = json!({ "name": "a", "file": "JVBERi0=" });
    let submitter = json!({ "role": "a", "email": "a@example.com" });
    check(json!({ "documents": [document], "submitters": [submitter] }), "").await;
    check(json!({ "documents": [document] }), "required").await;
    check(json!({ "documents": [document], "submitters": [submitter], "sendEmail": true }), "sendEmail")
        .await;
    let typo = json!({ "documents": [document], "submitters": [{ "mail": "a@example.com" }] });
    check(typo, ".submitters[0].mail").await;
    let nowhere = published.request("POST", "/submission/pdf", None, b"").await;
    assert_eq!(nowhere.len(), 1);
}
