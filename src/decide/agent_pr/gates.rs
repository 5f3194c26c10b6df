//! The gate over a change: one run for each revision, and another where it broke.

use super::{Action, Commit, Draft, GateSeen, Me, Pull, Reason, Revision, Rules, SOON, Statement, Truth, Verdict, WATCHED, report, short};
use crate::{
    api::{API_VERSION, agent_pr::Attempt, conditions::ConditionType},
    decide::Manifest,
};

/// Runs of the gate over one revision: after an Error another is tried.
const MAX_RUNS: usize = 3;
/// Runs that the status remembers.
const REMEMBERED: usize = 20;

impl Draft<'_> {
    /// The gate's name, once it has passed; else what is done about it.
    pub(super) fn gate(&mut self, rules: &Rules, revision: &Revision, pull: &Pull, head: &Commit) -> Option<String> {
        let first = name(&self.seen.me.name, revision);
        let runs: Vec<_> = self.seen.gates.iter().filter(|g| g.revision == *revision).collect();
        let newest = runs.iter().copied().max_by_key(|run| (number(&run.name, &first), run.created));
        let verdict = newest.map(|run| run.verdict);
        match (newest, verdict) {
            (Some(newest), Some(Some(verdict))) if verdict != Verdict::Error || runs.len() >= MAX_RUNS => {
                self.conclude(rules, newest, verdict, pull, head)
            }
            (Some(running), Some(None)) => {
                let what = format!("GateRun {}: {}", running.name, running.message);
                self.gate = Some(says(Truth::Unknown, Reason::Running, &what));
                self.report(rules, report::running(head, pull), head, pull);
                self.waits(Reason::Running, &what, WATCHED);
                None
            }
            _ => {
                self.begin(rules, revision, &first, pull, head);
                None
            }
        }
    }

    fn begin(&mut self, rules: &Rules, revision: &Revision, first: &str, pull: &Pull, head: &Commit) {
        let name = self.unused(first);
        self.does(Action::CreateObject(gate_run(&self.seen.me, &rules.factory, &name, revision)));
        self.report(rules, report::running(head, pull), head, pull);
        self.gate = Some(says(Truth::Unknown, Reason::Running, &format!("GateRun {name} is being made")));
        self.waits(Reason::Running, &format!("GateRun {name} tests {}", short(&head.sha)), SOON * 5);
    }

    /// A name that no run of this revision has or had, as far as is known: what was
    /// said of one run must not be taken for another's.
    fn unused(&self, first: &str) -> String {
        let live = self.seen.gates.iter().map(|g| g.name.as_str());
        let unreadable = self.seen.unreadable.iter().map(String::as_str);
        let former = self.status.attempts.iter().map(|a| a.gate.as_str());
        match live.chain(unreadable).chain(former).filter_map(|name| number(name, first)).max() {
            None => first.into(),
            Some(last) => format!("{first}-{}", last + 1),
        }
    }

    fn conclude(&mut self, rules: &Rules, run: &GateSeen, verdict: Verdict, pull: &Pull, head: &Commit) -> Option<String> {
        self.report(rules, report::verdict(run, verdict, head, pull), head, pull);
        let what = format!("GateRun {}: {}", run.name, run.message);
        let reason = match verdict {
            Verdict::Passed => {
                self.gate = Some(says(Truth::True, Reason::Passed, &format!("GateRun {} passed {}", run.name, short(&head.sha))));
                return Some(run.name.clone());
            }
            Verdict::Failed => Reason::Failed,
            Verdict::Blocked => Reason::Blocked,
            Verdict::Error => Reason::Broken,
        };
        self.gate = Some(says(Truth::False, reason, &what));
        self.stalls(reason, &what);
        None
    }

    /// Every gate's verdict over it, kept when the GateRuns are gone: those that are
    /// there by age, the newest last, after those that are gone.
    pub(super) fn attempts(&mut self) {
        let mut live: Vec<_> = self.seen.gates.iter().collect();
        live.sort_by_key(|run| (run.created, run.name.len(), &run.name));
        self.status.attempts.retain(|known| live.iter().all(|run| run.name != known.gate));
        let live = live.into_iter().map(|run| Attempt { gate: run.name.clone(), tree: run.revision.tree.clone(), verdict: run.verdict });
        self.status.attempts.extend(live);
        let surplus = self.status.attempts.len().saturating_sub(REMEMBERED);
        self.status.attempts.drain(..surplus);
    }
}

pub(super) fn says(truth: Truth, reason: Reason, message: &str) -> Statement {
    Statement::new(ConditionType::GatePassed, truth, reason, message)
}

/// The first run's name, which says what is tested.
fn name(change: &str, revision: &Revision) -> String {
    let about = report::digest(&[&revision.base, &revision.head, &revision.tree]);
    let change: String = change.chars().take(180).collect();
    format!("{}-{}", change.trim_end_matches(['-', '.']), &about[..10])
}

/// Which of the runs that begin with `first` has this name.
fn number(name: &str, first: &str) -> Option<u64> {
    match name.strip_prefix(first)? {
        "" => Some(1),
        rest => rest.strip_prefix('-')?.parse().ok(),
    }
}

fn gate_run(me: &Me, factory: &str, name: &str, revision: &Revision) -> Manifest {
    Manifest(serde_json::json!({
        "apiVersion": API_VERSION,
        "kind": "GateRun",
        "metadata": {
            "name": name,
            "namespace": me.namespace,
            "labels": { (super::CHANGE_LABEL): me.uid },
            "ownerReferences": [{ "apiVersion": API_VERSION, "kind": "AgentPR", "name": me.name, "uid": me.uid, "controller": true, "blockOwnerDeletion": false }]
        },
        "spec": {
            "factoryRef": { "name": factory },
            "layer": "Unit",
            "target": { "agentPR": { "name": me.name, "revision": revision } }
        }
    }))
}
