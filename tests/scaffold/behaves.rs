//! What services do that only shows when they are called: in process, by
//! `http/behaves.test.ts`, `shapes.test.ts`, `declared.test.ts`, `kept.test.ts`,
//! `polls.test.ts`, `vendor.test.ts` and `zones.test.ts`, which have the cases.

use super::{load, manifest, root, workspace::Workspace};

#[test]
fn services_do_what_their_documents_say() {
    let Some(workspace) = Workspace::new("behaves") else { return };
    for name in ["tickets", "forum", "tools", "desk", "boards", "journal", "journal-later", "polls", "depot", "zones"] {
        workspace.add(&manifest(&load(&root().join(format!("tests/scaffold/documents/{name}.yaml"))).unwrap()));
    }
    let cases = ["behaves", "shapes", "declared", "kept", "polls", "vendor", "zones"].map(|name| format!("http/{name}"));
    let (passed, text) = workspace.bun(&[&["test", "packages"][..], &cases.each_ref().map(String::as_str)].concat());
    assert!(passed, "{text}");
    assert!(!workspace.has("the-checks-ran-a-program"), "{text}");
}
