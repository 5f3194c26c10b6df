//! Where what a service keeps lies, whose its names are, and who puts what into it, as
//! documents say. What comes of that over a file is in `http/kept.test.ts`.

use std::fs;

use flywheel::{
    prim,
    scaffold::{Manifest, altered, lost},
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
            kept.map(|kept| (kept.home, kept.one, kept.within, kept.routes)).collect::<Vec<_>>()
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
    assert_eq!(made.kept.iter().map(|kept| &kept.home[..]).collect::<Vec<_>>(), ["/v1/files", "PUT /v1/files/:"]);
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

const SETTINGS: [&str; 2] =
    ["route: PUT /v1/settings, operation_id: set_settings, request: json", "route: GET /v1/settings, operation_id: get_settings"];
const SETTING: [&str; 3] = [
    "route: 'PUT /v1/settings/:key', operation_id: put_setting, request: json",
    "route: 'GET /v1/settings/:key', operation_id: get_setting",
    "route: 'DELETE /v1/settings/:key', operation_id: delete_setting",
];

#[test]
fn what_there_is_one_of_stays_where_items_come_below_its_path() {
    let (before, now) = (package(&SETTINGS), package(&[&SETTINGS[..], &SETTING].concat()));
    assert!(now.unimplemented.is_empty(), "{:?}", now.unimplemented);
    assert_eq!(lost(&before.kept, &now.kept), Vec::<String>::new());
    assert_eq!(
        now.kept.iter().map(|kept| (&kept.home[..], kept.one)).collect::<Vec<_>>(),
        [("/v1/settings", false), ("/v1/settings", true)]
    );
    let written = |made: &Manifest| made.files.iter().find(|file| file.path.ends_with("/src/service.ts")).unwrap().content.clone();
    assert!(written(&now).contains(".part(store.") && written(&now).contains(".replacePart(store."), "{}", written(&now));
    assert!(collection(&now, "setting").contains("key: ") && !collection(&now, "setting2").contains("key: "));
    // Where it lists them, or something is made there, it is none of these.
    for (at, other) in [
        (1, "route: GET /v1/settings, operation_id: list_settings"),
        (0, "route: POST /v1/settings, operation_id: create_setting, request: json"),
    ] {
        let mut routes = [&SETTINGS[..], &SETTING].concat();
        routes[at] = other;
        let made = package(&routes);
        assert!(made.kept.iter().all(|kept| !kept.one), "{other}: {:?}", made.kept);
    }
    // What was a list, and is what there is one of now, is told.
    let told = lost(&package(&[&SETTINGS[1..], &SETTING].concat()).kept, &now.kept);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("GET /v1/settings is about what there is one of at /v1/settings now"), "{told:?}");
}

#[test]
fn a_route_that_is_about_something_else_by_now_is_told() {
    let boards = ["route: POST /v1/boards, operation_id: create_board, request: json", "route: GET /v1/boards, operation_id: list_boards"];
    let cards = [
        "route: 'POST /v1/boards/:id/cards', operation_id: create_card, request: json",
        "route: 'GET /v1/boards/:id/cards', operation_id: list_cards",
        "route: 'GET /v1/cards/:id', operation_id: get_card",
    ];
    let others = ["route: POST /v1/cards, operation_id: make_card, request: json", "route: GET /v1/cards, operation_id: read_cards"];
    let before = package(&[&boards[..], &cards].concat());
    let now = package(&[&boards[..], &cards, &others].concat());
    let told = lost(&before.kept, &now.kept);
    assert_eq!(told.len(), 1, "{told:?}");
    let wanted = "GET /v1/cards/:id is about what lies below /v1/cards now, and was about what lies below /v1/boards/:/cards";
    assert!(told[0].contains(wanted), "{told:?}");
    assert_eq!(altered(&before.kept, &now.kept), Vec::<String>::new());
}

