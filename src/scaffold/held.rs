//! Bodies and answers that a document leaves untyped, of things whose type it has: a
//! change is held against that field by field, and who may look without paying sees no
//! more than it names.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{
    native::{self, Native, Op},
    plan::{Plan, Planned, Work},
    types,
};
use crate::prim::{Body, Document, RoutePrice, Type, standalone};

/// The types that a change is held against, what is taken before what is answered: none
/// where its own body has a type, or nothing is known of what it changes.
pub(super) fn changed<'a>(plan: &Plan<'a>, planned: &Planned<'_>) -> Vec<&'a Type> {
    let document = plan.document;
    let Work::Native(Native { op, collection, .. }) = &planned.work else { return Vec::new() };
    // A PUT that may make what a POST makes is held against the same.
    let put = || *op == Op::Put { bytes: false, once: false } && plan.posted(*collection);
    if !matches!(op, Op::Change | Op::Replace) && !put() {
        return Vec::new();
    }
    if !matches!(planned.route.request, Body::Json(_)) || types::taken(document, planned.route).is_some() {
        return Vec::new();
    }
    let mut held: Vec<&Type> = Vec::new();
    let mut add = |kind: &'a Type| {
        if is_object(document, kind) && held.iter().all(|there| there.name != kind.name) {
            held.push(kind);
        }
    };
    made(plan, *collection).filter_map(|route| types::taken(document, route.route)).for_each(&mut add);
    of_items(plan, *collection).into_iter().for_each(&mut add);
    held
}

/// The same as JSON Schema, for those who call the service.
pub(super) fn schema(document: &Document, held: &[&Type]) -> Value {
    let mut properties: BTreeMap<&String, Value> = BTreeMap::new();
    for kind in held {
        for (name, field) in types::fields(document, kind).into_iter().flatten() {
            properties.entry(name).or_insert_with(|| field.clone());
        }
    }
    let properties: Map<String, Value> = properties.into_iter().map(|(name, field)| (name.clone(), field)).collect();
    let mut schema = json!({ "type": "object", "properties": properties });
    if held.iter().all(|kind| is_closed(document, kind)) {
        schema["additionalProperties"] = false.into();
    }
    standalone(&document.types, &schema)
}

/// What an untyped answer to anybody is: the type of each item in it, and whether those
/// are listed.
pub(super) struct Shown<'a> {
    pub kind: &'a Type,
    pub page: bool,
}

/// The type of what a free route shows that says nothing of its answer.
pub(super) fn shown<'a>(plan: &Plan<'a>, planned: &Planned<'_>) -> Option<Shown<'a>> {
    let document = plan.document;
    let Work::Native(Native { op, collection, .. }) = &planned.work else { return None };
    let page = match op {
        Op::Read { bytes: false } | Op::Edge { .. } => false,
        Op::List | Op::Search => true,
        _ => return None,
    };
    let free = planned.price == RoutePrice::Free && !native::guarded(planned.route);
    if !free || !matches!(planned.route.response, Body::Json(_)) || types::answered(document, planned.route).is_some() {
        return None;
    }
    let kind =
        of_items(plan, *collection).into_iter().find(|kind| is_object(document, kind) && !types::shows_more(document, kind, true))?;
    Some(Shown { kind, page })
}

/// The routes that make items.
fn made<'p, 'a>(plan: &'p Plan<'a>, collection: usize) -> impl Iterator<Item = &'p Planned<'a>> {
    plan.of(collection)
        .filter(|route| matches!(route.work.kept(), Some(Native { op: Op::Create { .. } | Op::Put { bytes: false, .. }, .. })))
}

/// The types of a collection's items, as they are answered: by who reads one first. What
/// making one answers may say no more than that it was made.
fn of_items<'a>(plan: &Plan<'a>, collection: usize) -> Vec<&'a Type> {
    let document = plan.document;
    let of = |wanted: fn(&Op) -> bool| {
        let meant = move |route: &&Planned<'a>| route.work.kept().is_some_and(|native| wanted(&native.op));
        plan.of(collection).filter(meant).filter_map(move |route| types::answered(document, route.route))
    };
    let sent: Vec<&String> = made(plan, collection)
        .filter_map(|route| types::fields(document, types::taken(document, route.route)?))
        .flat_map(Map::keys)
        .collect();
    let about = |kind: &&Type| types::fields(document, kind).is_some_and(|fields| sent.iter().any(|name| fields.contains_key(*name)));
    let read = of(|op| matches!(op, Op::Read { bytes: false } | Op::Edge { .. }));
    let other = of(|op| matches!(op, Op::Change | Op::Replace | Op::Create { .. } | Op::Put { .. } | Op::Become { .. }));
    read.chain(other.filter(about)).collect()
}

/// Whether a type is that of objects with fields that are known, and by these alone.
fn is_object(document: &Document, kind: &Type) -> bool {
    let schema = types::followed(document, &kind.schema);
    let plain = ["anyOf", "oneOf"].iter().all(|key| schema.get(*key).is_none() && kind.schema.get(*key).is_none());
    plain && types::fields(document, kind).is_some_and(|fields| !fields.is_empty())
}

fn is_closed(document: &Document, kind: &Type) -> bool {
    types::followed(document, &kind.schema).get("additionalProperties") == Some(&Value::Bool(false))
}
