//! What a repository holds: commits, trees, files, branches.

use async_trait::async_trait;
use jiff::Timestamp;

use crate::{
    api::names::{Branch, Sha},
    ports::error::PortError,
};

/// Commits, trees and files of one repository.
#[async_trait]
pub trait Code: Send + Sync {
    /// A commit; nothing where the repository has none of that id.
    async fn commit(&self, sha: &Sha) -> Result<Option<Commit>, PortError>;

    /// The directory at `path` in a commit, with everything below it; the root
    /// for an empty path. Nothing only where a listing of the commit proves that
    /// no directory is there: callers take things down on that answer.
    async fn tree(&self, commit: &Sha, path: &str) -> Result<Option<Tree>, PortError>;

    /// The file at `path` in a commit; nothing where a listing proves that none
    /// is there. One of more than `limit` bytes is an error. A symbolic link is
    /// no file.
    async fn file(&self, commit: &Sha, path: &str, limit: usize) -> Result<Option<Vec<u8>>, PortError>;

    /// A file's content by its id, as a listing names it; the same for ever. More
    /// than `limit` bytes are an error.
    async fn blob(&self, sha: &Sha, limit: usize) -> Result<Vec<u8>, PortError>;

    /// The id that a file of this content has in the repository that has `like`;
    /// nothing where that is the forge's secret.
    fn blob_id(&self, like: &Sha, content: &[u8]) -> Option<Sha>;

    /// Makes one commit with all changes, as the only one of its branch beyond
    /// `onto`. A branch that is there already is taken over when it is as this
    /// call would leave it, or when its making was interrupted.
    async fn commit_files(&self, new: &NewCommit) -> Result<Committed, PortError>;

    /// Removes a branch, if `expected` is its head. No forge that we know checks
    /// that itself, so a push at the very moment may be lost from the branch.
    async fn delete_branch(&self, name: &Branch, expected: &Sha) -> Result<Removed, PortError>;
}

/// A commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Its id.
    pub sha: Sha,
    /// The id of everything in it: equal ids are equal content.
    pub tree: Sha,
    /// What it follows; two for a merge, the merged branch second.
    pub parents: Vec<Sha>,
}

/// A directory in a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    /// Its id: equal ids are equal content.
    pub sha: Sha,
    /// Everything below it, directories too, each path relative to this one.
    pub entries: Vec<Entry>,
}

/// Something in a [`Tree`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its path, with `/` between names.
    pub path: String,
    /// The id of its content.
    pub sha: Sha,
    /// Bytes of a file; 0 for all else.
    pub size: u64,
    /// What it is.
    pub kind: EntryKind,
}

/// What an [`Entry`] is: git's modes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// An ordinary file.
    File,
    /// A file that may be run.
    Executable,
    /// A symbolic link; its content is where it points.
    Symlink,
    /// A directory.
    Directory,
    /// Another repository's commit.
    Submodule,
}

impl EntryKind {
    /// The kind of a mode as git writes it, with or without a leading zero.
    pub fn from_mode(mode: &str) -> Option<Self> {
        Some(match mode.trim_start_matches('0') {
            "100644" | "100664" => Self::File,
            "100755" => Self::Executable,
            "120000" => Self::Symlink,
            "40000" => Self::Directory,
            "160000" => Self::Submodule,
            _ => return None,
        })
    }

    /// The mode as git writes it into a tree.
    pub fn mode(self) -> &'static str {
        match self {
            Self::File => "100644",
            Self::Executable => "100755",
            Self::Symlink => "120000",
            Self::Directory => "40000",
            Self::Submodule => "160000",
        }
    }
}

/// A commit to make. Equal values make equal commits: the same id, given the same
/// account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCommit {
    /// Where it goes; made at `onto` where it is not there.
    pub branch: Branch,
    /// What it follows.
    pub onto: Sha,
    /// Its message.
    pub message: String,
    /// When it was made, to the second.
    pub date: Timestamp,
    /// What it changes, each path once.
    pub changes: Vec<Change>,
}

/// What a commit does to one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The file's path from the root.
    pub path: String,
    /// Its whole new content; nothing removes the file. A file that may be run
    /// stays so, and a new one is an ordinary one.
    pub content: Option<Vec<u8>>,
}

/// What came of a [`NewCommit`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Committed {
    /// It was made.
    Made(Sha),
    /// The branch was there already, as this would make it.
    Unchanged(Sha),
    /// The branch is there and holds something else; this is its head.
    HeadMoved(Sha),
    /// Everything is in `onto` already: there is nothing to commit, and no branch.
    Empty,
}

/// What came of removing something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removed {
    /// It was there and is gone.
    Removed,
    /// It was not there.
    Absent,
    /// It is another commit's by now; left alone.
    HeadMoved(Sha),
}
