//! Finds the collections of a document, outer ones first, and what each route
//! does to them.

use std::collections::{BTreeMap, BTreeSet};

use super::super::{
    prose,
    types::{self, Words},
};
use super::{
    Collection, Found, Native, Op, Sent, Signed, is_id, lifetime,
    makers::{self, last_noun, made_noun, noun_of, puts, verb},
    members::{self, Base, Member},
    ones,
    statuses::{becomes, begins},
    verbs::{self, Deed},
};
use crate::prim::{Body, Document, Method, QueryKind, QueryParam, Route, RoutePrice, Segment, Type, camel, words};

pub(in crate::scaffold) const ALONE: &str = "nothing in the document stores what it would answer, or answers what it would store";
const SIGNED: &str = "it must check a signature, and the document does not say of what message";
const MIXED: &str = "some routes of its resource are paid and some free, so an item's owner could not be told";
const NAMELESS: &str = "its body has no field by which an item is found";
const STATUS: &str = "other routes give its resource a status, so that this one can't";
const COUNTLESS: &str = "nothing in the document counts what it would set back";
const NOWHERE: &str = "no field of its type says where it leads";
/// Fields that say where an item leads, the likeliest first.
const ADDRESSES: [&str; 9] = ["url", "target_url", "target", "destination_url", "destination", "long_url", "original_url", "link", "href"];
const OWNERLESS: &str = "without a payment nobody can be told apart from an item's owner";

/// What a document's routes keep. `outside`: a vendor makes what is kept, and the
/// store has whose it is.
pub(in crate::scaffold) fn infer(document: &Document, prices: &[RoutePrice], outside: bool) -> Found {
    let routes = &document.routes;
    let length = |i: &usize| routes[*i].path.segments.len();
    let mut order: Vec<usize> = (0..routes.len()).collect();
    // What lies within something comes after it, also where that is found by its id alone.
    let depth = |i: &usize| (length(i), members::waits_for(routes, *i));
    order.sort_by_cached_key(depth);
    let written = order.clone();
    // In whichever order the document has them, the same routes keep the same things.
    order.sort_by_cached_key(|i| (depth(i), routes[*i].path.key(), routes[*i].method != Method::Put, routes[*i].method.as_str()));
    let mut search = Search::new(document, prices);
    search.look(&order, outside);
    if search.twice {
        // Of one noun, the first in the document is called by that alone.
        let mut as_written = Search::new(document, prices);
        as_written.look(&written, outside);
        search.call(&as_written.collections);
    }
    let found = search.found.into_iter().map(|found| found.unwrap_or_else(|| Err(ALONE.into()))).collect();
    Found { collections: search.collections, routes: found }
}

struct Search<'a> {
    document: &'a Document,
    prices: &'a [RoutePrice],
    /// Where items of each collection lie.
    bases: Vec<Vec<Base>>,
    /// The statuses that items of each may have, where their type names them.
    statuses: Vec<Option<Words>>,
    collections: Vec<Collection>,
    found: Vec<Option<Result<Native, String>>>,
    /// Whether things of two kinds have one noun.
    twice: bool,
    /// Which routes are about what there is one of beside items below its path.
    ones: Vec<bool>,
}

impl<'a> Search<'a> {
    fn new(document: &'a Document, prices: &'a [RoutePrice]) -> Self {
        let (found, ones) = (vec![None; document.routes.len()], ones::of(document));
        Self { document, prices, bases: Vec::new(), statuses: Vec::new(), collections: Vec::new(), found, twice: false, ones }
    }

    /// Looks at routes in this order.
    fn look(&mut self, order: &[usize], outside: bool) {
        let routes = &self.document.routes;
        // What is put somewhere under a name may hold what is made further within.
        for level in order.chunk_by(|a, b| routes[*a].path.segments.len() == routes[*b].path.segments.len()) {
            level.iter().for_each(|at| self.made(*at, outside));
            let here = level.iter().filter(|at| !members::waits_for(routes, **at));
            here.for_each(|at| self.put(*at));
        }
        // The rest of these may be of something that is made further within.
        order.iter().for_each(|at| self.put(*at));
        order.iter().for_each(|at| self.part(*at));
        if outside {
            order.iter().for_each(|at| self.under(*at));
        }
    }

