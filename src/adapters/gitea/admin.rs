//! What only an administrator's token sees of a Gitea repository.

use async_trait::async_trait;
use reqwest::Method;
use serde::Deserialize;

use super::Gitea;
use crate::{
    api::{conditions::Reason, names::Branch},
    ports::{
        error::PortError,
        forge::{ForgeAdmin, Rule, Webhook},
    },
};

#[async_trait]
impl ForgeAdmin for Gitea {
    async fn webhooks(&self) -> Result<Vec<Webhook>, PortError> {
        let hooks: Vec<HookBody> = self.pages(&["hooks"]).await?;
        Ok(hooks.into_iter().map(|h| Webhook { url: h.config.url.unwrap_or_default(), active: h.active, events: h.events }).collect())
    }

    async fn rule(&self, branch: &Branch) -> Result<Option<Rule>, PortError> {
        // The branch says which rule holds; rules may be patterns.
        let response = self.send(self.in_repo(Method::GET, &["branches", branch.as_str()]), || self.no_branch(branch)).await?;
        let named: EffectiveRule = self.json(response).await?;
        if named.effective_branch_protection_name.is_empty() {
            return Ok(None);
        }
        let request = self.in_repo(Method::GET, &["branch_protections", &named.effective_branch_protection_name]);
        let response = match self.send(request, || self.no_repository()).await {
            // Removed between the two calls.
            Err(error) if error.reason == Reason::RepositoryNotFound => return Ok(None),
            other => other?,
        };
        let body: RuleBody = self.json(response).await?;
        Ok(Some(Rule {
            name: body.rule_name,
            direct_push: body.enable_push,
            required_checks: if body.enable_status_check { body.status_check_contexts.unwrap_or_default() } else { Vec::new() },
            blocks_outdated: body.block_on_outdated_branch,
            merge_whitelist: body.enable_merge_whitelist.then(|| body.merge_whitelist_usernames.unwrap_or_default()),
        }))
    }
}

#[derive(Deserialize)]
struct HookBody {
    active: bool,
    events: Vec<String>,
    config: HookConfig,
}

#[derive(Deserialize)]
struct HookConfig {
    url: Option<String>,
}

#[derive(Deserialize)]
struct EffectiveRule {
    effective_branch_protection_name: String,
}

#[derive(Deserialize)]
struct RuleBody {
    rule_name: String,
    enable_push: bool,
    enable_status_check: bool,
    status_check_contexts: Option<Vec<String>>,
    block_on_outdated_branch: bool,
    enable_merge_whitelist: bool,
    merge_whitelist_usernames: Option<Vec<String>>,
}
