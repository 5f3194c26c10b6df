//! What a decision comes to, while one concern after the other adds to it.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::seen::Seen;
use crate::{
    api::{
        conditions::{self, ConditionType, Reason, Statement, Truth},
        primitive::{Effect, NextAction, Phase, PrimitiveStatus, WaitsFor},
        references::reach,
    },
    decide::{Action, Decision, Now, retry},
    ports::error::PortError,
};

/// Pull requests that the status remembers.
const PULLS: usize = 10;
/// Kinds of which there may be several at a time.
const SEVERAL: [&str; 3] = ["Branch", "ConfigMap", "PullRequest"];

/// Why a Primitive is not ready.
pub(super) struct Hold {
    stalled: bool,
    reason: Reason,
    message: String,
    again: Duration,
}

impl Hold {
    /// It goes on by itself.
    pub fn going(reason: Reason, message: impl Into<String>, again: Duration) -> Self {
        Self { stalled: false, reason, message: message.into(), again }
    }

    /// Somebody must act.
    pub fn stalled(reason: Reason, message: impl Into<String>, again: Duration) -> Self {
        Self { stalled: true, reason, message: message.into(), again }
    }
}

/// A decision in the making. The first hold is what `Ready` says.
pub(super) struct Draft<'a> {
    pub seen: &'a Seen,
    pub now: Now,
    pub actions: Vec<Action>,
    pub status: PrimitiveStatus,
    /// The base branch says what was proposed last.
    pub merged: bool,
    /// The pull request to look at.
    pub pull: Option<String>,
    /// What runs answers, and passed every gate that its stage asks for.
    pub passed: bool,
    waits_for: Option<String>,
    statements: Vec<Statement>,
    hold: Option<Hold>,
    again: Duration,
    effects: Vec<(&'static str, String)>,
    all_stated: Vec<&'static str>,
}

impl<'a> Draft<'a> {
    pub fn new(seen: &'a Seen, now: Now) -> Self {
        let status = PrimitiveStatus { observed_generation: None, conditions: Vec::new(), next_action: None, ..seen.previous.clone() };
        Self {
            seen,
            now,
            actions: Vec::new(),
            status,
            merged: false,
            pull: None,
            passed: false,
            waits_for: None,
            statements: Vec::new(),
            hold: None,
            again: now.resync,
            effects: Vec::new(),
            all_stated: Vec::new(),
        }
    }

    /// Something holds.
    pub fn good(&mut self, kind: ConditionType, reason: Reason, message: impl Into<String>) {
        self.statements.push(Statement::new(kind, Truth::True, reason, message));
    }

    /// Something to know that `Ready` does not wait for.
    pub fn advise(&mut self, statement: Statement) {
        self.statements.push(statement);
    }

    /// Something does not hold.
    pub fn bad(&mut self, kind: ConditionType, hold: Hold) {
        self.statements.push(Statement::new(kind, Truth::False, hold.reason, &hold.message));
        self.hold(hold);
    }

    /// Something is not known yet.
    pub fn unknown(&mut self, kind: ConditionType, hold: Hold) {
        self.statements.push(Statement::new(kind, Truth::Unknown, hold.reason, &hold.message));
        self.hold(hold);
    }

    /// Something could not be looked at, or can't be used.
    pub fn error(&mut self, kind: Option<ConditionType>, error: &PortError) {
        let ready = self.since_false(kind.unwrap_or(ConditionType::Ready));
        let again = retry::delay(error.class, ready, self.now.at);
        let hold = Hold { stalled: retry::stalls(error.class), reason: error.reason, message: error.message.clone(), again };
        match kind {
            Some(kind) => self.bad(kind, hold),
            None => self.hold(hold),
        }
    }

    /// It is not ready, for this if for nothing before it.
    pub fn hold(&mut self, hold: Hold) {
        self.again = self.again.min(hold.again);
        self.hold.get_or_insert(hold);
    }

    /// What is waited for, where the reason of the hold does not tell.
    pub fn waits_for(&mut self, what: String) {
        if self.is_good() {
            self.waits_for = Some(what);
        }
    }

    /// What was live and is not as it should be says so before all else.
    pub fn degraded(&mut self, kind: ConditionType) {
        let Some(said) = self.statements.iter().find(|s| s.kind == kind) else { return };
        let stalled = !matches!(kind, ConditionType::Serving | ConditionType::Deployed);
        self.waits_for = None;
        self.hold = Some(Hold { stalled, reason: Reason::Degraded, message: said.message.clone(), again: self.again });
    }

