//! `flywheel doctor`: what is broken on purpose is found, with its remedy.

use std::process::Command;

use reqwest::Method;
use serde_json::Value;

use super::bed::{NAME, SecretValue, forge, heal, kill, ready};
use crate::support::variable;

/// What doctor printed, and whether it exited with 0.
fn doctor(arguments: &[&str]) -> (Vec<Value>, bool) {
    let output = Command::new(env!("CARGO_BIN_EXE_flywheel"))
        .args(["doctor", NAME, "--output", "json", "--admin-token-file", &variable("FORGE_TOKEN_FILE")])
        .args(arguments)
        .output()
        .expect("flywheel doctor");
    let text = String::from_utf8(output.stdout).expect("text");
    let findings = text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{line:?}: {e}"))).collect();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code().is_some_and(|c| c == 0 || c == 1), "{}: {errors}", output.status);
    (findings, output.status.success())
}

/// The failed findings, as `check reason`.
fn failures(findings: &[Value]) -> Vec<String> {
    let text = |f: &Value, key: &str| f[key].as_str().unwrap_or_default().to_owned();
    let failed = findings.iter().filter(|f| f["level"] == "fail");
    failed
        .inspect(|f| assert!(!text(f, "remedy").is_empty(), "no remedy: {f}"))
        .map(|f| format!("{} {}", text(f, "check"), text(f, "reason")))
        .collect()
}

/// Looks at what was broken, mends it, looks again — and judges only then, so
/// that one failure does not break the tests that follow.
fn expect(arguments: &[&str], wanted: &[&str]) {
    let (broken, good) = doctor(arguments);
    heal();
    let (mended, good_again) = doctor(arguments);
    assert_eq!(failures(&broken), wanted, "{broken:#?}");
    assert!(!good, "exit code");
    assert!(failures(&mended).is_empty() && good_again, "{mended:#?}");
}

const NO_NETWORK: &[&str] = &["--skip-network"];

#[tokio::test]
async fn a_sound_factory_has_no_failures() {
    ready().await;
    let (findings, good) = doctor(&[]);
    assert!(good && failures(&findings).is_empty(), "{findings:#?}");
    let network = findings.iter().find(|f| f["check"] == "network").expect("a finding about the network");
    // The figure that gates' guard is built on.
    eprintln!("{}", network["message"]);
}

#[tokio::test]
async fn a_wrong_token() {
    let (client, _) = ready().await;
    let token = SecretValue::replace(&client, "flywheel-forge", "token", "0000000000000000000000000000000000000000").await;
    let (findings, _) = doctor(NO_NETWORK);
    token.restore().await;
    assert_eq!(failures(&findings), ["forge TokenRejected"], "{findings:#?}");
}

#[tokio::test]
async fn a_missing_webhook() {
    ready().await;
    let hooks = forge(Method::GET, "/repos/prim/factory/hooks", None).await;
    for hook in hooks.as_array().expect("hooks") {
        forge(Method::DELETE, &format!("/repos/prim/factory/hooks/{}", hook["id"]), None).await;
    }
    expect(NO_NETWORK, &["webhook WebhookMissing"]);
}

#[tokio::test]
async fn an_unprotected_branch() {
    ready().await;
    forge(Method::DELETE, "/repos/prim/factory/branch_protections/main", None).await;
    expect(NO_NETWORK, &["protection Unprotected", "rule Unprotected"]);
}

#[tokio::test]
async fn a_wrong_tsig_key() {
    let (client, _) = ready().await;
    let secret = SecretValue::replace(&client, "flywheel-dns", "secret", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=").await;
    let (findings, _) = doctor(NO_NETWORK);
    secret.restore().await;
    assert_eq!(failures(&findings), ["dns KeyRejected"], "{findings:#?}");
    assert!(failures(&doctor(NO_NETWORK).0).is_empty());
}

#[tokio::test]
async fn an_edge_that_is_down() {
    ready().await;
    kill("edge");
    expect(NO_NETWORK, &["edge Unreachable"]);
}

#[tokio::test]
async fn a_policy_that_is_not_enforced() {
    ready().await;
    kill("netpol");
    expect(&["--only-network", "--network-seconds", "5"], &["network PolicyNotEnforced"]);
}
