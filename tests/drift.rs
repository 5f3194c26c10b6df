//! Generated files are as they would be generated now.

use std::{fs, path::Path};

#[test]
fn generated_files_are_fresh() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = flywheel::generate::files().unwrap();
    assert!(files.len() >= 10, "fewer files are generated than there were: {:?}", files.keys());
    let stale: Vec<_> = files
        .iter()
        .filter(|(path, content)| fs::read_to_string(root.join(path)).ok().as_ref() != Some(content))
        .map(|(path, _)| path)
        .collect();
    assert!(stale.is_empty(), "stale: {stale:?}; run `make generate` and commit what it writes");
}
