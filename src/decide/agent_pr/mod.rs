//! What becomes of a change: branch, pull request, gate, place in the queue, merge.
//! Each step is decided from what the forge and the gates say now, so that a crash
//! between any two of them changes nothing. Observing is `controller/agent_pr.rs`;
//! what the forge is told of it is `report.rs`.

mod end;
mod gates;
mod propose;
mod report;

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{Action, Decision, Now, ObjectName, Receipt, retry};
use crate::{
    api::{
        agent_pr::{AgentPRSpec, AgentPRStatus, Intent, Obstacle, ObstacleKind, Revision},
        conditions::{ConditionType, Reason, Statement, Truth},
        gate_run::{StepResult, Verdict},
        names::{Branch, Sha},
        primitive::NextAction,
        references::reach,
    },
    ports::{
        error::PortError,
        forge::{Commit, Committed, MergeOutcome, MergeRequest, Opened, Pull, PullState, Removed, Updated},
    },
};

/// Pause after an effect that the next pass builds on.
const SOON: Duration = Duration::from_millis(100);
/// Pause while somebody else acts and a watch tells, usually earlier.
const WATCHED: Duration = Duration::from_secs(10);
/// Pause between two attempts at a merge that the forge holds back, at first and
/// after [`PATIENCE`] of them.
const HELD: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(120));
/// Attempts at a merge before it is somebody's turn to act.
const PATIENCE: i64 = 5;

/// Label on a change's GateRuns: its AgentPR's uid.
pub const CHANGE_LABEL: &str = "flywheel.prim.sh/agentpr-uid";

/// Everything a decision about an AgentPR looks at.
#[derive(Debug)]
pub struct Seen {
    /// The object.
    pub me: Me,
    /// The change.
    pub spec: AgentPRSpec,
    /// What was said last time.
    pub previous: AgentPRStatus,
    /// Its Factory is gone.
    pub orphaned: bool,
    /// The Factory's rules.
    pub rules: Result<Rules, PortError>,
    /// The files, where they may be proposed; not looked at once they were.
    pub change: Result<Change, PortError>,
    /// The forge.
    pub forge: Result<Box<ForgeSeen>, PortError>,
    /// Gates that were run for it.
    pub gates: Vec<GateSeen>,
    /// Names of runs of its own that can't be read.
    pub unreadable: Vec<String>,
    /// Why its Primitive is paused, where it is.
    pub paused: Option<String>,
    /// Runs of former changes that may go once this one is merged.
    pub surplus: Vec<ObjectName>,
    /// Changes of the Factory that come before this one.
    pub ahead: Vec<String>,
    /// Whether any other change is on its way to its merge.
    pub others: bool,
    /// Other changes of the Factory that have their pull requests, or come before
    /// this one in getting theirs.
    pub open: usize,
}

/// The object itself.
#[derive(Clone, Debug)]
pub struct Me {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// When it was made.
    pub created: Timestamp,
    /// It is to go.
    pub deleting: bool,
    /// The branch it would have; free of other AgentPRs' branches.
    pub branch: Branch,
}

/// What a Factory says about changes.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The Factory's name.
    pub factory: String,
    /// The branch that changes go into.
    pub base: Branch,
    /// The commit status that the gate sets.
    pub required_check: String,
    /// Pull requests open at a time.
    pub max_open: usize,
}

/// Files that may be proposed.
#[derive(Clone, Debug)]
pub struct Change {
    /// The files.
    pub files: Vec<crate::ports::forge::Change>,
    /// Digest of all of them.
    pub hash: String,
}

/// What the forge says.
#[derive(Clone, Debug)]
pub struct ForgeSeen {
    /// The base branch's newest commit.
    pub base: Sha,
    /// The base branch has the package.
    pub in_base: bool,
    /// The branch's newest commit, where there is a branch.
    pub head: Option<Commit>,
    /// The pull request, in any state.
    pub pull: Option<Pull>,
    /// The commit that the merge made.
    pub merged: Option<Commit>,
}

/// A GateRun of this change.
#[derive(Clone, Debug)]
pub struct GateSeen {
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created: Timestamp,
    /// What it is about.
    pub revision: Revision,
    /// What it came to; none while it runs.
    pub verdict: Option<Verdict>,
    /// What it says.
    pub message: String,
    /// One line per step.
    pub results: Vec<StepResult>,
}

