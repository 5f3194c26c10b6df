//! What each route costs and what answers it. Money fails closed: a route has
//! its own price, or a file of prices has one, or its document says that all of it
//! is free, or it costs the default; there is no fifth way.

use std::{cell::OnceCell, collections::BTreeMap};

use serde_json::{Map, Value};

use super::{
    able,
    backend::{self, Command},
    claims::{self, Claim},
    kept,
    manifest::{Manifest, Mistyped},
    native::{self, Collection, Native, Op},
    prices::Prices,
    refusals, render, schema,
    schemas::Field,
    shapes, types,
    values::{self, Known},
    vendor::{self, Vendor},
};
use crate::prim::{Assumption, Body, DeclaredError, Document, Method, Price, Problem, Route, RoutePrice};

/// What a document leaves to whoever scaffolds it.
#[derive(Clone, Debug)]
pub struct Options {
    /// What a route of a paid document costs where it has no price of its own.
    pub default_price: Price,
    /// What routes cost before that.
    pub prices: Prices,
}

impl Options {
    /// Every route without a price costs this.
    pub fn at(default_price: Price) -> Self {
        Self { default_price, prices: Prices::default() }
    }
}

/// What answers a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backend {
    /// The service's own store.
    Native,
    /// A vendor, through `src/provider.ts`.
    Provider,
    /// A program.
    Command,
    /// Nothing yet: 501.
    Missing,
}

/// A route with everything decided.
pub(super) struct Planned<'a> {
    pub route: &'a Route,
    pub price: RoutePrice,
    pub work: Work,
    /// What a caller has to have for it: a turn, or a code.
    pub claim: Option<Claim>,
    /// Whether the internal key must come with it.
    pub guarded: bool,
    /// Whether a call that is repeated is answered as it was.
    pub repeats: bool,
    /// Parameters of its query that are no field of what is kept.
    pub lacks: Vec<String>,
    /// The vendor that is asked and by which of its operations, where the document says.
    pub asked: backend::Asked,
    /// What is known of its body, and a body that it takes: looked for once.
    pub fields: OnceCell<Vec<Field>>,
    pub sample: OnceCell<Option<String>>,
    /// A request with a value of a wrong type: likewise.
    pub mistyped: OnceCell<Option<Mistyped>>,
    /// Fields that its answer's type requires and nothing keeps: likewise, once all is planned.
    pub missing: OnceCell<Vec<String>>,
}

/// What a handler does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// The store answers.
    Native(Native),
    /// A vendor answers; the store has whose it is, where it was made here.
    Provider(Option<Native>),
    /// The claim is all there is to it.
    Claim,
    /// Says how long turns of other routes are still waited for.
    Waits(Vec<String>, String),
    /// Answers the schema that the service knows.
    Schema,
    /// Holds a document against that.
    Validate,
    /// Says which ports services have, by a setting.
    Ports,
    /// Runs a program.
    Command(Command),
    /// Nothing, for this reason.
    Missing(String),
}

impl Work {
    pub fn backend(&self) -> Backend {
        match self {
            Self::Provider(_) => Backend::Provider,
            Self::Command(_) => Backend::Command,
            Self::Missing(_) => Backend::Missing,
            Self::Native(_) | Self::Claim | Self::Waits(..) | Self::Schema | Self::Validate | Self::Ports => Backend::Native,
        }
    }

    /// What it does to a collection, whoever answers.
    pub fn kept(&self) -> Option<&Native> {
        match self {
            Self::Native(native) => Some(native),
            Self::Provider(kept) => kept.as_ref(),
            _ => None,
        }
    }
}

impl Backend {
    /// Its name in a summary.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Provider => "provider",
            Self::Command => "cli",
            Self::Missing => "missing",
        }
    }
}

/// A document with everything decided.
pub(super) struct Plan<'a> {
    pub document: &'a Document,
    /// In the document's order.
    pub routes: Vec<Planned<'a>>,
    /// What is kept, outer collections first.
    pub collections: Vec<Collection>,
    /// What is known of the types that routes take, by their names.
    pub known: BTreeMap<String, Known>,
    /// Fields that no two items of each collection have alike, and what is answered where one would.
    pub distinct: Vec<Vec<(String, &'a DeclaredError)>>,
    /// Who is asked for what the service has not itself, the usual one first.
    pub vendors: Vec<Vendor>,
    /// Whether the document names them.
    pub declared: bool,
    /// The variable that names the store's file.
    pub data: Option<String>,
    pub assumptions: Vec<Assumption>,
}

