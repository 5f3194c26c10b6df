//! What a route's words ask for that no store does, though the route looks like what
//! one does. It is 501 and says why, and never answers as if it had been done.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{
    backend,
    native::{self, Found, Native, Op, Sent},
    prose, refusals, service, types,
};
use crate::prim::{Body, Document, QueryKind, QueryParam, Route, RoutePrice, Segment, Type, words};

const LOGIN: &str = "it must tell who logs in by what was kept, and a store compares nothing";
const ONCE: &str = "what it answers is to be read once, and what a store keeps is read as often as somebody asks";
/// Fields by which an item says how often it is read.
const VIEWS: [&str; 2] = ["max_views", "burn_after_read"];
const SUM: &str = "it takes a sum out of something, and a store reckons nothing";
const NOBODY: &str = "it refuses some with a 403, and a free route tells nobody apart";

/// What the store can't do of a route, and which parameters of its query it can't follow.
#[derive(Clone, Debug, Default)]
pub(super) struct Limits {
    /// Why it can't answer at all.
    pub refusal: Option<String>,
    /// Why it can't keep what is sent, so that whoever else answers has nothing of it here.
    pub unkept: Option<String>,
    /// Parameters that are no field of what is kept: a call with one is refused.
    pub lacks: Vec<String>,
}

/// The limits of each route, in the document's order.
pub(super) fn limits(document: &Document, prices: &[RoutePrice], found: &Found) -> Vec<Limits> {
    let able = Able { document, prices, found };
    let mut all: Vec<_> = (0..document.routes.len()).map(|at| Limits { unkept: able.unkept(at), ..able.limits(at) }).collect();
    let mut lost = vec![false; found.collections.len()];
    // Outer ones come first, and nothing is made within what is not there.
    for (collection, kept) in found.collections.iter().enumerate() {
        let of: Vec<_> = able.of(collection).collect();
        let gone = |does: fn(&Op) -> bool| {
            let mut doing = of.iter().filter(|(_, native)| does(&native.op)).peekable();
            doing.peek().is_some() && doing.all(|(at, _)| all[*at].refusal.is_some() || all[*at].unkept.is_some())
        };
        lost[collection] = gone(Op::makes) || gone(answers) || kept.within.is_some_and(|outer| lost[outer]);
        for (at, _) in of.iter().filter(|_| lost[collection]) {
            all[*at].refusal.get_or_insert_with(|| native::ALONE.into());
        }
    }
    all
}

/// Whether an operation tells of what others make.
fn answers(op: &Op) -> bool {
    matches!(op, Op::List | Op::Search | Op::Read { .. } | Op::Take { .. } | Op::Edge { .. } | Op::Tally | Op::Follow { .. } | Op::Part)
}

struct Able<'a> {
    document: &'a Document,
    prices: &'a [RoutePrice],
    found: &'a Found,
}

impl<'a> Able<'a> {
    /// The routes about a collection.
    fn of(&self, collection: usize) -> impl Iterator<Item = (usize, &'a Native)> {
        let routes = self.found.routes.iter().enumerate();
        routes.filter_map(|(at, native)| Some((at, native.as_ref().ok()?))).filter(move |(_, native)| native.collection == collection)
    }

    fn limits(&self, at: usize) -> Limits {
        let Ok(native) = &self.found.routes[at] else { return Limits::default() };
        let route = &self.document.routes[at];
        let free = self.prices[at] == RoutePrice::Free && !native::guarded(route);
        let refusal = match &native.op {
            Op::Create { signed: None } if !native::guarded(route) && route.error(401).is_some() => Some(LOGIN.into()),
            Op::Read { .. } | Op::Follow { .. } => self.secret(route, native.collection, free),
            Op::Clear => paged(route),
            Op::Become { to, .. } if to == "withdrawn" && self.takes_numbers(route) => Some(SUM.into()),
            Op::List | Op::Search | Op::Edge { .. } if free => self.private(native.collection),
            _ => None,
        };
        let refusal = refusal.or_else(|| self.untold(route, native));
        if refusal.is_some() {
            return Limits { refusal, ..Limits::default() };
        }
        match &native.op {
            Op::Search => Limits { refusal: self.sought(route, native.collection), ..Limits::default() },
            Op::List | Op::Count | Op::Clear => self.asked(route, native),
            Op::Read { .. } | Op::Follow { .. } => altered(route, native),
            _ => Limits::default(),
        }
    }

