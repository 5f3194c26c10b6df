//! What reading and checking a document have to say: what was assumed, and what
//! is wrong.

use std::fmt;

use serde::Serialize;

use super::code::Code;

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

/// Something that the strict form of a document does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is, as programs may rely on it.
    pub code: Code,
    /// Where: `routes_map[3].route`; empty where it is the document itself.
    pub path: String,
    /// What is wrong.
    pub text: String,
    /// What to do about it.
    pub remedy: String,
    /// Where in the text it stands, for a document that was one.
    pub position: Option<Position>,
}

/// A place in a text; both count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Position {
    /// Its line.
    pub line: usize,
    /// Its column, in characters.
    pub column: usize,
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

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        write!(f, "{}: {} [{}]", self.text, self.remedy, self.code.as_str())
    }
}

impl Finding {
    pub(super) fn new(code: Code, path: impl Into<String>, text: impl Into<String>) -> Self {
        Self { code, path: path.into(), text: text.into(), remedy: code.remedy().into(), position: None }
    }

    /// The same as the lenient reader says it.
    pub(super) fn problem(self) -> Problem {
        Problem { path: self.path, text: format!("{}: {}", self.text, self.remedy) }
    }
}

/// How many notes a document may cause. Beyond that it is another kind of file.
pub(super) const MOST: usize = 1000;

/// Collects all that while a document is read.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// What was assumed, in a document that is in order or not.
    pub assumptions: Vec<Assumption>,
    /// Those among them that the strict form does not allow.
    pub lenient: Vec<Finding>,
    /// What can't be read.
    pub wrong: Vec<Finding>,
}

impl Notes {
    /// Takes something for granted that the format allows to leave open.
    pub fn assume(&mut self, path: impl Into<String>, text: impl Into<String>) {
        if self.assumptions.len() < MOST {
            self.assumptions.push(Assumption { path: path.into(), text: text.into() });
        }
    }

    /// Takes something for granted that a document should say.
    pub fn lenient(&mut self, code: Code, path: impl Into<String>, text: impl Into<String>) {
        let finding = Finding::new(code, path, text);
        self.assume(finding.path.clone(), finding.text.clone());
        if self.lenient.len() < MOST {
            self.lenient.push(finding);
        }
    }

    /// Gives something up.
    pub fn wrong(&mut self, code: Code, path: impl Into<String>, text: impl Into<String>) {
        self.add(Finding::new(code, path, text));
    }

    /// The same with a remedy of its own.
    pub fn add(&mut self, finding: Finding) {
        if self.wrong.len() < MOST {
            self.wrong.push(finding);
        }
    }
}

/// A text as a message quotes it: not longer than a line.
pub(super) fn quoted(text: &str) -> String {
    const LONGEST: usize = 60;
    match text.char_indices().nth(LONGEST) {
        None => format!("{text:?}"),
        Some((end, _)) => format!("{:?}…", &text[..end]),
    }
}
