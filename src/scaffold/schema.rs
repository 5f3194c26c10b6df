//! The one schema that is known without being told: that of `prim.yaml` itself. A
//! service that is about such documents answers it, and holds documents against it.

use super::plan::Work;
use crate::prim::{Body, Document, Method, Route, words};

/// The schema, as the formatter would write it.
pub(super) const PRIM_YAML: &str = include_str!("templates/prim.schema.json");

/// Whether a route answers the schema, or holds a document against it.
pub(super) fn of(document: &Document, route: &Route) -> Option<Work> {
    let about = document.routes.iter().find(|route| answers(route));
    if answers(route) {
        return Some(Work::Schema);
    }
    let says = |word: &str| route.description.to_ascii_lowercase().contains(word);
    let verb = words(&route.operation).into_iter().next()?;
    let checks = ["validate", "check", "lint"].contains(&verb.as_str()) && says("prim.yaml") && says("schema");
    let json = matches!(route.request, Body::Json(_)) && matches!(route.response, Body::Json(_));
    (about.is_some() && checks && json && route.method == Method::Post).then_some(Work::Validate)
}

fn answers(route: &Route) -> bool {
    let asked = words(&route.operation).last().is_some_and(|word| word == "schema");
    let plain = route.method == Method::Get && route.path.params().next().is_none() && matches!(route.response, Body::Json(_));
    asked && plain && route.description.to_ascii_lowercase().contains("prim.yaml")
}
