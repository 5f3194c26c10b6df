//! What the seeded tests do, and what the README says of the environment.

use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    claims::Claim,
    held,
    native::{Collection, Native, Op},
    plan::{Plan, Planned, Work},
    samples, schemas, service, shapes, text, types, vendor,
};
use crate::prim::{Body, Method, RoutePrice, Segment};

/// One collection, and the routes through which a test follows an item.
#[derive(Serialize)]
pub(super) struct Resource {
    title: String,
    path: String,
    body: String,
    /// The same without what the store has its own of.
    kept: String,
    answered: bool,
    status: u16,
    list: Option<String>,
    /// The path before an item's id.
    prefix: Option<String>,
    /// The field of an item that its path has.
    key: String,
    read: Option<Step>,
    change: Option<Step>,
    remove: Option<Step>,
    guard: Option<Guard>,
}

/// What is done to the item.
#[derive(Serialize)]
struct Step {
    method: &'static str,
    /// What must come after its path: empty, or from the question mark on.
    query: String,
    /// What the test calls the whole.
    place: &'static str,
    answered: bool,
    status: u16,
}

/// A free route that only who knows the internal key may call.
#[derive(Serialize)]
struct Guard {
    title: String,
    method: &'static str,
    path: String,
    body: Option<String>,
}

/// A route that the vendor answers.
#[derive(Serialize)]
pub(super) struct Call {
    title: String,
    method: &'static str,
    path: String,
    body: Option<String>,
    status: u16,
}

/// Every collection that a test can follow an item through.
pub(super) fn resources(plan: &Plan<'_>) -> Vec<Resource> {
    let mut resources = Vec::new();
    for create in &plan.routes {
        let Work::Native(Native { collection, op: Op::Create { signed: None }, within, .. }) = &create.work else { continue };
        let key = plan.collections.get(*collection).and_then(|c| c.key.as_deref()).unwrap_or("id");
        let body = samples::body(plan, create).unwrap_or_default();
        let sent: Vec<String> = serde_json::from_str::<Map<String, Value>>(&body).into_iter().flatten().map(|(name, _)| name).collect();
        let plain = |p: &&Planned<'_>| shapes::is_plain(plan, p, &[key], &sent);
        // What nobody knows a value for, nobody can try.
        let known = create.route.request != Body::None && !samples::unknown(plan, create);
        if !within.is_empty() || !known || !plain(&create) {
            continue;
        }
        // Only what is found under the path that it was made under: the test builds it from that.
        let of = |p: &&Planned<'_>, wanted: fn(&Op) -> bool| matches!(&p.work, Work::Native(n) if n.collection == *collection && n.within.is_empty() && wanted(&n.op));
        let find = |wanted: fn(&Op) -> bool| plan.routes.iter().find(|p| of(p, wanted));
        // Of what is done below an item, only its own path is known here.
        let named = |p: &&Planned<'_>| matches!(p.route.path.segments.last(), Some(Segment::Param { .. }));
        let one = |wanted: fn(&Op) -> bool| plan.routes.iter().filter(named).find(|p| of(p, wanted));
        // One that must be asked for something may not have the item.
        let pages = |p: &&Planned<'_>| p.route.query.iter().filter(|param| param.required).all(service::orders);
        let list = find(|op| matches!(op, Op::List))
            .filter(pages)
            .filter(|p| shapes::is_plain(plan, p, &["items", "total"], if held::shown(plan, p).is_some() { &sent } else { &[] }));
        let read = one(|op| matches!(op, Op::Read { bytes: false })).filter(plain).filter(|p| p.route.response != Body::None);
        // What may be changed in a declared type, nobody can tell, nor what else a change that
        // must have some field does.
        let free = |p: &&Planned<'_>| schemas::fields(plan, p).iter().all(|field| !field.required);
        let change = one(|op| matches!(op, Op::Change | Op::Replace | Op::Put { bytes: false, once: false }))
            .filter(|p| types::taken(plan.document, p.route).is_none() && held::changed(plan, p).is_empty());
        let change = change.filter(|p| p.route.response != Body::None).filter(free);
        let remove = one(|op| matches!(op, Op::Remove { .. })).filter(|p| p.route.request == Body::None);
        let of_one = [read, change, remove].into_iter().flatten().next();
        let members = [Some(create), list, read, change, remove];
        let guards = |p: &&Planned<'_>| p.guarded && p.price == RoutePrice::Free && !samples::unknown(plan, p);
        let guarded = members.into_iter().flatten().find(guards);
        let step = |p: &Planned<'_>, place| {
            let query = samples::query(p.route);
            Step {
                method: p.route.method.as_str(),
                place: if query.is_empty() { "one" } else { place },
                query,
                answered: p.route.response != Body::None,
                status: p.route.status,
            }
        };
        resources.push(Resource {
            title: format!("{} {} keeps what it is given", create.route.method, create.route.path),
            path: samples::path(create.route),
            kept: kept(plan.collections.get(*collection), &body),
            body,
            answered: create.route.response != Body::None && create.route.status != 204,
            status: create.route.status,
            list: list.map(|p| samples::path(p.route)),
            prefix: of_one.map(|p| p.route.path.filled(|_| String::new())),
            key: key.into(),
            read: read.map(|p| step(p, "reading")),
            change: change.map(|p| step(p, "changing")),
            remove: remove.map(|p| step(p, "removing")),
            guard: guarded.map(|p| Guard {
                title: format!("{} {} is for who knows the internal key", p.route.method, p.route.path),
                method: p.route.method.as_str(),
                path: samples::path(p.route),
                body: samples::body(plan, p),
            }),
        });
    }
    resources
}

