//! What the seeded tests do, and what the README says of the environment.

use serde::Serialize;

use super::{
    native::Op,
    plan::{Plan, Planned, Work},
    render::native,
    samples, text,
};
use crate::prim::{Body, Method, RoutePrice};

/// One collection, and the routes through which a test follows an item.
#[derive(Serialize)]
pub(super) struct Resource {
    title: String,
    path: String,
    body: String,
    status: u16,
    list: Option<String>,
    /// The path before an item's id.
    prefix: Option<String>,
    /// The field of an item that its path has.
    key: String,
    read: bool,
    change: Option<&'static str>,
    remove: Option<u16>,
    guard: Option<Guard>,
}

/// A free route that only who knows the internal key may call.
#[derive(Serialize)]
struct Guard {
    title: String,
    method: &'static str,
    path: String,
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
        let Some((collection, Op::Create { key })) = native(create) else { continue };
        let find = |wanted: fn(&Op) -> bool| plan.routes.iter().find(|p| native(p).is_some_and(|(c, op)| c == collection && wanted(op)));
        let list = find(|op| matches!(op, Op::List));
        let read = find(|op| matches!(op, Op::Read { .. }));
        let change = find(|op| matches!(op, Op::Change { .. }));
        let remove = find(|op| matches!(op, Op::Remove { .. }));
        let of_one = [read, change, remove].into_iter().flatten().next();
        let members = [Some(create), list, read, change, remove];
        let guarded = members.into_iter().flatten().find(|p| p.guarded && p.price == RoutePrice::Free);
        resources.push(Resource {
            title: format!("{} {} keeps what it is given", create.route.method, create.route.path),
            path: samples::path(create.route),
            body: samples::body(plan.document, create).unwrap_or_default(),
            status: create.route.status,
            list: list.map(|p| samples::path(p.route)),
            prefix: of_one.map(|p| p.route.path.filled(|_| String::new())),
            key: key.clone().unwrap_or_else(|| "id".into()),
            read: read.is_some(),
            change: change.map(|p| p.route.method.as_str()),
            remove: remove.map(|p| p.route.status),
            guard: guarded.map(|p| Guard {
                title: format!("{} {} is for who knows the internal key", p.route.method, p.route.path),
                method: p.route.method.as_str(),
                path: samples::path(p.route),
            }),
        });
    }
    resources
}

/// Calls of the vendor, one for each way of calling: JSON, with or without a body.
pub(super) fn calls(plan: &Plan<'_>) -> Vec<Call> {
    let json = |p: &&Planned<'_>| p.work == Work::Provider && !matches!(p.route.response, Body::Bytes);
    let with = plan.routes.iter().filter(json).find(|p| matches!(p.route.request, Body::Json(_)));
    let without = plan.routes.iter().filter(json).find(|p| p.route.method == Method::Get);
    let call = |p: &Planned<'_>| Call {
        title: p.route.to_string(),
        method: p.route.method.as_str(),
        path: samples::path(p.route),
        body: samples::body(plan.document, p),
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
    if let Some(vendor) = &plan.vendor {
        for name in &vendor.needed {
            add(name, format!("For {}; without it the provider's routes answer 501.", text::cell(&vendor.name)));
        }
    }
    for name in &plan.document.env {
        add(name, "Declared in `prim.yaml`.".into());
    }
    variables
}
