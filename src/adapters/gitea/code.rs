//! Commits, trees and files.

use std::sync::PoisonError;

use async_trait::async_trait;
use base64::{Engine, prelude::BASE64_STANDARD};
use reqwest::{Method, StatusCode};
use serde::Deserialize;

use super::{Answer, COMMITS, Gitea};
use crate::{
    adapters::git::Format,
    api::{
        conditions::Reason,
        names::{Branch, Sha},
    },
    ports::{
        error::{Class, PortError},
        forge::{Code, Commit, Committed, EntryKind, Forge, NewCommit, Removed, Tree},
    },
};

#[async_trait]
impl Code for Gitea {
    async fn commit(&self, sha: &Sha) -> Result<Option<Commit>, PortError> {
        if let Some(known) = self.commits.lock().unwrap_or_else(PoisonError::into_inner).get(sha) {
            return Ok(Some(known.clone()));
        }
        // What is left out costs the forge a diff each time.
        let query = [("stat", false), ("verification", false), ("files", false)];
        let request = self.in_repo(Method::GET, &["git", "commits", sha.as_str()]).query(&query);
        let Some(body) = self.find::<CommitBody>(request).await? else { return Ok(None) };
        let sha = self.sha(&body.sha)?;
        // Gitea puts the commit's own id where the tree's belongs, here and in
        // listings, so the tree's is computed from what is in it.
        let tree = Format::of(&sha).directory(&self.listing(&sha, false).await?);
        let commit = Commit { sha: sha.clone(), tree, parents: self.parents(&body.parents)? };
        let mut commits = self.commits.lock().unwrap_or_else(PoisonError::into_inner);
        if commits.len() >= COMMITS {
            commits.clear();
        }
        commits.insert(sha, commit.clone());
        Ok(Some(commit))
    }

    async fn tree(&self, commit: &Sha, path: &str) -> Result<Option<Tree>, PortError> {
        self.directory(self.root(commit).await?, path).await
    }

    async fn file(&self, commit: &Sha, path: &str, limit: usize) -> Result<Option<Vec<u8>>, PortError> {
        match self.entry(&self.root(commit).await?, path).await? {
            Some(entry) if matches!(entry.kind, EntryKind::File | EntryKind::Executable) => self.blob(&entry.sha, limit).await.map(Some),
            _ => Ok(None),
        }
    }

    async fn blob(&self, sha: &Sha, limit: usize) -> Result<Vec<u8>, PortError> {
        let request = self.in_repo(Method::GET, &["git", "blobs", sha.as_str()]);
        let missing = || self.gone(format_args!("file of the id {sha}"));
        let body: BlobBody = match self.ask(request).await? {
            Answer::Good(response) => self.json(response).await?,
            Answer::Refused(StatusCode::BAD_REQUEST, said) if said.contains("not exist") => return Err(missing()),
            Answer::Refused(StatusCode::NOT_FOUND, _) => {
                self.repository().await?;
                return Err(missing());
            }
            Answer::Refused(status, said) => return Err(self.refusal(status, &said)),
        };
        let too_big = || {
            PortError::new(Class::Invalid, Reason::Invalid, format!("a file of the id {sha} in {} has more than {limit} bytes", self.repo))
        };
        if body.size > limit as u64 {
            return Err(too_big());
        }
        // Gitea leaves the content out where it is above a limit of its own.
        let content = body.content.ok_or_else(too_big)?;
        BASE64_STANDARD.decode(content).map_err(|e| self.unexpected("sent a file that is not base64").because(e))
    }

    fn blob_id(&self, like: &Sha, content: &[u8]) -> Option<Sha> {
        Some(Format::of(like).blob(content))
    }

    async fn commit_files(&self, new: &NewCommit) -> Result<Committed, PortError> {
        self.make_commit(new).await
    }

    async fn delete_branch(&self, name: &Branch, expected: &Sha) -> Result<Removed, PortError> {
        match self.head(name).await? {
            None => return Ok(Removed::Absent),
            Some(head) if head != *expected => return Ok(Removed::HeadMoved(head)),
            Some(_) => {}
        }
        match self.ask(self.in_repo(Method::DELETE, &["branches", name.as_str()])).await? {
            Answer::Good(_) => Ok(Removed::Removed),
            // Removed between the two calls.
            Answer::Refused(StatusCode::NOT_FOUND, _) => Ok(Removed::Absent),
            Answer::Refused(status, said) => Err(self.refusal(status, &said)),
        }
    }
}

impl Gitea {
    /// Something that may be missing. A 404 says as little of the thing as of the
    /// repository or the token's rights, so the repository is looked at as well.
    pub(super) async fn find<T: serde::de::DeserializeOwned>(&self, request: reqwest::RequestBuilder) -> Result<Option<T>, PortError> {
        match self.ask(request).await? {
            Answer::Good(response) => self.json(response).await.map(Some),
            Answer::Refused(StatusCode::NOT_FOUND, _) => {
                self.repository().await?;
                Ok(None)
            }
            Answer::Refused(status, said) => Err(self.refusal(status, &said)),
        }
    }

    /// The commit a branch points at.
    pub(super) async fn head(&self, name: &Branch) -> Result<Option<Sha>, PortError> {
        let found: Option<BranchHead> = match self.find(self.in_repo(Method::GET, &["branches", name.as_str()])).await {
            Err(error) if self.is_half_removed(name, &error).await? => None,
            other => other?,
        };
        found.map(|branch| self.sha(&branch.commit.id)).transpose()
    }

    /// Whether a branch could not be read because git has it no more and Gitea's database
    /// does not know, as it is once a removal was cut off in the middle.
    pub(super) async fn is_half_removed(&self, name: &Branch, error: &PortError) -> Result<bool, PortError> {
        Ok(error.reason == Reason::ServerError && self.reference(name).await?.is_none())
    }

    /// What git itself says that a branch points at.
    pub(super) async fn reference(&self, name: &Branch) -> Result<Option<Sha>, PortError> {
        let name = format!("refs/heads/{name}");
        let path: Vec<_> = ["git"].into_iter().chain(name.split('/')).collect();
        // All that begin with the name.
        let found: Option<Vec<GitRef>> = self.find(self.in_repo(Method::GET, &path)).await?;
        found.into_iter().flatten().find(|found| found.name == name).map(|found| self.sha(&found.object.sha)).transpose()
    }

    pub(super) fn parents(&self, parents: &[Id]) -> Result<Vec<Sha>, PortError> {
        parents.iter().map(|parent| self.sha(&parent.sha)).collect()
    }
}

/// A reference to an object.
#[derive(Deserialize)]
pub(super) struct Id {
    pub(super) sha: String,
}

/// What git itself has under a name.
#[derive(Deserialize)]
struct GitRef {
    #[serde(rename = "ref")]
    name: String,
    object: Id,
}

#[derive(Deserialize)]
struct CommitBody {
    sha: String,
    parents: Vec<Id>,
}

#[derive(Deserialize)]
struct BlobBody {
    content: Option<String>,
    size: u64,
}

#[derive(Deserialize)]
struct BranchHead {
    commit: HeadCommit,
}

#[derive(Deserialize)]
struct HeadCommit {
    id: String,
}
