//! What a GateRun's Job comes to. A verdict is final: it lives in the status, and
//! not in whether the Job is still there.

mod change;
mod queue;
mod report;

use std::time::Duration;

pub use self::{
    change::{Derived, judge, judge_derived},
    queue::{Queue, held, is_queued},
    report::{KEY as REPORT_KEY, Log, Owner, name as report_name},
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{Action, Decision, GateObjects, Now, ObjectName, Receipt, retry};
use crate::{
    api::{
        conditions::{self, ConditionType, Reason, Statement, Truth},
        gate_run::{GateRunStatus, Layer, RETURN, RoomLeft, StepResult, Tested, Verdict},
    },
    ports::{error::PortError, payments::LATEST_SECONDS},
};

/// How often a Job is looked at that nothing is heard of; its changes poke.
const POLL: Duration = Duration::from_secs(30);
/// How often a run asks whether it is its turn, if nothing tells it before.
const TURN: Duration = Duration::from_secs(30);
/// Until a Job that was found is looked at once more.
const SOON: Duration = Duration::from_secs(1);

/// Everything a decision about a GateRun looks at.
#[derive(Debug)]
pub struct Seen {
    /// What was said last time.
    pub previous: GateRunStatus,
    /// Its Factory.
    pub factory: ObjectName,
    /// Which gate it is.
    pub layer: Layer,
    /// Name of the Job, in the gates' namespace.
    pub job: String,
    /// What is tested.
    pub subject: Result<Subject, PortError>,
    /// Its place among the Factory's runs.
    pub queue: Queue,
    /// The Job.
    pub run: Run,
    /// Whether it has a wallet to pay from.
    pub pays: bool,
    /// The run itself, as the owner of its report.
    pub own: Owner,
    /// Its full report.
    pub log: Log,
}

/// What a run is about.
#[derive(Debug)]
pub enum Subject {
    /// Not looked at: there is a verdict, the Job has its inputs, or it is not its turn.
    NotLooked,
    /// It needs no Job to be judged.
    Told(Outcome),
    /// It needs this Job, which tests this.
    Job(Box<GateObjects>, Tested),
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
    /// How many tests were not tried.
    pub untried: usize,
}

impl Outcome {
    /// A run that broke before it came to a verdict.
    pub fn broken(message: impl Into<String>) -> Self {
        Self { verdict: Verdict::Error, results: Vec::new(), message: message.into(), untried: 0 }
    }

    /// What can be told without a Job: one step's result.
    pub fn told(step: &str, verdict: Verdict, message: impl Into<String>) -> Self {
        let message = message.into();
        let why = (verdict != Verdict::Passed).then(|| message.clone());
        let result = StepResult { name: step.into(), verdict, milliseconds: 0, message: why, advisory: false };
        Self { verdict, results: vec![result], message, untried: 0 }
    }
}

/// The room that may still have money after such a run, by its Job's name, and until when
/// what it signed last may be settled.
pub fn room_left(layer: Layer, status: &GateRunStatus) -> Option<RoomLeft> {
    let returned = status.results.iter().find(|step| step.name == RETURN);
    let left = match (layer, returned) {
        (Layer::CleanRoom, Some(step)) => step.verdict != Verdict::Passed,
        // It broke before it said anything.
        (Layer::CleanRoom, None) => status.verdict == Some(Verdict::Error) && status.results.is_empty(),
        (Layer::Unit | Layer::Contract | Layer::Canary, _) => false,
    };
    let name = status.job.clone().filter(|_| left)?;
    let until = status.since.as_ref().and_then(|ended| ended.0.checked_add(SignedDuration::from_secs(LATEST_SECONDS)).ok());
    Some(RoomLeft { name, until: until.map(Time) })
}

/// Notes a room on the Factory before it is there: its GateRun may go at any time, and
/// nothing else leads to its money.
fn noted(seen: &Seen, objects: &GateObjects, now: Now) -> Option<Action> {
    let seconds = objects.job.spec.as_ref().and_then(|spec| spec.active_deadline_seconds).unwrap_or_default();
    let until = now.at.checked_add(SignedDuration::from_secs(seconds.saturating_add(LATEST_SECONDS))).unwrap_or(Timestamp::MAX);
    let name = objects.job.metadata.name.clone().filter(|_| seen.layer == Layer::CleanRoom && seen.pays)?;
    Some(Action::NoteRoom { factory: seen.factory.clone(), name, until })
}

/// What a run came to takes off that list: its own room, if its money is back, and those
/// before it that it emptied.
fn settled(seen: &Seen, status: &GateRunStatus) -> Option<Action> {
    let own = status.job.clone().filter(|_| seen.layer == Layer::CleanRoom && seen.pays)?;
    let own = Some(own).filter(|_| room_left(seen.layer, status).is_none());
    let names: Vec<_> = rooms_emptied(status).map(str::to_owned).chain(own).collect();
    (!names.is_empty()).then(|| Action::DropRooms { factory: seen.factory.clone(), names })
}

/// Rooms before it that a run has emptied, or found empty.
pub fn rooms_emptied(status: &GateRunStatus) -> impl Iterator<Item = &str> {
    let emptied = status.results.iter().filter(|step| step.verdict == Verdict::Passed);
    emptied.filter_map(|step| step.name.strip_prefix(RETURN)?.strip_prefix(' '))
}

/// Decides.
pub fn decide(seen: &Seen, now: Now) -> Decision<GateRunStatus> {
    if seen.previous.verdict.is_some() {
        return said_before(seen, now);
    }
    match (&seen.run, &seen.subject, &seen.previous.job) {
        // A pass made the Job and was cut off before it was written down: what it
        // left undone is done again, and nothing is made twice.
        (Run::Over(_) | Run::Going(_), Ok(Subject::Job(objects, tested)), None) => {
            let decision = making(seen, objects, "the Job was found", SOON, now);
            Decision { status: GateRunStatus { tested: Some(tested.clone()), ..decision.status }, ..decision }
        }
        (Run::Over(outcome), ..) => over(seen, outcome.clone(), Some(seen.job.clone()), now),
        (Run::Going(what), ..) => doing(seen, Vec::new(), what, POLL, now),
        // It was made and is gone: whoever removed it took the evidence along.
        (Run::Absent, _, Some(job)) => {
            over(seen, Outcome::broken("the Job was removed before it came to a verdict"), Some(job.clone()), now)
        }
        (Run::Absent, subject, None) => begin(seen, subject, now),
    }
}

/// Takes over what came of the Job's making.
pub fn receive(status: &mut GateRunStatus, done: &[(&Action, Receipt)]) {
    for (action, _) in done {
        if let Action::CreateGate(objects) = action {
            status.job.clone_from(&objects.job.metadata.name);
        }
    }
    report::receive(status, done);
}

/// The verdict stands, and so does what was said of it.
fn said_before(seen: &Seen, now: Now) -> Decision<GateRunStatus> {
    let verdict = seen.previous.verdict.unwrap_or(Verdict::Error);
    let message = conditions::find(&seen.previous.conditions, ConditionType::Ready).map(|c| c.message.clone());
    let status = GateRunStatus { conditions: Vec::new(), observed_generation: None, ..seen.previous.clone() };
    let statements = statements(verdict, &message.unwrap_or_default());
    report::keep(seen, Decision { actions: Vec::new(), status, statements, again: now.resync })
}

fn begin(seen: &Seen, subject: &Result<Subject, PortError>, now: Now) -> Decision<GateRunStatus> {
    match subject {
        Ok(Subject::Told(outcome)) => over(seen, outcome.clone(), None, now),
        Ok(Subject::Job(objects, tested)) if !seen.queue.waits() => {
            let decision = making(seen, objects, "the Job is being made", POLL, now);
            Decision { status: GateRunStatus { tested: Some(tested.clone()), ..decision.status }, ..decision }
        }
        Ok(Subject::Job(..) | Subject::NotLooked) => {
            let status = GateRunStatus { before: i64::try_from(seen.queue.before).ok(), ..status(seen, Reason::Queued, now) };
            let statements = retry::not_ready(false, Reason::Queued, &seen.queue.to_string()).into();
            Decision { actions: Vec::new(), status, statements, again: TURN }
        }
        Err(error) => Decision {
            actions: Vec::new(),
            status: status(seen, error.reason, now),
            statements: retry::not_ready_because(error),
            again: retry::delay(error.class, retry::failing_since(&seen.previous.conditions), now.at),
        },
    }
}

/// Not ready, and the Job's name is not written down: that is [`receive`]'s, when
/// the Job is there.
fn making(seen: &Seen, objects: &GateObjects, what: &str, again: Duration, now: Now) -> Decision<GateRunStatus> {
    let actions = noted(seen, objects, now).into_iter().chain([Action::CreateGate(Box::new(objects.clone()))]);
    doing(seen, actions.collect(), what, again, now)
}

fn doing(seen: &Seen, actions: Vec<Action>, what: &str, again: Duration, now: Now) -> Decision<GateRunStatus> {
    let statements = retry::not_ready(false, Reason::Running, what).into();
    Decision { actions, status: status(seen, Reason::Running, now), statements, again }
}

fn over(seen: &Seen, outcome: Outcome, job: Option<String>, now: Now) -> Decision<GateRunStatus> {
    let mut message = outcome.message;
    // The verdict first; then the report is fetched, whose Job does not stay.
    let again = if job.is_some() { SOON } else { now.resync };
    let status = GateRunStatus {
        verdict: Some(outcome.verdict),
        results: outcome.results,
        job,
        untried: i64::try_from(outcome.untried).ok().filter(|count| *count > 0),
        since: Some(Time(now.at)),
        ..status(seen, Reason::Passed, now)
    };
    if let Some(RoomLeft { name: room, .. }) = room_left(seen.layer, &status).filter(|_| seen.pays) {
        let said = status.results.iter().find(|step| step.name == RETURN).and_then(|step| step.message.clone());
        let said = said.unwrap_or_else(|| format!("what the wallet of room {room} had, if it was filled, is not known to be back"));
        let what = format!("{said}; the Factory's next room brings it back, or `flywheel gate spawn --bring-back {room}`");
        message = if message.is_empty() { what } else { format!("{message}; {what}") };
    }
    let statements = statements(outcome.verdict, &message);
    Decision { actions: settled(seen, &status).into_iter().collect(), status, statements, again }
}

/// What is known of the run so far, and since when it waits for this.
fn status(seen: &Seen, reason: Reason, now: Now) -> GateRunStatus {
    let previous = &seen.previous;
    let same = conditions::find(&previous.conditions, ConditionType::Ready).is_some_and(|ready| ready.reason == reason.as_str());
    GateRunStatus {
        job: previous.job.clone(),
        tested: previous.tested.clone(),
        since: previous.since.clone().filter(|_| same).or(Some(Time(now.at))),
        ..GateRunStatus::default()
    }
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
    use k8s_openapi::{
        api::{batch::v1::Job, core::v1::ConfigMap},
        apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta, Time},
    };

    use super::*;
    use crate::{api::API_VERSION, decide::audit, ports::error::Class};

    const NOW: Now = Now { at: Timestamp::UNIX_EPOCH, resync: Duration::from_secs(600) };

    fn tested() -> Tested {
        Tested { tree: "t".into(), plan: "p".into(), tool: "image".into(), confined_by: None }
    }

    fn objects() -> Box<GateObjects> {
        let metadata = ObjectMeta { name: Some("gate-x".into()), ..ObjectMeta::default() };
        Box::new(GateObjects { config: ConfigMap::default(), job: Job { metadata, ..Job::default() } })
    }

    fn seen(run: Run) -> Seen {
        let previous = GateRunStatus::default();
        let factory = ObjectName { api_version: API_VERSION, kind: "Factory", namespace: "flywheel".into(), name: "prim".into() };
        let subject = Ok(Subject::Job(objects(), tested()));
        Seen {
            previous,
            factory,
            layer: Layer::Unit,
            job: "gate-x".into(),
            subject,
            queue: Queue { before: 0, limit: 1 },
            run,
            pays: true,
            own: Owner::default(),
            log: Log::NotLooked,
        }
    }

    fn begun(run: Run) -> Seen {
        let previous = GateRunStatus { job: Some("gate-x".into()), ..GateRunStatus::default() };
        Seen { previous, subject: Ok(Subject::NotLooked), ..seen(run) }
    }

    fn ready(decision: &Decision<GateRunStatus>) -> (Truth, Reason) {
        audit::check(decision).expect("sound");
        decision.statements.iter().find(|s| s.kind == ConditionType::Ready).map(|s| (s.status, s.reason)).expect("Ready")
    }

    /// The status as it is written.
    fn said(decision: &Decision<GateRunStatus>) -> GateRunStatus {
        let conditions = decision.statements.iter().map(|s| s.to_condition(None, None, &Time(NOW.at))).collect::<Vec<Condition>>();
        GateRunStatus { conditions, ..decision.status.clone() }
    }

    fn outcome(verdict: Verdict) -> Outcome {
        Outcome { verdict, results: Vec::new(), message: "because".into(), untried: 2 }
    }

    #[test]
    fn a_job_is_made_once_and_its_name_is_kept() {
        let mut decision = decide(&seen(Run::Absent), NOW);
        assert_eq!(decision.actions, [Action::CreateGate(objects())]);
        assert_eq!(ready(&decision), (Truth::False, Reason::Running));
        assert_eq!(decision.status.job, None, "what could not be made is not looked for");
        receive(&mut decision.status, &[(&decision.actions[0], Receipt::Done)]);
        assert_eq!((decision.status.job.as_deref(), decision.status.tested.as_ref()), (Some("gate-x"), Some(&tested())));

        let gone = decide(&begun(Run::Absent), NOW);
        assert!(gone.actions.is_empty(), "a Job that somebody removed is not made again");
        assert_eq!((gone.status.verdict, gone.status.job.as_deref()), (Some(Verdict::Error), Some("gate-x")));
    }

    /// The pass that made it ended before it could say so.
    #[test]
    fn a_job_that_is_there_already_is_finished_making_and_then_judged() {
        for run in [Run::Going("its pod is Running".into()), Run::Over(outcome(Verdict::Passed))] {
            let decision = decide(&seen(run.clone()), NOW);
            assert_eq!((decision.actions.len(), decision.status.verdict, decision.again), (1, None, SOON), "{run:?}");
            ready(&decision);
        }
        // Without its inputs nothing is left to finish.
        let mut alone = seen(Run::Over(outcome(Verdict::Passed)));
        alone.subject = Err(PortError::unreachable("the forge"));
        assert_eq!(decide(&alone, NOW).status.verdict, Some(Verdict::Passed));
        alone.run = Run::Going("its pod is Running".into());
        assert_eq!(ready(&decide(&alone, NOW)), (Truth::False, Reason::Running));
    }

    #[test]
    fn a_run_waits_for_its_turn() {
        for (subject, before, limit, starts) in [
            (Subject::Job(objects(), tested()), 0, 1, true),
            (Subject::Job(objects(), tested()), 1, 2, true),
            (Subject::Job(objects(), tested()), 2, 2, false),
            (Subject::NotLooked, 2, 2, false),
        ] {
            let mut waiting = seen(Run::Absent);
            (waiting.subject, waiting.queue) = (Ok(subject), Queue { before, limit });
            let decision = decide(&waiting, NOW);
            assert_eq!(!decision.actions.is_empty(), starts, "{before} of {limit}");
            if !starts {
                assert_eq!((ready(&decision), decision.again), ((Truth::False, Reason::Queued), TURN));
                assert!(decision.statements[0].message.starts_with("behind 2 others"), "{}", decision.statements[0].message);
                assert_eq!((decision.status.before, decision.status.since.clone()), (Some(2), Some(Time(NOW.at))));
                // It has waited since then, whatever its place is by now.
                waiting.previous = said(&decision);
                waiting.queue.before = 3;
                let later = Now { at: NOW.at + jiff::SignedDuration::from_secs(9), ..NOW };
                let still = decide(&waiting, later).status;
                assert_eq!((still.before, still.since), (Some(3), Some(Time(NOW.at))));
                waiting.queue.before = 0;
                waiting.subject = Ok(Subject::Job(objects(), tested()));
                let running = decide(&waiting, later).status;
                assert_eq!((running.before, running.since), (None, Some(Time(later.at))));
            }
        }
    }

    #[test]
    fn what_needs_no_job_is_told_at_once_even_in_a_queue() {
        let mut told = seen(Run::Absent);
        told.queue = Queue { before: 9, limit: 1 };
        told.subject = Ok(Subject::Told(Outcome::told("files", Verdict::Failed, "biome.json (changed)")));
        let decision = decide(&told, NOW);
        assert!(decision.actions.is_empty() && decision.status.job.is_none());
        assert_eq!(ready(&decision), (Truth::False, Reason::Failed));
        assert_eq!(decision.status.results[0].message.as_deref(), Some("biome.json (changed)"));
    }

    #[test]
    fn every_verdict_is_said_and_final() {
        for (verdict, truth, reason) in [
            (Verdict::Passed, Truth::True, Reason::Passed),
            (Verdict::Failed, Truth::False, Reason::Failed),
            (Verdict::Blocked, Truth::False, Reason::Blocked),
            (Verdict::Error, Truth::False, Reason::Broken),
        ] {
            let first = decide(&begun(Run::Over(outcome(verdict))), NOW);
            assert_eq!(ready(&first), (truth, reason));

            // The Job is gone by its time to live; the verdict stays.
            let mut later = seen(Run::Absent);
            later.previous = said(&first);
            assert_eq!((later.previous.untried, later.previous.since.clone()), (Some(2), Some(Time(NOW.at))));
            let second = decide(&later, NOW);
            assert_eq!((second.status.verdict, &second.statements), (Some(verdict), &first.statements));
            assert!(second.actions.is_empty());
        }
    }

    /// Its Job's name is all that leads to its money.
    #[test]
    fn a_room_that_is_not_known_to_be_empty_is_named() {
        let step = |name: &str, verdict| StepResult {
            name: name.into(),
            verdict,
            milliseconds: 0,
            message: None,
            advisory: verdict != Verdict::Passed,
        };
        let passed = Outcome { message: String::new(), ..outcome(Verdict::Passed) };
        for (layer, results, verdict, named) in [
            (Layer::CleanRoom, vec![step("return", Verdict::Error)], Verdict::Passed, true),
            (Layer::CleanRoom, vec![step("return", Verdict::Passed), step("return gate-y", Verdict::Error)], Verdict::Passed, false),
            (Layer::CleanRoom, vec![], Verdict::Error, true),
            (Layer::CleanRoom, vec![step("input", Verdict::Error)], Verdict::Error, false),
            (Layer::CleanRoom, vec![], Verdict::Passed, false),
            (Layer::Contract, vec![], Verdict::Error, false),
        ] {
            let over = Outcome { results: results.clone(), verdict, ..passed.clone() };
            let decision = decide(&Seen { layer, ..begun(Run::Over(over)) }, NOW);
            ready(&decision);
            let said = decision.statements.iter().any(|statement| statement.message.contains("--bring-back gate-x"));
            assert_eq!(said, named, "{layer:?} {verdict:?} {results:?}");
            // Where there is no wallet there is no money.
            let poor = Outcome { results: results.clone(), verdict, message: "it broke".into(), ..passed.clone() };
            let poor = decide(&Seen { layer, pays: false, ..begun(Run::Over(poor)) }, NOW);
            assert!(poor.statements.iter().all(|statement| statement.message == "it broke"), "{:?}", poor.statements);
            let until = Some(Time(NOW.at + SignedDuration::from_secs(360)));
            assert_eq!(room_left(layer, &decision.status), named.then(|| RoomLeft { name: "gate-x".into(), until }));
        }
        let results = vec![step("return", Verdict::Passed), step("return gate-y", Verdict::Passed), step("return gate-z", Verdict::Error)];
        assert!(rooms_emptied(&GateRunStatus { results, ..GateRunStatus::default() }).eq(["gate-y"]));
    }

    /// A room is noted before it can get money, and taken off where that is known to be back.
    #[test]
    fn a_room_that_pays_is_on_its_factorys_list_until_its_money_is_back() {
        let mut objects = objects();
        objects.job.spec = Some(k8s_openapi::api::batch::v1::JobSpec { active_deadline_seconds: Some(600), ..Default::default() });
        for (layer, pays) in [(Layer::CleanRoom, true), (Layer::CleanRoom, false), (Layer::Contract, true)] {
            let subject = Ok(Subject::Job(objects.clone(), tested()));
            let decision = decide(&Seen { layer, pays, subject, ..seen(Run::Absent) }, NOW);
            let factory = seen(Run::Absent).factory;
            let until = NOW.at + SignedDuration::from_secs(960);
            let note = Action::NoteRoom { factory, name: "gate-x".into(), until };
            let noted = (layer == Layer::CleanRoom && pays).then_some(note);
            assert_eq!(decision.actions, noted.into_iter().chain([Action::CreateGate(objects.clone())]).collect::<Vec<_>>());
        }
        let step =
            |name: &str, verdict| StepResult { advisory: verdict != Verdict::Passed, ..Outcome::told(name, verdict, "").results.remove(0) };
        let (back, emptied, stays) =
            (step("return", Verdict::Passed), step("return gate-y", Verdict::Passed), step("return", Verdict::Error));
        for (results, verdict, dropped) in [
            (vec![back.clone(), emptied.clone()], Verdict::Passed, vec!["gate-y", "gate-x"]),
            (vec![stays.clone(), emptied], Verdict::Passed, vec!["gate-y"]),
            (vec![stays], Verdict::Failed, vec![]),
            (vec![back], Verdict::Failed, vec!["gate-x"]),
            // It broke: nobody knows.
            (vec![], Verdict::Error, vec![]),
        ] {
            let over = Run::Over(Outcome { results, verdict, message: String::new(), untried: 0 });
            let names = |actions: &[Action]| match actions {
                [Action::DropRooms { names, .. }] => names.clone(),
                [] => Vec::new(),
                other => panic!("{other:?}"),
            };
            assert_eq!(names(&decide(&Seen { layer: Layer::CleanRoom, ..begun(over.clone()) }, NOW).actions), dropped, "{over:?}");
            let poor = Seen { layer: Layer::CleanRoom, pays: false, ..begun(over) };
            assert!(decide(&poor, NOW).actions.is_empty(), "what has no money is on no list");
        }
    }

    #[test]
    fn inputs_that_can_not_be_used_make_no_job() {
        let mut wrong = seen(Run::Absent);
        wrong.subject = Err(PortError::new(Class::Invalid, Reason::Invalid, "spec.target: nothing there"));
        let decision = decide(&wrong, NOW);
        assert!(decision.actions.is_empty() && decision.status.job.is_none());
        assert_eq!(ready(&decision), (Truth::False, Reason::Invalid));
    }
}
