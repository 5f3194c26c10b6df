//! Which of a Factory's runs have a Job at a time: the oldest that somebody waits
//! for, then the oldest, as many as its policy lets run.

use std::fmt;

use jiff::Timestamp;

use crate::api::{
    conditions::{self, ConditionType, Reason},
    gate_run::GateRun,
};

/// A run's place among those of its Factory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Queue {
    /// Runs that go first: those that have a Job, and older ones that wait for one.
    pub before: usize,
    /// How many may run at a time.
    pub limit: usize,
}

impl Queue {
    /// The place of `run` among all runs of its namespace.
    pub fn of<'a>(run: &GateRun, all: impl IntoIterator<Item = &'a GateRun>, limit: i32) -> Self {
        let others =
            all.into_iter().filter(|other| other.metadata.uid != run.metadata.uid && other.spec.factory_ref == run.spec.factory_ref);
        let before = others.filter(|other| goes_first(other, run)).count();
        Self { before, limit: usize::try_from(limit).unwrap_or(1) }
    }

    /// The same place behind so many more.
    #[must_use]
    pub fn behind(self, more: usize) -> Self {
        Self { before: self.before + more, ..self }
    }

    /// Whether the run has to wait.
    pub fn waits(self) -> bool {
        self.before >= self.limit
    }
}

impl fmt::Display for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let others = if self.before == 1 { "other" } else { "others" };
        write!(f, "behind {} {others}: the Factory's policy.maxRunningGates is {}", self.before, self.limit)
    }
}

fn goes_first(other: &GateRun, run: &GateRun) -> bool {
    let status = other.status.as_ref();
    if status.is_some_and(|s| s.verdict.is_some()) {
        return false;
    }
    status.is_some_and(|s| s.job.is_some()) || (place(other) < place(run) && !held(other))
}

/// What somebody waits for goes before what is only looked at again; then by age,
/// and by name where two are of one second.
fn place(run: &GateRun) -> (bool, Option<Timestamp>, Option<&str>) {
    (run.spec.regate, run.metadata.creation_timestamp.as_ref().map(|t| t.0), run.metadata.name.as_deref())
}

/// Whether a run without a Job waits for something else than its turn: it would
/// keep all others waiting with it.
pub fn held(run: &GateRun) -> bool {
    ready_reason(run).is_some_and(|reason| ![Reason::Queued, Reason::Running].map(Reason::as_str).contains(&reason))
}

/// Whether a run was told to wait for its turn.
pub fn is_queued(run: &GateRun) -> bool {
    ready_reason(run) == Some(Reason::Queued.as_str())
}

fn ready_reason(run: &GateRun) -> Option<&str> {
    conditions::find(&run.status.as_ref()?.conditions, ConditionType::Ready).map(|c| c.reason.as_str())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn run(name: &str, second: i64, factory: &str, status: &Value) -> GateRun {
        let digest = format!("sha256:{}", "0".repeat(64));
        serde_json::from_value(json!({
            "apiVersion": "flywheel.prim.sh/v1alpha1", "kind": "GateRun",
            "metadata": { "name": name, "uid": name, "creationTimestamp": Timestamp::from_second(second).unwrap().to_string() },
            "spec": { "factoryRef": { "name": factory }, "layer": "Unit", "target": { "manifestRef": { "name": "m", "digest": digest } } },
            "status": status,
        }))
        .expect("a GateRun")
    }

    fn ready(reason: &str) -> Value {
        json!({ "conditions": [{ "type": "Ready", "status": "False", "reason": reason, "message": "x", "lastTransitionTime": "2026-01-01T00:00:00Z" }] })
    }

    #[test]
    fn the_oldest_go_first_and_nobody_waits_for_who_can_not_start() {
        let own = run("own", 100, "prim", &json!({}));
        let job = json!({ "job": "gate-x", "conditions": [] });
        for (what, other, first) in [
            ("it runs", run("a", 200, "prim", &job), true),
            ("it ran", run("a", 50, "prim", &json!({ "job": "gate-x", "verdict": "Passed", "conditions": [] })), false),
            ("an older one was not looked at yet", run("a", 50, "prim", &json!({})), true),
            ("an older one waits as well", run("a", 50, "prim", &ready("Queued")), true),
            ("an older one waits for its manifest", run("a", 50, "prim", &ready("Waiting")), false),
            ("an older one can't be run", run("a", 50, "prim", &ready("Invalid")), false),
            ("a younger one waits", run("a", 150, "prim", &ready("Queued")), false),
            ("one of the same second with an earlier name", run("a", 100, "prim", &json!({})), true),
            ("one of the same second with a later name", run("z", 100, "prim", &json!({})), false),
            ("another Factory's", run("a", 50, "other", &job), false),
            ("itself", own.clone(), false),
        ] {
            let queue = Queue::of(&own, [&other, &own], 1);
            assert_eq!((queue.before, queue.waits()), (usize::from(first), first), "{what}");
        }
    }

    #[test]
    fn who_only_looks_again_goes_last_and_is_not_pushed_out() {
        let own = run("own", 100, "prim", &json!({}));
        let again = |second, status: &Value| {
            let mut other = run("a", second, "prim", status);
            other.spec.regate = true;
            other
        };
        for (what, run, other, first) in [
            ("it is older, and looks again", &own, again(50, &json!({})), false),
            ("it looks again, and runs", &own, again(50, &json!({ "job": "gate-x", "conditions": [] })), true),
            ("both look again", &again(100, &json!({})), again(50, &json!({})), true),
            ("it is younger, and somebody waits for it", &again(50, &json!({})), own.clone(), true),
        ] {
            let mut other = other;
            other.metadata.uid = Some("other".into());
            assert_eq!(Queue::of(run, [&other], 1).before, usize::from(first), "{what}");
        }
    }

    #[test]
    fn of_any_number_exactly_as_many_start_as_may() {
        let all: Vec<_> = (0..5).map(|i| run(&format!("run-{i}"), 100 - i, "prim", &json!({}))).collect();
        let starting = all.iter().filter(|one| !Queue::of(one, &all, 2).waits()).map(|r| r.metadata.name.as_deref().unwrap());
        assert_eq!(starting.collect::<Vec<_>>(), ["run-3", "run-4"]);
    }
}
