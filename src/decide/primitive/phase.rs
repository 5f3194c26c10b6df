//! How far a primitive is whose package is on the base branch and may run, from what
//! is said of it and what it was. What was reached stays while a successor is on its
//! way; what was Live and is red is Degraded.

use std::time::Duration;

use super::{
    draft::Draft,
    gates,
    seen::{Outside, Rollout},
    stage,
};
use crate::{
    api::{
        conditions::{ConditionType, Truth},
        primitive::{Phase, Stage},
    },
    decide::waits::age,
};

/// How long a pod may be on its way from one node to another.
const DOWN: Duration = Duration::from_secs(60);

pub(super) fn judge(draft: &mut Draft<'_>) {
    let was = draft.seen.previous.phase;
    let wanted = stage(draft.seen);
    let red = if wanted == Stage::Live { red(draft) } else { None };
    let said = Said { contract: draft.says(ConditionType::ContractPassed), all: draft.passed, red: red.is_some() };
    let phase = of(wanted, was, said);
    draft.status.phase = Some(phase);
    match (phase, red) {
        (Phase::Live, _) if draft.passed => draft.reach("Live"),
        (Phase::Degraded, Some(kind)) => draft.degraded(kind),
        _ => {}
    }
}

/// What a phase follows from.
#[derive(Clone, Copy)]
struct Said {
    /// Whether what should run passed layer 2, where that was looked at.
    contract: Option<Truth>,
    /// It runs, answers, and passed every layer that its stage asks for.
    all: bool,
    /// A gate or the probe says that it is not as it should be.
    red: bool,
}

fn of(stage: Stage, was: Option<Phase>, said: Said) -> Phase {
    let was_live = stage == Stage::Live && matches!(was, Some(Phase::Live | Phase::Degraded));
    match (said.contract, was) {
        _ if stage == Stage::Live && said.all => Phase::Live,
        _ if was_live && said.red => Phase::Degraded,
        // It goes on as it is until its gates have spoken.
        (_, Some(was)) if was_live => was,
        (Some(Truth::True), _) => Phase::Testing,
        // Of Live, where its stage is lower by now.
        (None | Some(Truth::Unknown), Some(Phase::Testing | Phase::Live | Phase::Degraded)) => Phase::Testing,
        _ => Phase::Building,
    }
}

/// What is red of a running service. While its version is being replaced nobody is
/// expected to answer in each moment.
fn red(draft: &Draft<'_>) -> Option<ConditionType> {
    let is = |kind| draft.says(kind) == Some(Truth::False);
    let layers = draft.seen.factory.as_ref().map(|factory| gates::layers(Stage::Live, &factory.gates)).unwrap_or_default();
    let gate = layers.into_iter().map(gates::condition).find(|kind| is(*kind));
    let probe = Some(ConditionType::Serving).filter(|kind| is(*kind) && !is(ConditionType::Deployed));
    let down = Some(ConditionType::Deployed).filter(|kind| is_down(draft) && age(draft.since_false(*kind), draft.now.at) >= DOWN);
    gate.or(down).or(probe)
}

/// Whether its newest version ran, and does not now.
fn is_down(draft: &Draft<'_>) -> bool {
    matches!(&draft.seen.outside, Outside::Wanted(deployment) if !deployment.running.differs && matches!(deployment.running.rollout, Rollout::Down(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_follow_from_what_was_and_what_is_said() {
        use Phase::{Building, Degraded, Live, Testing};
        use Truth::{False, True, Unknown};
        let t = |contract, all, red| Said { contract, all, red };
        for (stage, was, said, expected) in [
            (Stage::Testing, None, t(None, false, false), Building),
            (Stage::Testing, Some(Building), t(Some(Unknown), false, false), Building),
            (Stage::Testing, Some(Building), t(Some(True), true, false), Testing),
            (Stage::Testing, Some(Testing), t(None, false, false), Testing),
            (Stage::Testing, Some(Testing), t(Some(Unknown), false, false), Testing),
            (Stage::Testing, Some(Testing), t(Some(False), false, true), Building),
            (Stage::Testing, Some(Live), t(Some(True), true, false), Testing),
            (Stage::Testing, Some(Degraded), t(Some(False), false, true), Building),
            (Stage::Live, Some(Building), t(Some(True), false, false), Testing),
            (Stage::Live, Some(Testing), t(Some(True), true, false), Live),
            (Stage::Live, Some(Testing), t(Some(True), false, true), Testing),
            (Stage::Live, Some(Testing), t(Some(False), false, true), Building),
            (Stage::Live, Some(Live), t(Some(True), false, true), Degraded),
            (Stage::Live, Some(Live), t(Some(False), false, true), Degraded),
            (Stage::Live, Some(Live), t(None, false, false), Live),
            (Stage::Live, Some(Live), t(Some(Unknown), false, false), Live),
            (Stage::Live, Some(Degraded), t(Some(Unknown), false, false), Degraded),
            (Stage::Live, Some(Degraded), t(Some(True), false, false), Degraded),
            (Stage::Live, Some(Degraded), t(Some(True), true, false), Live),
            (Stage::Live, Some(Degraded), t(Some(False), false, true), Degraded),
        ] {
            assert_eq!(of(stage, was, said), expected, "{stage:?} {was:?} {:?} {} {}", said.contract, said.all, said.red);
        }
    }
}
