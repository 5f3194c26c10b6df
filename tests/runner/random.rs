//! Payment headers at random, and terms that are nearly good: nothing panics, and what
//! is chosen is what was declared.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use flywheel::ports::payments::{Challenge, Declared, Price, Receipt, settlement_failed};
use proptest::prelude::*;
use serde_json::{Value, json};

const CAP: u128 = 5000;

fn declared() -> Declared {
    Declared {
        network: "eip155:84532".into(),
        asset: None,
        domain: None,
        pay_to: Some("0x0000000000000000000000000000000000000001".into()),
        price: Price::AtMost(CAP),
    }
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from)
    ];
    leaf.prop_recursive(3, 20, 4, |inner| {
        let list = prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from);
        let map = prop::collection::vec((".{0,8}", inner), 0..4).prop_map(|pairs| Value::Object(pairs.into_iter().collect()));
        prop_oneof![list, map]
    })
}

/// Terms of either version, in which some fields are others.
fn nearly() -> impl Strategy<Value = Value> {
    let fields = ["scheme", "network", "amount", "maxAmountRequired", "asset", "payTo", "maxTimeoutSeconds", "extra"];
    let amount = prop_oneof![(0_u64..10_000).prop_map(|n| n.to_string()), "[0-9]{1,80}", "-?[0-9.e]{1,10}"];
    let changed = prop::collection::vec((prop::sample::select(fields.to_vec()), value()), 0..3);
    (1_u64..4, amount, changed, any::<bool>()).prop_map(|(version, amount, changed, named)| {
        let mut way = json!({
            "scheme": "exact", "network": if named { "base-sepolia" } else { "eip155:84532" }, "amount": amount, "maxAmountRequired": amount,
            "asset": "0x036CbD53842c5426634e7929541eC2318f3dCF7e", "payTo": "0x0000000000000000000000000000000000000001", "maxTimeoutSeconds": 300
        });
        for (field, value) in changed {
            way[field] = value;
        }
        json!({"x402Version": version, "error": "Payment required", "accepts": [way]})
    })
}

proptest! {
    #[test]
    fn any_header_is_read_or_refused(text in ".{0,400}", bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let encoded = STANDARD.encode(&bytes);
        for header in [Some(text.as_str()), Some(encoded.as_str()), None] {
            let _ = Challenge::read(header, &bytes);
            settlement_failed(header, header, &bytes);
        }
        let _ = (Receipt::read(&text), Receipt::read(&encoded));
        let _ = (Challenge::read_loosely(&text), Challenge::read_loosely(&encoded));
    }

    #[test]
    fn what_is_chosen_is_what_was_declared(terms in nearly()) {
        let (text, declared) = (terms.to_string(), declared());
        let by_header = Challenge::read(Some(&STANDARD.encode(&text)), b"");
        prop_assert_eq!(&by_header, &Challenge::read(None, text.as_bytes()));
        let Ok(challenge) = by_header else { return Ok(()) };
        if let Ok(chosen) = challenge.choose(&declared) {
            prop_assert!(chosen.amount <= CAP);
            prop_assert_eq!(chosen.caip2(), Some("eip155:84532"));
            prop_assert_eq!(Some(&chosen.pay_to), declared.pay_to.as_ref());
            let way = &terms["accepts"][0];
            let amount = if terms["x402Version"] == 1 { &way["maxAmountRequired"] } else { &way["amount"] };
            prop_assert_eq!(amount.as_str().and_then(|text| text.parse().ok()), Some(chosen.amount));
        }
    }

    #[test]
    fn what_is_read_loosely_is_held_against_the_same(terms in nearly()) {
        let declared = declared();
        for way in Challenge::read_loosely(&STANDARD.encode(terms.to_string())).map(|read| read.accepts).unwrap_or_default() {
            if declared.check(&way).is_ok() {
                prop_assert!(way.amount <= CAP && way.scheme == "exact" && way.caip2() == Some("eip155:84532"), "{:?}", way);
                prop_assert_eq!(Some(&way.pay_to), declared.pay_to.as_ref());
            }
        }
    }

    #[test]
    fn good_terms_are_taken(amount in 0_u64..=5000, version in 1_u64..=2) {
        let key = if version == 1 { "maxAmountRequired" } else { "amount" };
        let network = if version == 1 { "base-sepolia" } else { "eip155:84532" };
        let mut way = json!({
            "scheme": "exact", "network": network, "asset": "0x036CbD53842c5426634e7929541eC2318f3dCF7e",
            "payTo": "0x0000000000000000000000000000000000000001", "maxTimeoutSeconds": 300
        });
        way[key] = json!(amount.to_string());
        let text = json!({"x402Version": version, "accepts": [way]}).to_string();
        let challenge = Challenge::read(None, text.as_bytes()).unwrap();
        prop_assert_eq!(challenge.choose(&declared()).unwrap().amount, u128::from(amount));
    }
}
