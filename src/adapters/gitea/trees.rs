//! Listings: what is in a commit, and the proof that something is not.

use reqwest::{Method, StatusCode};
use serde::Deserialize;

use super::{Answer, Gitea, PAGES};
use crate::{
    api::{conditions::Reason, names::Sha},
    ports::{
        error::{Class, PortError},
        forge::{Code, Entry, EntryKind, Tree},
    },
};

impl Gitea {
    /// The tree of a commit that must be there.
    pub(super) async fn root(&self, commit: &Sha) -> Result<Sha, PortError> {
        Ok(self.commit(commit).await?.ok_or_else(|| self.gone(format_args!("commit {commit}")))?.tree)
    }

    /// What is at `path` in a tree.
    pub(super) async fn entry(&self, root: &Sha, path: &str) -> Result<Option<Entry>, PortError> {
        let mut directory = root.clone();
        let mut names = path.split('/').peekable();
        while let Some(name) = names.next() {
            let Some(found) = self.listing(&directory, false).await?.into_iter().find(|e| e.path == name) else { return Ok(None) };
            match (names.peek(), found.kind) {
                (None, _) => return Ok(Some(found)),
                (Some(_), EntryKind::Directory) => directory = found.sha,
                (Some(_), _) => return Ok(None),
            }
        }
        Ok(None)
    }

    /// The directory at `path` in a tree, with everything below it.
    pub(super) async fn directory(&self, root: Sha, path: &str) -> Result<Option<Tree>, PortError> {
        let sha = match path {
            "" => root,
            path => match self.entry(&root, path).await? {
                Some(entry) if entry.kind == EntryKind::Directory => entry.sha,
                _ => return Ok(None),
            },
        };
        Ok(Some(Tree { entries: self.listing(&sha, true).await?, sha }))
    }

    /// A tree's entries, page by page: Gitea cuts a long list short.
    pub(super) async fn listing(&self, tree: &Sha, recursive: bool) -> Result<Vec<Entry>, PortError> {
        let mut entries = Vec::new();
        for page in 1..=PAGES {
            let query = [("recursive", recursive.to_string()), ("page", page.to_string())];
            let body: TreeBody = match self.ask(self.in_repo(Method::GET, &["git", "trees", tree.as_str()]).query(&query)).await? {
                Answer::Good(response) => self.json(response).await?,
                // What Gitea says whenever git fails. The commit was there, so
                // this is trouble of the server's and no proof of anything.
                Answer::Refused(StatusCode::BAD_REQUEST, said) => {
                    let problem = format!("{} could not list the tree {tree}: {said} (tried again by itself)", self.server);
                    return Err(PortError::new(Class::Transient, Reason::ServerError, problem));
                }
                Answer::Refused(status, said) => return Err(self.refusal(status, &said)),
            };
            let last = !body.truncated;
            for entry in body.tree.unwrap_or_default() {
                let kind = EntryKind::from_mode(&entry.mode)
                    .ok_or_else(|| self.unexpected(format_args!("listed {:?} with the mode {}", entry.path, entry.mode)))?;
                let size = if matches!(kind, EntryKind::File | EntryKind::Executable) { entry.size } else { 0 };
                entries.push(Entry { sha: self.sha(&entry.sha)?, path: entry.path, size, kind });
            }
            if last {
                return Ok(entries);
            }
        }
        Err(self.unexpected(format_args!("has more than {PAGES} pages in the tree {tree}")))
    }
}

#[derive(Deserialize)]
struct TreeBody {
    tree: Option<Vec<EntryBody>>,
    truncated: bool,
}

#[derive(Deserialize)]
struct EntryBody {
    path: String,
    mode: String,
    sha: String,
    size: u64,
}
