//! What a gate hands back: a verdict that fits into a termination message, and
//! the full report as the trusted container's whole log. Both have hard limits,
//! and both are read as input that might be anything.

use serde::{Deserialize, Serialize};

use crate::api::gate_run::{RETURN, StepResult, Verdict};

use super::bundle::digest;

/// Most bytes of a termination message: the kubelet cuts what is longer.
pub const MAX_SUMMARY: usize = 4096;
/// Most bytes of a report.
pub const MAX_REPORT: usize = 1024 * 1024;
/// Most bytes of one step's output in a report, before it is escaped.
pub const MAX_OUTPUT: usize = 32 * 1024;
/// Version of both formats.
const VERSION: u32 = 1;
/// Lengths that messages are cut to until a summary fits, the widest first.
const MESSAGE_LENGTHS: [usize; 5] = [400, 200, 100, 40, 0];

/// One step's result, with everything a reader needs to mend it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// The step's name: `lint`, or `check POST /v1/echo unpaid`.
    pub name: String,
    /// What it came to.
    pub verdict: Verdict,
    /// How long it took.
    pub milliseconds: i64,
    /// Why, where it did not pass; what is worth knowing, where it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What its tool said, cut to [`MAX_OUTPUT`].
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub output: String,
    /// The verdict over all does not follow from it: a test that was not tried, or a
    /// look ahead that only warns.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub advisory: bool,
}

impl Step {
    /// A step that showed what it should.
    pub fn passed(name: impl Into<String>) -> Self {
        Self { name: name.into(), verdict: Verdict::Passed, milliseconds: 0, message: None, output: String::new(), advisory: false }
    }

    /// A test that was not tried, and what that would take.
    pub fn untried(name: impl Into<String>, message: impl Into<String>) -> Self {
        Self { advisory: true, ..Self::not(name, Verdict::Blocked, message) }
    }

    fn is_untried(&self) -> bool {
        self.advisory && self.verdict == Verdict::Blocked
    }

    /// A step that came to something else, and why.
    pub fn not(name: impl Into<String>, verdict: Verdict, message: impl Into<String>) -> Self {
        Self { verdict, message: Some(message.into()), ..Self::passed(name) }
    }

    /// A step whose message is an error's text, or that passed.
    pub fn of(name: impl Into<String>, result: Result<(), String>) -> Self {
        match result {
            Ok(()) => Self::passed(name),
            Err(message) => Self::not(name, Verdict::Failed, message),
        }
    }
}

/// The verdict over steps: a refutation stands whatever else broke, and nothing
/// passes that was not shown. What only advises counts neither for nor against.
pub fn overall(steps: &[Step]) -> Verdict {
    let binding = || steps.iter().filter(|s| !s.advisory);
    let any = |verdict| binding().any(|s| s.verdict == verdict);
    if any(Verdict::Failed) {
        Verdict::Failed
    } else if binding().next().is_none() || any(Verdict::Error) {
        Verdict::Error
    } else if any(Verdict::Blocked) {
        Verdict::Blocked
    } else {
        Verdict::Passed
    }
}

/// How a message begins of a goal that only its agent stands in the way of.
pub const MISSED: &str = "the agent did not do it";

/// Whether a gate's results were kept from passing by its agent alone: not by money,
/// and not by anything that the service answers. Another try may come to more.
pub fn is_missed(results: &[StepResult]) -> bool {
    let mut open = results.iter().filter(|result| !result.advisory && result.verdict != Verdict::Passed).peekable();
    let by_agent = |result: &StepResult| {
        result.verdict == Verdict::Blocked && result.message.as_deref().is_some_and(|message| message.starts_with(MISSED))
    };
    open.peek().is_some() && open.all(by_agent)
}

/// The full report: the only thing that the trusted container prints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Version of the format.
    pub version: u32,
    /// The Job that ran.
    pub job: String,
    /// Digest of the files that were tested; of the plan, where a deployed service was.
    pub change: String,
    /// The verdict, which follows from the steps.
    pub verdict: Verdict,
    /// Every step, in the order they were begun.
    pub steps: Vec<Step>,
}

