//! What the strict checker finds, and where.

use std::collections::BTreeSet;

use flywheel::prim::{self, Auth, BackendPattern, Body, Code, QueryKind};
use serde_json::{Value, json};

use super::{COMPLETE, codes, complete, findings};

#[test]
fn a_strict_document_has_no_finding_and_leaves_nothing_to_assume() {
    assert_eq!(findings(COMPLETE), []);
    let read = prim::read(COMPLETE).unwrap();
    assert_eq!(read.assumptions, []);
    // Strict in the least: what the format has defaults for is left out.
    let least = json!({"id": "a", "description": "A", "routes_map": []});
    assert_eq!(codes(&least), [""; 0]);
}

#[test]
fn extensions_are_typed() {
    let read = prim::read(COMPLETE).unwrap();
    let names: Vec<_> = read.types.iter().map(|kind| kind.name.as_str()).collect();
    assert_eq!(names, ["Address", "NewParcel", "Parcel", "Parcels"], "each after those that it refers to");
    assert!(read.kind("Parcel").is_some_and(|kind| kind.schema["required"] == json!(["id", "parcel"])));
    let route = |operation: &str| read.routes.iter().find(|route| route.operation == operation).unwrap();
    let create = route("create_parcel");
    assert_eq!((create.auth, create.idempotent), (Some(Auth::Wallet), Some(false)));
    assert_eq!(create.backend.as_ref().map(|backend| backend.pattern), Some(BackendPattern::Native));
    let limit = &route("list_parcels").query[0];
    assert_eq!((limit.min, limit.max, limit.default, limit.required), (Some(1), Some(100), Some(20), false));
    let step = route("get_step");
    assert_eq!((step.params[1].kind, step.params[1].max), (QueryKind::Integer, Some(999)));
    let backend = step.backend.as_ref().unwrap();
    assert_eq!((backend.pattern, backend.provider.as_deref()), (BackendPattern::RestJson, Some("carrier")));
    assert_eq!(route("print_label").backend.as_ref().unwrap().command, ["lpr", "-P", "labels"]);
    assert_eq!((&route("put_label").request, &route("get_label").response), (&Body::Bytes, &Body::Bytes));
    assert_eq!(step.response, Body::Json(None));
}

#[test]
fn findings_say_where_they_stand() {
    let text = "# A comment\nid: search\nstatus: banana\ndescription: \"Finds\"\nroutes_map:\n  - route: POST /v1/x\n    status: 200\n    descriptio: x\n\
                \n  - {route: GET /v1/y, status: 299, operation_id: y, description: →, response: null}\nenv: [GOOD, bad]\n";
    assert_eq!(
        findings(text),
        [
            (Some((3, 1)), "unknown-word", "status".into()),
            (Some((6, 5)), "missing", "routes_map[0].description".into()),
            (Some((6, 5)), "missing", "routes_map[0].operation_id".into()),
            (Some((6, 5)), "price-unclear", "routes_map[0].price".into()),
            (Some((6, 5)), "missing", "routes_map[0].request".into()),
            (Some((6, 5)), "missing", "routes_map[0].response".into()),
            (Some((8, 5)), "unknown-key", "routes_map[0].descriptio".into()),
            (Some((10, 5)), "price-unclear", "routes_map[1].price".into()),
            (Some((10, 24)), "out-of-range", "routes_map[1].status".into()),
            (Some((11, 13)), "malformed", "env[1]".into()),
        ]
    );
    // The same inside a Primitive.
    let indented: String = text.lines().map(|line| format!("    {line}\n")).collect();
    let held = format!("apiVersion: flywheel.prim.sh/v1alpha1\nkind: Primitive\nspec:\n  document:\n{indented}");
    let inside = findings(&held);
    assert_eq!(inside.len(), 10);
    assert_eq!(inside[0], (Some((7, 5)), "unknown-word", "spec.document.status".into()));
    // JSON is YAML.
    assert_eq!(
        findings("{\"id\": \"a\", \"description\": \"A\",\n \"routes_map\": 1}"),
        [(Some((2, 2)), "wrong-type", "routes_map".into())]
    );
    assert_eq!(findings("id: a\nid: b\n")[0].0.map(|(line, _)| line), Some(2));
    let found = prim::check_text("id: [").findings;
    assert!(found[0].to_string().ends_with("[not-yaml]") && found.len() == 1, "{found:?}");
}

/// A change of the complete document, and what must be found then.
fn changed(pointer: &str, value: Value) -> Vec<String> {
    let mut document = complete();
    match document.pointer_mut(pointer) {
        Some(place) => *place = value,
        None => {
            let (parent, key) = pointer.rsplit_once('/').unwrap();
            document.pointer_mut(parent).unwrap().as_object_mut().unwrap().insert(key.into(), value);
        }
    }
    codes(&document)
}

