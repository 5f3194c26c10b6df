//! What there is one of beside items below the same path: `/v1/settings` beside
//! `/v1/settings/:key`. By its GET alone it may be either.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    super::{service, types},
    makers::verb,
    members,
};
use crate::prim::{Document, Method, Route, Segment};

/// Which routes are about what there is one of: it is set at its path, and nothing is
/// made or listed there.
pub(super) fn of(document: &Document) -> Vec<bool> {
    let routes = &document.routes;
    let literal = |route: &Route| matches!(route.path.segments.last(), Some(Segment::Literal(_)));
    let sets = |route: &Route| matches!(route.method, Method::Put | Method::Patch) && members::sets(route);
    let set: Vec<_> = routes.iter().filter(|route| literal(route) && sets(route)).collect();
    if set.is_empty() {
        return vec![false; routes.len()];
    }
    let at = |of: &dyn Fn(&Route) -> bool| -> BTreeSet<String> {
        routes.iter().filter(|route| literal(route) && of(route)).map(|route| route.path.key()).collect()
    };
    let read = at(&|route| route.method == Method::Get && members::json(route) && !lists(document, route));
    let made = at(&|route| route.method == Method::Post);
    let keys = set.into_iter().map(|route| route.path.key());
    let ones: BTreeSet<String> = keys.filter(|key| read.contains(key) && !made.contains(key)).collect();
    routes.iter().map(|route| literal(route) && !ones.is_empty() && ones.contains(&route.path.key())).collect()
}

/// Whether a route lists: by its word, by what it may be asked for, or by its type.
fn lists(document: &Document, route: &Route) -> bool {
    let listed = |kind| {
        let last = route.path.nouns().last();
        let array = |(name, field): (&String, &Value)| {
            types::followed(document, field).get("type").and_then(Value::as_str) == Some("array")
                && (name == "items" || Some(name.as_str()) == last)
        };
        types::is_list(document, kind) || types::fields(document, kind).is_some_and(|fields| fields.iter().any(array))
    };
    let said = verb(route).is_some_and(|verb| ["list", "browse", "search", "find", "query"].contains(&verb.as_str()));
    said || route.query.iter().any(service::chooses) || types::answered(document, route).is_some_and(listed)
}
