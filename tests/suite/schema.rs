//! The published schema and the reader say the same, as far as a schema can. The other
//! side is a validator that is not ours.

use std::sync::LazyLock;

use flywheel::suite::{self, Code, Mode};
use jsonschema::Validator;
use proptest::prelude::*;
use serde_json::{Value, json};

static VALIDATOR: LazyLock<Validator> = LazyLock::new(|| jsonschema::draft202012::new(&suite::schema()).unwrap());

/// What only the reader can say: what texts mean, and what one place says of another.
const BEYOND: [Code; 3] = [Code::BadPath, Code::BadSchema, Code::UnknownSchema];

pub fn complete() -> Value {
    suite::parse(include_str!("complete.yaml")).unwrap()
}

fn compare(value: &Value) -> Result<(), TestCaseError> {
    let taken = VALIDATOR.is_valid(value);
    let findings = suite::from_value(value, Mode::Ours).err().unwrap_or_default();
    let shape: Vec<_> = findings.iter().filter(|finding| !BEYOND.contains(&finding.code)).map(ToString::to_string).collect();
    let why: Vec<_> = VALIDATOR.iter_errors(value).map(|e| format!("{}: {e}", e.instance_path())).collect();
    prop_assert_eq!(taken, shape.is_empty(), "the reader: {:?}; the schema: {:?}; of {}", shape, why, value);
    Ok(())
}

#[test]
fn the_schema_is_one_and_says_what_each_key_is_about() {
    let schema = suite::schema();
    assert!(jsonschema::draft202012::meta::is_valid(&schema));
    for at in ["/properties/tests/items", "/properties/groups/items", "/properties/tests/items/properties/expected"] {
        let keys = schema.pointer(&format!("{at}/properties")).unwrap().as_object().unwrap();
        let silent: Vec<_> = keys.iter().filter(|(_, key)| key["description"].as_str().is_none() && key["$ref"].is_null()).collect();
        assert!(silent.is_empty(), "{silent:?}");
    }
}

#[test]
fn the_complete_plan_has_every_key_and_nothing_wrong() {
    let plan = complete();
    compare(&plan).unwrap();
    let read = suite::from_value(&plan, Mode::Ours).unwrap();
    // Its hooks are not run.
    let found = [Code::NotLookedAt, Code::NotLookedAt, Code::CannotFail];
    assert_eq!(suite::lint(&read, &suite::Known::default()).iter().map(|f| f.code).collect::<Vec<_>>(), found);
    let schema = suite::schema();
    for (at, places) in [
        ("/properties", vec![""]),
        ("/properties/tests/items/properties", vec!["/tests/0", "/tests/1"]),
        ("/properties/groups/items/properties", vec!["/groups/0", "/groups/1"]),
    ] {
        for key in schema.pointer(at).unwrap().as_object().unwrap().keys() {
            assert!(places.iter().any(|place| plan.pointer(&format!("{place}/{key}")).is_some()), "complete.yaml lacks {key} of {at}");
        }
    }
    let text = plan.to_string();
    for matcher in schema.pointer("/$defs/pattern/anyOf/3/properties").unwrap().as_object().unwrap().keys() {
        assert!(text.contains(matcher), "complete.yaml lacks {matcher}");
    }
}

#[test]
fn prim_shs_plan_is_taken_by_both() {
    let Some(text) = super::plan::text() else { return };
    compare(&suite::parse(&text).unwrap()).unwrap();
}

