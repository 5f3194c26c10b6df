//! Requests that a route takes, and some that it refuses: what tests send.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{
    manifest::Example,
    native::{Native, Op},
    plan::{Plan, Planned, Work},
    schemas,
};
use crate::prim::{Body, Document, QueryKind, QueryParam, Route, RoutePrice};

/// What a variable holds where nothing real may be.
const PLACEHOLDER: &str = "placeholder";

/// A path with a value for every parameter that must be there.
pub(super) fn path(route: &Route) -> String {
    let path = route.path.filled(|name| format!("test-{}", name.to_ascii_lowercase()));
    let query: Vec<_> = route.query.iter().filter(|p| p.required).map(|p| format!("{}={}", p.name, value(p))).collect();
    if query.is_empty() { path } else { format!("{path}?{}", query.join("&")) }
}

fn value(param: &QueryParam) -> String {
    match param.kind {
        QueryKind::Text => "test".into(),
        QueryKind::Integer | QueryKind::Number => param.min.unwrap_or(1).to_string(),
        QueryKind::Flag => "true".into(),
    }
}

/// A body that the route takes, as JSON.
pub(super) fn body(document: &Document, planned: &Planned<'_>) -> Option<String> {
    match planned.route.request {
        Body::None => None,
        Body::Bytes => Some("some bytes".into()),
        Body::Json(_) => {
            let mut fields: Map<String, Value> = schemas::example(document, planned.route);
            if let Some(key) = schemas::key(planned) {
                fields.insert(key.into(), json!(format!("test-{}", key.to_ascii_lowercase())));
            }
            if fields.is_empty() {
                fields.insert("text".into(), json!("test"));
            }
            Some(Value::Object(fields).to_string())
        }
    }
}

/// A path with a query that the route refuses.
pub(super) fn bad_path(route: &Route) -> Option<String> {
    let bare = route.path.filled(|name| format!("test-{}", name.to_ascii_lowercase()));
    let typed = route.query.iter().find(|param| param.kind != QueryKind::Text);
    let missing = || route.query.iter().any(|param| param.required).then(|| bare.clone());
    typed.map(|param| format!("{bare}?{}=none", param.name)).or_else(missing)
}

/// Statuses that a good request may have: that of a success alone where our own
/// store answers, and declared refusals where somebody's code may come to them.
pub(super) fn answers(planned: &Planned<'_>) -> Vec<u16> {
    let route = planned.route;
    let mut statuses = vec![route.status];
    if !surely(planned) {
        let json = matches!(route.request, Body::Json(_));
        let knows = |status: &u16| *status != 402 && (json || *status != 400 || !route.query.is_empty());
        statuses.extend([404, 501, 502]);
        statuses.extend(route.errors.iter().map(|error| error.status).filter(knows));
    }
    statuses[1..].sort_unstable();
    statuses.dedup();
    statuses
}

/// Whether a good request succeeds without anything having been made before.
fn surely(planned: &Planned<'_>) -> bool {
    matches!(&planned.work, Work::Native(Native { op: Op::Create { .. } | Op::List, .. }))
}

/// A request that succeeds, where that is sure.
pub(super) fn example(document: &Document, planned: &Planned<'_>) -> Option<Example> {
    if !surely(planned) {
        return None;
    }
    let required = planned.route.query.iter().filter(|param| param.required);
    let key = planned.guarded.then(|| ("x-internal-key".to_owned(), PLACEHOLDER.to_owned()));
    Some(Example {
        query: required.map(|param| (param.name.clone(), value(param))).collect(),
        headers: key.into_iter().collect(),
        body: body(document, planned).and_then(|text| serde_json::from_str(&text).ok()),
    })
}

/// Settings under which the routes can be tried.
pub(super) fn env(plan: &Plan<'_>) -> BTreeMap<String, String> {
    let needed = plan.vendor.iter().flat_map(|vendor| &vendor.needed);
    let mut env: BTreeMap<String, String> = plan.document.env.iter().chain(needed).map(|name| (name.clone(), PLACEHOLDER.into())).collect();
    if plan.routes.iter().any(|planned| planned.guarded) {
        env.insert("PRIM_INTERNAL_KEY".into(), PLACEHOLDER.into());
    }
    if let Some(file) = &plan.data {
        env.insert(file.clone(), ":memory:".into());
    }
    env
}

/// A price as the terms of a payment say it.
pub(super) fn amount(price: RoutePrice) -> Option<String> {
    match price {
        RoutePrice::Free => None,
        RoutePrice::Of(price) => Some(price.micros().to_string()),
    }
}
