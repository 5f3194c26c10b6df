//! What changes a document's hash, and what does not.

use flywheel::prim;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{complete, pointers};

fn hash(value: &Value) -> String {
    prim::from_value(value.clone()).unwrap_or_else(|problems| panic!("{problems:?}")).hash()
}

/// The same with the keys of every mapping in another order.
fn shuffled(value: &Value, seed: u64) -> Value {
    match value {
        Value::Array(entries) => entries.iter().map(|entry| shuffled(entry, seed)).collect(),
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            let rank = |key: &str| key.bytes().fold(seed, |rank, byte| rank.wrapping_mul(0x100_0000_01b3) ^ u64::from(byte));
            entries.sort_by_key(|(key, _)| rank(key));
            entries.into_iter().map(|(key, value)| (key.clone(), shuffled(value, seed))).collect::<Map<_, _>>().into()
        }
        other => other.clone(),
    }
}

/// A default, where its key stands, and what it is.
fn defaults() -> Vec<(&'static str, &'static str, Value)> {
    vec![
        ("", "name", json!("a.sh")),
        ("", "version", json!("0.1.0")),
        ("", "endpoint", json!("a.prim.sh")),
        ("", "order", json!(999)),
        ("", "phantom", json!(false)),
        ("", "show_on_index", json!(true)),
        ("", "types", json!({})),
        ("", "tips", json!([])),
        ("", "env", json!(["K"])),
        ("", "interfaces", json!({"mcp": true})),
        ("", "factory", json!({"metrics": true, "max_body_size": "1MB"})),
        ("", "deploy", json!({"access_log": false, "systemd_after": []})),
        ("", "gates", json!({"coverage_threshold": 80})),
        ("", "note", json!(null)),
        ("/providers/0", "default", json!(false)),
        ("/providers/0", "status", json!("active")),
        ("/routes_map/0", "status", json!(200)),
        ("/routes_map/0", "errors", json!([])),
        ("/routes_map/0", "query_params", json!([])),
        ("/routes_map/0", "params", json!([])),
        ("/routes_map/0", "request", json!(null)),
        ("/routes_map/1", "backend", json!({"pattern": "native"})),
        ("/routes_map/1/query_params/0", "required", json!(false)),
    ]
}

fn bare() -> Value {
    json!({
        "id": "a", "description": "A", "env": ["K"], "providers": [{"name": "v", "env": ["K"]}],
        "routes_map": [
            {"route": "GET /x", "operation_id": "x", "description": "x", "response": "json"},
            {"route": "POST /y", "operation_id": "y", "status": 201, "description": "y", "request": "json", "response": null, "backend": "native",
             "query_params": [{"name": "q", "type": "string"}]},
        ],
    })
}

#[test]
fn comments_and_the_style_of_yaml_are_no_part_of_a_document() {
    let block = "id: a # here\ndescription: \"A\"\n\n# routes\nroutes_map:\n  - route: GET /x\n    operation_id: x\n";
    let flow = "{description: A, routes_map: [{operation_id: 'x', route: \"GET /x\"}], id: a}";
    let hash = |text: &str| prim::read(text).unwrap().hash();
    assert_eq!(hash(block), hash(flow));
}

#[test]
fn everything_that_is_said_counts() {
    // Another value of the same kind at every place where one can be read.
    let document = complete();
    let own = hash(&document);
    let (mut tried, mut unread) = (0, Vec::new());
    for pointer in pointers(&document) {
        let mut other = document.clone();
        let place = other.pointer_mut(&pointer).unwrap();
        *place = match place {
            Value::Bool(flag) => json!(!*flag),
            Value::Number(number) => json!(number.as_i64().map_or(1, |n| n + 1)),
            Value::String(text) if text == "GET /v1/parcels" => json!("GET /v1/other"),
            Value::String(text) => json!(format!("{text}z")),
            _ => continue,
        };
        match prim::from_value(other) {
            Ok(read) => {
                tried += 1;
                assert_ne!(read.hash(), own, "{pointer} does not count");
            }
            Err(_) => unread.push(pointer),
        }
    }
    assert!(tried > 150, "only {tried} places could be changed, not {unread:?}");
}

proptest! {
    #[test]
    fn the_order_of_keys_does_not_count(seed in any::<u64>()) {
        let document = complete();
        prop_assert_eq!(hash(&shuffled(&document, seed)), hash(&document));
        // And what is written of it is the same text.
        let written = |value: &Value| prim::from_value(value.clone()).unwrap().to_yaml();
        prop_assert_eq!(written(&shuffled(&document, seed)), written(&document));
    }

    #[test]
    fn defaults_that_are_written_out_do_not_count(chosen in prop::sample::subsequence(defaults(), 0..=23), seed in any::<u64>()) {
        let mut document = bare();
        for (at, key, value) in chosen {
            document.pointer_mut(at).unwrap().as_object_mut().unwrap().insert(key.into(), value);
        }
        prop_assert_eq!(hash(&shuffled(&document, seed)), hash(&bare()));
    }
}
