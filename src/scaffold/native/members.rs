//! Which routes belong to one collection, and what each of them does there.

use super::super::prose;
use super::{
    makers::{last_noun, noun_of, verb},
    verbs::{self, Deed, LISTS, RENEWS},
};
use crate::prim::{Body, Method, Route, Segment, singular, words};

/// What a route does to a collection that something was made in.
pub(super) enum Member {
    List,
    /// The same as a body asks for it.
    Search,
    Count,
    /// Counts them by what was chosen.
    Tally,
    /// Adds several.
    Batch,
    /// Answers the newest, or the oldest.
    Edge {
        oldest: bool,
    },
    /// Hands the oldest out.
    Take,
    /// The same, and gives it a status of which others tell.
    Claim,
    /// Removes all.
    Clear,
    /// Removes the one that a body or a query names.
    Named,
    Read,
    Change,
    Replace,
    Remove,
    /// Answers one from below it: its bytes, or what there is about it.
    Look,
    /// Leads to where one says.
    Follow,
    /// Gives one fields from below it.
    Give,
    Become {
        to: &'static str,
        decides: bool,
    },
    Renew,
    /// Adds to a number of one.
    Step(i8),
    /// Turns a switch of one over.
    Flip,
    /// Lets one go that was held.
    Release,
}

impl Member {
    /// Whether its path ends in the item's name.
    pub(super) fn of_one(&self) -> bool {
        matches!(self, Self::Read | Self::Change | Self::Replace | Self::Remove)
    }

    /// Whether its path names no item.
    pub(super) fn of_all(&self) -> bool {
        matches!(
            self,
            Self::List
                | Self::Search
                | Self::Count
                | Self::Tally
                | Self::Batch
                | Self::Edge { .. }
                | Self::Take
                | Self::Claim
                | Self::Clear
                | Self::Named
        )
    }

    /// Whether it changes nothing.
    pub(super) fn reads(&self) -> bool {
        matches!(self, Self::List | Self::Search | Self::Count | Self::Tally | Self::Edge { .. } | Self::Read | Self::Look | Self::Follow)
    }

    /// Whether it answers what was stored.
    pub(super) fn answers(&self) -> bool {
        matches!(self, Self::List | Self::Read | Self::Take | Self::Claim | Self::Tally | Self::Edge { .. } | Self::Follow)
    }
}

/// A path that items lie below, names of parameters left out of comparisons.
pub(super) struct Base(Vec<Segment>);

impl Base {
    /// Whether it is this path.
    pub(super) fn is(&self, path: &[Segment]) -> bool {
        alike(&self.0, path)
    }

    /// The path.
    pub(super) fn path(&self) -> &[Segment] {
        &self.0
    }

    /// Where it lies. Names below names (`/:scope/:name`) lie beside those of the scope.
    pub(super) fn within(&self) -> &[Segment] {
        self.0.split_last().map_or(&[], |(_, before)| before)
    }
}

/// Whether two paths are one, names of parameters left out.
pub(super) fn alike(a: &[Segment], b: &[Segment]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
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
    let listed = |member: &Member| matches!(member, Member::List) || member.of_one();
    let lists = members.iter().filter(|(_, member)| listed(member)).map(|(i, _)| *i);
    let mut bases: Vec<Base> = Vec::new();
    for path in [made].into_iter().chain(lists).map(|i| collection_path(&routes[i])) {
        if !bases.iter().any(|base| base.is(path)) {
            bases.push(Base(path.to_vec()));
        }
    }
    bases
}

/// A path without the item's name at its end, and without what is done to it there
/// where that is what makes it.
fn collection_path(route: &Route) -> &[Segment] {
    match &route.path.segments[..] {
        [before @ .., Segment::Param { .. }] => before,
        [before @ .., Segment::Param { .. }, Segment::Literal(word)] if verbs::deed(word).is_some_and(|deed| deed.makes()) => before,
        all => all,
    }
}

/// The same as a text, names of parameters left out.
pub(super) fn home(route: &Route) -> String {
    let segment = |segment: &Segment| match segment {
        Segment::Literal(literal) => format!("/{literal}"),
        Segment::Param { .. } => "/:".into(),
    };
    collection_path(route).iter().map(segment).collect()
}

