//! What Flywheel says on a forge: commit statuses, and one comment.

use async_trait::async_trait;

use crate::{api::names::Sha, ports::error::PortError};

/// Statuses and comments in one repository.
#[async_trait]
pub trait Reports: Send + Sync {
    /// Says something about a commit. Nothing is written when the newest status
    /// of that context says the same.
    async fn set_status(&self, sha: &Sha, status: &CommitStatus) -> Result<Written, PortError>;

    /// The newest status of each context, ordered by context.
    async fn statuses(&self, sha: &Sha) -> Result<Vec<CommitStatus>, PortError>;

    /// Keeps one comment of this account on a pull request at `body`. `marker`
    /// finds it again; it is written into the comment and not shown. Nothing is
    /// written when the comment says the same.
    async fn upsert_comment(&self, number: u64, marker: &str, body: &str) -> Result<Written, PortError>;
}

/// What somebody says about a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitStatus {
    /// Who says it, or about what: branch protection names these.
    pub context: String,
    /// What is said.
    pub state: StatusState,
    /// One line for people. GitHub takes 140 characters.
    pub description: String,
    /// Where to read more; may be empty.
    pub target_url: String,
}

/// What a status says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusState {
    /// Not known yet.
    Pending,
    /// Good.
    Success,
    /// Looked at, and bad.
    Failure,
    /// Could not be looked at.
    Error,
    /// Something that Flywheel never says: warnings, skipped checks.
    Other,
}

impl StatusState {
    /// As forges write it; nothing for what Flywheel never says.
    pub fn as_str(self) -> Option<&'static str> {
        match self {
            Self::Pending => Some("pending"),
            Self::Success => Some("success"),
            Self::Failure => Some("failure"),
            Self::Error => Some("error"),
            Self::Other => None,
        }
    }
}

impl From<&str> for StatusState {
    fn from(word: &str) -> Self {
        match word {
            "pending" => Self::Pending,
            "success" => Self::Success,
            "failure" => Self::Failure,
            "error" => Self::Error,
            _ => Self::Other,
        }
    }
}

/// Of the checks that a branch requires those that are not green, for people. A
/// pattern is named as it is where nothing is called so.
pub fn missing(required: &[String], statuses: &[CommitStatus]) -> String {
    let not_green = required.iter().filter_map(|context| {
        let said = statuses.iter().find(|status| status.context == *context);
        match said.map(|status| status.state) {
            Some(StatusState::Success) => None,
            Some(state) => Some(format!("{context} ({})", state.as_str().unwrap_or("other"))),
            None if context.contains(['*', '?', '[', '{']) => Some(format!("{context} (a pattern)")),
            None => Some(format!("{context} (not reported)")),
        }
    });
    not_green.collect::<Vec<_>>().join(", ")
}

/// Whether a write was needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// It was written.
    Written,
    /// It was so already.
    Unchanged,
}
