//! The one schema that is known without being told: that of `prim.yaml` itself. A
//! service that is about such documents answers it, holds documents against it, and
//! says which ports services have, as far as an operator lists them.

use std::sync::LazyLock;

use serde_json::Value;

use super::{plan::Work, text::fits};
use crate::prim::{self, Body, Document, Method, Route, words};

/// The published schema, as the formatter would write it.
pub(super) static PRIM_YAML: LazyLock<String> = LazyLock::new(|| formatted(&prim::schema(), 0, "") + "\n");

/// The variable in which an operator lists the ports that services have.
pub(super) const PORTS: &str = "PRIM_PORTS";

/// JSON in lines: a list of what has no parts of its own stands in one, where it fits
/// behind what is `before` it.
fn formatted(value: &Value, indent: usize, before: &str) -> String {
    let space = " ".repeat(indent);
    let lines = |open: char, parts: Vec<String>, close: char| {
        let parts = parts.iter().map(|part| format!("\n{space}  {part}")).collect::<Vec<_>>().join(",");
        format!("{open}{parts}\n{space}{close}")
    };
    match value {
        Value::Array(entries) if !entries.is_empty() => {
            let line = format!("[{}]", entries.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "));
            let plain = entries.iter().all(|entry| !entry.is_object() && !entry.is_array());
            if plain && fits(&format!("{space}{before}{line},")) {
                return line;
            }
            lines('[', entries.iter().map(|entry| formatted(entry, indent + 2, "")).collect(), ']')
        }
        Value::Object(map) if !map.is_empty() => {
            let entry = |(key, value): (&String, &Value)| {
                let key = format!("{}: ", Value::from(key.as_str()));
                let value = formatted(value, indent + 2, &key);
                key + &value
            };
            lines('{', map.iter().map(entry).collect(), '}')
        }
        other => other.to_string(),
    }
}

/// Whether a route answers the schema, holds a document against it, or says which
/// ports are taken.
pub(super) fn of(document: &Document, route: &Route) -> Option<Work> {
    let about = document.routes.iter().find(|route| answers(route));
    if answers(route) {
        return Some(Work::Schema);
    }
    let says = |word: &str| route.description.to_ascii_lowercase().contains(word);
    let verb = words(&route.operation).into_iter().next()?;
    let checks = ["validate", "check", "lint"].contains(&verb.as_str()) && says("prim.yaml") && says("schema");
    if about.is_some() && lists_ports(route) {
        return Some(Work::Ports);
    }
    let json = matches!(route.request, Body::Json(_)) && matches!(route.response, Body::Json(_));
    (about.is_some() && checks && json && route.method == Method::Post).then_some(Work::Validate)
}

fn answers(route: &Route) -> bool {
    asks(route, "schema") && route.description.to_ascii_lowercase().contains("prim.yaml")
}

fn lists_ports(route: &Route) -> bool {
    let said = route.description.to_ascii_lowercase();
    asks(route, "ports") && said.contains("allocated") && said.contains("next")
}

/// Whether a route does nothing but answer what its operation's last word says.
fn asks(route: &Route, what: &str) -> bool {
    let plain = route.method == Method::Get && route.path.params().next().is_none() && matches!(route.response, Body::Json(_));
    plain && words(&route.operation).last().is_some_and(|word| word == what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_answers_the_published_schema() {
        assert_eq!(serde_json::from_str::<Value>(&PRIM_YAML).unwrap(), prim::schema());
        assert!(PRIM_YAML.contains("\"enum\": [\"native\", \"rest-json\", \"cli\", \"sdk\"]"));
    }
}
