//! The repository's settings, branches and labels.

use async_trait::async_trait;
use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use super::Gitea;
use crate::{
    api::names::Branch,
    ports::{
        error::{Class, PortError},
        forge::{BranchState, Forge, Label, Protection, Repository},
    },
};

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
        let response = match self.send(self.in_repo(Method::GET, &["branches", name.as_str()]), || self.no_branch(name)).await {
            Err(error) if self.is_half_removed(name, &error).await? => return Err(self.no_branch(name)),
            other => other?,
        };
        let body: BranchBody = self.json(response).await?;
        let head = self.sha(&body.commit.id)?;
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