/// Whether what a route makes is no vote, and another one beside it makes votes.
pub(super) fn votes_beside(routes: &[Route], made: usize) -> bool {
    const VOTES: [&str; 5] = ["vote", "ballot", "answer", "response", "choice"];
    let votes = |route: &Route| VOTES.contains(&home_noun(route).as_str());
    let outer = |route: &Route| collection_path(route).split_last().map(|(_, before)| Base(before.to_vec()));
    let Some(here) = outer(&routes[made]) else { return false };
    let beside = |route: &Route| route.method == Method::Post && votes(route) && outer(route).is_some_and(|there| here.is(&there.0));
    !votes(&routes[made]) && routes.iter().any(beside)
}

/// The last literal of the path that items of what a route makes lie below, in the singular.
pub(super) fn home_noun(route: &Route) -> String {
    let last = collection_path(route).iter().rev().find_map(|segment| match segment {
        Segment::Literal(text) => Some(text.as_str()),
        Segment::Param { .. } => None,
    });
    singular(&words(last.unwrap_or("item")).join("_"))
}

/// Whether what a route makes is a record of a name server.
pub(super) fn of_dns(route: &Route) -> bool {
    let noun = home_noun(route);
    let zone = || route.path.nouns().map(singular).any(|noun| ["zone", "domain", "dns"].contains(&noun.as_str()));
    noun == "dns_record" || (noun == "record" && (zone() || route.prose().any(|text| words(text).iter().any(|word| word == "dns"))))
}

/// Whether a route gives fields to what there is one of.
pub(super) fn sets(route: &Route) -> bool {
    let verb = || verb(route).is_some_and(|verb| ["set", "save", "put", "update", "configure", "create"].contains(&verb.as_str()));
    let method = matches!(route.method, Method::Put | Method::Patch) || (route.method == Method::Post && single(route) && verb());
    method && matches!(route.request, Body::Json(_)) && route.response != Body::Bytes
}

/// Whether a path is of what a wallet, or an item, has one of, by its last word.
pub(super) fn single(route: &Route) -> bool {
    const ONE: [&str; 12] = [
        "settings",
        "preferences",
        "config",
        "configuration",
        "policy",
        "profile",
        "limits",
        "quota",
        "options",
        "status",
        "account",
        "state",
    ];
    matches!(route.path.segments.last(), Some(Segment::Literal(last)) if ONE.contains(&last.as_str()))
}

/// Whether a route sends something into what is kept here, and not to people: nothing
/// that a store does makes a mail.
pub(super) fn sends(route: &Route, verb: &str) -> bool {
    ["send", "reply", "say"].contains(&verb) && route.path.nouns().any(takes)
}

/// Whether things of that name are there for what is sent into them.
fn takes(noun: &str) -> bool {
    const INTO: [&str; 9] = ["queue", "topic", "channel", "room", "stream", "chat", "thread", "board", "group"];
    INTO.contains(&singular(noun).as_str())
}

/// The status that a route gives, by its path's last word.
pub(super) fn status(route: &Route) -> Option<Member> {
    let Some(Segment::Literal(last)) = route.path.segments.last() else { return None };
    let word = words(last).into_iter().next()?;
    // What is published to a topic is something else than the topic. Without a body a board is.
    let into = matches!(&route.path.segments[..], [.., Segment::Literal(noun), Segment::Param { .. }, _] if takes(noun));
    if word == "publish" && into && route.request != Body::None {
        return None;
    }
    verbs::turn(&word).map(|turn| Member::Become { to: turn.to, decides: turn.decides })
}

/// The parameter that names the item a route is about.
pub(super) fn param<'a>(route: &'a Route, member: &Member) -> Option<&'a str> {
    let segments = &route.path.segments;
    let segment = match member {
        one if one.of_one() => segments.last(),
        // What is done to a name may be a request of the name itself.
        Member::Step(_) | Member::Follow if matches!(segments.last(), Some(Segment::Param { .. })) => segments.last(),
        all if all.of_all() => return None,
        _ => segments.iter().nth_back(1),
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
    // What a thing is called where it lies, it is also where an operation has another word.
    let nouns = [noun, &home_noun(create)];
    let rooted = |route: &Route| {
        is_rooted(route, home) && !routes.iter().any(|other| other.method == Method::Post && other.path.key() == route.path.key())
    };
    let lists = |route: &Route| route.method == Method::Get && json(route) && (is_list(route, home, before, noun) || rooted(route));
    let mut paths: Vec<&[Segment]> = vec![home];
    paths.extend(routes.iter().filter(|route| lists(route)).map(|route| &route.path.segments[..]));
    paths.extend(routes.iter().filter_map(|route| named_beside(route, create, routes)));
    let mut members = Vec::new();
    for (i, route) in routes.iter().enumerate() {
        if i == made {
            continue;
        }
        let member = if leads(route, create, &paths) {
            Some(Member::Follow)
        } else if lists(route) {
            Some(Member::List)
        } else {
            let alone = !routes.iter().any(|other| other.method != route.method && other.path.key() == route.path.key());
            let of_one = || of_one(route, &paths, &nouns, alone).or_else(|| by_id(route, &paths, &nouns, alone));
            of_all(route, &paths).or_else(of_one)
        };
        members.extend(member.map(|member| (i, member)));
    }
    // What nobody takes is nobody's to put back; a try of something else is made elsewhere.
    if !members.iter().any(|(_, member)| matches!(member, Member::Take | Member::Claim)) {
        members.retain(|(i, _)| verb(&routes[*i]).is_none_or(|verb| verb != "retry"));
    }
    members
}

