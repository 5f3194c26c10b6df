//! Gitea, and Forgejo where it speaks the same API (`/api/v1`). This file is the
//! client: requests, pages, and what a status means. The others map one group of
//! the port's operations each, and none keeps anything between two calls but the
//! account's name and commits, which never change. Read `repository.rs` next, then `commit_files.rs`.

mod admin;
mod code;
mod commit_files;
mod merge;
mod pulls;
mod reports;
mod repository;
mod trees;

use std::{collections::HashMap, sync::Mutex, time::Duration};

use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url, header};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, de::DeserializeOwned};
use tokio::sync::OnceCell;

use super::http;
use crate::{
    api::{
        conditions::Reason,
        factory::RepositorySpec,
        names::{Branch, Repo, Sha},
    },
    ports::{
        error::{Class, PortError},
        forge::Commit,
    },
};

/// Items a page; Gitea's own limit, which its settings may lower.
const PAGE: usize = 50;
/// Most bytes that are read of a refusal.
const MAX_ERROR: usize = 64 * 1024;
/// How long an unused connection is kept.
const IDLE: Duration = Duration::from_secs(10);
/// Commits that are remembered.
const COMMITS: usize = 1024;
/// How many items there are on all pages.
const TOTAL: &str = "x-total-count";
/// Pages after which a list is taken to be endless.
const PAGES: usize = 100;

/// One repository on a Gitea.
pub struct Gitea {
    client: Client,
    server: String,
    api: Url,
    repo: Repo,
    authorization: header::HeaderValue,
    /// The token's account, once somebody needed it.
    account: OnceCell<String>,
    /// Held from the look at a base to the merge into it: two of ours would both
    /// find that they lack nothing.
    merging: tokio::sync::Mutex<()>,
    /// Commits that were read; dropped whole when they are many.
    commits: Mutex<HashMap<Sha, Commit>>,
}

/// What the forge said.
enum Answer {
    /// A success.
    Good(Response),
    /// A refusal of this very request, with its message.
    Refused(StatusCode, String),
}

impl Gitea {
    /// A client for the repository of `spec`, with `token`.
    pub fn new(spec: &RepositorySpec, token: &SecretString) -> Result<Self, PortError> {
        let base = spec.url.trim_end_matches('/');
        let api = format!("{base}/api/v1/").parse().map_err(|e: url::ParseError| PortError::invalid("spec.repository.url", e))?;
        // A URL's path takes no such segment, so that another would be asked for.
        if matches!(spec.name.as_str(), "." | "..") {
            return Err(PortError::invalid("spec.repository.name", "is not a repository's name"));
        }
        let mut authorization = header::HeaderValue::from_str(&format!("token {}", token.expose_secret()))
            .map_err(|_| PortError::secret_invalid("the key token of the forge's credentials Secret holds characters that no token has"))?;
        authorization.set_sensitive(true);
        let client = http::client()
            // Before whatever stands before the forge closes it unasked.
            .pool_idle_timeout(IDLE)
            .build()
            .map_err(|e| PortError::new(Class::Bug, Reason::InternalError, "no HTTP client could be made").because(e))?;
        Ok(Self {
            client,
            server: format!("the forge at {base}"),
            api,
            repo: Repo { owner: spec.owner.clone(), name: spec.name.clone() },
            authorization,
            account: OnceCell::new(),
            merging: tokio::sync::Mutex::default(),
            commits: Mutex::default(),
        })
    }

    /// A request below `/api/v1`; each segment is escaped on its own.
    fn request(&self, method: Method, segments: &[&str]) -> RequestBuilder {
        let mut url = self.api.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        self.client.request(method, url).header(header::AUTHORIZATION, self.authorization.clone())
    }

    fn in_repo(&self, method: Method, segments: &[&str]) -> RequestBuilder {
        let mut path = vec!["repos", &self.repo.owner, &self.repo.name];
        path.extend(segments);
        self.request(method, &path)
    }

    /// Sends, and leaves the meaning of a refusal to the caller.
    async fn ask(&self, request: RequestBuilder) -> Result<Answer, PortError> {
        let response = request.send().await.map_err(|e| http::no_answer(&self.server, e))?;
        if response.status().is_success() {
            return Ok(Answer::Good(response));
        }
        if let Some(error) = http::common_failure(&self.server, &response) {
            return Err(error);
        }
        let status = response.status();
        let said = http::body(&self.server, response, MAX_ERROR).await.ok();
        let said = said.and_then(|body| serde_json::from_slice::<ErrorBody>(&body).ok()).map(|body| body.message).unwrap_or_default();
        Ok(Answer::Refused(status, said))
    }

