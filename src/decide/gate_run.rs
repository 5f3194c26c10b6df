//! What a GateRun's Job comes to. A verdict is final: it lives in the status, and
//! not in whether the Job is still there.

use std::time::Duration;

use super::{Action, Decision, GateObjects, factory::Now, retry};
use crate::{
    api::{
        conditions::{ConditionType, Reason, Statement, Truth},
        gate_run::{GateRunStatus, StepResult, Verdict},
    },
    ports::error::PortError,
};

/// How often a Job is looked at that nothing is heard of; its changes poke.
const POLL: Duration = Duration::from_secs(30);

/// Everything a decision about a GateRun looks at.
#[derive(Debug)]
pub struct Seen {
    /// What was said last time.
    pub previous: GateRunStatus,
    /// Name of the Job, in the gates' namespace.
    pub job: String,
    /// What the Job is made of; not looked at once there is a verdict.
    pub objects: Result<Box<GateObjects>, PortError>,
    /// The Job.
    pub run: Run,
}

/// A gate's Job.
#[derive(Clone, Debug, PartialEq)]
pub enum Run {
    /// There is none.
    Absent,
    /// It has not ended. The text says what it does, in Kubernetes' words.
    Going(String),
    /// It ended.
    Over(Outcome),
}

/// How a Job ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// What it came to.
    pub verdict: Verdict,
    /// One line per step.
    pub results: Vec<StepResult>,
    /// Why, where it did not pass.
    pub message: String,
}

impl Outcome {
    /// A run that broke before it came to a verdict.
    pub fn broken(message: impl Into<String>) -> Self {
        Self { verdict: Verdict::Error, results: Vec::new(), message: message.into() }
    }
}

/// Decides.
pub fn decide(seen: &Seen, now: Now) -> Decision<GateRunStatus> {
    if seen.previous.verdict.is_some() {
        return said_before(seen, now);
    }
    match &seen.run {
        Run::Over(outcome) => over(seen, outcome.clone(), now),
        Run::Going(doing) => going(seen, doing),
        // It was made and is gone: whoever removed it took the evidence along.
        Run::Absent if seen.previous.job.is_some() => over(seen, Outcome::broken("the Job was removed before it came to a verdict"), now),
        Run::Absent => begin(seen, now),
    }
}

/// The verdict stands, and so does what was said of it.
fn said_before(seen: &Seen, now: Now) -> Decision<GateRunStatus> {
    let verdict = seen.previous.verdict.unwrap_or(Verdict::Error);
    let message = seen.previous.conditions.iter().find(|c| c.type_ == ConditionType::Ready.as_str()).map(|c| c.message.clone());
    let status = GateRunStatus { conditions: Vec::new(), observed_generation: None, ..seen.previous.clone() };
    Decision { actions: Vec::new(), status, statements: statements(verdict, &message.unwrap_or_default()), again: now.resync }
}

fn begin(seen: &Seen, now: Now) -> Decision<GateRunStatus> {
    match &seen.objects {
        Ok(objects) => Decision {
            actions: vec![Action::CreateGate(objects.clone())],
            status: GateRunStatus { job: Some(seen.job.clone()), ..GateRunStatus::default() },
            statements: retry::not_ready(false, Reason::Running, "the Job is being made").into(),
            again: POLL,
        },
        Err(error) => Decision {
            actions: Vec::new(),
            status: GateRunStatus::default(),
            statements: retry::not_ready_because(error).into(),
            again: retry::delay(error.class, None, now.at),
        },
    }
}

fn going(seen: &Seen, doing: &str) -> Decision<GateRunStatus> {
    Decision {
        actions: Vec::new(),
        status: GateRunStatus { job: Some(seen.job.clone()), ..GateRunStatus::default() },
        statements: retry::not_ready(false, Reason::Running, doing).into(),
        again: POLL,
    }
}

