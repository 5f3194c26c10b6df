//! What a canary may do at most, whatever its model asks for and its service answers.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Most answers of the model about a group that is asked over HTTP.
pub const MOST_ROUNDS: u32 = 10;
/// Most answers of the model about a group that is used by its command line.
pub const MOST_CLI_ROUNDS: u32 = 20;
/// Most tools that one answer is granted; what more it asks for is dropped.
pub const MOST_CALLS_AT_ONCE: usize = 12;
/// Most tools of a whole conversation.
pub const MOST_CALLS: usize = 80;
/// Most failures of one method and URL, or of one command, before it is refused.
pub const MOST_FAILURES: u32 = 2;
/// Most characters of a tool's output that the model reads.
pub const MOST_OUTPUT: usize = 4000;
/// Most characters of each stream of a command that the model reads.
pub const MOST_STREAM: usize = 2000;
/// Most bytes of a tool's arguments.
pub const MOST_ARGUMENTS: usize = 96 * 1024;
/// Most bytes of a request's body.
pub const MOST_BODY: usize = 64 * 1024;
/// Most bytes of a command.
pub const MOST_COMMAND: usize = 4000;
/// Most notes, and most characters of each.
pub const MOST_NOTES: usize = 20;
/// Most characters of a note.
pub const MOST_NOTE: usize = 500;
/// Most characters of what the model says in the end.
pub const MOST_SUMMARY: usize = 4000;
/// Most characters of an llms.txt that the model reads.
pub const MOST_LLMS: usize = 24_000;
/// Most characters of a body that the report repeats.
pub const MOST_REPORTED: usize = 2000;

/// Limits that a run is given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Limits {
    /// Answers of the model for each group; never more than [`MOST_ROUNDS`], or
    /// [`MOST_CLI_ROUNDS`] for a command line.
    pub rounds: u32,
    /// Seconds for one request to the service.
    pub request_seconds: u64,
    /// Seconds for one answer of the model.
    pub model_seconds: u64,
    /// Seconds for a group, the check of its goals included.
    pub group_seconds: u64,
    /// Millionths of a US dollar that one request may cost.
    pub max_payment_micros: u64,
    /// Millionths of a US dollar that the run may spend.
    pub budget_micros: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            rounds: MOST_ROUNDS,
            request_seconds: 20,
            model_seconds: 60,
            group_seconds: 270,
            max_payment_micros: 1_000_000,
            budget_micros: 5_000_000,
        }
    }
}

impl Limits {
    /// The answers that a group's model has.
    pub fn rounds(&self, cli: bool) -> u32 {
        self.rounds.clamp(1, if cli { MOST_CLI_ROUNDS } else { MOST_ROUNDS })
    }

    /// The time that a group has.
    pub fn group(&self) -> Duration {
        Duration::from_secs(self.group_seconds.clamp(1, 3600))
    }
}

/// A text of at most `length` characters, and a word where it was longer.
pub(super) fn cut(text: &str, length: usize) -> String {
    const MARK: &str = " […cut]";
    let Some((end, _)) = text.char_indices().nth(length) else { return text.to_owned() };
    let keep = length.saturating_sub(MARK.chars().count());
    let end = text.char_indices().nth(keep).map_or(end, |(at, _)| at);
    format!("{}{MARK}", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_text_has_its_length_and_says_so() {
        assert_eq!(cut("short", 5), "short");
        let long = cut(&"é".repeat(100), 50);
        assert_eq!(long.chars().count(), 50);
        assert!(long.ends_with("[…cut]"));
    }

    #[test]
    fn nobody_grants_itself_more_rounds() {
        let limits = Limits { rounds: 1000, ..Limits::default() };
        assert_eq!((limits.rounds(false), limits.rounds(true)), (10, 20));
        assert_eq!(Limits { rounds: 0, ..limits }.rounds(false), 1);
    }
}
