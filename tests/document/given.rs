//! The documents in use: the checker finds in them what `findings.txt` says, and
//! nothing else. That list was made from a description of the old format and not
//! from the checker's output; it has names of files and findings alone.

use std::{collections::BTreeSet, fs};

use flywheel::prim;

use crate::scaffold::given;

const EXPECTED: &str = include_str!("findings.txt");

#[test]
fn the_checker_finds_in_the_documents_in_use_what_is_known_to_be_wrong() {
    // `given` says so loudly where there are none.
    for file in given() {
        let folder = file.parent().and_then(|p| p.file_name()).unwrap().to_string_lossy().into_owned();
        let name = format!("{folder}/{}", file.file_name().unwrap().to_string_lossy());
        // Documents that nobody wrote a list for are only read, by `scaffold`.
        let listed = EXPECTED.lines().any(|line| line.starts_with(&format!("{name} "))) || CLEAN.contains(&name.as_str());
        if !listed {
            eprintln!("SKIPPED: {name} is not in findings.txt");
            continue;
        }
        let findings = prim::check_text(&fs::read_to_string(&file).unwrap()).findings;
        assert!(findings.iter().all(|finding| finding.position.is_some()), "{name}: a finding without its place");
        let found: BTreeSet<_> = findings.iter().map(|f| format!("{name} {} {}", f.code.as_str(), f.path)).collect();
        let expected: BTreeSet<_> = EXPECTED.lines().filter(|line| line.starts_with(&format!("{name} "))).map(str::to_owned).collect();
        assert_eq!(found, expected);
    }
}

/// Documents in which nothing is wrong.
const CLEAN: [&str; 1] = ["prims/search.prim.yaml"];

#[test]
fn the_list_names_codes_that_exist() {
    for line in EXPECTED.lines() {
        let parts: Vec<_> = line.split(' ').collect();
        assert!(parts.len() == 3 && prim::Code::ALL.iter().any(|code| code.as_str() == parts[1]), "{line}");
    }
    assert!(EXPECTED.lines().count() > 100);
}
