//! Where a service keeps what, and what of it a changed document finds no more, or finds
//! otherwise.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{
    native::{Native, Op},
    plan::{Plan, Planned},
};
use crate::prim::RoutePrice;

/// Things of one kind that a service keeps.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Kept {
    /// The path that they lie below, which together with `one` tells them from all others.
    pub home: String,
    /// Whether it is what there is one of there, and no items.
    pub one: bool,
    /// What they are called in code.
    pub noun: String,
    /// Below which path those lie that they lie within.
    pub within: Option<String>,
    /// The routes that are about them, by method and path with names of parameters left out.
    pub routes: BTreeMap<String, String>,
    /// Those of them that make what is not there, likewise.
    pub makes: BTreeSet<String>,
    /// Whether one is made by nobody who could be told: what that makes has no owner.
    pub unowned: bool,
    /// Whether their names and ids are whole numbers.
    pub numbers: bool,
}

impl Kept {
    fn place(&self) -> (&str, bool) {
        (&self.home, self.one)
    }

    /// What they are, for people.
    fn what(&self) -> String {
        if self.one { format!("what there is one of at {}", self.home) } else { format!("what lies below {}", self.home) }
    }
}

/// What a plan keeps, by where it lies.
pub(super) fn of(plan: &Plan<'_>) -> Vec<Kept> {
    let key = |planned: &Planned<'_>| format!("{} {}", planned.route.method, planned.route.path.key());
    let mut kept: Vec<_> = plan
        .collections
        .iter()
        .map(|collection| Kept {
            home: collection.home.clone(),
            noun: collection.name.clone(),
            within: collection.within.and_then(|outer| plan.collections.get(outer)).map(|outer| outer.home.clone()),
            numbers: collection.numbers,
            ..Kept::default()
        })
        .collect();
    for planned in &plan.routes {
        let Some(native) = planned.work.kept() else { continue };
        let Some(kept) = kept.get_mut(native.collection) else { continue };
        kept.routes.insert(key(planned), planned.route.to_string());
        kept.one |= matches!(native.op, Op::Part | Op::SetPart { .. } | Op::Unset);
        if native.op.makes() {
            kept.makes.insert(key(planned));
            kept.unowned |= is_unowned(planned, native);
        }
    }
    kept.retain(|kept| !kept.routes.is_empty());
    kept.sort_by(|a, b| a.place().cmp(&b.place()));
    kept
}

/// Whether what a route makes has no owner: nobody pays for it, and nothing is signed.
pub(super) fn is_unowned(planned: &Planned<'_>, native: &Native) -> bool {
    native.op.makes() && planned.price == RoutePrice::Free && !matches!(native.op, Op::Create { signed: Some(_) })
}

/// What was kept before and is found no more, for people: the service still has it.
///
/// ```
/// use flywheel::scaffold::{Kept, lost};
/// let route = "GET /v1/notes".to_owned();
/// let notes = Kept { home: "/v1/notes".into(), noun: "note".into(), routes: [(route.clone(), route)].into(), ..Kept::default() };
/// let before = [notes];
/// assert_eq!(lost(&before, &before).len(), 0);
/// assert!(lost(&before, &[])[0].contains("GET /v1/notes"));
/// ```
pub fn lost(before: &[Kept], now: &[Kept]) -> Vec<String> {
    let places = places(now);
    let led: BTreeMap<&str, &Kept> = now.iter().flat_map(|is| is.routes.keys().map(move |key| (key.as_str(), is))).collect();
    let mut told = Vec::new();
    for was in before {
        let (noun, what) = (&was.noun, was.what());
        let Some(is) = places.get(&was.place()) else {
            let routes: Vec<_> = was.routes.values().map(String::as_str).collect();
            let nothing = if was.one { format!("nothing is kept at {}", was.home) } else { format!("nothing is kept below {}", was.home) };
            told.push(format!("{noun}: {nothing} any more, and what is there is found no more: it was by {}", routes.join(", ")));
            continue;
        };
        if is.within != was.within {
            let within = |kept: &Kept| kept.within.as_ref().map_or("nothing".to_owned(), |outer| format!("what lies below {outer}"));
            told.push(format!(
                "{noun}: {what} lies within {} now, and was within {}: what was kept so is found no more",
                within(is),
                within(was)
            ));
            continue;
        }
        for (key, route) in &was.routes {
            if let Some(other) = led.get(key.as_str()).filter(|other| other.place() != was.place()) {
                told.push(format!("{noun}: {route} is about {} now, and was about {what}: that is found by it no more", other.what()));
            }
        }
    }
    told
}

/// What was kept before and is found still, but otherwise than before, for people.
pub fn altered(before: &[Kept], now: &[Kept]) -> Vec<String> {
    let places = places(now);
    let mut told = Vec::new();
    for was in before {
        let Some(is) = places.get(&was.place()) else { continue };
        let (noun, what) = (&was.noun, was.what());
        if was.unowned && !is.unowned {
            told.push(format!(
                "{noun}: making {what} was free, so that what is there has no owner: no wallet that pays now is listed it, or changes or removes it"
            ));
        }
        if was.numbers != is.numbers {
            let (are, were) = if is.numbers { ("whole numbers", "texts") } else { ("texts", "whole numbers") };
            told.push(format!(
                "{noun}: ids of {what} are {are} now, and were {were}: what is there keeps its own, and is answered with it"
            ));
        }
        for (key, route) in was.routes.iter().filter(|(key, _)| was.makes.contains(*key) && !is.makes.contains(*key)) {
            if is.routes.contains_key(key) {
                told.push(format!("{noun}: {route} made what was not there, and is about what is there alone now"));
            }
        }
    }
    told
}

fn places(kept: &[Kept]) -> BTreeMap<(&str, bool), &Kept> {
    kept.iter().map(|kept| (kept.place(), kept)).collect()
}