/// Whether a path lies below the id alone of what is made below something else: that of
/// `/v1/cards/:id/comments` where cards are made at `/v1/boards/:id/cards`.
pub(super) fn waits_for(routes: &[Route], at: usize) -> bool {
    let path = &routes[at].path.segments;
    path.windows(2).enumerate().any(|(i, pair)| match pair {
        [Segment::Literal(noun), Segment::Param { .. }] => {
            let made = |other: &&Route| {
                other.method == Method::Post
                    && matches!(other.path.segments.last(), Some(Segment::Literal(last)) if singular(last) == singular(noun))
            };
            let here = Base(path[..=i].to_vec());
            let mut makers = routes.iter().filter(made).peekable();
            makers.peek().is_some() && makers.all(|maker| !here.is(&maker.path.segments))
        }
        _ => false,
    })
}

/// Where what is made at the path of a verb is read: `/v1/links/:slug` for what
/// `POST /v1/shorten` makes.
fn named_beside<'a>(route: &'a Route, create: &Route, routes: &[Route]) -> Option<&'a [Segment]> {
    let (Segment::Param { .. }, path) = route.path.segments.split_last()? else { return None };
    let (Segment::Literal(noun), before) = path.split_last()? else { return None };
    let (Segment::Literal(word), home) = create.path.segments.split_last()? else { return None };
    let beside = before.len() == home.len() && before.iter().zip(home).all(|(a, b)| same(a, b));
    let free =
        !routes.iter().any(|other| matches!(other.method, Method::Post | Method::Put) && Base(path.to_vec()).is(&other.path.segments));
    let noun = singular(noun);
    let told = matches!((&route.response, &create.response), (Body::Json(Some(a)), Body::Json(Some(b))) if a == b);
    let meant = told || noun_of(create).as_deref() == Some(&noun) || (is_address(&noun) && shortens(create));
    (route.method == Method::Get && verb(create).as_ref() == Some(word) && beside && free && meant).then_some(path)
}

/// Whether a word says that something leads elsewhere.
fn is_address(word: &str) -> bool {
    ["link", "url", "short", "shorten", "shortlink", "redirect", "alias"].contains(&word)
}

/// Whether what a route makes leads elsewhere.
fn shortens(create: &Route) -> bool {
    words(&create.operation).iter().map(|word| singular(word)).chain(create.path.nouns().map(singular)).any(|word| is_address(&word))
}

/// Whether a route leads to where one of these says: below them by its name, or by its name
/// alone what was made to lead elsewhere.
fn leads(route: &Route, create: &Route, paths: &[&[Segment]]) -> bool {
    let path = match &route.path.segments[..] {
        [before @ .., Segment::Param { .. }] => before,
        [before @ .., Segment::Param { .. }, Segment::Literal(word)]
            if ["go", "visit", "follow", "open", "redirect"].contains(&word.as_str()) =>
        {
            before
        }
        _ => return false,
    };
    let alone = path.iter().all(|segment| matches!(segment, Segment::Literal(_)));
    let redirects = route.method == Method::Get && (300..400).contains(&route.status) && route.response == Body::None;
    redirects && (below(path, paths) || (alone && shortens(create)))
}

/// Whether all that lies below several things is listed at once: `/v1/bookings` for what
/// is made at `/v1/rooms/:id/bookings`.
fn is_rooted(route: &Route, home: &[Segment]) -> bool {
    let literal = |segment: &Segment| matches!(segment, Segment::Literal(_));
    let alike = matches!((route.path.segments.last(), home.last()), (Some(Segment::Literal(a)), Some(Segment::Literal(b))) if singular(a) == singular(b));
    let lists = verb(route).is_some_and(|verb| LISTS.contains(&verb.as_str()));
    alike && lists && route.path.segments.iter().all(literal) && !home.iter().all(literal)
}

