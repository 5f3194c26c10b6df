//! Whether an answer is as a test expects, and what it fills.

use std::collections::BTreeMap;

use super::{exchange::Answer, plan::{Plan, Test}, verdict::Outcome};

/// What is said of one answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// Pass or fail; Error where the answer broke off.
    pub outcome: Outcome,
    /// Why.
    pub note: Option<String>,
    /// What it fills, by variable.
    pub captures: BTreeMap<String, String>,
    /// Variables that it should have filled and did not.
    pub unfilled: Vec<String>,
}

/// Judges an answer by the rules of the plan's mode.
pub fn judge(plan: &Plan, test: &Test, variables: &BTreeMap<String, String>, answer: &Answer) -> Judgement {
    let _ = (plan, test, variables, answer);
    todo!()
}