#[test]
fn each_rule_is_enforced() {
    let error = |status: u16, code: &str| json!({"status": status, "code": code, "description": "x"});
    let provider = |name: &str, default: bool| json!({"name": name, "status": "active", "default": default});
    let cases: Vec<(&str, Value, &str)> = vec![
        ("/id", json!("www"), "malformed id"),
        ("/id", json!("Up"), "malformed id"),
        ("/id", json!(7), "wrong-type id"),
        ("/status", json!("banana"), "unknown-word status"),
        ("/category", json!("access"), "unknown-word category"),
        ("/description", json!("x".repeat(201)), "out-of-range description"),
        ("/description", json!("two\nlines"), "malformed description"),
        ("/port", json!(80), "out-of-range port"),
        ("/port", json!("3000"), "wrong-type port"),
        ("/unknown", json!(1), "unknown-key unknown"),
        ("/env/0", json!("CARRIER_API_KEY"), "repeated env[1]"),
        ("/env/1", json!("OTHER"), "provider-env providers[0].env"),
        ("/factory/skip_x402", json!(false), "unknown-key factory.skip_x402"),
        ("/factory/free_service", json!(true), "price-contradicted factory.free_service"),
        ("/deploy/max_body_size", json!("1MB"), "body-limits deploy.max_body_size"),
        ("/pricing/0/price", json!("cheap"), "malformed pricing[0].price"),
        ("/providers/0/env_key", json!("X"), "other-spelling providers[0].env_key"),
        ("/providers", json!([provider("a", true), provider("b", true)]), "provider-default providers"),
        ("/providers", json!([provider("a", true), provider("a", false)]), "provider-repeated providers[1].name"),
        ("/routes_map/0/route", json!("GET /v1/parcels"), "route-repeated routes_map[1].route"),
        ("/routes_map/1/route", json!("GET /pricing"), "route-reserved routes_map[1].route"),
        ("/routes_map/0/route", json!("post /v1/parcels"), "malformed routes_map[0].route"),
        ("/routes_map/0/operation_id", json!("list_parcels"), "operation-repeated routes_map[1].operation_id"),
        ("/routes_map/0/request", json!("Nothing"), "type-undefined routes_map[0].request"),
        ("/routes_map/0/request_type", json!("NewParcel"), "other-spelling routes_map[0].request_type"),
        ("/routes_map/0/response", json!("a sentence"), "malformed routes_map[0].response"),
        ("/routes_map/0/errors", json!([error(404, "a"), error(404, "a")]), "repeated routes_map[0].errors[1]"),
        ("/routes_map/0/price", json!("$0"), "malformed routes_map[0].price"),
        ("/routes_map/0/price", json!(0.01), "wrong-type routes_map[0].price"),
        ("/routes_map/0/auth", json!("anybody"), "unknown-word routes_map[0].auth"),
        ("/routes_map/0/idempotent", json!("yes"), "wrong-type routes_map[0].idempotent"),
        ("/routes_map/0/backend", json!("magic"), "unknown-word routes_map[0].backend"),
        ("/routes_map/0/backend", json!({"pattern": "cli"}), "missing routes_map[0].backend.command"),
        ("/routes_map/0/backend", json!({"pattern": "cli", "command": "rm -rf"}), "wrong-type routes_map[0].backend.command"),
        (
            "/routes_map/0/backend",
            json!({"pattern": "cli", "command": ["sh", "-c", "{body.a}"]}),
            "malformed routes_map[0].backend.command[2]",
        ),
        ("/routes_map/0/backend", json!({"pattern": "native", "provider": "carrier"}), "unknown-key routes_map[0].backend.provider"),
        ("/routes_map/2/backend/provider", json!("nobody"), "provider-unknown routes_map[2].backend.provider"),
        ("/routes_map/1/request", json!("json"), "no-body-here routes_map[1].request"),
        ("/routes_map/3/response", json!("json"), "no-body-here routes_map[3].response"),
        ("/routes_map/2/params/0/name", json!("nothing"), "no-such-parameter routes_map[2].params[0].name"),
        ("/routes_map/1/query_params/0/default", json!(500), "out-of-range routes_map[1].query_params[0].default"),
        ("/routes_map/1/query_params/0/minimum", json!(500), "out-of-range routes_map[1].query_params[0].minimum"),
        ("/routes_map/1/query_params/1/maximum", json!(5), "wrong-type routes_map[1].query_params[1].maximum"),
        ("/routes_map/1/query_params/0/type", json!("string"), "other-spelling routes_map[1].query_params[0].type"),
        ("/routes_map/1/query_params/1/description", json!("(required)"), "rule-in-prose routes_map[1].query_params[1].description"),
        ("/tips/0", json!("Id may include slashes"), "slashes-in-prose routes_map[5].route"),
        ("/types/Address/properties/country/pattern", json!("("), "type-broken types.Address.properties.country.pattern"),
        ("/types/Address/required/0", json!("city"), "type-broken types.Address.required[0]"),
        ("/types/Address/minumum", json!(1), "unknown-key types.Address.minumum"),
        ("/types/Parcel/properties/id", json!({"$ref": "#/types/Gone"}), "type-broken types.Parcel.properties.id.$ref"),
        ("/types/Address/properties/street", json!({"$ref": "#/types/Parcel"}), "type-broken types"),
        ("/types/NewParcel/properties/grams/minimum", json!(40_000), "type-broken types.NewParcel.properties.grams.minimum"),
        ("/types/lower", json!({}), "malformed types.lower"),
        ("/note", json!("a\0b"), "control-character "),
    ];
    for (pointer, value, expected) in &cases {
        let found = changed(pointer, value.clone());
        assert!(found.iter().any(|finding| finding == expected), "{pointer} = {value}: {found:?}");
    }
    // What none of them shows has a test of its own, or one below.
    let shown: BTreeSet<_> = cases.iter().map(|(_, _, expected)| expected.split(' ').next().unwrap()).collect();
    let mut others: BTreeSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
    others.retain(|code| !shown.contains(code));
    assert_eq!(others, BTreeSet::from(["body-in-prose", "not-yaml", "price-unclear", "too-large"]));
}

