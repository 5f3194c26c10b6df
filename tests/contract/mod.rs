//! What every implementation of a port must do: one suite per port, run on the
//! fakes of `tests/world` by `tests/fakes.rs` and on real servers by
//! `e2e/scenarios`. A suite reaches its server only through a client of the port
//! and a small arrangement trait, which puts the server into a state; it names
//! neither fakes nor adapters, so both binaries can include it. Read `forge.rs`
//! next.

pub mod dns;
pub mod edge;
pub mod forge;
// No server of the test bed is a model: run on a scripted one by `tests/adapters`.
#[allow(dead_code)]
pub mod model;
pub mod provisioner;

use std::fmt::Debug;

use flywheel::{
    api::conditions::Reason,
    ports::error::{Class, PortError},
};

/// Asserts that a call failed with this class and reason, and with a message that
/// somebody can act on.
#[track_caller]
pub fn refused<T: Debug>(result: Result<T, PortError>, class: Class, reason: Reason, doing: &str) {
    let error = match result {
        Err(error) => error,
        Ok(value) => panic!("{doing}: expected {reason:?}, and it worked: {value:?}"),
    };
    assert_eq!((error.class, error.reason), (class, reason), "{doing}: {error}");
    assert!(!error.message.trim().is_empty(), "{doing}: the error has no message");
}
