//! One commit with all its files. Gitea's API commits to a branch's head, whatever
//! that is; here the commit is made on one named commit or not at all.

use std::collections::BTreeMap;

use base64::{Engine, prelude::BASE64_STANDARD};
use jiff::Timestamp;
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Gitea, code::Id};
use crate::{
    adapters::git::{self, Format},
    api::{conditions::Reason, names::Sha},
    ports::{
        error::{Class, PortError},
        forge::{Code, Committed, EntryKind, NewCommit},
    },
};

impl Gitea {
    pub(super) async fn make_commit(&self, new: &NewCommit) -> Result<Committed, PortError> {
        let root = self.root(&new.onto).await?;
        let before = self.directory(root, "").await?.map(|tree| tree.entries).unwrap_or_default();
        let plan = Plan::new(new, git::files(before))?;
        if plan.operations.is_empty() {
            return Ok(Committed::Empty);
        }
        let head = match self.head(&new.branch).await? {
            Some(head) => head,
            None => self.branch_at(new).await?,
        };
        if head != new.onto {
            return self.adopt(new, &plan.tree, head).await;
        }
        // To the second, as git keeps it.
        let date = Timestamp::from_second(new.date.as_second()).unwrap_or(new.date).to_string();
        let body = json!({
            "branch": new.branch.as_str(),
            "message": new.message,
            "dates": { "author": date, "committer": date },
            "files": plan.operations,
        });
        match self.ask(self.in_repo(Method::POST, &["contents"]).json(&body)).await? {
            Answer::Good(response) => {
                let FilesBody { commit } = self.json(response).await?;
                let made = self.sha(&commit.sha)?;
                if self.parents(&commit.parents)? != [new.onto.clone()] {
                    // Somebody pushed to the branch after we looked.
                    return Ok(Committed::HeadMoved(made));
                }
                if self.sha(&commit.tree.sha)? != plan.tree {
                    // A filter in .gitattributes, such as LFS, does that.
                    return Err(self.unexpected(format_args!("made a commit {made} of other content than was sent")));
                }
                Ok(Committed::Made(made))
            }
            // The branch is gone, or a file on it is another by now.
            Answer::Refused(status @ (StatusCode::UNPROCESSABLE_ENTITY | StatusCode::NOT_FOUND | StatusCode::CONFLICT), said) => {
                match self.head(&new.branch).await? {
                    Some(head) if head != new.onto => self.adopt(new, &plan.tree, head).await,
                    Some(_) => Err(PortError::invalid("files", format_args!("{} refused the commit: {status} {said}", self.server))),
                    None => Err(self.gone(format_args!("branch {}: it was removed meanwhile", new.branch))),
                }
            }
            Answer::Refused(status, said) => Err(self.refusal(status, &said)),
        }
    }

    /// Makes the branch where the commit goes, and returns its head: another one
    /// when somebody was faster.
    async fn branch_at(&self, new: &NewCommit) -> Result<Sha, PortError> {
        let body = json!({ "new_branch_name": new.branch.as_str(), "old_ref_name": new.onto.as_str() });
        match self.ask(self.in_repo(Method::POST, &["branches"]).json(&body)).await? {
            Answer::Good(_) => Ok(new.onto.clone()),
            Answer::Refused(StatusCode::CONFLICT, said) => match self.head(&new.branch).await? {
                Some(head) => Ok(head),
                None if self.unmake_half(new).await? => {
                    let half = format!("branch {} was half made in {}, and is made anew", new.branch, self.repo);
                    Err(PortError::new(Class::Conflict, Reason::Conflict, half))
                }
                None => {
                    let taken = format_args!("can't be a branch's name in {}: {said}", self.repo);
                    Err(PortError::invalid(new.branch.as_str(), taken))
                }
            },
            Answer::Refused(status, said) => Err(self.refusal(status, &said)),
        }
    }

    /// Removes a branch that git has and Gitea's database lacks, as one is whose
    /// making was cut off in the middle: it can be neither read nor made. It is where
    /// this commit would begin, so that nobody's work goes with it.
    async fn unmake_half(&self, new: &NewCommit) -> Result<bool, PortError> {
        if self.reference(&new.branch).await?.as_ref() != Some(&new.onto) {
            return Ok(false);
        }
        match self.ask(self.in_repo(Method::DELETE, &["branches", new.branch.as_str()])).await? {
            Answer::Good(_) | Answer::Refused(StatusCode::NOT_FOUND, _) => Ok(true),
            Answer::Refused(status, said) => Err(self.refusal(status, &said)),
        }
    }

    /// A branch that holds something already: ours, if it is what this commit would make.
    async fn adopt(&self, new: &NewCommit, tree: &Sha, head: Sha) -> Result<Committed, PortError> {
        let commit = self.commit(&head).await?;
        let ours = commit.is_some_and(|c| c.parents == [new.onto.clone()] && c.tree == *tree);
        Ok(if ours { Committed::Unchanged(head) } else { Committed::HeadMoved(head) })
    }
}

/// What to ask for, and what must come of it.
struct Plan {
    operations: Vec<Value>,
    tree: Sha,
}

impl Plan {
    fn new(new: &NewCommit, mut files: BTreeMap<String, (EntryKind, Sha)>) -> Result<Self, PortError> {
        let format = Format::of(&new.onto);
        let mut operations = Vec::new();
        for change in &new.changes {
            let path = &change.path;
            if path.split('/').any(|name| matches!(name, "" | "." | "..")) {
                return Err(PortError::invalid(path, "is not a path from the repository's root"));
            }
            let there = files.get(path).cloned();
            match (&change.content, there) {
                (None, None) => {}
                (None, Some((_, sha))) => {
                    operations.push(json!({ "operation": "delete", "path": path, "sha": sha.as_str() }));
                    files.remove(path);
                }
                (Some(_), Some((kind @ (EntryKind::Symlink | EntryKind::Submodule | EntryKind::Directory), _))) => {
                    return Err(PortError::invalid(path, format_args!("is a {kind:?} in {} and can't be written", new.onto)));
                }
                (Some(content), there) => {
                    let id = format.blob(content);
                    let (kind, old) = there.map_or((EntryKind::File, None), |(kind, sha)| (kind, Some(sha)));
                    if old.as_ref() == Some(&id) {
                        continue;
                    }
                    let mut operation = json!({ "operation": "create", "path": path, "content": BASE64_STANDARD.encode(content) });
                    if let Some(old) = old {
                        operation["operation"] = "update".into();
                        operation["sha"] = old.as_str().into();
                    }
                    operations.push(operation);
                    files.insert(path.clone(), (kind, id));
                }
            }
        }
        Ok(Self { operations, tree: format.tree(&files) })
    }
}

#[derive(Deserialize)]
struct FilesBody {
    commit: MadeCommit,
}

#[derive(Deserialize)]
struct MadeCommit {
    sha: String,
    tree: Id,
    parents: Vec<Id>,
}
