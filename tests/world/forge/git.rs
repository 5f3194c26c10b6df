//! Commits and their files, with git's own ids for files and trees.

use std::collections::{BTreeMap, BTreeSet};

use flywheel::{
    adapters::git::Format,
    api::names::Sha,
    ports::forge::{Commit, Entry, EntryKind},
};

/// Files by path.
pub type Files = BTreeMap<String, (EntryKind, Sha)>;

/// Every commit and every file there ever was.
#[derive(Debug, Default)]
pub struct Git {
    commits: BTreeMap<Sha, Stored>,
    blobs: BTreeMap<Sha, Vec<u8>>,
}

#[derive(Debug)]
struct Stored {
    files: Files,
    parents: Vec<Sha>,
}

impl Git {
    /// Keeps a file's content.
    pub fn blob(&mut self, content: &[u8]) -> Sha {
        let id = Format::Sha1.blob(content);
        self.blobs.insert(id.clone(), content.to_vec());
        id
    }

    /// A file's content.
    pub fn content(&self, id: &Sha) -> Option<&[u8]> {
        self.blobs.get(id).map(Vec::as_slice)
    }

    /// Makes a commit; equal ones have one id.
    pub fn commit(&mut self, files: Files, parents: Vec<Sha>, about: &str) -> Sha {
        let said = format!("{} {parents:?} {about}", Format::Sha1.tree(&files));
        self.commit_as(Format::Sha1.blob(said.as_bytes()), files, parents)
    }

    /// Makes a commit of a given id.
    pub fn commit_as(&mut self, id: Sha, files: Files, parents: Vec<Sha>) -> Sha {
        self.commits.insert(id.clone(), Stored { files, parents });
        id
    }

    /// A commit's files; none where there is no such commit.
    pub fn files(&self, commit: &Sha) -> Files {
        self.commits.get(commit).map(|c| c.files.clone()).unwrap_or_default()
    }

    /// A commit.
    pub fn look(&self, sha: &Sha) -> Option<Commit> {
        let stored = self.commits.get(sha)?;
        Some(Commit { sha: sha.clone(), tree: Format::Sha1.tree(&stored.files), parents: stored.parents.clone() })
    }

    /// A directory's files, by paths below it; nothing where it is none.
    pub fn below(&self, commit: &Sha, path: &str) -> Option<Files> {
        let files = self.files(commit);
        if path.is_empty() {
            return Some(files);
        }
        let prefix = format!("{path}/");
        let below: Files = files.into_iter().filter_map(|(path, file)| Some((path.strip_prefix(&prefix)?.to_owned(), file))).collect();
        (!below.is_empty()).then_some(below)
    }

    /// A listing with directories, as forges make it.
    pub fn listing(&self, files: &Files) -> Vec<Entry> {
        let mut entries: BTreeMap<String, Entry> = BTreeMap::new();
        for (path, (kind, sha)) in files {
            let size = self.content(sha).map_or(0, |content| content.len() as u64);
            entries.insert(path.clone(), Entry { path: path.clone(), sha: sha.clone(), size, kind: *kind });
            for (at, _) in path.match_indices('/') {
                let directory = &path[..at];
                let prefix = format!("{directory}/");
                let below = files.iter().filter_map(|(p, f)| Some((p.strip_prefix(&prefix)?.to_owned(), f.clone()))).collect();
                let sha = Format::Sha1.tree(&below);
                entries.insert(directory.into(), Entry { path: directory.into(), sha, size: 0, kind: EntryKind::Directory });
            }
        }
        entries.into_values().collect()
    }

    /// A commit, and all that it follows.
    pub fn history(&self, head: &Sha) -> BTreeSet<Sha> {
        let mut seen = BTreeSet::new();
        let mut next = vec![head.clone()];
        while let Some(sha) = next.pop() {
            if seen.insert(sha.clone()) {
                next.extend(self.commits.get(&sha).into_iter().flat_map(|c| c.parents.clone()));
            }
        }
        seen
    }

    /// What merging two commits comes to; nothing where they contradict each other.
    pub fn merged(&self, ours: &Sha, theirs: &Sha) -> Option<Files> {
        let common = self.history(ours).intersection(&self.history(theirs)).cloned().collect::<BTreeSet<_>>();
        // The newest common commit: the one whose history holds all others.
        let base = common.iter().max_by_key(|sha| self.history(sha).len()).map(|sha| self.files(sha)).unwrap_or_default();
        let (ours, theirs) = (self.files(ours), self.files(theirs));
        let paths: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
        let mut merged = Files::new();
        for path in paths {
            let (b, o, t) = (base.get(path), ours.get(path), theirs.get(path));
            let chosen = match () {
                () if o == t || t == b => o,
                () if o == b => t,
                () => return None,
            };
            merged.extend(chosen.map(|file| (path.clone(), file.clone())));
        }
        Some(merged)
    }
}