impl Report {
    /// A report of these steps.
    pub fn new(job: impl Into<String>, change: impl Into<String>, steps: Vec<Step>) -> Self {
        Self { version: VERSION, job: job.into(), change: change.into(), verdict: overall(&steps), steps }
    }

    /// The report as one line of at most [`MAX_REPORT`] bytes: outputs go first,
    /// then messages, then what passed.
    pub fn to_log(&self) -> String {
        let mut report = self.clone();
        for length in [MAX_OUTPUT, 8 * 1024, 2 * 1024, 256, 0] {
            report.steps.iter_mut().for_each(|s| cut(&mut s.output, length));
            report.steps.iter_mut().filter_map(|s| s.message.as_mut()).for_each(|m| cut(m, length.clamp(100, 2000)));
            if let Some(line) = fitting(&report, MAX_REPORT) {
                return line;
            }
        }
        shrink(report, MAX_REPORT, |r| &mut r.steps, |s| (s.verdict, &s.name))
    }

    /// The verdict that goes with a report that was printed as `log`.
    pub fn summary(&self, log: &str) -> Summary {
        let result = |s: &Step| StepResult {
            name: s.name.clone(),
            verdict: s.verdict,
            milliseconds: s.milliseconds,
            message: s.message.clone(),
            advisory: s.advisory,
        };
        Summary {
            version: VERSION,
            job: self.job.clone(),
            change: self.change.clone(),
            verdict: self.verdict,
            report: Some(digest(log.as_bytes())),
            untried: self.steps.iter().filter(|s| s.is_untried()).count(),
            steps: self.steps.iter().map(result).collect(),
        }
    }

    /// Reads a trusted container's log.
    pub fn parse_log(log: &str) -> Result<Self, ReportError> {
        parse(log, MAX_REPORT, |r: &Self| r.version)
    }
}

/// A verdict small enough for a termination message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Version of the format.
    pub version: u32,
    /// The Job that ran.
    pub job: String,
    /// Digest of what was tested, as in [`Report::change`]; empty where it never came
    /// to that.
    pub change: String,
    /// The verdict.
    pub verdict: Verdict,
    /// Digest of the report, which is the container's log; absent where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<String>,
    /// How many tests were not tried, however many of them are named below.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub untried: usize,
    /// Results, as many as fit: what did not pass goes before what did.
    pub steps: Vec<StepResult>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde calls")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// Why a text is no verdict or report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// Nothing was written: the container was killed, or never ran.
    #[error("the gate wrote nothing: it was killed, evicted, or never started")]
    Empty,
    /// Longer than a gate writes.
    #[error("the gate's text has {0} bytes, more than a gate writes")]
    TooLarge(usize),
    /// Something else.
    #[error("the gate's text is none of its own")]
    Json(#[source] serde_json::Error),
    /// Written by another version.
    #[error("the gate's text has version {0}, and this controller reads version {VERSION}: give both one image")]
    Version(u32),
    /// About another run.
    #[error("the gate's text is about Job {job:?} and files {change}")]
    Other {
        /// The Job it names.
        job: String,
        /// The digest it names.
        change: String,
    },
}

impl Summary {
    /// The verdict of a run that broke before it could judge anything.
    pub fn broken(job: &str, step: &str, message: String) -> Self {
        let step = StepResult { name: step.into(), verdict: Verdict::Error, milliseconds: 0, message: Some(message), advisory: false };
        let (verdict, steps) = (Verdict::Error, vec![step]);
        Self { version: VERSION, job: job.into(), change: String::new(), verdict, report: None, untried: 0, steps }
    }

    /// At most [`MAX_SUMMARY`] bytes of JSON.
    pub fn to_termination(&self) -> String {
        let mut summary = self.clone();
        for length in MESSAGE_LENGTHS {
            for step in &mut summary.steps {
                cut(&mut step.name, 120);
                step.message.iter_mut().for_each(|m| cut(m, length));
                step.message.take_if(|m| m.is_empty());
            }
            if let Some(text) = fitting(&summary, MAX_SUMMARY) {
                return text;
            }
        }
        shrink(summary, MAX_SUMMARY, |s| &mut s.steps, |s| (s.verdict, &s.name))
    }

