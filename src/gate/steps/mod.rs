//! Layer 1's steps, one file each. What needs no code under test to run works on
//! the files alone ([`files`], [`generated`], [`suppressions`], [`secrets`],
//! [`lint`], [`types`]); [`service`] and [`tests`] drive the other container.

pub mod files;
pub mod generated;
pub mod lint;
pub mod secrets;
pub(super) mod service;
pub mod suppressions;
pub(super) mod tests;
pub mod types;

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use crate::api::gate_run::Verdict;

use super::{
    chain,
    exec::{Output, ToolError},
    report::{MAX_OUTPUT, Step, cut},
};

/// Where the tools find what they work on.
#[derive(Clone, Debug)]
pub struct Place {
    /// The laid-out tree: `packages/<id>` and the root's configuration.
    pub work: PathBuf,
    /// Directory of the tools.
    pub tools: PathBuf,
    /// Longest time for one of them.
    pub patience: Duration,
}

/// The whole environment of a trusted tool.
fn environment() -> BTreeMap<String, String> {
    [("HOME", "/tmp"), ("TMPDIR", "/tmp"), ("DO_NOT_TRACK", "1"), ("NO_COLOR", "1")].map(|(k, v)| (k.into(), v.into())).into()
}

/// The step of a tool that exits with 0 where all is well and 1 where not.
/// Another code is the tool's own failure, which shows nothing about the package.
fn judged(name: &str, result: Result<Output, ToolError>, remedy: &str) -> Step {
    let output = match result {
        Ok(output) => output,
        // A text that a tool can't finish with does not pass it.
        Err(error @ ToolError::Late { .. }) => return Step::not(name, Verdict::Failed, error.to_string()),
        Err(error) => return Step::not(name, Verdict::Error, chain(error)),
    };
    // Biome tells of problems there, and counts them here.
    let mut said = format!("{}{}", output.stderr, output.stdout);
    cut(&mut said, MAX_OUTPUT);
    let step = match output.code {
        Some(0) => Step::passed(name),
        Some(1 | 2) => {
            Step { message: Some(format!("{}{remedy}", beginning(&said))), output: said, ..Step::not(name, Verdict::Failed, "") }
        }
        code => {
            let how = code.map_or("was killed".into(), |code| format!("exited with {code}"));
            Step { output: said, ..Step::not(name, Verdict::Error, format!("the tool {how}")) }
        }
    };
    Step { milliseconds: output.milliseconds, ..step }
}

/// What a tool said first, for a message that may be all that is read.
fn beginning(said: &str) -> String {
    let lines = said.lines().map(|l| l.trim_matches(|c: char| c.is_whitespace() || "━×┌└│".contains(c)));
    let mut first = lines.filter(|l| !l.is_empty()).take(2).collect::<Vec<_>>().join(": ");
    cut(&mut first, 200);
    if first.is_empty() { first } else { format!("{first}; ") }
}
