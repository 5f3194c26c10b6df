//! One error for every port, that carries its class: who must act, and when to
//! try again. `decide/retry.rs` holds the one table from class to consequences.

use std::time::Duration;

use crate::api::conditions::Reason;

/// Who must act on a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Nobody: time-outs, refused connections, 5xx. It passes.
    Transient,
    /// Nobody: the server asks to wait this long.
    RateLimited(Duration),
    /// Nobody: somebody else moved first; look again.
    Conflict,
    /// Something outside, which Flywheel will notice.
    Waiting,
    /// The user: the spec, or what it refers to, is wrong.
    Invalid,
    /// The operator: our credential lacks a right.
    Denied,
    /// Us.
    Bug,
}

impl Class {
    /// A bounded label for metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Transient => "transient",
            Self::RateLimited(_) => "rate_limited",
            Self::Conflict => "conflict",
            Self::Waiting => "waiting",
            Self::Invalid => "invalid",
            Self::Denied => "denied",
            Self::Bug => "bug",
        }
    }
}

/// A call to the outside world that failed.
///
/// The message is written for whoever reads the condition it ends up in: what
/// failed, and what to do. It never repeats the source's text, nor a secret.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct PortError {
    /// Who must act.
    pub class: Class,
    /// Why, as a condition's reason.
    pub reason: Reason,
    /// What failed, and what to do.
    pub message: String,
    /// What the client library said.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl PortError {
    /// An error without a source.
    pub fn new(class: Class, reason: Reason, message: impl Into<String>) -> Self {
        Self { class, reason, message: message.into(), source: None }
    }

    /// A setting that can't be used. `path` is the field's path in the spec.
    pub fn invalid(path: &str, problem: impl std::fmt::Display) -> Self {
        Self::new(Class::Invalid, Reason::Invalid, format!("{path}: {problem}"))
    }

    /// A Secret's value that can't be used. `problem` names the key, and never
    /// quotes a value: whoever mixes two keys up would find one in a condition.
    pub fn secret_invalid(problem: impl Into<String>) -> Self {
        // Waiting: somebody gives the Secret another value, and no event tells.
        Self::new(Class::Waiting, Reason::SecretInvalid, problem)
    }

    /// No answer, or not in time.
    pub fn unreachable(server: impl std::fmt::Display) -> Self {
        Self::new(
            Class::Transient,
            Reason::Unreachable,
            format!("{server} does not answer; check its address and that the controller may reach it (tried again by itself)"),
        )
    }

    /// The same error with the library's error behind it.
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
}
