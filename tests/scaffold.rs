//! From documents to packages: what is read and what is refused, what a route
//! costs and what answers it, and that what comes out is the same every time and
//! passes the factory's own checks. `checked.rs` runs those under Bun on every
//! document there is, and says loudly what it lacks. The documents in use are
//! read from where `FLYWHEEL_SPECS` says and are no part of the checkout.

mod accepted;
mod behaves;
mod checked;
mod command;
mod derived;
mod floor;
mod honest;
mod kept;
mod manifests;
mod money;
mod random;
mod reading;
mod routes;
mod rules;
mod sdk;
mod smoke;
mod typed;
mod works;
pub mod workspace;

use std::{
    fs,
    path::{Path, PathBuf},
};

use flywheel::{
    prim::{self, Document, Problem},
    scaffold::{self, Manifest, Options},
};
use serde_json::Value;

/// Texts that would like to be code.
const CODE: [&str; 15] = ["*/", "/*", "//", "\"", "'", "`", "}", "\\", "<script>", "|", "{{ x }}", "{% y %}", "---", ": ", "日本"];

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// YAML files of a folder, by name; none where there is no such folder.
fn yaml(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.filter(|path| path.extension().is_some_and(|e| e == "yaml")).collect();
    files.sort();
    files
}

/// The documents in use, where they are: in `prims/` and `site-prims/`, else in the
/// folder itself.
pub fn given() -> Vec<PathBuf> {
    let named = std::env::var_os("FLYWHEEL_SPECS").filter(|specs| !specs.is_empty());
    let specs = named.map_or_else(|| root().join("../shared/data/prim.sh"), PathBuf::from);
    let mut files = ["prims", "site-prims"].into_iter().flat_map(|folder| yaml(&specs.join(folder))).collect::<Vec<_>>();
    if files.is_empty() {
        files = yaml(&specs);
    }
    if files.is_empty() {
        assert!(std::env::var_os("FLYWHEEL_REQUIRE_SPECS").is_none(), "no documents at {}", specs.display());
        eprintln!("SKIPPED: no documents at {}: set FLYWHEEL_SPECS to a folder of documents", specs.display());
    }
    files
}

/// Documents of our own: those made for tests, and the examples.
pub fn own() -> Vec<PathBuf> {
    let mut files = yaml(&root().join("tests/scaffold/documents"));
    files.extend(yaml(&root().join("manifests/examples")).into_iter().filter(|p| p.to_string_lossy().contains("/primitive-")));
    assert!(files.len() > 5, "{files:?}");
    files
}

/// A file's document, also from within a Primitive.
pub fn load(path: &Path) -> Result<Document, Vec<Problem>> {
    let text = fs::read_to_string(path).unwrap();
    let mut value = prim::value(&text).map_err(|problem| vec![problem])?;
    if value["kind"] == "Primitive" {
        value = value.pointer_mut("/spec/document").map(Value::take).unwrap_or_default();
    }
    prim::from_value(value)
}

fn manifest(document: &Document) -> Manifest {
    scaffold::manifest(document, &Options::at("$0.01".parse().unwrap())).unwrap()
}

/// A document of one line each.
fn document(yaml: &str) -> Document {
    prim::read(yaml).unwrap_or_else(|problems| panic!("{problems:?}"))
}
