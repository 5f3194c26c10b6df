//! JUnit's XML, as build servers read it. What was blocked is an error there: most
//! take "skipped" for green, so that just what phases make a warning is skipped, and
//! that only of a run that is green.

use std::{collections::BTreeSet, fmt::Write};

use super::Report;
use crate::suite::verdict::{Counts, Exit, Outcome, TestResult};

/// The report.
pub fn junit(report: &Report) -> String {
    let mut page = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let warnings = warnings(report);
    let figures = |results: &[&TestResult]| figures(&warnings, results);
    let all: Vec<_> = report.results.iter().collect();
    let _ = writeln!(page, "<testsuites name=\"{}\" {}>", escape(&report.plan.name), figures(&all));
    let groups = report.verdict.groups.iter().map(|(id, _)| Some(id.as_str())).chain([None]);
    for group in groups {
        let results: Vec<_> = report.results.iter().filter(|result| result.group.as_deref() == group).collect();
        if results.is_empty() {
            continue;
        }
        let name = escape(group.unwrap_or("(no group)"));
        let _ = writeln!(page, "  <testsuite name=\"{name}\" timestamp=\"{}\" {}>", escape(report.timestamp), figures(&results));
        for result in results {
            case(&mut page, report, result, &warnings);
        }
        page.push_str("  </testsuite>\n");
    }
    page.push_str("</testsuites>\n");
    page
}

/// Tests that did not pass and do not have to, where phases say that: a build server
/// shows then what the exit code says.
fn warnings<'a>(report: &'a Report) -> BTreeSet<&'a str> {
    let green = report.ci && report.verdict.exit == Exit::Proven;
    let soft = report.verdict.soft.iter().filter(|_| green);
    let mut warnings: BTreeSet<&str> = soft.map(String::as_str).collect();
    // A test that is sent twice by prim.sh's way may be both.
    report.verdict.hard.iter().for_each(|id| _ = warnings.remove(id.as_str()));
    warnings
}

fn is_warning(warnings: &BTreeSet<&str>, result: &TestResult) -> bool {
    !matches!(result.outcome, Outcome::Pass | Outcome::Skipped) && warnings.contains(result.id.as_str())
}

fn case(page: &mut String, report: &Report, result: &TestResult, warnings: &BTreeSet<&str>) {
    let name = format!("{} {}", result.id, report.title(result));
    let (class, time) = (escape(&result.service), seconds(result.duration_ms));
    let _ = write!(page, "    <testcase classname=\"{class}\" name=\"{}\" time=\"{time}\"", escape(name.trim_end()));
    let note = escape(result.note.as_deref().unwrap_or("no reason is known"));
    let _ = match result.outcome {
        _ if is_warning(warnings, result) => writeln!(page, "><skipped message=\"warning: {note}\"/></testcase>"),
        Outcome::Pass => writeln!(page, "/>"),
        Outcome::Fail => writeln!(page, "><failure message=\"{note}\"/></testcase>"),
        Outcome::Blocked | Outcome::Error => writeln!(page, "><error type=\"{}\" message=\"{note}\"/></testcase>", result.outcome.as_str()),
        Outcome::Skipped => writeln!(page, "><skipped message=\"{note}\"/></testcase>"),
    };
}

fn figures(warnings: &BTreeSet<&str>, results: &[&TestResult]) -> String {
    let mut counts = Counts::default();
    for result in results {
        counts.add(if is_warning(warnings, result) { Outcome::Skipped } else { result.outcome });
    }
    let time = seconds(results.iter().map(|result| result.duration_ms).fold(0, u64::saturating_add));
    let errors = counts.error + counts.blocked;
    format!("tests=\"{}\" failures=\"{}\" errors=\"{errors}\" skipped=\"{}\" time=\"{time}\"", counts.total(), counts.fail, counts.skipped)
}

fn seconds(ms: u64) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000)
}

/// A text within quotes. What XML 1.0 has no way to write becomes U+FFFD.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            '\t' | '\n' | '\r' => {
                let _ = write!(escaped, "&#{};", u32::from(c));
            }
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}
