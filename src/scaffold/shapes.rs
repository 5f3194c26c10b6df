//! Answers of the store as their types have them. The kit brings them into that shape
//! (`kit/src/shape.ts`); here is of which routes, and what of a type nothing can say.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{
    able, held,
    native::{self, Native, Op},
    plan::{Plan, Planned, Work},
    schemas, types,
};
use crate::prim::{Assumption, Document, Route, RoutePrice, Type, words};

/// What the kit knows of any item, by whatever name it goes there.
const KNOWN: [&str; 5] = ["id", "created_at", "createdAt", "created", "uuid"];
/// The same of several.
const PAGE: [&str; 12] = [
    "items",
    "total",
    "count",
    "total_count",
    "totalCount",
    "next_cursor",
    "nextCursor",
    "cursor",
    "next",
    "has_more",
    "hasMore",
    "results",
];

/// What says that something was done away with.
const DONE: [&str; 6] = ["ok", "success", "deleted", "removed", "done", "cleared"];

/// Names of the time at which an item was last changed.
const CHANGED: [&str; 4] = ["updated_at", "updatedAt", "modified_at", "modifiedAt"];

/// The type of what a route answers from the store.
pub(super) fn answered<'a>(document: &'a Document, planned: &Planned<'_>) -> Option<&'a Type> {
    let bytes = matches!(planned.work.kept(), Some(Native { op: Op::Read { bytes: true }, .. }));
    types::answered(document, planned.route).filter(|_| matches!(planned.work, Work::Native(_)) && !bytes)
}

/// The same as an expression, and of what has none the type of what it shows to anybody.
pub(super) fn expression(plan: &Plan<'_>, planned: &Planned<'_>) -> Option<String> {
    let own = answered(plan.document, planned).map(|kind| format!("api.{}", kind.name));
    own.or_else(|| {
        let shown = held::shown(plan, planned)?;
        Some(if shown.page { format!("pageOf(api.{})", shown.kind.name) } else { format!("api.{}", shown.kind.name) })
    })
}

/// Whether an answer has these fields of the store's as the store has them, and all others,
/// or at least those that were sent.
pub(super) fn is_plain(plan: &Plan<'_>, planned: &Planned<'_>, fields: &[&str], sent: &[String]) -> bool {
    let document = plan.document;
    if let Some(shown) = held::shown(plan, planned) {
        let all = types::fields(document, shown.kind);
        let item = fields.iter().copied().filter(|_| !shown.page).chain(sent.iter().map(String::as_str));
        return all.is_some_and(|all| item.into_iter().all(|field| all.contains_key(field)));
    }
    let Some(kind) = answered(document, planned) else { return true };
    let Some(all) = types::fields(document, kind) else { return false };
    let free = planned.price == RoutePrice::Free;
    let told = types::shows_more(document, kind, free) || (!sent.is_empty() && sent.iter().all(|field| all.contains_key(field)));
    fields.iter().all(|field| all.contains_key(*field)) && types::shows_more(document, kind, false) && told
}

/// Fields of what a route answers that are its item's own id by another name: that of a
/// path's parameter, or of what the item is.
pub(super) fn ids<'a>(plan: &Plan<'a>, planned: &Planned<'a>) -> Vec<&'a str> {
    let Some((kind, native)) = answered(plan.document, planned).zip(planned.work.kept()) else { return Vec::new() };
    let noun = plan.collections.get(native.collection).map(|kept| words(&kept.name)).unwrap_or_default();
    let param = |name: &str| plan.of(native.collection).any(|other| other.work.kept().is_some_and(|n| n.param.as_deref() == Some(name)));
    let own = |name: &&&str| {
        let words = words(name);
        let of = words.split_last().is_some_and(|(last, before)| last == "id" && !before.is_empty() && before == noun);
        native::is_id(name) && **name != "id" && (of || param(name))
    };
    let fields: BTreeSet<&str> = able::items(plan.document, kind).flat_map(|fields| fields.keys().map(String::as_str)).collect();
    fields.iter().filter(own).copied().collect()
}

