//! What a factory repository holds at a commit. A commit never changes, so that
//! what was read once is kept for as long as there is room.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use kube::ResourceExt;

use super::{
    connections::{self, Connection},
    context::Context,
};
use crate::{
    api::{
        conditions::Reason,
        factory::Factory,
        names::{Branch, Sha},
    },
    gate::bundle::{MAX_FILE, MAX_FILES, MAX_TOTAL, SourceFile},
    ports::{
        error::{Class, PortError},
        forge::{Commit, Entry, EntryKind, Forge},
    },
};

/// Directory of all packages.
const PACKAGES: &str = "packages";
/// What is kept of each kind; the whole is dropped when it is reached.
const KEPT: usize = 256;

/// What was read, by repository and id.
type Kept<T> = Mutex<HashMap<(String, Sha), T>>;

/// What was read.
#[derive(Default)]
pub struct CodeCache {
    commits: Kept<Commit>,
    roots: Kept<Arc<Vec<Entry>>>,
    packages: Kept<Arc<Vec<SourceFile>>>,
    documents: Kept<Arc<str>>,
}

/// A factory repository.
pub struct Source<'a> {
    connection: &'a Connection<dyn Forge>,
    repository: String,
    cx: &'a Context,
}

/// One package in a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// The id of everything in it.
    pub tree: Sha,
    /// Its files, by path from the repository's root.
    pub entries: Vec<Entry>,
}

impl Package {
    /// Its prim.yaml; whatever else is called so is none.
    pub fn document(&self) -> Option<&Entry> {
        let is = |entry: &&Entry| {
            let rest = entry.path.strip_prefix("packages/").and_then(|path| path.split_once('/'));
            rest.is_some_and(|(_, file)| file == "prim.yaml") && matches!(entry.kind, EntryKind::File | EntryKind::Executable)
        };
        self.entries.iter().find(is)
    }
}

impl<'a> Source<'a> {
    /// The repository of `factory`, asked through `connection`.
    pub fn new(factory: &Factory, connection: &'a Connection<dyn Forge>, cx: &'a Context) -> Self {
        let spec = &factory.spec.repository;
        // By Factory too: what one may read is not what all may.
        let uid = factory.uid().unwrap_or_default();
        Self { connection, repository: format!("{uid} {} {}/{}", spec.url, spec.owner, spec.name), cx }
    }

    /// A commit; nothing where the repository has none of that id.
    pub async fn commit(&self, sha: &Sha) -> Result<Option<Commit>, PortError> {
        let key = (self.repository.clone(), sha.clone());
        if let Some(known) = kept(&self.cx.code.commits, &key) {
            return Ok(Some(known));
        }
        let commit = self.connection.ask(self.cx, |forge| async move { forge.commit(sha).await }).await?;
        if let Some(commit) = &commit {
            keep(&self.cx.code.commits, key, commit.clone());
        }
        Ok(commit)
    }

    /// Everything in a commit, by path from the root.
    pub async fn entries(&self, commit: &Sha) -> Result<Arc<Vec<Entry>>, PortError> {
        let key = (self.repository.clone(), commit.clone());
        if let Some(known) = kept(&self.cx.code.roots, &key) {
            return Ok(known);
        }
        let tree = self.connection.ask(self.cx, |forge| async move { forge.tree(commit, "").await }).await?;
        let entries = Arc::new(tree.map(|tree| tree.entries).unwrap_or_default());
        keep(&self.cx.code.roots, key, entries.clone());
        Ok(entries)
    }

    /// Every package of a commit, by id.
    pub async fn packages(&self, commit: &Sha) -> Result<BTreeMap<String, Package>, PortError> {
        let entries = self.entries(commit).await?;
        let mut packages = BTreeMap::new();
        for entry in entries.iter() {
            if let [PACKAGES, id] = entry.path.split('/').collect::<Vec<_>>()[..]
                && entry.kind == EntryKind::Directory
            {
                packages.insert(id.to_owned(), Package { tree: entry.sha.clone(), entries: Vec::new() });
            }
        }
        for entry in entries.iter().filter(|e| e.kind != EntryKind::Directory) {
            if let Some(rest) = entry.path.strip_prefix("packages/")
                && let Some((id, _)) = rest.split_once('/')
                && let Some(package) = packages.get_mut(id)
            {
                package.entries.push(entry.clone());
            }
        }
        Ok(packages)
    }

