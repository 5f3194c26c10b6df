//! Lays a bundle's files out for tools: verified, judged, and nothing else. The
//! tools' own configuration is copied beside them from the image.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use super::{
    LastWords,
    bundle::{self, BundleError, SourceFile},
    chain, paths,
};

/// Configuration that the image has from the base branch's root. `bun` and `tsc`
/// take it from the directory they work in.
const CONFIGURATION: [&str; 4] = ["package.json", "bunfig.toml", "tsconfig.json", "biome.json"];

/// What to unpack, and where to.
#[derive(Debug, clap::Args)]
pub struct UnpackArgs {
    /// File with the bundle.
    #[arg(long)]
    bundle: PathBuf,
    /// The bundle's digest.
    #[arg(long)]
    digest: String,
    /// Id of the primitive whose package it is.
    #[arg(long)]
    primitive: String,
    /// The image's copy of the base branch's root.
    #[arg(long, default_value = "/opt/factory")]
    factory: PathBuf,
    /// An empty directory.
    #[arg(long, default_value = "/opt/factory/work")]
    to: PathBuf,
    #[command(flatten)]
    last_words: LastWords,
}

/// Why files can't be laid out.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// The bundle is not what was announced.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// A file can't be read or written.
    #[error("{path}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Runs, and ends the pod if the files are not what was announced.
pub(super) fn main(args: &UnpackArgs) -> anyhow::Result<ExitCode> {
    let unpacked = read(&args.bundle).and_then(|bytes| Ok(bundle::files(&bytes, &args.digest)?)).and_then(|files| {
        configure(&args.factory, &args.to)?;
        unpack(&args.primitive, files, &args.to)
    });
    match unpacked {
        Ok(_) => Ok(ExitCode::SUCCESS),
        Err(error) => args.last_words.error("unpack", chain(error)),
    }
}

/// Writes the files that a package may have below `to`, and returns the number
/// of them. The others are left out: the step `files` names them.
pub fn unpack(primitive: &str, files: Vec<SourceFile>, to: &Path) -> Result<usize, UnpackError> {
    let (good, _) = paths::judge(primitive, files);
    for file in &good {
        let path = to.join(&file.path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(at(parent))?;
        }
        // Two files at one place would be a mistake in the judge.
        let mut out = OpenOptions::new().write(true).create_new(true).open(&path).map_err(at(&path))?;
        out.write_all(file.content.as_bytes()).map_err(at(&path))?;
    }
    Ok(good.len())
}

fn configure(factory: &Path, to: &Path) -> Result<(), UnpackError> {
    for name in CONFIGURATION {
        let from = factory.join(name);
        let content = read(&from)?;
        fs::write(to.join(name), content).map_err(at(&to.join(name)))?;
    }
    Ok(())
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, UnpackError> {
    fs::read(path).map_err(at(path))
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> UnpackError {
    let path = path.to_path_buf();
    move |source| UnpackError::File { path, source }
}
