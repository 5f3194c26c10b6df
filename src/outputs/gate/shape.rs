//! From a document's type to what a plan expects of an answer.

use serde_json::{Map, Value, json};

use crate::prim::Document;

/// Levels that are said: what is deeper may be anything.
const DEEPEST: usize = 8;
/// Where a type that is referred to stands.
const TYPES: &str = "#/types/";

/// The document, and fields that its service lacks.
type About<'a> = (&'a Document, &'a [String]);

/// What an answer of a type is like; none where nothing is known of it. Fields that the
/// service is known to lack may be there, and need not.
pub(super) fn of(schema: &Value, document: &Document, lacking: &[String]) -> Option<Value> {
    said(schema, (document, lacking), 0)
}

fn said(schema: &Value, about: About<'_>, depth: usize) -> Option<Value> {
    if depth > DEEPEST {
        return None;
    }
    let schema = resolved(schema, about.0)?;
    if let Some(value) = schema.get("const") {
        return Some(json!({ "$equals": value }));
    }
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        return Some(json!({ "$oneOf": values.iter().map(|value| json!({ "$equals": value })).collect::<Vec<_>>() }));
    }
    if let Some(several) = ["anyOf", "oneOf"].iter().find_map(|key| schema.get(*key)?.as_array()) {
        let all: Option<Vec<_>> = several.iter().map(|one| said(one, about, depth + 1)).collect();
        return Some(json!({ "$oneOf": all? }));
    }
    let kinds: Vec<&str> = match &schema["type"] {
        Value::String(kind) => vec![kind],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let mut shapes = Vec::new();
    for kind in kinds.iter().filter(|kind| **kind != "null") {
        shapes.push(of_kind(kind, schema, about, depth)?);
    }
    let nullable = kinds.contains(&"null");
    match (shapes.len(), nullable) {
        (0, true) => Some(json!({ "$equals": null })),
        (0, false) => None,
        (1, false) => shapes.pop(),
        (1, true) => Some(json!({ "$nullable": shapes.pop() })),
        (_, false) => Some(json!({ "$oneOf": shapes })),
        (_, true) => Some(json!({ "$nullable": { "$oneOf": shapes } })),
    }
}

fn of_kind(kind: &str, schema: &Value, about: About<'_>, depth: usize) -> Option<Value> {
    let bounds = |least: &str, most: &str| {
        let pairs = [("min", schema.get(least)), ("max", schema.get(most))];
        pairs.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?.clone()))).collect::<Map<_, _>>()
    };
    Some(match kind {
        "string" => {
            let length = bounds("minLength", "maxLength");
            if length.is_empty() { "string".into() } else { json!({ "$oneOf": ["string"], "$length": length }) }
        }
        "boolean" => "boolean".into(),
        "integer" | "number" => {
            let mut range = bounds("minimum", "maximum");
            if kind == "integer" {
                range.insert("integer".into(), true.into());
            }
            if range.is_empty() { "number".into() } else { json!({ "$number": range }) }
        }
        "array" => {
            let length = bounds("minItems", "maxItems");
            let each = schema.get("items").and_then(|items| said(items, about, depth + 1));
            match (each, length.is_empty()) {
                (None, true) => "array".into(),
                (Some(each), true) => json!({ "$each": each }),
                (None, false) => json!({ "$oneOf": ["array"], "$length": length }),
                (Some(each), false) => json!({ "$each": each, "$length": length }),
            }
        }
        "object" => {
            let required: Vec<_> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            let mut fields = Map::new();
            for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
                let Some(shape) = said(inner, about, depth + 1) else { continue };
                // A key that begins so is a matcher in a plan.
                if !name.starts_with('$') {
                    let there = required.contains(&name.as_str()) && !about.1.contains(name);
                    fields.insert(name.clone(), if there { shape } else { json!({ "$optional": shape }) });
                }
            }
            fields.into()
        }
        _ => return None,
    })
}

/// The schema that a reference leads to.
fn resolved<'a>(schema: &'a Value, document: &'a Document) -> Option<&'a Value> {
    let mut schema = schema;
    // A document's types never refer to each other in a circle.
    for _ in 0..=DEEPEST {
        match schema.get("$ref").and_then(Value::as_str) {
            Some(to) => schema = &document.kind(to.strip_prefix(TYPES)?)?.schema,
            None => return Some(schema),
        }
    }
    None
}

/// Where an answer says what the thing is called that a path names so: by that name,
/// as an id, or as the id of the one thing that is in it.
pub(super) fn place(schema: &Value, document: &Document, name: &str) -> Option<String> {
    let fields = resolved(schema, document)?.get("properties")?.as_object()?;
    if let Some(field) = [name, "id"].into_iter().find(|field| fields.contains_key(*field)) {
        return Some(format!("$['{}']", field.replace('\\', "\\\\").replace('\'', "\\'"))).map(|path| plain(field).unwrap_or(path));
    }
    fields.iter().find_map(|(outer, inner)| {
        let inner = resolved(inner, document)?.get("properties")?;
        inner.get("id")?;
        Some(plain(outer)? + ".id")
    })
}

/// A path to a field whose name needs no quotes.
fn plain(field: &str) -> Option<String> {
    let mut chars = field.chars();
    let first = chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    (first && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')).then(|| format!("$.{field}"))
}
