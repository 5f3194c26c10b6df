//! Whether an object is as we set it, whatever others and the API server set
//! beside it.

use serde_json::Value;

/// Whether every field of `wanted` is so in `found`. Lists are compared by index,
/// those of named things by name; an empty text, list or object is the same as
/// none, since the API server drops it.
pub fn subset(wanted: &Value, found: &Value) -> bool {
    match (wanted, found) {
        (Value::Object(wanted), Value::Object(found)) => {
            wanted.iter().all(|(key, value)| found.get(key).map_or_else(|| is_empty(value), |there| subset(value, there)))
        }
        (Value::Array(wanted), Value::Array(found)) if !wanted.is_empty() && wanted.iter().all(|w| w["name"].is_string()) => {
            wanted.iter().all(|w| found.iter().find(|f| f["name"] == w["name"]).is_some_and(|f| subset(w, f)))
        }
        (Value::Array(wanted), Value::Array(found)) => wanted.len() == found.len() && wanted.iter().zip(found).all(|(w, f)| subset(w, f)),
        _ => wanted == found || (is_empty(wanted) && is_empty(found)),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(fields) => fields.values().all(is_empty),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_others_set_is_no_difference() {
        for (wanted, found) in [
            (json!({}), json!({ "a": 1 })),
            (json!({ "a": { "b": 1 } }), json!({ "a": { "b": 1, "c": 2 }, "d": 3 })),
            (json!([1, { "a": 2 }]), json!([1, { "a": 2, "b": 3 }])),
            (
                json!([{ "name": "B", "value": "2" }, { "name": "A", "value": "1" }]),
                json!([{ "name": "A", "value": "1" }, { "name": "X" }, { "name": "B", "value": "2" }]),
            ),
            (json!({ "value": "" }), json!({})),
            (json!({ "list": [], "object": {}, "none": null }), json!({})),
            (json!({ "emptyDir": { "medium": "Memory" } }), json!({ "emptyDir": { "medium": "Memory", "sizeLimit": "1Mi" } })),
        ] {
            assert!(subset(&wanted, &found), "{wanted} in {found}");
        }
    }

    #[test]
    fn every_field_that_we_set_counts() {
        for (wanted, found) in [
            (json!({ "a": 1 }), json!({})),
            (json!({ "a": 1 }), json!({ "a": 2 })),
            (json!({ "a": 1 }), json!({ "a": "1" })),
            // The API server's default may be the other.
            (json!({ "token": false }), json!({})),
            (json!({ "replicas": 0 }), json!({})),
            (json!({ "cpu": "1" }), json!({ "cpu": "1000m" })),
            (json!([1]), json!([1, 2])),
            (json!([1, 2]), json!([2, 1])),
            (json!([]), json!([1])),
            (json!([{ "name": "A", "value": "1" }]), json!([{ "name": "A", "value": "2" }])),
            (json!([{ "name": "A", "value": "1" }]), json!([{ "name": "B", "value": "1" }])),
            (json!({ "a": { "b": 1 } }), json!({ "a": 1 })),
            (json!({ "value": "" }), json!({ "value": "x" })),
        ] {
            assert!(!subset(&wanted, &found), "{wanted} in {found}");
        }
    }
}
