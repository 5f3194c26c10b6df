//! What the forge is told: commit message, pull request, status, comment.

use std::fmt::Write;

use sha2::{Digest, Sha256};

use super::{Action, Change, Commit, Draft, GateSeen, Pull, Revision, Rules, Seen, Sha, Verdict, short};
use crate::ports::forge::{CommitStatus, StatusState};

/// What the comment is found by.
const MARKER: &str = "flywheel-gate";
/// Most characters of a status' description: GitHub's limit.
const DESCRIPTION: usize = 140;
/// Most characters of a result's message in the comment.
const MESSAGE: usize = 300;

/// What is to be said about a head.
pub(super) struct Report {
    state: StatusState,
    description: String,
    /// Nothing while the gate runs: a comment tells people by mail.
    comment: Option<String>,
}

pub(super) fn running(head: &Commit, _: &Pull) -> Report {
    Report { state: StatusState::Pending, description: format!("tests {}", short(&head.sha)), comment: None }
}

pub(super) fn verdict(run: &GateSeen, verdict: Verdict, head: &Commit, _: &Pull) -> Report {
    let (state, word) = match verdict {
        Verdict::Passed => (StatusState::Success, "passed"),
        Verdict::Failed => (StatusState::Failure, "failed"),
        Verdict::Blocked => (StatusState::Error, "could not try everything"),
        Verdict::Error => (StatusState::Error, "broke"),
    };
    let failed =
        run.results.iter().find(|r| r.verdict != Verdict::Passed && !r.advisory).map(|r| format!(": {}", r.name)).unwrap_or_default();
    Report { state, description: cut(&format!("{word}{failed}"), DESCRIPTION), comment: Some(comment(run, word, head)) }
}

impl Draft<'_> {
    /// Says it, unless the same was said last.
    pub(super) fn report(&mut self, rules: &Rules, report: Report, head: &Commit, pull: &Pull) {
        let status = CommitStatus {
            context: rules.required_check.clone(),
            state: report.state,
            description: report.description,
            target_url: pull.url.clone(),
        };
        if self.seen.previous.reported.as_deref() == Some(&*said(&head.sha, &status, report.comment.as_deref())) {
            return;
        }
        if let Some(body) = report.comment {
            self.does(Action::Comment { number: pull.number, marker: MARKER.into(), body });
        }
        // Last: when it is done, all of the report is.
        self.does(Action::SetStatus(head.sha.clone(), status));
    }
}

/// What was said, as one short text.
pub(super) fn said(head: &Sha, status: &CommitStatus, comment: Option<&str>) -> String {
    let state = status.state.as_str().unwrap_or_default();
    digest(&[head.as_str(), &status.context, state, &status.description, &status.target_url, comment.unwrap_or_default()])
}

fn comment(run: &GateSeen, word: &str, head: &Commit) -> String {
    let mut text = format!(
        "The gate **{word}** at `{}` (GateRun `{}`).\n\n| step | verdict | ms | |\n| --- | --- | ---: | --- |\n",
        head.sha, run.name
    );
    for result in &run.results {
        let why = result.message.as_deref().map(|m| cut(m, MESSAGE)).unwrap_or_default();
        let warns = if result.advisory && result.verdict != Verdict::Passed { ", which only warns" } else { "" };
        let _ = writeln!(text, "| {} | {:?}{warns} | {} | {} |", cell(&result.name), result.verdict, result.milliseconds, cell(&why));
    }
    if run.results.is_empty() {
        let _ = writeln!(text, "\n{}", cell(&cut(&run.message, MESSAGE)));
    }
    text
}

/// What Markdown makes something else of than itself.
const MARKUP: &str = "\\`*_[]!#|~";

/// A text inside a table's cell, as text and nothing else: no link either, and
/// nobody is called by name.
fn cell(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => plain.push_str("&lt;"),
            '&' => plain.push_str("&amp;"),
            c if c.is_control() => plain.push(' '),
            c if MARKUP.contains(c) => plain.extend(['\\', c]),
            c => plain.push(c),
        }
    }
    // By a space that has no width.
    ["@", ":/", "www"].iter().fold(plain, |text, part| text.replace(part, &format!("{part}\u{200b}")))
}

fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.into();
    }
    text.chars().take(most - 1).chain(['…']).collect()
}

pub(super) fn commit_message(seen: &Seen) -> String {
    format!("{}\n\nAgentPR: {}/{}\n", subject(&seen.spec.title), seen.me.namespace, seen.me.name)
}

/// A title as one line: more of them would be a commit's body, and its trailers.
pub(super) fn subject(title: &str) -> String {
    let line: String = title.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    line.trim().into()
}

/// The pull request's description.
pub(super) fn body(seen: &Seen, change: &Change) -> String {
    let given = seen.spec.body.as_deref().unwrap_or_default();
    let line = if given.is_empty() { "" } else { "\n\n" };
    format!(
        "{given}{line}Opened by Flywheel for AgentPR `{}/{}`: {} files, manifest `{}`.\nIt is merged by itself when the gate passes; remove its label to hold it.\n",
        seen.me.namespace,
        seen.me.name,
        change.files.len(),
        change.hash
    )
}

/// What the squashed commit says below its title.
pub(super) fn trailer(seen: &Seen, gate: &str, revision: &Revision) -> String {
    format!("AgentPR: {}/{}\nGateRun: {gate}\nTested-tree: {}\n", seen.me.namespace, seen.me.name, revision.tree)
}

/// Hexadecimal SHA-256 over texts, none of which can be taken for two.
pub(super) fn digest(parts: &[&str]) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_its_text_and_nothing_else() {
        for (text, wanted) in [
            ("plain: 1/2 (x)", "plain: 1/2 (x)"),
            ("[x](https://a.example)", "\\[x\\](https:/\u{200b}/a.example)"),
            ("![](//a) www.a.example @all", "\\!\\[\\](//a) www\u{200b}.a.example @\u{200b}all"),
            ("a|b\n<img src=x> &lt;", "a\\|b &lt;img src=x> &amp;lt;"),
            ("`**_#~\\", "\\`\\*\\*\\_\\#\\~\\\\"),
        ] {
            assert_eq!(cell(text), wanted, "{text}");
        }
    }
}
