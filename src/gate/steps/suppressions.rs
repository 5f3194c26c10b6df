//! Comments by which a file switches a tool off for itself as a whole. Single
//! lines may be excused (`biome-ignore` with a reason, `@ts-expect-error`, which
//! fails where nothing is wrong); a review sees those.

use crate::gate::{bundle::SourceFile, report::Step};

/// What switches a tool off.
const SWITCHES: [&str; 4] = ["@ts-nocheck", "@ts-ignore", "biome-ignore-all", "gitleaks:allow"];
/// Endings of files that the tools read.
const CODE: [&str; 8] = [".ts", ".tsx", ".mts", ".cts", ".js", ".jsx", ".mjs", ".cjs"];
/// Most places that the message names.
const NAMED: usize = 5;

/// The step.
pub fn step(files: &[SourceFile]) -> Step {
    let code = files.iter().filter(|f| CODE.iter().any(|end| f.path.ends_with(end)));
    let found: Vec<_> = code
        .flat_map(|file| file.content.lines().enumerate().map(move |(i, line)| (&file.path, i + 1, line)))
        .filter_map(|(path, number, line)| SWITCHES.iter().find(|s| line.contains(**s)).map(|s| format!("{path}:{number} has {s}")))
        .collect();
    if found.is_empty() {
        return Step::passed("suppressions");
    }
    let named = found.iter().take(NAMED).cloned().collect::<Vec<_>>().join("; ");
    Step::of("suppressions", Err(format!("{named}: a package does not switch its checks off; mend what they say")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::gate_run::Verdict;

    #[test]
    fn a_switch_is_named_by_its_line() {
        let good = SourceFile::new("packages/a/src/a.ts", "// @ts-expect-error: the library's types are wrong\n");
        let told = SourceFile::new("packages/a/README.md", "never write @ts-nocheck\n");
        assert_eq!(step(&[good, told]).verdict, Verdict::Passed);
        let bad = SourceFile::new("packages/a/src/b.ts", "\n// @ts-nocheck\n");
        assert!(step(&[bad]).message.unwrap().contains("packages/a/src/b.ts:2 has @ts-nocheck"));
    }
}
