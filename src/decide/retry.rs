//! From a failure's class to its consequences: one table for all kinds, also in
//! `docs/errors.md`.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::{
    api::conditions::{self, ConditionType, Reason, Statement, Truth},
    decide::waits,
    ports::error::{Class, PortError},
};

/// First and longest wait after a transient failure.
pub const BACKOFF: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(300));
/// First and longest wait after somebody else moved first.
pub const OVERTAKEN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// Wait where somebody must act first: their change usually wakes us earlier.
pub const SLOW: Duration = Duration::from_secs(300);

/// How loud a class is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Expected in normal work.
    Quiet,
    /// Worth a look if it lasts.
    Notable,
    /// Somebody must act.
    Serious,
}

/// When to try again after a failure of `class` that has lasted since
/// `failing_since`. Waits grow with the age of the failure, so that they survive a
/// restart without a counter.
pub fn delay(class: Class, failing_since: Option<Timestamp>, now: Timestamp) -> Duration {
    let half = Duration::from_secs(waits::age(failing_since, now).as_secs() / 2);
    match class {
        Class::Transient => half.clamp(BACKOFF.0, BACKOFF.1),
        Class::RateLimited(wait) => wait.max(Duration::from_secs(1)),
        Class::Conflict => half.clamp(OVERTAKEN.0, OVERTAKEN.1),
        Class::Waiting => BACKOFF.0 * 6,
        Class::Invalid | Class::Denied | Class::Bug => SLOW,
    }
}

/// When the failure began that an object's conditions tell of: an object may have
/// been on its way, and so not `Ready`, for long before that.
pub fn failing_since(conditions: &[Condition]) -> Option<Timestamp> {
    let retrying = conditions::find(conditions, ConditionType::Retrying).filter(|c| c.status == Truth::True.as_str());
    retrying.map(|c| c.last_transition_time.0)
}

/// Whether somebody must act before it can get better.
pub fn stalls(class: Class) -> bool {
    match class {
        Class::Transient | Class::RateLimited(_) | Class::Conflict | Class::Waiting => false,
        Class::Invalid | Class::Denied | Class::Bug => true,
    }
}

/// How loud `class` is logged.
pub fn severity(class: Class) -> Severity {
    match class {
        Class::Conflict | Class::Waiting => Severity::Quiet,
        Class::Transient | Class::RateLimited(_) | Class::Invalid => Severity::Notable,
        Class::Denied | Class::Bug => Severity::Serious,
    }
}

/// The kstatus triple for an object that is not ready: `Ready=False`, and either
/// `Reconciling` or `Stalled`.
pub fn not_ready(stalled: bool, reason: Reason, message: &str) -> [Statement; 2] {
    let kind = if stalled { ConditionType::Stalled } else { ConditionType::Reconciling };
    [Statement::new(ConditionType::Ready, Truth::False, reason, message), Statement::new(kind, Truth::True, reason, message)]
}

/// [`not_ready`] for an error; with when it began, where its wait grows with its age.
pub fn not_ready_because(error: &PortError) -> Vec<Statement> {
    let mut statements = not_ready(stalls(error.class), error.reason, &error.message).to_vec();
    if matches!(error.class, Class::Transient | Class::Conflict) {
        statements.push(Statement::new(ConditionType::Retrying, Truth::True, error.reason, &error.message));
    }
    statements
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transient_failure_waits_longer_the_longer_it_lasts() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let since = |seconds: i64| Some(Timestamp::from_second(1_000_000 - seconds).unwrap());
        let wait = |s| delay(Class::Transient, s, now).as_secs();
        assert_eq!([wait(None), wait(since(4)), wait(since(60)), wait(since(9999)), wait(since(-60))], [5, 5, 30, 300, 5]);
        let wait = |s| delay(Class::Conflict, s, now).as_secs();
        assert_eq!([wait(None), wait(since(10)), wait(since(9999))], [1, 5, 60], "also where somebody else is faster again and again");
    }

    #[test]
    fn a_rate_limit_is_obeyed_to_the_second() {
        let now = Timestamp::UNIX_EPOCH;
        assert_eq!(delay(Class::RateLimited(Duration::from_secs(77)), None, now).as_secs(), 77);
    }
}
