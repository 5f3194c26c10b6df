//! Answers of the store as their types have them. The kit brings them into that shape
//! (`kit/src/shape.ts`); here is of which routes, and what of a type nothing can say.

use std::collections::BTreeSet;

use super::{
    native::{Native, Op},
    plan::{Plan, Planned, Work},
    schemas, types,
};
use crate::prim::{Assumption, Document, Type};

/// What the kit knows of any item or list, by whatever name it goes there.
const KNOWN: [&str; 26] = [
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
    "ok",
    "success",
    "deleted",
    "removed",
    "done",
    "cleared",
    "content_type",
    "size",
    "results",
    "status",
];

/// The type of what a route answers from the store.
pub(super) fn answered<'a>(document: &'a Document, planned: &Planned<'_>) -> Option<&'a Type> {
    let bytes = matches!(planned.work.kept(), Some(Native { op: Op::Read { bytes: true }, .. }));
    types::answered(document, planned.route).filter(|_| matches!(planned.work, Work::Native(_)) && !bytes)
}

/// Whether an answer has these fields of the store's as the store has them, and all others.
pub(super) fn is_plain(document: &Document, planned: &Planned<'_>, fields: &[&str]) -> bool {
    let Some(kind) = answered(document, planned) else { return true };
    let has = |all: &serde_json::Map<String, serde_json::Value>| fields.iter().all(|field| all.contains_key(*field));
    types::fields(document, kind).is_some_and(has) && !types::is_closed(document, kind)
}

/// Fields that the type of an answer requires and that nothing keeps: whoever calls is
/// told that they are not there.
pub(super) fn lacking(plan: &Plan<'_>, planned: &Planned<'_>) -> Option<Assumption> {
    let kind = answered(plan.document, planned)?;
    let Native { collection, .. } = planned.work.kept()?;
    let Some(fields) = types::fields(plan.document, kind) else {
        let text = format!("answers {} as the store has it, which is an object or a list", kind.name);
        return (!types::is_list(plan.document, kind)).then(|| Assumption { path: format!("{}.response", planned.route.place), text });
    };
    let kept = plan.collections.get(*collection)?;
    let mut known: BTreeSet<&str> = KNOWN.into_iter().chain(kept.key.as_deref()).collect();
    known.extend(kept.ends.then_some(["expires_at", "expiresAt", "expires"]).into_iter().flatten());
    let mut open = false;
    for other in plan.routes.iter().filter(|other| other.work.kept().is_some_and(|native| native.collection == *collection)) {
        if let Some(Native { op: Op::Step { field, .. } | Op::Flip { field }, .. }) = other.work.kept() {
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
        known.contains(name)
            || name.ends_with("_id")
            || name.ends_with("Id")
            || field.get("default").is_some()
            || field.get("const").is_some()
            || types::holds(plan.document, field)
    };
    let missing: Vec<_> =
        fields.keys().map(String::as_str).filter(|name| types::requires(plan.document, kind, name) && !open && !said(name)).collect();
    let text = format!("{} requires {}, which nothing keeps: it is not there", kind.name, missing.join(", "));
    (!missing.is_empty()).then(|| Assumption { path: format!("{}.response", planned.route.place), text })
}
