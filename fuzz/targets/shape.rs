//! An expectation and an answer, both from anybody: what stands before the first
//! line's end is the expected body, what follows is the answer's.
#![no_main]

use std::collections::BTreeMap;

use flywheel_fuzz::suite::{Answer, Mode, from_value, judge};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

fuzz_target!(|data: &[u8]| {
    let (expected, body) = data.iter().position(|b| *b == b'\n').map_or((data, &[][..]), |at| (&data[..at], &data[at + 1..]));
    let Ok(expected) = serde_json::from_slice::<Value>(expected) else { return };
    let plan = json!({
        "plan": "p", "version": 1, "network": "n", "context": "",
        "groups": [{"id": "g", "name": "g", "prompt": "p", "tests": ["T-1"]}],
        "tests": [{
            "id": "T-1", "service": "s.sh", "test": "t", "method": "GET", "endpoint": "https://s.prim.sh/", "input": null,
            "expected": {"status": 200, "body": expected}, "depends_on": [], "captures": {"a": "$.a"}, "notes": null
        }]
    });
    for mode in [Mode::Ours, Mode::Primsh] {
        let Ok(plan) = from_value(&plan, mode) else { continue };
        for media_type in ["application/json", "text/plain"] {
            let headers = vec![("content-type".to_owned(), media_type.to_owned())];
            let answer = Answer { status: 200, headers, body: body.to_vec(), cut: None };
            let once = judge(&plan, &plan.tests[0], &BTreeMap::new(), &answer);
            assert_eq!(once, judge(&plan, &plan.tests[0], &BTreeMap::new(), &answer), "the same is judged the same");
        }
    }
});
