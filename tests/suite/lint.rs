//! What the linter finds: a row for each kind, and prim.sh's own plan.

use std::collections::BTreeSet;

use flywheel::suite::{Code, Known, Mode, Severity, lint, parse, read as read_text};
use serde_json::{Value, json};

use super::{
    plan::real,
    script::{plan_of, read},
};

fn found(tests: &Value, groups: Option<&Value>) -> Vec<String> {
    let known = Known { services: Some(["a".to_owned()].into()), ..Known::default() };
    lint(&read(&plan_of(tests, groups), Mode::Ours), &known).iter().map(|f| format!("{} {}", f.code.as_str(), f.path)).collect()
}

#[test]
fn each_kind_is_found_where_it_stands() {
    let none: Option<Value> = None;
    for (tests, groups, expected) in [
        (json!([{}]), none.clone(), vec![]),
        (json!([{}, {}]), Some(json!([{"id": "g", "tests": ["T-1"]}])), vec!["duplicate-id tests[1].id"]),
        (json!([{"depends_on": ["NONE"]}]), none.clone(), vec!["dangling-dependency tests[0].depends_on"]),
        (
            json!([{"depends_on": ["B"]}, {"id": "B", "depends_on": ["C"]}, {"id": "C", "depends_on": ["T-1"]}]),
            none.clone(),
            vec!["cycle tests[0].depends_on"],
        ),
        (json!([{"depends_on": ["T-1"]}]), none.clone(), vec!["cycle tests[0].depends_on"]),
        // A circle of variables is one too.
        (
            json!([{"endpoint": "https://a.test/{{b}}", "captures": {"a": "$.a"}}, {"id": "B", "endpoint": "https://a.test/{{a}}", "captures": {"b": "$.b"}}]),
            none.clone(),
            vec!["cycle tests[0].depends_on"],
        ),
        (
            json!([{}]),
            Some(json!([{"id": "g", "tests": ["T-1", "NONE"]}, {"id": "g", "tests": ["T-1"]}])),
            vec!["unknown-test groups[0].tests[1]", "duplicate-group groups[1].id", "several-groups groups[1].tests[0]"],
        ),
        (json!([{}, {"id": "B"}]), Some(json!([{"id": "g", "tests": ["B"]}])), vec!["ungrouped tests[0]"]),
        (
            json!([{"endpoint": "https://a.test/{{x}}?{{x}}", "input": ["{{y}}"], "expected": {"status": 200, "body": {"a": "{{z}}"}, "body_equals": "{{w}}"}}]),
            none.clone(),
            vec![
                "never-filled tests[0].endpoint",
                "never-filled tests[0].input",
                "never-filled tests[0].expected.body_equals",
                "never-filled tests[0].expected",
            ],
        ),
        // Who alone fills it can't be the one who needs it first.
        (json!([{"endpoint": "https://a.test/{{x}}", "captures": {"x": "$.x"}}]), none.clone(), vec!["never-filled tests[0].endpoint"]),
        (
            json!([{"endpoint": "https://a.test/{{ x }}", "headers": {"a": "{{secret:}}"}}]),
            none.clone(),
            vec!["bad-template tests[0].endpoint", "bad-template tests[0].headers"],
        ),
        (
            json!([{"expected": {"status": 200, "body_equals": "{{secret:KEY}}"}}]),
            none.clone(),
            vec!["bad-template tests[0].expected.body_equals"],
        ),
        (
            json!([{"captures": {"x": "$.x"}}, {"id": "B", "captures": {"x": "$.x"}}]),
            none.clone(),
            vec!["never-used tests[0].captures.x", "filled-twice tests[1].captures.x"],
        ),
        (json!([{"service": "b.sh"}]), none.clone(), vec!["unknown-service tests[0].service"]),
        // What is left out fills nothing, and lacks nothing.
        (
            json!([{"skip": true, "captures": {"x": "$.x"}}, {"id": "B", "endpoint": "https://a.test/{{x}}"}]),
            none.clone(),
            vec!["never-filled tests[1].endpoint"],
        ),
        (
            json!([{"skip": true, "captures": {"x": "$.x"}}, {"id": "B", "skip": true, "endpoint": "https://a.test/{{x}}"}, {"id": "C", "captures": {"x": "$.x"}}]),
            none.clone(),
            vec![],
        ),
        (
            json!([{"depend_on": ["B"], "timeout": 5, "retry": null, "payment": null, "run_note": "prim.sh's"}]),
            none.clone(),
            vec!["not-looked-at tests[0].depend_on", "not-looked-at tests[0].timeout"],
        ),
        (
            json!([{"endpoint": "not a url"}, {"id": "B", "endpoint": "ftp://a.test/"}, {"id": "C", "endpoint": "https://u:p@a.test/"}, {"id": "D", "endpoint": "http://["}]),
            none.clone(),
            vec![
                "wrong-value tests[0].endpoint",
                "wrong-value tests[1].endpoint",
                "wrong-value tests[2].endpoint",
                "wrong-value tests[3].endpoint",
            ],
        ),
        (
            json!([{"headers": {"bad header": "x", "x-a": "a\nb", "x-b": "a\tb é {{runner}}"}}]),
            none.clone(),
            vec!["wrong-value tests[0].headers.bad header", "wrong-value tests[0].headers.x-a"],
        ),
        (
            json!([{}]),
            Some(json!([{"id": "g", "tests": ["T-1"], "setup": "before", "cleanup": "after"}])),
            vec!["not-looked-at groups[0].setup", "not-looked-at groups[0].cleanup"],
        ),
        (
            json!([{"expected": {"status": 200, "body": {"a": null, "b": [1, 2], "c": {"$oneOf": ["x", null]}, "d": {"$equals": [null, null]}}}}]),
            none.clone(),
            vec![
                "cannot-fail tests[0].expected.body.a",
                "only-first tests[0].expected.body.b",
                "cannot-fail tests[0].expected.body.c.$oneOf[1]",
            ],
        ),
    ] {
        assert_eq!(found(&tests, groups.as_ref()), expected, "{tests}");
    }
}

