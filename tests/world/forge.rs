//! A forge in memory. It behaves as Gitea does, as far as the port can tell.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use async_trait::async_trait;
use flywheel::{
    api::{
        conditions::Reason,
        names::{Branch, Sha},
    },
    ports::{
        error::{Class, PortError},
        forge::{BranchState, Forge, ForgeAdmin, Label, Protection, Repository, Rule, Webhook},
    },
};

use super::{Outage, World};

/// Where the forge answers.
pub const URL: &str = "https://forge.example";
/// The repository's owner.
pub const OWNER: &str = "prim";
/// The repository's name.
pub const NAME: &str = "factory";
/// The bot account and its token.
pub const BOT: (&str, &str) = ("flywheel-bot", "bot-token-a81f");
/// The administrator and its token.
pub const ADMIN: (&str, &str) = ("root", "admin-token-77c0");
/// What deliveries are signed with.
pub const WEBHOOK_SECRET: &str = "webhook-secret-4be2";
/// The commit status that the base branch requires.
pub const REQUIRED_CHECK: &str = "flywheel/gate";

/// The forge.
pub struct ForgeState {
    /// Where it answers.
    pub url: String,
    /// It fails as a whole.
    pub outage: Option<Outage>,
    /// Whom each token belongs to, and what it may be used for.
    pub tokens: BTreeMap<String, Token>,
    /// The one repository.
    pub repo: Repo,
    /// It refuses new labels.
    pub label_refusal: Option<Outage>,
}

/// A token.
#[derive(Clone)]
pub struct Token {
    /// The account it belongs to.
    pub account: String,
    /// It may be used for repositories and issues.
    pub scoped: bool,
    /// It may be used for writing.
    pub writes: bool,
}

/// The repository.
pub struct Repo {
    /// `owner/name`.
    pub path: (String, String),
    /// Who may see it.
    pub readers: BTreeSet<String>,
    /// Who may push to it.
    pub writers: BTreeSet<String>,
    /// Who may change its settings.
    pub admins: BTreeSet<String>,
    /// Read-only for everybody.
    pub archived: bool,
    /// Pull requests can be squashed.
    pub squash: bool,
    /// Its labels.
    pub labels: Vec<Label>,
    /// Its branches, with the rule that holds for each.
    pub branches: BTreeMap<String, (Sha, Option<Rule>)>,
    /// Its webhooks.
    pub hooks: Vec<Webhook>,
}

/// A commit, made up of its number.
pub fn sha(number: u64) -> Sha {
    format!("{number:040x}").parse().unwrap()
}

/// The rule that a factory's base branch should have.
pub fn good_rule() -> Rule {
    Rule {
        name: "main".into(),
        direct_push: false,
        required_checks: vec![REQUIRED_CHECK.into()],
        blocks_outdated: true,
        merge_whitelist: Some(vec![BOT.0.into()]),
    }
}

impl ForgeState {
    pub(super) fn good() -> Self {
        let everybody = || [BOT.0, ADMIN.0].map(String::from).into();
        let token = |(account, token): (&str, &str)| (token.to_owned(), Token { account: account.into(), scoped: true, writes: true });
        Self {
            url: URL.into(),
            outage: None,
            tokens: [token(BOT), token(ADMIN)].into(),
            repo: Repo {
                path: (OWNER.into(), NAME.into()),
                readers: everybody(),
                writers: everybody(),
                admins: [ADMIN.0.to_owned()].into(),
                archived: false,
                squash: true,
                labels: Vec::new(),
                branches: [("main".to_owned(), (sha(1), Some(good_rule())))].into(),
                hooks: Vec::new(),
            },
            label_refusal: None,
        }
    }

    /// Makes a commit on a branch, and the branch where there is none.
    pub fn commit(&mut self, branch: &str) -> Sha {
        let number = self.repo.branches.values().map(|(head, _)| u64::from_str_radix(&head.as_str()[24..], 16).unwrap()).max();
        let head = sha(number.unwrap_or_default() + 1);
        self.repo.branches.entry(branch.into()).or_insert_with(|| (head.clone(), None)).0 = head.clone();
        head
    }

    /// The account of `token`, if the forge answers it.
    fn account(&self, url: &str, token: &str) -> Result<&Token, PortError> {
        if url.trim_end_matches('/') != self.url {
            return Err(PortError::unreachable(url));
        }
        if let Some(outage) = self.outage {
            return Err(outage.error(url));
        }
        self.tokens.get(token).ok_or_else(|| PortError::new(Class::Denied, Reason::TokenRejected, "the forge does not know the token"))
    }