/// Decides.
pub fn decide(seen: &Seen, now: Now) -> Decision<AgentPRStatus> {
    let mut draft = Draft::new(seen, now);
    if seen.me.deleting {
        end::go(&mut draft);
    } else if seen.previous.cleaned {
        end::settled(&mut draft);
    } else {
        match (&seen.rules, &seen.forge) {
            (Err(error), _) | (_, Err(error)) => draft.fails(error),
            (Ok(rules), Ok(forge)) => draft.advance(rules, forge),
        }
    }
    draft.finish()
}

/// Takes over what the next pass could not see.
pub fn receive(status: &mut AgentPRStatus, done: &[(&Action, Receipt)]) {
    let at = place(status);
    for (action, receipt) in done {
        match receipt {
            Receipt::Committed(Committed::Made(sha) | Committed::Unchanged(sha)) => status.made = Some(sha.to_string()),
            Receipt::Committed(Committed::Empty) => status.obstacle = Some(obstacle(ObstacleKind::NothingToChange, "", "")),
            Receipt::Committed(Committed::HeadMoved(sha)) => {
                status.obstacle = Some(obstacle(ObstacleKind::BranchTaken, "", sha.as_str()));
            }
            Receipt::Opened(Opened::Made(pull) | Opened::There(pull)) => {
                status.number = i64::try_from(pull.number).ok();
                status.url = Some(pull.url.clone());
            }
            Receipt::Updated(Updated::Updated(sha)) if !status.edited => status.made = Some(sha.to_string()),
            Receipt::Updated(Updated::Conflict) => status.obstacle = Some(obstacle(ObstacleKind::Conflict, "", &at)),
            Receipt::Updated(Updated::UpToDate) => status.obstacle = Some(obstacle(ObstacleKind::Contains, "", &at)),
            Receipt::Merged(MergeOutcome::Merged(sha) | MergeOutcome::AlreadyMerged(sha)) => status.merge_sha = Some(sha.to_string()),
            Receipt::Merged(MergeOutcome::NotReady(_, why) | MergeOutcome::Refused(why)) => hold(status, why, &at),
            // The pull request follows its branch some time later. Who has really
            // moved it is seen in the next pass, and is another place then.
            Receipt::Merged(MergeOutcome::HeadMoved(_)) | Receipt::Updated(Updated::HeadMoved(_) | Updated::NotOpen(_)) => {
                hold(status, "the forge does not see the branch's newest commit in the pull request yet", &at);
            }
            Receipt::Removed(Removed::Removed | Removed::Absent) => status.cleaned = status.merge_sha.is_some(),
            // The last of a report's writes.
            Receipt::Done if let Action::SetStatus(head, said) = action => {
                let comment =
                    done.iter().find_map(|(action, _)| if let Action::Comment { body, .. } = action { Some(body.as_str()) } else { None });
                status.reported = Some(report::said(head, said, comment));
            }
            // The next pass sees the head, the pull request or the branch itself.
            Receipt::Updated(_) | Receipt::Removed(_) | Receipt::Unkept(_) | Receipt::Refused { .. } | Receipt::Done => {}
        }
    }
}

/// Counts how often the forge did not do it at this place.
fn hold(status: &mut AgentPRStatus, why: &str, at: &str) {
    let before = status.obstacle.take().filter(|o| o.kind == ObstacleKind::Held && o.at == at).map_or(0, |o| o.times);
    status.obstacle = Some(Obstacle { times: before + 1, ..obstacle(ObstacleKind::Held, why, at) });
}

fn obstacle(kind: ObstacleKind, message: &str, at: &str) -> Obstacle {
    Obstacle { kind, message: message.into(), at: at.into(), times: 0 }
}

/// Head and base: what an obstacle is about.
fn place(status: &AgentPRStatus) -> String {
    let head = status.revision.as_ref().map(|r| r.head.as_str());
    format!("{} {}", head.unwrap_or_default(), status.base.as_deref().unwrap_or_default())
}

/// A decision while it is made.
struct Draft<'a> {
    seen: &'a Seen,
    now: Now,
    status: AgentPRStatus,
    actions: Vec<Action>,
    ready: Vec<Statement>,
    gate: Option<Statement>,
    again: Duration,
}

impl<'a> Draft<'a> {
    fn new(seen: &'a Seen, now: Now) -> Self {
        let status =
            AgentPRStatus { conditions: Vec::new(), observed_generation: None, next_action: None, queue: None, ..seen.previous.clone() };
        Self { seen, now, status, actions: Vec::new(), ready: Vec::new(), gate: None, again: now.resync }
    }

    fn finish(self) -> Decision<AgentPRStatus> {
        let mut statements = self.ready;
        statements.extend(self.gate);
        Decision { actions: self.actions, status: self.status, statements, again: self.again }
    }

