//! Where what a service keeps lies, whose its names are, and who puts what into it, as
//! documents say. What comes of that over a file is in `http/kept.test.ts`.

use std::{collections::BTreeSet, fs};

use flywheel::{
    prim,
    scaffold::{Manifest, lost},
};

use super::{document, given, manifest, own};

/// A package of these routes, which cost something unless they say otherwise.
fn package(routes: &[&str]) -> Manifest {
    let routes: String = routes.iter().map(|route| format!("\n  - {{{route}, response: json, description: d}}")).collect();
    manifest(&document(&format!("id: a\ndescription: b\npricing: [{{op: All, price: $0.01}}]\nroutes_map:{routes}\n")))
}

/// A collection of `src/store.ts` as it stands there.
fn collection(made: &Manifest, noun: &str) -> String {
    let store = &made.files.iter().find(|file| file.path.ends_with("/src/store.ts")).expect("something is kept").content;
    let (_, from) = store.split_once(&format!("const {noun}Items: Collection = {{")).unwrap_or_else(|| panic!("{noun}: {store}"));
    from.split_once("};").unwrap().0.to_owned()
}

const OPEN: &str = "price: free, auth: none";

#[test]
fn the_same_routes_keep_the_same_things_in_whichever_order() {
    let mut looked = 0;
    for path in given().into_iter().chain(own()) {
        let value = prim::value(&fs::read_to_string(&path).unwrap()).unwrap();
        let mut value = if value["kind"] == "Primitive" { value["spec"]["document"].clone() } else { value };
        let kept = |value: &serde_json::Value| {
            let kept = manifest(&prim::from_value(value.clone()).unwrap()).kept.into_iter();
            kept.map(|(home, kept)| (home, kept.within, kept.routes.into_iter().collect::<BTreeSet<_>>())).collect::<Vec<_>>()
        };
        let before = kept(&value);
        let Some(routes) = value["routes_map"].as_array_mut() else { continue };
        routes.reverse();
        assert_eq!(kept(&value), before, "{}", path.display());
        looked += usize::from(!before.is_empty());
    }
    assert!(looked > 5, "{looked}");
}

#[test]
fn of_one_noun_the_first_that_is_written_is_called_by_it_alone() {
    let notes = ["route: POST /v1/notes, operation_id: create_note, request: json", "route: GET /v1/notes, operation_id: read_all"];
    let drafts = ["route: POST /v1/drafts, operation_id: write_note, request: json", "route: GET /v1/drafts, operation_id: see_all"];
    for (routes, named) in [([notes, drafts], ["/v1/notes", "/v1/drafts"]), ([drafts, notes], ["/v1/drafts", "/v1/notes"])] {
        let made = package(&routes.concat());
        // Files of before are brought over by these names.
        for (noun, home) in ["note", "note2"].iter().zip(named) {
            assert!(collection(&made, noun).contains(&format!("name: \"{home}\"")), "{noun}: {}", collection(&made, noun));
        }
    }
}

#[test]
fn things_of_two_kinds_below_one_path_are_apart() {
    let json = ["route: POST /v1/files, operation_id: create_file, request: json", "route: GET /v1/files, operation_id: list_files"];
    let bytes = ["route: 'PUT /v1/files/:name', operation_id: put_blob, request: bytes", "route: GET /v1/blobs, operation_id: list_blobs"];
    let made = package(&[json, bytes].concat());
    assert!(made.unimplemented.is_empty(), "{:?}", made.unimplemented);
    assert_eq!(made.kept.keys().collect::<Vec<_>>(), ["/v1/files", "PUT /v1/files/:"]);
}

