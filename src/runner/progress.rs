//! What people see while a plan runs: on a terminal a line that changes, with what
//! did not pass above it; elsewhere a line for each test.

use std::io::{self, IsTerminal, Write};

use crate::suite::{Outcome, Plan, TestResult};

/// Letters of a test's id or title that are shown.
const MOST: usize = 200;

/// Is told of results as they come.
pub trait Progress {
    /// A test has a result.
    fn result(&mut self, plan: &Plan, result: &TestResult);
    /// So many requests are under way now.
    fn under_way(&mut self, requests: usize);
}

/// Nobody watches.
#[derive(Clone, Copy, Debug)]
pub struct Quiet;

impl Progress for Quiet {
    fn result(&mut self, _: &Plan, _: &TestResult) {}
    fn under_way(&mut self, _: usize) {}
}

/// Writes to a terminal, or lines to something else.
#[derive(Debug)]
pub struct Lines<W: Write> {
    out: W,
    live: bool,
    total: usize,
    done: usize,
    passed: usize,
    new: bool,
}

impl Lines<io::BufWriter<io::Stdout>> {
    /// Progress of so many tests on standard output.
    pub fn stdout(total: usize) -> Self {
        let out = io::stdout();
        Self::new(io::BufWriter::new(io::stdout()), out.is_terminal(), total)
    }
}

impl<W: Write> Lines<W> {
    /// Progress of so many tests; `live` on a terminal.
    pub fn new(out: W, live: bool, total: usize) -> Self {
        Self { out, live, total, done: 0, passed: 0, new: false }
    }

    /// Ends the line that changes.
    pub fn finish(&mut self) {
        if self.live {
            // What can't be shown is not worth a run's end: the report has it all.
            let _ = write!(self.out, "\r\x1b[K");
        }
        let _ = self.out.flush();
    }
}

impl<W: Write> Progress for Lines<W> {
    fn result(&mut self, plan: &Plan, result: &TestResult) {
        self.done += 1;
        self.passed += usize::from(result.outcome == Outcome::Pass);
        if self.live && result.outcome == Outcome::Pass {
            return;
        }
        self.new = true;
        let clear = if self.live { "\r\x1b[K" } else { "" };
        let _ = writeln!(self.out, "{clear}{}", line(plan, result));
    }

    fn under_way(&mut self, requests: usize) {
        if self.live {
            let _ = write!(self.out, "\r\x1b[K{} of {} tests, {} passed, {requests} under way", self.done, self.total, self.passed);
        }
        // Whoever reads along sees each test when it ends.
        if self.live || std::mem::take(&mut self.new) {
            let _ = self.out.flush();
        }
    }
}

/// A test in a line.
pub fn line(plan: &Plan, result: &TestResult) -> String {
    let title = plan.tests.get(result.test).map_or("", |test| test.title.as_str());
    let mut line = format!("{:<7} {:<12} {}", result.outcome.as_str(), short(&result.id), short(title));
    if result.attempts > 1 {
        line += &format!(" ({} tries)", result.attempts);
    }
    if result.attempts > 0 {
        line += &format!(" {} ms", result.duration_ms);
    }
    if let Some(note) = &result.note {
        line += &format!(": {}", plain(note));
    }
    line
}

/// A text that can do nothing to a terminal, keeps to its line, and reads there in the
/// order in which it is. It may be what a hostile service said.
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || turns(c) { ' ' } else { c }).collect()
}

/// What ends a line, or turns the letters after it around.
fn turns(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// As much of a name as a line has room for.
fn short(name: &str) -> String {
    let start = plain(name.char_indices().nth(MOST).map_or(name, |(end, _)| &name[..end]));
    if start.len() < name.len() { format!("{start}…") } else { start }
}
