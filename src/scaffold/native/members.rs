//! Which routes belong to one collection, and what each of them does there.

use super::super::prose;
use super::{
    infer::{last_noun, noun_of, verb},
    verbs::{self, LISTS, MAKES, RENEWS},
};
use crate::prim::{Body, Method, Route, Segment, singular, words};

/// What a route does to a collection that something was made in.
pub(super) enum Member {
    List,
    Count,
    Read,
    Change,
    Replace,
    Remove,
    Become { to: &'static str, decides: bool },
    Renew,
}

impl Member {
    /// Whether its path ends in the item's name.
    pub(super) fn of_one(&self) -> bool {
        matches!(self, Self::Read | Self::Change | Self::Replace | Self::Remove)
    }
}

/// A path that items lie below, names of parameters left out of comparisons.
pub(super) struct Base(Vec<Segment>);

impl Base {
    /// Whether it is this path.
    pub(super) fn is(&self, path: &[Segment]) -> bool {
        self.0.len() == path.len() && self.0.iter().zip(path).all(|(a, b)| same(a, b))
    }

    /// What it lies within.
    pub(super) fn within(&self) -> &[Segment] {
        self.0.split_last().map_or(&[], |(_, before)| before)
    }
}

fn same(a: &Segment, b: &Segment) -> bool {
    match (a, b) {
        (Segment::Literal(a), Segment::Literal(b)) => a == b,
        (Segment::Param { .. }, Segment::Param { .. }) => true,
        _ => false,
    }
}

/// Whether a route answers JSON.
pub(super) fn json(route: &Route) -> bool {
    matches!(route.response, Body::Json(_))
}

/// The paths that items of a collection lie below: where they are made and where
/// they are listed; and the same without what is before, where an id alone will do.
pub(super) fn bases(routes: &[Route], made: usize, members: &[(usize, Member)]) -> Vec<Base> {
    let lists = members.iter().filter(|(_, member)| matches!(member, Member::List)).map(|(i, _)| *i);
    [made].into_iter().chain(lists).map(|i| Base(collection_path(&routes[i]).to_vec())).collect()
}

/// A path without the item's name at its end.
fn collection_path(route: &Route) -> &[Segment] {
    match route.path.segments.split_last() {
        Some((Segment::Param { .. }, before)) => before,
        _ => &route.path.segments,
    }
}

/// The parameter that names the item a route is about.
pub(super) fn param<'a>(route: &'a Route, member: &Member) -> Option<&'a str> {
    let segments = &route.path.segments;
    let segment = match member {
        Member::List | Member::Count => return None,
        Member::Read | Member::Change | Member::Replace | Member::Remove => segments.last(),
        Member::Become { .. } | Member::Renew => segments.iter().nth_back(1),
    };
    match segment {
        Some(Segment::Param { name, .. }) => Some(name),
        _ => None,
    }
}

/// The routes of the collection that `made` adds to, but for that one.
pub(super) fn of(routes: &[Route], made: usize, noun: &str) -> Vec<(usize, Member)> {
    let create = &routes[made];
    let home = collection_path(create);
    let before = home.split_last().map_or(&[][..], |(_, before)| before);
    let lists = |route: &Route| route.method == Method::Get && json(route) && is_list(route, home, before, noun);
    let mut paths: Vec<&[Segment]> = vec![home];
    paths.extend(routes.iter().filter(|route| lists(route)).map(|route| &route.path.segments[..]));
    let mut members = Vec::new();
    for (i, route) in routes.iter().enumerate() {
        if i == made {
            continue;
        }
        let member = if lists(route) {
            Some(Member::List)
        } else {
            of_all(route, &paths).or_else(|| of_one(route, &paths, noun)).or_else(|| by_id(route, &paths, noun))
        };
        members.extend(member.map(|member| (i, member)));
    }
    members
}