    fn does(&mut self, action: Action) {
        self.actions.push(action);
    }

    /// Something is being done, or waited for, that passes by itself.
    fn waits(&mut self, reason: Reason, message: &str, again: Duration) {
        self.ready = retry::not_ready(false, reason, message).into();
        self.again = again;
        self.next("Wait", Some(again));
    }

    /// Somebody must act.
    fn stalls(&mut self, reason: Reason, message: &str) {
        self.ready = retry::not_ready(true, reason, message).into();
        self.again = self.now.resync.min(retry::SLOW);
        self.next("Edit", None);
    }

    fn fails(&mut self, error: &PortError) {
        self.ready = retry::not_ready_because(error);
        self.again = retry::delay(error.class, retry::failing_since(&self.seen.previous.conditions), self.now.at);
        self.next(if retry::stalls(error.class) { "Edit" } else { "Wait" }, Some(self.again));
    }

    fn is_ready(&mut self, reason: Reason, message: &str) {
        self.ready = vec![Statement::new(ConditionType::Ready, Truth::True, reason, message)];
        self.again = self.now.resync;
    }

    fn next(&mut self, verb: &str, again: Option<Duration>) {
        // In steps: a wait that grows with its age is not to be another status each time.
        let retry_after = again.map(|d| i64::try_from(d.as_secs().max(1).next_power_of_two()).unwrap_or(i64::MAX));
        self.status.next_action = Some(NextAction { verb: verb.into(), url: self.status.url.clone(), retry_after });
    }

    fn reach(&mut self, milestone: &str) {
        reach(&mut self.status.milestones, milestone, Time(self.now.at));
    }

    fn advance(&mut self, rules: &Rules, forge: &ForgeSeen) {
        // Once it is merged, what the base branch was before that stands.
        if !matches!(&forge.pull, Some(Pull { state: PullState::Merged(_), .. })) {
            self.status.base = Some(forge.base.to_string());
        }
        self.reach("Seen");
        self.attempts();
        match forge.pull.as_ref().map(|pull| (pull, &pull.state)) {
            None if self.status.number.is_some() => {
                self.stalls(Reason::Closed, "its pull request was removed from the forge: make another change");
            }
            None => self.propose(rules, forge),
            // Whatever it went into: it may have been the Factory's base branch then.
            Some((pull, PullState::Merged(sha))) => {
                self.knows(pull);
                end::merged(self, sha, forge);
            }
            Some((pull, PullState::Closed)) => {
                self.knows(pull);
                self.stalls(
                    Reason::Closed,
                    &format!("pull request {} was closed without a merge: open it again, or make another change", pull.number),
                );
            }
            Some((pull, PullState::Open)) if pull.base != rules.base.as_str() || !pull.own_branch => {
                self.knows(pull);
                let what = format!(
                    "pull request {} goes into {}, and not from its own branch into {}: set its base to that",
                    pull.number, pull.base, rules.base
                );
                self.stalls(Reason::MergeHeld, &what);
            }
            Some((pull, PullState::Open)) => {
                self.knows(pull);
                match &forge.head {
                    Some(head) => self.judge(rules, forge, pull, head),
                    None => self.stalls(Reason::Closed, "the pull request's branch was removed: make another change"),
                }
            }
        }
    }

    fn knows(&mut self, pull: &Pull) {
        self.status.number = i64::try_from(pull.number).ok();
        self.status.url = Some(pull.url.clone());
        // A pass that opened it and was cut off wrote neither down.
        self.reach("Committed");
        self.reach("Opened");
    }

