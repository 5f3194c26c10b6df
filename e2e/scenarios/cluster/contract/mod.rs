//! The contract suites of `tests/contract`, on Gitea, BIND and Caddy: what the
//! fakes promise, the real servers do.

mod dns;
pub(crate) mod edge;
mod forge;
mod rooms;

#[path = "../../../../tests/address.rs"]
mod address;
#[path = "../../../../tests/contract/mod.rs"]
mod suites;

pub(in crate::cluster) use dns::zone;

/// A file below the full bed's state.
pub(in crate::cluster) fn state_file(name: &str) -> String {
    let path = std::path::Path::new(&crate::support::variable("FLYWHEEL_STATE")).join("full").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())).trim().to_owned()
}