    fn unkept(&self, at: usize) -> Option<String> {
        let native = self.found.routes[at].as_ref().ok()?;
        backend::unkept(self.document, &self.document.routes[at], native, &self.found.collections)
    }

    /// Whether a route's body has a number, as far as its type says.
    fn takes_numbers(&self, route: &Route) -> bool {
        types::taken(self.document, route).is_some_and(|kind| types::numbers(self.document, kind).next().is_some())
    }

    /// Why it would do what the document has it refuse.
    fn untold(&self, route: &Route, native: &Native) -> Option<String> {
        let done = matches!(
            native.op,
            Op::Create { .. }
                | Op::Upload
                | Op::Batch
                | Op::Put { .. }
                | Op::Change
                | Op::Replace
                | Op::Become { .. }
                | Op::Switch { .. }
                | Op::Step { .. }
                | Op::Take { .. }
        );
        let limited = self.found.collections.get(native.collection).is_some_and(|kept| kept.most.is_some());
        let error = refusals::untold(route, limited).filter(|_| done)?;
        Some(format!("it answers {} {} where that is so, which a store can't tell", error.status, error.code))
    }

    /// Parameters by which a list is asked for fields that nothing kept has.
    fn asked(&self, route: &Route, native: &Native) -> Limits {
        let Some(fields) = self.fields(native.collection) else { return Limits::default() };
        let follows = |param: &&QueryParam| service::chooses(param) || fields.get(param.name.as_str()) == Some(&true);
        let lacks: Vec<_> = route.query.iter().filter(|param| !follows(param)).collect();
        let Some(first) = lacks.iter().find(|param| param.required).or_else(|| lacks.first()) else { return Limits::default() };
        // What is searched for by more than fields is another thing without that.
        let searches = matches!(route.path.segments.last(), Some(Segment::Literal(last)) if last == "search");
        if first.required || searches || native.op != Op::List {
            let refusal = Some(format!("it asks for {}, which is no field of what is kept", first.name));
            return Limits { refusal, ..Limits::default() };
        }
        Limits { lacks: lacks.into_iter().map(|param| param.name.clone()).collect(), ..Limits::default() }
    }

    /// Why a store can't look for what a body asks for.
    fn sought(&self, route: &Route, collection: usize) -> Option<String> {
        let fields = types::fields(self.document, types::taken(self.document, route)?)?;
        let kept = self.fields(collection);
        let meant = |name: &str, field: &Value| match chosen_by(name) {
            Some(kinds) => {
                let all = types::kinds(types::followed(self.document, field));
                !all.is_empty() && all.iter().all(|kind| kinds.contains(kind))
            }
            None => is_plain(self.document, field) && kept.as_ref().is_none_or(|kept| kept.get(name) == Some(&true)),
        };
        let (name, _) = fields.iter().find(|(name, field)| !meant(name, field))?;
        Some(format!("its body asks for {name}, which is no plain field of what is kept"))
    }

    /// Why not everybody may see all that there is: what nobody owns is hidden from nobody.
    fn private(&self, collection: usize) -> Option<String> {
        if self.of(collection).any(|(at, _)| self.prices[at] != RoutePrice::Free) {
            return None;
        }
        let hides = |name: &&&str| {
            let words = words(name);
            let word = words.iter().filter(|word| *word != "is").collect::<Vec<_>>();
            matches!(&word[..], [only] if ["visibility", "private", "public", "unlisted"].contains(&only.as_str()))
        };
        let fields = self.fields(collection)?;
        let name = fields.keys().find(hides)?;
        Some(format!("an item's {name} says who may see it, and it would show all of them to anybody"))
    }

    /// Why a route that reads one item would give away what it should not.
    fn secret(&self, route: &Route, collection: usize, free: bool) -> Option<String> {
        const PROOFS: [&str; 7] = ["passphrase", "password", "passcode", "token", "secret", "pin", "otp"];
        let proves =
            |param: &&QueryParam| param.kind == QueryKind::Text && words(&param.name).iter().any(|word| PROOFS.contains(&word.as_str()));
        if let Some(param) = route.query.iter().find(proves) {
            return Some(format!("{} must be held against what was kept, and a store compares nothing", param.name));
        }
        // An item that says how often it is read is read no oftener.
        let counts = || self.fields(collection).is_some_and(|fields| VIEWS.iter().any(|name| fields.contains_key(name)));
        if route.prose().any(prose::says_once) && !counts() {
            return Some(ONCE.into());
        }
        (free && route.error(403).is_some()).then(|| NOBODY.into())
    }

