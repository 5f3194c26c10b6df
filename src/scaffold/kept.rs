//! Where a service keeps what, and what of it a changed document finds no more.

use std::collections::BTreeMap;

use serde::Serialize;

use super::plan::Plan;

/// Things of one kind that a service keeps.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Kept {
    /// What they are called in code.
    pub noun: String,
    /// Below which path those lie that they lie within.
    pub within: Option<String>,
    /// The routes that are about them.
    pub routes: Vec<String>,
}

/// What a plan keeps, by the paths that it lies below.
pub(super) fn of(plan: &Plan<'_>) -> BTreeMap<String, Kept> {
    let kept = plan.collections.iter().enumerate().map(|(at, collection)| {
        let within = collection.within.and_then(|outer| plan.collections.get(outer)).map(|outer| outer.home.clone());
        let routes = plan.of(at).map(|planned| planned.route.to_string()).collect();
        (collection.home.clone(), Kept { noun: collection.name.clone(), within, routes })
    });
    kept.filter(|(_, kept)| !kept.routes.is_empty()).collect()
}

/// What was kept before and is found no more, for people: the service still has it.
///
/// ```
/// use flywheel::scaffold::{Kept, lost};
/// let notes = Kept { noun: "note".into(), routes: vec!["GET /v1/notes".into()], within: None };
/// let before = [("/v1/notes".to_owned(), notes)].into();
/// assert_eq!(lost(&before, &before).len(), 0);
/// assert!(lost(&before, &[].into())[0].contains("GET /v1/notes"));
/// ```
pub fn lost(before: &BTreeMap<String, Kept>, now: &BTreeMap<String, Kept>) -> Vec<String> {
    let told = |(home, was): (&String, &Kept)| {
        let noun = &was.noun;
        match now.get(home) {
            None => Some(format!(
                "{noun}: nothing is kept below {home} any more, and what is there is found no more: it was by {}",
                was.routes.join(", ")
            )),
            Some(is) if is.within != was.within => {
                let within = |kept: &Kept| kept.within.as_ref().map_or("nothing".to_owned(), |outer| format!("what lies below {outer}"));
                Some(format!(
                    "{noun}: what lies below {home} lies within {} now, and was within {}: what was kept so is found no more",
                    within(is),
                    within(was)
                ))
            }
            Some(_) => None,
        }
    };
    before.iter().filter_map(told).collect()
}
