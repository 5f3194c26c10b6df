//! What the reader takes, what it says it assumed, and what it refuses.

use flywheel::prim::{self, Body, Segment};

use super::{document, given, load, own};

fn assumed(yaml: &str) -> Vec<String> {
    document(yaml).assumptions.iter().map(ToString::to_string).collect()
}

#[test]
fn every_document_there_is_can_be_read() {
    for path in given().into_iter().chain(own()) {
        if let Err(problems) = load(&path) {
            panic!("{}: {problems:?}", path.display());
        }
    }
}

#[test]
fn every_problem_is_named_at_once_with_its_place() {
    let problems = prim::read(
        "id: Search\nport: 0\nversion: '1\"'\nenv: [lower, OK]\nfactory: {free_service: maybe}\nroutes_map:\n\
         - {route: FETCH /x}\n- {route: GET x}\n- {route: POST /}\n- {}\n- {route: GET /a/:id}\n- {route: 'GET /a/{key}'}\n\
         - {route: GET /b, price: cheap, status: 299, errors: [{status: 200}], query_params: [{name: 'a b'}]}\n- text\n",
    )
    .unwrap_err();
    let places: Vec<_> = problems.iter().map(|problem| problem.path.as_str()).collect();
    for place in [
        "id",
        "port",
        "version",
        "env[0]",
        "factory.free_service",
        "routes_map[0].route",
        "routes_map[1].route",
        "routes_map[2].route",
        "routes_map[3].route",
        "routes_map[5].route",
        "routes_map[6].price",
        "routes_map[6].status",
        "routes_map[6].errors[0].status",
        "routes_map[6].query_params[0].name",
        "routes_map[7]",
    ] {
        assert!(places.contains(&place), "{place} is not among {places:?}");
    }
    assert_eq!(prim::read("a: [").unwrap_err().len(), 1);
    assert!(prim::read("a: 1\na: 2").unwrap_err()[0].text.contains("YAML"));
    assert!(prim::read("[]").unwrap_err()[0].text.contains("mapping"));
    assert!(prim::read("id: www").unwrap_err()[0].text.contains("www"));
}

#[test]
fn a_leniency_is_an_assumption() {
    for (yaml, expected) in [
        ("id: a", "name: absent, so a.sh"),
        ("id: a\nport: '3000'", "port: the digits are the number"),
        ("id: a\nproviders: [{name: x, env_key: X_KEY}]", "providers[0].env_key: is the one entry of env"),
        ("id: a\nroutes_map: [{route: POST /v1/x}]", "routes_map[0].operation_id: absent, so post_x"),
        ("id: a\nroutes_map: [{route: POST /v1/x}]", "routes_map[0].request: absent, so any JSON object"),
        ("id: a\nroutes_map: [{route: GET /v1/x, request: A, request_type: B}]", "differs from request, and holds"),
        ("id: a\nroutes_map: [{route: GET /a, operation_id: x}, {route: GET /b, operation_id: x}]", "x is taken, so x2"),
        ("id: a\nquick_start: [{Note: this}]", "quick_start[0]: is no text"),
    ] {
        let all = assumed(yaml);
        assert!(all.iter().any(|line| line.contains(expected)), "{yaml}: {all:?}");
    }
}

#[test]
fn prose_in_the_place_of_a_type_is_understood_or_any_json() {
    let read = document(
        "id: a\ntips: ['Key may include slashes']\nroutes_map:\n\
         - {route: 'GET /o/:key', response: 'Raw bytes (application/octet-stream)'}\n\
         - {route: 'PUT /o/:key', notes: 'Request body is raw bytes', response: null}\n\
         - {route: 'GET /p', response: some sentence}\n- {route: POST /q, request_type: null, response_type: Named}\n",
    );
    let [get, put, prose, named] = &read.routes[..] else { panic!() };
    assert_eq!((&get.request, &get.response), (&Body::None, &Body::Bytes));
    assert_eq!((&put.request, &put.response), (&Body::Bytes, &Body::None));
    assert_eq!(prose.response, Body::Json(None));
    assert_eq!((&named.request, &named.response), (&Body::None, &Body::Json(Some("Named".into()))));
    assert_eq!(put.path.segments.last(), Some(&Segment::Param { name: "key".into(), slashes: true }));
}

#[test]
fn the_hash_ignores_order_comments_defaults_and_aliases() {
    let plain = "id: a\nname: a.sh\nroutes_map:\n- {route: POST /x, operation_id: x, request: X, response: null}\nextra: {deep: [1]}\n";
    let other = "# about a\nextra: {deep: [1]}\nroutes_map:\n- {response_type: null, request_type: X, operation_id: x, status: 200, route: POST /x, errors: []}\n\
                 id: a\nshow_on_index: true\nnote: null\n";
    assert_eq!(document(plain).hash(), document(other).hash());
    for changed in ["extra: {deep: [2]}", "extra: {deep: [1], more: 1}"] {
        assert_ne!(document(plain).hash(), document(&plain.replace("extra: {deep: [1]}", changed)).hash());
    }
    assert_ne!(document(plain).hash(), document(&plain.replace("response: null", "response: Y")).hash());
    assert_eq!(document("{\"id\": \"a\"}").hash(), document("id: a").hash());
}

#[test]
fn a_written_document_reads_as_the_same() {
    for path in given().into_iter().chain(own()) {
        let read = load(&path).unwrap();
        let again = document(&read.to_yaml());
        assert_eq!(again.given(), read.given(), "{}", path.display());
        assert_eq!(again.to_yaml(), read.to_yaml(), "{}", path.display());
        assert_eq!(again.hash(), read.hash(), "{}", path.display());
    }
}
