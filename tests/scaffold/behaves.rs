//! What services do that only shows when they are called: in process, by
//! `http/behaves.test.ts`, `shapes.test.ts`, `declared.test.ts`, `kept.test.ts` and
//! `polls.test.ts`, which have the cases.

use super::{load, manifest, root, workspace::Workspace};

#[test]
fn services_do_what_their_documents_say() {
    let Some(workspace) = Workspace::new("behaves") else { return };
    for name in ["tickets", "forum", "tools", "desk", "boards", "journal", "journal-later", "polls"] {
        workspace.add(&manifest(&load(&root().join(format!("tests/scaffold/documents/{name}.yaml"))).unwrap()));
    }
    let (passed, text) = workspace.bun(&["test", "packages", "http/behaves", "http/shapes", "http/declared", "http/kept", "http/polls"]);
    assert!(passed, "{text}");
    assert!(!workspace.has("the-checks-ran-a-program"), "{text}");
}
