//! The published schema and the checker say the same, as far as a schema can.
//! The other side is a validator that is not ours.

use std::{fs, sync::LazyLock};

use flywheel::prim::{self, Code};
use jsonschema::Validator;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{complete, pointers};
use crate::scaffold::{given, own};

static VALIDATOR: LazyLock<Validator> = LazyLock::new(|| jsonschema::draft202012::new(&prim::schema()).unwrap());

/// What only the checker can say: comparisons of one place with another, and
/// what the reader had to make of prose.
const BEYOND: [Code; 21] = [
    Code::TooLarge,
    Code::ControlCharacter,
    Code::Repeated,
    Code::RouteRepeated,
    Code::RouteReserved,
    Code::OperationRepeated,
    Code::NoSuchParameter,
    Code::SlashesInProse,
    Code::RuleInProse,
    Code::BodyInProse,
    Code::PriceContradicted,
    Code::PriceUnclear,
    Code::TypeUndefined,
    Code::TypeBroken,
    Code::ProviderRepeated,
    Code::ProviderDefault,
    Code::ProviderEnv,
    Code::ProviderUnknown,
    Code::BodyLimits,
    // `limit` and `offset` that are no integers.
    Code::OtherSpelling,
    // A bound above its other, or a default outside them.
    Code::OutOfRange,
];

/// A pair of a code and the last key of its path, of which the same holds: bounds
/// of what is no number, and settings of another backend.
const BEYOND_AT: [(Code, &str); 6] = [
    (Code::WrongType, "minimum"),
    (Code::WrongType, "maximum"),
    (Code::WrongType, "default"),
    (Code::UnknownKey, "command"),
    (Code::UnknownKey, "provider"),
    (Code::UnknownKey, "operation"),
];

fn compare(value: &Value) -> Result<(), TestCaseError> {
    let taken = VALIDATOR.is_valid(value);
    let shape = prim::check_shape(value);
    let why = || VALIDATOR.iter_errors(value).map(|e| format!("{}: {e}", e.instance_path())).collect::<Vec<_>>();
    prop_assert_eq!(taken, shape.is_empty(), "the checker: {:?}; the schema: {:?}; of {}", shape, why(), value);
    let all = prim::check(value);
    if !taken {
        prop_assert!(!all.is_empty(), "the schema refuses what the checker takes: {:?}", why());
        return Ok(());
    }
    for finding in &all {
        let last = finding.path.rsplit('.').next().unwrap_or_default();
        let beyond = BEYOND.contains(&finding.code) || BEYOND_AT.contains(&(finding.code, last));
        prop_assert!(beyond, "the schema takes what the checker refuses: {}", finding);
    }
    if all.is_empty() {
        let read = prim::from_value(value.clone());
        prop_assert!(read.is_ok(), "strict and unreadable: {:?}", read.err());
    }
    Ok(())
}

#[test]
fn the_schema_is_one() {
    let schema = prim::schema();
    assert!(jsonschema::draft202012::meta::is_valid(&schema));
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    // Every key says what it is about.
    let silent: Vec<_> = schema["properties"].as_object().unwrap().iter().filter(|(_, s)| s["description"].as_str().is_none()).collect();
    assert!(silent.is_empty(), "{silent:?}");
}

#[test]
fn the_complete_document_has_every_key() {
    let document = complete();
    for key in prim::schema()["properties"].as_object().unwrap().keys() {
        assert!(document.get(key).is_some(), "complete.yaml lacks {key}");
    }
    assert!(VALIDATOR.is_valid(&document));
}

#[test]
fn documents_in_use_are_judged_alike() {
    for file in given().into_iter().chain(own()) {
        let value = prim::value(&fs::read_to_string(&file).unwrap()).unwrap();
        compare(&value).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    }
}

/// What chance would seldom come upon: each limit, met and passed.
#[test]
fn limits_are_judged_alike() {
    let many = |n: usize, entry: fn(usize) -> Value| (0..n).map(entry).collect::<Vec<_>>();
    let mut cases = vec![
        ("/id", json!("www"), false),
        ("/id", json!("ww"), true),
        ("/id", json!("a".repeat(40)), true),
        ("/id", json!("a".repeat(41)), false),
        ("/description", json!("→".repeat(200)), true),
        ("/description", json!("→".repeat(201)), false),
        ("/port", json!(1024), true),
        ("/port", json!(1023), false),
        ("/port", json!(65535.0), true),
        ("/tips", json!(many(500, |_| json!("x"))), true),
        ("/tips", json!(many(501, |_| json!("x"))), false),
        ("/types", (0..501).map(|i| (format!("T{i}"), json!({}))).collect::<Map<_, _>>().into(), false),
        ("/types/Address/properties/street/enum", json!([]), false),
        ("/env", json!(["A", "A"]), false),
        ("/routes_map/3/status", json!(204.0), true),
        ("/routes_map/3/response", json!("json"), false),
        ("/routes_map/6/backend", json!({"pattern": "cli"}), false),
    ];
    cases.extend(["POST", "PUT", "PATCH"].map(|method| ("/routes_map/5/route", json!(format!("{method} /v1/x")), true)));
    for (pointer, value, fits) in cases {
        let mut document = complete();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        match document.pointer_mut(parent).unwrap() {
            Value::Object(map) => drop(map.insert(key.into(), value)),
            other => panic!("{pointer}: {other}"),
        }
        assert_eq!(VALIDATOR.is_valid(&document), fits, "{pointer}");
        compare(&document).unwrap_or_else(|e| panic!("{pointer}: {e}"));
    }
    let mut silent = complete();
    silent["routes_map"][0].as_object_mut().unwrap().shift_remove("request");
    assert!(!VALIDATOR.is_valid(&silent));
    compare(&silent).unwrap();
}

