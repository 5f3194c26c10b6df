//! What each route costs and what answers it. Money fails closed: a route has
//! its own price, or its document says that all of it is free, or it costs the
//! default; there is no fourth way.

use super::{
    manifest::Manifest,
    native::{self, Native},
    render,
    vendor::{self, Vendor},
};
use crate::prim::{Assumption, Document, Price, Problem, Route, RoutePrice};

/// What a document leaves to whoever scaffolds it.
#[derive(Clone, Debug)]
pub struct Options {
    /// What a route of a paid document costs where it has no price of its own.
    pub default_price: Price,
}

/// What answers a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backend {
    /// The service's own store.
    Native,
    /// The vendor, through `src/provider.ts`.
    Provider,
    /// Nothing yet: 501.
    Missing,
}

/// A route with everything decided.
pub(super) struct Planned<'a> {
    pub route: &'a Route,
    pub price: RoutePrice,
    pub work: Work,
    /// Whether the internal key must come with it.
    pub guarded: bool,
}

/// What a handler does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Work {
    Native(Native),
    Provider,
    Missing(String),
}

impl Work {
    pub fn backend(&self) -> Backend {
        match self {
            Self::Native(_) => Backend::Native,
            Self::Provider => Backend::Provider,
            Self::Missing(_) => Backend::Missing,
        }
    }
}

impl Backend {
    /// Its name in a summary.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Provider => "provider",
            Self::Missing => "missing",
        }
    }
}

/// A document with everything decided.
pub(super) struct Plan<'a> {
    pub document: &'a Document,
    /// In the document's order.
    pub routes: Vec<Planned<'a>>,
    pub vendor: Option<Vendor>,
    /// The variable that names the store's file.
    pub data: Option<String>,
    pub assumptions: Vec<Assumption>,
}

/// The files of a document's package.
pub fn manifest(document: &Document, options: &Options) -> Result<Manifest, Vec<Problem>> {
    render::package(&plan(document, options)).map_err(|text| vec![Problem { path: String::new(), text }])
}

fn plan<'a>(document: &'a Document, options: &Options) -> Plan<'a> {
    let mut assumptions = document.assumptions.clone();
    let prices: Vec<_> = document.routes.iter().map(|route| price(route, document, options)).collect();
    let unpriced = document.routes.iter().filter(|route| route.price.is_none()).count();
    if unpriced > 0 && !document.free {
        let text = format!("{unpriced} of {} routes have no price of their own, so {}", document.routes.len(), options.default_price);
        assumptions.push(Assumption { path: "routes_map".into(), text });
    }
    let vendor = vendor::active(document, &mut assumptions).filter(|_| !document.routes.is_empty());
    let work: Vec<_> = match vendor {
        Some(_) => document.routes.iter().map(|_| Work::Provider).collect(),
        None => native::infer(document, &prices).into_iter().map(|found| found.map_or_else(Work::Missing, Work::Native)).collect(),
    };
    let mut routes = Vec::new();
    for ((route, price), work) in document.routes.iter().zip(prices).zip(work) {
        let guarded = native::guarded(route) && !matches!(work, Work::Missing(_));
        if guarded && !document.env.iter().any(|name| name == "PRIM_INTERNAL_KEY") {
            let text = "speaks of x-internal-key while env lacks PRIM_INTERNAL_KEY, which is looked at nevertheless";
            assumptions.push(Assumption { path: route.place.clone(), text: text.into() });
        }
        routes.push(Planned { route, price, work, guarded });
    }
    let keeps = routes.iter().any(|planned| planned.work.backend() == Backend::Native);
    let data = keeps.then(|| {
        let declared = document.env.iter().find(|name| name.ends_with("_DB_PATH") || name.as_str() == "DB_PATH");
        declared.cloned().unwrap_or_else(|| {
            let made = format!("{}_DB_PATH", crate::prim::constant(document.id.as_str()));
            assumptions.push(Assumption { path: "env".into(), text: format!("names no file for its data, so {made}") });
            made
        })
    });
    Plan { document, routes, vendor, data, assumptions }
}

fn price(route: &Route, document: &Document, options: &Options) -> RoutePrice {
    match route.price {
        Some(price) => price,
        None if document.free => RoutePrice::Free,
        None => RoutePrice::Of(options.default_price),
    }
}
