//! Requests that a route takes, and some that it refuses: what tests send.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{
    held,
    manifest::{Example, Mistyped},
    native::{Native, Op},
    plan::{Plan, Planned, Work},
    schemas::{self, Field, Kind},
    shapes, types,
};
use crate::prim::{Body, PathParam, QueryKind, QueryParam, Route, RoutePrice};

/// A wallet that nobody has.
const WALLET: &str = "0x0000000000000000000000000000000000000003";
/// What a variable holds where nothing real may be.
const PLACEHOLDER: &str = "placeholder";

/// A cursor behind which everything lies.
const LAST: i64 = 999_999_999_999_999;

/// A path with a value for every parameter that must be there.
pub(super) fn path(route: &Route) -> String {
    bare(route) + &query(route)
}

/// The query with every parameter that must be there, from its question mark on.
pub(super) fn query(route: &Route) -> String {
    let query: Vec<_> = route.query.iter().filter(|p| p.required).map(|p| format!("{}={}", p.name, value(p))).collect();
    if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) }
}

/// The same without a query.
fn bare(route: &Route) -> String {
    route.path.filled(|name| param(route, name))
}

/// What a parameter of the path may be.
pub(super) fn param(route: &Route, name: &str) -> String {
    number(route, name).unwrap_or_else(|| format!("test-{}", name.to_ascii_lowercase()))
}

/// What a parameter of the path may be that must be a whole number.
pub(super) fn number(route: &Route, name: &str) -> Option<String> {
    let param = whole(route, name)?;
    Some(1.max(param.min.unwrap_or(1)).min(param.max.unwrap_or(i64::MAX)).to_string())
}

/// A parameter of the path that must be a whole number.
fn whole<'a>(route: &'a Route, name: &str) -> Option<&'a PathParam> {
    route.params.iter().find(|param| param.name == name && param.kind == QueryKind::Integer)
}

fn value(param: &QueryParam) -> String {
    let most = param.max.unwrap_or(i64::MAX);
    let wanted = match param.name.as_str() {
        // Before what there is of a list, and below what comes last in it.
        "offset" => 0,
        "after" | "cursor" => LAST,
        _ => 1,
    };
    match (param.kind, param.name.as_str()) {
        (QueryKind::Text, "after" | "cursor") => LAST.to_string(),
        (QueryKind::Text, "sort" | "sort_by" | "order_by") => "created_at".into(),
        (QueryKind::Text, "order" | "sort_order" | "direction" | "dir") => "asc".into(),
        (QueryKind::Text, "since" | "created_after") => "2020-01-01T00:00:00Z".into(),
        (QueryKind::Text, "until" | "created_before") => types::LATE.into(),
        (QueryKind::Text, _) => "test".into(),
        (QueryKind::Integer | QueryKind::Number, _) => wanted.max(param.min.unwrap_or(wanted)).min(most).to_string(),
        (QueryKind::Flag, _) => "true".into(),
    }
}

/// A body that the route takes, as JSON.
pub(super) fn body(plan: &Plan<'_>, planned: &Planned<'_>) -> Option<String> {
    planned.sample.get_or_init(|| make(plan, planned)).clone()
}

fn make(plan: &Plan<'_>, planned: &Planned<'_>) -> Option<String> {
    match planned.route.request {
        Body::None => None,
        Body::Bytes => Some("some bytes".into()),
        Body::Json(_) => {
            if let Some(kind) = types::taken(plan.document, planned.route) {
                // What is no value of the type is refused, as `answers` knows.
                return Some(plan.known.get(&kind.name).and_then(|known| known.sample.clone()).unwrap_or_default().to_string());
            }
            let held = held::changed(plan, planned);
            if !held.is_empty() {
                // Of a type that nothing takes, no value is made up.
                let sample = held.iter().find_map(|kind| plan.known.get(&kind.name)?.sample.clone());
                return Some(sample.unwrap_or_else(|| json!({})).to_string());
            }
            let example = schemas::example(plan.document, planned.route);
            let mut fields: Map<String, Value> = Map::new();
            for Field { name, kind, .. } in schemas::fields(plan, planned) {
                let value = match (kind, example.get(name)) {
                    (kind, _) if types::seen(name).is_some_and(|said| may_be(kind, name, &said)) => json!(types::seen(name)),
                    (Kind::Address, _) => json!(WALLET),
                    (Kind::OneOf(values), None) => json!(values.first()),
                    (Kind::OneOf(values), Some(value)) if value.as_str().is_none_or(|v| !values.iter().any(|one| one == v)) => {
                        json!(values.first())
                    }
                    (Kind::Whole, value) => value.filter(|value| value.is_i64()).cloned().unwrap_or_else(|| json!(1)),
                    (Kind::Number, value) => {
                        // What a test makes lives until it has looked at it.
                        let least = if name == "ttl_ms" { 60_000.0 } else { 60.0 };
                        let lives = |n: f64| !types::SPANS.contains(&name.as_str()) || (least..1e9).contains(&n);
                        value.filter(|value| value.as_f64().is_some_and(lives)).cloned().unwrap_or_else(|| json!(3_600_000))
                    }
                    (Kind::Hex, _) => json!("0x00"),
                    (Kind::Time, _) => json!("2026-01-01T00:00:00Z"),
                    (Kind::Text { .. }, Some(Value::String(text))) if text.is_empty() => json!("test"),
                    (Kind::Text { longest: Some(most) }, Some(Value::String(text))) => {
                        json!(text.chars().take(usize::try_from(*most).unwrap_or(usize::MAX)).collect::<String>())
                    }
                    (_, Some(value)) => value.clone(),
                    (_, None) => json!(format!("test-{}", name.to_ascii_lowercase())),
                };
                fields.insert(name.clone(), value);
            }
            if fields.is_empty() {
                fields.insert("text".into(), json!("test"));
            }
            Some(Value::Object(fields).to_string())
        }
    }
}

