//! The format of a document: what the strict checker finds and where, that the
//! published schema says the same, what changes a document's hash, what hostile
//! texts come to, and the commands `validate`, `schema`, `new` and `create`.
//! `complete.yaml` has every key of the strict form; the documents in use are
//! read from where `FLYWHEEL_SPECS` says.

mod commands;
mod given;
mod hostile;
mod idea;
mod normal;
mod schema;
mod strict;

use flywheel::prim;
use serde_json::Value;

const COMPLETE: &str = include_str!("document/complete.yaml");

/// The document that has every key.
fn complete() -> Value {
    prim::value(COMPLETE).unwrap()
}

/// Place, code and path of a finding.
type Found = (Option<(usize, usize)>, &'static str, String);

/// What the checker says of a text.
fn findings(text: &str) -> Vec<Found> {
    let findings = prim::check_text(text).findings;
    findings.into_iter().map(|f| (f.position.map(|at| (at.line, at.column)), f.code.as_str(), f.path)).collect()
}

/// Codes and paths alone.
fn codes(value: &Value) -> Vec<String> {
    prim::check(value).into_iter().map(|f| format!("{} {}", f.code.as_str(), f.path)).collect()
}

/// The JSON pointers of everything in a value, the value itself left out.
fn pointers(value: &Value) -> Vec<String> {
    fn go(value: &Value, at: &str, found: &mut Vec<String>) {
        let mut child = |key: String, value: &Value| {
            let at = format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
            found.push(at.clone());
            go(value, &at, found);
        };
        match value {
            Value::Object(map) => map.iter().for_each(|(key, value)| child(key.clone(), value)),
            Value::Array(entries) => entries.iter().enumerate().for_each(|(i, value)| child(i.to_string(), value)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    go(value, "", &mut found);
    found
}
