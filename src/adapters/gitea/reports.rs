//! Commit statuses and the comment.

use std::collections::BTreeMap;

use async_trait::async_trait;
use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use super::{Answer, Gitea, PAGE, PAGES};
use crate::{
    api::names::Sha,
    ports::{
        error::PortError,
        forge::{CommitStatus, Forge, Reports, Written},
    },
};

#[async_trait]
impl Reports for Gitea {
    async fn set_status(&self, sha: &Sha, status: &CommitStatus) -> Result<Written, PortError> {
        let Some(state) = status.state.as_str() else {
            return Err(PortError::invalid("state", "is not one that can be set"));
        };
        if self.statuses(sha).await?.contains(status) {
            return Ok(Written::Unchanged);
        }
        let body = json!({ "context": status.context, "state": state, "description": status.description, "target_url": status.target_url });
        let request = self.in_repo(Method::POST, &["statuses", sha.as_str()]).json(&body);
        self.send(request, || self.no_commit(sha)).await?;
        Ok(Written::Written)
    }

    async fn statuses(&self, sha: &Sha) -> Result<Vec<CommitStatus>, PortError> {
        // By context and not as they come: a page may repeat one.
        let mut newest: BTreeMap<String, (u64, CommitStatus)> = BTreeMap::new();
        let mut seen = 0;
        for page in 1..=PAGES {
            let request = self.in_repo(Method::GET, &["commits", sha.as_str(), "status"]).query(&[("limit", PAGE), ("page", page)]);
            let response = self.send(request, || self.no_commit(sha)).await?;
            // The body's own count is that of the page.
            let total = super::total(&response);
            let statuses = self.json::<CombinedBody>(response).await?.statuses.unwrap_or_default();
            seen += statuses.len();
            let last = statuses.is_empty() || total.is_none_or(|total| seen >= total);
            for status in statuses {
                if newest.get(&status.context).is_some_and(|(id, _)| *id >= status.id) {
                    continue;
                }
                let value = CommitStatus {
                    context: status.context.clone(),
                    state: status.status.as_str().into(),
                    description: status.description,
                    target_url: status.target_url,
                };
                newest.insert(status.context, (status.id, value));
            }
            if last {
                break;
            }
        }
        Ok(newest.into_values().map(|(_, status)| status).collect())
    }

    async fn upsert_comment(&self, number: u64, marker: &str, body: &str) -> Result<Written, PortError> {
        let marker = format!("<!-- {marker} -->");
        let text = format!("{marker}\n{body}");
        let issue = number.to_string();
        // All of them in one answer: Gitea has no pages here.
        let request = self.in_repo(Method::GET, &["issues", &issue, "comments"]);
        let comments: Vec<CommentBody> = match self.find(request).await {
            Ok(Some(comments)) => comments,
            Ok(None) => return Err(self.no_pull(number)),
            // Gitea answers 500 for a number that is not there.
            Err(error) => {
                self.known_pull(number).await?;
                return Err(error);
            }
        };
        // Anybody can write the marker; only ours may be edited.
        let me = self.account.get_or_try_init(|| self.account()).await?;
        let mine = comments.iter().find(|c| c.user.login == *me && c.body.lines().next().is_some_and(|line| line.trim_end() == marker));
        let text_of = json!({ "body": text });
        let request = match mine {
            Some(comment) if comment.body == text => return Ok(Written::Unchanged),
            Some(comment) => self.in_repo(Method::PATCH, &["issues", "comments", &comment.id.to_string()]).json(&text_of),
            None => self.in_repo(Method::POST, &["issues", &issue, "comments"]).json(&text_of),
        };
        match self.ask(request).await? {
            Answer::Good(_) => Ok(Written::Written),
            Answer::Refused(status, said) => Err(self.refusal(status, &said)),
        }
    }
}

impl Gitea {
    fn no_commit(&self, sha: &Sha) -> PortError {
        self.gone(format_args!("commit {sha}"))
    }
}

#[derive(Deserialize)]
struct CombinedBody {
    statuses: Option<Vec<StatusBody>>,
}

#[derive(Deserialize)]
struct StatusBody {
    id: u64,
    context: String,
    status: String,
    description: String,
    target_url: String,
}

#[derive(Deserialize)]
struct CommentBody {
    id: u64,
    body: String,
    user: Author,
}

#[derive(Deserialize)]
struct Author {
    login: String,
}