#[test]
fn what_is_wrong_with_a_route_is_said_of_the_part_that_is() {
    for (route, said) in [
        ("GET /v1/a/:the-id", "the path's parameter \":the-id\" must be"),
        ("HEAD /v1/a", "must be GET, POST, PUT, PATCH or DELETE and a path: "),
        ("get /v1/a", "\"get /v1/a\" is GET /v1/a: "),
        ("GET /", "/ is every service's own, so this route is left out: take another path"),
    ] {
        let mut value = complete();
        value["routes_map"][1]["route"] = json!(route);
        let findings = prim::check(&value);
        let finding = findings.iter().find(|finding| finding.path == "routes_map[1].route").unwrap();
        assert!(finding.to_string().contains(said), "{finding}");
        assert_eq!(finding.code.as_str(), "malformed");
        // One that every service has by itself does not keep the others from being read.
        assert_eq!(prim::from_value(value).is_ok(), ["get /v1/a", "GET /"].contains(&route), "{route}");
    }
}

#[test]
fn a_route_that_looks_free_in_a_paid_document_is_unclear() {
    let route = |more: Value| {
        let mut route = json!({"route": "GET /v1/x", "operation_id": "x", "status": 200, "description": "x", "response": "json",
            "errors": [{"status": 402, "code": "payment_required", "description": "x"}]});
        route.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        codes(&json!({"id": "a", "description": "A", "routes_map": [route]}))
    };
    let unclear = vec!["price-unclear routes_map[0].price".to_owned()];
    assert_eq!(route(json!({})), [""; 0]);
    assert_eq!(route(json!({"errors": []})), unclear);
    assert_eq!(route(json!({"notes": "Free. Call it often."})), unclear);
    assert_eq!(route(json!({"notes": "Call it freely."})), [""; 0], "freely is not free");
    assert_eq!(route(json!({"notes": "Free.", "price": "free"})), [""; 0]);
    assert_eq!(route(json!({"notes": "PUT of raw bytes", "route": "PUT /v1/x"})).len(), 2, "the request is missing, and said in prose");
}

#[test]
fn a_bad_id_hides_nothing() {
    let mut document = complete();
    document["id"] = json!("WWW");
    document["env"] = json!([]);
    assert_eq!(codes(&document), ["malformed id", "provider-env providers[0].env"]);
}

#[test]
fn one_fault_is_one_finding_and_hides_no_other() {
    let route = |request: &str, price: Value| {
        let mut route =
            json!({"route": "POST /v1/a", "operation_id": "a", "status": 200, "description": "A", "request": request, "response": "json"});
        route["price"] = price;
        route
    };
    let document = |types: Value, route: Value| json!({"id": "a", "description": "A", "types": types, "routes_map": [route]});
    let found = |value: &Value| prim::check(value).iter().map(|f| format!("{} {}", f.path, f.code.as_str())).collect::<Vec<_>>();
    // What uses a type that is broken uses a type.
    let broken = json!({"Broken": {"type": "string", "minItems": 1}, "Good": {"type": "object"}});
    for name in ["Broken", "Good"] {
        assert_eq!(found(&document(broken.clone(), route(name, json!("free")))), ["types.Broken.minItems type-broken"]);
    }
    assert!(found(&document(broken, route("Other", json!("free")))).contains(&"routes_map[0].request type-undefined".into()));
    // A circle beside it is said too.
    let circle = json!({"Broken": {"minItems": 1}, "Round": {"$ref": "#/types/Again"}, "Again": {"$ref": "#/types/Round"}});
    assert_eq!(found(&document(circle, route("Round", json!("free")))), ["types type-broken", "types.Broken.minItems type-broken"]);
    for price in [json!(0), json!("$0"), json!("$0.0000001"), json!("cheap"), json!([])] {
        let found = found(&document(json!({"Good": {"type": "object"}}), route("Good", price.clone())));
        assert!(found.len() == 1 && !found[0].ends_with("price-unclear"), "{price}: {found:?}");
    }
}
