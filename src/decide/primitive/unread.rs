//! A primitive that was Ready, while nobody can read what the base branch has: a
//! controller that started anew while the forge is down. What was found good stands,
//! as long as its name answers.

use super::{
    draft::Draft,
    naming,
    seen::{Base, Package, Probed, Seen},
};
use crate::{
    api::{
        conditions::{self, ConditionType, Reason, Statement, Truth},
        primitive::{Phase, PrimitiveStatus},
    },
    decide::{Decision, retry, waits::HELD},
    ports::error::PortError,
};

/// What is said as it was said before: nothing of it can be looked at.
const KEPT: [ConditionType; 9] = [
    ConditionType::DocumentWritten,
    ConditionType::Deployed,
    ConditionType::Routed,
    ConditionType::NameReady,
    ConditionType::ContractPassed,
    ConditionType::CanaryPassed,
    ConditionType::CleanRoomPassed,
    ConditionType::EnvironmentComplete,
    ConditionType::SpecOutdated,
];

/// Why the base branch can't be read, where what was Ready before stands meanwhile:
/// its spec is the same, and nobody has found anything wrong.
pub fn stands(seen: &Seen) -> Option<&PortError> {
    let error = match &seen.base {
        Err(error) | Ok(Base { package: Some(Package { content: Err(error), .. }), .. }) => error,
        Ok(_) => return None,
    };
    let ready = kept(&seen.previous, ConditionType::Ready).is_some_and(|statement| statement.status == Truth::True);
    let same = seen.unchanged && !seen.deleting && seen.document.is_ok() && seen.factory.is_some();
    (!retry::stalls(error.class) && ready && same).then_some(error)
}

pub(super) fn decide(mut draft: Draft<'_>, error: &PortError, probed: Option<&Probed>) -> Decision<PrimitiveStatus> {
    let previous = &draft.seen.previous;
    for statement in KEPT.into_iter().filter_map(|kind| kept(previous, kind)) {
        draft.advise(statement);
    }
    let message = format!("the base branch can't be read now, and what it had goes on: {}", error.message);
    draft.good(ConditionType::Merged, Reason::Merged, message);
    if let Some(probed) = probed {
        let answers = naming::probe(&mut draft, probed, previous.url.as_deref().unwrap_or("its name"), false);
        if !answers && previous.phase == Some(Phase::Live) && !matches!(probed, Probed::NotTried) {
            draft.status.phase = Some(Phase::Degraded);
            draft.degraded(ConditionType::Serving);
        }
    }
    // The Factory looks at the forge, and its recovery starts a pass.
    draft.look_again(HELD);
    let ready = kept(previous, ConditionType::Ready).map(|statement| statement.message).unwrap_or_default();
    draft.finish(&ready)
}

/// What was said before.
fn kept(previous: &PrimitiveStatus, kind: ConditionType) -> Option<Statement> {
    let said = conditions::find(&previous.conditions, kind)?;
    let status = match said.status.as_str() {
        "True" => Truth::True,
        "False" => Truth::False,
        _ => Truth::Unknown,
    };
    let reason = Reason::ALL.iter().copied().find(|reason| reason.as_str() == said.reason)?;
    Some(Statement::new(kind, status, reason, said.message.clone()))
}
