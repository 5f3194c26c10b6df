//! What every forge must do: settings and rights here, then `code.rs`, `pulls.rs`,
//! `merge.rs`, `reports.rs`. Each case begins with the good state and leaves what
//! it likes; a slow answer is waited for by asking again.

mod code;
mod merge;
mod pulls;
mod reports;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use flywheel::{
    api::{
        conditions::Reason,
        names::{Branch, Sha},
    },
    ports::{
        error::Class,
        forge::{Change, Forge, ForgeAdmin, Label, NewCommit, Protection, Rule, Webhook},
    },
};

use super::refused;

/// Longest wait for what a forge computes by itself.
const PATIENCE: Duration = Duration::from_secs(30);

/// Whose token a client has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// The bot's, with its scopes.
    Bot,
    /// The bot's, without any scope for repositories.
    Unscoped,
    /// The bot's, with scopes for reading alone.
    ReadScoped,
    /// Of an account that may read the repository, and no more.
    Reader,
    /// The repository's administrator's.
    Admin,
    /// One that the forge never gave out.
    Nobody,
}

/// Puts a forge into a state.
#[async_trait]
pub trait Arrange: Send + Sync {
    /// The good state: a repository with one commit on `main`, protected as the
    /// documentation says; squash merges allowed, and notes of what is merged already; no
    /// labels, no webhooks.
    async fn reset(&self);
    /// A client of the repository.
    async fn forge(&self, who: Who) -> Arc<dyn Forge>;
    /// A client of the repository's settings.
    async fn admin(&self, who: Who) -> Arc<dyn ForgeAdmin>;
    /// The bot's client of a repository that is not there.
    async fn missing_repository(&self) -> Arc<dyn Forge>;
    /// The bot's client of an address where nobody listens.
    async fn closed_port(&self) -> Arc<dyn Forge>;
    /// Name of the bot's account.
    fn bot(&self) -> String;
    /// Makes a commit on `branch`, and the branch where there is none.
    async fn commit(&self, branch: &Branch) -> Sha;
    /// Makes a branch at a commit.
    async fn branch_at(&self, branch: &Branch, at: &Sha);
    /// What all comments on a pull request say, oldest first.
    async fn comments(&self, number: u64) -> Vec<String>;
    /// Sets the rule of `main`.
    async fn protect(&self, rule: Option<Rule>);
    /// Archives the repository, or undoes it.
    async fn archive(&self, archived: bool);
    /// Allows squash merges, or forbids them.
    async fn allow_squash(&self, allowed: bool);
    /// Adds a webhook.
    async fn add_webhook(&self, hook: Webhook);
}

/// The rule of the good state.
pub fn good_rule(bot: &str) -> Rule {
    Rule {
        name: "main".into(),
        direct_push: false,
        required_checks: vec!["flywheel/gate".into()],
        blocks_outdated: true,
        merge_whitelist: Some(vec![bot.into()]),
    }
}

fn main_branch() -> Branch {
    "main".parse().unwrap()
}

async fn main_head(forge: &dyn Forge) -> Sha {
    forge.branch(&main_branch()).await.unwrap().head
}

fn branch(name: &str) -> Branch {
    name.parse().unwrap()
}

fn change(path: &str, content: &str) -> Change {
    Change { path: path.into(), content: Some(content.into()) }
}

fn removal(path: &str) -> Change {
    Change { path: path.into(), content: None }
}

/// A commit of a small package.
fn draft(name: &str, onto: &Sha) -> NewCommit {
    NewCommit {
        branch: branch(name),
        onto: onto.clone(),
        message: "Add search\n\nMade by a test".into(),
        date: "2026-01-02T03:04:05Z".parse().unwrap(),
        changes: vec![change("packages/search/prim.yaml", "id: search\n"), change("packages/search/src/index.ts", "export {};\n")],
    }
}

