//! A forge, as far as one repository of it goes.

use async_trait::async_trait;

use super::error::PortError;
use crate::api::names::{Branch, Sha};

/// One repository on a forge, used as one account.
#[async_trait]
pub trait Forge: Send + Sync {
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