impl<'a> Plan<'a> {
    /// The routes about a collection.
    pub fn of(&self, collection: usize) -> impl Iterator<Item = &Planned<'a>> {
        self.routes.iter().filter(move |planned| planned.work.kept().is_some_and(|kept| kept.collection == collection))
    }

    /// Whether a collection's items lie apart by what is before them in their paths and
    /// is no item itself, and whether each wallet has its own of their names.
    fn apart(&self, collection: usize) -> (bool, bool) {
        let inside = self.collections.get(collection).is_some_and(|c| c.within.is_some());
        let apart = !inside && self.of(collection).any(|planned| planned.work.kept().is_some_and(|kept| !kept.within.is_empty()));
        let open = self.of(collection).any(|planned| native::open(planned.route, planned.price));
        let does = |does: fn(&Op) -> bool| self.of(collection).any(|planned| planned.work.kept().is_some_and(|kept| does(&kept.op)));
        let own = match () {
            () if inside || !self.owned(collection) => false,
            () if apart => !open,
            () if does(|op| matches!(op, Op::Part)) => true,
            () => !open && self.named(collection),
        };
        (apart, own)
    }

    /// Whether every wallet may put its own into what a collection lies within, since
    /// everybody sees that: votes into a poll, comments below a post.
    fn joined(&self, collection: usize) -> bool {
        let does = |planned: &Planned<'_>, does: fn(&Op) -> bool| planned.work.kept().is_some_and(|kept| does(&kept.op));
        let seen = |planned: &Planned<'_>| {
            native::open(planned.route, planned.price)
                && does(planned, |op| matches!(op, Op::Read { .. } | Op::List | Op::Search | Op::Edge { .. }))
        };
        let outer = self.collections.get(collection).and_then(|kept| kept.within);
        let put = |planned: &Planned<'_>| {
            planned.price != RoutePrice::Free
                && !refusals::foreign(planned.route)
                && does(planned, |op| matches!(op, Op::Create { signed: None } | Op::Upload))
        };
        // What is put there under a name, or is one of what it lies within, is its owner's to set.
        // What is made there by POST is put there likewise.
        let posted = self.posted(collection);
        let set = |planned: &Planned<'_>| {
            (!posted && does(planned, |op| matches!(op, Op::Put { .. })))
                || does(planned, |op| matches!(op, Op::SetPart { .. } | Op::Step { makes: true, .. }))
        };
        outer.is_some_and(|outer| self.of(outer).any(seen)) && self.of(collection).any(put) && !self.of(collection).any(set)
    }

    /// Whether a POST makes items.
    pub fn posted(&self, collection: usize) -> bool {
        self.of(collection).any(|planned| matches!(planned.work.kept(), Some(Native { op: Op::Create { .. }, .. })))
    }

    /// Whether items are made for nothing while others of the same kind are paid for.
    fn unowned(&self, collection: usize) -> bool {
        self.owned(collection)
            && self.of(collection).any(|planned| planned.work.kept().is_some_and(|native| kept::is_unowned(planned, native)))
    }

    /// Whether names of what lies below no other name are the wallets' to give, and no route
    /// has a word for one that somebody else gave.
    fn named(&self, collection: usize) -> bool {
        let key = self.collections.get(collection).and_then(|kept| kept.key.as_deref());
        let mut of = self.of(collection);
        let told = |planned: &Planned<'_>| match planned.work.kept().map(|kept| &kept.op) {
            // One that is held is held by one alone, and what proves or makes a name is not its wallet.
            Some(Op::Put { once: true, .. } | Op::Create { signed: Some(_) }) => true,
            Some(Op::Create { .. } | Op::Put { .. } | Op::Batch | Op::Step { makes: true, .. }) => {
                matches!(planned.work, Work::Provider(_)) || planned.route.error(409).is_some() || refusals::foreign(planned.route)
            }
            _ => refusals::foreign(planned.route),
        };
        key.is_some_and(|key| !native::is_made(key)) && !of.any(told)
    }

    /// Conflicts of a field that a route holds to which makes or changes items: those that it
    /// declares, and those that others declare of the same items and that it could bring about.
    pub fn unique(&self, collection: usize, route: &'a Route) -> Vec<(String, &'a DeclaredError)> {
        let mut unique = self.declared_unique(collection, route);
        let sent = self.sent(route);
        for (field, error) in self.distinct.get(collection).into_iter().flatten() {
            let may = sent.is_none_or(|fields| fields.contains_key(field));
            if may && unique.iter().all(|(there, _)| there != field) {
                unique.push((field.clone(), *error));
            }
        }
        unique
    }

    fn declared_unique(&self, collection: usize, route: &'a Route) -> Vec<(String, &'a DeclaredError)> {
        let key = self.collections.get(collection).and_then(|kept| kept.key.as_deref());
        let sent = self.sent(route);
        refusals::unique(route, key, |field| sent.map(|fields| fields.contains_key(field)))
    }

    /// The fields that a route takes, where its type says them.
    fn sent(&self, route: &Route) -> Option<&'a Map<String, Value>> {
        types::taken(self.document, route).and_then(|kind| types::fields(self.document, kind))
    }

    /// The conflicts that routes declare of each collection's fields, the first of each.
    fn distinct(&self) -> Vec<Vec<(String, &'a DeclaredError)>> {
        let mut all = vec![Vec::new(); self.collections.len()];
        for planned in &self.routes {
            let Work::Native(Native { op, collection, .. }) = &planned.work else { continue };
            let items = matches!(op, Op::Create { .. } | Op::Put { bytes: false, once: false } | Op::Change | Op::Replace);
            let Some(of) = all.get_mut(*collection).filter(|_| items) else { continue };
            for (field, error) in self.declared_unique(*collection, planned.route) {
                if of.iter().all(|(there, _)| *there != field) {
                    of.push((field, error));
                }
            }
        }
        all
    }

    /// Whether items of a collection, or what they lie within, are somebody's.
    pub fn owned(&self, collection: usize) -> bool {
        let paid = |planned: &Planned<'_>| {
            planned.price != RoutePrice::Free || matches!(planned.work.kept(), Some(Native { op: Op::Create { signed: Some(_) }, .. }))
        };
        self.of(collection).any(paid) || self.collections.get(collection).and_then(|c| c.within).is_some_and(|outer| self.owned(outer))
    }
}