    /// Whether nothing holds it.
    pub fn is_good(&self) -> bool {
        self.hold.is_none()
    }

    /// What is said of a condition so far.
    pub fn says(&self, kind: ConditionType) -> Option<Truth> {
        self.statements.iter().find(|s| s.kind == kind).map(|s| s.status)
    }

    /// Since when a condition has been False, if it was.
    pub fn since_false(&self, kind: ConditionType) -> Option<jiff::Timestamp> {
        let conditions = &self.seen.previous.conditions;
        conditions::find(conditions, kind).filter(|c| c.status == "False").map(|c| c.last_transition_time.0)
    }

    /// Notes when something was reached for the first time, once what was proposed
    /// is on the base branch: before that it is an earlier version's.
    pub fn reach(&mut self, milestone: &str) {
        if self.merged {
            reach(&mut self.status.milestones, milestone, Time(self.now.at));
        }
    }

    /// Something that is there because of this object.
    pub fn effect(&mut self, kind: &'static str, name: impl Into<String>) {
        self.effects.push((kind, name.into()));
    }

    /// What is not stated as an effect of this kind is there no more.
    pub fn states_all(&mut self, kind: &'static str) {
        self.all_stated.push(kind);
    }

    /// Something is being removed that was there because of this object.
    pub fn lost(&mut self, kind: &str, name: &str) {
        self.status.effects.retain(|effect| effect.kind != kind || effect.name != name);
    }

    /// When to look again, if nothing asks for it earlier.
    pub fn look_again(&mut self, after: Duration) {
        self.again = self.again.min(after);
    }

    /// Nothing of it is left but what the repository has.
    pub fn taken_down(&mut self) {
        let status = &mut self.status;
        (status.url, status.commit, status.tree, status.rolling) = (None, None, None, None);
        status.gates.clear();
        status.effects.retain(|effect| ["Branch", "PullRequest", "PersistentVolumeClaim"].contains(&effect.kind.as_str()));
    }

    /// The decision.
    pub fn finish(mut self, ready: &str) -> Decision<PrimitiveStatus> {
        let stated = |e: &Effect| self.effects.iter().any(|(kind, name)| e.kind == *kind && e.name == *name);
        self.status.effects.retain(|e| !self.all_stated.contains(&e.kind.as_str()) || stated(e));
        for (kind, name) in &self.effects {
            self.status.effects.retain(|e| e.kind != *kind || e.name == *name || SEVERAL.contains(kind));
            if !self.status.effects.iter().any(|e| e.kind == *kind && e.name == *name) {
                self.status.effects.push(Effect { kind: (*kind).into(), name: name.clone(), since: Time(self.now.at) });
            }
        }
        let pulls = self.status.effects.iter().filter(|e| e.kind == "PullRequest").count();
        let mut surplus = pulls.saturating_sub(PULLS);
        self.status.effects.retain(|e| {
            let drop = surplus > 0 && e.kind == "PullRequest";
            surplus -= usize::from(drop);
            !drop
        });
        match &self.hold {
            None => {
                let reason = match (&self.status.url, self.status.phase) {
                    (Some(_), Some(Phase::Live)) => Reason::Live,
                    (Some(_), _) => Reason::Answering,
                    (None, _) => Reason::StageReached,
                };
                self.status.waits_for = None;
                self.statements.push(Statement::new(ConditionType::Ready, Truth::True, reason, ready));
            }
            Some(hold) => {
                self.statements.extend(retry::not_ready(hold.stalled, hold.reason, &hold.message));
                let what = self.waits_for.unwrap_or_else(|| hold.reason.as_str().into());
                let word = |what: &str| what.split_once(' ').map_or(what, |(word, _)| word).to_owned();
                let since = self.seen.previous.waits_for.as_ref().filter(|was| word(&was.what) == word(&what)).map(|was| was.since.clone());
                self.status.waits_for = Some(WaitsFor { what, since: since.unwrap_or(Time(self.now.at)) });
                let verb = if hold.stalled { "Edit" } else { "Wait" };
                self.status.next_action = Some(NextAction { verb: verb.into(), url: self.pull, retry_after: None });
            }
        }
        Decision { actions: self.actions, status: self.status, statements: self.statements, again: self.again }
    }
}
