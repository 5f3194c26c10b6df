//! Pull requests: finding, opening, labelling, updating, closing.

use async_trait::async_trait;
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::json;

use super::{Answer, Gitea};
use crate::{
    api::{
        conditions::Reason,
        names::{Branch, Sha},
    },
    ports::{
        error::{Class, PortError},
        forge::{Code, Forge, MergeOutcome, MergeRequest, Mergeable, NewPull, Opened, Pull, PullState, Pulls, Updated},
    },
};

#[async_trait]
impl Pulls for Gitea {
    async fn find_pull(&self, base: &Branch, head: &Branch) -> Result<Option<Pull>, PortError> {
        let request = self.in_repo(Method::GET, &["pulls", base.as_str(), head.as_str()]);
        self.find(request).await?.map(|body| self.understand_pull(body)).transpose()
    }

    async fn pull(&self, number: u64) -> Result<Option<Pull>, PortError> {
        self.pull_body(number).await?.map(|body| self.understand_pull(body)).transpose()
    }

    async fn open_pull(&self, new: &NewPull) -> Result<Opened, PortError> {
        if let Some(there) = self.find_pull(&new.base, &new.head).await? {
            return Ok(Opened::There(there));
        }
        // Opened with its labels, so that no delivery tells of one without.
        let labels = self.label_ids(&new.labels).await?;
        let body = json!({ "base": new.base.as_str(), "head": new.head.as_str(), "title": new.title, "body": new.body, "labels": labels });
        match self.ask(self.in_repo(Method::POST, &["pulls"]).json(&body)).await? {
            Answer::Good(response) => Ok(Opened::Made(self.understand_pull(self.json(response).await?)?)),
            // Opened between the two calls.
            Answer::Refused(StatusCode::CONFLICT, said) => match self.find_pull(&new.base, &new.head).await? {
                Some(there) => Ok(Opened::There(there)),
                None => Err(self.refusal(StatusCode::CONFLICT, &said)),
            },
            Answer::Refused(StatusCode::NOT_FOUND, _) => {
                self.repository().await?;
                Err(self.gone(format_args!("branch {} or {}", new.base, new.head)))
            }
            Answer::Refused(status, said) => Err(self.refusal(status, &said)),
        }
    }

    async fn update_branch(&self, number: u64, expected: &Sha) -> Result<Updated, PortError> {
        let pull = self.known_pull(number).await?;
        if pull.state != PullState::Open {
            return Ok(Updated::NotOpen(pull.state));
        }
        match pull.head {
            Some(head) if head != *expected => return Ok(Updated::HeadMoved(head)),
            Some(_) => {}
            None => return Err(self.gone(format_args!("branch {}", pull.head_branch))),
        }
        // Gitea answers an update that is not needed with 500.
        if self.commits_missing(expected, &pull.base).await? == 0 {
            return Ok(Updated::UpToDate);
        }
        let request = self.in_repo(Method::POST, &["pulls", &number.to_string(), "update"]).query(&[("style", "merge")]);
        match self.ask(request).await? {
            Answer::Good(_) => {}
            Answer::Refused(StatusCode::CONFLICT, _) => return Ok(Updated::Conflict),
            Answer::Refused(StatusCode::NOT_FOUND, _) => return Err(self.no_pull(number)),
            Answer::Refused(StatusCode::UNPROCESSABLE_ENTITY, _) => return Ok(Updated::NotOpen(self.known_pull(number).await?.state)),
            Answer::Refused(status, said) => return Err(self.refusal(status, &said)),
        }
        let head = self.known_pull(number).await?.head.ok_or_else(|| self.gone(format_args!("branch {}", pull.head_branch)))?;
        let ours = self.commit(&head).await?.is_some_and(|c| c.parents.len() == 2 && c.parents[0] == *expected);
        Ok(if ours { Updated::Updated(head) } else { Updated::HeadMoved(head) })
    }

    async fn close_pull(&self, number: u64) -> Result<PullState, PortError> {
        let pull = self.known_pull(number).await?;
        if pull.state != PullState::Open {
            return Ok(pull.state);
        }
        let request = self.in_repo(Method::PATCH, &["pulls", &number.to_string()]).json(&json!({ "state": "closed" }));
        match self.ask(request).await? {
            Answer::Good(response) => Ok(self.understand_pull(self.json(response).await?)?.state),
            Answer::Refused(StatusCode::NOT_FOUND, _) => Err(self.no_pull(number)),
            // Merged between the two calls.
            Answer::Refused(StatusCode::PRECONDITION_FAILED, _) => Ok(self.known_pull(number).await?.state),
            Answer::Refused(status, said) => Err(self.refusal(status, &said)),
        }
    }