fn is_list(route: &Route, home: &[Segment], before: &[Segment], noun: &str) -> bool {
    let path = &route.path.segments;
    let lists_all = verb(route).is_some_and(|verb| verb == "list");
    let Some((Segment::Literal(_), there)) = path.split_last() else { return lists_all && Base(home.to_vec()).is(path) };
    let near = there.len() == before.len() && there.iter().zip(before).all(|(a, b)| same(a, b));
    let lists = verb(route).is_some_and(|verb| LISTS.contains(&verb.as_str()));
    path[..] == *home || (near && lists && noun_of(route).as_deref() == Some(noun)) || Base(home.to_vec()).is(path)
}

/// `DELETE …`, `GET …/count`, `POST …/search`: what is done to all of them.
fn of_all(route: &Route, paths: &[&[Segment]]) -> Option<Member> {
    if route.method == Method::Delete && route.response != Body::Bytes && below(&route.path.segments, paths) {
        let named = route.query.iter().any(|param| param.required && is_name(&param.name));
        return Some(if matches!(route.request, Body::Json(_)) || named { Member::Named } else { Member::Clear });
    }
    let (Segment::Literal(last), before) = route.path.segments.split_last()? else { return None };
    // `POST /queues/:name/purge` is about all that is in the queue.
    let around = || {
        let outer = |path: &&[Segment]| path.split_last().is_some_and(|(_, outer)| matches!(outer.last(), Some(Segment::Param { .. })));
        let outers: Vec<_> = paths.iter().filter(|path| outer(path)).filter_map(|path| Some(path.split_last()?.1)).collect();
        below(before, &outers)
    };
    let word = last.as_str();
    match (route.method, below(before, paths)) {
        (Method::Get, true) if json(route) => match word {
            "search" if asks_outside(route) => None,
            "search" | "recent" => Some(Member::List),
            "latest" | "newest" | "current" | "last" => Some(Member::Edge { oldest: false }),
            "first" | "oldest" | "next" | "peek" => Some(Member::Edge { oldest: true }),
            "count" | "stats" | "total" | "size" => Some(Member::Count),
            _ => None,
        },
        (Method::Post, true) if matches!(route.request, Body::Json(_)) && json(route) && ["search", "find", "filter"].contains(&word) => {
            let guesses = route.prose().any(prose::says_meaning);
            (!guesses).then_some(Member::Search)
        }
        (Method::Get, false) if json(route) && around() && ["count", "stats", "depth", "size"].contains(&word) => Some(Member::Count),
        (Method::Get, false) if json(route) && around() && ["results", "tally"].contains(&word) => Some(Member::Tally),
        (Method::Post, true) if matches!(route.request, Body::Json(_)) && json(route) && ["batch", "bulk"].contains(&word) => {
            (!mixes(route)).then_some(Member::Batch)
        }
        (Method::Post, at) if route.request != Body::Bytes && route.response != Body::Bytes && (at || around()) => match word {
            "clear" | "purge" | "empty" | "flush" => Some(Member::Clear),
            "pop" | "receive" | "dequeue" | "take" | "shift" if json(route) => Some(Member::Take),
            "claim" | "lease" | "next" | "checkout" if json(route) && waits(route) => Some(Member::Claim),
            _ => None,
        },
        _ => None,
    }
}

/// Whether a route does to several things more than making them.
fn mixes(route: &Route) -> bool {
    let said = words(&route.description);
    ["update", "updates", "change", "delete", "deletes", "remove", "removes"].iter().any(|word| said.iter().any(|said| said == word))
}

/// Whether a search looks for what is not kept here: somebody it asks may fail it, or it
/// tells what is to be had.
fn asks_outside(route: &Route) -> bool {
    let fails = [502, 504].iter().any(|status| route.error(*status).is_some());
    let things: Vec<_> = route.path.nouns().map(singular).chain(["name".into()]).collect();
    let free = |sentence: &str| {
        let said: Vec<_> = words(sentence).iter().map(|word| singular(word)).collect();
        said.windows(2).any(|two| match [two[0].as_str(), two[1].as_str()] {
            ["available", thing] | [thing, "availability"] => things.iter().any(|noun| noun == thing),
            _ => false,
        })
    };
    fails || route.description.split(['.', ';', '!', '?']).any(free)
}

/// Whether what a route is about waits for who does it: a claim to anything else is more
/// than taking the next one.
fn waits(route: &Route) -> bool {
    const WORK: [&str; 7] = ["job", "task", "work", "queue", "message", "event", "ticket"];
    let said = words(&route.operation);
    let about = route.path.nouns().map(singular).chain(said.iter().map(|word| singular(word)));
    let work = about.into_iter().any(|noun| WORK.contains(&noun.as_str()));
    work && (said.iter().any(|word| ["next", "oldest"].contains(&word.as_str())) || !matches!(route.request, Body::Json(Some(_))))
}