    /// Fields that items of a collection may have, and whether each is a plain value; none
    /// where they may have any.
    fn fields(&self, collection: usize) -> Option<BTreeMap<&'a str, bool>> {
        let document = self.document;
        let kept = self.found.collections.get(collection)?;
        let mut fields: BTreeMap<&str, bool> = [("id", true), ("created_at", true)].into();
        fields.extend(kept.status.as_ref().map(|_| ("status", true)));
        if let Some(key) = kept.key.as_deref() {
            fields.insert(key, true);
        }
        // What a change takes may be any field that is answered.
        let mut changed = false;
        for (at, native) in self.of(collection) {
            let route = &document.routes[at];
            let taken = types::taken(document, route).and_then(|kind| types::fields(document, kind));
            match &native.op {
                Op::Step { field, .. } | Op::Flip { field } | Op::Switch { field, .. } => _ = fields.insert(field, true),
                Op::Create { .. } | Op::Put { bytes: false, .. } if matches!(route.request, Body::Json(_)) => {
                    add(document, &mut fields, taken?)
                }
                Op::Upload | Op::Put { .. } | Op::Batch | Op::Create { .. } => return None,
                Op::Change | Op::Replace => match taken {
                    Some(taken) => add(document, &mut fields, taken),
                    None => changed = true,
                },
                _ => {}
            }
        }
        if changed {
            let answered = self.of(collection).filter_map(|(at, _)| types::answered(document, &document.routes[at]));
            answered.for_each(|kind| items(document, kind).for_each(|inner| add(document, &mut fields, inner)));
        }
        Some(fields)
    }
}

/// Parameters by which one item is asked for in another way than it is kept.
fn altered(route: &Route, native: &Native) -> Limits {
    let found_by = |param: &&QueryParam| matches!(&native.sent, Some(Sent::Query(name)) if *name == param.name);
    let lacks: Vec<_> = route.query.iter().filter(|param| !found_by(param)).collect();
    match lacks.iter().find(|param| param.required) {
        Some(first) => {
            Limits { refusal: Some(format!("it asks for {}, and a store answers what it keeps as it is", first.name)), ..Limits::default() }
        }
        None => Limits { lacks: lacks.into_iter().map(|param| param.name.clone()).collect(), ..Limits::default() },
    }
}

fn add<'a>(document: &Document, fields: &mut BTreeMap<&'a str, bool>, more: &'a Map<String, Value>) {
    for (name, field) in more {
        *fields.entry(name).or_default() |= is_plain(document, field);
    }
}

/// The fields of a type that answers, and those of what it has one or a list of.
pub(super) fn items<'a>(document: &'a Document, kind: &'a Type) -> impl Iterator<Item = &'a Map<String, Value>> {
    types::items(document, &kind.schema, |_| true).into_iter().filter_map(|schema| schema.get("properties")?.as_object())
}

/// Whether a schema's values can be compared: it takes a text, a number or a flag.
fn is_plain(document: &Document, schema: &Value) -> bool {
    let plain = |kind: &&str| ["string", "integer", "number", "boolean"].contains(kind);
    let schema = types::followed(document, schema);
    match &types::kinds(schema)[..] {
        [] => ["anyOf", "oneOf"].iter().all(|key| schema.get(*key).is_none()),
        kinds => kinds.iter().any(plain),
    }
}

/// The kinds of what a body chooses a page by, as the kit's `said` takes it.
fn chosen_by(name: &str) -> Option<&'static [&'static str]> {
    match name {
        "limit" | "per_page" | "page_size" | "offset" | "page" => Some(&["integer", "number"]),
        "after" | "cursor" | "prefix" | "q" | "search" | "query" | "text" | "sort" | "sort_by" | "order" => Some(&["string"]),
        _ => None,
    }
}

/// Why what a query fits is not all that is to be removed.
fn paged(route: &Route) -> Option<String> {
    let param = route.query.iter().find(|param| service::orders(param))?;
    Some(format!("it removes all that its query fits, and {} would leave some", param.name))
}
