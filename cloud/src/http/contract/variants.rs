//! Names for what schemas say in place: the variants of what is one of several things, and the items of pages.
//!
//! Programs that make clients from a contract make a type of each named schema. What a schema says in place (the variants of
//! `oneOf`), or puts together of such (`allOf` with one of several things), some of them make badly or leave out. So
//! each variant gets a name of its own, and the property that tells variants apart is named as OpenAPI's
//! `discriminator` wants it; a page of documents holds the same `Document` that is answered alone. What the schemas
//! accept stays the same.

use serde_json::{Map, Value, json};

/// Where schemas have their names.
const NAMED: &str = "#/components/schemas/";

/// What the name of a page's schema begins with; what its items are follows.
const PAGE: &str = "Page_";

/// Gives the variants of a document's schemas and the items of its pages names.
pub(super) fn name(document: &mut Value) {
    let Some(schemas) = document["components"]["schemas"].as_object_mut() else { return };
    name_items(schemas);
    name_variants(schemas);
}

fn name_items(schemas: &mut Map<String, Value>) {
    let pages: Vec<String> = schemas.keys().filter(|name| name.starts_with(PAGE)).cloned().collect();
    for page in pages {
        let Some(items) = schemas.get_mut(&page).and_then(|page| page.pointer_mut("/properties/items/items"))
        else {
            continue;
        };
        let item = page.trim_start_matches(PAGE);
        let in_place = std::mem::replace(items, json!({ "$ref": format!("{NAMED}{item}") }));
        schemas.entry(item).or_insert(in_place);
    }
}

fn name_variants(schemas: &mut Map<String, Value>) {
    while let Some((name, whole)) =
        schemas.iter().find_map(|(name, schema)| Some((name.clone(), spread(schema, schemas)?)))
    {
        schemas.insert(name, whole);
    }
    let names: Vec<String> = schemas.keys().cloned().collect();
    for name in names {
        let Some(mut schema) = schemas.get(&name).cloned() else { continue };
        let Some(tag) = tag(&schema) else { continue };
        let mut mapping = Map::new();
        for variant in schema["oneOf"].as_array_mut().into_iter().flatten() {
            let value = tag_value(variant, &tag).unwrap_or_default().to_owned();
            let of_variant = format!("{name}{}", camel_case(&value));
            let reference = format!("{NAMED}{of_variant}");
            mapping.insert(value, json!(reference));
            schemas.insert(of_variant, std::mem::replace(variant, json!({ "$ref": reference })));
        }
        schema["discriminator"] = json!({ "propertyName": tag, "mapping": mapping });
        schemas.insert(name, schema);
    }
}

/// One of several things with more properties: each of them with these properties. `None` where a schema is no such thing.
fn spread(schema: &Value, schemas: &Map<String, Value>) -> Option<Value> {
    let [several, more] = schema["allOf"].as_array()?.as_slice() else { return None };
    let variants = schemas.get(several["$ref"].as_str()?.strip_prefix(NAMED)?)?["oneOf"].as_array()?;
    let with_more = |variant: &Value| {
        let mut all = variant.clone();
        let properties = more["properties"].as_object().into_iter().flatten();
        for (name, property) in properties {
            all["properties"][name] = property.clone();
        }
        if let (Some(all), Some(more)) = (all["required"].as_array_mut(), more["required"].as_array()) {
            all.extend(more.iter().cloned());
        }
        all
    };
    Some(json!({
        "description": schema["description"],
        "oneOf": variants.iter().map(with_more).collect::<Vec<_>>(),
    }))
}

/// The property that tells the variants of a schema apart: each of them has it, with one value.
fn tag(schema: &Value) -> Option<String> {
    let variants = schema["oneOf"].as_array().filter(|variants| variants.len() > 1)?;
    let of_first = variants.first()?["properties"].as_object()?;
    let tells = |name: &&String| variants.iter().all(|variant| tag_value(variant, name).is_some());
    of_first.keys().find(tells).cloned()
}

fn tag_value<'v>(variant: &'v Value, tag: &str) -> Option<&'v str> {
    match variant["properties"][tag]["enum"].as_array()?.as_slice() {
        [only] => only.as_str(),
        _ => None,
    }
}

/// `form_recognised` as part of a type's name: `FormRecognised`.
fn camel_case(words: &str) -> String {
    let capital = |word: &str| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_uppercase().chain(letters).collect::<String>())
    };
    words.split(['_', '-', '.']).filter_map(capital).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variants_get_names_and_what_holds_them_accepts_what_it_did() {
        let variant = |kind: &str, own: &str| {
            json!({ "type": "object", "required": ["kind", own], "properties": {
                "kind": { "type": "string", "enum": [kind] }, own: { "type": "string" } } })
        };
        let mut document = json!({ "components": { "schemas": {
            "Body": { "oneOf": [variant("sent_in", "by"), variant("gone", "why")] },
            "Event": { "description": "Both.", "allOf": [
                { "$ref": "#/components/schemas/Body" },
                { "type": "object", "required": ["at"], "properties": { "at": { "type": "string" } } },
            ] },
        } } });
        let before = document.clone();
        name(&mut document);
        let schemas = &document["components"]["schemas"];
        assert_eq!(schemas["Event"]["oneOf"][0], json!({ "$ref": "#/components/schemas/EventSentIn" }));
        assert_eq!(schemas["Event"]["discriminator"]["mapping"]["gone"], "#/components/schemas/EventGone");
        assert_eq!(schemas["EventGone"]["required"], json!(["kind", "why", "at"]));
        assert_eq!(schemas["BodyGone"]["required"], json!(["kind", "why"]));

        let validator = |document: &Value| {
            let schema =
                json!({ "$ref": "#/components/schemas/Event", "components": document["components"] });
            jsonschema::draft202012::new(&schema).expect("a schema")
        };
        let (was, is) = (validator(&before), validator(&document));
        for (value, good) in [
            (json!({ "kind": "gone", "why": "x", "at": "now" }), true),
            (json!({ "kind": "sent_in", "by": "x", "at": "now" }), true),
            (json!({ "kind": "gone", "why": "x" }), false),
            (json!({ "kind": "gone", "by": "x", "at": "now" }), false),
            (json!({ "kind": "other", "by": "x", "at": "now" }), false),
        ] {
            assert_eq!((was.is_valid(&value), is.is_valid(&value)), (good, good), "{value}");
        }
    }
}
