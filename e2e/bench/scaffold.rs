//! How long a document takes from its text to the files of its package: read,
//! checked strictly, scaffolded. The first file is tried alone; then all of them,
//! again and again. Prints one line of JSON. `e2e/scripts/bench-scaffold.sh` runs it.

use std::{fs, hint::black_box, io::Write, time::Instant};

use anyhow::{Context, ensure};
use flywheel::{
    prim,
    scaffold::{self, Options},
};
use serde_json::json;

/// The allocator that `flywheel` has.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Rounds before those that count, and those.
const WARM: usize = 200;
const ROUNDS: usize = 1000;

fn main() -> anyhow::Result<()> {
    let files: Vec<_> = std::env::args_os().skip(1).collect();
    ensure!(!files.is_empty(), "name documents, first the one that is measured alone");
    let read = |file| fs::read_to_string(file).with_context(|| format!("{}", std::path::Path::new(file).display()));
    let texts = files.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let options = Options::at("$0.01".parse()?);
    let one = median(ROUNDS, || package(&texts[0], &options))?;
    let all = median(ROUNDS / 10, || texts.iter().try_for_each(|text| package(text, &options)))?;
    writeln!(std::io::stdout(), "{}", json!({"one_spec_p50_ms": one, "all_specs_ms": all, "specs": texts.len()}))?;
    Ok(())
}

/// From a text to the files of its package.
fn package(text: &str, options: &Options) -> anyhow::Result<()> {
    let refused = |problems| anyhow::anyhow!("{problems:?}");
    let checked = prim::check_text(black_box(text));
    black_box(checked.findings);
    let document = checked.document.map_err(refused)?;
    let made = scaffold::manifest(&document, options).map_err(refused)?;
    ensure!(!made.files.is_empty(), "has no files");
    black_box(made);
    Ok(())
}

/// The median of many rounds, in milliseconds.
fn median(rounds: usize, work: impl Fn() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    for _ in 0..WARM.min(rounds) {
        work()?;
    }
    let mut times = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let began = Instant::now();
        work()?;
        times.push(began.elapsed());
    }
    times.sort_unstable();
    // A thousandth of a millisecond is as fine as it means something.
    Ok((times[rounds / 2].as_secs_f64() * 1e6).round() / 1e3)
}