#[test]
fn what_was_made_for_nothing_is_told_once_that_is_paid_for() {
    let routes = |price: &str| {
        let all = [
            "route: POST /v1/notes, operation_id: create_note, request: json",
            "route: 'GET /v1/notes/:id', operation_id: get_note",
            "route: 'DELETE /v1/notes/:id', operation_id: delete_note",
        ];
        let all = all.map(|route| format!("{route}{price}"));
        package(&all.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let (free, paid) = (routes(", price: free, auth: none"), routes(""));
    let told = altered(&free.kept, &paid.kept);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("note: making what lies below /v1/notes was free"), "{told:?}");
    assert_eq!((altered(&paid.kept, &free.kept), altered(&free.kept, &free.kept)), (vec![], vec![]));
    // Where some are made for nothing still, who pays changes what nobody owns.
    let internal = "route: 'POST /v1/kv/:key/increment', operation_id: increment_value, request: json, price: free, auth: internal";
    let kv = ["route: 'PUT /v1/kv/:key', operation_id: put_value, request: json", "route: 'GET /v1/kv/:key', operation_id: get_value"];
    for (routes, unowned) in [(kv.to_vec(), false), ([&kv[..], &[internal]].concat(), true)] {
        assert_eq!(collection(&package(&routes), "value").contains("unowned: true"), unowned, "{routes:?}");
    }
}

#[test]
fn ids_of_another_kind_are_told() {
    let made = |kind: &str| {
        manifest(&document(&format!(
            "id: a\ndescription: b\npricing: [{{op: All, price: $0.01}}]\n\
             types: {{Note: {{type: object, properties: {{id: {{type: {kind}}}, text: {{type: string}}}}}}}}\n\
             routes_map:\n  - {{route: POST /v1/notes, operation_id: create_note, request: json, response: Note, description: d}}\n  \
             - {{route: 'GET /v1/notes/:id', operation_id: get_note, response: Note, description: d}}\n"
        )))
    };
    let (texts, numbers) = (made("string"), made("integer"));
    let told = altered(&texts.kept, &numbers.kept);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("are whole numbers now, and were texts"), "{told:?}");
    assert!(altered(&numbers.kept, &texts.kept)[0].contains("are texts now"));
    assert_eq!(altered(&numbers.kept, &numbers.kept), Vec::<String>::new());
}

/// A package with values by their keys, where POST makes one of this type.
fn values(post: Option<&str>, put: &str) -> Manifest {
    let post = post.map(|kind| {
        format!("  - {{route: POST /v1/kv, operation_id: create_value, status: 201, request: {kind}, response: json, description: d}}\n")
    });
    manifest(&document(&format!(
        "id: a\ndescription: b\npricing: [{{op: All, price: $0.01}}]\ntypes:\n  \
         Named: {{type: object, properties: {{key: {{type: string}}, value: {{type: string}}}}}}\n\
         routes_map:\n{}  - {{route: 'PUT /v1/kv/:key', request: json, response: json, description: d, {put}}}\n  \
         - {{route: 'GET /v1/kv/:key', operation_id: get_value, response: json, description: d}}\n",
        post.unwrap_or_default()
    )))
}

#[test]
fn a_put_makes_what_callers_name_though_a_post_does_too() {
    let put = "operation_id: put_value";
    let missing = "operation_id: put_value, errors: [{status: 404, code: none, description: d}]";
    for (post, with, makes) in [
        (None, put, true),
        (Some("Named"), put, true),
        (Some("Named"), "operation_id: update_value", true),
        (Some("json"), put, true),
        (Some("json"), "operation_id: update_value", false),
        (Some("Named"), missing, false),
    ] {
        let made = values(post, with);
        let kept = made.kept.iter().find(|kept| kept.home == "/v1/kv").unwrap();
        assert_eq!(kept.makes.contains("PUT /v1/kv/:"), makes, "{post:?} {with}");
        let told = altered(&values(None, with).kept, &made.kept);
        assert_eq!(told.len(), usize::from(!makes), "{told:?}");
        assert!(told.iter().all(|told| told.contains("PUT /v1/kv/:key made what was not there")), "{told:?}");
    }
}

#[test]
fn what_a_vendor_makes_is_its_payers_by_whatever_verb() {
    let routes = |verb: &str, read: &str| {
        let text = format!(
            "id: coins\ndescription: b\nenv: [CHAIN_API_KEY, CHAIN_BASE_URL]\nproviders: [{{name: chain, env: [CHAIN_API_KEY, CHAIN_BASE_URL], status: active, default: true}}]\npricing: [{{op: All, price: $0.01}}]\nroutes_map:\n  \
             - {{route: POST /v1/coins, operation_id: {verb}, request: json, response: json, description: d}}\n  \
             - {{route: {read}, operation_id: get_coin, response: json, description: d, errors: [{{status: 403, code: forbidden, description: d}}]}}\n"
        );
        manifest(&document(&text)).kept.len()
    };
    assert_eq!(routes("deploy_coin", "'GET /v1/coins/:id'"), 1);
    // A look makes nothing, nor does what nobody reads afterwards.
    assert_eq!(routes("search_coins", "'GET /v1/coins/:id'"), 0);
    assert_eq!(routes("deploy_coin", "GET /v1/rates"), 0);
    // What a vendor says of a name is no item of anybody's, unless it says that it made one.
    assert_eq!(routes("quote_coins", "'GET /v1/coins/:symbol'"), 0);
    assert_eq!(routes("deploy_coin, status: 201", "'GET /v1/coins/:symbol'"), 1);
    assert_eq!(routes("delete_coins", "'GET /v1/coins/:id'"), 0);
}

