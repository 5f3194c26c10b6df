//! What services that keep things do at least, over HTTP against the packages:
//! three documents of our own, and three of those in use where they are there.

use std::fs;

use flywheel::prim;
use serde_json::{Value, json};

use super::{given, load, manifest, root, workspace::Workspace};

/// A document's file, its kind, and what a caller has to know.
fn ours() -> [(&'static str, Value); 3] {
    [
        ("vault", json!({"kind": "buckets", "path": "/v1/buckets"})),
        ("members", json!({"kind": "wallets", "path": "/v1/members", "message": "Join <address> at <timestamp>"})),
        ("reports", json!({"kind": "reports", "path": "/v1/report", "list": "/v1/reports"})),
    ]
}

fn theirs() -> [(&'static str, Value); 3] {
    [
        ("store", json!({"kind": "buckets", "path": "/v1/buckets"})),
        ("wallet", json!({"kind": "wallets", "path": "/v1/wallets", "message": "Register <address> with prim.sh at <timestamp>"})),
        ("feedback", json!({"kind": "reports", "path": "/v1/submit", "list": "/v1/feed"})),
    ]
}

#[test]
fn what_is_kept_can_be_created_read_listed_and_removed_over_http() {
    let Some(workspace) = Workspace::new("floor") else { return };
    let mut floor = Vec::new();
    let mut add = |document: &prim::Document, mut about: Value| {
        let made = manifest(document);
        workspace.add(&made);
        about["id"] = json!(document.id);
        about["env"] = json!(made.env);
        about["keeps_data"] = json!(made.keeps_data);
        floor.push(about);
    };
    for (name, about) in ours() {
        add(&load(&root().join(format!("tests/scaffold/documents/{name}.yaml"))).unwrap(), about);
    }
    let given = given();
    for (name, about) in theirs() {
        let Some(path) = given.iter().find(|path| path.file_name().is_some_and(|file| file == format!("{name}.prim.yaml").as_str())) else {
            eprintln!("SKIPPED: {name} is not among the documents in use");
            continue;
        };
        let mut value = prim::value(&fs::read_to_string(path).unwrap()).unwrap();
        // A provider's routes are never answered by our store: it is tried without,
        // and without the variables that say that there is one.
        if value["providers"].take() != Value::Null {
            value["env"].take();
            eprintln!("{name} is tried without its provider");
        }
        add(&prim::from_value(value).unwrap(), about);
    }
    workspace.write("floor.json", &Value::from(floor).to_string());
    let (passed, text) = workspace.bun(&["test", "http/floor"]);
    eprintln!("{text}");
    assert!(passed, "{text}");
}
