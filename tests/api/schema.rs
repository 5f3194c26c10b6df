//! The part of an API server's schema check that our CRDs use. A keyword that it
//! does not know fails the test, so that none is silently ignored.

use regex::Regex;
use serde_json::Value;

/// Adds what is wrong with `value` at `path` to `found`.
pub fn check(schema: &Value, value: &Value, path: &str, found: &mut Vec<String>) {
    let mut problem = |text: String| found.push(format!("{}: {text}", path.trim_start_matches('.')));
    if value.is_null() {
        if schema["nullable"] != true {
            problem("may not be null".into());
        }
        return;
    }
    for (keyword, limit) in schema.as_object().into_iter().flatten() {
        match keyword.as_str() {
            "type" if !is(value, limit.as_str().unwrap()) => return problem(format!("is not a {limit}")),
            "enum" if !limit.as_array().unwrap().contains(value) => problem(format!("is none of {limit}")),
            "pattern" if value.as_str().is_some_and(|text| !Regex::new(limit.as_str().unwrap()).unwrap().is_match(text)) => {
                problem(format!("does not match {limit}"));
            }
            "minLength" if text_length(value) < limit.as_u64() => problem(format!("is shorter than {limit}")),
            "maxLength" if text_length(value) > limit.as_u64() => problem(format!("is longer than {limit}")),
            "minimum" if value.as_f64() < limit.as_f64() => problem(format!("is less than {limit}")),
            "maximum" if value.as_f64() > limit.as_f64() => problem(format!("is more than {limit}")),
            "minItems" if items(value) < limit.as_u64() => problem(format!("has fewer items than {limit}")),
            "maxItems" if items(value) > limit.as_u64() => problem(format!("has more items than {limit}")),
            "required" => {
                for name in limit.as_array().unwrap() {
                    let name = name.as_str().unwrap();
                    // The API server fills in defaults before it checks.
                    if value.get(name).is_none() && schema["properties"][name].get("default").is_none() {
                        problem(format!("lacks {name}"));
                    }
                }
            }
            // Looked at below, or by CEL, or of no weight for what is let in.
            "type"
            | "enum"
            | "pattern"
            | "minLength"
            | "maxLength"
            | "minimum"
            | "maximum"
            | "minItems"
            | "maxItems"
            | "properties"
            | "items"
            | "additionalProperties"
            | "nullable"
            | "default"
            | "description"
            | "title"
            | "format"
            | "x-kubernetes-validations"
            | "x-kubernetes-preserve-unknown-fields"
            | "x-kubernetes-list-type"
            | "x-kubernetes-list-map-keys" => {}
            other => panic!("{path}: teach tests/api/schema.rs the keyword {other}"),
        }
    }
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                let inner = [&schema["properties"][name.as_str()], &schema["additionalProperties"]].into_iter().find(|s| s.is_object());
                match inner {
                    Some(inner) => check(inner, field, &format!("{path}.{name}"), found),
                    // The API server checks these itself.
                    None if path.is_empty() && matches!(name.as_str(), "apiVersion" | "kind" | "metadata") => {}
                    None if schema["x-kubernetes-preserve-unknown-fields"] == true => {}
                    None => found.push(format!("{}: unknown field {name}", path.trim_start_matches('.'))),
                }
            }
        }
        Value::Array(list) => {
            for (i, item) in list.iter().enumerate() {
                check(&schema["items"], item, &format!("{path}[{i}]"), found);
            }
        }
        _ => {}
    }
}

fn is(value: &Value, kind: &str) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        other => panic!("no type {other}"),
    }
}

fn text_length(value: &Value) -> Option<u64> {
    value.as_str().map(|text| text.chars().count() as u64)
}

fn items(value: &Value) -> Option<u64> {
    value.as_array().map(|list| list.len() as u64)
}