    /// Calls collections as those are called that lie where they do.
    fn call(&mut self, others: &[Collection]) {
        // What there is one of has no key, and the items below its path have one.
        let same = |a: &Collection, b: &Collection| a.home == b.home && a.key.is_some() == b.key.is_some();
        let there = |kept: &Collection| others.iter().find(|other| same(other, kept)).map(|other| other.name.clone());
        let mut taken: BTreeSet<_> = self.collections.iter().filter_map(there).collect();
        for kept in &mut self.collections {
            kept.name = there(kept).unwrap_or_else(|| free(&kept.name, &taken));
            taken.insert(kept.name.clone());
        }
    }

    /// The collection that a route adds to by POST.
    fn made(&mut self, at: usize, outside: bool) {
        let routes = &self.document.routes;
        let create = &routes[at];
        // What a vendor is asked for may have any verb: `deploy_token`.
        let kept = || if outside { makers::kept_noun(routes, create) } else { None };
        let Some(noun) = made_noun(create).or_else(kept) else { return };
        let mut members = members::of(routes, at, &noun);
        let single = members::single(create) && !members.iter().any(|(_, member)| member.of_one());
        if single || !members.iter().any(|(_, member)| member.answers()) || self.found[at].is_some() {
            return;
        }
        members.retain(|(i, member)| self.found[*i].is_none() && !(matches!(member, Member::Tally) && members::votes_beside(routes, at)));
        let signed = self.signed(create, &members);
        let says = create.prose().any(prose::says_signature);
        let same = |i: usize| (self.prices[i] == RoutePrice::Free) == (self.prices[at] == RoutePrice::Free);
        let plain = |member: &Member| matches!(member, Member::List) || member.of_one();
        let refusal = match &signed {
            None if says => Some(SIGNED),
            // What anybody may see needs no owner who is told.
            None if members.iter().any(|(i, member)| plain(member) && !same(*i) && !self.apart(*i, member)) => Some(MIXED),
            _ => None,
        };
        if let Some(reason) = refusal {
            self.refuse([at].into_iter().chain(members.iter().map(|(i, _)| *i)), reason);
            return;
        }
        let named = |wanted: fn(&Member) -> bool| {
            members.iter().find_map(|(i, member)| wanted(member).then(|| members::param(&routes[*i], member)).flatten())
        };
        let key = named(Member::of_one).or_else(|| named(|member| matches!(member, Member::Follow)));
        // An id that whoever makes an item must say is the item's.
        let wanted = |param: &&str| {
            !is_id(param) || types::taken(self.document, create).is_some_and(|kind| types::requires(self.document, kind, param))
        };
        let key = key.filter(wanted).map(str::to_owned);
        let owned = signed.is_some();
        // Who sets what a name stands for sets it again.
        let sets = ["set", "put", "upsert", "save", "write"].iter().any(|word| verb(create).as_deref() == Some(*word));
        let sent = key.clone().filter(|_| sets && !owned && create.error(409).is_none() && create.request != Body::Bytes);
        let op = match () {
            () if create.request == Body::Bytes => Op::Upload,
            () if sent.is_some() => Op::Put { bytes: false, once: false },
            () => Op::Create { signed },
        };
        // Bytes have no fields, and so no name of the caller's.
        let key = key.filter(|_| create.request != Body::Bytes);
        let collection = self.keep(create, &noun, key, &members, at);
        let within = all_params(create);
        self.found[at] = Some(Ok(Native { collection, op, param: None, sent: sent.map(Sent::Body), within }));
        self.join(at, collection, members, owned || self.prices[at] != RoutePrice::Free);
    }

