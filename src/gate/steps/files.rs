//! Whether the package consists of what a package may have.

use crate::gate::{paths::Refusal, report::Step};

/// Most refused files that the message names.
const NAMED: usize = 5;

/// The step.
pub fn step(refused: &[Refusal]) -> Step {
    let named = refused.iter().take(NAMED).map(|r| format!("{:?}: {}", r.path, r.reason)).collect::<Vec<_>>().join("; ");
    match refused.len().saturating_sub(NAMED) {
        _ if refused.is_empty() => Step::passed("files"),
        0 => Step::of("files", Err(named)),
        more => Step::of("files", Err(format!("{named}; and {more} more"))),
    }
}
