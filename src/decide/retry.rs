//! From a failure's class to its consequences: one table for all kinds, also in
//! `docs/errors.md`.

use std::time::Duration;

use jiff::Timestamp;

use crate::{
    api::conditions::{ConditionType, Reason, Statement, Truth},
    ports::error::{Class, PortError},
};

/// First and longest wait after a transient failure.
pub const BACKOFF: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(300));
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

/// When to try again after a failure of `class`, if the object has not been
/// ready since `failing_since`. Waits grow with the age of the failure, so that
/// they survive a restart without a counter.
pub fn delay(class: Class, failing_since: Option<Timestamp>, now: Timestamp) -> Duration {
    match class {
        Class::Transient => {
            let age = failing_since.map_or(0, |since| now.duration_since(since).as_secs().max(0));
            Duration::from_secs(age.unsigned_abs() / 2).clamp(BACKOFF.0, BACKOFF.1)
        }
        Class::RateLimited(wait) => wait.max(Duration::from_secs(1)),
        Class::Conflict => Duration::from_secs(1),
        Class::Waiting => BACKOFF.0 * 6,
        Class::Invalid | Class::Denied | Class::Bug => SLOW,
    }
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

/// [`not_ready`] for an error.
pub fn not_ready_because(error: &PortError) -> [Statement; 2] {
    not_ready(stalls(error.class), error.reason, &error.message)
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
    }

    #[test]
    fn a_rate_limit_is_obeyed_to_the_second() {
        let now = Timestamp::UNIX_EPOCH;
        assert_eq!(delay(Class::RateLimited(Duration::from_secs(77)), None, now).as_secs(), 77);
    }
}
