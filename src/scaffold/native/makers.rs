//! Which routes make something, and what that is called.

use super::{
    super::types,
    is_id, is_made, members,
    verbs::{self, Deed, LISTS, REMOVES},
};
use crate::prim::{Body, Document, Method, Route, Segment, Type, singular, words};

/// First words of operations that are about what is there.
const CHANGES: [&str; 7] = ["update", "change", "edit", "modify", "replace", "rename", "patch"];

/// The noun of what a route adds, if it adds something.
pub(super) fn made_noun(route: &Route) -> Option<String> {
    let verb = verb(route)?;
    // Who hands in bytes, or nothing, is told what became of it.
    let takes = matches!(route.request, Body::Json(_)) || members::json(route);
    if route.method != Method::Post
        || !takes
        || route.response == Body::Bytes
        || !matches!(route.path.segments.last(), Some(Segment::Literal(_)))
    {
        return None;
    }
    // What is done to a name in the path makes that.
    if matches!(puts(route), Some((_, Some(_)))) {
        return None;
    }
    let said = words(&route.operation);
    let makes = verbs::makes(&said, &last_noun(route)) || verbs::deed(&verb) == Some(Deed::Hold) || members::sends(route, &verb);
    // A word of two parts, and one that is its path's own, say nothing of what it makes.
    let plain = verbs::is_made(&verb) || verbs::deed(&verb).is_some();
    makes.then(|| noun_of(route).filter(|_| plain).unwrap_or_else(|| last_noun(route)))
}

/// The noun of what a route brings into being at a vendor, by whatever verb: each is read
/// below its path, by an id or since the route says that it makes something.
pub(super) fn kept_noun(routes: &[Route], route: &Route) -> Option<String> {
    let looks = verb(route).is_none_or(|verb| [&LISTS[..], &CHANGES, &REMOVES].iter().any(|others| others.contains(&verb.as_str())));
    let made = matches!(route.status, 201 | 202);
    let reads = |other: &Route| match other.path.segments.split_last() {
        Some((Segment::Param { name, .. }, before)) => {
            let reads = other.method == Method::Get && members::json(other) && members::alike(before, &route.path.segments);
            reads && (made || is_id(name))
        }
        _ => false,
    };
    let makes = route.method == Method::Post && members::json(route) && matches!(route.path.segments.last(), Some(Segment::Literal(_)));
    (makes && !looks && routes.iter().any(reads)).then(|| last_noun(route))
}

/// The parameter by which a route stores something, and what else it does to it.
pub(super) fn puts(route: &Route) -> Option<(&String, Option<Deed>)> {
    if route.response == Body::Bytes {
        return None;
    }
    match &route.path.segments[..] {
        [.., Segment::Param { name, .. }] => {
            let deed = verb(route).and_then(|verb| verbs::deed(&verb)).filter(|deed| deed.makes());
            let takes = route.request != Body::None || deed == Some(Deed::Hold);
            match route.method {
                Method::Put if takes => Some((name, deed.filter(|deed| *deed == Deed::Hold))),
                Method::Post if deed.is_some() && route.request != Body::Bytes => Some((name, deed)),
                Method::Post if takes && verb(route).is_some_and(|verb| verbs::is_made(&verb)) => Some((name, None)),
                _ => None,
            }
        }
        [.., Segment::Param { name, .. }, Segment::Literal(word)] => {
            let deed = verbs::deed(word).filter(|deed| deed.makes())?;
            (matches!(route.method, Method::Post | Method::Put) && route.request != Body::Bytes).then_some((name, Some(deed)))
        }
        _ => None,
    }
}

/// Whether a PUT that replaces what its path's last name stands for makes that too, where
/// there is none: the name is the caller's to choose, as the route that `made` items has it,
/// and the PUT has no word for one that is not there.
pub(super) fn names(document: &Document, made: &Route, route: &Route) -> bool {
    let (Some(Segment::Param { name, .. }), None) = (route.path.segments.last(), route.error(404)) else { return false };
    let has = |kind: &Type| types::fields(document, kind).is_some_and(|fields| fields.contains_key(name));
    let chosen = match types::taken(document, made) {
        Some(kind) => has(kind),
        // Where no type says, the words do.
        None => {
            let changes = verb(route).is_some_and(|verb| CHANGES.contains(&verb.as_str()));
            !changes && !is_id(name) && !is_made(name) && types::answered(document, made).is_none_or(has)
        }
    };
    // By an id alone nobody knows what it would lie within.
    chosen && route.path.params().count() == made.path.params().count() + 1
}

pub(super) fn verb(route: &Route) -> Option<String> {
    words(&route.operation).into_iter().next()
}

/// An operation's words after the first, the last in the singular.
pub(super) fn noun_of(route: &Route) -> Option<String> {
    let mut nouns: Vec<_> = words(&route.operation).into_iter().skip(1).collect();
    // An id made from method and path ends in what stands in the path.
    if let Some(by) = nouns.iter().position(|word| word == "by") {
        nouns.truncate(by);
    }
    let last = nouns.last_mut()?;
    *last = singular(last);
    Some(nouns.join("_"))
}

/// The last literal of a path, in the singular.
pub(super) fn last_noun(route: &Route) -> String {
    let last = route.path.nouns().last().unwrap_or("item");
    singular(&words(last).join("_"))
}
