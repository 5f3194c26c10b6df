//! Pull requests.

use async_trait::async_trait;

use crate::{
    api::names::{Branch, Sha},
    ports::error::PortError,
};

/// Pull requests of one repository. A number that is not there is a
/// `Conflict`: somebody removed it, so look again.
#[async_trait]
pub trait Pulls: Send + Sync {
    /// The pull request from a branch of this repository into `base`, in any
    /// state.
    async fn find_pull(&self, base: &Branch, head: &Branch) -> Result<Option<Pull>, PortError>;

    /// A pull request; nothing where there is none of that number.
    async fn pull(&self, number: u64) -> Result<Option<Pull>, PortError>;

    /// Opens a pull request with its labels, which must be there. One of the same
    /// base and head, in any state, is returned as it is: one that was merged or
    /// that somebody closed is never opened a second time.
    async fn open_pull(&self, new: &NewPull) -> Result<Opened, PortError>;

    /// Merges the base into the head branch, if the head is `expected`.
    async fn update_branch(&self, number: u64, expected: &Sha) -> Result<Updated, PortError>;

    /// Closes an open one. Returns the state it then has.
    async fn close_pull(&self, number: u64) -> Result<PullState, PortError>;

    /// Squashes it into one commit on the base. The forge itself checks that the
    /// head is the one named, and the base branch's protection. A head that lacks
    /// commits of the base is never merged, protected or not: what came of it would
    /// not be what was tested. Since not every forge checks that at the moment of
    /// the merge, compare the merge's tree with the tested one.
    async fn merge(&self, number: u64, request: &MergeRequest) -> Result<MergeOutcome, PortError>;
}

/// A pull request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pull {
    /// Its number.
    pub number: u64,
    /// Its page for people.
    pub url: String,
    /// Open, closed or merged.
    pub state: PullState,
    /// The head's commit, as far as the forge still knows it.
    pub head: Option<Sha>,
    /// The head's branch, even after that is gone.
    pub head_branch: String,
    /// The head's branch is in this repository, and not in a fork of it.
    pub own_branch: bool,
    /// The branch it goes into.
    pub base: String,
    /// Whether it could be merged without a conflict.
    pub mergeable: Mergeable,
    /// Its labels.
    pub labels: Vec<String>,
    /// Its title.
    pub title: String,
    /// The account that opened it.
    pub author: String,
}

/// Where a pull request is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PullState {
    /// Neither closed nor merged.
    Open,
    /// Closed without a merge.
    Closed,
    /// Merged, as this commit on the base.
    Merged(Sha),
}

/// Whether a pull request could be merged without a conflict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mergeable {
    /// It could.
    Clean,
    /// Not computed yet, or it could not: [`Pulls::update_branch`] tells which.
    Unknown,
    /// It could not.
    Conflict,
}

/// A pull request to open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPull {
    /// The branch it goes into.
    pub base: Branch,
    /// The branch it comes from.
    pub head: Branch,
    /// Its title. Forges take some beginnings, such as `WIP:`, for a draft.
    pub title: String,
    /// Its description.
    pub body: String,
    /// Its labels.
    pub labels: Vec<String>,
}

/// What came of a [`NewPull`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opened {
    /// It was opened.
    Made(Pull),
    /// One was there, in whatever state; its title, body and labels were left.
    There(Pull),
}

/// What came of merging the base into a head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Updated {
    /// The head has a new commit, a merge of what was expected and of the base.
    Updated(Sha),
    /// The head holds all of the base already.
    UpToDate,
    /// They contradict each other; nothing changed.
    Conflict,
    /// The head is another one, or became one meanwhile.
    HeadMoved(Sha),
    /// It is closed or merged.
    NotOpen(PullState),
}

/// A merge to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergeRequest {
    /// The only head that may be merged.
    pub head: Sha,
    /// First line of the commit's message.
    pub title: String,
    /// The rest of it.
    pub message: String,
}

/// What came of a [`MergeRequest`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MergeOutcome {
    /// Merged, as this commit on the base.
    Merged(Sha),
    /// Somebody merged it before, or an earlier call did whose answer was lost.
    AlreadyMerged(Sha),
    /// Not now; with what the forge says.
    NotReady(Hold, String),
    /// The head is another one; nothing where the forge does not say which.
    HeadMoved(Option<Sha>),
    /// Never as it is: closed, a draft, or a way of merging that the repository
    /// does not allow; with what the forge says.
    Refused(String),
}

/// What a merge waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// The forge, which computes something or was overtaken by another merge: ask
    /// again in a second or so. Some forges say the same of a conflict.
    Forge,
    /// Required checks that are not green.
    Checks,
    /// Commits on the base that the head lacks: [`Pulls::update_branch`].
    Outdated,
    /// A person's review.
    Review,
    /// Somebody who resolves a conflict with the base.
    Conflict,
}
