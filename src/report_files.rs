//! Files that a run writes: they are opened before anything is sent, so that a run
//! which can't be told of does not begin, and written once all is over.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;

use crate::{suite::Exit, telemetry};

/// A file to be.
#[derive(Debug)]
pub(crate) struct Output {
    path: PathBuf,
    file: fs::File,
}

impl Output {
    /// Makes the file with its folders. What was in it is gone: it was of another run.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let made = folder.map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::File::create(path));
        let file = made.with_context(|| format!("{} can't be written, and nothing was sent", path.display()))?;
        Ok(Self { path: path.to_owned(), file })
    }

    /// Writes what there is to say.
    pub fn write(mut self, text: &str) -> anyhow::Result<()> {
        self.file.write_all(text.as_bytes()).and_then(|()| self.file.flush()).with_context(|| self.path.display().to_string())
    }
}

/// What a run ends with whose reports were written, or not: it has its verdict all
/// the same, but is not green without what was to tell of it.
pub(crate) fn ended(exit: Exit, written: anyhow::Result<()>) -> Exit {
    match (written, exit) {
        (Ok(()), exit) => exit,
        (Err(error), exit) => {
            eprintln!("flywheel: a report could not be written: {}", telemetry::chain(error.as_ref()));
            if exit == Exit::Proven { Exit::Unproven } else { exit }
        }
    }
}