fn over(seen: &Seen, outcome: Outcome, now: Now) -> Decision<GateRunStatus> {
    let statements = statements(outcome.verdict, &outcome.message);
    let status =
        GateRunStatus { verdict: Some(outcome.verdict), results: outcome.results, job: Some(seen.job.clone()), ..GateRunStatus::default() };
    Decision { actions: Vec::new(), status, statements, again: now.resync }
}

/// A run that did not pass is Stalled: nothing more happens to it by itself, and
/// GitOps tools show it as what it is.
fn statements(verdict: Verdict, message: &str) -> Vec<Statement> {
    let reason = match verdict {
        Verdict::Passed => Reason::Passed,
        Verdict::Failed => Reason::Failed,
        Verdict::Blocked => Reason::Blocked,
        Verdict::Error => Reason::Broken,
    };
    let message = if message.is_empty() { "everything required was shown" } else { message };
    match verdict {
        Verdict::Passed => vec![Statement::new(ConditionType::Ready, Truth::True, reason, message)],
        Verdict::Failed | Verdict::Blocked | Verdict::Error => retry::not_ready(true, reason, message).into(),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use k8s_openapi::{
        api::{batch::v1::Job, core::v1::ConfigMap},
        apimachinery::pkg::apis::meta::v1::{Condition, Time},
    };

    use super::*;
    use crate::{decide::audit, ports::error::Class};

    const NOW: Now = Now { at: Timestamp::UNIX_EPOCH, resync: Duration::from_secs(600) };

    fn seen(run: Run) -> Seen {
        let objects = GateObjects { config: ConfigMap::default(), job: Job::default() };
        Seen { previous: GateRunStatus::default(), job: "gate-x".into(), objects: Ok(Box::new(objects)), run }
    }

    fn ready(decision: &Decision<GateRunStatus>) -> (Truth, Reason) {
        audit::check(decision).expect("sound");
        decision.statements.iter().find(|s| s.kind == ConditionType::Ready).map(|s| (s.status, s.reason)).expect("Ready")
    }

    #[test]
    fn a_job_is_made_once_and_its_name_is_kept() {
        let decision = decide(&seen(Run::Absent), NOW);
        assert_eq!(decision.actions.len(), 1);
        assert_eq!(decision.status.job.as_deref(), Some("gate-x"));
        assert_eq!(ready(&decision), (Truth::False, Reason::Running));

        let mut gone = seen(Run::Absent);
        gone.previous = decision.status;
        let decision = decide(&gone, NOW);
        assert!(decision.actions.is_empty(), "a Job that somebody removed is not made again");
        assert_eq!(decision.status.verdict, Some(Verdict::Error));
    }

    #[test]
    fn every_verdict_is_said_and_final() {
        for (verdict, truth, reason) in [
            (Verdict::Passed, Truth::True, Reason::Passed),
            (Verdict::Failed, Truth::False, Reason::Failed),
            (Verdict::Blocked, Truth::False, Reason::Blocked),
            (Verdict::Error, Truth::False, Reason::Broken),
        ] {
            let outcome = Outcome { verdict, results: Vec::new(), message: "because".into() };
            let first = decide(&seen(Run::Over(outcome)), NOW);
            assert_eq!(ready(&first), (truth, reason));

            // The Job is gone by its time to live; the verdict stays.
            let mut later = seen(Run::Absent);
            later.previous = first.status.clone();
            later.previous.conditions =
                first.statements.iter().map(|s| s.to_condition(None, None, &Time(Timestamp::UNIX_EPOCH))).collect::<Vec<Condition>>();
            let second = decide(&later, NOW);
            assert_eq!((second.status.verdict, &second.statements), (Some(verdict), &first.statements));
            assert!(second.actions.is_empty());
        }
    }

    #[test]
    fn inputs_that_can_not_be_used_make_no_job() {
        let mut wrong = seen(Run::Absent);
        wrong.objects = Err(PortError::new(Class::Invalid, Reason::Invalid, "spec.target: nothing there"));
        let decision = decide(&wrong, NOW);
        assert!(decision.actions.is_empty() && decision.status.job.is_none());
        assert_eq!(ready(&decision), (Truth::False, Reason::Invalid));
    }
}
