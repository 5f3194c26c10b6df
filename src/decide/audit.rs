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
    /// `Ready=True` beside a part that is not known to be good.
    #[error("Ready is True although {0} is not")]
    ReadyDespite(&'static str),
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
        (Truth::True, false, false) if let Some(part) = not_good(decision) => Err(Violation::ReadyDespite(part)),
        (Truth::False | Truth::Unknown, false, false) => Err(Violation::Mute),
        _ if decision.again.is_zero() => Err(Violation::NoPause),
        _ => Ok(()),
    }
}

/// A part that `Ready` sums up and that is not known to be good. What only
/// advises is none.
fn not_good<S>(decision: &Decision<S>) -> Option<&'static str> {
    let advisory = [
        ConditionType::Reconciling,
        ConditionType::Stalled,
        // Polling does its work.
        ConditionType::WebhookReady,
        ConditionType::PackagesAdopted,
        ConditionType::CatalogueCurrent,
        ConditionType::EnvironmentComplete,
        ConditionType::SpecOutdated,
    ];
    decision.statements.iter().find(|s| s.status != Truth::True && !advisory.contains(&s.kind)).map(|s| s.kind.as_str())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        api::conditions::{Reason, Statement},
        decide::Action,
        ports::forge::Label,
    };

    fn decision(statements: &[(ConditionType, Truth)]) -> Decision<()> {
        Decision {
            actions: Vec::new(),
            status: (),
            statements: statements.iter().map(|&(kind, status)| Statement::new(kind, status, Reason::Waiting, "why")).collect(),
            again: Duration::from_secs(1),
        }
    }

    #[test]
    fn every_violation_is_found() {
        use ConditionType::{DnsReady, Ready, Reconciling, Stalled, WebhookReady};
        use Truth::{False, True, Unknown};
        type Row = (&'static [(ConditionType, Truth)], Result<(), Violation>);
        let rows: [Row; 12] = [
            (&[(Ready, True)], Ok(())),
            (&[(Ready, True), (DnsReady, True), (WebhookReady, False)], Ok(())),
            (&[(Ready, False), (Reconciling, True), (DnsReady, False)], Ok(())),
            (&[(Ready, Unknown), (Stalled, True)], Ok(())),
            (&[(DnsReady, True)], Err(Violation::NoReady)),
            (&[(Ready, True), (DnsReady, False)], Err(Violation::ReadyDespite("DnsReady"))),
            (&[(Ready, True), (DnsReady, Unknown)], Err(Violation::ReadyDespite("DnsReady"))),
            (&[(Ready, True), (Reconciling, True)], Err(Violation::ReadyBut("Reconciling"))),
            (&[(Ready, True), (Stalled, True)], Err(Violation::ReadyBut("Stalled"))),
            (&[(Ready, False), (Stalled, True), (Reconciling, True)], Err(Violation::Both)),
            (&[(Ready, False), (Reconciling, False)], Err(Violation::Mute)),
            (&[(Ready, True), (DnsReady, True), (DnsReady, True)], Err(Violation::Repeated("DnsReady"))),
        ];
        for (statements, expected) in rows {
            assert_eq!(check(&decision(statements)), expected, "{statements:?}");
        }
    }

    #[test]
    fn a_decision_pauses_and_every_condition_has_a_message() {
        let mut silent = decision(&[(ConditionType::Ready, Truth::True)]);
        silent.statements[0].message.clear();
        assert_eq!(check(&silent), Err(Violation::NoMessage("Ready")));
        let hasty = Decision { again: Duration::ZERO, ..decision(&[(ConditionType::Ready, Truth::True)]) };
        assert_eq!(check(&hasty), Err(Violation::NoPause));
    }

    #[test]
    fn harmless_actions_may_come_in_any_number() {
        let label = Label { name: "a".into(), color: "ffffff".into(), description: String::new() };
        let busy = Decision { actions: vec![Action::CreateLabel(label); 3], ..decision(&[(ConditionType::Ready, Truth::True)]) };
        assert_eq!(check(&busy), Ok(()));
    }
}
