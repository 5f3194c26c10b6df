//! Each adapter against a local server that does what real ones do on bad days.
//! What a test asserts is what the controller goes by: an error's class and
//! reason, and that no credential is in its text. How good servers behave is not
//! tested here: `tests/contract` does that, on the real ones. Read `gitea.rs`
//! next.

mod caddy;
mod caddy_server;
mod gitea;
mod gitea_commits;
mod gitea_pulls;
mod gitea_reports;
mod gitea_script;
mod model;
mod probe;
mod provisioner;
mod provisioner_server;
mod rfc2136;
mod rfc2136_server;
mod x402;

use std::fmt::Debug;

use flywheel::{
    api::conditions::Reason,
    ports::error::{Class, PortError},
    telemetry::chain,
};

/// Asserts class and reason, that the error tells where, and that no text of it
/// holds a secret.
#[track_caller]
fn refused<T: Debug>(result: Result<T, PortError>, class: Class, reason: Reason, names: &str, secrets: &[&str]) {
    let error = result.expect_err("it should have failed");
    assert_eq!((error.class, error.reason), (class, reason), "{}", chain(&error));
    assert!(error.message.contains(names), "{names:?} is not in {:?}", error.message);
    for text in [chain(&error), format!("{error:?}"), format!("{error:#?}")] {
        for secret in secrets {
            assert!(!text.contains(secret), "a secret is in {text}");
        }
    }
}