    /// Reads the trusted container's termination message.
    pub fn parse_termination(message: &str) -> Result<Self, ReportError> {
        parse(message, MAX_SUMMARY, |s: &Self| s.version)
    }

    /// The same, if it is about this Job and these files. A run that broke early
    /// names no files.
    pub fn about(self, job: &str, change: &str) -> Result<Self, ReportError> {
        let same = self.job == job && (self.change == change || (self.change.is_empty() && self.verdict == Verdict::Error));
        if same { Ok(self) } else { Err(ReportError::Other { job: self.job, change: self.change }) }
    }
}

/// Leaves out steps until the rest fits: what passed first, then the last ones. Where a
/// room's money is stays to the end: nothing else leads to it.
fn shrink<T: Serialize, S>(
    mut whole: T,
    limit: usize,
    steps: impl Fn(&mut T) -> &mut Vec<S>,
    told: impl Fn(&S) -> (Verdict, &String),
) -> String {
    let stays = |step: &S| told(step).1.split(' ').next() == Some(RETURN);
    loop {
        if let Some(text) = fitting(&whole, limit) {
            return text;
        }
        let steps = steps(&mut whole);
        let last_passed = steps.iter().rposition(|s| told(s).0 == Verdict::Passed && !stays(s));
        let last = || steps.iter().rposition(|s| !stays(s)).or(steps.len().checked_sub(1));
        match last_passed.or_else(last) {
            Some(index) => drop(steps.remove(index)),
            // Names and digests alone are far below every limit.
            None => return String::new(),
        }
    }
}

fn fitting<T: Serialize>(value: &T, limit: usize) -> Option<String> {
    serde_json::to_string(value).ok().filter(|text| text.len() <= limit)
}

fn parse<T: for<'a> Deserialize<'a>>(text: &str, limit: usize, version: impl Fn(&T) -> u32) -> Result<T, ReportError> {
    let text = text.trim_end_matches('\n');
    if text.is_empty() {
        return Err(ReportError::Empty);
    }
    if text.len() > limit {
        return Err(ReportError::TooLarge(text.len()));
    }
    let value: T = serde_json::from_str(text).map_err(ReportError::Json)?;
    match version(&value) {
        VERSION => Ok(value),
        other => Err(ReportError::Version(other)),
    }
}