    /// The collection that a route puts things into under names in its path.
    fn put(&mut self, at: usize) {
        let routes = &self.document.routes;
        let put = &routes[at];
        let Some((name, deed)) = puts(put).filter(|_| self.found[at].is_none()) else { return };
        // What is done to a thing says nothing of what the thing is.
        let noun = noun_of(put).unwrap_or_else(|| members::home_noun(put));
        let mut members = members::of(routes, at, &noun);
        members.retain(|(i, _)| *i != at && self.found[*i].is_none());
        // What there is one of at their path is none of the items below it, and no list of them.
        if members.iter().any(|(i, member)| !self.ones[*i] && member.answers()) {
            members.retain(|(i, _)| !self.ones[*i]);
        }
        let ends = |member: &Member| deed == Some(Deed::Hold) && matches!(member, Member::Remove | Member::Release);
        if !members.iter().any(|(_, member)| member.answers() || ends(member)) {
            return;
        }
        let free = self.prices[at] == RoutePrice::Free;
        let refusal = match () {
            () if members.iter().any(|(i, member)| (self.prices[*i] == RoutePrice::Free) != free && !self.apart(*i, member)) => Some(MIXED),
            () if free && !super::guarded(put) && !self.open(at) => Some(OWNERLESS),
            () => None,
        };
        if let Some(reason) = refusal {
            self.refuse([at].into_iter().chain(members.iter().map(|(i, _)| *i)), reason);
            return;
        }
        let collection = self.keep(put, &noun, Some(name.clone()), &members, at);
        let within = all_params(put).into_iter().filter(|param| param != name).collect();
        let op = match deed {
            Some(Deed::Step(way)) => Op::Step { way, field: self.number(at, &members), makes: true },
            _ => Op::Put { bytes: put.request == Body::Bytes, once: deed == Some(Deed::Hold) },
        };
        self.found[at] = Some(Ok(Native { collection, op, param: Some(name.clone()), sent: None, within }));
        self.join(at, collection, members, !free);
    }

    /// What an item, or a wallet, has one of: what is read and changed under one path.
    fn part(&mut self, at: usize) {
        let routes = &self.document.routes;
        let set = &routes[at];
        let literal = matches!(set.path.segments.last(), Some(Segment::Literal(_)));
        if !literal || !members::sets(set) || self.found[at].is_some() {
            return;
        }
        let of = |route: &Route| match route.method {
            Method::Get if members::json(route) => Some(Op::Part),
            Method::Delete if route.request != Body::Bytes && route.response != Body::Bytes => Some(Op::Unset),
            _ if members::sets(route) => Some(Op::SetPart { whole: members::replaces(route) }),
            _ => None,
        };
        let same = |i: &usize| self.found[*i].is_none() && routes[*i].path.key() == set.path.key();
        let ops: Vec<_> = (0..routes.len()).filter(same).filter_map(|i| Some((i, of(&routes[i])?))).collect();
        let free = self.prices[at] == RoutePrice::Free;
        let told = |i: usize| super::guarded(&routes[i]) || self.open(i);
        let refusal = match () {
            () if !ops.iter().any(|(_, op)| *op == Op::Part) => return,
            () if ops.iter().any(|(i, _)| (self.prices[*i] == RoutePrice::Free) != free) => Some(MIXED),
            () if free && ops.iter().any(|(i, op)| *op != Op::Part && !told(*i)) => Some(OWNERLESS),
            () => None,
        };
        if let Some(reason) = refusal {
            self.refuse(ops.into_iter().map(|(i, _)| i), reason);
            return;
        }
        let collection = self.keep(set, &last_noun(set), None, &[], at);
        // Nothing lies within one of its items, since it has none.
        self.bases[collection].clear();
        for (i, op) in ops {
            self.found[i] = Some(Ok(Native { collection, op, param: None, sent: None, within: all_params(&routes[i]) }));
        }
    }

    /// A route below an item that nothing else was found of.
    fn under(&mut self, at: usize) {
        if self.found[at].is_some() {
            return;
        }
        let path = &self.document.routes[at].path.segments;
        if let Some((collection, name, before)) = self.innermost(path) {
            let (param, within) = (name.to_owned(), params(&path[..before]));
            self.found[at] = Some(Ok(Native { collection, op: Op::Under, param: Some(param), sent: None, within }));
        }
    }

