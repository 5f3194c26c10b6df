//! What reading a document has to say: what it assumed, and what it can't read.

use std::fmt;

use serde::Serialize;

/// Something the document leaves open, and what was taken for it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Assumption {
    /// Where: `routes_map[3].request`.
    pub path: String,
    /// What was assumed, and why.
    pub text: String,
}

/// Something that can't be read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Problem {
    /// Where: `routes_map[3].route`; empty where it is the document itself.
    pub path: String,
    /// What is wrong, and what to write instead.
    pub text: String,
}

impl fmt::Display for Assumption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.text)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() { f.write_str(&self.text) } else { write!(f, "{}: {}", self.path, self.text) }
    }
}

/// Collects both while a document is read.
#[derive(Debug, Default)]
pub(super) struct Notes {
    pub assumptions: Vec<Assumption>,
    pub problems: Vec<Problem>,
}

impl Notes {
    pub fn assume(&mut self, path: impl Into<String>, text: impl Into<String>) {
        self.assumptions.push(Assumption { path: path.into(), text: text.into() });
    }

    pub fn problem(&mut self, path: impl Into<String>, text: impl Into<String>) {
        self.problems.push(Problem { path: path.into(), text: text.into() });
    }
}
