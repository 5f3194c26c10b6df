//! What a factory repository holds at a commit. A commit never changes, so that
//! what was read once is kept for as long as there is room.

mod cache;

use std::{collections::BTreeMap, sync::Arc};

use kube::ResourceExt;

pub use cache::CodeCache;

use self::cache::{Item, Kind};
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
/// A factory repository.
pub struct Source<'a> {
    connection: &'a Connection<dyn Forge>,
    repository: Arc<str>,
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
        self.file("prim.yaml")
    }

    /// A file of its own, by its path from the package's directory.
    pub fn file(&self, path: &str) -> Option<&Entry> {
        let is = |entry: &&Entry| {
            let rest = entry.path.strip_prefix("packages/").and_then(|path| path.split_once('/'));
            rest.is_some_and(|(_, file)| file == path) && matches!(entry.kind, EntryKind::File | EntryKind::Executable)
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
        Self { connection, repository: format!("{uid} {} {}/{}", spec.url, spec.owner, spec.name).into(), cx }
    }

    /// A commit; nothing where the repository has none of that id.
    pub async fn commit(&self, sha: &Sha) -> Result<Option<Commit>, PortError> {
        if let Some(Item::Commit(known)) = self.cx.code.get(Kind::Commit, &self.repository, sha) {
            return Ok(Some(known));
        }
        let commit = self.connection.ask(self.cx, |forge| async move { forge.commit(sha).await }).await?;
        if let Some(commit) = &commit {
            self.cx.code.put(&self.repository, sha, Item::Commit(commit.clone()));
        }
        Ok(commit)
    }

    /// Everything in a commit, by path from the root.
    pub async fn entries(&self, commit: &Sha) -> Result<Arc<Vec<Entry>>, PortError> {
        if let Some(Item::Entries(known)) = self.cx.code.get(Kind::Entries, &self.repository, commit) {
            return Ok(known);
        }
        let tree = self.connection.ask(self.cx, |forge| async move { forge.tree(commit, "").await }).await?;
        let entries = Arc::new(tree.map(|tree| tree.entries).unwrap_or_default());
        self.cx.code.put(&self.repository, commit, Item::Entries(entries.clone()));
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
        self.text(entry).await
    }

    /// The text of a file, or why it can't be read as one.
    pub async fn text(&self, entry: &Entry) -> Result<Result<Arc<str>, String>, PortError> {
        if usize::try_from(entry.size).map_or(true, |size| size > MAX_FILE) {
            return Ok(Err(format!("has {} bytes, and {MAX_FILE} at most are taken", entry.size)));
        }
        Ok(Ok(String::from_utf8_lossy(&self.blob(&entry.sha).await?).into()))
    }

    /// Keeps contents that are about to be in the repository, beside a commit of it:
    /// whoever reads them there later has them.
    pub fn expect<'b>(&self, beside: &Sha, contents: impl IntoIterator<Item = &'b [u8]>) {
        let Some(forge) = self.connection.client() else { return };
        for content in contents {
            if let Some(id) = forge.blob_id(beside, content) {
                self.cx.code.put(&self.repository, &id, Item::Blob(content.into()));
            }
        }
    }

    /// A file's content.
    async fn blob(&self, id: &Sha) -> Result<Arc<[u8]>, PortError> {
        if let Some(Item::Blob(known)) = self.cx.code.get(Kind::Blob, &self.repository, id) {
            return Ok(known);
        }
        let content: Arc<[u8]> = self.connection.ask(self.cx, |forge| async move { forge.blob(id, MAX_FILE).await }).await?.into();
        self.cx.code.put(&self.repository, id, Item::Blob(content.clone()));
        Ok(content)
    }

    /// A package's files, links and submodules among them, each with its mode.
    pub async fn files(&self, package: &Package) -> Result<Arc<Vec<SourceFile>>, PortError> {
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
                EntryKind::Submodule => Arc::default(),
                _ => self.blob(&entry.sha).await?,
            };
            let content = str::from_utf8(&content).map_err(|_| {
                PortError::new(Class::Invalid, Reason::Invalid, format!("{} is no text (UTF-8): a package has texts alone", entry.path))
            })?;
            files.push(SourceFile { path: entry.path.clone(), content: content.into(), mode: entry.kind.mode().into() });
        }
        Ok(Arc::new(files))
    }
}

/// The base branch of a Factory.
pub fn base_branch(factory: &Factory) -> Result<Branch, PortError> {
    let parsed = factory.spec.repository.base_branch.parse();
    parsed.map_err(|e| connections::of_factory(factory, &PortError::invalid("spec.repository.baseBranch", e)))
}