/// Whether a field of a kind may hold what its name is given in tests.
fn may_be(kind: &Kind, name: &str, said: &Value) -> bool {
    match kind {
        Kind::Text { .. } | Kind::Time => said.is_string(),
        Kind::Flag => said.is_boolean(),
        Kind::Whole => said.is_i64() && !types::SPANS.contains(&name),
        Kind::OneOf(values) => values.iter().any(|value| said == value),
        Kind::Any => ![&types::SPANS[..], &types::ENDS].concat().contains(&name),
        Kind::Number | Kind::Address | Kind::Hex => false,
    }
}

/// Fields of a body that no two items have alike.
pub(super) fn fresh<'a>(plan: &Plan<'a>, planned: &Planned<'a>) -> Vec<String> {
    let Some(native) = planned.work.kept().filter(|_| matches!(planned.route.request, Body::Json(_))) else { return Vec::new() };
    let key = plan.collections.get(native.collection).and_then(|kept| kept.key.as_deref());
    let named = match &native.op {
        Op::Create { .. } => key,
        Op::Put { bytes: false, once: false } | Op::Change | Op::Replace => None,
        _ => return Vec::new(),
    };
    let unique = plan.unique(native.collection, planned.route);
    named.map(str::to_owned).into_iter().chain(unique.into_iter().map(|(field, _)| field)).collect()
}

/// A request with one value of a wrong type, where a type is known.
pub(super) fn mistyped<'a>(plan: &Plan<'_>, planned: &'a Planned<'_>) -> Option<&'a Mistyped> {
    planned.mistyped.get_or_init(|| spoil(plan, planned)).as_ref()
}

fn spoil(plan: &Plan<'_>, planned: &Planned<'_>) -> Option<Mistyped> {
    if !matches!(planned.route.request, Body::Json(_)) {
        let typed = planned.route.query.iter().find(|param| param.kind != QueryKind::Text)?;
        return Some(Mistyped { field: typed.name.clone(), body: None });
    }
    if let Some(kind) = types::taken(plan.document, planned.route) {
        let (field, body) = plan.known.get(&kind.name)?.mistyped.clone()?;
        return Some(Mistyped { field, body: Some(body) });
    }
    if let Some(kind) = held::changed(plan, planned).first() {
        let (field, body) = plan.known.get(&kind.name)?.mistyped.clone().filter(|(_, body)| body.is_object())?;
        return Some(Mistyped { field, body: Some(body) });
    }
    let mut fields: Map<String, Value> = serde_json::from_str(&body(plan, planned)?).ok()?;
    let typed = schemas::fields(plan, planned).iter().find(|field| field.kind != Kind::Any)?;
    fields.insert(typed.name.clone(), json!({"not": "this"}));
    Some(Mistyped { field: typed.name.clone(), body: Some(Value::Object(fields)) })
}

/// A path with a query that the route refuses.
pub(super) fn bad_path(route: &Route) -> Option<String> {
    let numbered = || {
        let first = route.path.params().find(|name| whole(route, name).is_some())?;
        Some(route.path.filled(|name| if name == first { "no-number".into() } else { format!("test-{}", name.to_ascii_lowercase()) }))
    };
    let bare = bare(route);
    let typed = route.query.iter().find(|param| param.kind != QueryKind::Text);
    let missing = || route.query.iter().any(|param| param.required).then(|| bare.clone());
    typed.map(|param| format!("{bare}?{}=none", param.name)).or_else(missing).or_else(numbered)
}

