//! One run of a plan, as a machine that is told of answers and says what to send
//! next. It waits for nothing and reads no clock: who has it sends each [`Task`],
//! in any number at once, and hands back what came of it.

use std::collections::BTreeMap;

use super::{
    exchange::{Answer, Spent, Task, Ticket, Trouble},
    finding::Finding,
    plan::Plan,
    secrets::Secrets,
    verdict::TestResult,
};

/// One run of a plan.
#[derive(Debug)]
pub struct Run<'p> {
    plan: &'p Plan,
    secrets: Secrets,
    results: Vec<TestResult>,
}

impl<'p> Run<'p> {
    /// A run of all groups but those that only a canary runs, or of one and whatever
    /// it depends on. Seeds are variables by name. It is an error where there is no
    /// such group, or where tests depend on each other in a circle.
    pub fn new(plan: &'p Plan, group: Option<&str>, seeds: BTreeMap<String, String>, secrets: Secrets) -> Result<Self, Vec<Finding>> {
        let _ = (group, seeds);
        Ok(Self { plan, secrets, results: Vec::new() })
    }

    /// What to send next; none while nothing is ready. prim.sh's way has one at a time.
    pub fn next(&mut self) -> Option<Task> {
        let _ = (self.plan, &self.secrets);
        todo!()
    }

    /// Takes an answer. If the test is to be tried again, says after how many milliseconds
    /// [`Run::again`] is to be asked for it.
    pub fn answered(&mut self, ticket: Ticket, answer: &Answer, spent: Spent) -> Option<u64> {
        let _ = (ticket, answer, spent);
        todo!()
    }

    /// Takes that there is no answer; otherwise as [`Run::answered`].
    pub fn broke(&mut self, ticket: Ticket, trouble: &Trouble, spent: Spent) -> Option<u64> {
        let _ = (ticket, trouble, spent);
        todo!()
    }

    /// The next try of a test.
    pub fn again(&mut self, ticket: Ticket) -> Task {
        let _ = ticket;
        todo!()
    }

    /// Ends the run: what is under way has no answer, and the rest is blocked.
    pub fn stop(&mut self, why: &str) {
        let _ = why;
        todo!()
    }

    /// Whether every test has a result.
    pub fn is_done(&self) -> bool {
        todo!()
    }

    /// Results in the order in which they came: look again after each call for new ones.
    pub fn results(&self) -> &[TestResult] {
        &self.results
    }

    /// Results in the order of the plan's groups; with prim.sh's way in the order in
    /// which they came.
    pub fn into_results(self) -> Vec<TestResult> {
        self.results
    }
}