/// What an item has of the body that it was made from: the rest is the store's to say.
fn kept(collection: Option<&Collection>, body: &str) -> String {
    let Ok(Value::Object(mut fields)) = serde_json::from_str(body) else { return body.into() };
    let key = collection.and_then(|c| c.key.as_deref());
    let status = collection.is_some_and(|c| c.status.is_some());
    let ends = collection.is_some_and(|c| c.ends);
    fields.retain(|name, _| match name.as_str() {
        "id" => key == Some("id"),
        "created_at" => false,
        "status" => !status,
        "expires_at" => !ends,
        _ => true,
    });
    Value::Object(fields).to_string()
}

/// Calls of the vendor, one for each way of calling: JSON, with or without a body.
pub(super) fn calls(plan: &Plan<'_>) -> Vec<Call> {
    // Of what was made here first, the routes' own tests would tell. A library's
    // operations are still to be written.
    let json = |p: &&Planned<'_>| {
        let forwards = p.work == Work::Provider(None) && !p.asked.library && !samples::unknown(plan, p);
        forwards && !matches!(p.claim, Some(Claim::Code { .. })) && p.route.response != Body::Bytes
    };
    let with = plan.routes.iter().filter(json).find(|p| matches!(p.route.request, Body::Json(_)));
    let without = plan.routes.iter().filter(json).find(|p| p.route.method == Method::Get);
    let call = |p: &Planned<'_>| Call {
        title: p.route.to_string(),
        method: p.route.method.as_str(),
        path: samples::path(p.route),
        body: samples::body(plan, p),
        status: p.route.status,
    };
    [with, without].into_iter().flatten().map(call).collect()
}

/// A variable of the environment.
#[derive(Serialize)]
pub(super) struct Variable {
    name: String,
    r#use: String,
}

/// What the service reads from its environment.
pub(super) fn variables(plan: &Plan<'_>) -> Vec<Variable> {
    let mut variables: Vec<Variable> = Vec::new();
    let mut add = |name: &str, r#use: String| {
        if !variables.iter().any(|v| v.name == name) {
            variables.push(Variable { name: name.into(), r#use });
        }
    };
    if plan.routes.iter().any(|p| p.guarded) {
        add("PRIM_INTERNAL_KEY", "The key that internal routes want in `x-internal-key`; without it they answer 501.".into());
    }
    if let Some(file) = &plan.data {
        add(file, "The SQLite file with its data; without it they end with the process.".into());
    }
    if plan.vendors.len() > 1 {
        add(&vendor::choice(plan.document), "The provider that is called, where it is not the first.".into());
    }
    for vendor in &plan.vendors {
        let without = if plan.declared { "the provider's routes answer 501" } else { "the routes that need it say so" };
        for name in &vendor.needed {
            add(name, format!("For {}; without it {without}.", text::cell(&vendor.name)));
        }
    }
    for planned in &plan.routes {
        if let Some(Claim::Code { variable, .. }) = &planned.claim {
            add(variable, "The codes that were given out, commas between them.".into());
        }
    }
    for name in &plan.document.env {
        add(name, "Declared in `prim.yaml`.".into());
    }
    variables
}