/// Whether a route tells what there is one of in a type that nothing fits before that was
/// set: it requires what neither the type nor the path says.
pub(super) fn lacks_unset(document: &Document, planned: &Planned<'_>) -> bool {
    matches!(planned.work, Work::Native(Native { op: Op::Part, .. }))
        && answered(document, planned).is_some_and(|kind| !fits_nothing(document, &kind.schema, planned.route))
}

/// Whether an object without fields is of a type, once what is known anyway is filled in.
fn fits_nothing(document: &Document, schema: &Value, route: &Route) -> bool {
    let schema = types::followed(document, schema);
    let fields = schema.get("properties").and_then(Value::as_object);
    let objects =
        fields.into_iter().flat_map(Map::values).filter(|field| types::kinds(types::followed(document, field)) == ["object"]).count();
    let said = |name: &str| {
        let Some(field) = fields.and_then(|fields| fields.get(name)) else { return false };
        let whole = types::followed(document, field);
        let known = ["default", "const"].iter().any(|key| field.get(*key).or_else(|| whole.get(*key)).is_some());
        // The only object in a type is around what there is.
        let around = || objects == 1 && types::kinds(whole) == ["object"] && fits_nothing(document, whole, route);
        known || takes_null(document, whole) || route.path.params().any(|param| param == name) || around()
    };
    schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).all(said)
}

fn takes_null(document: &Document, schema: &Value) -> bool {
    let any = || ["anyOf", "oneOf"].iter().filter_map(|key| schema.get(*key)?.as_array()).flatten();
    types::kinds(schema).contains(&"null") || any().any(|one| takes_null(document, types::followed(document, one)))
}

/// Fields that the type of an answer requires and that nothing keeps: whoever calls is
/// told that they are not there.
pub(super) fn lacking(plan: &Plan<'_>, planned: &Planned<'_>) -> Option<Assumption> {
    let kind = answered(plan.document, planned)?;
    planned.work.kept()?;
    let path = format!("{}.response", planned.route.place);
    if types::fields(plan.document, kind).is_none() && !types::is_list(plan.document, kind) {
        let text = format!("answers {} as the store has it, which is an object or a list", kind.name);
        return Some(Assumption { path, text });
    }
    let missing = missing(plan, planned);
    let text = format!("{} requires {}, which nothing keeps unless it is sent: it is not there", kind.name, missing.join(", "));
    (!missing.is_empty()).then_some(Assumption { path, text })
}

/// The same by their names.
pub(super) fn missing<'a>(plan: &Plan<'_>, planned: &'a Planned<'_>) -> &'a [String] {
    planned.missing.get_or_init(|| look(plan, planned))
}

fn look(plan: &Plan<'_>, planned: &Planned<'_>) -> Vec<String> {
    let document = plan.document;
    let Some((kind, native)) = answered(document, planned).zip(planned.work.kept()) else { return Vec::new() };
    let Some(known) = known(plan, planned, kind, native) else { return Vec::new() };
    let several = matches!(native.op, Op::List | Op::Search | Op::Batch);
    let mut missing: Vec<String> = Vec::new();
    // What is sent is as it was sent.
    let around = |name: &str| name == "items" || !known.contains(name);
    for (at, schema) in types::items(document, &kind.schema, around).into_iter().enumerate() {
        let Some(fields) = schema.get("properties").and_then(Value::as_object) else { continue };
        let said = |name: &str| {
            let field = &fields[name];
            known.contains(name)
                || (at == 0 && several && PAGE.contains(&name))
                || field.get("default").is_some()
                || field.get("const").is_some()
                || types::holds(document, field)
        };
        let required = schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        let absent = required.filter(|name| fields.contains_key(*name) && !said(name)).map(str::to_owned);
        missing.extend(absent.filter(|name| !missing.contains(name)).collect::<Vec<_>>());
    }
    missing
}

