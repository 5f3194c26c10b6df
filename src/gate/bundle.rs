//! A package's files as one immutable value: gzip of JSON, named by its digest.
//! It can hold nothing but texts at paths; the mode is carried along only so
//! that a symbolic link or a submodule is refused by name and not lost.

use std::io::{Read, Write};

use flate2::{Compression, GzBuilder, read::GzDecoder};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Most bytes of a packed bundle: a ConfigMap holds 1 MiB, base64 included.
pub const MAX_PACKED: usize = 700 * 1024;
/// Most bytes of all files together.
pub const MAX_TOTAL: usize = 4 * 1024 * 1024;
/// Most bytes of one file. Below the size from which Biome skips a file.
pub const MAX_FILE: usize = 512 * 1024;
/// Most files.
pub const MAX_FILES: usize = 500;
/// git's mode of an ordinary file.
pub const REGULAR: &str = "100644";

/// One file of the tree under test.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SourceFile {
    /// Path from the repository's root.
    pub path: String,
    /// The file's text; of a symbolic link, its target.
    pub content: String,
    /// git's mode, such as `100644`.
    #[serde(default = "regular", skip_serializing_if = "is_regular")]
    pub mode: String,
}

impl SourceFile {
    /// An ordinary file.
    pub fn new(path: impl Into<String>, content: impl Into<String>) -> Self {
        Self { path: path.into(), content: content.into(), mode: regular() }
    }
}

/// Files that were packed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    bytes: Vec<u8>,
    digest: String,
}

/// Why files can't be packed or unpacked.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// More than fits.
    #[error("the package's {what}: {size}, and at most {limit} fit; make it smaller")]
    TooLarge {
        /// What is too large.
        what: String,
        /// How large it is.
        size: usize,
        /// How large it may be.
        limit: usize,
    },
    /// Other bytes than were announced.
    #[error("the bundle's digest is {found}, and {expected} was announced: it was changed or mixed up on the way")]
    Digest {
        /// The digest announced.
        expected: String,
        /// The digest found.
        found: String,
    },
    /// Not gzip.
    #[error("the bundle is not gzip")]
    Gzip(#[source] std::io::Error),
    /// Not a list of files.
    #[error("the bundle is not a list of files")]
    Json(#[source] serde_json::Error),
}

impl Bundle {
    /// Packs files; equal files give equal bytes, whatever their order.
    pub fn pack(mut files: Vec<SourceFile>) -> Result<Self, BundleError> {
        check_sizes(&files)?;
        files.sort();
        let json = serde_json::to_vec(&files).map_err(BundleError::Json)?;
        // No time and no name in the header: they would change the digest.
        let mut gzip = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
        let bytes = gzip.write_all(&json).and_then(|()| gzip.finish()).map_err(BundleError::Gzip)?;
        limit("packed size in bytes", bytes.len(), MAX_PACKED)?;
        Ok(Self { digest: digest(&bytes), bytes })
    }

    /// The packed bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// `sha256:` and 64 hexadecimal digits, of the packed bytes.
    pub fn digest(&self) -> &str {
        &self.digest
    }
}

/// The files of a bundle that has the announced digest. Nothing is decoded
/// before the digest was compared, and no more than fits afterwards.
pub fn files(bytes: &[u8], expected: &str) -> Result<Vec<SourceFile>, BundleError> {
    let found = digest(bytes);
    if found != expected {
        return Err(BundleError::Digest { expected: expected.into(), found });
    }
    // Escapes make JSON longer than the text in it, at most six times.
    let bound = MAX_TOTAL * 6 + MAX_FILES * 1024;
    let mut json = Vec::new();
    GzDecoder::new(bytes).take(bound as u64 + 1).read_to_end(&mut json).map_err(BundleError::Gzip)?;
    limit("unpacked size in bytes", json.len(), bound)?;
    let files: Vec<SourceFile> = serde_json::from_slice(&json).map_err(BundleError::Json)?;
    check_sizes(&files)?;
    Ok(files)
}

/// `sha256:` and the hexadecimal digest.
pub fn digest(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect();
    format!("sha256:{hex}")
}

fn check_sizes(files: &[SourceFile]) -> Result<(), BundleError> {
    limit("number of files", files.len(), MAX_FILES)?;
    for file in files {
        limit(&format!("file {:?} in bytes", file.path), file.content.len(), MAX_FILE)?;
    }
    limit("files in all, in bytes", files.iter().map(|f| f.path.len() + f.content.len()).sum(), MAX_TOTAL)
}

fn limit(what: &str, size: usize, limit: usize) -> Result<(), BundleError> {
    if size > limit { Err(BundleError::TooLarge { what: what.into(), size, limit }) } else { Ok(()) }
}

fn regular() -> String {
    REGULAR.into()
}

fn is_regular(mode: &String) -> bool {
    mode == REGULAR
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two() -> Vec<SourceFile> {
        vec![SourceFile::new("packages/a/src/index.ts", "1"), SourceFile::new("packages/a/prim.yaml", "id: a")]
    }

    #[test]
    fn equal_files_have_one_digest() {
        let bundle = Bundle::pack(two()).unwrap();
        let mut reversed = two();
        reversed.reverse();
        assert_eq!(bundle, Bundle::pack(reversed).unwrap());
        let mut back = files(bundle.bytes(), bundle.digest()).unwrap();
        back.sort();
        let mut expected = two();
        expected.sort();
        assert_eq!(back, expected);
    }

    #[test]
    fn other_bytes_are_refused_before_they_are_decoded() {
        let bundle = Bundle::pack(two()).unwrap();
        let error = files(b"not even gzip", bundle.digest()).unwrap_err();
        assert!(matches!(error, BundleError::Digest { .. }), "{error}");
    }

    #[test]
    fn a_bomb_is_refused() {
        let large = vec![SourceFile::new("packages/a/x", "0".repeat(MAX_FILE + 1))];
        assert!(matches!(Bundle::pack(large), Err(BundleError::TooLarge { .. })));
        // Packed by somebody who does not check: 64 MiB in 64 KiB.
        let mut gzip = GzBuilder::new().write(Vec::new(), Compression::best());
        gzip.write_all(&vec![b' '; 64 << 20]).unwrap();
        let bytes = gzip.finish().unwrap();
        let error = files(&bytes, &digest(&bytes)).unwrap_err();
        assert!(matches!(error, BundleError::TooLarge { .. }), "{error}");
    }

    #[test]
    fn a_link_keeps_its_mode() {
        let link = SourceFile { path: "packages/a/etc".into(), content: "/etc".into(), mode: "120000".into() };
        let bundle = Bundle::pack(vec![link.clone()]).unwrap();
        assert_eq!(files(bundle.bytes(), bundle.digest()).unwrap(), [link]);
    }
}