#[test]
fn what_only_the_checker_says_is_documented() {
    let page = fs::read_to_string(crate::scaffold::root().join("docs/document.md")).unwrap();
    let lines: String = page.split("## What only the checker says").nth(1).unwrap().split("\n## ").next().unwrap().into();
    for code in BEYOND {
        assert!(lines.contains(&format!("`{}`", code.as_str())), "docs/document.md does not say that {code:?} is beyond the schema");
    }
}

/// Values that would like to fit somewhere.
fn odd() -> impl Strategy<Value = Value> {
    let words = prop::sample::select(vec![
        "",
        "a",
        "A",
        "free",
        "$0.01",
        "$0",
        "$1.000000",
        "$0.0000001",
        "dynamic",
        "GET /v1/x",
        "POST /v1/x",
        "PUT /v1/:a/:a",
        "json",
        "bytes",
        "Address",
        "Missing",
        "active",
        "live",
        "hold",
        "banana",
        "native",
        "cli",
        "www",
        "x-y",
        " a",
        "a ",
        "a\nb",
        "\u{2028}",
        "\u{7f}",
        "é→",
        "a\u{202e}",
        "#/types/Address",
        "#/types/Gone",
        "string",
        "integer",
        "limit",
        "2026-11",
        "1MB",
        "A_B",
        "a_b",
        "http://a",
        "[",
        "null",
    ]);
    let numbers = prop::sample::select(vec![
        json!(0),
        json!(1),
        json!(-1),
        json!(200),
        json!(200.0),
        json!(204.0),
        json!(200.5),
        json!(302),
        json!(404),
        json!(3000),
        json!(65536),
        json!(1e300),
        json!(9_007_199_254_740_993_i64),
        json!(u64::MAX),
        json!(-1_000_000_001),
        json!(1_000_000_000.0),
        json!(0.01),
    ]);
    let leaf = prop_oneof![
        6 => words.prop_map(Value::from),
        3 => numbers,
        1 => any::<bool>().prop_map(Value::from),
        1 => Just(Value::Null),
        1 => ".{0,40}".prop_map(Value::from),
        1 => (0_usize..1200).prop_map(|n| Value::from("a".repeat(n))),
    ];
    leaf.prop_recursive(2, 8, 4, |inner| {
        let key = prop::sample::select(vec![
            "x-a",
            "x",
            "name",
            "type",
            "pattern",
            "command",
            "$ref",
            "properties",
            "required",
            "route",
            "A",
            "min-b",
            "",
        ]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key, inner), 0..4).prop_map(|pairs| pairs
                .into_iter()
                .map(|(k, v)| (k.to_owned(), v))
                .collect::<Map<_, _>>()
                .into()),
        ]
    })
}

/// One change somewhere in a document.
#[derive(Clone, Debug)]
enum Change {
    Replace(usize, Value),
    Remove(usize),
    Double(usize),
    Add(usize, String, Value),
    /// Another value of the same document, put here.
    Move(usize, usize),
}

fn change() -> impl Strategy<Value = Change> {
    let key = prop::sample::select(vec![
        "x-new",
        "new",
        "env_key",
        "request_type",
        "response",
        "request",
        "price",
        "default",
        "$ref",
        "minimum",
        "",
    ]);
    prop_oneof![
        4 => (any::<usize>(), odd()).prop_map(|(at, value)| Change::Replace(at, value)),
        2 => any::<usize>().prop_map(Change::Remove),
        1 => any::<usize>().prop_map(Change::Double),
        2 => (any::<usize>(), key, odd()).prop_map(|(at, key, value)| Change::Add(at, key.into(), value)),
        2 => (any::<usize>(), any::<usize>()).prop_map(|(to, from)| Change::Move(to, from)),
    ]
}

fn apply(document: &mut Value, change: Change) {
    let all = pointers(document);
    if all.is_empty() {
        return;
    }
    let at = |i: usize| all[i % all.len()].clone();
    match change {
        Change::Replace(i, value) => *document.pointer_mut(&at(i)).unwrap() = value,
        Change::Move(to, from) => {
            let value = document.pointer(&at(from)).unwrap().clone();
            *document.pointer_mut(&at(to)).unwrap() = value;
        }
        Change::Add(i, key, value) => {
            if let Value::Object(map) = document.pointer_mut(&at(i)).unwrap() {
                map.insert(key, value);
            }
        }
        Change::Remove(i) | Change::Double(i) => {
            let pointer = at(i);
            let (parent, key) = pointer.rsplit_once('/').unwrap();
            match document.pointer_mut(parent).unwrap() {
                Value::Object(map) if matches!(change, Change::Remove(_)) => drop(map.shift_remove(key)),
                Value::Array(entries) => {
                    let i: usize = key.parse().unwrap();
                    let entry = entries.remove(i);
                    if matches!(change, Change::Double(_)) {
                        entries.extend([entry.clone(), entry]);
                    }
                }
                _ => {}
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn changed_documents_are_judged_alike(changes in prop::collection::vec(change(), 1..4)) {
        let mut document = complete();
        changes.into_iter().for_each(|change| apply(&mut document, change));
        compare(&document)?;
    }

    #[test]
    fn anything_is_judged_alike(value in odd(), key in prop::sample::select(prim::schema()["properties"].as_object().unwrap().keys().cloned().collect::<Vec<_>>())) {
        compare(&value)?;
        let mut document = json!({"id": "a", "description": "A", "routes_map": []});
        document[key] = value;
        compare(&document)?;
    }
}