/// Runs every case, each from the good state.
pub async fn suite(arrange: &dyn Arrange) {
    good_state(arrange).await;
    arrange.reset().await;
    branches(arrange).await;
    arrange.reset().await;
    protection(arrange).await;
    arrange.reset().await;
    repository_settings(arrange).await;
    arrange.reset().await;
    labels(arrange).await;
    arrange.reset().await;
    tokens(arrange).await;
    arrange.reset().await;
    administration(arrange).await;
    arrange.reset().await;
    unreachable(arrange).await;
    code::suite(arrange).await;
    pulls::suite(arrange).await;
    merge::suite(arrange).await;
    reports::suite(arrange).await;
}

async fn good_state(arrange: &dyn Arrange) {
    arrange.reset().await;
    let forge = arrange.forge(Who::Bot).await;
    assert_eq!(forge.account().await.unwrap(), arrange.bot());
    let repository = forge.repository().await.unwrap();
    assert!(repository.may_push && repository.squash_merge && !repository.archived, "{repository:?}");
    let base = forge.branch(&main_branch()).await.unwrap();
    assert!(base.may_merge, "{base:?}");
    assert_eq!(base.protection, Some(Protection { required_checks: vec!["flywheel/gate".into()], may_push: false }));
    assert_eq!(forge.labels().await.unwrap(), Vec::<String>::new());
}

async fn branches(arrange: &dyn Arrange) {
    let forge = arrange.forge(Who::Bot).await;
    // A slash and a percent sign: names that a careless path would break.
    for name in ["agent/search-1763913600", "feature/50%-off"] {
        let name: Branch = name.parse().unwrap();
        refused(forge.branch(&name).await, Class::Invalid, Reason::BranchNotFound, "a branch before it is made");
        let first = arrange.commit(&name).await;
        let made = forge.branch(&name).await.unwrap();
        assert_eq!((made.head, made.protection), (first.clone(), None), "{name}");
        let second = arrange.commit(&name).await;
        assert_ne!(first, second);
        assert_eq!(forge.branch(&name).await.unwrap().head, second, "the head moves with the branch");
    }
    let forge = arrange.missing_repository().await;
    refused(forge.repository().await, Class::Invalid, Reason::RepositoryNotFound, "a repository that is not there");
    refused(forge.labels().await, Class::Invalid, Reason::RepositoryNotFound, "labels of a repository that is not there");
}

async fn protection(arrange: &dyn Arrange) {
    let forge = arrange.forge(Who::Bot).await;
    let base = || async { forge.branch(&main_branch()).await.unwrap() };
    let good = good_rule(&arrange.bot());

    arrange.protect(None).await;
    assert_eq!(base().await.protection, None, "no rule");

    arrange.protect(Some(Rule { direct_push: true, ..good.clone() })).await;
    assert!(base().await.protection.unwrap().may_push, "direct pushes are let in");

    arrange.protect(Some(Rule { required_checks: vec![], ..good.clone() })).await;
    assert_eq!(base().await.protection.unwrap().required_checks, Vec::<String>::new(), "no check is required");

    arrange.protect(Some(Rule { merge_whitelist: Some(vec![]), ..good.clone() })).await;
    assert!(!base().await.may_merge, "nobody may merge");

    arrange.protect(Some(Rule { merge_whitelist: None, ..good })).await;
    assert!(base().await.may_merge, "everybody with write access may merge");
}

async fn repository_settings(arrange: &dyn Arrange) {
    let forge = arrange.forge(Who::Bot).await;
    arrange.allow_squash(false).await;
    assert!(!forge.repository().await.unwrap().squash_merge);
    arrange.allow_squash(true).await;
    assert!(forge.repository().await.unwrap().squash_merge);
    arrange.archive(true).await;
    assert!(forge.repository().await.unwrap().archived);
    arrange.archive(false).await;
    assert!(!forge.repository().await.unwrap().archived);
}

