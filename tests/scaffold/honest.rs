//! What a store can't do is 501 and says why, or is named among the assumptions: no
//! route answers as if it had done what its document says.

use std::fs;

use super::{document, manifest, root};

#[test]
fn the_documents_own_example_answers() {
    let page = fs::read_to_string(root().join("docs/document.md")).unwrap();
    let (_, example) = page.split_once("```yaml\n").unwrap();
    let made = manifest(&document(example.split_once("```").unwrap().0));
    assert!(made.unimplemented.is_empty(), "{:?}", made.unimplemented);
    assert!(made.routes.iter().any(|route| route.backend == "native") && made.routes.iter().any(|route| route.backend == "provider"));
}
