//! Gitea, in a repository of the suite's own.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use async_trait::async_trait;
use flywheel::{
    adapters::gitea::Gitea,
    api::{
        factory::{ForgeKind, RepositorySpec},
        names::{Branch, Sha},
        references::SecretReference,
    },
    ports::forge::{Forge, ForgeAdmin, Rule, Webhook},
};
use reqwest::{Client, Method};
use serde_json::{Value, json};

use super::{
    address::reserved,
    state_file,
    suites::forge::{Arrange, Who, good_rule, suite},
};
use crate::{
    cluster::bed::{forge, ready},
    support::{file_at, variable},
};

const OWNER: &str = "prim";
const NAME: &str = "contract";
const READER: &str = "contract-reader";
const BOT: &str = "flywheel-bot";

struct RealGitea {
    reader: String,
    unscoped: String,
    read_scoped: String,
    commits: AtomicU32,
}

fn repo(path: &str) -> String {
    format!("/repos/{OWNER}/{NAME}{path}")
}

fn spec(url: &str, name: &str) -> RepositorySpec {
    RepositorySpec {
        forge: ForgeKind::Gitea,
        url: url.into(),
        owner: OWNER.into(),
        name: name.into(),
        base_branch: "main".into(),
        credentials: SecretReference { name: "x".into(), namespace: "x".into() },
    }
}

/// A token made with an account's password, as its owner would.
async fn token(user: &str, password: &str, name: &str, scopes: &[&str]) -> String {
    let url = format!("{}/api/v1/users/{user}/tokens", variable("FORGE_URL").trim_end_matches('/'));
    let client = Client::new();
    // Left by an earlier run, or not there.
    client.delete(format!("{url}/{name}")).basic_auth(user, Some(password)).send().await.expect("the forge");
    let made = client
        .post(&url)
        .basic_auth(user, Some(password))
        .json(&json!({ "name": name, "scopes": scopes }))
        .send()
        .await
        .expect("the forge");
    let made: Value = made.error_for_status().expect("a token").json().await.expect("JSON");
    made["sha1"].as_str().expect("the token").to_owned()
}

impl RealGitea {
    async fn new() -> Self {
        let password = state_file("forge/admin-password");
        // Gone already, or left by an earlier run.
        let users = forge(Method::GET, "/admin/users?limit=50", None).await;
        if users.as_array().is_some_and(|u| u.iter().all(|u| u["login"] != READER)) {
            let user = json!({ "username": READER, "email": "contract-reader@localhost.localdomain", "password": password, "must_change_password": false });
            forge(Method::POST, "/admin/users", Some(user)).await;
        }
        Self {
            reader: token(READER, &password, "contract", &["read:user", "write:repository", "write:issue"]).await,
            unscoped: token(BOT, &state_file("forge/bot-password"), "contract", &["read:notification"]).await,
            read_scoped: token(BOT, &state_file("forge/bot-password"), "contract-read", &["read:user", "read:repository", "read:issue"])
                .await,
            commits: AtomicU32::new(0),
        }
    }

    fn token(&self, who: Who) -> String {
        match who {
            Who::Bot => file_at("FORGE_BOT_TOKEN_FILE"),
            Who::Unscoped => self.unscoped.clone(),
            Who::ReadScoped => self.read_scoped.clone(),
            Who::Reader => self.reader.clone(),
            Who::Admin => file_at("FORGE_TOKEN_FILE"),
            Who::Nobody => "0".repeat(40),
        }
    }

    fn client(&self, who: Who) -> Arc<Gitea> {
        Arc::new(Gitea::new(&spec(&variable("FORGE_URL"), NAME), &self.token(who).into()).expect("client"))
    }
}

async fn remove() {
    let repositories = forge(Method::GET, &format!("/orgs/{OWNER}/repos?limit=50"), None).await;
    if repositories.as_array().is_some_and(|all| all.iter().any(|r| r["name"] == NAME)) {
        forge(Method::DELETE, &repo(""), None).await;
    }
}