fn is_list(route: &Route, home: &[Segment], before: &[Segment], noun: &str) -> bool {
    let path = &route.path.segments;
    let Some((Segment::Literal(_), there)) = path.split_last() else { return false };
    let near = there.len() == before.len() && there.iter().zip(before).all(|(a, b)| same(a, b));
    let lists = verb(route).is_some_and(|verb| LISTS.contains(&verb.as_str()));
    path[..] == *home || (near && lists && noun_of(route).as_deref() == Some(noun)) || Base(home.to_vec()).is(path)
}

/// `GET …/search`, `GET …/count`.
fn of_all(route: &Route, paths: &[&[Segment]]) -> Option<Member> {
    let (Segment::Literal(last), before) = route.path.segments.split_last()? else { return None };
    if route.method != Method::Get || !json(route) || !below(before, paths) {
        return None;
    }
    match last.as_str() {
        "search" | "recent" | "latest" => Some(Member::List),
        "count" => Some(Member::Count),
        _ => None,
    }
}

/// What is done to one item below one of these paths.
fn of_one(route: &Route, paths: &[&[Segment]], noun: &str) -> Option<Member> {
    let (last, before) = route.path.segments.split_last()?;
    if let Segment::Param { .. } = last {
        return if below(before, paths) { whole(route) } else { None };
    }
    let (Segment::Param { .. }, path) = before.split_last()? else { return None };
    if below(path, paths) { acted(route, noun) } else { None }
}

/// Whether nothing of what was there stays: a PUT means that, unless it says otherwise.
pub(super) fn replaces(route: &Route) -> bool {
    route.method == Method::Put && !route.prose().any(prose::says_partial)
}

fn whole(route: &Route) -> Option<Member> {
    let takes = matches!(route.request, Body::Json(_)) && json(route);
    match route.method {
        Method::Get if route.response != Body::None => Some(Member::Read),
        Method::Put | Method::Patch if takes => Some(if replaces(route) { Member::Replace } else { Member::Change }),
        Method::Delete if route.request == Body::None && route.response != Body::Bytes => Some(Member::Remove),
        _ => None,
    }
}

/// `POST …/:id/approve`, where the operation says that it is the item that is approved.
fn acted(route: &Route, noun: &str) -> Option<Member> {
    let Some(Segment::Literal(last)) = route.path.segments.last() else { return None };
    let word = words(last).into_iter().next()?;
    let verb = verb(route)?;
    let meant = noun_of(route).is_none_or(|n| n == noun || noun.ends_with(&format!("_{n}")) || n == last_noun(route));
    let posts = matches!(route.method, Method::Post | Method::Put | Method::Patch) && json(route) && route.request != Body::Bytes;
    // An id made from method and path begins with the method.
    let says = verb == word || verb == route.method.as_str().to_ascii_lowercase();
    if !posts || !says || !meant || (MAKES.contains(&word.as_str()) && verbs::turn(&word).is_none()) {
        return None;
    }
    if RENEWS.contains(&word.as_str()) {
        return Some(Member::Renew);
    }
    verbs::turn(&word).map(|turn| Member::Become { to: turn.to, decides: turn.decides })
}

/// What is done to one item that is found by its id alone: `/v1/fund-requests/:id`
/// for what lies below `/v1/wallets/:address/fund-requests`.
fn by_id(route: &Route, paths: &[&[Segment]], noun: &str) -> Option<Member> {
    let segments = &route.path.segments;
    let param = segments.iter().position(|segment| matches!(segment, Segment::Param { .. }))?;
    let Segment::Param { name, .. } = &segments[param] else { return None };
    let Some(Segment::Literal(literal)) = segments[..param].last() else { return None };
    let nested = paths.iter().all(|path| path.iter().any(|segment| matches!(segment, Segment::Param { .. })));
    let alike = |path: &&[Segment]| matches!(path.last(), Some(Segment::Literal(l)) if singular(l) == singular(literal));
    if !nested || !super::is_id(name) || !paths.iter().any(alike) {
        return None;
    }
    match segments.len() - param {
        1 => whole(route),
        2 => acted(route, noun),
        _ => None,
    }
}

fn below(path: &[Segment], paths: &[&[Segment]]) -> bool {
    paths.iter().any(|base| Base(base.to_vec()).is(path))
}
