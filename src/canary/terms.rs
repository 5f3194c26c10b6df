//! What a request of the agent may cost: what the plan declares for the test that
//! is about the same route. A service can't ask an agent for more than that.

use std::collections::BTreeSet;

use super::{
    goals::{Segment, place, segments},
    reach::{Reach, Request},
};
use crate::suite::{Payment, Plan, Test};

/// What a request may cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Terms {
    /// Nothing.
    Free,
    /// What a test declares; where it declares nothing, what the run does.
    Paid(Option<Payment>),
}

/// The terms of a request. Of several tests that are about its route the one that
/// says most of its path is meant; a route that no test is about is paid by what the
/// run declares.
pub fn terms(plan: &Plan, reach: &Reach, request: &Request) -> Terms {
    let segments = segments(request);
    let literal = |test: &Test| {
        let (service, path) = place(&test.endpoint, reach, &BTreeSet::new())?;
        let one = |(expected, found): (&Segment, &String)| match expected {
            Segment::Literal(text) => text == found,
            Segment::Filled(_) | Segment::Any => !found.is_empty(),
        };
        let fits = service == request.service
            && test.method.eq_ignore_ascii_case(&request.method)
            && path.len() == segments.len()
            && path.iter().zip(&segments).all(one);
        fits.then(|| path.iter().filter(|segment| matches!(segment, Segment::Literal(_))).count())
    };
    let found: Vec<_> = plan.tests.iter().filter_map(|test| Some((literal(test)?, test))).collect();
    let most = found.iter().map(|(literals, _)| *literals).max();
    let about: Vec<_> = found.iter().filter(|(literals, _)| Some(*literals) == most).map(|(_, test)| *test).collect();
    // A test that expects to be asked for money pays none, and says nothing of others.
    let paying = |test: &&Test| !test.is_free() && !test.expected.status.contains(&402);
    match about.iter().copied().find(paying) {
        Some(test) => Terms::Paid(test.payment.clone()),
        None if !about.is_empty() && about.iter().all(|test| test.is_free()) => Terms::Free,
        None => Terms::Paid(None),
    }
}
