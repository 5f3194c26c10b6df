//! What is wrong with a plan, by a word that programs may rely on.

use std::fmt;

use serde::Serialize;

/// What a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// The text is neither JSON nor YAML.
    NotRead,
    /// The plan is larger or deeper than any that is read.
    TooLarge,
    /// A field is not there.
    Missing,
    /// A field is of another type.
    WrongType,
    /// A field has a value that it can't have.
    WrongValue,
    /// A matcher that is not known, or beside other keys.
    UnknownMatcher,
    /// A path of a capture is no JSONPath.
    BadPath,
    /// A schema is no JSON Schema.
    BadSchema,
    /// A matcher refers to a schema that is not there.
    UnknownSchema,
    /// Two tests have one id.
    DuplicateId,
    /// Two groups have one id.
    DuplicateGroup,
    /// A test depends on one that is not there.
    DanglingDependency,
    /// Tests depend on each other in a circle.
    Cycle,
    /// A group names a test that is not there.
    UnknownTest,
    /// A test is in no group, so that nothing runs it.
    Ungrouped,
    /// A test is in several groups.
    SeveralGroups,
    /// A variable that nothing fills: its test can only be blocked.
    NeverFilled,
    /// A template that can't be a variable's.
    BadTemplate,
    /// A variable that several tests fill.
    FilledTwice,
    /// A variable that no test uses.
    NeverUsed,
    /// A service that is not known.
    UnknownService,
    /// An expectation that no answer misses.
    CannotFail,
    /// A list of expectations of which only the first is looked at.
    OnlyFirst,
    /// An expectation of a kind that nobody looks at.
    NotLookedAt,
}

impl Code {
    /// Whether a plan with it is wrong, or only suspicious.
    pub fn severity(self) -> Severity {
        match self {
            Self::Ungrouped
            | Self::SeveralGroups
            | Self::FilledTwice
            | Self::NeverUsed
            | Self::CannotFail
            | Self::OnlyFirst
            | Self::NotLookedAt => Severity::Warning,
            _ => Severity::Error,
        }
    }

    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotRead => "not-read",
            Self::TooLarge => "too-large",
            Self::Missing => "missing",
            Self::WrongType => "wrong-type",
            Self::WrongValue => "wrong-value",
            Self::UnknownMatcher => "unknown-matcher",
            Self::BadPath => "bad-path",
            Self::BadSchema => "bad-schema",
            Self::UnknownSchema => "unknown-schema",
            Self::DuplicateId => "duplicate-id",
            Self::DuplicateGroup => "duplicate-group",
            Self::DanglingDependency => "dangling-dependency",
            Self::Cycle => "cycle",
            Self::UnknownTest => "unknown-test",
            Self::Ungrouped => "ungrouped",
            Self::SeveralGroups => "several-groups",
            Self::NeverFilled => "never-filled",
            Self::BadTemplate => "bad-template",
            Self::FilledTwice => "filled-twice",
            Self::NeverUsed => "never-used",
            Self::UnknownService => "unknown-service",
            Self::CannotFail => "cannot-fail",
            Self::OnlyFirst => "only-first",
            Self::NotLookedAt => "not-looked-at",
        }
    }
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It can't be right.
    Error,
    /// It may be meant.
    Warning,
}

/// Something that is wrong with a plan.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// What it is.
    pub code: Code,
    /// How bad it is.
    pub severity: Severity,
    /// Where: `tests[3].expected.status`; empty where it is the plan itself.
    pub path: String,
    /// What is wrong, and what to do.
    pub message: String,
}

impl Finding {
    pub(super) fn new(code: Code, path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code, severity: code.severity(), path: path.into(), message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            write!(f, "{} [{}]", self.message, self.code.as_str())
        } else {
            write!(f, "{}: {} [{}]", self.path, self.message, self.code.as_str())
        }
    }
}
