//! Git's own names for content. With them a commit's tree is known before the
//! commit is made, so that one that is there already can be recognised.

use std::collections::BTreeMap;

use sha1::Sha1;
use sha2::{Digest, Sha256};

use crate::{
    api::names::Sha,
    ports::forge::{Entry, EntryKind},
};

/// What a repository names its objects by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// What nearly every repository has.
    Sha1,
    /// What a repository can be made with.
    Sha256,
}

impl Format {
    /// The format of the repository that has an object of this id.
    pub fn of(id: &Sha) -> Self {
        if id.as_str().len() == 64 { Self::Sha256 } else { Self::Sha1 }
    }

    /// The id of a file's content.
    pub fn blob(self, content: &[u8]) -> Sha {
        hex(&self.object("blob", content))
    }

    fn object(self, kind: &str, body: &[u8]) -> Vec<u8> {
        let header = format!("{kind} {}\0", body.len());
        match self {
            Self::Sha1 => Sha1::new().chain_update(header).chain_update(body).finalize().to_vec(),
            Self::Sha256 => Sha256::new().chain_update(header).chain_update(body).finalize().to_vec(),
        }
    }

    /// The id of a directory with these files, each by its path. Directories are
    /// made as paths need them; entries that are directories must not be given.
    pub fn tree(self, files: &BTreeMap<String, (EntryKind, Sha)>) -> Sha {
        hex(&self.subtree(files.iter().map(|(path, (kind, sha))| (path.as_str(), *kind, sha)).collect()))
    }

    /// The id of a directory whose entries are all given, directories too.
    pub fn directory<'a>(self, entries: impl IntoIterator<Item = &'a Entry>) -> Sha {
        let children = entries.into_iter().map(|e| (sorted(&e.path, e.kind), (e.kind, bytes(&e.sha)))).collect();
        hex(&self.body(children))
    }

    fn subtree(self, files: Vec<(&str, EntryKind, &Sha)>) -> Vec<u8> {
        let mut children: BTreeMap<Vec<u8>, (EntryKind, Vec<u8>)> = BTreeMap::new();
        let mut directories: BTreeMap<&str, Vec<(&str, EntryKind, &Sha)>> = BTreeMap::new();
        for (path, kind, sha) in files {
            match path.split_once('/') {
                Some((directory, rest)) => directories.entry(directory).or_default().push((rest, kind, sha)),
                None => drop(children.insert(path.into(), (kind, bytes(sha)))),
            }
        }
        for (name, below) in directories {
            children.insert(sorted(name, EntryKind::Directory), (EntryKind::Directory, self.subtree(below)));
        }
        self.body(children)
    }

    fn body(self, children: BTreeMap<Vec<u8>, (EntryKind, Vec<u8>)>) -> Vec<u8> {
        let mut body = Vec::new();
        for (name, (kind, id)) in children {
            let name = name.strip_suffix(b"/").unwrap_or(&name);
            body.extend([kind.mode().as_bytes(), b" ", name, b"\0", &id].concat());
        }
        self.object("tree", &body)
    }
}

/// What git sorts an entry by: a directory as if its name ended in a slash.
fn sorted(name: &str, kind: EntryKind) -> Vec<u8> {
    let mut name = name.as_bytes().to_vec();
    if kind == EntryKind::Directory {
        name.push(b'/');
    }
    name
}

/// A listing's files by path, without its directories.
pub fn files(entries: impl IntoIterator<Item = Entry>) -> BTreeMap<String, (EntryKind, Sha)> {
    entries.into_iter().filter(|e| e.kind != EntryKind::Directory).map(|e| (e.path, (e.kind, e.sha))).collect()
}

fn hex(bytes: &[u8]) -> Sha {
    let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    text.parse().expect("a digest in hexadecimal is an object id")
}

fn bytes(sha: &Sha) -> Vec<u8> {
    let digit = |d: u8| if d.is_ascii_digit() { d - b'0' } else { d - b'a' + 10 };
    sha.as_str().as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `git hash-object` and `git mktree` say.
    #[test]
    fn ids_are_gits() {
        assert_eq!(Format::Sha1.blob(b"hello\n").as_str(), "ce013625030ba8dba906f756967f9e9ca394464a");
        assert_eq!(Format::Sha1.tree(&BTreeMap::new()).as_str(), "4b825dc642cb6eb9a060e54bf8d69288fbee4904");
        assert_eq!(Format::Sha256.tree(&BTreeMap::new()).as_str(), "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321");
        let hello = Format::Sha1.blob(b"hello\n");
        // `a.b` sorts before `a/`, though `a` alone would come first.
        let files = [("a/x", EntryKind::Executable), ("a.b", EntryKind::File), ("link", EntryKind::Symlink)];
        let files = files.map(|(path, kind)| (path.to_owned(), (kind, hello.clone()))).into();
        assert_eq!(Format::Sha1.tree(&files).as_str(), "8c3f6336b6daa54adf7daf11dd3aeb1031800d92");
        let below = [("x".to_owned(), (EntryKind::Executable, hello.clone()))].into();
        let entry = |path: &str, sha: &Sha, kind| Entry { path: path.into(), sha: sha.clone(), size: 0, kind };
        let listed = [
            entry("a", &Format::Sha1.tree(&below), EntryKind::Directory),
            entry("a.b", &hello, EntryKind::File),
            entry("link", &hello, EntryKind::Symlink),
        ];
        assert_eq!(Format::Sha1.directory(&listed), Format::Sha1.tree(&files), "the same, level by level");
        assert_eq!(Format::of(&hello), Format::Sha1);
    }
}
