//! What is said of a run: JSON for programs, JUnit for build servers, a comment for
//! pull requests. Secrets are in none of them, since results have none; texts come
//! from answers of anybody, and are escaped wherever they stand. Pure, as all of
//! `suite`; the time is given by whoever runs a plan.

mod json;
mod junit;
mod markdown;

use super::{
    plan::Plan,
    verdict::{TestResult, Verdict},
};

pub use json::json;
pub use junit::junit;
pub use markdown::{curl, markdown};

/// What a report is of.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// What became of its tests.
    pub results: &'a [TestResult],
    /// What that comes to.
    pub verdict: &'a Verdict,
    /// When the run began, in RFC 3339.
    pub timestamp: &'a str,
    /// Whether phases said what has to pass (`--ci`).
    pub ci: bool,
    /// Names or ids of the services that a change is about; they come first.
    pub changed: &'a [String],
}

impl Report<'_> {
    /// Whether a service is among those that the change is about.
    fn is_changed(&self, service: &str) -> bool {
        let id = service.strip_suffix(".sh").unwrap_or(service);
        self.changed.iter().any(|name| name == service || name == id)
    }

    fn title(&self, result: &TestResult) -> &str {
        self.plan.tests.get(result.test).map_or("", |test| test.title.as_str())
    }
}
