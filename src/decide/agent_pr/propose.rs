//! From files to a pull request.

use super::{Action, Draft, ForgeSeen, Intent, ObstacleKind, Reason, Rules, SOON, Sha, WATCHED, report};
use crate::{
    decide::factory::PULL_REQUEST_LABEL,
    ports::forge::{NewCommit, NewPull},
};

impl Draft<'_> {
    /// No pull request yet: a branch with one commit, then the request.
    pub(super) fn propose(&mut self, rules: &Rules, forge: &ForgeSeen) {
        if let Some(obstacle) = &self.seen.previous.obstacle {
            match obstacle.kind {
                ObstacleKind::NothingToChange => return self.is_ready(Reason::NothingToChange, "the base branch says all of it already"),
                ObstacleKind::BranchTaken if forge.head.as_ref().is_some_and(|h| h.sha.as_str() == obstacle.at) => {
                    let what = format!("branch {} is there and holds something else: remove it", self.seen.me.branch);
                    return self.stalls(Reason::Taken, &what);
                }
                _ => self.status.obstacle = None,
            }
        }
        let change = match &self.seen.change {
            Ok(change) => change,
            Err(error) => return self.fails(error),
        };
        self.status.manifest_hash = Some(change.hash.clone());
        let removes_all = change.files.iter().all(|file| file.content.is_none());
        self.status.intent = Some(match (forge.in_base, removes_all) {
            (true, true) => Intent::Removal,
            (true, false) => Intent::Change,
            (false, _) => Intent::NewPrimitive,
        });
        if self.seen.open >= rules.max_open {
            let what = format!("the Factory has {} pull requests open, and {} may be", self.seen.open, rules.max_open);
            return self.waits(Reason::Queued, &what, WATCHED);
        }
        // Where it begins is in the status before anything is made, so that a pass
        // after a crash makes the same commit again.
        let branch = self.status.branch.get_or_insert_with(|| self.seen.me.branch.to_string()).clone();
        let Some(onto) = self.seen.previous.onto.as_ref().and_then(|sha| sha.parse::<Sha>().ok()) else {
            self.status.onto = Some(forge.base.to_string());
            return self.waits(Reason::Proposing, &format!("branch {branch} is being made"), SOON);
        };
        let Ok(branch) = branch.parse() else {
            return self.stalls(Reason::InternalError, "status.branch is no branch name");
        };
        if self.seen.previous.made.is_some() && forge.head.is_none() {
            // Somebody removed it before its pull request was opened: made once more.
            self.status.made = None;
        }
        if self.status.made.is_none() {
            self.does(Action::CommitFiles(Box::new(NewCommit {
                branch,
                onto,
                message: report::commit_message(self.seen),
                date: self.seen.me.created,
                changes: change.files.clone(),
            })));
            return self.waits(Reason::Proposing, "its commit is being made", SOON);
        }
        self.reach("Committed");
        self.does(Action::OpenPull(Box::new(NewPull {
            base: rules.base.clone(),
            head: branch,
            title: report::subject(&self.seen.spec.title),
            body: report::body(self.seen, change),
            labels: vec![PULL_REQUEST_LABEL.into()],
        })));
        self.waits(Reason::Proposing, "its pull request is being opened", SOON);
    }
}