/// Fields that an answer of a type has.
fn known<'a>(plan: &'a Plan<'a>, planned: &'a Planned<'a>, kind: &'a Type, native: &'a Native) -> Option<BTreeSet<&'a str>> {
    let document = plan.document;
    let op = &native.op;
    let kept = plan.collections.get(native.collection)?;
    let fields = types::fields(document, kind);
    // What tells how many there are, or what became of one, has no fields of items.
    let told: Option<&[&str]> = match op {
        Op::Count => Some(&["count", "total", "total_count", "totalCount"]),
        Op::Tally => Some(&["results", "total"]),
        Op::Remove { retired: None, .. } => Some(&["id", "uuid"]),
        Op::Clear | Op::Unset => Some(&[]),
        _ => None,
    };
    let mut known: BTreeSet<&str> = told.unwrap_or(&KNOWN).iter().copied().collect();
    known.extend(kept.ends.then_some(["expires_at", "expiresAt", "expires"]).into_iter().flatten());
    known.extend(planned.route.path.params());
    known.extend(ids(plan, planned));
    let ended = matches!(op, Op::Remove { .. } | Op::Clear | Op::Unset);
    let well = fields.is_some_and(|fields| fields.keys().all(|name| ["ok", "success", "id"].contains(&name.as_str())));
    known.extend(DONE.into_iter().filter(|name| ended || (well && ["ok", "success"].contains(name))));
    let names = fields.into_iter().flat_map(|fields| fields.keys().map(String::as_str));
    let numbers: Vec<_> = names.filter(|name| types::requires(document, kind, name) && types::is_number(document, kind, name)).collect();
    if matches!(op, Op::Count | Op::Clear) && numbers.len() == 1 {
        known.extend(numbers);
    }
    if told.is_some() {
        return Some(known);
    }
    known.extend(kept.key.as_deref());
    known.extend(kept.changed.as_deref());
    known.extend(kept.status.as_ref().map(|_| "status"));
    known.extend(kept.counts.iter().map(String::as_str));
    for other in plan.of(native.collection) {
        let Some(Native { op, .. }) = other.work.kept() else { continue };
        match op {
            Op::Step { field, makes: true, .. } | Op::Flip { field } | Op::Switch { field, .. } => known.extend([field.as_str()]),
            Op::Become { .. } => known.extend(["status"]),
            Op::Upload | Op::Put { bytes: true, .. } => known.extend(["content_type", "size"]),
            _ => {}
        }
        // Of what was not sent when it was made, nothing is there.
        if !matches!(op, Op::Create { .. } | Op::Put { .. } | Op::SetPart { .. }) {
            continue;
        }
        match types::taken(document, other.route) {
            Some(taken) => known.extend(types::fields(document, taken).into_iter().flatten().map(|(name, _)| name.as_str())),
            None => known.extend(schemas::fields(plan, other).iter().map(|field| field.name.as_str())),
        }
    }
    Some(known)
}

/// Numbers of a collection's items that begin at nothing, and the field that says when
/// one was changed: where a type of an answer has them and no route takes them.
pub(super) fn own(plan: &Plan<'_>, collection: usize) -> (Vec<String>, Option<String>) {
    let document = plan.document;
    let routes: Vec<_> = plan.of(collection).collect();
    let ops = || routes.iter().filter_map(|route| route.work.kept()).map(|native| &native.op);
    // What there is one of has the fields that it was given.
    if ops().any(|op| matches!(op, Op::SetPart { .. } | Op::Part)) {
        return (Vec::new(), None);
    }
    let answers = routes.iter().filter_map(|route| answered(document, route));
    let items: Vec<_> = answers.flat_map(|kind| types::items(document, &kind.schema, |_| true)).collect();
    let has = |name: &str, kinds: &[&str]| {
        let is = |schema: &&Value| {
            let field = schema.get("properties").and_then(|fields| fields.get(name));
            field.and_then(|field| types::followed(document, field).get("type")?.as_str()).is_some_and(|kind| kinds.contains(&kind))
        };
        items.iter().any(is)
    };
    let takes = |name: &str| {
        routes.iter().filter_map(|route| types::fields(document, types::taken(document, route.route)?)).any(|all| all.contains_key(name))
    };
    let stepped: BTreeSet<_> = ops().filter_map(|op| if let Op::Step { field, .. } = op { Some(field.clone()) } else { None }).collect();
    let counts = stepped.into_iter().filter(|field| has(field, &["integer", "number"])).collect();
    let changed = CHANGED.into_iter().find(|name| has(name, &["string"]) && !takes(name)).map(str::to_owned);
    (counts, changed)
}
