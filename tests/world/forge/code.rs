//! Commits, trees, files and branches of the fake.

use async_trait::async_trait;
use flywheel::{
    adapters::git::Format,
    api::{
        conditions::Reason,
        names::{Branch, Sha},
    },
    ports::{
        error::{Class, PortError},
        forge::{Code, Commit, Committed, EntryKind, NewCommit, Removed, Tree},
    },
};

use super::{Client, Repo, gone};

#[async_trait]
impl Code for Client {
    async fn commit(&self, sha: &Sha) -> Result<Option<Commit>, PortError> {
        self.in_repo("commit", |repo, _| Ok(repo.git.look(sha)))
    }

    async fn tree(&self, commit: &Sha, path: &str) -> Result<Option<Tree>, PortError> {
        self.in_repo("tree", |repo, _| {
            known(repo, commit)?;
            let below = repo.git.below(commit, path);
            Ok(below.map(|files| Tree { sha: Format::Sha1.tree(&files), entries: repo.git.listing(&files) }))
        })
    }

    async fn file(&self, commit: &Sha, path: &str, limit: usize) -> Result<Option<Vec<u8>>, PortError> {
        self.in_repo("file", |repo, _| {
            known(repo, commit)?;
            match repo.git.files(commit).get(path) {
                Some((EntryKind::File | EntryKind::Executable, id)) => content(repo, id, limit).map(Some),
                _ => Ok(None),
            }
        })
    }

    async fn blob(&self, sha: &Sha, limit: usize) -> Result<Vec<u8>, PortError> {
        self.in_repo("blob", |repo, _| content(repo, sha, limit))
    }

    fn blob_id(&self, like: &Sha, content: &[u8]) -> Option<Sha> {
        Some(Format::of(like).blob(content))
    }

    async fn commit_files(&self, new: &NewCommit) -> Result<Committed, PortError> {
        self.in_repo("commit_files", |repo, account| {
            known(repo, &new.onto)?;
            let before = repo.git.files(&new.onto);
            let mut files = before.clone();
            for change in &new.changes {
                if change.path.split('/').any(|name| matches!(name, "" | "." | "..")) {
                    return Err(PortError::invalid(&change.path, "is not a path from the repository's root"));
                }
                match &change.content {
                    None => drop(files.remove(&change.path)),
                    Some(content) => {
                        let kind = files.get(&change.path).map_or(EntryKind::File, |(kind, _)| *kind);
                        let id = repo.git.blob(content);
                        files.insert(change.path.clone(), (kind, id));
                    }
                }
            }
            if files == before {
                return Ok(Committed::Empty);
            }
            let head = repo.head(new.branch.as_str()).unwrap_or_else(|| new.onto.clone());
            if head != new.onto {
                let ours = repo.git.look(&head).is_some_and(|c| c.parents == [new.onto.clone()]) && repo.git.files(&head) == files;
                return Ok(if ours { Committed::Unchanged(head) } else { Committed::HeadMoved(head) });
            }
            repo.may_write(account)?;
            if repo.rule(new.branch.as_str()).is_some_and(|rule| !rule.direct_push) {
                return Err(super::denied("the branch is protected"));
            }
            let about = format!("{account} {} {}", new.date.as_second(), new.message.trim());
            let made = repo.git.commit(files, vec![new.onto.clone()], &about);
            repo.push(new.branch.as_str(), &made);
            Ok(Committed::Made(made))
        })
    }

    async fn delete_branch(&self, name: &Branch, expected: &Sha) -> Result<Removed, PortError> {
        self.in_repo("delete_branch", |repo, account| match repo.head(name.as_str()) {
            None => Ok(Removed::Absent),
            Some(head) if head != *expected => Ok(Removed::HeadMoved(head)),
            Some(head) => {
                repo.may_write(account)?;
                if repo.rule(name.as_str()).is_some() {
                    return Err(super::denied("the branch is protected"));
                }
                for pull in repo.pulls.iter_mut().filter(|p| p.head_branch == name.as_str()) {
                    pull.last_head = Some(head.clone());
                    // As Gitea does with an open one.
                    if pull.state == flywheel::ports::forge::PullState::Open {
                        pull.state = flywheel::ports::forge::PullState::Closed;
                    }
                }
                repo.branches.remove(name.as_str());
                Ok(Removed::Removed)
            }
        })
    }
}

fn known(repo: &Repo, commit: &Sha) -> Result<(), PortError> {
    repo.git.look(commit).map(drop).ok_or_else(|| gone(format_args!("commit {commit}")))
}

fn content(repo: &Repo, id: &Sha, limit: usize) -> Result<Vec<u8>, PortError> {
    let content = repo.git.content(id).ok_or_else(|| gone(format_args!("file of the id {id}")))?;
    if content.len() > limit {
        return Err(PortError::new(Class::Invalid, Reason::Invalid, format!("a file has more than {limit} bytes")));
    }
    Ok(content.to_vec())
}
