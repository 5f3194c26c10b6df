//! The vendor behind a document, where it has one that is used.

use serde::Serialize;

use crate::prim::{Assumption, Document, Provider, ProviderStatus, constant};

/// A vendor, and what its client needs from the environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Vendor {
    pub name: String,
    /// The variable with its key.
    pub key: String,
    /// The variable with its address.
    pub base: String,
    /// All variables that must be set.
    pub needed: Vec<String>,
}

/// The default among the active providers, else the first of them.
pub(super) fn active(document: &Document, assumptions: &mut Vec<Assumption>) -> Option<Vendor> {
    let active: Vec<&Provider> = document.providers.iter().filter(|p| p.status == ProviderStatus::Active).collect();
    let provider = active.iter().find(|p| p.default).or(active.first())?;
    let mut assume = |text: String| assumptions.push(Assumption { path: "providers".into(), text });
    if active.len() > 1 {
        assume(format!("of {} active providers {} is called", active.len(), provider.name));
    }
    let prefix = constant(&provider.name);
    let find = |ends: &[&str]| provider.env.iter().find(|name| ends.iter().any(|end| name.ends_with(end))).cloned();
    let key = find(&["API_KEY", "TOKEN"]).or_else(|| find(&["KEY", "SECRET", "PASSWORD"])).unwrap_or_else(|| {
        let made = format!("{prefix}_API_KEY");
        assume(format!("{} names no variable for its key, so {made}", provider.name));
        made
    });
    let base = find(&["_URL", "_ENDPOINT"]).unwrap_or_else(|| {
        let made = format!("{prefix}_BASE_URL");
        assume(format!("{} names no variable for its address, so {made}", provider.name));
        made
    });
    let mut needed = vec![base.clone(), key.clone()];
    needed.extend(provider.env.iter().filter(|name| **name != base && **name != key).cloned());
    Some(Vendor { name: provider.name.clone(), key, base, needed })
}