    /// The innermost item in a path that is known: its collection, the parameter that
    /// names it, and where that stands.
    fn innermost<'s>(&self, path: &'s [Segment]) -> Option<(usize, &'s str, usize)> {
        (0..path.len()).rev().find_map(|at| {
            let Segment::Param { name, .. } = &path[at] else { return None };
            let of = |bases: &Vec<Base>| bases.iter().any(|base| base.is(&path[..at]));
            Some((self.bases.iter().position(of)?, name.as_str(), at))
        })
    }

    /// Adds a collection.
    fn keep(&mut self, first: &Route, noun: &str, key: Option<String>, members: &[(usize, Member)], at: usize) -> usize {
        let routes = &self.document.routes;
        let bases = members::bases(routes, at, members);
        let outer = bases.iter().find_map(|base| {
            let (outer, _, at) = self.innermost(base.within())?;
            Some((outer, params(&base.path()[at + 1..]).len()))
        });
        let all = || [at].into_iter().chain(members.iter().map(|(i, _)| *i)).map(|i| &routes[i]);
        let claimed = members.iter().any(|(_, member)| matches!(member, Member::Claim));
        let becomes = |(i, member): &(usize, Member)| {
            matches!(member, Member::Become { .. }) && matches!(self.turned(*i, at, members), Some(Turned::Status))
        };
        let turns = claimed || members.iter().any(becomes);
        let decided = members.iter().any(|(_, member)| matches!(member, Member::Become { decides: true, .. }));
        let pending = decided && all().any(|route| route.prose().any(|text| text.to_ascii_lowercase().contains("pending")));
        let shapes = self.shapes(at, members);
        let ends = lifetime::ends(self.document, first, &all().collect::<Vec<_>>(), members, &shapes);
        let statuses = shapes.iter().find_map(|kind| types::words(self.document, kind, "status"));
        let usual = match () {
            () if pending => "pending",
            () if claimed => "queued",
            () => "active",
        };
        let status = match &statuses {
            Some(statuses) => begins(statuses, usual, members),
            None => usual.to_owned(),
        };
        let named = key.as_deref().unwrap_or("id");
        let counted = |route: &Route, param: &str| route.params.iter().any(|p| p.name == param && p.kind == QueryKind::Integer);
        let own = key.as_ref().is_some_and(|key| counted(first, key));
        let counts = |(i, member): &(usize, Member)| members::param(&routes[*i], member).is_some_and(|param| counted(&routes[*i], param));
        let numbers = own || members.iter().any(counts) || shapes.iter().any(|kind| types::is_whole(self.document, kind, named));
        let taken: BTreeSet<_> = self.collections.iter().map(|c| c.name.clone()).collect();
        let base = camel(noun);
        let name = free(&base, &taken);
        self.twice |= name != base;
        let home = members::home(first);
        let home = match self.collections.iter().any(|c| c.home == home) {
            // Other things below the same path: the route that makes these is the only one of its kind.
            // What there is one of stays where it was before there were items below its path.
            true if !self.ones[at] => format!("{} {}", first.method.as_str(), first.path.key()),
            _ => home,
        };
        self.bases.push(bases);
        self.statuses.push(statuses);
        self.collections.push(Collection {
            name,
            home,
            within: outer.map(|(outer, _)| outer),
            below: outer.map_or(0, |(_, below)| below),
            key,
            numbers,
            // What lies apart, and whose names are, is known once all routes are.
            apart: false,
            own: false,
            joined: false,
            unowned: false,
            status: turns.then_some(status),
            ends,
            most: prose::most(self.document, noun),
            counts: Vec::new(),
            changed: None,
        });
        self.collections.len() - 1
    }

    /// The types of what routes about one item of a collection answer and take.
    fn shapes(&self, at: usize, members: &[(usize, Member)]) -> Vec<&Type> {
        let one = members.iter().filter(|(_, member)| !member.of_all()).map(|(i, _)| *i);
        let routes = [at].into_iter().chain(one).map(|i| &self.document.routes[i]);
        routes.flat_map(|route| [types::answered(self.document, route), types::taken(self.document, route)]).flatten().collect()
    }

    /// Gives the members of a collection what they do. `owned`: its items are somebody's.
    fn join(&mut self, at: usize, collection: usize, members: Vec<(usize, Member)>, owned: bool) {
        let routes = &self.document.routes;
        let status = self.collections[collection].status.clone();
        let statuses = self.statuses[collection].clone();
        // Who counts up what nobody put there counts from nothing.
        let put = matches!(&self.found[at], Some(Ok(Native { op: Op::Put { bytes: false, once: false }, .. })));
        let (held, counted) = match self.found[at].as_ref() {
            Some(Ok(native)) => match &native.op {
                Op::Put { once, .. } => (*once, false),
                Op::Create { .. } => (verb(&routes[at]).is_some_and(|verb| verbs::deed(&verb) == Some(Deed::Hold)), false),
                op => (false, matches!(op, Op::Step { .. })),
            },
            _ => (false, false),
        };
        // What a PUT may make, too.
        let open = matches!(&self.found[at], Some(Ok(Native { op: Op::Create { signed: None } | Op::Put { .. }, .. })));
        let named = self.collections[collection].key.clone().filter(|_| open);
        let number = self.number(at, &members);
        let turned: BTreeMap<usize, Turned> = members.iter().filter_map(|(i, _)| Some((*i, self.turned(*i, at, &members)?))).collect();
        // What nothing counts has no number to set back.
        let counts = counted
            || members.iter().any(|(_, member)| matches!(member, Member::Step(way) if *way != 0))
            || self.shapes(at, &members).iter().any(|kind| types::is_number(self.document, kind, &number));
        let switch = self.field(at, &members, &["enabled", "active", "on", "done", "value"], types::is_flag);
        let claimed = members.iter().any(|(_, member)| matches!(member, Member::Claim));
        let addresses = self.leads(at, &self.shapes(at, &members));
        // What is handed out stays where somebody is to say that it is done with.
        let removed = members.iter().any(|(_, member)| matches!(member, Member::Remove));
        for (i, member) in members {
            let route = &routes[i];
            let paid = self.prices[i] != RoutePrice::Free;
            let reads = member.reads();
            // Who reads must be told apart too, where items are somebody's.
            // Who is led elsewhere without paying is anybody.
            let told = if owned {
                paid || self.apart(i, &member) || matches!(member, Member::Follow)
            } else {
                reads || super::guarded(route) || self.open(i)
            };
            if !told {
                self.found[i] = Some(Err(if owned { MIXED } else { OWNERLESS }.into()));
                continue;
            }
            let param = members::param(route, &member).map(str::to_owned);
            let mut sent = None;
            // Let go of what was not held: it is a status like any.
            let member = match member {
                Member::Release if !held => match members::status(route) {
                    Some(turn) => turn,
                    None => continue,
                },
                other => other,
            };
            let op = match member {
                Member::List => Op::List,
                Member::Search => Op::Search,
                Member::Count => Op::Count,
                Member::Tally => Op::Tally,
                Member::Batch if self.collections[collection].key.is_some() && held => continue,
                Member::Batch => Op::Batch,
                Member::Edge { oldest } => Op::Edge { oldest },
                Member::Take => Op::Take { keeps: removed, to: None },
                Member::Claim => match becomes(statuses.as_ref(), "claimed") {
                    Some(to) => Op::Take { keeps: true, to: Some(to) },
                    None => {
                        self.found[i] = Some(Err("it hands one out, which no status of its type says".into()));
                        continue;
                    }
                },
                Member::Clear => Op::Clear,
                Member::Named => match self.named(collection, route) {
                    Some(named) => {
                        sent = Some(named);
                        Op::Remove { emptied: false, retired: None }
                    }
                    None => {
                        self.found[i] = Some(Err(NAMELESS.into()));
                        continue;
                    }
                },
                Member::Follow if addresses.is_empty() => {
                    self.found[i] = Some(Err(NOWHERE.into()));
                    continue;
                }
                Member::Follow => Op::Follow { fields: addresses.clone() },
                Member::Read | Member::Look => Op::Read { bytes: route.response == Body::Bytes },
                Member::Give if status.is_some() && ["status", "state"].contains(&last_noun(route).as_str()) => {
                    self.found[i] = Some(Err(STATUS.into()));
                    continue;
                }
                Member::Change | Member::Give => Op::Change,
                Member::Replace if param.is_some() && param == named && makers::names(self.document, &routes[at], route) => {
                    Op::Put { bytes: false, once: false }
                }
                Member::Replace => Op::Replace,
                Member::Release => Op::Remove { emptied: false, retired: None },
                Member::Step(0) if !counts => {
                    self.found[i] = Some(Err(COUNTLESS.into()));
                    continue;
                }
                Member::Step(way) => {
                    let makes = counted || (put && way != 0 && route.error(404).is_none());
                    Op::Step { way, field: number.clone(), makes }
                }
                Member::Flip => Op::Flip { field: switch.clone() },
                Member::Renew => Op::Renew,
                Member::Become { to, decides } => {
                    match turned.get(&i) {
                        Some(Turned::Switch(field, on)) => {
                            let (field, on, once) = (field.clone(), *on, route.error(409).is_some());
                            let within = all_params(route).into_iter().take_while(|name| Some(name) != param.as_ref()).collect();
                            self.found[i] = Some(Ok(Native { collection, op: Op::Switch { field, on, once }, param, sent, within }));
                            continue;
                        }
                        Some(Turned::Nothing) => {
                            self.found[i] = Some(Err(format!("it makes an item {to}, and no answer has a field that says so")));
                            continue;
                        }
                        Some(Turned::Status) | None => {}
                    }
                    // What is put back waits as it did at first.
                    let back = status.clone().filter(|_| to == "queued" && claimed);
                    let Some(to) = back.or_else(|| becomes(statuses.as_ref(), to)) else {
                        self.found[i] = Some(Err(format!("it makes an item {to}, which the status of its type can't be")));
                        continue;
                    };
                    let conflict = route.error(409).is_some();
                    let from = status.clone().filter(|initial| conflict && decides && *initial != to);
                    Op::Become { to, once: conflict && from.is_none(), from }
                }
                Member::Remove => Op::Remove {
                    emptied: prose::says_emptied(route),
                    retired: verb(route)
                        .and_then(|verb| verbs::retired(&verb))
                        .map(|to| becomes(statuses.as_ref(), to).unwrap_or_else(|| to.into())),
                },
            };
            let within = all_params(route).into_iter().take_while(|name| Some(name) != param.as_ref()).collect();
            self.found[i] = Some(Ok(Native { collection, op, param, sent, within }));
        }
    }

    /// What a route that says how an item is afterwards gives it: the switch that its type
    /// has for that, or a status where an answer has a place for one.
    fn turned(&self, route: usize, at: usize, members: &[(usize, Member)]) -> Option<Turned> {
        let document = self.document;
        let Some(Segment::Literal(last)) = document.routes[route].path.segments.last() else { return None };
        let word = words(last).into_iter().next()?;
        verbs::turn(&word)?;
        let shapes = self.shapes(at, members);
        let has = |field: &str| shapes.iter().any(|kind| types::fields(document, kind).is_some_and(|fields| fields.contains_key(field)));
        if has("status") {
            return Some(Turned::Status);
        }
        let flag = |field: &String| shapes.iter().any(|kind| types::is_flag(document, kind, field));
        let named = |(word, on): (String, bool)| {
            let names = [word.clone(), format!("is_{word}"), camel(&format!("is_{word}"))];
            names.into_iter().find(flag).map(|field| Turned::Switch(field, on))
        };
        if let Some(switch) = verbs::switches(&word).into_iter().find_map(named) {
            return Some(switch);
        }
        // What a route answers that says no more of its answer, or takes other fields.
        let shows = |i: usize| {
            let route = &document.routes[i];
            let free = self.prices[i] == RoutePrice::Free;
            members::json(route) && types::answered(document, route).is_none_or(|kind| types::shows_more(document, kind, free))
        };
        let shown = [at].into_iter().chain(members.iter().map(|(i, _)| *i)).any(shows);
        Some(if shown { Turned::Status } else { Turned::Nothing })
    }

    /// The fields that may say where an item leads: those of its types, where these name any.
    fn leads(&self, at: usize, shapes: &[&Type]) -> Vec<String> {
        let named = |field: &&str| shapes.iter().filter_map(|kind| types::fields(self.document, kind)).any(|all| all.contains_key(*field));
        let known = types::taken(self.document, &self.document.routes[at]).is_some();
        ADDRESSES.iter().filter(|field| !known || named(field)).map(|field| (*field).to_owned()).collect()
    }

    /// What of a DELETE names the item: its body's field or its query's parameter.
    fn named(&self, collection: usize, route: &Route) -> Option<Sent> {
        let key = self.collections[collection].key.clone();
        let named = |param: &&QueryParam| param.required && (members::is_name(&param.name) || Some(&param.name) == key.as_ref());
        if let Some(param) = route.query.iter().find(named) {
            return Some(Sent::Query(param.name.clone()));
        }
        let usual = key.unwrap_or_else(|| "id".into());
        let Some(kind) = types::taken(self.document, route) else { return Some(Sent::Body(usual)) };
        let fields = types::fields(self.document, kind)?;
        let known = |name: &&String| **name == usual || is_id(name);
        let named = fields.contains_key(&usual).then_some(&usual).or_else(|| fields.keys().find(known))?;
        Some(Sent::Body(named.clone()))
    }

    /// The field that is counted with: the first of the usual ones that a type has, else
    /// the only number that it has.
    fn number(&self, at: usize, members: &[(usize, Member)]) -> String {
        let usual = self.field(at, members, &["value", "count", "total", "amount", "number"], types::is_number);
        let shapes = self.shapes(at, members);
        if shapes.iter().any(|kind| types::is_number(self.document, kind, &usual)) {
            return usual;
        }
        let plain = |name: &str| !types::SPANS.contains(&name) && !super::is_id(name);
        let numbers: BTreeSet<_> = shapes.iter().flat_map(|kind| types::numbers(self.document, kind)).filter(|name| plain(name)).collect();
        match numbers.first() {
            Some(only) if numbers.len() == 1 => (*only).clone(),
            _ => usual,
        }
    }

    fn field(&self, at: usize, members: &[(usize, Member)], usual: &[&'static str; 5], fits: fn(&Document, &Type, &str) -> bool) -> String {
        let shapes = self.shapes(at, members);
        let typed = |name: &&&str| shapes.iter().any(|kind| fits(self.document, kind, name));
        (*usual.iter().find(typed).unwrap_or(&usual[0])).into()
    }

    /// Whether a route is about everybody's items: anybody may look at them, or who has
    /// the internal key looks after them.
    fn apart(&self, at: usize, member: &Member) -> bool {
        (member.reads() && self.open(at)) || (super::guarded(&self.document.routes[at]) && self.prices[at] == RoutePrice::Free)
    }

    fn open(&self, at: usize) -> bool {
        super::open(&self.document.routes[at], self.prices[at])
    }

    fn refuse(&mut self, routes: impl Iterator<Item = usize>, reason: &str) {
        for i in routes {
            self.found[i] = Some(Err(reason.into()));
        }
    }

    /// The message that a create route wants signed, where the document says it.
    fn signed(&self, create: &Route, members: &[(usize, Member)]) -> Option<Signed> {
        if !create.prose().any(prose::says_signature) {
            return None;
        }
        let (message, seconds) = prose::message(self.document, create)?;
        let fields = prose::placeholders(&message);
        let param = members.iter().find_map(|(i, member)| members::param(&self.document.routes[*i], member));
        let named = |field: &&String| Some(field.as_str()) == param || ["address", "wallet"].contains(&field.as_str());
        let address = fields.iter().find(named)?.clone();
        Some(Signed { message, address, seconds })
    }
}

/// A name that is not taken: with a number behind it where it must be.
fn free(name: &str, taken: &BTreeSet<String>) -> String {
    let numbered = (2..).map(|n| format!("{name}{n}"));
    std::iter::once(name.to_owned()).chain(numbered).find(|name| !taken.contains(name)).unwrap_or_default()
}

/// What a route gives an item that says how it is afterwards.
enum Turned {
    Status,
    /// A switch of its type, and whether it is on.
    Switch(String, bool),
    /// Nothing that anybody would see.
    Nothing,
}

fn params(segments: &[Segment]) -> Vec<String> {
    let name = |segment: &Segment| match segment {
        Segment::Param { name, .. } => Some(name.clone()),
        Segment::Literal(_) => None,
    };
    segments.iter().filter_map(name).collect()
}

fn all_params(route: &Route) -> Vec<String> {
    params(&route.path.segments)
}
