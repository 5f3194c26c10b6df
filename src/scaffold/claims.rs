//! What a caller has to have before something is done: a turn of its own, where a
//! route may be called once per some time, or a code that is used up.

use super::{prose, types};
use crate::prim::{Body, Document, Method, QueryKind, Route, words};

/// What a caller has to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// A turn.
    Turn {
        /// How long one lasts.
        seconds: u64,
        /// The body's field that each turn is for; without it all callers share one.
        field: Option<String>,
    },
    /// A code that was given out.
    Code {
        /// The variable with all codes, commas between them.
        variable: String,
        /// The body's field that has it.
        field: String,
    },
}

/// What a route wants, by its own words.
pub(super) fn of(document: &Document, route: &Route) -> Option<Claim> {
    if route.method == Method::Get || route.request == Body::Bytes {
        return None;
    }
    if words(&route.operation).first().is_some_and(|verb| ["redeem", "claim", "consume", "use"].contains(&verb.as_str())) {
        let codes =
            |name: &&String| words(name).last().is_some_and(|word| ["codes", "invites", "vouchers", "coupons"].contains(&word.as_str()));
        let field =
            prose::example_fields(document, route).find(|name| words(name).iter().any(|w| w == "code" || w == "voucher" || w == "coupon"));
        let variable = document.env.iter().find(codes)?.clone();
        let field = field.unwrap_or_else(|| "code".into());
        return typed(document, route, &field).then_some(Claim::Code { variable, field });
    }
    let (seconds, field) = prose::cooldown(route)?;
    // In every call there is one; else all callers share a turn.
    let known = |name: &String| prose::example_fields(document, route).any(|f| f == *name) || prose::missing(route).contains(name);
    Some(Claim::Turn { seconds, field: field.filter(|name| known(name) && typed(document, route, name)) })
}

/// Whether a field of the body is a text in every call, if the document says what the
/// body is.
fn typed(document: &Document, route: &Route, field: &str) -> bool {
    types::taken(document, route).is_none_or(|kind| types::has_text(document, kind, field))
}

/// The operations whose turns a route tells of, and the query parameter that has
/// whose they are.
pub(super) fn waits(document: &Document, route: &Route) -> Option<(Vec<String>, String)> {
    let says = route.description.to_ascii_lowercase().contains("rate limit") || route.description.to_ascii_lowercase().contains("cooldown");
    if route.method != Method::Get || !says || !matches!(route.response, Body::Json(_)) {
        return None;
    }
    route.query.iter().filter(|param| param.kind == QueryKind::Text).find_map(|param| {
        let turn = |other: &&Route| matches!(of(document, other), Some(Claim::Turn { field: Some(field), .. }) if field == param.name);
        let turns: Vec<_> = document.routes.iter().filter(turn).map(|other| other.name.clone()).collect();
        (!turns.is_empty()).then(|| (turns, param.name.clone()))
    })
}
