//! `flywheel scaffold`: documents from files to packages on disk.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context;
use serde_json::Value;

use crate::{
    prim::{self, Document, Price, Problem},
    scaffold::{self, Kind, Manifest, Options},
};

/// What `flywheel scaffold` is told.
#[derive(Debug, clap::Args)]
pub struct ScaffoldConfig {
    /// Documents: prim.yaml files, or Primitive objects that hold one.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Checkout of the factory repository; packages go to packages/<id> in it.
    #[arg(long)]
    out: PathBuf,
    /// What a route of a paid document costs where it has no price of its own.
    #[arg(long, default_value = "$0.01")]
    default_price: Price,
}

/// Writes a package for each file; a file with problems has none, and the exit
/// code says so.
pub fn run(config: &ScaffoldConfig) -> anyhow::Result<ExitCode> {
    let options = Options { default_price: config.default_price };
    let mut code = ExitCode::SUCCESS;
    for file in &config.files {
        let text = fs::read_to_string(file).with_context(|| format!("{}", file.display()))?;
        let made = document(&text).and_then(|document| Ok((scaffold::manifest(&document, &options)?, document)));
        match made {
            Ok((manifest, document)) => {
                let kept = write(&config.out, &manifest)?;
                report(&document, &manifest, kept);
            }
            Err(problems) => {
                code = ExitCode::FAILURE;
                problems.iter().for_each(|problem| eprintln!("{}: {problem}", file.display()));
            }
        }
    }
    Ok(code)
}

/// A document, or the one inside a Primitive.
fn document(text: &str) -> Result<Document, Vec<Problem>> {
    let mut value = prim::value(text).map_err(|problem| vec![problem])?;
    if value["kind"] == "Primitive" {
        // A Primitive without one is refused as a document that is none.
        value = value.pointer_mut("/spec/document").map(Value::take).unwrap_or_default();
    }
    prim::from_value(value)
}

/// Writes the files, and returns how many were there and are somebody's by now.
fn write(out: &Path, manifest: &Manifest) -> anyhow::Result<usize> {
    let mut kept = 0;
    for file in &manifest.files {
        let path = out.join(&file.path);
        if file.kind == Kind::Seeded && path.exists() {
            kept += 1;
            continue;
        }
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).with_context(|| format!("{}", folder.display()))?;
        }
        fs::write(&path, &file.content).with_context(|| format!("{}", path.display()))?;
    }
    Ok(kept)
}

fn report(document: &Document, manifest: &Manifest, kept: usize) {
    let count = |backend: &str| manifest.routes.iter().filter(|route| route.backend == backend).count();
    eprintln!(
        "{}: {} files ({kept} seeded ones left as they are), routes: {} native, {} provider, {} not implemented",
        document.id,
        manifest.files.len(),
        count("native"),
        count("provider"),
        count("missing"),
    );
    manifest.assumptions.iter().for_each(|assumption| eprintln!("  assumed: {assumption}"));
    manifest.unimplemented.iter().for_each(|route| eprintln!("  501: {} ({}): {}", route.route, route.operation, route.reason));
}
