//! The one schema that is known without being told: that of `prim.yaml` itself. A
//! service that is about such documents answers it, holds documents against it, and
//! says which ports services have, as far as an operator lists them.

use super::plan::Work;
use crate::prim::{Body, Document, Method, Route, words};

/// The schema, as the formatter would write it.
pub(super) const PRIM_YAML: &str = include_str!("templates/prim.schema.json");

/// The variable in which an operator lists the ports that services have.
pub(super) const PORTS: &str = "PRIM_PORTS";

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
