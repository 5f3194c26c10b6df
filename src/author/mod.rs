//! What an author of documents needs before there is a cluster: `validate`,
//! `schema`, `new` and `create`. All but the last works on files and the terminal
//! and asks no network; what is right and wrong with a document, `prim` says. Read
//! `validate.rs` next.

mod ask;
mod idea;
mod new;
mod validate;

use std::{
    fs::File,
    io::{self, Read, Write},
    path::Path,
    process::ExitCode,
};

pub use ask::Asker;
pub use idea::{MOST_ROUNDS, Outcome, Task, realize};
pub use new::{NewConfig, draft};
pub use validate::{Report, ValidateConfig, judge};

use crate::prim;

/// Runs `flywheel validate`.
pub fn validate(config: &ValidateConfig) -> anyhow::Result<ExitCode> {
    validate::run(config, &mut io::stdout().lock())
}

/// Runs `flywheel new`.
pub fn new(config: &NewConfig) -> anyhow::Result<ExitCode> {
    new::run(config)
}

/// Runs `flywheel schema`.
pub fn schema() -> anyhow::Result<ExitCode> {
    writeln!(io::stdout(), "{:#}", prim::schema())?;
    Ok(ExitCode::SUCCESS)
}

/// A file's bytes, and not many more than a document may have; `-` is standard input.
fn read(file: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let most = u64::try_from(prim::LARGEST).unwrap_or(u64::MAX).saturating_add(1);
    if file == Path::new("-") {
        io::stdin().lock().take(most).read_to_end(&mut bytes)?;
    } else {
        File::open(file)?.take(most).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}
