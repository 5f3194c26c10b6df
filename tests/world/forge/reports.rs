//! Commit statuses and comments of the fake.

use async_trait::async_trait;
use flywheel::{
    api::names::Sha,
    ports::{
        error::PortError,
        forge::{CommitStatus, Reports, Written},
    },
};

use super::{Client, Repo, gone};

/// A comment on a pull request.
#[derive(Clone, Debug)]
pub struct Comment {
    /// The pull request's number.
    pub pull: u64,
    /// Who wrote it.
    pub author: String,
    /// What it says, marker and all.
    pub body: String,
}

#[async_trait]
impl Reports for Client {
    async fn set_status(&self, sha: &Sha, status: &CommitStatus) -> Result<Written, PortError> {
        self.in_repo("set_status", |repo, account| {
            if status.state.as_str().is_none() {
                return Err(PortError::invalid("state", "is not one that can be set"));
            }
            known(repo, sha)?;
            if repo.statuses.get(sha).is_some_and(|all| all.get(&status.context) == Some(status)) {
                return Ok(Written::Unchanged);
            }
            repo.may_write(account)?;
            repo.statuses.entry(sha.clone()).or_default().insert(status.context.clone(), status.clone());
            Ok(Written::Written)
        })
    }

    async fn statuses(&self, sha: &Sha) -> Result<Vec<CommitStatus>, PortError> {
        self.in_repo("statuses", |repo, _| {
            known(repo, sha)?;
            Ok(repo.statuses.get(sha).map(|all| all.values().cloned().collect()).unwrap_or_default())
        })
    }

    async fn upsert_comment(&self, number: u64, marker: &str, body: &str) -> Result<Written, PortError> {
        self.in_repo("upsert_comment", |repo, account| {
            if number == 0 || number > repo.pulls.len() as u64 {
                return Err(gone(format_args!("pull request {number}")));
            }
            let marker = format!("<!-- {marker} -->\n");
            let text = format!("{marker}{body}");
            match repo.comments.iter_mut().find(|c| c.pull == number && c.author == account && c.body.starts_with(&marker)) {
                Some(comment) if comment.body == text => return Ok(Written::Unchanged),
                Some(comment) => comment.body = text,
                None => repo.comments.push(Comment { pull: number, author: account.into(), body: text }),
            }
            Ok(Written::Written)
        })
    }
}

fn known(repo: &Repo, sha: &Sha) -> Result<(), PortError> {
    repo.git.look(sha).map(drop).ok_or_else(|| gone(format_args!("commit {sha}")))
}
