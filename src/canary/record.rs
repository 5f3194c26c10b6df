//! What was done in a conversation, as the report says it: bounded, and without
//! what looks like a secret.

use serde::Serialize;

use super::{
    limits::{MOST_REPORTED, cut},
    reach::Request,
    tools::Note,
};
use crate::{ports::shell::Printed, suite::hidden};

/// Why a conversation ended. None of it says anything about the verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "why", content = "because")]
pub enum Ended {
    /// The model says that it is done.
    Finished,
    /// It asks for no tool.
    Silent,
    /// It was asked as often as it may be.
    Rounds,
    /// It used as many tools as it may.
    Calls,
    /// The group's time is over.
    Time,
    /// Somebody ended the run.
    Interrupted(String),
    /// Its server does not answer, or with something else.
    Broke(String),
    /// There is nothing to talk to it about.
    NotBegun(String),
}

/// What was done in a conversation.
#[derive(Debug, Default)]
pub struct Record {
    /// Tools that were used, in order.
    pub steps: Vec<Step>,
    /// What the model noted.
    pub notes: Vec<Note>,
    /// What it says in the end.
    pub summary: String,
    /// Answers of the model.
    pub rounds: u32,
    /// Calls that were dropped, since an answer had too many.
    pub dropped_calls: usize,
    /// Tokens that it read.
    pub input_tokens: u64,
    /// Tokens that it wrote.
    pub output_tokens: u64,
    /// Why it ended.
    pub ended: Option<Ended>,
}

/// One use of a tool. Its first fields are those of prim.sh's report.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Step {
    /// The call.
    pub tool_call_id: String,
    /// What was used.
    #[serde(flatten)]
    pub used: Used,
    /// Whether the answer was a success: 2xx, or an exit code of 0.
    pub ok: bool,
    /// Why there is no answer, or what the model was told instead.
    pub note: Option<String>,
    /// Millionths of a US dollar that were paid.
    pub paid_micros: u128,
    /// Milliseconds that it took.
    pub milliseconds: u64,
}

/// What was used.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Used {
    /// A request.
    Http {
        /// Method.
        method: String,
        /// URL, by the service's name.
        url: String,
        /// Status of the answer.
        status: Option<u16>,
        /// What was sent.
        request_body: Option<String>,
        /// What was answered.
        response_body: Option<String>,
    },
    /// A command.
    Shell {
        /// The command.
        command: String,
        /// Its exit code.
        exit_code: Option<i32>,
        /// Standard output.
        stdout: String,
        /// Standard error.
        stderr: String,
    },
    /// Something that was not done.
    Refused {
        /// The tool that was asked for.
        tool: String,
        /// With what.
        arguments: String,
    },
}

impl Step {
    /// A step that did nothing.
    pub fn new(tool_call_id: String, used: Used) -> Self {
        Self { tool_call_id, used, ok: false, note: None, paid_micros: 0, milliseconds: 0 }
    }
}

impl Used {
    /// A request and its answer.
    pub(super) fn http(request: &Request, url: String, status: Option<u16>, answer: Option<&str>) -> Self {
        Self::Http {
            method: request.method.clone(),
            url,
            status,
            request_body: request.body.as_deref().map(shown),
            response_body: answer.map(shown),
        }
    }

    /// A command and what it printed.
    pub(super) fn shell(command: String, printed: Option<&Printed>) -> Self {
        let text = |text: &str| cut(text, MOST_REPORTED);
        Self::Shell {
            command,
            exit_code: printed.and_then(|printed| printed.code),
            stdout: printed.map(|printed| text(&printed.stdout)).unwrap_or_default(),
            stderr: printed.map(|printed| text(&printed.stderr)).unwrap_or_default(),
        }
    }
}

/// A body as a report may say it.
fn shown(body: &str) -> String {
    cut(&hidden::body(body), MOST_REPORTED)
}

/// Millionths of a dollar as dollars, without zeros that say nothing.
pub fn usd(micros: u128) -> String {
    let (whole, part) = (micros / 1_000_000, micros % 1_000_000);
    let text = format!("{whole}.{part:06}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_cut_and_says_no_secret() {
        assert_eq!(shown(r#"{"id":"1","token":"t"}"#), r#"{"id":"1","token":"[hidden]"}"#);
        assert!(shown(&"x".repeat(100_000)).chars().count() <= MOST_REPORTED);
    }

    #[test]
    fn dollars_have_no_idle_zeros() {
        for (micros, text) in [(0, "0"), (1000, "0.001"), (1_500_000, "1.5"), (2_000_000, "2")] {
            assert_eq!(usd(micros), text);
        }
    }
}