/// What chance would seldom come upon: each limit, met and passed.
#[test]
fn limits_are_judged_alike() {
    for (pointer, value, fits) in [
        ("/version", json!(1.0), true),
        ("/version", json!(2), false),
        ("/tests/0/id", json!(""), false),
        ("/tests/0/method", json!("post"), false),
        ("/tests/0/method", json!("OPTIONS"), true),
        ("/tests/0/expected/status", json!(99), false),
        ("/tests/0/expected/status", json!(599.0), true),
        ("/tests/0/expected/status", json!(600), false),
        ("/tests/0/expected/status", json!({"$oneOf": []}), false),
        ("/tests/0/expected/status", json!({"$oneOf": [200], "more": 1}), false),
        ("/tests/0/expected/body", json!({"$number": {"min": "1"}}), false),
        ("/tests/0/expected/body", json!({"$length": {"min": -1}}), false),
        ("/tests/0/expected/body", json!({"$length": {"integer": true}}), false),
        ("/tests/0/expected/body", json!({"$oneOf": []}), false),
        ("/tests/0/expected/body", json!({"$absent": false}), false),
        ("/tests/0/expected/body", json!({"$other": 1}), false),
        ("/tests/0/expected/body", json!({"$each": 1, "plain": 1}), false),
        ("/tests/0/expected/body", json!({"$schema": "#/schemas/"}), false),
        ("/tests/0/expected/body", json!({"$equals": {"$anything": 1}}), true),
        ("/tests/0/captures", json!({"a-b": "$.a"}), false),
        ("/tests/0/captures", json!({"a": {"header": ""}}), false),
        ("/tests/0/captures", json!({"a": {"header": "x", "path": "$"}}), false),
        ("/tests/0/timeout_ms", json!(0), false),
        ("/tests/0/timeout_ms", json!(600_000), true),
        ("/tests/0/timeout_ms", json!(600_001), false),
        ("/tests/0/retry", json!({"interval_ms": 1}), false),
        ("/tests/0/retry", json!(null), true),
        ("/tests/0/retry", json!({"count": 1, "interval": 5}), true),
        ("/tests/0/retry", json!({"count": 1, "interval": 5, "interval_ms": 5}), false),
        ("/tests/0/retry", json!({"count": 1001}), false),
        ("/tests/0/retry", json!({"count": 1, "until": "fail"}), false),
        ("/tests/0/retry", json!({"count": 1, "until": {"headers": {}}}), false),
        ("/tests/0/payment", json!({"amount": "0".repeat(38)}), true),
        ("/tests/0/payment", json!({"amount": "0".repeat(39)}), false),
        ("/tests/0/payment", json!({"amount": "1.5"}), false),
        (
            "/tests/0/payment",
            json!({"pay_to": "0x0000000000000000000000000000000000000aBc", "network": "eip155:84532", "asset": null}),
            true,
        ),
        ("/tests/0/payment", json!({"pay_to": "0xabc"}), false),
        ("/tests/0/payment", json!({"asset": "USDC"}), false),
        ("/tests/0/payment", json!({"network": "base"}), false),
        ("/tests/0/payment", json!({"network": "eip155:0"}), false),
        ("/tests/0/payment", json!({"network": format!("eip155:{}", "9".repeat(19))}), true),
        ("/tests/0/payment", json!({"network": format!("eip155:{}", "9".repeat(20))}), false),
        ("/tests/0/payment", json!({"amount": 1_u64 << 53}), true),
        ("/tests/0/payment", json!({"amount": (1_u64 << 53) + 2}), false),
        ("/tests/0/payment", json!({"amount": -1}), false),
        ("/groups/0/interface", json!("web"), false),
        ("/schemas/Item", json!(1), false),
        ("/tests/0/notes", json!(null), true),
        ("/tests/0/endpoint", json!(null), false),
    ] {
        let mut plan = complete();
        *plan.pointer_mut(pointer).unwrap() = value.clone();
        assert_eq!(VALIDATOR.is_valid(&plan), fits, "{pointer} {value}");
        compare(&plan).unwrap_or_else(|e| panic!("{pointer} {value}: {e}"));
    }
}

fn pointers(value: &Value) -> Vec<String> {
    let (mut found, mut open) = (Vec::new(), vec![(String::new(), value)]);
    while let Some((at, value)) = open.pop() {
        match value {
            Value::Object(map) => {
                open.extend(map.iter().map(|(key, inner)| (format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")), inner)))
            }
            Value::Array(entries) => open.extend(entries.iter().enumerate().map(|(i, inner)| (format!("{at}/{i}"), inner))),
            _ => {}
        }
        found.push(at);
    }
    found
}

/// Values that a plan may hold somewhere.
pub fn odd() -> impl Strategy<Value = Value> {
    let key = || {
        prop::sample::select(vec![
            "a",
            "id",
            "status",
            "body",
            "min",
            "$nullable",
            "$oneOf",
            "$each",
            "$length",
            "$number",
            "$schema",
            "$equals",
            "$absent",
            "$optional",
            "$contains",
            "$x",
            "length",
            "__proto__",
            "0",
            "{{v}}",
        ])
    };
    let text = prop::sample::select(vec![
        "",
        "string",
        "number >= 3",
        "array",
        "{{test_prefix}}",
        "{{",
        "$.a",
        "$[",
        "#/schemas/Item",
        "200",
        "pass",
        "GET",
        "A-1",
        "\u{0}\u{feff}",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        prop_oneof![
            Just(json!(-1)),
            Just(json!(0)),
            Just(json!(1)),
            Just(json!(200)),
            Just(json!(1.5)),
            Just(json!(1e300)),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(|n| json!(n))
        ],
        text.prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key(), inner), 0..4)
                .prop_map(|pairs| pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn changed_plans_are_judged_alike(changes in prop::collection::vec((any::<usize>(), odd(), 0..3_u8), 1..4)) {
        let mut plan = complete();
        for (at, value, how) in changes {
            let all = pointers(&plan);
            let pointer = &all[at % all.len()];
            match (plan.pointer_mut(pointer).unwrap(), how, pointer.rsplit_once('/')) {
                (_, 0, Some((parent, key))) => {
                    if let Value::Object(map) = plan.pointer_mut(parent).unwrap() {
                        map.shift_remove(&key.replace("~1", "/").replace("~0", "~"));
                    }
                }
                (place, ..) => *place = value,
            }
        }
        compare(&plan)?;
    }
}
