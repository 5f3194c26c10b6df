//! Which routes a store of the service's own can answer: those that make, list,
//! read, change and remove one kind of thing. A route is taken only where its
//! meaning is plain from method, path and operation id together; all others are
//! left to people.

use crate::prim::{Body, Document, Method, Path, Route, RoutePrice, Segment, singular, words};

/// What a route does to a collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Native {
    /// The collection's name.
    pub collection: String,
    /// What is done.
    pub op: Op,
}

/// What is done to a collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Op {
    /// Adds an item; `key` is the field that names it, where the caller names it.
    Create { key: Option<String> },
    /// Lists items.
    List,
    /// Answers one item.
    Read { param: String },
    /// Changes one.
    Change { param: String },
    /// Removes one.
    Remove { param: String },
}

/// First words of operations that add something.
const MAKES: [&str; 10] = ["create", "submit", "add", "register", "record", "report", "leave", "post", "insert", "new"];
/// First words of operations that list.
const LISTS: [&str; 4] = ["list", "get", "read", "browse"];

const ALONE: &str = "nothing in the document stores what it would answer, or answers what it would store";
const SIGNED: &str = "it must check a signature, which no pattern does";
const MIXED: &str = "some routes of its resource are paid and some free, so an item's owner could not be told";
const OWNERLESS: &str = "without a payment nobody can be told apart from an item's owner";

/// For each route, what answers it, or why nothing does.
pub(super) fn infer(document: &Document, prices: &[RoutePrice]) -> Vec<Result<Native, String>> {
    let routes = &document.routes;
    let mut found: Vec<Result<Native, String>> = routes.iter().map(|_| Err(ALONE.into())).collect();
    for (at, create) in routes.iter().enumerate() {
        let Some(noun) = made(create) else { continue };
        let list = |route: &Route| {
            let named = verb(route).is_some_and(|verb| LISTS.contains(&verb.as_str())) && nouns(route) == noun;
            route.method == Method::Get && open(&route.path) && (route.path == create.path || named)
        };
        let lists: Vec<_> = (0..routes.len()).filter(|i| answers_json(&routes[*i]) && list(&routes[*i])).collect();
        let items: Vec<_> = (0..routes.len()).filter_map(|i| Some((i, item(&routes[i], &create.path)?))).collect();
        if lists.is_empty() && !items.iter().any(|(_, op)| matches!(op, Op::Read { .. })) {
            continue;
        }
        let members = [at].into_iter().chain(lists.iter().copied()).chain(items.iter().map(|(i, _)| *i));
        let refusal = if create
            .prose()
            .any(|text| ["signature", "sign message", "signed message"].iter().any(|w| text.to_ascii_lowercase().contains(w)))
        {
            Some(SIGNED)
        } else if members.clone().any(|i| (prices[i] == RoutePrice::Free) != (prices[at] == RoutePrice::Free)) {
            Some(MIXED)
        } else {
            None
        };
        if let Some(reason) = refusal {
            members.for_each(|i| found[i] = Err(reason.into()));
            continue;
        }
        let native = |op| Ok(Native { collection: noun.clone(), op });
        let key = items.iter().find_map(|(_, op)| key(op));
        found[at] = native(Op::Create { key });
        lists.iter().for_each(|i| found[*i] = native(Op::List));
        for (i, op) in items {
            let open = matches!(op, Op::Read { .. }) || prices[i] != RoutePrice::Free || guarded(&routes[i]);
            found[i] = if open { native(op) } else { Err(OWNERLESS.into()) };
        }
    }
    found
}

/// Whether only who knows the internal key may call it.
pub(super) fn guarded(route: &Route) -> bool {
    route.prose().any(|text| text.to_ascii_lowercase().contains("x-internal-key"))
}

fn verb(route: &Route) -> Option<String> {
    words(&route.operation).into_iter().next()
}

fn nouns(route: &Route) -> String {
    let mut nouns: Vec<_> = words(&route.operation).into_iter().skip(1).collect();
    if let Some(last) = nouns.last_mut() {
        *last = singular(last);
    }
    nouns.join("_")
}

/// The noun of what a route adds, if it adds something.
fn made(route: &Route) -> Option<String> {
    let makes = verb(route).is_some_and(|verb| MAKES.contains(&verb.as_str()));
    let json = matches!(route.request, Body::Json(_)) && answers_json(route);
    Some(nouns(route)).filter(|noun| makes && json && !noun.is_empty() && route.method == Method::Post && open(&route.path))
}

fn answers_json(route: &Route) -> bool {
    matches!(route.response, Body::Json(_))
}

/// Whether a path has no parameters.
fn open(path: &Path) -> bool {
    path.params().next().is_none()
}

/// What a route does to one item of the collection at `path`, if that is what it does.
fn item(route: &Route, path: &Path) -> Option<Op> {
    let (last, before) = route.path.segments.split_last()?;
    let Segment::Param { name, slashes: false } = last else { return None };
    let param = name.clone();
    let json = matches!(route.request, Body::Json(_)) && answers_json(route);
    match route.method {
        _ if before != path.segments => None,
        Method::Get if answers_json(route) => Some(Op::Read { param }),
        Method::Put | Method::Patch if json => Some(Op::Change { param }),
        Method::Delete if route.request == Body::None && route.response != Body::Bytes => Some(Op::Remove { param }),
        _ => None,
    }
}

/// The field that names an item, where its path's parameter is no plain id.
fn key(op: &Op) -> Option<String> {
    match op {
        Op::Read { param } | Op::Change { param } | Op::Remove { param } => {
            let id = words(param).last().is_some_and(|word| word == "id") || param.ends_with("Id");
            (!id).then(|| param.clone())
        }
        Op::Create { .. } | Op::List => None,
    }
}
