//! What holds of the checkout itself: the layers of `src`, the size of files,
//! folders that introduce themselves, and words that must not be in it. It reads
//! files and runs nothing but `git ls-files`. Every failure says what to do.
//! Read `layers.rs` next.

mod layers;
mod text;
mod uses;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The checkout.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Files below `folder` whose names end in `.ext`, by their path from the root.
fn files(folder: &str, ext: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == ext) {
                found.push(path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

/// Files below `folder` that git tracks, by their path from the root.
pub fn tracked(folder: &str) -> Vec<String> {
    let listing = Command::new("git").args(["ls-files", "-z", folder]).current_dir(root()).output();
    let listing = listing.expect("git must be there to list tracked files");
    assert!(listing.status.success(), "git ls-files: {}", String::from_utf8_lossy(&listing.stderr));
    String::from_utf8(listing.stdout).unwrap().split('\0').filter(|file| !file.is_empty()).map(str::to_owned).collect()
}

fn read(path: impl Into<PathBuf>) -> String {
    let path = root().join(path.into());
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Fails with all problems at once, and with what to do about them.
#[track_caller]
fn none(problems: &[String], advice: &str) {
    assert!(problems.is_empty(), "{advice}:\n  {}", problems.join("\n  "));
}
