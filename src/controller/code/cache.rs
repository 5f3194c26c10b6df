//! What was read of repositories, up to so many bytes in all: what was used last
//! stays.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    api::names::Sha,
    ports::forge::{Commit, Entry},
};

/// Most bytes that are kept, of all repositories.
const ROOM: usize = 64 * 1024 * 1024;
/// What an item takes beside its content.
const OVERHEAD: usize = 256;

/// What was read.
#[derive(Default)]
pub struct CodeCache(Mutex<Shelf>);

/// What is kept. Each of a kind has one id, for ever.
#[derive(Clone)]
pub(super) enum Item {
    /// A commit.
    Commit(Commit),
    /// Everything in a commit.
    Entries(Arc<Vec<Entry>>),
    /// A file's content.
    Blob(Arc<[u8]>),
}

/// A kind of [`Item`].
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Commit,
    Entries,
    Blob,
}

/// By repository and id.
type Key = (Kind, Arc<str>, Sha);

#[derive(Default)]
struct Shelf {
    items: HashMap<Key, Kept>,
    bytes: usize,
    uses: u64,
}

struct Kept {
    item: Item,
    bytes: usize,
    used: u64,
}

impl Item {
    fn kind(&self) -> Kind {
        match self {
            Self::Commit(_) => Kind::Commit,
            Self::Entries(_) => Kind::Entries,
            Self::Blob(_) => Kind::Blob,
        }
    }

    fn bytes(&self) -> usize {
        let content = match self {
            Self::Commit(commit) => commit.parents.len() * 64,
            Self::Entries(entries) => entries.iter().map(|e| e.path.len() + e.sha.as_str().len() + size_of::<Entry>()).sum(),
            Self::Blob(content) => content.len(),
        };
        content + OVERHEAD
    }
}

impl CodeCache {
    pub(super) fn get(&self, kind: Kind, repository: &Arc<str>, id: &Sha) -> Option<Item> {
        let mut shelf = self.lock();
        shelf.uses += 1;
        let uses = shelf.uses;
        let kept = shelf.items.get_mut(&(kind, repository.clone(), id.clone()))?;
        kept.used = uses;
        Some(kept.item.clone())
    }

    pub(super) fn put(&self, repository: &Arc<str>, id: &Sha, item: Item) {
        let (bytes, key) = (item.bytes(), (item.kind(), repository.clone(), id.clone()));
        if bytes > ROOM {
            return;
        }
        let mut shelf = self.lock();
        shelf.uses += 1;
        let kept = Kept { item, bytes, used: shelf.uses };
        shelf.bytes += bytes;
        if let Some(former) = shelf.items.insert(key, kept) {
            shelf.bytes -= former.bytes;
        }
        if shelf.bytes > ROOM {
            shelf.make_room();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shelf> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelf {
    /// Drops what was not used for longest, a quarter of all, so that this is seldom.
    fn make_room(&mut self) {
        let mut by_use: Vec<_> = self.items.iter().map(|(key, kept)| (kept.used, kept.bytes, key.clone())).collect();
        by_use.sort_unstable_by_key(|(used, ..)| *used);
        for (_, bytes, key) in by_use {
            if self.bytes <= ROOM / 4 * 3 {
                return;
            }
            self.items.remove(&key);
            self.bytes -= bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEGABYTE: usize = 1024 * 1024;

    fn sha(number: usize) -> Sha {
        format!("{number:040x}").parse().expect("a sha")
    }

    #[test]
    fn what_was_used_last_stays_and_all_of_it_has_its_room() {
        let cache = CodeCache::default();
        let (one, other): (Arc<str>, Arc<str>) = ("one".into(), "other".into());
        for number in 0..200 {
            cache.put(&one, &sha(number), Item::Blob(vec![7; MEGABYTE].into()));
            assert!(cache.get(Kind::Blob, &one, &sha(0)).is_some(), "{number}: it is used all along");
            let shelf = cache.lock();
            assert!(shelf.bytes <= ROOM, "{number}: {}", shelf.bytes);
            assert_eq!(shelf.bytes, shelf.items.values().map(|kept| kept.bytes).sum::<usize>());
        }
        assert!(cache.get(Kind::Blob, &one, &sha(199)).is_some() && cache.get(Kind::Blob, &one, &sha(1)).is_none());
        assert!(cache.get(Kind::Blob, &other, &sha(199)).is_none(), "what one may read is not what all may");
        assert!(cache.get(Kind::Commit, &one, &sha(199)).is_none());
        cache.put(&one, &sha(999), Item::Blob(vec![7; ROOM].into()));
        assert!(cache.get(Kind::Blob, &one, &sha(999)).is_none(), "it would drop all else");
        for _ in 0..200 {
            cache.put(&one, &sha(0), Item::Blob(vec![7; MEGABYTE].into()));
        }
        assert!(cache.get(Kind::Blob, &one, &sha(199)).is_some(), "the same again takes no more room");
    }
}