#[async_trait]
impl Arrange for RealGitea {
    async fn reset(&self) {
        remove().await;
        let made = json!({ "name": NAME, "private": true, "auto_init": true, "default_branch": "main" });
        forge(Method::POST, &format!("/orgs/{OWNER}/repos"), Some(made)).await;
        for (user, permission) in [(BOT, "write"), (READER, "read")] {
            forge(Method::PUT, &repo(&format!("/collaborators/{user}")), Some(json!({ "permission": permission }))).await;
        }
        self.protect(Some(good_rule(BOT))).await;
        self.allow_squash(true).await;
    }

    async fn forge(&self, who: Who) -> Arc<dyn Forge> {
        self.client(who)
    }

    async fn admin(&self, who: Who) -> Arc<dyn ForgeAdmin> {
        self.client(who)
    }

    async fn missing_repository(&self) -> Arc<dyn Forge> {
        Arc::new(Gitea::new(&spec(&variable("FORGE_URL"), "nothing-here"), &self.token(Who::Bot).into()).expect("client"))
    }

    async fn closed_port(&self) -> Arc<dyn Forge> {
        let url = format!("http://{}", reserved());
        Arc::new(Gitea::new(&spec(&url, NAME), &self.token(Who::Bot).into()).expect("client"))
    }

    fn bot(&self) -> String {
        BOT.into()
    }

    async fn commit(&self, branch: &Branch) -> Sha {
        let there = forge(Method::GET, &repo("/branches?limit=50"), None).await;
        let exists = there.as_array().is_some_and(|all| all.iter().any(|b| b["name"] == branch.as_str()));
        let mut body = json!({ "content": "aGVsbG8=", "message": "a commit", "branch": if exists { branch.as_str() } else { "main" } });
        if !exists {
            body["new_branch"] = json!(branch.as_str());
        }
        let n = self.commits.fetch_add(1, Ordering::Relaxed);
        let made = forge(Method::POST, &repo(&format!("/contents/file-{n}.txt")), Some(body)).await;
        made["commit"]["sha"].as_str().expect("a commit").parse().expect("a commit's id")
    }

    async fn branch_at(&self, branch: &Branch, at: &Sha) {
        forge(Method::POST, &repo("/branches"), Some(json!({ "new_branch_name": branch.as_str(), "old_ref_name": at.as_str() }))).await;
    }

    async fn comments(&self, number: u64) -> Vec<String> {
        let comments = forge(Method::GET, &repo(&format!("/issues/{number}/comments")), None).await;
        comments.as_array().into_iter().flatten().map(|c| c["body"].as_str().expect("a body").to_owned()).collect()
    }

    async fn protect(&self, rule: Option<Rule>) {
        let rules = forge(Method::GET, &repo("/branch_protections"), None).await;
        for old in rules.as_array().into_iter().flatten() {
            forge(Method::DELETE, &repo(&format!("/branch_protections/{}", old["rule_name"].as_str().expect("name"))), None).await;
        }
        let Some(rule) = rule else { return };
        let body = json!({
            "rule_name": rule.name,
            "enable_push": rule.direct_push,
            "enable_status_check": !rule.required_checks.is_empty(),
            "status_check_contexts": rule.required_checks,
            "block_on_outdated_branch": rule.blocks_outdated,
            "enable_merge_whitelist": rule.merge_whitelist.is_some(),
            "merge_whitelist_usernames": rule.merge_whitelist.unwrap_or_default(),
        });
        forge(Method::POST, &repo("/branch_protections"), Some(body)).await;
    }

    async fn archive(&self, archived: bool) {
        forge(Method::PATCH, &repo(""), Some(json!({ "archived": archived }))).await;
    }

    async fn allow_squash(&self, allowed: bool) {
        let settings = json!({
            "allow_squash_merge": allowed, "allow_merge_commits": !allowed, "allow_manual_merge": true, "has_pull_requests": true,
        });
        forge(Method::PATCH, &repo(""), Some(settings)).await;
    }

    async fn add_webhook(&self, hook: Webhook) {
        let body =
            json!({ "type": "gitea", "active": hook.active, "events": hook.events, "config": { "url": hook.url, "content_type": "json" } });
        forge(Method::POST, &repo("/hooks"), Some(body)).await;
    }
}

#[tokio::test]
async fn gitea_keeps_the_contract() {
    ready().await;
    suite(&RealGitea::new().await).await;
    remove().await;
}
