//! Files that a run writes: they are opened before anything is sent, so that a run
//! which can't be told of does not begin, and written once all is over.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};

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
        let made = fs::create_dir_all(folder(path)).and_then(|()| fs::File::create(path));
        let file = made.with_context(|| format!("{} can't be written, and nothing was sent", path.display()))?;
        Ok(Self { path: path.to_owned(), file })
    }

    /// Writes what there is to say.
    pub fn write(mut self, text: &str) -> anyhow::Result<()> {
        self.file.write_all(text.as_bytes()).and_then(|()| self.file.flush()).with_context(|| self.path.display().to_string())
    }
}

/// Refuses files of which one would be written over another: what is asked for is lost,
/// or what is run. Devices take what they are given.
pub(crate) fn apart<'a>(files: impl Iterator<Item = (&'a str, &'a Path)>) -> anyhow::Result<()> {
    let mut known: Vec<(&str, PathBuf)> = Vec::new();
    for (what, path) in files {
        // One that is not there yet is where its folder is.
        let whole = path.canonicalize().or_else(|_| Ok(folder(path).canonicalize()?.join(path.file_name().unwrap_or_default())));
        let whole: PathBuf = whole.unwrap_or_else(|_: std::io::Error| path.to_owned());
        if whole.exists() && !whole.is_file() {
            continue;
        }
        if let Some((other, _)) = known.iter().find(|(_, known)| *known == whole) {
            bail!("{what} {} is {other}, too: name another file", path.display());
        }
        known.push((what, whole));
    }
    Ok(())
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
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
