//! A forge in memory. It behaves as Gitea does, as far as the port can tell: ids
//! are content's, a merge is computed only when somebody looks, and protection is
//! checked. It does not speak HTTP; the adapter's tests do. Read `git.rs` next.

mod code;
mod git;
mod pulls;
mod reports;

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
        forge::{BranchState, CommitStatus, EntryKind, Forge, ForgeAdmin, Label, Protection, Repository, Rule, Webhook},
    },
};

pub use self::{git::Git, pulls::PullRecord, reports::Comment};
use super::{
    Outage, World,
    faults::{Faults, call},
};

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
    /// Single calls that fail.
    pub faults: Faults,
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
    /// Its commits and files.
    pub git: Git,
    /// Its pull requests, by number from 1.
    pub pulls: Vec<PullRecord>,
    /// What is said about commits, by context.
    pub statuses: BTreeMap<Sha, BTreeMap<String, CommitStatus>>,
    /// Comments on pull requests, oldest first.
    pub comments: Vec<Comment>,
    /// How many merges and updates still see another head than the branch's.
    pub behind: u32,
    /// How often a pull request must be looked at after a push before it is known
    /// whether it could be merged.
    pub looks_until_computed: u32,
}

/// The file that the repository begins with.
pub const README: (&str, &[u8]) = ("README.md", b"# factory\n");

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
        let mut git = Git::default();
        let readme = git.blob(README.1);
        git.commit_as(sha(1), [(README.0.to_owned(), (EntryKind::File, readme))].into(), Vec::new());
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
                git,
                pulls: Vec::new(),
                statuses: BTreeMap::new(),
                comments: Vec::new(),
                behind: 0,
                looks_until_computed: 1,
            },
            label_refusal: None,
            faults: Faults::default(),
        }
    }

    /// Makes a commit of one more file on a branch, and the branch from `main`
    /// where there is none.
    pub fn commit(&mut self, branch: &str) -> Sha {
        let repo = &mut self.repo;
        let parent = repo.branches.get(branch).or_else(|| repo.branches.get("main")).map(|(head, _)| head.clone());
        let mut files = parent.as_ref().map(|parent| repo.git.files(parent)).unwrap_or_default();
        let name = format!("file-{}.txt", files.len());
        let content = repo.git.blob(branch.as_bytes());
        files.insert(name, (EntryKind::File, content));
        let head = repo.git.commit(files, parent.into_iter().collect(), branch);
        repo.push(branch, &head);
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

impl Repo {
    /// Points a branch at a commit, and makes the branch where there is none.
    pub fn push(&mut self, branch: &str, head: &Sha) {
        self.branches.entry(branch.into()).or_insert_with(|| (head.clone(), None)).0 = head.clone();
        let looks = self.looks_until_computed;
        // A merge is computed anew for what comes from the branch or goes into it.
        for pull in self.pulls.iter_mut().filter(|p| p.head_branch == branch || p.base == branch) {
            pull.looks_until_computed = looks;
        }
    }

    fn head(&self, branch: &str) -> Option<Sha> {
        self.branches.get(branch).map(|(head, _)| head.clone())
    }

    fn may_write(&self, account: &str) -> Result<(), PortError> {
        if self.archived {
            return Err(PortError::new(Class::Denied, Reason::MergeUnavailable, "the repository is archived: unarchive it"));
        }
        if self.writers.contains(account) { Ok(()) } else { Err(denied("no write access")) }
    }

    /// Commit status contexts and all else that the rule of a branch asks.
    fn rule(&self, branch: &str) -> Option<&Rule> {
        self.branches.get(branch).and_then(|(_, rule)| rule.as_ref())
    }
}

fn gone(what: impl std::fmt::Display) -> PortError {
    PortError::new(Class::Conflict, Reason::Conflict, format!("the forge has no {what}"))
}

fn denied(message: &str) -> PortError {
    PortError::new(Class::Denied, Reason::PermissionMissing, message)
}

/// What a token that may only read is refused.
const WRITES: [&str; 10] = [
    "create_label",
    "prove_push",
    "commit_files",
    "delete_branch",
    "open_pull",
    "update_branch",
    "close_pull",
    "merge",
    "set_status",
    "upsert_comment",
];

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

    fn in_repo<T>(&self, operation: &'static str, look: impl FnOnce(&mut Repo, &str) -> Result<T, PortError>) -> Result<T, PortError> {
        self.world.read(|state| {
            call(
                &mut state.forge,
                |forge| &mut forge.faults,
                operation,
                &self.url,
                |forge| {
                    let may = !WRITES.contains(&operation) || forge.tokens.get(&self.token).is_none_or(|token| token.writes);
                    let (repo, account) = forge.repo(self)?;
                    if may { look(repo, &account) } else { Err(denied("the token lacks a scope write:…")) }
                },
            )
        })
    }

    fn as_admin<T>(&self, operation: &'static str, look: impl FnOnce(&Repo) -> Result<T, PortError>) -> Result<T, PortError> {
        self.in_repo(
            operation,
            |repo, account| if repo.admins.contains(account) { look(repo) } else { Err(denied("only for administrators")) },
        )
    }
}

fn no_branch(name: &Branch) -> PortError {
    PortError::new(Class::Invalid, Reason::BranchNotFound, format!("no branch {name}"))
}

#[async_trait]
impl Forge for Client {
    async fn account(&self) -> Result<String, PortError> {
        self.world.read(|state| {
            call(
                &mut state.forge,
                |forge| &mut forge.faults,
                "account",
                &self.url,
                |forge| match forge.account(&self.url, &self.token)? {
                    Token { account, scoped: true, .. } => Ok(account.clone()),
                    Token { scoped: false, .. } => Err(denied("the token lacks the scope read:user")),
                },
            )
        })
    }

    async fn repository(&self) -> Result<Repository, PortError> {
        self.in_repo("repository", |repo, account| {
            Ok(Repository { may_push: repo.writers.contains(account), archived: repo.archived, squash_merge: repo.squash })
        })
    }

    async fn branch(&self, name: &Branch) -> Result<BranchState, PortError> {
        self.in_repo("branch", |repo, account| {
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
        self.in_repo("labels", |repo, _| Ok(repo.labels.iter().map(|l| l.name.clone()).collect()))
    }

    async fn create_label(&self, label: &Label) -> Result<(), PortError> {
        if let Some(refusal) = self.world.read(|state| state.forge.label_refusal) {
            return Err(refusal.error(&self.url));
        }
        self.in_repo("create_label", |repo, account| {
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
        self.in_repo("prove_push", |repo, account| {
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
        self.as_admin("webhooks", |repo| Ok(repo.hooks.clone()))
    }

    async fn rule(&self, branch: &Branch) -> Result<Option<Rule>, PortError> {
        self.as_admin("rule", |repo| repo.branches.get(branch.as_str()).map(|(_, rule)| rule.clone()).ok_or_else(|| no_branch(branch)))
    }
}