/// Statuses that a good request may have: that of a success alone where our own
/// store answers, and declared refusals where somebody's code may come to them.
pub(super) fn answers(plan: &Plan<'_>, planned: &Planned<'_>) -> Vec<u16> {
    let route = planned.route;
    let mut statuses = vec![route.status];
    if !surely(plan, planned) {
        let json = matches!(route.request, Body::Json(_));
        let knows = |status: &u16| *status != 402 && (json || *status != 400 || !route.query.is_empty());
        match &planned.work {
            Work::Provider(kept) => {
                statuses.extend([404, 501, 502]);
                statuses.extend(kept.iter().flat_map(|_| [403, 409]));
            }
            // A setting may be missing.
            Work::Missing(_) | Work::Ports => statuses.push(501),
            // Its program may not be there, or want something else.
            Work::Command(_) => statuses.extend([400, 501, 502]),
            // Its code is none that was given out.
            Work::Claim => statuses.extend([400, 501]),
            _ => statuses.extend([403, 404, 409]),
        }
        // A gate fills a path with any text.
        let listed = matches!(planned.work.kept(), Some(Native { op: Op::Batch | Op::Search, .. }));
        if listed || unknown(plan, planned) || route.path.params().any(|name| whole(route, name).is_some()) {
            statuses.push(400);
        }
        if matches!(planned.work.kept(), Some(Native { op: Op::Create { signed: Some(_) }, .. })) {
            statuses.extend([400, 403]);
        }
        statuses.extend(route.errors.iter().map(|error| error.status).filter(knows));
    }
    statuses[1..].sort_unstable();
    statuses.dedup();
    statuses
}

/// Whether no value is known that the route takes.
pub(super) fn unknown(plan: &Plan<'_>, planned: &Planned<'_>) -> bool {
    types::taken(plan.document, planned.route).is_some_and(|kind| plan.known.get(&kind.name).is_none_or(|known| known.sample.is_none()))
}

/// Whether a good request succeeds without anything having been made before.
fn surely(plan: &Plan<'_>, planned: &Planned<'_>) -> bool {
    if unknown(plan, planned) {
        return false;
    }
    match &planned.work {
        Work::Native(Native { op, collection, .. }) => {
            let kept = plan.collections.get(*collection);
            let inside = kept.is_some_and(|collection| collection.within.is_some());
            // Whoever asks for nothing may have taken the name before.
            let taken = matches!(op, Op::Create { .. }) && planned.price == RoutePrice::Free && kept.is_some_and(|c| c.key.is_some());
            // A cursor and an order have a form that a type does not say.
            let plain = *op != Op::Search || types::taken(plan.document, planned.route).is_none();
            // What was never set may be no answer.
            let set = *op != Op::Part || !shapes::lacks_unset(plan.document, planned);
            !inside
                && !taken
                && plain
                && set
                && matches!(
                    op,
                    Op::Create { signed: None }
                        | Op::Upload
                        | Op::Put { once: false, .. }
                        | Op::List
                        | Op::Search
                        | Op::Count
                        | Op::Tally
                        | Op::Clear
                        | Op::Part
                        | Op::SetPart { .. }
                        | Op::Unset
                )
        }
        Work::Waits(..) | Work::Schema => true,
        _ => false,
    }
}

/// A request that succeeds, where that is sure.
pub(super) fn example(plan: &Plan<'_>, planned: &Planned<'_>) -> Option<Example> {
    if !surely(plan, planned) {
        return None;
    }
    let required = planned.route.query.iter().filter(|param| param.required);
    let key = planned.guarded.then(|| ("x-internal-key".to_owned(), PLACEHOLDER.to_owned()));
    let params = planned.route.path.params().filter_map(|name| Some((name.to_owned(), number(planned.route, name)?)));
    Some(Example {
        params: params.collect(),
        query: required.map(|param| (param.name.clone(), value(param))).collect(),
        headers: key.into_iter().collect(),
        body: body(plan, planned).and_then(|text| serde_json::from_str(&text).ok()),
    })
}

/// Settings under which the routes can be tried.
pub(super) fn env(plan: &Plan<'_>) -> BTreeMap<String, String> {
    let needed = plan.vendors.iter().flat_map(|vendor| &vendor.needed);
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
