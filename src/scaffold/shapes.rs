//! Answers of the store as their types have them. The kit brings them into that shape
//! (`kit/src/shape.ts`); here is of which routes, and what of a type nothing can say.

use std::collections::BTreeSet;

use super::{
    able,
    native::{self, Native, Op},
    plan::{Plan, Planned, Work},
    schemas, types,
};
use crate::prim::{Assumption, Document, RoutePrice, Type, words};

/// What the kit knows of any item or list, by whatever name it goes there.
const KNOWN: [&str; 20] = [
    "id",
    "created_at",
    "createdAt",
    "created",
    "uuid",
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
    "content_type",
    "size",
    "results",
    "status",
];

/// What says that something was done away with.
const DONE: [&str; 6] = ["ok", "success", "deleted", "removed", "done", "cleared"];

/// The type of what a route answers from the store.
pub(super) fn answered<'a>(document: &'a Document, planned: &Planned<'_>) -> Option<&'a Type> {
    let bytes = matches!(planned.work.kept(), Some(Native { op: Op::Read { bytes: true }, .. }));
    types::answered(document, planned.route).filter(|_| matches!(planned.work, Work::Native(_)) && !bytes)
}

/// Whether an answer has these fields of the store's as the store has them, and all others,
/// or at least those that were sent.
pub(super) fn is_plain(document: &Document, planned: &Planned<'_>, fields: &[&str], sent: &[String]) -> bool {
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

/// Fields that the type of an answer requires and that nothing keeps: whoever calls is
/// told that they are not there.
pub(super) fn lacking(plan: &Plan<'_>, planned: &Planned<'_>) -> Option<Assumption> {
    let kind = answered(plan.document, planned)?;
    let Native { collection, op, .. } = planned.work.kept()?;
    let Some(fields) = types::fields(plan.document, kind) else {
        let text = format!("answers {} as the store has it, which is an object or a list", kind.name);
        return (!types::is_list(plan.document, kind)).then(|| Assumption { path: format!("{}.response", planned.route.place), text });
    };
    let kept = plan.collections.get(*collection)?;
    // What tells how many there are, or what became of one, has no fields of items.
    let mut known: BTreeSet<&str> = match op {
        Op::Count => ["count", "total", "total_count", "totalCount"].into(),
        Op::Tally => ["results", "total"].into(),
        Op::Remove { retired: None, .. } => ["id", "uuid"].into(),
        Op::Clear | Op::Unset => BTreeSet::new(),
        _ => KNOWN.into_iter().chain(kept.key.as_deref()).collect(),
    };
    let of_items = !matches!(op, Op::Count | Op::Tally | Op::Remove { retired: None, .. } | Op::Clear | Op::Unset);
    known.extend(kept.ends.then_some(["expires_at", "expiresAt", "expires"]).into_iter().flatten());
    known.extend(planned.route.path.params());
    known.extend(ids(plan, planned));
    let ended = matches!(op, Op::Remove { .. } | Op::Clear | Op::Unset);
    let well = fields.keys().all(|name| ["ok", "success", "id"].contains(&name.as_str()));
    known.extend(DONE.into_iter().filter(|name| ended || (well && ["ok", "success"].contains(name))));
    let numbers = || {
        fields
            .keys()
            .map(String::as_str)
            .filter(|name| types::requires(plan.document, kind, name) && types::is_number(plan.document, kind, name))
    };
    if matches!(op, Op::Count | Op::Clear) && numbers().count() == 1 {
        known.extend(numbers());
    }
    let mut open = false;
    for other in plan.of(*collection).filter(|_| of_items) {
        if let Some(Native { op: Op::Step { field, .. } | Op::Flip { field } | Op::Switch { field, .. }, .. }) = other.work.kept() {
            known.insert(field);
        }
        match types::taken(plan.document, other.route) {
            Some(taken) => known.extend(types::fields(plan.document, taken).into_iter().flatten().map(|(name, _)| name.as_str())),
            None => {
                // Whoever sends any JSON may send what the type wants.
                open |= matches!(other.route.request, crate::prim::Body::Json(_));
                known.extend(schemas::fields(plan, other).iter().map(|field| field.name.as_str()));
            }
        }
    }
    let said = |name: &str| {
        let field = &fields[name];
        known.contains(name) || field.get("default").is_some() || field.get("const").is_some() || types::holds(plan.document, field)
    };
    let missing: Vec<_> =
        fields.keys().map(String::as_str).filter(|name| types::requires(plan.document, kind, name) && !open && !said(name)).collect();
    let text = format!("{} requires {}, which nothing keeps: it is not there", kind.name, missing.join(", "));
    (!missing.is_empty()).then(|| Assumption { path: format!("{}.response", planned.route.place), text })
}
