//! gitleaks over texts: as a gate's step, and before anything is pushed. It gets
//! them through its standard input, so that no path is on its allow list, no
//! `.gitleaks.toml` and no `.gitleaksignore` is there to be found, and comments
//! that would silence it are told to be ignored.

use std::{path::Path, time::Duration};

use serde::Deserialize;

use super::{Place, environment};
use crate::{
    api::gate_run::Verdict,
    gate::{
        bundle::SourceFile,
        chain,
        exec::{Output, Tool, ToolError},
        report::Step,
    },
};

/// gitleaks' own rules, whatever lies around.
const CONFIGURATION: &str = "[extend]\nuseDefault = true\n";
/// Its exit code where it found something, unlike that of its own failure.
const FOUND: i32 = 77;
/// Most findings that the message names.
const NAMED: usize = 5;

/// A place that looks like a secret. The secret itself is not repeated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file.
    pub path: String,
    /// The line in it, from 1; 0 is the path itself.
    pub line: usize,
    /// The rule that it matches.
    pub rule: String,
}

/// Why nothing is known.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// gitleaks did not run to its end.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// gitleaks failed.
    #[error("gitleaks ended with {code:?}: {said}")]
    Failed {
        /// Its exit code.
        code: Option<i32>,
        /// What it said.
        said: String,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Leak {
    #[serde(rename = "RuleID")]
    rule: String,
    start_line: usize,
}

/// The step. It looks at every file, those that a package may not have included.
pub async fn step(files: &[SourceFile], place: &Place) -> Step {
    let began = std::time::Instant::now();
    let step = match scan(files, &place.tools.join("gitleaks"), place.patience).await {
        Ok(findings) if findings.is_empty() => Step::passed("secrets"),
        Ok(findings) => Step::not("secrets", Verdict::Failed, message(&findings)),
        Err(error) => Step::not("secrets", Verdict::Error, chain(error)),
    };
    Step { milliseconds: i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX), ..step }
}

/// Names the places, and what to do about them.
pub fn message(findings: &[Finding]) -> String {
    let named = findings.iter().take(NAMED).map(|f| format!("{}:{} ({})", f.path, f.line, f.rule)).collect::<Vec<_>>().join(", ");
    let more = findings.len().saturating_sub(NAMED);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    format!("{named}{more} look like secrets: take them out, and revoke them if they were real; a service gets its secrets by a KeyGrant")
}

/// Looks for secrets in files, by the gitleaks at `program`.
pub async fn scan(files: &[SourceFile], program: &Path, patience: Duration) -> Result<Vec<Finding>, ScanError> {
    let (text, index) = concatenate(files);
    let mut env = environment();
    env.insert("GITLEAKS_CONFIG_TOML".into(), CONFIGURATION.into());
    let code = FOUND.to_string();
    let arguments = [
        "stdin",
        "--no-banner",
        "--no-color",
        "--log-level=error",
        "--ignore-gitleaks-allow",
        "--gitleaks-ignore-path=/nonexistent",
        "--redact=100",
        "--report-format=json",
        "--report-path=-",
        "--exit-code",
        &code,
    ];
    let tool = Tool {
        program: program.into(),
        arguments: arguments.map(String::from).into(),
        env,
        directory: "/".into(),
        input: text.into_bytes(),
    };
    let Output { code, stdout, stderr, .. } = tool.run(patience).await?;
    match code {
        Some(0) => Ok(Vec::new()),
        // More findings than are listed whole are findings still.
        Some(FOUND) => Ok(serde_json::from_str(&stdout).map_or_else(
            |_| vec![Finding { path: "the files".into(), line: 0, rule: "more findings than can be listed".into() }],
            |leaks| locate(leaks, &index),
        )),
        code => Err(ScanError::Failed { code, said: stderr.chars().take(500).collect() }),
    }
}

/// All texts in one, and the line that each begins at. A file's path stands
/// before it, since a secret may be in a path too.
fn concatenate(files: &[SourceFile]) -> (String, Vec<(usize, &str)>) {
    let mut text = String::new();
    let mut index = Vec::new();
    let mut line = 0;
    for file in files {
        index.push((line, file.path.as_str()));
        // One line, whatever is in it, or the count is wrong.
        let path: String = file.path.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        text.push_str(&path);
        text.push('\n');
        text.push_str(&file.content);
        text.push('\n');
        line += 2 + file.content.matches('\n').count();
    }
    (text, index)
}

fn locate(leaks: Vec<Leak>, index: &[(usize, &str)]) -> Vec<Finding> {
    let find = |leak: Leak| {
        // gitleaks counts lines from 1, and the index from 0.
        let at = index.partition_point(|(start, _)| *start < leak.start_line).saturating_sub(1);
        let (start, path) = index.get(at).copied().unwrap_or((0, ""));
        Finding { path: path.into(), line: leak.start_line.saturating_sub(start + 1), rule: leak.rule }
    };
    leaks.into_iter().map(find).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_placed_in_its_file() {
        let files = [SourceFile::new("a.ts", "1\n2\n"), SourceFile::new("b\n.ts", "1\n2"), SourceFile::new("c.ts", "")];
        let (text, index) = concatenate(&files);
        assert_eq!(text, "a.ts\n1\n2\n\nb .ts\n1\n2\nc.ts\n\n");
        let leak = |start_line| Leak { rule: "r".into(), start_line };
        let found = locate([1, 2, 3, 5, 6, 7, 8, 0].map(leak).into(), &index);
        let places: Vec<_> = found.iter().map(|f| (f.path.as_str(), f.line)).collect();
        assert_eq!(places, [("a.ts", 0), ("a.ts", 1), ("a.ts", 2), ("b\n.ts", 0), ("b\n.ts", 1), ("b\n.ts", 2), ("c.ts", 0), ("a.ts", 0)]);
    }

    #[test]
    fn a_message_names_places_and_no_secret() {
        let finding = Finding { path: "a.ts".into(), line: 3, rule: "github-pat".into() };
        let text = message(&vec![finding; 7]);
        assert!(text.starts_with("a.ts:3 (github-pat), ") && text.contains("and 2 more"), "{text}");
    }
}
