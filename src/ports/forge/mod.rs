//! A forge, as far as one repository of it goes. Every operation may be repeated:
//! it adopts what is there before it makes anything, and an outcome that is no
//! failure ("not yet", "somebody else's", "already") is a value, never an error.
//! Nothing here forces a push. Read `code.rs`, then `pulls.rs` and `reports.rs`.

mod code;
mod pulls;
mod reports;

use async_trait::async_trait;

pub use self::{
    code::{Change, Code, Commit, Committed, Entry, EntryKind, NewCommit, Removed, Tree},
    pulls::{Hold, MergeOutcome, MergeRequest, Mergeable, NewPull, Opened, Pull, PullState, Pulls, Updated},
    reports::{CommitStatus, Reports, StatusState, Written, missing},
};
use super::error::PortError;
use crate::api::names::{Branch, Sha};

/// One repository on a forge, used as one account: its settings, and with its
/// supertraits everything in it.
#[async_trait]
pub trait Forge: Code + Pulls + Reports {
    /// The account the token belongs to.
    async fn account(&self) -> Result<String, PortError>;
    /// The repository and what the account may do there.
    async fn repository(&self) -> Result<Repository, PortError>;
    /// A branch's head and its protection, as far as the account may see it.
    async fn branch(&self, name: &Branch) -> Result<BranchState, PortError>;
    /// Names of the repository's labels.
    async fn labels(&self) -> Result<Vec<String>, PortError>;
    /// Makes a label. One of that name that is there already is left as it is.
    async fn create_label(&self, label: &Label) -> Result<(), PortError>;
    /// Proves that the token itself may push branches, by a write that changes
    /// nothing. [`Repository::may_push`] is about its account: a token may have
    /// fewer rights. `existing` is a branch that is there.
    async fn prove_push(&self, existing: &Branch) -> Result<(), PortError>;
}

/// A repository, and what the account may do there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository {
    /// May create branches and push to them.
    pub may_push: bool,
    /// Read-only for everybody.
    pub archived: bool,
    /// Pull requests can be squashed into one commit.
    pub squash_merge: bool,
}

/// A branch's head and protection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BranchState {
    /// The commit it points at.
    pub head: Sha,
    /// Its protection; nothing where it has none.
    pub protection: Option<Protection>,
    /// The account may merge pull requests into it.
    pub may_merge: bool,
}

/// A branch's protection, as far as a non-administrator may see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Protection {
    /// Commit status contexts a pull request needs.
    pub required_checks: Vec<String>,
    /// The account could push to the branch, past every check.
    pub may_push: bool,
}

/// A label for pull requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Its name.
    pub name: String,
    /// Six hexadecimal digits.
    pub color: String,
    /// What it is for.
    pub description: String,
}

/// One repository, used as an administrator: what `doctor` looks at and the
/// controller's own token may not see.
#[async_trait]
pub trait ForgeAdmin: Send + Sync {
    /// The repository's webhooks.
    async fn webhooks(&self) -> Result<Vec<Webhook>, PortError>;
    /// The protection rule that holds for `branch`.
    async fn rule(&self, branch: &Branch) -> Result<Option<Rule>, PortError>;
}

/// A webhook's settings. Its secret can't be read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// Where it delivers to.
    pub url: String,
    /// It is switched on.
    pub active: bool,
    /// What it delivers.
    pub events: Vec<String>,
}

/// A protection rule as its administrator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its name or pattern.
    pub name: String,
    /// Somebody may push to the branch directly.
    pub direct_push: bool,
    /// Commit status contexts a pull request needs.
    pub required_checks: Vec<String>,
    /// A pull request that lacks the branch's newest commit can't be merged.
    pub blocks_outdated: bool,
    /// Who alone may merge; nothing where everybody with write access may.
    pub merge_whitelist: Option<Vec<String>>,
}
