//! Whatever comes: nothing panics, every test ends exactly once, and what is reported
//! is well-formed and holds no secret.

use std::collections::{BTreeMap, BTreeSet};

use flywheel::suite::{self, Answer, Known, Mode, Outcome, Run, Secrets, Spent, Trouble, report};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    schema::{complete, odd},
    script::{plan_of, play, read, seeds},
};

const SECRET: &str = "c0ffee \"secret\" <&>";

fn secrets() -> Secrets {
    Secrets::new([("KEY".to_owned(), SECRET.to_owned().into())])
}

/// Runs and reports with answers that are all alike.
fn whole(value: &Value, mode: Mode, answer: &Answer) {
    let Ok(plan) = suite::from_value(value, mode) else { return };
    suite::lint(&plan, &Known::default());
    let Ok(mut run) = Run::new(&plan, None, seeds(), secrets()) else { return };
    let (all, mut steps) = (run.len(), 0);
    while let Some(task) = run.next_task() {
        let mut again = if steps % 5 == 4 {
            run.broke(task.ticket, &Trouble::Broken(SECRET.into()), Spent::default())
        } else {
            run.answered(task.ticket, answer, Spent { duration_ms: u64::MAX, ..Spent::default() })
        };
        while again.is_some() {
            let task = run.again(task.ticket).unwrap();
            again = run.answered(task.ticket, answer, Spent::default());
        }
        steps += 1;
    }
    assert!(run.is_done());
    let results = run.into_results();
    assert_eq!(results.len(), all);
    let verdict = suite::conclude(&plan, &results, None);
    let changed = ["a.sh".to_owned()];
    let report = report::Report {
        plan: &plan,
        results: &results,
        verdict: &verdict,
        timestamp: "2026-01-01T00:00:00Z",
        ci: true,
        changed: &changed,
    };
    let (json, junit, markdown) = (report::json(&report).to_string(), report::junit(&report), report::markdown(&report));
    let tree = roxmltree::Document::parse(&junit).unwrap_or_else(|e| panic!("{e}: {junit}"));
    assert_eq!(tree.descendants().filter(|node| node.has_tag_name("testcase")).count(), results.len());
    assert!(markdown.len() <= 60 * 1024, "{}", markdown.len());
    for text in [&json, &junit, &markdown] {
        assert!(!text.contains("c0ffee"), "a secret: {text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_plan_comes_to_an_end(
        pointer in prop::sample::select(vec!["/tests/0/expected", "/tests/0/expected/body", "/tests/0/input", "/tests/0/captures", "/tests/1/depends_on", "/groups/0/tests", "/tests/0", "/tests", "/groups", "/tests/0/endpoint", "/tests/0/test", "/tests/1/skip", ""]),
        value in odd(), body in odd(), text in ".{0,30}",
        status in prop::sample::select(vec![200_u16, 201, 409, 429, 500]),
        kind in prop::sample::select(vec!["application/json", "application/problem+json", "text/plain", ""]),
    ) {
        let mut plan = complete();
        *plan.pointer_mut(pointer).unwrap() = value;
        if let Some(title) = plan.pointer_mut("/tests/0/test") { *title = text.clone().into(); }
        let body = if kind == "text/plain" { format!("{text}{SECRET}").into_bytes() } else { json!({"id": body, "said": SECRET, "tags": [{"name": text}]}).to_string().into_bytes() };
        let headers = vec![("content-type".to_owned(), kind.to_owned()), ("location".to_owned(), text)];
        let answer = Answer { status, headers, body, cut: None };
        whole(&plan, Mode::Ours, &answer);
        whole(&plan, Mode::Primsh, &answer);
    }

    #[test]
    fn a_value_is_as_itself_and_matchers_never_panic(expected in odd(), actual in odd()) {
        let outcome = |expected: &Value, mode| {
            let plan = plan_of(&json!([{ "expected": { "status": 200, "body": expected } }]), None);
            let Ok(plan) = suite::from_value(&plan, mode) else { return None };
            Some(play(&plan, None, &json!({ "T-1": { "json": actual } })).results[0].outcome)
        };
        outcome(&expected, Mode::Ours);
        outcome(&expected, Mode::Primsh);
        prop_assert_eq!(outcome(&json!({ "$equals": actual }), Mode::Ours), Some(Outcome::Pass));
        // What is either so or not so is always one of both.
        if let Some(once) = outcome(&expected, Mode::Ours) {
            prop_assert_eq!(outcome(&json!({ "$oneOf": [expected] }), Mode::Ours), Some(once));
        }
    }

    #[test]
    fn each_test_comes_once_and_after_what_it_needs(
        edges in prop::collection::vec((0..20_usize, 0..20_usize), 0..40),
        deletes in prop::collection::btree_set(0..20_usize, 0..8),
        failing in prop::collection::btree_set(0..20_usize, 0..4),
    ) {
        // Edges that go back alone: there is no circle.
        let needs = |i: usize| edges.iter().filter(|(to, from)| *to == i && from < to).map(|(_, from)| format!("T{from}")).collect::<BTreeSet<_>>();
        let tests: Vec<_> = (0..20).map(|i| json!({
            "id": format!("T{i}"), "depends_on": needs(i), "method": if deletes.contains(&i) { "DELETE" } else { "GET" },
            "endpoint": format!("https://a.test/{}", ["x", "x/y", "x/y/z", "w"][i % 4]),
        })).collect();
        let answers: BTreeMap<_, _> = failing.iter().map(|i| (format!("T{i}"), json!({"status": 500}))).collect();
        let plan = read(&plan_of(&json!(tests), None), Mode::Ours);
        let mut run = Run::new(&plan, None, seeds(), Secrets::default()).unwrap();
        let mut ended = BTreeSet::new();
        loop {
            let mut wave = Vec::new();
            while let Some(task) = run.next_task() { wave.push(task); }
            if wave.is_empty() { break; }
            for task in wave {
                let id = plan.tests[task.test].id.clone();
                prop_assert!(plan.tests[task.test].depends_on.iter().all(|need| ended.contains(need)), "{} before what it needs", id);
                run.answered(task.ticket, &super::script::answer(answers.get(&id).unwrap_or(&Value::Null)), Spent::default());
                ended.insert(id);
            }
        }
        prop_assert!(run.is_done());
        prop_assert_eq!(run.results().len(), 20);
    }
}
