//! The vendors behind a document, where it has some that are used.

use serde::Serialize;

use super::claims::{self, Claim};
use crate::prim::{Assumption, Document, Provider, ProviderStatus, Route, camel, constant, words};

/// A vendor, and what its client needs from the environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Vendor {
    pub name: String,
    /// Its file, without the ending.
    pub file: String,
    /// What its client is called in code.
    pub client: String,
    /// The variable with its key.
    pub key: String,
    /// The variable with its address.
    pub base: String,
    /// All variables that must be set.
    pub needed: Vec<String>,
    /// What of its own library routes call.
    pub operations: Vec<String>,
}

impl Vendor {
    /// Notes an operation of its library that is called.
    pub fn calls(&mut self, operation: &str) {
        if !self.operations.iter().any(|there| there == operation) {
            self.operations.push(operation.into());
        }
    }
}

/// The active providers, the one that is called first: the default, else the first.
pub(super) fn active(document: &Document, assumptions: &mut Vec<Assumption>) -> Vec<Vendor> {
    let mut active: Vec<&Provider> = document.providers.iter().filter(|p| p.status == ProviderStatus::Active).collect();
    active.sort_by_key(|provider| !provider.default);
    if let [first, _, ..] = active[..] {
        let text = format!("of {} active providers {} is called unless {} says another", active.len(), first.name, choice(document));
        assumptions.push(Assumption { path: "providers".into(), text });
    }
    let mut vendors: Vec<Vendor> = Vec::new();
    for provider in active {
        let vendor = vendor(&provider.name, &provider.env, "providers", assumptions);
        if vendors.iter().all(|v| v.file != vendor.file && v.client != vendor.client) {
            vendors.push(vendor);
        }
    }
    vendors
}

/// The variable that chooses among several providers.
pub(super) fn choice(document: &Document) -> String {
    format!("PRIM_{}_PROVIDER", constant(document.id.as_str()))
}

/// Somebody outside whom the document does not name among its providers: its routes
/// declare that somebody may fail them, and its environment has what one needs to
/// speak to somebody.
pub(super) fn implied(document: &Document, assumptions: &mut Vec<Assumption>) -> Option<Vendor> {
    // Codes that were given out here are taken back here.
    let theirs = |route: &&Route| fails(route) && !matches!(claims::of(document, route), Some(Claim::Code { .. }));
    let failing = document.routes.iter().filter(theirs).count();
    let needed: Vec<_> = document.env.iter().filter(|name| outside(name)).cloned().collect();
    if failing == 0 || needed.is_empty() {
        return None;
    }
    let prefix = needed.iter().find(|name| secret(name)).map(|name| {
        let ends = ["api", "key", "id", "token", "secret", "password", "access", "account"];
        words(name).into_iter().take_while(|word| !ends.contains(&word.as_str())).collect::<Vec<_>>().join("-")
    });
    let name = prefix.filter(|name| !name.is_empty()).unwrap_or_else(|| format!("{}-upstream", document.id));
    let text =
        format!("{failing} routes declare that somebody else may fail them, and no provider is active, so {name} is called for those");
    assumptions.push(Assumption { path: "providers".into(), text });
    Some(vendor(&name, &needed, "providers", assumptions))
}

/// Whether somebody else may fail a route.
pub(super) fn fails(route: &Route) -> bool {
    route.errors.iter().any(|error| (502..=504).contains(&error.status))
}

fn secret(name: &str) -> bool {
    let parts = words(name);
    parts.iter().any(|word| ["key", "token", "secret", "password"].contains(&word.as_str())) && !parts.contains(&"internal".into())
}

/// Whether a variable is needed to speak to somebody outside of the platform.
fn outside(name: &str) -> bool {
    let parts = words(name);
    let has = |word: &str| parts.iter().any(|part| part == word);
    let ours = has("internal") || has("revenue") || has("db");
    !ours && (secret(name) || has("wallet") || has("rpc"))
}

fn vendor(name: &str, env: &[String], path: &str, assumptions: &mut Vec<Assumption>) -> Vendor {
    let mut assume = |text: String| assumptions.push(Assumption { path: path.into(), text });
    let prefix = constant(name);
    let find = |ends: &[&str]| env.iter().find(|name| ends.iter().any(|end| name.ends_with(end))).cloned();
    let key = find(&["API_KEY", "TOKEN"]).or_else(|| find(&["KEY", "SECRET", "PASSWORD"])).unwrap_or_else(|| {
        let made = format!("{prefix}_API_KEY");
        assume(format!("{name} names no variable for its key, so {made}"));
        made
    });
    let base = find(&["_URL", "_ENDPOINT"]).unwrap_or_else(|| {
        let made = format!("{prefix}_BASE_URL");
        assume(format!("{name} names no variable for its address, so {made}"));
        made
    });
    let mut needed = vec![base.clone(), key.clone()];
    needed.extend(env.iter().filter(|name| **name != base && **name != key).cloned());
    let mut file = words(name).join("-");
    file.truncate(48);
    let file = if file.is_empty() { "vendor".into() } else { file };
    Vendor { name: name.into(), file, client: format!("{}Client", camel(name)), key, base, needed, operations: Vec::new() }
}