async fn labels(arrange: &dyn Arrange) {
    let forge = arrange.forge(Who::Bot).await;
    let label = |name: &str| Label { name: name.into(), color: "1d76db".into(), description: "Made by a test".into() };
    forge.create_label(&label("agent-pr")).await.unwrap();
    forge.create_label(&label("agent-pr")).await.unwrap();
    assert_eq!(forge.labels().await.unwrap(), ["agent-pr"], "made once, though asked twice");

    // More than a page of any forge that we know.
    let mut wanted: Vec<_> = (0..55).map(|n| format!("label {n:02}")).collect();
    for name in &wanted {
        forge.create_label(&label(name)).await.unwrap();
    }
    wanted.push("agent-pr".into());
    let mut there = forge.labels().await.unwrap();
    there.sort();
    wanted.sort();
    assert_eq!(there, wanted, "every page");
}

async fn tokens(arrange: &dyn Arrange) {
    let label = Label { name: "x".into(), color: "1d76db".into(), description: String::new() };
    for (who, class, reason) in
        [(Who::Nobody, Class::Denied, Reason::TokenRejected), (Who::Unscoped, Class::Denied, Reason::PermissionMissing)]
    {
        let forge = arrange.forge(who).await;
        refused(forge.account().await, class, reason, &format!("account as {who:?}"));
        refused(forge.repository().await, class, reason, &format!("repository as {who:?}"));
        refused(forge.branch(&main_branch()).await, class, reason, &format!("branch as {who:?}"));
        refused(forge.labels().await, class, reason, &format!("labels as {who:?}"));
        refused(forge.create_label(&label).await, class, reason, &format!("create_label as {who:?}"));
    }
    let reader = arrange.forge(Who::Reader).await;
    assert!(!reader.repository().await.unwrap().may_push);
    assert!(!reader.branch(&main_branch()).await.unwrap().may_merge);
    refused(reader.create_label(&label).await, Class::Denied, Reason::PermissionMissing, "create_label as Reader");
    pushes(arrange).await;
}

/// An account may push; whether its token may, only a write shows.
async fn pushes(arrange: &dyn Arrange) {
    let main = main_branch();
    let bot = arrange.forge(Who::Bot).await;
    let before = bot.branch(&main).await.unwrap();
    bot.prove_push(&main).await.unwrap();
    assert_eq!(bot.branch(&main).await.unwrap(), before, "a proof changes nothing");
    assert!(arrange.forge(Who::ReadScoped).await.repository().await.unwrap().may_push, "its account may");
    for who in [Who::ReadScoped, Who::Unscoped, Who::Reader] {
        let forge = arrange.forge(who).await;
        refused(forge.prove_push(&main).await, Class::Denied, Reason::PermissionMissing, &format!("prove_push as {who:?}"));
    }
    let nobody = arrange.forge(Who::Nobody).await;
    refused(nobody.prove_push(&main).await, Class::Denied, Reason::TokenRejected, "prove_push as Nobody");
}

async fn administration(arrange: &dyn Arrange) {
    let admin = arrange.admin(Who::Admin).await;
    assert_eq!(admin.rule(&main_branch()).await.unwrap(), Some(good_rule(&arrange.bot())));
    arrange.protect(None).await;
    assert_eq!(admin.rule(&main_branch()).await.unwrap(), None);
    refused(admin.rule(&"nowhere".parse().unwrap()).await, Class::Invalid, Reason::BranchNotFound, "the rule of no branch");

    assert_eq!(admin.webhooks().await.unwrap(), []);
    let hook = Webhook { url: "http://127.0.0.1:9443/webhook/flywheel/prim".into(), active: true, events: vec!["push".into()] };
    arrange.add_webhook(hook.clone()).await;
    assert_eq!(admin.webhooks().await.unwrap(), [hook]);

    let bot = arrange.admin(Who::Bot).await;
    refused(bot.webhooks().await, Class::Denied, Reason::PermissionMissing, "webhooks as the bot");
    let nobody = arrange.admin(Who::Nobody).await;
    refused(nobody.webhooks().await, Class::Denied, Reason::TokenRejected, "webhooks as nobody");
}

async fn unreachable(arrange: &dyn Arrange) {
    let forge = arrange.closed_port().await;
    refused(forge.account().await, Class::Transient, Reason::Unreachable, "a port where nobody listens");
}