    /// The text of a package's prim.yaml alone, or why it can't be one.
    pub async fn document(&self, package: &Package) -> Result<Result<Arc<str>, String>, PortError> {
        let Some(entry) = package.document() else { return Ok(Err("is not there".into())) };
        if usize::try_from(entry.size).map_or(true, |size| size > MAX_FILE) {
            return Ok(Err(format!("has {} bytes, and {MAX_FILE} at most are taken", entry.size)));
        }
        let key = (self.repository.clone(), entry.sha.clone());
        if let Some(known) = kept(&self.cx.code.documents, &key) {
            return Ok(Ok(known));
        }
        let content = self.connection.ask(self.cx, |forge| async move { forge.blob(&entry.sha, MAX_FILE).await }).await?;
        let text: Arc<str> = String::from_utf8_lossy(&content).into();
        keep(&self.cx.code.documents, key, text.clone());
        Ok(Ok(text))
    }

    /// A package's files, links and submodules among them, each with its mode.
    pub async fn files(&self, package: &Package) -> Result<Arc<Vec<SourceFile>>, PortError> {
        // Files carry their paths, which a tree does not.
        let place = package.entries.first().map(|entry| entry.path.split('/').take(2).collect::<Vec<_>>().join("/"));
        let key = (format!("{} {}", self.repository, place.unwrap_or_default()), package.tree.clone());
        if let Some(known) = kept(&self.cx.code.packages, &key) {
            return Ok(known);
        }
        if package.entries.len() > MAX_FILES {
            let problem = format!("the package has {} files, and {MAX_FILES} at most are taken", package.entries.len());
            return Err(PortError::new(Class::Invalid, Reason::TooLarge, problem));
        }
        // Before anything is fetched: a repository may hold more than fits here.
        let sizes = || package.entries.iter().map(|entry| usize::try_from(entry.size).unwrap_or(usize::MAX));
        if let Some(entry) = package.entries.iter().zip(sizes()).find_map(|(entry, size)| (size > MAX_FILE).then_some(entry)) {
            let problem = format!("{} has {} bytes, and {MAX_FILE} at most are taken", entry.path, entry.size);
            return Err(PortError::new(Class::Invalid, Reason::TooLarge, problem));
        }
        let total = sizes().fold(0_usize, usize::saturating_add);
        if total > MAX_TOTAL {
            let problem = format!("the package has {total} bytes, and {MAX_TOTAL} at most are taken");
            return Err(PortError::new(Class::Invalid, Reason::TooLarge, problem));
        }
        let mut files = Vec::new();
        for entry in &package.entries {
            let content = match entry.kind {
                EntryKind::Submodule => Vec::new(),
                _ => self.connection.ask(self.cx, |forge| async move { forge.blob(&entry.sha, MAX_FILE).await }).await?,
            };
            let content = String::from_utf8(content).map_err(|_| {
                PortError::new(Class::Invalid, Reason::Invalid, format!("{} is no text (UTF-8): a package has texts alone", entry.path))
            })?;
            files.push(SourceFile { path: entry.path.clone(), content, mode: entry.kind.mode().into() });
        }
        let files = Arc::new(files);
        keep(&self.cx.code.packages, key, files.clone());
        Ok(files)
    }
}

/// The base branch of a Factory.
pub fn base_branch(factory: &Factory) -> Result<Branch, PortError> {
    let parsed = factory.spec.repository.base_branch.parse();
    parsed.map_err(|e| connections::of_factory(factory, &PortError::invalid("spec.repository.baseBranch", e)))
}

fn kept<K: std::hash::Hash + Eq, V: Clone>(map: &Mutex<HashMap<K, V>>, key: &K) -> Option<V> {
    map.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
}

fn keep<K: std::hash::Hash + Eq, V>(map: &Mutex<HashMap<K, V>>, key: K, value: V) {
    let mut map = map.lock().unwrap_or_else(PoisonError::into_inner);
    if map.len() >= KEPT {
        map.clear();
    }
    map.insert(key, value);
}
