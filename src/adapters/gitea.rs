//! Gitea, and Forgejo where it speaks the same API (`/api/v1`).

use async_trait::async_trait;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url, header};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::json;

use super::http;
use crate::{
    api::{
        conditions::Reason,
        factory::RepositorySpec,
        names::{Branch, Repo},
    },
    ports::{
        error::{Class, PortError},
        forge::{BranchState, Forge, Label, Protection, Repository},
    },
};

/// Items a page; Gitea's own limit, which its settings may lower.
const PAGE: usize = 50;
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
            .build()
            .map_err(|e| PortError::new(Class::Bug, Reason::InternalError, "no HTTP client could be made").because(e))?;
        Ok(Self {
            client,
            server: format!("the forge at {base}"),
            api,
            repo: Repo { owner: spec.owner.clone(), name: spec.name.clone() },
            authorization,
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

    pub(super) fn in_repo(&self, method: Method, segments: &[&str]) -> RequestBuilder {
        let mut path = vec!["repos", &self.repo.owner, &self.repo.name];
        path.extend(segments);
        self.request(method, &path)
    }

    /// Sends; `not_found` is what a 404 means for this request.
    pub(super) async fn send(&self, request: RequestBuilder, not_found: impl FnOnce() -> PortError) -> Result<Response, PortError> {
        let response = request.send().await.map_err(|e| http::no_answer(&self.server, e))?;
        if response.status().is_success() {
            return Ok(response);
        }
        if let Some(error) = http::common_failure(&self.server, &response) {
            return Err(error);
        }
        let status = response.status();
        let said = response.json::<ErrorBody>().await.map(|b| b.message).unwrap_or_default();
        Err(match status {
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
            StatusCode::NOT_FOUND => not_found(),
            StatusCode::CONFLICT => PortError::new(Class::Conflict, Reason::Conflict, format!("{}: {said}", self.server)),
            other => PortError::new(
                Class::Bug,
                Reason::UnexpectedAnswer,
                format!("{} answered {other}: {said}; is it a Gitea 1.22 or later?", self.server),
            ),
        })
    }

    pub(super) async fn json<T: DeserializeOwned>(&self, response: Response) -> Result<T, PortError> {
        response.json().await.map_err(|e| {
            if http::is_garbage(&e) {
                PortError::new(
                    Class::Bug,
                    Reason::UnexpectedAnswer,
                    format!("{} answered with something else than Gitea's API: check spec.repository.url", self.server),
                )
                .because(e.without_url())
            } else {
                http::no_answer(&self.server, e)
            }
        })
    }

    /// A whole list, page by page.
    pub(super) async fn pages<T: DeserializeOwned>(&self, segments: &[&str]) -> Result<Vec<T>, PortError> {
        let mut all = Vec::new();
        for page in 1..=PAGES {
            let request = self.in_repo(Method::GET, segments).query(&[("limit", PAGE), ("page", page)]);
            let response = self.send(request, || self.no_repository()).await?;
            let total: Option<usize> = response.headers().get(TOTAL).and_then(|v| v.to_str().ok()?.parse().ok());
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

    pub(super) fn no_branch(&self, name: &Branch) -> PortError {
        PortError::new(
            Class::Invalid,
            Reason::BranchNotFound,
            format!("{} has no branch {name} in {}: push a first commit, or correct baseBranch", self.server, self.repo),
        )
    }

    pub(super) fn no_repository(&self) -> PortError {
        PortError::new(
            Class::Invalid,
            Reason::RepositoryNotFound,
            format!("{} has no repository {} that the token may see: create it, or give the bot account access", self.server, self.repo),
        )
    }
}

#[async_trait]
impl Forge for Gitea {
    async fn account(&self) -> Result<String, PortError> {
        let response = self.send(self.request(Method::GET, &["user"]), || self.no_repository()).await?;
        Ok(self.json::<User>(response).await?.login)
    }

    async fn repository(&self) -> Result<Repository, PortError> {
        let response = self.send(self.in_repo(Method::GET, &[]), || self.no_repository()).await?;
        let body: RepositoryBody = self.json(response).await?;
        Ok(Repository { may_push: body.permissions.push, archived: body.archived, squash_merge: body.allow_squash_merge })
    }

    async fn branch(&self, name: &Branch) -> Result<BranchState, PortError> {
        let response = self.send(self.in_repo(Method::GET, &["branches", name.as_str()]), || self.no_branch(name)).await?;
        let body: BranchBody = self.json(response).await?;
        let head = body.commit.id.parse().map_err(|e| {
            PortError::new(Class::Bug, Reason::UnexpectedAnswer, format!("{} named an impossible commit", self.server))
                .because(Box::new(e) as Box<_>)
        })?;
        let checks = if body.enable_status_check { body.status_check_contexts.unwrap_or_default() } else { Vec::new() };
        Ok(BranchState {
            head,
            protection: body.protected.then_some(Protection { required_checks: checks, may_push: body.user_can_push }),
            may_merge: body.user_can_merge,
        })
    }

    async fn labels(&self) -> Result<Vec<String>, PortError> {
        let labels: Vec<Named> = self.pages(&["labels"]).await?;
        Ok(labels.into_iter().map(|l| l.name).collect())
    }

    async fn create_label(&self, label: &Label) -> Result<(), PortError> {
        // Gitea makes a second label of the same name without complaint.
        if self.labels().await?.contains(&label.name) {
            return Ok(());
        }
        let body = json!({ "name": label.name, "color": format!("#{}", label.color), "description": label.description });
        self.send(self.in_repo(Method::POST, &["labels"]).json(&body), || self.no_repository()).await?;
        Ok(())
    }

    async fn prove_push(&self, existing: &Branch) -> Result<(), PortError> {
        // Gitea asks for scope and right first, and only then whether the branch is
        // there. It is its own origin, so that none is made if it was just removed.
        let body = json!({ "new_branch_name": existing, "old_ref_name": existing });
        match self.send(self.in_repo(Method::POST, &["branches"]).json(&body), || self.no_branch(existing)).await {
            Err(error) if error.class == Class::Conflict => Ok(()),
            other => other.map(drop),
        }
    }
}

#[derive(Deserialize)]
struct ErrorBody {
    message: String,
}

#[derive(Deserialize)]
struct User {
    login: String,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
struct RepositoryBody {
    archived: bool,
    allow_squash_merge: bool,
    permissions: Permissions,
}

#[derive(Deserialize)]
struct Permissions {
    push: bool,
}

#[derive(Deserialize)]
struct BranchBody {
    commit: Commit,
    protected: bool,
    enable_status_check: bool,
    status_check_contexts: Option<Vec<String>>,
    user_can_push: bool,
    user_can_merge: bool,
}

#[derive(Deserialize)]
struct Commit {
    id: String,
}