#[test]
fn what_is_made_lies_within_what_was_put_there_under_a_name() {
    let made = package(&[
        "route: 'PUT /v1/bins/:name', operation_id: put_bin, request: json",
        "route: 'GET /v1/bins/:name', operation_id: get_bin",
        "route: 'POST /v1/bins/:name/things', operation_id: add_thing, request: json",
        "route: 'GET /v1/bins/:name/things', operation_id: list_things",
        // What is replaced by its id alone is what was made in a box.
        "route: POST /v1/boxes, operation_id: create_box, request: json",
        "route: 'GET /v1/boxes/:id', operation_id: get_box",
        "route: 'POST /v1/boxes/:id/lids', operation_id: add_lid, request: json",
        "route: 'GET /v1/lids/:id', operation_id: get_lid",
        "route: 'PUT /v1/lids/:id', operation_id: replace_lid, request: json",
    ]);
    assert!(made.unimplemented.is_empty(), "{:?}", made.unimplemented);
    assert!(collection(&made, "thing").contains("within: binItems"), "{}", collection(&made, "thing"));
    assert!(collection(&made, "lid").contains("within: boxItems"), "{}", collection(&made, "lid"));
}

#[test]
fn names_are_each_wallets_own_unless_somebody_else_is_told_of_them() {
    let put = "route: 'PUT /v1/kv/:key', operation_id: put_value, request: json";
    let get = "route: 'GET /v1/kv/:key', operation_id: get_value";
    let error = |status: u16, code: &str| format!(", errors: [{{status: {status}, code: {code}, description: d}}]");
    let list = format!("route: GET /v1/kv, operation_id: list_values, {OPEN}");
    for (routes, own) in [
        (vec![put.to_owned(), get.to_owned()], true),
        (vec![put.to_owned(), format!("{get}{}", error(404, "none"))], true),
        (vec![format!("{put}{}", error(403, "limit_exceeded")), get.to_owned()], true),
        (vec![format!("{put}{}", error(409, "key_taken")), get.to_owned()], false),
        (vec![put.to_owned(), format!("{get}{}", error(403, "not_yours"))], false),
        (vec![put.to_owned(), get.to_owned(), list], false),
        (vec![put.to_owned(), format!("{get}, {OPEN}")], false),
        // What is made up is nobody's to say.
        (vec![put.replace(":key", ":slug"), get.replace(":key", ":slug")], false),
        // And what is held is held by one.
        (vec!["route: 'POST /v1/kv/:key/acquire', operation_id: acquire_value".into(), get.to_owned()], false),
    ] {
        let routes: Vec<_> = routes.iter().map(String::as_str).collect();
        assert_eq!(collection(&package(&routes), "value").contains("own: true"), own, "{routes:?}");
    }
}

#[test]
fn wallets_put_into_what_everybody_sees() {
    let poll = "route: POST /v1/polls, operation_id: create_poll, request: json";
    let read = format!("route: 'GET /v1/polls/:id', operation_id: get_poll, {OPEN}");
    let vote = "route: 'POST /v1/polls/:id/votes', operation_id: cast_vote, request: json";
    let votes = format!("route: 'GET /v1/polls/:id/votes', operation_id: list_votes, {OPEN}");
    let put = "route: 'PUT /v1/polls/:id/votes/:name', operation_id: put_vote, request: json";
    let error = |code: &str| format!("{vote}, errors: [{{status: 403, code: {code}, description: d}}]");
    for (routes, joined) in [
        ([poll, &read, vote, &votes], true),
        ([poll, &read, &error("poll_closed"), &votes], true),
        ([poll, &read, &error("not_yours"), &votes], false),
        ([poll, &read.replace(OPEN, "price: $0.01"), vote, &votes], false),
        ([poll, &read, put, &votes], false),
    ] {
        assert_eq!(collection(&package(&routes), "vote").contains("joined: true"), joined, "{routes:?}");
    }
}

#[test]
fn what_lies_elsewhere_is_told() {
    let post = "route: 'POST /v1/boards/:board/posts', operation_id: create_post, request: json";
    let list = "route: 'GET /v1/boards/:board/posts', operation_id: list_posts";
    let boards = ["route: POST /v1/boards, operation_id: create_board, request: json", "route: GET /v1/boards, operation_id: list_boards"];
    let (apart, within) = (package(&[post, list]), package(&[&boards[..], &[post, list]].concat()));
    let told = lost(&apart.kept, &within.kept);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("below /v1/boards/:/posts lies within what lies below /v1/boards now"), "{told:?}");
    assert_eq!(lost(&within.kept, &within.kept), Vec::<String>::new());
    assert_eq!(lost(&within.kept, &apart.kept).len(), 2);
}