/// The files of a document's package.
pub fn manifest(document: &Document, options: &Options) -> Result<Manifest, Vec<Problem>> {
    render::package(&plan(document, options)?).map_err(|text| vec![Problem { path: String::new(), text }])
}

fn plan<'a>(document: &'a Document, options: &Options) -> Result<Plan<'a>, Vec<Problem>> {
    let mut assumptions = document.assumptions.clone();
    let listed = options.prices.of(document)?;
    assumptions.extend(listed.unused);
    let own: Vec<_> = document.routes.iter().zip(listed.prices).map(|(route, listed)| route.price.or(listed)).collect();
    let prices: Vec<_> = own.iter().map(|own| price(*own, document, options)).collect();
    let unpriced = own.iter().filter(|price| price.is_none()).count();
    if unpriced > 0 && !document.free {
        let text = format!("{unpriced} of {} routes have no price of their own, so {}", document.routes.len(), options.default_price);
        assumptions.push(Assumption { path: "routes_map".into(), text });
    }
    let mut vendors = vendor::active(document, &mut assumptions);
    backend::libraries(document, &mut vendors);
    let declared = !vendors.is_empty();
    if document.routes.is_empty() {
        vendors.clear();
    } else if !declared {
        vendors.extend(vendor::implied(document, &mut assumptions));
    }
    let found = native::infer(document, &prices, !vendors.is_empty());
    let limits = able::limits(document, &prices, &found);
    let mut routes = Vec::new();
    for (((route, price), native), limits) in document.routes.iter().zip(prices).zip(found.routes).zip(limits) {
        let implied = declared || (!vendors.is_empty() && vendor::fails(route));
        let said = route.backend.as_ref();
        let claim = claims::of(document, route);
        // Who gives codes out takes them back: nobody outside is known to.
        let codes = matches!(claim, Some(Claim::Code { .. })) && !declared;
        let outside = backend::outside(said).unwrap_or(implied && !codes);
        let under = native.as_ref().is_ok_and(|native| native.op == Op::Under);
        let asked = backend::asked(route, &vendors);
        let native = native.and_then(|native| limits.unkept.map_or(Ok(native), Err));
        let decided = backend::work(document, route, price, native.as_ref().ok(), asked.as_ref().err());
        let work = decided.unwrap_or_else(|| match native {
            // Whose it is can't be told of what the store takes no part in.
            native if outside => Work::Provider(native.ok()),
            Ok(native) if !under && limits.refusal.is_none() => Work::Native(native),
            refused => {
                let reason = refused.err().or(limits.refusal).unwrap_or_else(|| native::ALONE.into());
                special(document, route, claim.as_ref()).unwrap_or(Work::Missing(reason))
            }
        });
        // A claim is made on what is done for it, and the store's own routes have their own conflicts.
        let claim = claim.filter(|_| matches!(work, Work::Provider(_) | Work::Claim));
        let guarded = native::guarded(route) && work.backend() != Backend::Missing;
        if guarded && !document.env.iter().any(|name| name == "PRIM_INTERNAL_KEY") {
            let text = "wants x-internal-key while env lacks PRIM_INTERNAL_KEY, which is looked at nevertheless";
            assumptions.push(Assumption { path: route.place.clone(), text: text.into() });
        }
        if work == Work::Ports && !document.env.iter().any(|name| name == schema::PORTS) {
            let text = format!("asks for ports while env lacks {}, which is looked at nevertheless", schema::PORTS);
            assumptions.push(Assumption { path: route.place.clone(), text });
        }
        if route.method == Method::Get {
            let own: Vec<_> = route.path.hidden().collect();
            if !own.is_empty() {
                let text = format!("{route} does not answer {}, which every service does by itself", own.join(" and "));
                assumptions.push(Assumption { path: route.place.clone(), text });
            }
        }
        if asked.as_ref().is_ok_and(|asked| asked.library) && route.backend.is_none() && matches!(work, Work::Provider(_)) {
            let text = format!("{route} answers 501 until {} is written, since its provider is called by its library", route.operation);
            assumptions.push(Assumption { path: route.place.clone(), text });
        }
        let lacks = if matches!(work, Work::Native(_)) { limits.lacks } else { Vec::new() };
        assumptions.extend(lacks.iter().map(|name| Assumption {
            path: format!("{}.query_params", route.place),
            text: format!("{name} is no field of what is kept: a call with it answers 501"),
        }));
        // Bytes are not compared, and what is only read needs no memory.
        let repeats = route.idempotent == Some(true) && route.method != Method::Get && route.request != Body::Bytes;
        let repeats = repeats && work.backend() != Backend::Missing;
        routes.push(Planned {
            repeats,
            route,
            price,
            work,
            claim,
            guarded,
            lacks,
            asked: asked.unwrap_or_default(),
            fields: OnceCell::new(),
            sample: OnceCell::new(),
            mistyped: OnceCell::new(),
            missing: OnceCell::new(),
        });
    }
    // Of a library, what routes without a word for it call too.
    if let Some(first) = vendors.first_mut().filter(|vendor| !vendor.operations.is_empty()) {
        let bare = |planned: &&Planned<'_>| planned.route.backend.is_none() && matches!(planned.work, Work::Provider(_));
        routes.iter().filter(bare).filter_map(|planned| planned.asked.operation.as_ref()).for_each(|operation| first.calls(operation));
    }
    let mut collections = found.collections;
    for planned in &routes {
        // What a vendor made has the id that the vendor gave it.
        if let Work::Provider(Some(Native { op: Op::Create { .. } | Op::Upload, collection, .. })) = &planned.work
            && let Some(collection) = collections.get_mut(*collection)
        {
            collection.key.get_or_insert_with(|| "id".into());
        }
    }
    let keeps = routes.iter().any(|p| p.repeats || p.work.kept().is_some() || p.claim.is_some() || matches!(p.work, Work::Waits(..)));
    let data = keeps.then(|| {
        let declared = document.env.iter().find(|name| name.ends_with("_DB_PATH") || name.as_str() == "DB_PATH");
        declared.cloned().unwrap_or_else(|| {
            let made = format!("{}_DB_PATH", crate::prim::constant(document.id.as_str()));
            assumptions.push(Assumption { path: "env".into(), text: format!("names no file for its data, so {made}") });
            made
        })
    });
    let known = values::known(document);
    let mut plan = Plan { document, routes, collections, known, distinct: Vec::new(), vendors, declared, data, assumptions };
    plan.distinct = plan.distinct();
    let apart: Vec<_> = (0..plan.collections.len()).map(|collection| plan.apart(collection)).collect();
    for (collection, (apart, own)) in plan.collections.iter_mut().zip(apart) {
        (collection.apart, collection.own) = (apart, own);
    }
    let joined: Vec<_> = (0..plan.collections.len()).map(|collection| plan.joined(collection)).collect();
    plan.collections.iter_mut().zip(joined).for_each(|(collection, joined)| collection.joined = joined);
    let unowned: Vec<_> = (0..plan.collections.len()).map(|collection| plan.unowned(collection)).collect();
    plan.collections.iter_mut().zip(unowned).for_each(|(collection, unowned)| collection.unowned = unowned);
    let own: Vec<_> = (0..plan.collections.len()).map(|collection| shapes::own(&plan, collection)).collect();
    for (collection, (counts, changed)) in plan.collections.iter_mut().zip(own) {
        (collection.counts, collection.changed) = (counts, changed);
    }
    let lacking: Vec<_> = plan.routes.iter().filter_map(|planned| shapes::lacking(&plan, planned)).collect();
    plan.assumptions.extend(lacking);
    Ok(plan)
}

/// What answers a route that keeps nothing: a code that is redeemed, waits, a schema.
fn special(document: &Document, route: &Route, claim: Option<&Claim>) -> Option<Work> {
    if matches!(claim, Some(Claim::Code { .. })) {
        return Some(Work::Claim);
    }
    if let Some((turns, param)) = claims::waits(document, route) {
        return Some(Work::Waits(turns, param));
    }
    schema::of(document, route)
}

fn price(own: Option<RoutePrice>, document: &Document, options: &Options) -> RoutePrice {
    match own {
        Some(price) => price,
        None if document.free => RoutePrice::Free,
        None => RoutePrice::Of(options.default_price),
    }
}
