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

/// What is assumed of a package, a line each.
fn assumed(package: &Manifest) -> String {
    package.assumptions.iter().map(|assumption| format!("{}: {}\n", assumption.path, assumption.text)).collect()
}

fn file<'a>(package: &'a Manifest, name: &str) -> &'a str {
    &package.files.iter().find(|file| file.path.ends_with(name)).unwrap().content
}

const NOTE: &str =
    "  Note: {type: object, required: [id, text], properties: {id: {type: string}, text: {type: string}, tags: {type: array}}}";
const CREATE: &str = "route: POST /v1/notes, operation_id: create_note, status: 201, request: Note, response: Note, description: Keep one";
const READ: &str = "route: 'GET /v1/notes/:id', operation_id: get_note, status: 200, response: Note, description: Read one";
const LIST: &str = "route: GET /v1/notes, operation_id: list_notes, status: 200, response: json, description: List them";

#[test]
fn what_a_type_requires_and_nothing_knows_is_named() {
    let comment = "  Comment: {type: object, required: [id, author_id, note_id, post_id, done], properties: {id: {type: string}, author_id: {type: string}, note_id: {type: string}, post_id: {type: string}, done: {type: boolean}}}\n  Stats: {type: object, required: [open, done], properties: {open: {type: integer}, done: {type: integer}}}";
    let post =
        "route: 'POST /v1/posts/:post_id/notes', operation_id: create_note, status: 201, request: json, response: Comment, description: c";
    let read = "route: 'GET /v1/posts/:post_id/notes/:id', operation_id: get_note, status: 200, response: Comment, description: c";
    let stats = "route: 'GET /v1/posts/:post_id/notes/stats', operation_id: get_stats, status: 200, response: Stats, description: c";
    let typed = post.replace("request: json", "request: Note");
    let package = package(&format!("{NOTE}\n{comment}"), &[&typed, read, stats]);
    let assumed = assumed(&package);
    assert!(assumed.contains("Comment requires author_id, done, which nothing keeps"), "{assumed}");
    assert!(assumed.contains("Stats requires open, done, which nothing keeps"), "{assumed}");
    assert!(file(&package, "src/index.ts").contains("  ids: [\"note_id\"],\n"), "{}", file(&package, "src/index.ts"));
}

#[test]
fn what_anybody_sees_hides_what_is_private() {
    let paste = "  Paste: {type: object, properties: {text: {type: string}, visibility: {enum: [public, private]}}}";
    let create = CREATE.replace("Note", "Paste");
    let list = format!("{LIST}, price: free, auth: none");
    let read = format!("{READ}, price: free, auth: none").replace("Note", "Paste");
    // What is nobody's can be hidden from nobody.
    let missing = missing(paste, &[&format!("{create}, price: free, auth: none"), &list, &read]);
    assert_eq!(missing.keys().collect::<Vec<_>>(), ["list_notes"]);
    assert!(missing["list_notes"].contains("visibility"), "{missing:?}");
    // Who pays sees their own, and everybody what is not private.
    assert!(self::missing(paste, &[&create, LIST]).is_empty());
    assert!(self::missing(paste, &[&create, &list, &read]).is_empty());
}

#[test]
fn a_clearing_that_would_leave_some_is_none() {
    let clear = "route: DELETE /v1/notes, operation_id: clear_notes, status: 200, response: json, description: Remove the oldest, query_params: [{name: NAME, type: integer, description: x}]";
    for (name, reason) in [("limit", "limit would leave some"), ("page", "page would leave some"), ("age", "asks for age")] {
        let missing = missing(NOTE, &[CREATE, READ, &clear.replace("NAME", name)]);
        assert_eq!(missing.keys().collect::<Vec<_>>(), ["clear_notes"]);
        assert!(missing["clear_notes"].contains(reason), "{missing:?}");
    }
    assert!(missing(NOTE, &[CREATE, READ, &clear.replace("NAME, type: integer", "text, type: string")]).is_empty());
}