    /// Sends; `not_found` is what a 404 means for this request.
    async fn send(&self, request: RequestBuilder, not_found: impl FnOnce() -> PortError) -> Result<Response, PortError> {
        match self.ask(request).await? {
            Answer::Good(response) => Ok(response),
            Answer::Refused(StatusCode::NOT_FOUND, _) => Err(not_found()),
            Answer::Refused(status, said) => Err(self.refusal(status, &said)),
        }
    }

    /// The failure that a refusal is, where the request gives it no other meaning.
    fn refusal(&self, status: StatusCode, said: &str) -> PortError {
        match status {
            StatusCode::UNAUTHORIZED => PortError::new(
                Class::Denied,
                Reason::TokenRejected,
                format!("{} does not know the token: put a valid one under the key token of the credentials Secret", self.server),
            ),
            StatusCode::FORBIDDEN => PortError::new(
                Class::Denied,
                Reason::PermissionMissing,
                format!("{} refused: {said}; give the bot account and its token this right", self.server),
            ),
            StatusCode::NOT_FOUND => self.no_repository(),
            StatusCode::CONFLICT => PortError::new(Class::Conflict, Reason::Conflict, format!("{}: {said}", self.server)),
            StatusCode::LOCKED => PortError::new(
                Class::Denied,
                Reason::MergeUnavailable,
                format!("{}: the repository {} is archived: unarchive it", self.server, self.repo),
            ),
            other => self.unexpected(format_args!("answered {other}: {said}; is it a Gitea 1.22 or later?")),
        }
    }

    fn unexpected(&self, what: impl std::fmt::Display) -> PortError {
        PortError::new(Class::Bug, Reason::UnexpectedAnswer, format!("{} {what}", self.server))
    }

    /// A commit's or a file's id as the forge names it.
    fn sha(&self, text: &str) -> Result<Sha, PortError> {
        text.parse().map_err(|e| self.unexpected("named an impossible commit").because(Box::new(e) as Box<_>))
    }

    /// Something was there a moment ago, or should be: the caller must look again.
    fn gone(&self, what: impl std::fmt::Display) -> PortError {
        PortError::new(Class::Conflict, Reason::Conflict, format!("{} has no {what} in {}", self.server, self.repo))
    }

    async fn json<T: DeserializeOwned>(&self, response: Response) -> Result<T, PortError> {
        let body = http::body(&self.server, response, http::MAX_BODY).await?;
        serde_json::from_slice(&body).map_err(|e| {
            PortError::new(
                Class::Bug,
                Reason::UnexpectedAnswer,
                format!("{} answered with something else than Gitea's API: check spec.repository.url", self.server),
            )
            .because(e)
        })
    }

    /// A whole list, page by page.
    async fn pages<T: DeserializeOwned>(&self, segments: &[&str]) -> Result<Vec<T>, PortError> {
        let mut all = Vec::new();
        for page in 1..=PAGES {
            let request = self.in_repo(Method::GET, segments).query(&[("limit", PAGE), ("page", page)]);
            let response = self.send(request, || self.no_repository()).await?;
            let total = total(&response);
            let items: Vec<T> = self.json(response).await?;
            let last = items.is_empty() || total.map_or(items.len() < PAGE, |total| all.len() + items.len() >= total);
            all.extend(items);
            if last {
                return Ok(all);
            }
        }
        Err(PortError::new(
            Class::Bug,
            Reason::UnexpectedAnswer,
            format!("{} has more than {PAGES} pages of {}: remove what is not needed", self.server, segments.join("/")),
        ))
    }

    fn no_branch(&self, name: &Branch) -> PortError {
        PortError::new(
            Class::Invalid,
            Reason::BranchNotFound,
            format!("{} has no branch {name} in {}: push a first commit, or correct baseBranch", self.server, self.repo),
        )
    }

    fn no_repository(&self) -> PortError {
        PortError::new(
            Class::Invalid,
            Reason::RepositoryNotFound,
            format!("{} has no repository {} that the token may see: create it, or give the bot account access", self.server, self.repo),
        )
    }
}

fn total(response: &Response) -> Option<usize> {
    response.headers().get(TOTAL)?.to_str().ok()?.parse().ok()
}

#[derive(Deserialize)]
struct ErrorBody {
    message: String,
}
