//! Merging. Gitea tells most of what matters in its message: 405 is "not yet",
//! "never" and "done already" alike.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Answer, Gitea};
use crate::{
    api::names::{Branch, Sha},
    ports::{
        error::PortError,
        forge::{Forge, Hold, MergeOutcome, MergeRequest, Pull, PullState, Reports, missing},
    },
};

/// A part of Gitea's message, and what it stands for.
const HOLDS: [(&str, Hold); 9] = [
    // Computed after each push; also what it says of a conflict.
    ("try again later", Hold::Forge),
    // Another merge into the same base was faster.
    ("push out of date", Hold::Forge),
    ("required status checks", Hold::Checks),
    ("behind the base branch", Hold::Outdated),
    ("enough approvals", Hold::Review),
    ("requested changes", Hold::Review),
    ("official review requests", Hold::Review),
    ("open dependency", Hold::Review),
    ("onflict", Hold::Conflict),
];

impl Gitea {
    pub(super) async fn squash(&self, number: u64, request: &MergeRequest) -> Result<MergeOutcome, PortError> {
        let (pull, is_empty) = self.sized_pull(number).await?;
        if let Some(settled) = settled(&pull, request) {
            return Ok(settled);
        }
        let _alone = self.merging.lock().await;
        // Gitea's own check of this looks at a number that it computes after a
        // push, and lets an outdated head through until then.
        if self.commits_missing(&request.head, &pull.base).await? > 0 {
            return Ok(MergeOutcome::NotReady(Hold::Outdated, format!("{} has commits that the head lacks", pull.base)));
        }
        if is_empty && let Some(noted) = self.note_merged(number, &pull).await? {
            return Ok(noted);
        }
        let body = json!({
            "Do": "squash",
            "head_commit_id": request.head.as_str(),
            "MergeTitleField": request.title,
            "MergeMessageField": request.message,
            // The branch is removed by a call of its own, after the merge is known.
            "delete_branch_after_merge": false,
        });
        let (status, said) = match self.post_merge(number, &body).await? {
            Posted::Merged(outcome) => return Ok(outcome),
            Posted::Refused(status, said) => (status, said),
        };
        match status {
            StatusCode::METHOD_NOT_ALLOWED | StatusCode::CONFLICT | StatusCode::NOT_FOUND => {}
            other => return Err(self.refusal(other, &said)),
        }
        if said.contains("not allowed to merge") {
            return Err(self.refusal(StatusCode::FORBIDDEN, &said));
        }
        // It may have changed since we looked, and the message does not tell.
        let pull = self.known_pull(number).await?;
        if let Some(settled) = settled(&pull, request) {
            return Ok(settled);
        }
        if said.contains("head out of date") {
            // It has moved and is back, or moves at this moment.
            return Ok(MergeOutcome::HeadMoved(None));
        }
        // A conflict comes as JSON without a message.
        if status == StatusCode::CONFLICT && said.is_empty() {
            return Ok(MergeOutcome::NotReady(Hold::Conflict, "it conflicts with the base branch".into()));
        }
        Ok(match HOLDS.iter().find(|(part, _)| said.contains(part)) {
            Some((_, Hold::Checks)) => {
                // Gitea does not say which.
                let named = self.missing_checks(&pull.base, &request.head).await?;
                MergeOutcome::NotReady(Hold::Checks, if named.is_empty() { said } else { format!("{said}: {named}") })
            }
            Some((_, hold)) => MergeOutcome::NotReady(*hold, said),
            None => MergeOutcome::Refused(said),
        })
    }
}

impl Gitea {
    /// Notes as merged what the base branch has already: where whoever asked for a merge
    /// went away, Gitea may have pushed it and got no further. Merged again it would be a
    /// second commit, without a change. Nothing where the repository forbids such notes.
    async fn note_merged(&self, number: u64, pull: &Pull) -> Result<Option<MergeOutcome>, PortError> {
        let Ok(base) = pull.base.parse::<Branch>() else { return Ok(None) };
        let body = json!({ "Do": "manually-merged", "MergeCommitID": self.branch(&base).await?.head.as_str() });
        match self.post_merge(number, &body).await? {
            Posted::Merged(outcome) => Ok(Some(outcome)),
            Posted::Refused(StatusCode::METHOD_NOT_ALLOWED, _) => Ok(None),
            Posted::Refused(status, said) => Err(self.refusal(status, &said)),
        }
    }

    /// Has it merged in the way that the body says, and looks at what it was merged as.
    async fn post_merge(&self, number: u64, body: &Value) -> Result<Posted, PortError> {
        match self.ask(self.in_repo(Method::POST, &["pulls", &number.to_string(), "merge"]).json(body)).await? {
            Answer::Good(_) => match self.known_pull(number).await?.state {
                PullState::Merged(sha) => Ok(Posted::Merged(MergeOutcome::Merged(sha))),
                other => Err(self.unexpected(format_args!("merged pull request {number} and calls it {other:?}"))),
            },
            Answer::Refused(status, said) => Ok(Posted::Refused(status, said)),
        }
    }

    /// The checks that a base requires and that are not green on a head.
    async fn missing_checks(&self, base: &str, head: &Sha) -> Result<String, PortError> {
        let Ok(base) = base.parse::<Branch>() else { return Ok(String::new()) };
        let required = self.branch(&base).await?.protection.map(|p| p.required_checks).unwrap_or_default();
        Ok(missing(&required, &self.statuses(head).await?))
    }
}

/// What Gitea makes of a merge that it is asked for.
enum Posted {
    Merged(MergeOutcome),
    Refused(StatusCode, String),
}

/// What the pull request itself says, whatever a merge would answer.
fn settled(pull: &Pull, request: &MergeRequest) -> Option<MergeOutcome> {
    match &pull.state {
        PullState::Merged(sha) => Some(MergeOutcome::AlreadyMerged(sha.clone())),
        PullState::Closed => Some(MergeOutcome::Refused("it was closed without a merge".into())),
        PullState::Open if pull.head.as_ref() != Some(&request.head) => Some(MergeOutcome::HeadMoved(pull.head.clone())),
        PullState::Open => None,
    }
}