    fn repo(&mut self, client: &Client) -> Result<(&mut Repo, String), PortError> {
        let token = self.account(&client.url, &client.token)?.clone();
        if !token.scoped {
            return Err(denied("the token lacks the scope read:repository"));
        }
        if self.repo.path != client.path || !self.repo.readers.contains(&token.account) {
            return Err(PortError::new(Class::Invalid, Reason::RepositoryNotFound, "the forge has no such repository"));
        }
        Ok((&mut self.repo, token.account))
    }
}

fn denied(message: &str) -> PortError {
    PortError::new(Class::Denied, Reason::PermissionMissing, message)
}

/// One account's view of one repository.
pub struct Client {
    world: Arc<World>,
    url: String,
    path: (String, String),
    token: String,
}

impl Client {
    /// A client of the forge at `url`.
    pub fn new(world: &Arc<World>, url: &str, (owner, name): (&str, &str), token: &str) -> Self {
        Self { world: world.clone(), url: url.into(), path: (owner.into(), name.into()), token: token.into() }
    }

    fn in_repo<T>(&self, look: impl FnOnce(&mut Repo, &str) -> Result<T, PortError>) -> Result<T, PortError> {
        self.world.read(|state| {
            let (repo, account) = state.forge.repo(self)?;
            look(repo, &account)
        })
    }

    /// A write; `look` gets to see the repository only if the token may write.
    fn writing<T>(&self, look: impl FnOnce(&mut Repo, &str) -> Result<T, PortError>) -> Result<T, PortError> {
        let may = self.world.read(|state| state.forge.tokens.get(&self.token).is_none_or(|token| token.writes));
        self.in_repo(|repo, account| if may { look(repo, account) } else { Err(denied("the token lacks a scope write:…")) })
    }

    fn as_admin<T>(&self, look: impl FnOnce(&Repo) -> Result<T, PortError>) -> Result<T, PortError> {
        self.in_repo(|repo, account| if repo.admins.contains(account) { look(repo) } else { Err(denied("only for administrators")) })
    }
}

fn no_branch(name: &Branch) -> PortError {
    PortError::new(Class::Invalid, Reason::BranchNotFound, format!("no branch {name}"))
}

#[async_trait]
impl Forge for Client {
    async fn account(&self) -> Result<String, PortError> {
        self.world.read(|state| match state.forge.account(&self.url, &self.token)? {
            Token { account, scoped: true, .. } => Ok(account.clone()),
            Token { scoped: false, .. } => Err(denied("the token lacks the scope read:user")),
        })
    }

    async fn repository(&self) -> Result<Repository, PortError> {
        self.in_repo(|repo, account| {
            Ok(Repository { may_push: repo.writers.contains(account), archived: repo.archived, squash_merge: repo.squash })
        })
    }

    async fn branch(&self, name: &Branch) -> Result<BranchState, PortError> {
        self.in_repo(|repo, account| {
            let (head, rule) = repo.branches.get(name.as_str()).ok_or_else(|| no_branch(name))?;
            let writer = repo.writers.contains(account);
            let listed = rule.as_ref().and_then(|r| r.merge_whitelist.as_ref()).is_none_or(|list| list.iter().any(|name| name == account));
            Ok(BranchState {
                head: head.clone(),
                protection: rule
                    .as_ref()
                    .map(|r| Protection { required_checks: r.required_checks.clone(), may_push: writer && r.direct_push }),
                may_merge: writer && listed,
            })
        })
    }

    async fn labels(&self) -> Result<Vec<String>, PortError> {
        self.in_repo(|repo, _| Ok(repo.labels.iter().map(|l| l.name.clone()).collect()))
    }

    async fn create_label(&self, label: &Label) -> Result<(), PortError> {
        if let Some(refusal) = self.world.read(|state| state.forge.label_refusal) {
            return Err(refusal.error(&self.url));
        }
        self.writing(|repo, account| {
            if repo.labels.iter().any(|l| l.name == label.name) {
                return Ok(());
            }
            if !repo.writers.contains(account) {
                return Err(denied("no write access to labels"));
            }
            repo.labels.push(label.clone());
            Ok(())
        })
    }

    async fn prove_push(&self, existing: &Branch) -> Result<(), PortError> {
        self.writing(|repo, account| {
            if !repo.writers.contains(account) {
                return Err(denied("no write access to code"));
            }
            repo.branches.get(existing.as_str()).map(drop).ok_or_else(|| no_branch(existing))
        })
    }
}

#[async_trait]
impl ForgeAdmin for Client {
    async fn webhooks(&self) -> Result<Vec<Webhook>, PortError> {
        self.as_admin(|repo| Ok(repo.hooks.clone()))
    }

    async fn rule(&self, branch: &Branch) -> Result<Option<Rule>, PortError> {
        self.as_admin(|repo| repo.branches.get(branch.as_str()).map(|(_, rule)| rule.clone()).ok_or_else(|| no_branch(branch)))
    }
}