#[test]
fn an_expectation_that_nobody_looks_at_is_told() {
    let plan = plan_of(&json!([{"expected": {"status": 200, "boddy": {"a": 1}}}]), None);
    let refused = flywheel::suite::from_value(&plan, Mode::Ours).unwrap_err();
    let said: Vec<_> = refused.iter().map(ToString::to_string).collect();
    assert_eq!(said, ["tests[0].expected.boddy: is not known here; status, body, body_equals, headers are [wrong-value]"]);
    let found = lint(&read(&plan, Mode::Primsh), &Known::default());
    let said: Vec<_> = found.iter().map(|f| (f.code, f.severity, f.path.as_str())).collect();
    assert_eq!(said, [(Code::NotLookedAt, Severity::Warning, "tests[0].expected.boddy")]);
    assert_eq!(lint(&read(&plan_of(&json!([{}]), None), Mode::Primsh), &Known::default()), []);
}

#[test]
fn prim_shs_plan_has_three_variables_that_nothing_fills() {
    let Some(plan) = real(Mode::Ours) else { return };
    let findings = lint(&plan, &Known::default());
    let names: BTreeSet<_> =
        findings.iter().filter(|f| f.code == Code::NeverFilled).map(|f| f.message.split(['{', '}']).nth(2).unwrap()).collect();
    assert_eq!(names, ["fund_request_id", "ssh_pubkey", "webhook_id"].into());
    let others: Vec<_> = findings.iter().filter(|f| f.code != Code::NeverFilled).map(ToString::to_string).collect();
    let known =
        |text: &String| text.contains("[never-used]") || text.contains("[filled-twice]") || text.contains("the hook onboarding_e2e");
    assert!(others.iter().all(known), "{others:#?}");
}

#[test]
fn a_text_that_is_no_plan_has_all_that_is_wrong_with_it_named() {
    let said = |text: &str| -> Vec<String> { read_text(text, Mode::Ours).unwrap_err().iter().map(ToString::to_string).collect() };
    let broken = r##"{"groups": [{"id": 1, "tests": "T"}, 7], "tests": [{"id": "a", "method": "get", "endpoint": "x", "expected": {"status": "200", "body": {"$what": 1, "x": {"$schema": "#/schemas/Gone"}}},
        "captures": {"a": "$[", "b-c": "$"}, "timeout_ms": 0, "depends_on": [1]}, {"method": "GET", "endpoint": "x", "expected": {"status": 200, "body": {"$schema": "#/schemas/Gone"}}, "id": "b"}],
        "schemas": {"Bad": {"type": "nothing"}}}"##;
    let paths: Vec<_> = read_text(broken, Mode::Ours).unwrap_err().iter().map(|f| format!("{} {}", f.path, f.code.as_str())).collect();
    assert_eq!(
        paths,
        [
            "groups[0].id wrong-type",
            "groups[0].tests wrong-type",
            "groups[1] wrong-type",
            "tests[0].method wrong-value",
            "tests[0].expected.status wrong-type",
            "tests[0].expected.body.$what unknown-matcher",
            "tests[0].expected.body.x unknown-matcher",
            "tests[0].captures.a bad-path",
            "tests[0].captures.b-c wrong-value",
            "tests[0].depends_on[0] wrong-type",
            "tests[0].timeout_ms wrong-value",
            "schemas.Bad bad-schema",
            "tests[0].expected unknown-schema",
            "tests[1].expected unknown-schema",
        ]
        .iter()
        .filter(|line| !line.starts_with("tests[0].expected unknown"))
        .copied()
        .collect::<Vec<_>>()
    );
    assert_eq!(said("[]"), ["must be an object, not an array [wrong-type]"]);
    assert_eq!(said("{}"), ["groups: is missing [missing]", "tests: is missing [missing]"]);
    assert!(said("{\"groups\": ")[0].starts_with("the plan is not JSON: EOF"), "{:?}", said("{\"groups\": "));
    assert!(said("a: [")[0].starts_with("the plan is not YAML"), "{:?}", said("a: ["));
    let deep = format!("{{\"groups\": {}{}}}", "[".repeat(100), "]".repeat(100));
    assert_eq!(said(&deep), ["the plan has more than 64 levels [too-large]"]);
    assert!(parse(&"[".repeat(100_000)).is_err());
    let many = plan_of(&Value::from(vec![json!({}); 20_001]), None);
    let findings = flywheel::suite::from_value(&many, Mode::Ours).unwrap_err();
    assert_eq!(findings.iter().map(|f| (f.code, f.path.as_str())).collect::<Vec<_>>(), [(Code::TooLarge, "tests")]);
    let wrong = plan_of(&Value::from(vec![json!({"method": 1}); 20_000]), None);
    assert_eq!(flywheel::suite::from_value(&wrong, Mode::Ours).unwrap_err().len(), 1_000, "the same mistake over and over");
}
