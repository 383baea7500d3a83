//! Texts without NUL.
//!
//! PostgreSQL takes no NUL in a text, so [`crate::http::read`] refuses one wherever it stands. Schemas say so of each
//! string that is not held by more already, and of names that the sender chooses. A refusal may repeat what was sent.

use serde_json::{Map, Value, json};

/// Says it of all schemas of a document, and of what its operations ask for in place.
pub(super) fn without_nul(document: &mut Value) {
    let schemas = document["components"]["schemas"].as_object_mut().into_iter().flatten();
    schemas.filter(|(name, _)| *name != "Problem").for_each(|(_, schema)| say(schema));
    for item in document["paths"].as_object_mut().into_iter().flat_map(Map::values_mut) {
        for operation in item.as_object_mut().into_iter().flat_map(Map::values_mut) {
            if let Some(body) = operation.get_mut("requestBody") {
                say(body);
            }
            let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
            for parameter in parameters.into_iter().flatten().filter(|parameter| parameter["in"] == "query") {
                if let Some(schema) = parameter.get_mut("schema") {
                    say(schema);
                }
            }
        }
    }
}

fn say(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(say),
        Value::Object(entries) => {
            entries.values_mut().for_each(say);
            if is_free_text(entries) {
                let length = |name: &str| entries.get(name).and_then(Value::as_u64);
                let (least, most) = (length("minLength").unwrap_or(0), length("maxLength"));
                // Programs that make examples by the pattern keep the lengths only if it has them.
                let most = most.map_or(String::new(), |most| most.to_string());
                let pattern = format!("^[^\\x00]{{{least},{most}}}$");
                entries.insert("pattern".into(), pattern.into());
            }
            if entries.get("additionalProperties").is_some_and(Value::is_object) {
                entries.entry("propertyNames").or_insert(json!({ "pattern": "^[^\\x00]*$" }));
            }
        }
        _ => {}
    }
}

/// Whether a schema is that of a string that may hold anything.
fn is_free_text(schema: &Map<String, Value>) -> bool {
    let is_string = match schema.get("type") {
        Some(Value::String(name)) => name == "string",
        Some(Value::Array(names)) => names.iter().any(|name| name == "string"),
        _ => false,
    };
    let is_free = |name: &str| !["pattern", "enum", "const", "contentEncoding"].contains(&name);
    let format = schema.get("format").and_then(Value::as_str);
    is_string && schema.keys().all(|name| is_free(name)) && matches!(format, None | Some("password"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_texts_and_chosen_names_have_no_nul_and_the_rest_stays_as_it_is() {
        let check = |mut schema: Value, expected: Value| {
            say(&mut schema);
            assert_eq!(schema, expected);
        };
        check(json!({ "type": "string" }), json!({ "type": "string", "pattern": "^[^\\x00]{0,}$" }));
        check(
            json!({ "type": ["string", "null"], "minLength": 1, "maxLength": 9 }),
            json!({ "type": ["string", "null"], "minLength": 1, "maxLength": 9, "pattern": "^[^\\x00]{1,9}$" }),
        );
        for held in [
            json!({ "type": "string", "format": "uuid" }),
            json!({ "type": "string", "pattern": "^[a-z]$" }),
            json!({ "type": "string", "enum": ["a"] }),
            json!({ "type": "integer", "additionalProperties": false }),
        ] {
            check(held.clone(), held);
        }
        check(
            json!({ "additionalProperties": { "type": "string" } }),
            json!({
                "additionalProperties": { "type": "string", "pattern": "^[^\\x00]{0,}$" },
                "propertyNames": { "pattern": "^[^\\x00]*$" }
            }),
        );
    }
}
