//! A gate's test plan as it was read. Its first form is prim.sh's
//! smoke-test plan; what ours adds, prim.sh's reader passes over.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    graph::templates,
    pattern::Pattern,
    template::{Piece, pieces},
    validator::Schema,
};

/// Whose rules a plan is read, run and judged by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Ours.
    #[default]
    Ours,
    /// Those of prim.sh's runner, with whatever they overlook (`--compat primsh`).
    Primsh,
}

/// A plan.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The rules by which it was read.
    pub mode: Mode,
    /// Its title; JSON's `plan`.
    pub name: String,
    /// Version of the form: 1.
    pub version: u64,
    /// The network that payments are on, for people.
    pub network: String,
    /// What whoever runs it should know.
    pub context: String,
    /// Groups, in order.
    pub groups: Vec<Group>,
    /// Tests, in order. With [`Mode::Primsh`] an id may be there twice, and the last is meant.
    pub tests: Vec<Test>,
    /// JSON Schemas that `{"$schema": "#/schemas/NAME"}` refers to.
    pub schemas: BTreeMap<String, Value>,
    /// The same, ready to be used.
    pub(super) validators: BTreeMap<String, Schema>,
}

impl Plan {
    /// Names of the services that its tests are about.
    pub fn services(&self) -> BTreeSet<&str> {
        self.tests.iter().map(|test| test.service.as_str()).filter(|name| !name.is_empty()).collect()
    }

    /// Names of the secrets that its tests send. prim.sh's rules know none.
    pub fn secrets(&self) -> BTreeSet<&str> {
        let tests = self.tests.iter().filter(|_| self.mode == Mode::Ours);
        let all = tests.flat_map(templates).flat_map(|(_, text)| pieces(text));
        all.filter_map(|piece| if let Piece::Secret(name) = piece { Some(name) } else { None }).collect()
    }

    /// Tests that these groups name and that are none of its own, each with who names it.
    pub fn unknown<'a>(&self, groups: impl IntoIterator<Item = &'a Group>) -> Vec<(&'a Group, &'a str)> {
        let ids: BTreeSet<_> = self.tests.iter().map(|test| test.id.as_str()).collect();
        let named = groups.into_iter().flat_map(|group| group.tests.iter().map(move |id| (group, id.as_str())));
        named.filter(|(_, id)| !ids.contains(id)).collect()
    }
}

/// A group of tests.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// Id.
    pub id: String,
    /// Title.
    pub name: String,
    /// What a canary is told.
    pub prompt: String,
    /// Ids of its tests, in order.
    pub tests: Vec<String>,
    /// Whether only a canary runs it.
    pub canary_only: bool,
    /// What a canary uses.
    pub interface: Interface,
    /// Hook before a canary.
    pub setup: Option<String>,
    /// Hook after a canary.
    pub cleanup: Option<String>,
}

impl Group {
    /// Whether a run is of it: one of all groups but those that only a canary runs, or of
    /// the `only` one of them.
    pub fn is_asked(&self, only: Option<&str>) -> bool {
        !self.canary_only && only.is_none_or(|id| self.id == id)
    }
}

/// What a canary uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Interface {
    /// HTTP requests.
    #[default]
    Api,
    /// A shell.
    Cli,
}

/// One test: a request, and what its answer is to be.
#[derive(Clone, Debug)]
pub struct Test {
    /// Id.
    pub id: String,
    /// Name of the service: `store.sh`.
    pub service: String,
    /// Title; JSON's `test`.
    pub title: String,
    /// Method, as it stands in the plan.
    pub method: String,
    /// URL with variables.
    pub endpoint: String,
    /// Headers of the request, with variables in their values. Ours alone.
    pub headers: BTreeMap<String, String>,
    /// Body: null for none, a string for plain text, everything else for JSON.
    pub input: Value,
    /// What the answer is to be.
    pub expected: Expected,
    /// Ids of tests that must have passed before.
    pub depends_on: Vec<String>,
    /// Variables that its answer fills, by name.
    pub captures: BTreeMap<String, Capture>,
    /// For people; prim.sh's runner looks for "free" in it.
    pub notes: Option<String>,
    /// Whether it is left out.
    pub skip: bool,
    /// Whether it was derived from a document.
    pub generated: bool,
    /// Milliseconds that one request may take; the runner's own limit where absent. Ours alone.
    pub timeout_ms: Option<u64>,
    /// How it is tried again. Ours alone.
    pub retry: Option<Retry>,
    /// What it may cost. Ours alone.
    pub payment: Option<Payment>,
    /// The test as it stands in the plan: [`Mode::Primsh`] judges by this alone.
    pub given: Value,
}

impl Test {
    /// Whether no payment is to be tried: prim.sh's guess, by the URL and the notes,
    /// unless the test declares one.
    pub fn is_free(&self) -> bool {
        if self.payment.is_some() {
            return false;
        }
        let health = self.method == "GET" && self.endpoint.ends_with('/') && !self.endpoint.contains("/v1/");
        health || self.notes.as_deref().is_some_and(|notes| notes.to_lowercase().contains("free"))
    }
}

/// What an answer is to be.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    /// Statuses, one of which it has; never empty with [`Mode::Ours`].
    pub status: Vec<u16>,
    /// What its body is like.
    pub body: Option<Pattern>,
    /// Its body as text, with variables.
    pub body_equals: Option<String>,
    /// What its headers are like, by lower-case name. Ours alone.
    pub headers: BTreeMap<String, Pattern>,
}

impl Expected {
    /// All that is expected of the body and of headers.
    pub(super) fn patterns(&self) -> impl Iterator<Item = &Pattern> {
        self.body.iter().chain(self.headers.values())
    }
}

/// Where a variable's value is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Capture {
    /// A JSONPath (RFC 9535) into the body.
    Path(String),
    /// A header, by its lower-case name. Ours alone.
    Header(String),
}

/// How a test is tried again.
#[derive(Clone, Debug)]
pub struct Retry {
    /// Tries after the first.
    pub count: u32,
    /// Milliseconds between two.
    pub interval_ms: u64,
    /// What an answer must be for the tries to end, and then be judged; until it
    /// passes where absent.
    pub until: Option<Until>,
}

/// What ends the tries.
#[derive(Clone, Debug, Default)]
pub struct Until {
    /// Statuses, one of which it has; any where empty.
    pub status: Vec<u16>,
    /// What its body is like.
    pub body: Option<Pattern>,
}

/// What a test may cost: terms that a service asks are held against these before
/// anything is signed. What is absent is not restricted here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Payment {
    /// Atomic units of the asset at most.
    pub max: Option<u128>,
    /// Atomic units of the asset exactly.
    pub amount: Option<u128>,
    /// Who is paid.
    pub pay_to: Option<String>,
    /// The token's address.
    pub asset: Option<String>,
    /// The chain in CAIP-2 form.
    pub network: Option<String>,
}

impl Payment {
    /// Whether a text is an address of the EVM's: who is paid, or a token.
    pub fn is_address(text: &str) -> bool {
        text.strip_prefix("0x").is_some_and(|hex| hex.len() == 40 && hex.bytes().all(|b| b.is_ascii_hexdigit()))
    }

    /// Whether a text is the CAIP-2 name of a chain of the EVM's. Its number has 19 digits
    /// at most (EIP-2294).
    pub fn is_chain(text: &str) -> bool {
        let number = text.strip_prefix("eip155:").filter(|number| (1..=19).contains(&number.len()) && !number.starts_with('0'));
        number.is_some_and(|number| number.bytes().all(|b| b.is_ascii_digit()))
    }
}