    /// An open pull request: gate its head, and merge it in its turn.
    fn judge(&mut self, rules: &Rules, forge: &ForgeSeen, pull: &Pull, head: &Commit) {
        let revision = self.revision(forge, head);
        let outdated = revision.base != forge.base.as_str();
        self.status.revision = Some(revision.clone());
        let place = place(&self.status);
        let obstacle = self.status.obstacle.take().filter(|o| o.at == place);
        self.status.obstacle.clone_from(&obstacle);
        if obstacle.as_ref().is_some_and(|o| o.kind == ObstacleKind::Conflict) {
            let what =
                format!("the change contradicts {} at {}: apply it again, made from what is there now", rules.base, short(&forge.base));
            return self.stalls(Reason::MergeConflict, &what);
        }
        self.status.queue = i64::try_from(self.seen.ahead.len() + 1).ok();
        // Its turn has come, so that what would be gated is not what would be merged.
        let held = obstacle.filter(|o| o.kind == ObstacleKind::Held);
        let labelled = pull.labels.iter().any(|l| l == super::factory::PULL_REQUEST_LABEL);
        // What was red may be green on a newer base, and is tried when that keeps nobody waiting.
        let may = labelled && !(self.seen.others && is_red(&self.status));
        if outdated && may && self.seen.ahead.is_empty() && self.seen.paused.is_none() {
            self.gate = Some(gates::says(Truth::Unknown, Reason::Updating, "a newer base branch is merged in first"));
            self.does(Action::UpdateBranch(pull.number, head.sha.clone()));
            let what = format!("{} moved on to {}, which is merged into the branch", rules.base, short(&forge.base));
            return match held {
                Some(held) => self.held(&held, Reason::Updating, &what),
                None => self.waits(Reason::Updating, &what, SOON),
            };
        }
        let Some(passed) = self.gate(rules, &revision, pull, head) else { return };
        self.reach("Green");
        if !labelled {
            let what = format!("green, and held: its label {} was removed; add it to have it merged", super::factory::PULL_REQUEST_LABEL);
            return self.stalls(Reason::MergeHeld, &what);
        }
        if let Some(why) = &self.seen.paused {
            let what = format!(
                "green, and held: Primitive {} is paused ({why}); take its spec.paused away to have it merged",
                self.seen.spec.primitive
            );
            return self.stalls(Reason::Paused, &what);
        }
        if let Some(first) = self.seen.ahead.first() {
            let what = format!("green; place {} in the queue, behind {first}", self.seen.ahead.len() + 1);
            return self.waits(Reason::Queued, &what, WATCHED);
        }
        self.does(Action::Merge(
            pull.number,
            MergeRequest {
                head: head.sha.clone(),
                title: report::subject(&self.seen.spec.title),
                message: report::trailer(self.seen, &passed, &revision),
            },
        ));
        match held {
            Some(held) => self.held(&held, Reason::MergeHeld, "green, and the forge does not merge it"),
            None => self.waits(Reason::Merging, "green, and first in the queue: it is merged", SOON),
        }
    }

    /// The forge did not do it, and is asked again: more and more seldom.
    fn held(&mut self, held: &Obstacle, reason: Reason, what: &str) {
        if held.times >= PATIENCE {
            // Somebody has to do what the forge asks; meanwhile others go first.
            self.stalls(Reason::MergeHeld, &format!("{what}: {}", held.message));
            self.again = HELD.1;
        } else {
            self.waits(reason, &format!("{what} yet: {}", held.message), HELD.0);
        }
    }

    /// What a merge of this head would be, as far as it is known.
    fn revision(&mut self, forge: &ForgeSeen, head: &Commit) -> Revision {
        let made = self.status.made.clone().unwrap_or_default();
        let base_in = |base: &Sha| head.parents.contains(base);
        // The forge's own merge of the base into what was ours.
        let updated = updates(head, |sha| sha.as_str() == made, &forge.base);
        if updated {
            self.status.made = Some(head.sha.to_string());
        }
        let ours = updated || head.sha.as_str() == made;
        self.status.edited |= !ours;
        let place = format!("{} {}", head.sha, forge.base);
        let contains = self.status.obstacle.as_ref().is_some_and(|o| o.kind == ObstacleKind::Contains && o.at == place);
        let known = self.seen.previous.revision.as_ref().filter(|r| r.head == head.sha.as_str()).map(|r| r.base.clone());
        let base = if contains || base_in(&forge.base) {
            forge.base.to_string()
        } else if let Some(known) = known {
            known
        } else {
            // What somebody pushed stands on what was there before.
            let former = || self.seen.previous.revision.as_ref().map(|r| r.base.clone());
            let last = if ours { head.parents.last().map(ToString::to_string) } else { former() };
            last.or_else(|| self.status.onto.clone()).unwrap_or_default()
        };
        Revision { base, head: head.sha.to_string(), tree: head.tree.to_string() }
    }
}

/// Whether a commit is the forge's merge of a base into one of ours.
fn updates(head: &Commit, ours: impl Fn(&Sha) -> bool, base: &Sha) -> bool {
    matches!(&head.parents[..], [first, second] if ours(first) && second == base)
}

/// Whether the last that any gate said of a change is something else than that it passed.
pub fn is_red(status: &AgentPRStatus) -> bool {
    status.attempts.iter().rev().find_map(|attempt| attempt.verdict).is_some_and(|verdict| verdict != Verdict::Passed)
}

/// The beginning of a commit's id, as people write it.
fn short(sha: &Sha) -> &str {
    &sha.as_str()[..8]
}