/// Cuts a text to at most `length` bytes, at the border of a character.
pub fn cut(text: &mut String, length: usize) {
    if text.len() > length {
        let mark = if length >= 10 { "…" } else { "" };
        let mut end = length - mark.len();
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push_str(mark);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(verdict: Verdict) -> Step {
        Step::not(format!("{verdict:?}"), verdict, "why")
    }

    #[test]
    fn nothing_passes_that_was_not_shown() {
        use Verdict::{Blocked, Error, Failed, Passed};
        for (steps, expected) in [
            (vec![], Error),
            (vec![Passed, Passed], Passed),
            (vec![Passed, Blocked], Blocked),
            (vec![Blocked, Error], Error),
            (vec![Error, Failed, Blocked, Passed], Failed),
        ] {
            assert_eq!(overall(&steps.iter().map(|v| step(*v)).collect::<Vec<_>>()), expected, "{steps:?}");
        }
    }

    #[test]
    fn what_advises_counts_neither_way_and_what_was_not_tried_is_counted() {
        let advice = |verdict| Step { advisory: true, ..step(verdict) };
        for (steps, expected) in [
            (vec![step(Verdict::Passed), advice(Verdict::Failed)], Verdict::Passed),
            (vec![step(Verdict::Failed), advice(Verdict::Passed)], Verdict::Failed),
            (vec![advice(Verdict::Passed)], Verdict::Error),
            (vec![step(Verdict::Passed), Step::untried("W-2", "no wallet")], Verdict::Passed),
        ] {
            assert_eq!(overall(&steps), expected, "{steps:?}");
        }
        let mut steps = vec![step(Verdict::Passed), advice(Verdict::Failed)];
        steps.extend((0..300).map(|i| Step::untried(format!("W-{i} {}", "x".repeat(100)), "no wallet")));
        let summary = Report::new("job", "sha256:0", steps).summary("").to_termination();
        let read = Summary::parse_termination(&summary).unwrap();
        assert_eq!((read.verdict, read.untried), (Verdict::Passed, 300), "also of those that don't fit");
        assert!(read.steps.iter().any(|s| s.advisory && s.verdict == Verdict::Blocked));
    }

    #[test]
    fn texts_keep_their_limits_whatever_is_in_them() {
        for filler in ["x", "\0", "\"\\", "é", "\u{1f600}"] {
            let large = Step { output: filler.repeat(40_000), ..Step::not(filler.repeat(300), Verdict::Failed, filler.repeat(3000)) };
            for count in [1, 60] {
                let report = Report::new("job", "sha256:0", vec![large.clone(); count]);
                let log = report.to_log();
                assert!(log.len() <= MAX_REPORT, "{filler:?} {count}: {}", log.len());
                assert_eq!(Report::parse_log(&log).unwrap().verdict, Verdict::Failed);
                let summary = report.summary(&log).to_termination();
                assert!(summary.len() <= MAX_SUMMARY, "{filler:?} {count}: {}", summary.len());
                let read = Summary::parse_termination(&summary).unwrap().about("job", "sha256:0").unwrap();
                assert_eq!((read.verdict, read.report), (Verdict::Failed, Some(digest(log.as_bytes()))));
                assert!(!read.steps.is_empty(), "{filler:?} {count}");
            }
        }
    }

    #[test]
    fn a_failure_outlives_what_passed() {
        let mut steps = vec![Step::passed("x".repeat(100)); 200];
        steps.push(step(Verdict::Failed));
        let report = Report::new("job", "sha256:0", steps);
        let read = Summary::parse_termination(&report.summary("").to_termination()).unwrap();
        assert!(read.steps.iter().any(|s| s.name == "Failed"));
    }

    #[test]
    fn where_money_is_outlives_everything() {
        let returns = [Step::passed("return"), Step::passed("return gate-a"), Step::not("return gate-b", Verdict::Error, "x".repeat(900))];
        for verdict in [Verdict::Passed, Verdict::Failed] {
            let mut steps = returns.to_vec();
            steps.extend(vec![Step { verdict, ..Step::passed("x".repeat(100)) }; 200]);
            let read = Summary::parse_termination(&Report::new("job", "sha256:0", steps).summary("").to_termination()).unwrap();
            let kept: Vec<_> = read.steps.iter().map(|s| s.name.as_str()).filter(|name| name.starts_with(RETURN)).collect();
            assert_eq!(kept, ["return", "return gate-a", "return gate-b"], "{verdict:?}");
            assert!(read.steps.len() > 3, "{verdict:?}: others are there, too");
        }
    }

    #[test]
    fn another_text_is_no_verdict() {
        let summary = Report::new("job", "sha256:0", vec![Step::passed("lint")]).summary("");
        assert!(matches!(Summary::parse_termination(""), Err(ReportError::Empty)));
        assert!(matches!(Summary::parse_termination("passed"), Err(ReportError::Json(_))));
        assert!(matches!(Summary::parse_termination(&"x".repeat(5000)), Err(ReportError::TooLarge(5000))));
        let newer = Summary { version: 2, ..summary.clone() };
        assert!(matches!(Summary::parse_termination(&newer.to_termination()), Err(ReportError::Version(2))));
        assert!(summary.clone().about("other", "sha256:0").is_err());
        assert!(summary.about("job", "sha256:1").is_err());
        // A broken run may not know its files, but then it can't have passed.
        assert!(Summary::broken("job", "seal", "open".into()).about("job", "sha256:0").is_ok());
        let forged = Summary { verdict: Verdict::Passed, ..Summary::broken("job", "seal", String::new()) };
        assert!(forged.about("job", "sha256:0").is_err());
    }
}
