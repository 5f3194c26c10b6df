//! Whether a JSON value has a declared shape: the part of JSON Schema that
//! documents use (`type`, `required`, `properties`, `items`, `enum`). A keyword
//! that is not known restricts nothing.

use serde_json::Value;

/// Deepest nesting that is looked at: a document can't make the gate recurse.
const MAX_DEPTH: usize = 32;

/// The first place where `value` is not as `schema` says, and how.
pub fn mismatch(schema: &Value, value: &Value) -> Option<String> {
    look(schema, value, "the body", 0)
}

fn look(schema: &Value, value: &Value, place: &str, depth: usize) -> Option<String> {
    if depth > MAX_DEPTH {
        return None;
    }
    if let Some(wanted) = schema.get("type")
        && !types(wanted).any(|t| is(t, value))
    {
        return Some(format!("{place} is {}, not {}", kind(value), types(wanted).collect::<Vec<_>>().join(" or ")));
    }
    if let Some(choices) = schema.get("enum").and_then(Value::as_array)
        && !choices.contains(value)
    {
        return Some(format!("{place} is none of the declared values"));
    }
    if let Some(object) = value.as_object() {
        let required = schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        if let Some(missing) = required.into_iter().find(|key| !object.contains_key(*key)) {
            return Some(format!("{place} has no {missing:?}"));
        }
        let properties = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
        return properties
            .filter_map(|(key, inner)| Some((key, inner, object.get(key)?)))
            .find_map(|(key, inner, value)| look(inner, value, &format!("{place}.{key}"), depth + 1));
    }
    let items = schema.get("items")?;
    value.as_array()?.iter().enumerate().find_map(|(i, value)| look(items, value, &format!("{place}[{i}]"), depth + 1))
}

fn types(wanted: &Value) -> impl Iterator<Item = &str> {
    let several = wanted.as_array().into_iter().flatten().filter_map(Value::as_str);
    wanted.as_str().into_iter().chain(several)
}

fn is(wanted: &str, value: &Value) -> bool {
    match wanted {
        "integer" => value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|n| n.fract() == 0.0),
        other => kind(value) == other,
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_first_mismatch_is_named() {
        let schema = json!({
            "type": "object", "required": ["results"],
            "properties": { "results": { "type": "array", "items": { "type": "object", "required": ["url"], "properties": { "rank": { "type": "integer" } } } } }
        });
        for (value, expected) in [
            (json!({ "results": [{ "url": "x", "rank": 1 }] }), None),
            (json!([]), Some("the body is array, not object")),
            (json!({}), Some("the body has no \"results\"")),
            (json!({ "results": [{ "url": "x" }, {}] }), Some("the body.results[1] has no \"url\"")),
            (json!({ "results": [{ "url": "x", "rank": 1.5 }] }), Some("the body.results[0].rank is number, not integer")),
        ] {
            assert_eq!(mismatch(&schema, &value).as_deref(), expected, "{value}");
        }
        assert_eq!(mismatch(&json!({ "type": ["string", "null"] }), &json!(null)), None);
        assert_eq!(mismatch(&json!({ "enum": ["a"] }), &json!("b")).as_deref(), Some("the body is none of the declared values"));
    }
}
