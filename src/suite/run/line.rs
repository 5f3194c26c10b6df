//! prim.sh's order: one test after the other, as the groups name them.

use std::collections::{BTreeMap, BTreeSet};

use super::Next;
use crate::suite::{
    exchange::Ticket,
    finding::Finding,
    plan::Plan,
    primsh::{self, Prepared},
    verdict::Outcome,
};

/// Where a run is.
#[derive(Debug)]
pub(super) struct Line {
    /// The groups' places.
    groups: Vec<usize>,
    /// The group's place and the test's.
    queue: Vec<(usize, usize)>,
    at: usize,
    /// Whether the one at `at` was sent.
    sent: bool,
    passed: BTreeMap<String, bool>,
    variables: BTreeMap<String, String>,
}

impl Line {
    pub fn new(plan: &Plan, group: Option<&str>, variables: BTreeMap<String, String>) -> Result<Self, Finding> {
        let groups = primsh::groups(plan, group)?;
        Ok(Self { queue: primsh::order(plan, &groups), groups, at: 0, sent: false, passed: BTreeMap::new(), variables })
    }

    pub fn next(&mut self, plan: &Plan) -> Next {
        let Some((_, test)) = self.queue.get(self.at).filter(|_| !self.sent).copied() else { return Next::Nothing };
        let ticket = Ticket(self.at);
        self.sent = true;
        match primsh::prepare(&plan.tests[test], &self.variables, |id| self.passed.get(id) == Some(&true)) {
            Prepared::Send(request) => Next::Send { ticket, test, request, variables: self.variables.clone() },
            Prepared::Done(outcome, note, blocked_by) => Next::Done { ticket, test, outcome, note, blocked_by },
        }
    }

    pub fn finished(&mut self, plan: &Plan, outcome: Outcome, captures: BTreeMap<String, String>) {
        if let Some((_, test)) = self.queue.get(self.at) {
            self.passed.insert(plan.tests[*test].id.clone(), outcome == Outcome::Pass);
        }
        self.variables.extend(captures);
        self.at += 1;
        self.sent = false;
    }

    pub fn stop(&mut self) -> Vec<(Ticket, usize)> {
        let rest = self.queue.iter().enumerate().skip(self.at).map(|(i, (_, test))| (Ticket(i), *test)).collect();
        self.at = self.queue.len();
        self.sent = false;
        rest
    }

    /// Tests that were not begun.
    pub fn left(&self) -> usize {
        (self.queue.len() - self.at).saturating_sub(usize::from(self.sent))
    }

    pub fn groups(&self) -> &[usize] {
        &self.groups
    }

    pub fn selection(&self) -> BTreeSet<usize> {
        self.queue.iter().map(|(_, test)| *test).collect()
    }

    pub fn group(&self, ticket: Ticket) -> Option<usize> {
        self.queue.get(ticket.0).map(|(group, _)| *group)
    }
}