#[test]
fn what_is_asked_for_is_a_field_of_what_is_kept() {
    let search =
        "route: POST /v1/notes/search, operation_id: search_notes, status: 200, request: Search, response: json, description: Find some";
    for (fields, reason) in [
        ("query: {type: string}, limit: {type: integer}, text: {type: string}, id: {type: string}", None),
        ("tags: {type: array}", Some("tags")),
        ("from: {type: string, format: date-time}", Some("from")),
        ("limit: {type: string}", Some("limit")),
        ("query: {type: object}", Some("query")),
    ] {
        let types = format!("{NOTE}\n  Search: {{type: object, properties: {{{fields}}}}}");
        let missing = missing(&types, &[CREATE, READ, search]);
        assert_eq!(missing.keys().collect::<Vec<_>>(), reason.iter().map(|_| "search_notes").collect::<Vec<_>>(), "{fields}");
        assert!(reason.is_none_or(|name| missing["search_notes"].contains(&format!("asks for {name},"))), "{missing:?}");
    }

    let query =
        "query_params: [{name: text, type: string}, {name: mood, type: string}, {name: tags, type: string}, {name: limit, type: integer}]";
    let made = package(NOTE, &[CREATE, READ, &format!("{LIST}, {query}")]);
    assert!(made.unimplemented.is_empty(), "{:?}", made.unimplemented);
    assert!(assumed(&made).contains("mood is no field of what is kept: a call with it answers 501"), "{}", assumed(&made));
    assert!(file(&made, "src/service.ts").contains("const lacks = [\"mood\", \"tags\"];"), "{}", file(&made, "src/service.ts"));
    // One that must be there leaves nothing to answer, and a search without it is another.
    let required = format!("{LIST}, query_params: [{{name: lat, type: number, required: true}}]");
    assert!(missing(NOTE, &[CREATE, READ, &required])["list_notes"].contains("asks for lat"));
    let near = "route: GET /v1/notes/search, operation_id: search_notes, status: 200, response: json, description: Near, query_params: [{name: radius_km, type: number}]";
    assert!(missing(NOTE, &[CREATE, READ, near])["search_notes"].contains("asks for radius_km"));
    // One item is answered as it is kept, and not at another width.
    let made = package(NOTE, &[CREATE, &format!("{READ}, query_params: [{{name: width, type: integer}}]")]);
    assert!(assumed(&made).contains("width is no field of what is kept: a call with it answers 501"), "{}", assumed(&made));
    assert!(file(&made, "src/service.ts").contains("asItIs(query, lacks);"), "{}", file(&made, "src/service.ts"));
    let wide = format!("{READ}, query_params: [{{name: width, type: integer, required: true}}]");
    assert!(missing(NOTE, &[CREATE, &wide])["get_note"].contains("asks for width"));
    // Of what may have any field nothing is known.
    assert!(missing(NOTE, &[&CREATE.replace("request: Note", "request: json"), READ, &required]).is_empty());
}

#[test]
fn nobody_logs_in_and_nothing_is_read_once() {
    let login = "route: POST /v1/sessions, operation_id: create_session, status: 201, request: json, response: json, description: Log in, errors: [{status: 401, code: wrong, description: Wrong}]";
    let session = "route: 'GET /v1/sessions/:token', operation_id: get_session, status: 200, response: json, description: Who it is";
    let missing = missing("", &[login, session]);
    assert!(missing["create_session"].contains("who logs in"), "{missing:?}");
    assert!(missing["get_session"].contains("nothing in the document stores"), "{missing:?}");
    // A key is looked at, and a payment proves a wallet.
    let guarded = login.replace("Log in", "Keep one").replace("description: Wrong", "description: Missing x-internal-key");
    assert!(
        self::missing("", &[&format!("{guarded}, price: free, auth: internal"), &format!("{session}, price: free, auth: internal")])
            .is_empty()
    );

    for (read, reason) in [
        (format!("{READ}, query_params: [{{name: passphrase, type: string}}]"), "passphrase must be held against"),
        (READ.replace("Read one", "Read it once; it is gone afterwards"), "is to be read once"),
        (READ.replace("Read one", "Burns after reading"), "is to be read once"),
        (format!("{READ}, price: free, auth: none, errors: [{{status: 403, code: no, description: No}}]"), "tells nobody apart"),
    ] {
        let missing = self::missing(NOTE, &[CREATE, &read]);
        assert!(missing["get_note"].contains(reason), "{missing:?}");
        assert!(missing["create_note"].contains("answers what it would store"), "{missing:?}");
        // What is listed is kept for somebody.
        assert_eq!(self::missing(NOTE, &[CREATE, &read, LIST]).keys().collect::<Vec<_>>(), ["get_note"]);
    }
    assert!(self::missing(NOTE, &[CREATE, &READ.replace("Read one", "Read one at once")]).is_empty());
    // What says itself how often it is read is.
    let note = NOTE.replace("text: {type: string}", "text: {type: string}, max_views: {type: integer}");
    assert!(self::missing(&note, &[CREATE, &READ.replace("Read one", "Burns after its last view")]).is_empty());
}

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
