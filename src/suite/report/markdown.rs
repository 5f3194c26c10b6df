//! A pull request's comment: what it comes to, a row for each service, and of each
//! test that did not pass why, and how to ask again.

use std::{collections::BTreeMap, fmt::Write};

use super::Report;
use crate::suite::{
    exchange::Shown,
    verdict::{Counts, Exit, Outcome, TestResult},
};

/// Bytes of the longest comment: forges refuse, or cut, one that is much longer.
const LONGEST: usize = 60 * 1024;
/// Characters of a note, and bytes of a body in a command.
const NOTE: usize = 300;
const BODY: usize = 2_000;

/// The comment.
pub fn markdown(report: &Report) -> String {
    let mut page = Page::default();
    let verdict = report.verdict;
    let word = match verdict.exit {
        Exit::Proven => "passed",
        Exit::Failed => "failed",
        Exit::Unproven => "showed too little",
        Exit::Usage => "was not run",
    };
    page.add(&format!("**The gate {word}.** {}\n\n", plain(&verdict.summary)));
    services(report, &mut page);
    let mut bad: Vec<_> = report.results.iter().filter(|result| !matches!(result.outcome, Outcome::Pass | Outcome::Skipped)).collect();
    // The sort is stable: the plan's order holds within.
    bad.sort_by_key(|result| (!report.is_changed(&result.service), kind(result.outcome)));
    if !bad.is_empty() {
        page.add("\n| test | | status | why |\n| --- | --- | --- | --- |\n");
        page.rows(&bad, "\n", |result| row(report, result));
    }
    let failed: Vec<_> = bad.into_iter().filter(|result| result.request.is_some()).collect();
    if !failed.is_empty() {
        page.add("\n<details><summary>Ask again</summary>\n");
        page.rows(&failed, "", |result| {
            let command = curl(result.request.as_ref()?);
            // A fence is longer than any in it.
            let fence = "`".repeat(3.max(longest_run(&command) + 1));
            Some(format!("\n{}\n\n{fence}sh\n{command}\n{fence}\n", plain(&format!("{} {}", result.id, report.title(result)))))
        });
        page.add("\n</details>\n");
    }
    page.text
}

/// The page as far as there is room.
#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn add(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// A piece for each, and how many had no room. Room is kept for what comes after.
    fn rows(&mut self, all: &[&TestResult], end: &str, made: impl Fn(&TestResult) -> Option<String>) {
        let limit = if self.text.len() < LONGEST / 2 { LONGEST * 3 / 4 } else { LONGEST - 1_000 };
        for (i, result) in all.iter().enumerate() {
            let Some(piece) = made(result) else { continue };
            if self.text.len() + piece.len() > limit {
                let _ = writeln!(self.text, "{end}And {} more, which had no room here.", all.len() - i);
                return;
            }
            self.add(&piece);
        }
    }
}

fn kind(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Fail => 0,
        Outcome::Error => 1,
        Outcome::Blocked => 2,
        Outcome::Pass | Outcome::Skipped => 3,
    }
}

/// A row for each service, those of the change first.
fn services(report: &Report, page: &mut Page) {
    let mut services: BTreeMap<(bool, &str), Vec<&TestResult>> = BTreeMap::new();
    for result in report.results {
        services.entry((!report.is_changed(&result.service), &result.service)).or_default().push(result);
    }
    page.add("| service | passed | failed | blocked | no answer | skipped |\n| --- | --- | --- | --- | --- | --- |\n");
    let count = services.len();
    for (i, ((others, service), results)) in services.into_iter().enumerate() {
        if i == 200 {
            page.add(&format!("\n{} services more.\n", count - i));
            break;
        }
        let counts = Counts::of(results);
        let name = plain(&service.chars().take(80).collect::<String>());
        let name = if others { name } else { format!("**{name}**") };
        let Counts { pass, fail, blocked, error, skipped } = counts;
        page.add(&format!("| {name} | {pass} of {} | {fail} | {blocked} | {error} | {skipped} |\n", counts.total()));
    }
}

fn row(report: &Report, result: &TestResult) -> Option<String> {
    let title: String = format!("{} {}", result.id, report.title(result)).chars().take(NOTE).collect();
    let note: String = result.note.as_deref().unwrap_or_default().chars().take(NOTE).collect();
    let status = result.actual_status.map(|status| status.to_string()).unwrap_or_default();
    let soft = if report.verdict.hard.contains(&result.id) { "" } else { ", a warning" };
    Some(format!("| {} | {}{soft} | {status} | {} |\n", plain(title.trim_end()), result.outcome.as_str(), plain(&note)))
}

/// A text of anybody as Markdown that says just this: neither markup nor a mention.
fn plain(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if c.is_control() => escaped.push(' '),
            // What makes text run backwards or vanish.
            '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' => escaped.push('\u{fffd}'),
            ' ' | ',' | '/' | '$' | '%' | ';' | '=' | '?' | '\'' => escaped.push(c),
            '.' | '-' => escaped.push(c),
            c if c.is_ascii_punctuation() => {
                let _ = write!(escaped, "&#{};", u32::from(c));
            }
            c => escaped.push(c),
        }
    }
    escaped
}

fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or_default()
}

/// A command that sends the same request from any shell. Secrets stand in it by
/// reference, and payments are not made.
pub fn curl(request: &Shown) -> String {
    let mut command = String::from("curl -gsS");
    // Without a word curl sends a POST where there is a body, and waits for that of a HEAD.
    match (request.method.as_str(), &request.body) {
        ("GET", None) => {}
        ("HEAD", None) => command.push_str(" --head"),
        (method, _) => _ = write!(command, " -X {}", quoted(method)),
    }
    for (name, value) in &request.headers {
        let _ = write!(command, " -H {}", quoted(&format!("{name}: {value}")));
    }
    match &request.body {
        Some(body) if body.len() > BODY => {
            let _ = write!(command, " --data-binary @body # of {} bytes, which are in the plan\n#", body.len());
        }
        Some(body) => {
            let _ = write!(command, " --data-raw {}", quoted(body));
        }
        None => {}
    }
    let _ = write!(command, " --url {}", quoted(&request.url));
    command
}

/// A word of a POSIX shell.
fn quoted(text: &str) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+=,".contains(c);
    if !text.is_empty() && text.chars().all(safe) {
        return text.to_owned();
    }
    let text: String = text.chars().map(|c| if c.is_control() && c != '\n' && c != '\t' { '\u{fffd}' } else { c }).collect();
    format!("'{}'", text.replace('\'', "'\\''"))
}
