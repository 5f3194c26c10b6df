//! Invariants over every decision. They run on each pass, in production too: a
//! decision that breaks one is not applied, and the object says `InternalError`.

use std::collections::BTreeSet;

use super::Decision;
use crate::api::conditions::{ConditionType, Truth};

/// A broken invariant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// An irreversible action is not the last one.
    #[error("the irreversible action {0} is not the last one")]
    IrreversibleNotLast(&'static str),
    /// Two conditions of one type.
    #[error("two conditions of type {0}")]
    Repeated(&'static str),
    /// No `Ready` condition.
    #[error("no Ready condition")]
    NoReady,
    /// kstatus: `Ready=True` beside `Reconciling` or `Stalled`.
    #[error("Ready is True beside {0}")]
    ReadyBut(&'static str),
    /// An object that is not ready says neither that it is worked on nor that it
    /// is stuck.
    #[error("not Ready, and neither Reconciling nor Stalled")]
    Mute,
    /// `Reconciling` and `Stalled` at once.
    #[error("both Reconciling and Stalled")]
    Both,
    /// A condition that says nothing.
    #[error("condition {0} has no message")]
    NoMessage(&'static str),
    /// The next pass would follow at once, for ever.
    #[error("looks again without a pause")]
    NoPause,
}

/// The first broken invariant of `decision`.
pub fn check<S>(decision: &Decision<S>) -> Result<(), Violation> {
    let last = decision.actions.len().saturating_sub(1);
    if let Some(action) = decision.actions.iter().take(last).find(|a| a.irreversible()) {
        return Err(Violation::IrreversibleNotLast(action.name()));
    }
    let mut types = BTreeSet::new();
    for statement in &decision.statements {
        let name = statement.kind.as_str();
        if !types.insert(name) {
            return Err(Violation::Repeated(name));
        }
        if statement.message.is_empty() {
            return Err(Violation::NoMessage(name));
        }
    }
    let is = |kind| decision.statements.iter().find(|s| s.kind == kind).map(|s| s.status);
    let ready = is(ConditionType::Ready).ok_or(Violation::NoReady)?;
    let reconciling = is(ConditionType::Reconciling) == Some(Truth::True);
    let stalled = is(ConditionType::Stalled) == Some(Truth::True);
    match (ready, reconciling, stalled) {
        (Truth::True, true, _) => Err(Violation::ReadyBut("Reconciling")),
        (Truth::True, _, true) => Err(Violation::ReadyBut("Stalled")),
        (_, true, true) => Err(Violation::Both),
        (Truth::False | Truth::Unknown, false, false) => Err(Violation::Mute),
        _ if decision.again.is_zero() => Err(Violation::NoPause),
        _ => Ok(()),
    }
}