    async fn merge(&self, number: u64, request: &MergeRequest) -> Result<MergeOutcome, PortError> {
        self.squash(number, request).await
    }
}

impl Gitea {
    /// A pull request that must be there.
    pub(super) async fn known_pull(&self, number: u64) -> Result<Pull, PortError> {
        self.pull(number).await?.ok_or_else(|| self.no_pull(number))
    }

    /// A pull request that must be there, and whether it would change nothing. Gitea
    /// compares it with where it left the base branch.
    pub(super) async fn sized_pull(&self, number: u64) -> Result<(Pull, bool), PortError> {
        let body = self.pull_body(number).await?.ok_or_else(|| self.no_pull(number))?;
        let is_empty = body.changed_files == Some(0);
        Ok((self.understand_pull(body)?, is_empty))
    }

    async fn pull_body(&self, number: u64) -> Result<Option<PullBody>, PortError> {
        self.find(self.in_repo(Method::GET, &["pulls", &number.to_string()])).await
    }

    /// How many commits of a branch a commit does not follow.
    pub(super) async fn commits_missing(&self, head: &Sha, base: &str) -> Result<u64, PortError> {
        let request =
            self.in_repo(Method::GET, &["compare", &format!("{head}...{base}")]).query(&[("files", false), ("verification", false)]);
        let compared: CompareBody = self.json(self.send(request, || self.gone(format_args!("branch {base}"))).await?).await?;
        Ok(compared.total_commits)
    }

    pub(super) fn no_pull(&self, number: u64) -> PortError {
        self.gone(format_args!("pull request {number}"))
    }

    /// Ids of labels; Gitea ignores a name that it does not know.
    async fn label_ids(&self, names: &[String]) -> Result<Vec<u64>, PortError> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let there: Vec<LabelBody> = self.pages(&["labels"]).await?;
        let id = |name: &String| {
            there.iter().find(|label| label.name == *name).map(|label| label.id).ok_or_else(|| {
                let problem = format!("{} has no label {name} in {} yet; the Factory makes it", self.server, self.repo);
                PortError::new(Class::Waiting, Reason::Waiting, problem)
            })
        };
        names.iter().map(id).collect()
    }

    fn understand_pull(&self, body: PullBody) -> Result<Pull, PortError> {
        let state = match (body.merged, body.merge_commit_sha) {
            (true, Some(sha)) => PullState::Merged(self.sha(&sha)?),
            (true, None) => return Err(self.unexpected(format_args!("does not say as what it merged pull request {}", body.number))),
            (false, _) if body.state == "open" => PullState::Open,
            (false, _) => PullState::Closed,
        };
        Ok(Pull {
            number: body.number,
            url: body.html_url,
            state,
            head: if body.head.sha.is_empty() { None } else { Some(self.sha(&body.head.sha)?) },
            // The ref is the pull request's own once the branch is gone.
            head_branch: body.head.label,
            own_branch: body.head.repo_id == body.base.repo_id,
            base: body.base.label,
            // Gitea says `false` until it has computed it, and for a conflict.
            mergeable: if body.mergeable { Mergeable::Clean } else { Mergeable::Unknown },
            labels: body.labels.into_iter().map(|l| l.name).collect(),
            title: body.title,
            author: body.user.login,
        })
    }
}

#[derive(Deserialize)]
struct PullBody {
    number: u64,
    html_url: String,
    state: String,
    merged: bool,
    merge_commit_sha: Option<String>,
    mergeable: bool,
    /// Not said of one in a list.
    changed_files: Option<u64>,
    title: String,
    user: Account,
    labels: Vec<LabelBody>,
    base: End,
    head: End,
}

#[derive(Deserialize)]
struct End {
    label: String,
    sha: String,
    repo_id: i64,
}

#[derive(Deserialize)]
struct Account {
    login: String,
}

#[derive(Deserialize)]
struct LabelBody {
    id: u64,
    name: String,
}

#[derive(Deserialize)]
struct CompareBody {
    total_commits: u64,
}
