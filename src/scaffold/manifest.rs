//! The files of a package.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::kept::Kept;
use crate::prim::Assumption;

/// What a document becomes.
#[derive(Clone, Debug, Serialize)]
pub struct Manifest {
    /// Its files, by path.
    pub files: Vec<File>,
    /// Its routes, in the document's order.
    pub routes: Vec<RouteSummary>,
    /// Routes that answer 501 until somebody writes them.
    pub unimplemented: Vec<Unimplemented>,
    /// What was taken for granted, in reading the document and in this.
    pub assumptions: Vec<Assumption>,
    /// What the service keeps, by where it lies.
    pub kept: Vec<Kept>,
    /// The environment variable that names the service's SQLite file, if it keeps data.
    pub keeps_data: Option<String>,
    /// Settings under which its routes can be tried: a placeholder for every
    /// variable that it reads, and memory for its data.
    pub env: BTreeMap<String, String>,
}

/// Routes that were free before and are paid for, or the other way: a handler for who
/// pays must not stay behind a route that nobody pays for.
pub fn turned(before: &BTreeMap<String, bool>, now: &BTreeMap<String, bool>) -> Vec<String> {
    let other = |(route, paid): &(&String, &bool)| before.get(*route).is_some_and(|was| was != *paid);
    now.iter().filter(other).map(|(route, _)| route.clone()).collect()
}

impl Manifest {
    /// Its routes by method and path, and whether each is paid for.
    pub fn paid(&self) -> BTreeMap<String, bool> {
        self.routes.iter().map(|route| (format!("{} {}", route.method, route.path), route.micros.is_some())).collect()
    }

    /// SHA-256 over all paths and contents, in hexadecimal digits.
    pub fn hash(&self) -> String {
        let mut digest = Sha256::new();
        for file in &self.files {
            for part in [file.path.as_bytes(), file.content.as_bytes(), file.kind.as_str().as_bytes()] {
                digest.update((part.len() as u64).to_be_bytes());
                digest.update(part);
            }
        }
        digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct File {
    /// Path from the repository's root.
    pub path: String,
    /// Its text.
    pub content: String,
    /// Who may change it.
    pub kind: Kind,
}

/// Who may change a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Kind {
    /// Nobody: it is overwritten whenever the document changes.
    Generated,
    /// Whoever works on the service: it is written once.
    Seeded,
}

impl Kind {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Generated => "Generated",
            Self::Seeded => "Seeded",
        }
    }
}

/// One route, and what answers it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RouteSummary {
    /// Its method.
    pub method: String,
    /// Its path, `:name` for parameters.
    pub path: String,
    /// A path with a value for every parameter that must be there.
    pub sample: String,
    /// Its operation id.
    pub operation: String,
    /// Whether it reads a JSON body, and refuses what is none with 400.
    pub json: bool,
    /// `free`, or dollars.
    pub price: String,
    /// The same in millionths of a dollar; none where it is free.
    pub micros: Option<u64>,
    /// Whether a call with the Idempotency-Key of one before is answered as that was.
    pub repeats: bool,
    /// Status of a success.
    pub status: u16,
    /// `native`, `provider`, `cli` or `missing`.
    pub backend: String,
    /// Whether the document says of no provider that it answers: that somebody does
    /// follows from its errors and its environment alone.
    pub implied: bool,
    /// Statuses that a request may have once it is paid: declared ones, and those
    /// of a provider that fails or of a handler that is not written. 400 is among
    /// them only where the route reads JSON, and so knows a bad body.
    pub answers: Vec<u16>,
    /// A body that it takes, if it takes one: a text, of JSON or anything.
    pub request: Option<String>,
    /// Fields of that body that no two items have alike: each request takes others.
    pub fresh: Vec<String>,
    /// Fields that the type of its answer requires and that nothing keeps.
    pub lacking: Vec<String>,
    /// A request that succeeds, where that is sure.
    pub example: Option<Example>,
    /// What is known of the JSON that it takes, as JSON Schema: what is checked.
    pub body: Option<Value>,
    /// A request with one value of a wrong type, where a type is known.
    pub mistyped: Option<Mistyped>,
}

/// A request that is refused with 400, and the field that the refusal names.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Mistyped {
    /// The field or query parameter.
    pub field: String,
    /// What it stands in: a body, or the query `?field=none`.
    pub body: Option<Value>,
}

/// A request that succeeds under [`Manifest::env`].
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Example {
    /// Path parameters that can't be any text.
    pub params: BTreeMap<String, String>,
    /// Query parameters.
    pub query: BTreeMap<String, String>,
    /// Headers.
    pub headers: BTreeMap<String, String>,
    /// JSON body.
    pub body: Option<Value>,
}

/// A route that no pattern fits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unimplemented {
    /// Method and path.
    pub route: String,
    /// Its operation id.
    pub operation: String,
    /// Why.
    pub reason: String,
}
