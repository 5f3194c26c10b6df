//! What a store can't do is 501 and says why, or is named among the assumptions: no
//! route answers as if it had done what its document says.

use std::{collections::BTreeMap, fs};

use flywheel::scaffold::Manifest;

use super::{document, manifest, root};

/// A package of a document with these types and routes.
fn package(types: &str, routes: &[&str]) -> Manifest {
    let routes = routes.iter().map(|route| format!("\n  - {{{route}}}")).collect::<String>();
    manifest(&document(&format!("id: a\ndescription: b\ntypes:\n  Any: {{type: object}}\n{types}\nroutes_map:{routes}\n")))
}

/// Why routes answer 501, by their operations.
fn missing(types: &str, routes: &[&str]) -> BTreeMap<String, String> {
    package(types, routes).unimplemented.into_iter().map(|route| (route.operation, route.reason)).collect()
}

fn file<'a>(package: &'a Manifest, name: &str) -> &'a str {
    &package.files.iter().find(|file| file.path.ends_with(name)).unwrap().content
}

const NOTE: &str =
    "  Note: {type: object, required: [id, text], properties: {id: {type: string}, text: {type: string}, tags: {type: array}}}";
const CREATE: &str = "route: POST /v1/notes, operation_id: create_note, status: 201, request: Note, response: Note, description: Keep one";
const READ: &str = "route: 'GET /v1/notes/:id', operation_id: get_note, status: 200, response: Note, description: Read one";

#[test]
fn a_switch_of_the_type_is_turned() {
    let act = |word: &str| {
        format!("route: 'POST /v1/notes/:id/{word}', operation_id: {word}_note, status: 200, request: null, response: Note, description: c")
    };
    let typed = |fields: &str, more: &str| {
        format!("  Note: {{type: object, required: [id], properties: {{id: {{type: string}}, {fields}}}{more}}}")
    };
    for (word, field, on) in [
        ("enable", "enabled", true),
        ("disable", "enabled", false),
        ("disable", "disabled", true),
        ("complete", "done", true),
        ("archive", "archived", true),
        ("unarchive", "is_archived", false),
        ("pin", "isPinned", true),
    ] {
        let made = package(&typed(&format!("{field}: {{type: boolean}}"), ""), &[CREATE, READ, &act(word)]);
        let service = file(&made, "src/service.ts");
        assert!(service.contains(&format!("const status = {{ to: {on}, field: \"{field}\" }};")), "{word}: {service}");
        assert!(!file(&made, "src/store.ts").contains("status"), "{word}");
    }
    let status = package(&typed("status: {type: string}, archived: {type: boolean}", ""), &[CREATE, READ, &act("archive")]);
    assert!(file(&status, "src/service.ts").contains("const status = { to: \"archived\" };"));
    let closed = ", additionalProperties: false";
    let nowhere = missing(&typed("text: {type: string}", closed), &[CREATE, READ, &act("archive")]);
    assert!(nowhere["archive_note"].contains("no answer has a field that says so"), "{nowhere:?}");
    assert!(missing(&typed("text: {type: string}", ""), &[CREATE, READ, &act("archive")]).is_empty());

    let reset = missing(NOTE, &[CREATE, READ, &act("reset")]);
    assert!(reset["reset_note"].contains("nothing in the document counts"), "{reset:?}");
    assert!(missing(NOTE, &[CREATE, READ, &act("reset"), &act("increment")]).is_empty());
    assert!(missing(&typed("count: {type: integer}", ""), &[CREATE, READ, &act("reset")]).is_empty());
}

#[test]
fn the_documents_own_example_answers() {
    let page = fs::read_to_string(root().join("docs/document.md")).unwrap();
    let (_, example) = page.split_once("```yaml\n").unwrap();
    let made = manifest(&document(example.split_once("```").unwrap().0));
    assert!(made.unimplemented.is_empty(), "{:?}", made.unimplemented);
    assert!(made.routes.iter().any(|route| route.backend == "native") && made.routes.iter().any(|route| route.backend == "provider"));
}
