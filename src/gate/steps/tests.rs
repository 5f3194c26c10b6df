//! The package's own tests, and whether its entry file exports a service. Both
//! run where the package says what it likes: they only ever count against it.

use std::time::{Duration, Instant};

use crate::{
    api::gate_run::Verdict,
    gate::{
        control::{Ended, Host},
        plan::Plan,
        report::{MAX_OUTPUT, Step, cut},
    },
};

use super::service::{entry, since, start};

/// Longest time for an import.
const IMPORT: Duration = Duration::from_secs(20);
/// Exit code of an entry file without a service.
const NO_SERVICE: i32 = 78;
/// Where `bun test` writes what it ran.
const REPORT: &str = "/tmp/tests.xml";

/// Whether the entry file's default export is a service that can be built.
pub(in crate::gate) async fn exports(plan: &Plan, host: &mut Host) -> Step {
    let script = format!(
        "const service = (await import(\"./{}\")).default; process.exit(typeof service?.build === \"function\" ? 0 : {NO_SERVICE});",
        entry(plan)
    );
    run(plan, host, "check exports", &["--eval", &script], IMPORT, |ended| match ended.code {
        Some(0) => Ok(()),
        Some(NO_SERVICE) => Err(format!("the default export of {} is no service: export what createService() returns", entry(plan))),
        _ => Err(format!("{} can't be imported", entry(plan))),
    })
    .await
}

/// The package's own `bun test`.
pub(in crate::gate) async fn tests(plan: &Plan, host: &mut Host) -> Step {
    let report = format!("--reporter-outfile={REPORT}");
    let package = format!("./packages/{}/", plan.primitive);
    let patience = Duration::from_secs(plan.limits.test_seconds);
    run(plan, host, "tests", &["test", "--reporter=junit", &report, &package], patience, |ended| judge(&ended)).await
}

async fn run(
    plan: &Plan,
    host: &mut Host,
    name: &str,
    arguments: &[&str],
    patience: Duration,
    judge: impl FnOnce(Ended) -> Result<(), String>,
) -> Step {
    let began = Instant::now();
    let mut order = start(plan, arguments, false);
    order.env.insert("REPORT".into(), REPORT.into());
    let step = match host.run(order, patience).await {
        Ok(ended) => {
            let mut output = ended.output();
            cut(&mut output, MAX_OUTPUT);
            Step { output, ..Step::of(name, judge(ended)) }
        }
        Err(error) => Step::not(name, Verdict::Failed, error.to_string()),
    };
    Step { milliseconds: since(began), ..step }
}

/// Exit code 0 is not enough: a test that calls `process.exit(0)` ends the run
/// before its report is written.
fn judge(ended: &Ended) -> Result<(), String> {
    match (ended.code, ended.report.as_deref().and_then(counts)) {
        (Some(0), Some((1.., 0))) => Ok(()),
        (Some(0), Some((0, _))) => Err("no test ran".into()),
        (Some(0), None) => Err("the tests ended by themselves before all had run: a test must not call process.exit".into()),
        (_, Some((ran, failures))) if failures > 0 => Err(format!("{failures} of {ran} tests fail")),
        (Some(code), _) => Err(format!("bun test ended with exit code {code}")),
        (None, _) => Err("bun test was killed".into()),
    }
}

/// Tests and failures in a JUnit report's root element.
fn counts(report: &str) -> Option<(u64, u64)> {
    let root = report.split_once("<testsuites ")?.1.split_once('>')?.0;
    let number = |key: &str| root.split_once(&format!(" {key}=\""))?.1.split_once('"')?.0.parse().ok();
    Some((number("tests")?, number("failures")?))
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn only_a_whole_run_passes() {
        let report = |tests, failures| {
            Some(format!("<testsuites name=\"bun test\" tests=\"{tests}\" assertions=\"1\" failures=\"{failures}\" skipped=\"0\">"))
        };
        let ended = |code, report| Ended { code, report, ..Ended::default() };
        assert_eq!(judge(&ended(Some(0), report(2, 0))), Ok(()));
        for (wrong, expected) in [
            (ended(Some(0), None), "process.exit"),
            (ended(Some(0), report(0, 0)), "no test"),
            (ended(Some(1), report(2, 1)), "1 of 2"),
            (ended(Some(1), None), "exit code 1"),
            (ended(None, None), "killed"),
        ] {
            let error = judge(&wrong).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }
}