#[test]
fn things_lie_within_what_is_known_and_nothing_else() {
    let put = |path: &str, noun: &str| {
        [
            format!("route: 'PUT /v1/{path}', operation_id: put_{noun}, request: json"),
            format!("route: 'GET /v1/{path}', operation_id: get_{noun}"),
        ]
    };
    let within = |outer: [String; 2], path: &str| {
        let routes: Vec<_> = outer.into_iter().chain(put(path, "thing")).collect();
        let made = package(&routes.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(made.unimplemented.is_empty(), "{:?}", made.unimplemented);
        let thing = collection(&made, "thing");
        (thing.contains("within: "), thing.contains("below: 1"), thing.contains("apart: true"))
    };
    assert_eq!(within(put("boxes/:name", "box"), "boxes/:name/things/:thing"), (true, false, false));
    assert_eq!(within(put("boxes/:name", "box"), "boxes/:name/lids/things/:thing"), (true, false, false));
    assert_eq!(within(put("boxes/:name", "box"), "boxes/:name/sides/:side/things/:thing"), (true, true, false));
    // A name below a name, and what there is one of.
    assert_eq!(within(put("kv/:key", "value"), "kv/:scope/:key"), (false, false, true));
    assert_eq!(within(put("settings", "settings"), "settings/:app/sides/:side/things/:thing"), (false, false, true));
    assert_eq!(within(put("settings", "settings"), "settings/:app/things/:thing"), (false, false, true));
}

#[test]
fn a_conflict_is_of_the_field_that_its_code_names() {
    let unique = |code: &str| {
        let create = format!(
            "route: POST /v1/queues, operation_id: create_queue, request: json, errors: [{{status: 409, code: {code}, description: d}}]"
        );
        let made = package(&[&create, "route: GET /v1/queues, operation_id: list_queues"]);
        let written = made.files.iter().find(|file| file.path.ends_with("/src/service.ts")).unwrap().content.clone();
        let (_, fields) = written.split_once("unique: {")?;
        Some(fields.split_once(':')?.0.trim().to_owned())
    };
    assert_eq!(unique("name_taken").as_deref(), Some("name"));
    assert_eq!(unique("queue_name_taken").as_deref(), Some("name"));
    // Two queues may have one name, whatever they are displayed as.
    assert_eq!(unique("display_name_taken"), None);
    assert_eq!(unique("order_id_conflict"), None);
}

#[test]
fn a_search_is_of_what_is_kept_unless_it_says_otherwise() {
    let served = |said: &str| {
        let text = format!(
            "id: a\ndescription: b\npricing: [{{op: All, price: $0.01}}]\nroutes_map:\n  \
             - {{route: POST /v1/rooms, operation_id: create_room, request: json, response: json, description: d}}\n  \
             - {{route: GET /v1/rooms, operation_id: list_rooms, response: json, description: d}}\n  \
             - {{route: GET /v1/rooms/search, operation_id: search_rooms, response: json, description: {said}}}\n"
        );
        manifest(&document(&text)).unimplemented.is_empty()
    };
    assert!(served("'Search rooms by name. Available to every wallet.'"));
    for said in ["Search available rooms", "Search rooms. Tells room availability", "Search available names"] {
        assert!(!served(said), "{said}");
    }
}

#[test]
fn what_is_stored_by_a_field_has_it() {
    let made = |field: &str, op: &str| {
        let text = format!(
            "id: a\ndescription: b\npricing: [{{op: All, price: $0.01}}]\n\
             types: {{Flag: {{type: object, properties: {{{field}: {{type: string}}}}}}}}\n\
             routes_map:\n  - {{route: POST /v1/flags, operation_id: {op}, status: 201, request: Flag, response: json, description: d}}\n  \
             - {{route: 'GET /v1/flags/:flag', operation_id: get_flag, response: json, description: d}}\n"
        );
        manifest(&document(&text)).unimplemented
    };
    assert!(made("flag", "set_flag").is_empty());
    assert!(made("note", "set_flag").iter().any(|route| route.reason.contains("has no field flag")), "{:?}", made("note", "set_flag"));
    // What is made has a name of its own.
    assert!(made("note", "create_flag").is_empty(), "{:?}", made("note", "create_flag"));
}