/// Whether a field or a parameter names an item, whatever the item is.
pub(super) fn is_name(name: &str) -> bool {
    super::is_id(name) || ["key", "name", "slug", "code", "handle", "token"].contains(&name)
}

/// What is done to one item below one of these paths. `alone`: no other route has its path.
fn of_one(route: &Route, paths: &[&[Segment]], nouns: &[&str], alone: bool) -> Option<Member> {
    let (last, before) = route.path.segments.split_last()?;
    if let Segment::Param { .. } = last {
        return if below(before, paths) { whole(route) } else { None };
    }
    let (Segment::Param { .. }, path) = before.split_last()? else { return None };
    if below(path, paths) { acted(route, nouns, alone) } else { None }
}

/// Whether nothing of what was there stays: a PUT means that, unless it says otherwise.
pub(super) fn replaces(route: &Route) -> bool {
    route.method == Method::Put && !route.prose().any(prose::says_partial)
}

fn whole(route: &Route) -> Option<Member> {
    let takes = matches!(route.request, Body::Json(_)) && route.response != Body::Bytes;
    match route.method {
        Method::Get if route.response != Body::None => Some(Member::Read),
        Method::Put | Method::Patch if takes => Some(if replaces(route) { Member::Replace } else { Member::Change }),
        Method::Delete if route.request != Body::Bytes && route.response != Body::Bytes => Some(Member::Remove),
        Method::Post if route.response != Body::Bytes => match verbs::deed(&verb(route)?)? {
            Deed::Step(way) => Some(Member::Step(way)),
            _ => None,
        },
        _ => None,
    }
}

/// `POST …/:id/approve`, where the operation says that it is the item that is approved.
fn acted(route: &Route, nouns: &[&str], alone: bool) -> Option<Member> {
    let Some(Segment::Literal(last)) = route.path.segments.last() else { return None };
    let word = words(last).into_iter().next()?;
    let verb = verb(route)?;
    if route.method == Method::Get {
        let bytes = ["raw", "content", "contents", "download", "data", "file", "bytes"].contains(&last.as_str());
        let about = ["meta", "metadata", "info", "details"].contains(&last.as_str());
        let looks = alone && ((bytes && route.response == Body::Bytes) || (about && json(route)));
        return looks.then_some(Member::Look);
    }
    let is = |n: &String| nouns.iter().any(|noun| n == noun || noun.ends_with(&format!("_{n}")));
    let meant = noun_of(route).is_none_or(|n| is(&n) || n == last_noun(route));
    let posts =
        matches!(route.method, Method::Post | Method::Put | Method::Patch) && route.response != Body::Bytes && route.request != Body::Bytes;
    // An id made from method and path begins with the method.
    let deeds = verbs::deed(&verb).is_some() && verbs::deed(&verb) == verbs::deed(&word);
    let says = verb == word || deeds || verb == "mark" || verb == route.method.as_str().to_ascii_lowercase();
    let sets = ["set", "update", "change", "put", "replace", "edit"].contains(&verb.as_str())
        && noun_of(route).is_some_and(|n| !nouns.contains(&n.as_str()));
    let gives = verbs::GIVES.contains(&word.as_str()) && says && meant;
    if posts && alone && matches!(route.request, Body::Json(_)) && (gives || sets) {
        return Some(Member::Give);
    }
    if !posts || !says || !meant || (verbs::is_made(&word) && verbs::turn(&word).is_none()) {
        return None;
    }
    if RENEWS.contains(&word.as_str()) {
        return Some(Member::Renew);
    }
    match verbs::deed(&word) {
        Some(Deed::Step(way)) => return Some(Member::Step(way)),
        Some(Deed::Flip) => return Some(Member::Flip),
        Some(Deed::Release) => return Some(Member::Release),
        Some(Deed::Hold) | None => {}
    }
    status(route)
}

/// What is done to one item that is found by its id alone: `/v1/fund-requests/:id`
/// for what lies below `/v1/wallets/:address/fund-requests`.
fn by_id(route: &Route, paths: &[&[Segment]], nouns: &[&str], alone: bool) -> Option<Member> {
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
        2 => acted(route, nouns, alone),
        _ => None,
    }
}

fn below(path: &[Segment], paths: &[&[Segment]]) -> bool {
    paths.iter().any(|base| Base(base.to_vec()).is(path))
}
