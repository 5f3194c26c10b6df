//! What a run of a whole plan comes to, in which order, and what is said of it.

use std::collections::{BTreeMap, BTreeSet};

use flywheel::suite::{self, Exit, Mode, Outcome, Phases, Receipt, Run, Secrets, Spent, Trouble, conclude, report};
use serde_json::{Value, json};

use super::{
    plan::real,
    script::{answer, plan_of, play, play_with, read, seeds},
};

#[test]
fn a_run_comes_to_an_exit_code_by_what_had_to_pass() {
    let phases = |phase: &str| Some(Phases::new([("a".to_owned(), phase.to_owned())]));
    let (pass, fail, block, trouble, skip) = (
        json!({}),
        json!({"id": "F", "expected": {"status": 418}}),
        json!({"id": "B", "depends_on": ["NONE"]}),
        json!({"id": "E"}),
        json!({"id": "S", "skip": true}),
    );
    let down = json!({"E": {"trouble": "connection refused"}});
    for (name, tests, ci, ours, primsh) in [
        ("all pass", vec![&pass], None, 0, 0),
        ("a fail", vec![&pass, &fail], None, 1, 0),
        ("a fail, and one blocked", vec![&fail, &block], None, 1, 0),
        ("one blocked", vec![&pass, &block], None, 2, 0),
        ("no answer", vec![&pass, &trouble], None, 2, 0),
        ("all blocked", vec![&block], None, 2, 2),
        ("all skipped", vec![&skip], None, 2, 2),
        ("all skipped, and one blocked", vec![&skip, &block], phases("live"), 2, 2),
        ("one skipped", vec![&pass, &skip], None, 0, 0),
        ("nothing", vec![], None, 2, 2),
        ("live: a fail", vec![&pass, &fail], phases("live"), 1, 1),
        ("live: no answer", vec![&pass, &trouble], phases("Live"), 2, 1),
        ("live: one blocked", vec![&pass, &block], phases("live"), 2, 0),
        ("mainnet: a fail", vec![&pass, &fail], phases("mainnet"), 1, 1),
        ("testnet: a fail", vec![&pass, &fail], phases("testnet"), 1, 1),
        ("testing: a fail", vec![&pass, &fail], phases("testing"), 0, 0),
        ("testing: one blocked", vec![&pass, &block], phases("Testing"), 0, 0),
        ("testing: all blocked", vec![&block], phases("testing"), 2, 2),
        ("testing: nobody answers", vec![&trouble], phases("testing"), 2, 0),
        ("hold: a fail", vec![&pass, &fail], phases("hold"), 0, 0),
        ("a phase that nobody knows", vec![&pass, &fail], phases("banana"), 1, 0),
        ("no phase", vec![&pass, &fail], Some(Phases::default()), 1, 0),
    ] {
        for (mode, expected) in [(Mode::Ours, ours), (Mode::Primsh, primsh)] {
            let plan = read(&plan_of(&json!(tests), None), mode);
            let played = play(&plan, None, &down);
            let verdict = conclude(&plan, &played.results, ci.as_ref());
            assert_eq!(verdict.exit.code(), expected, "{name}, {mode:?}: {}", verdict.summary);
            assert_eq!(verdict.counts.total(), tests.len());
        }
    }
    assert_eq!(Exit::Usage.code(), 3);
}

#[test]
fn phases_are_read_from_json_and_yaml() {
    let phases = Phases::new([("store".to_owned(), "live".to_owned()), ("search.sh".to_owned(), "testing".to_owned())]);
    assert_eq!(Phases::read("{\"store\": \"live\", \"search.sh\": \"testing\"}"), Ok(phases.clone()));
    assert_eq!(Phases::read("store: live\nsearch.sh: testing\n"), Ok(phases));
    for (text, why) in [("[]", "it must be a mapping from services to phases"), ("{\"a\": 1}", "a: the phase must be a text")] {
        assert_eq!(Phases::read(text), Err(why.to_owned()));
    }
    assert!(Phases::read("{").is_err());
}

#[test]
fn everything_unreachable_is_not_green_for_prim_shs_plan() {
    for (mode, exit, counts) in [(Mode::Ours, 2, (0, 0, 66, 9, 1)), (Mode::Primsh, 0, (1, 9, 66, 0, 0))] {
        let Some(plan) = real(mode) else { return };
        let down: serde_json::Map<String, Value> =
            plan.tests.iter().map(|test| (test.id.clone(), json!({"trouble": "connection refused"}))).collect();
        let played = play(&plan, None, &down.clone().into());
        let verdict = conclude(&plan, &played.results, Some(&Phases::new([("wallet".to_owned(), "hold".to_owned())])));
        let c = verdict.counts;
        // As measured of the original: 1 of 76 passes, 9 fail, 66 are blocked.
        assert_eq!((c.pass, c.fail, c.blocked, c.error, c.skipped), counts, "{mode:?}");
        assert_eq!(verdict.exit.code(), exit, "{mode:?}: {}", verdict.summary);
        let groups = conclude(&plan, &play(&plan, Some("store"), &down.into()).results, None);
        assert_eq!(groups.exit.code(), 2, "a group that is blocked altogether: {}", groups.summary);
    }
}

/// A value of a shape.
fn like(shape: &Value) -> Value {
    match shape {
        Value::String(word) if word.starts_with("number") => json!(1),
        Value::String(word) if word.starts_with("array") => json!([1]),
        Value::String(word) if word.starts_with("{{") => json!("x"),
        Value::Object(map) => map.iter().map(|(key, shape)| (key.clone(), like(shape))).collect(),
        plain => plain.clone(),
    }
}

#[test]
fn a_group_of_prim_shs_plan_brings_what_it_needs() {
    let Some(plan) = real(Mode::Ours) else { return };
    let mut variables = seeds();
    variables.extend(["agent_address", "eip191_sig", "iso_timestamp"].map(|name| (name.to_owned(), "x".to_owned())));
    let mut run = Run::new(&plan, Some("store"), variables, Secrets::default()).unwrap();
    let mut waves = Vec::new();
    loop {
        let mut wave = Vec::new();
        while let Some(task) = run.next_task() {
            wave.push(task);
        }
        if wave.is_empty() {
            break;
        }
        waves.push(wave.iter().map(|task| plan.tests[task.test].id.clone()).collect::<Vec<_>>());
        for task in wave {
            let expected = &plan.tests[task.test].given["expected"];
            let row = match expected["body_equals"].as_str() {
                Some(text) => {
                    json!({"status": expected["status"], "raw": text.replace("{{runner}}", &seeds()["runner"]), "type": "text/plain"})
                }
                None => json!({"status": expected["status"], "json": like(&expected["body"])}),
            };
            let _ = run.answered(task.ticket, &answer(&row), Spent::default());
        }
    }
    assert!(waves[0].contains(&"H-1".to_owned()) && waves[0].contains(&"H-2".to_owned()), "{waves:?}");
    let at = |id: &str| waves.iter().position(|wave| wave.iter().any(|other| other == id)).unwrap_or_else(|| panic!("{id}: {waves:?}"));
    assert!(at("W-1") < at("F-1") && at("F-1") < at("ST-1"), "{waves:?}");
    // The bucket is removed after all that is done with it.
    assert!(["ST-2", "ST-6"].iter().all(|id| at(id) < at("ST-8") || *id == "ST-2"), "{waves:?}");
    assert_eq!(at("ST-8"), waves.len() - 1, "{waves:?}");
    assert!(run.is_done());
}

#[test]
fn a_run_that_is_stopped_has_a_result_for_each_test() {
    for (mode, sent, rest) in [(Mode::Ours, Outcome::Error, Outcome::Blocked), (Mode::Primsh, Outcome::Fail, Outcome::Blocked)] {
        let plan = read(&plan_of(&json!([{}, {"id": "B", "depends_on": ["T-1"]}, {"id": "C", "depends_on": ["B"]}]), None), mode);
        let mut run = Run::new(&plan, None, seeds(), Secrets::default()).unwrap();
        let task = run.next_task().unwrap();
        run.stop("the deadline passed", &BTreeMap::new());
        assert!(run.is_done() && run.next_task().is_none());
        assert_eq!(run.answered(task.ticket, &answer(&json!({})), Spent::default()), None, "too late");
        let outcomes: Vec<_> = run.into_results().iter().map(|result| result.outcome).collect();
        assert_eq!(outcomes, [sent, rest, rest], "{mode:?}");
    }
}

/// What a payment of a cent leaves, before it is settled.
fn receipt(transaction: &str) -> Receipt {
    Receipt {
        version: 2,
        network: "eip155:84532".into(),
        asset: "0x02".into(),
        amount: 10_000,
        pay_to: "0x01".into(),
        payer: "0x03".into(),
        settled: false,
        transaction: Some(transaction.into()),
        refused: None,
    }
}

#[test]
fn what_was_paid_and_answered_is_told_of_a_run_that_is_stopped() {
    let plan = read(&plan_of(&json!([{"retry": {"count": 3}}, {"id": "B"}]), None), Mode::Ours);
    let secrets = Secrets::new([("KEY".to_owned(), "hunter22".to_owned().into())]);
    let mut run = Run::new(&plan, None, seeds(), secrets).unwrap();
    let (first, second) = (run.next_task().unwrap(), run.next_task().unwrap());
    let spent = Spent { receipts: vec![receipt("0x1")], duration_ms: 5, ..Spent::default() };
    assert_eq!(run.answered(first.ticket, &answer(&json!({"status": 503})), spent), Some(0));
    run.again(first.ticket).unwrap();
    // Two are under way, and both have paid.
    let under_way = |transaction, status| Spent { receipts: vec![receipt(transaction)], duration_ms: 7, status };
    let spent = [(first.ticket, under_way("0x2", None)), (second.ticket, under_way("hunter22", Some(402)))];
    run.stop("the deadline passed", &spent.into());
    let results = run.into_results();
    let told = |i: usize| (results[i].actual_status, results[i].duration_ms, results[i].attempts);
    assert_eq!((told(0), told(1)), ((Some(503), 12, 2), (Some(402), 7, 1)), "{results:?}");
    let hashes: Vec<_> = results.iter().flat_map(|result| &result.receipts).map(|receipt| receipt.transaction.clone().unwrap()).collect();
    assert_eq!(hashes, ["0x1", "0x2", "{{secret:KEY}}"], "a receipt repeats what a service says");

    // Nobody answers the payment: the last answer was that one is asked for. Terms that
    // are not paid are no status that was not expected.
    for (trouble, status) in [(Trouble::Broken("no answer".into()), Some(402)), (Trouble::Wrong("not paid".into()), None)] {
        let mut run = Run::new(&plan, Some("g"), seeds(), Secrets::default()).unwrap();
        let (_, second) = (run.next_task().unwrap(), run.next_task().unwrap());
        assert_eq!(run.broke(second.ticket, &trouble, Spent { status: Some(402), ..Spent::default() }), None);
        assert_eq!(run.results()[0].actual_status, status, "{trouble:?}");
    }
}

#[test]
fn ten_thousand_tests_are_ordered_at_once() {
    let test = |i: usize| {
        json!({
            "id": format!("T{i}"), "method": if i % 3 == 2 { "DELETE" } else { "GET" }, "endpoint": format!("https://a.test/v1/{}/{{{{v{}}}}}", i % 50, i / 2),
            "captures": {format!("v{i}"): "$.v"}, "depends_on": if i == 0 { vec![] } else { vec![format!("T{}", i / 2), format!("T{}", i - 1)] },
        })
    };
    let mut tests: Vec<_> = (1..10_000).map(test).collect();
    tests.insert(0, json!({"id": "T0", "captures": {"v0": "$.v"}}));
    let plan = read(&plan_of(&tests.into(), None), Mode::Ours);
    let began = std::time::Instant::now();
    let mut run = Run::new(&plan, None, seeds(), Secrets::default()).unwrap();
    while let Some(task) = run.next_task() {
        assert_eq!(run.answered(task.ticket, &answer(&json!({"json": {"v": "x"}})), Spent::default()), None);
    }
    assert!(run.results().iter().all(|result| result.outcome == Outcome::Pass) && run.results().len() == 10_000);
    // Far more than it takes: what grows with the square of the tests would be longer.
    assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
}

/// A run of which each outcome is a part, with texts that mean harm.
fn hostile() -> (suite::Plan, Vec<suite::TestResult>) {
    let evil = "</td> ``` @team | `x` ' \" $(rm -rf /) \u{202e} \u{0} ]]> <script>";
    let tests = json!([
        {"id": "P", "test": "Passes", "service": "a.sh"},
        {"id": "F", "test": evil, "service": "b.sh", "method": "POST", "endpoint": "https://b.test/v1/it's?q={{secret:KEY}}", "headers": {"x-key": "{{secret:KEY}}"}, "input": {"a": "it's ``` here", "key": "{{secret:KEY}}"}, "expected": {"status": 201}},
        {"id": "B", "test": "Is blocked", "depends_on": ["F"], "service": "b.sh"},
        {"id": "E", "test": "Has no answer", "service": "a.sh"},
        {"id": "S", "test": "Is left out", "skip": true, "service": "a.sh"},
        {"id": "N", "test": "Needs what nothing fills", "endpoint": "https://a.test/{{none}}", "service": "a.sh"},
    ]);
    let plan = read(&plan_of(&tests, None), Mode::Ours);
    let answers = json!({"F": {"status": 400, "type": "text/plain", "raw": format!("{evil} hunter22")}, "E": {"trouble": "connection refused by hunter22"}});
    let secrets = Secrets::new([("KEY".to_owned(), "hunter22".to_owned().into())]);
    let mut results = play_with(&plan, None, &answers, secrets).results;
    results[0].receipts.push(Receipt { settled: true, ..receipt("0xabc") });
    (plan, results)
}

#[test]
fn reports_say_what_was_done_and_nothing_more() {
    let (plan, results) = hostile();
    let verdict = conclude(&plan, &results, None);
    let changed = ["b".to_owned()];
    let report = report::Report {
        plan: &plan,
        results: &results,
        verdict: &verdict,
        timestamp: "2026-01-02T03:04:05Z",
        ci: false,
        changed: &changed,
    };
    let (json, junit, markdown) = (report::json(&report), report::junit(&report), report::markdown(&report));
    insta::assert_snapshot!("report", format!("{json:#}"));
    insta::assert_snapshot!("junit", junit);
    insta::assert_snapshot!("comment", markdown);
    for text in [&json.to_string(), &junit, &markdown] {
        assert!(!text.contains("hunter22"), "a secret");
    }
    let tree = roxmltree::Document::parse(&junit).unwrap();
    let suites = tree.descendants().find(|node| node.has_tag_name("testsuites")).unwrap();
    assert_eq!(["tests", "failures", "errors", "skipped"].map(|name| suites.attribute(name).unwrap()), ["6", "1", "3", "1"]);
    // prim.sh's keys, as its runner names them.
    for key in ["timestamp", "mode", "groups", "tests", "summary"] {
        assert!(json.get(key).is_some(), "{key}");
    }
}

/// What a service gives out for one to be known by is in no plan, and in no report.
#[test]
fn what_is_called_as_secrets_are_is_not_shown() {
    let tests = json!([
        {"id": "T-1", "captures": {"token": "$.token"}, "expected": {"status": 200}},
        {"id": "T-2", "method": "POST", "endpoint": "https://a.test/v1/x?token={{token}}&page=2", "headers": {"Authorization": "Bearer {{token}}"}, "input": {"password": "{{token}}", "name": "n"}, "expected": {"status": 201}},
        {"id": "T-3", "expected": {"status": 200, "body": {"token": "{{token}}"}}},
        {"id": "T-4", "expected": {"status": 200, "body": {"deep": {"$schema": "#/schemas/Deep"}}}},
        {"id": "T-5", "expected": {"status": 200, "headers": {"set-cookie": "x"}}},
        {"id": "T-6", "expected": {"status": 200, "body_equals": "{}"}},
    ]);
    let schemas = json!({"Deep": {"properties": {"token": {"type": "integer"}}, "required": ["other"]}});
    let given = json!({"id": "a", "token": "tok-1"});
    let answers = json!({
        "T-1": {"json": given}, "T-2": {"json": given}, "T-3": {"json": {"token": "tok-2"}}, "T-4": {"json": {"deep": given}},
        "T-5": {"headers": {"set-cookie": "sid=tok-3"}}, "T-6": {"json": given},
    });
    for mode in [Mode::Ours, Mode::Primsh] {
        let mut plan = plan_of(&tests, None);
        plan["schemas"] = schemas.clone();
        let plan = read(&plan, mode);
        let results = play(&plan, None, &answers).results;
        let verdict = conclude(&plan, &results, None);
        let report = report::Report { plan: &plan, results: &results, verdict: &verdict, timestamp: "", ci: false, changed: &[] };
        let (json, markdown) = (report::json(&report).to_string(), report::markdown(&report));
        for text in [&json, &report::junit(&report), &markdown] {
            assert!(!text.contains("tok-"), "{mode:?}: {text}");
        }
        assert!(markdown.contains("token=[hidden]&page=2") && markdown.contains(r#"{"password":"[hidden]","name":"n"}"#), "{markdown}");
        let note = results[1].note.as_ref().unwrap();
        assert!(note.contains("[hidden]") && note.contains("id"), "what else there is helps: {note}");
    }
}

#[test]
fn a_comment_has_a_command_that_a_shell_reads_as_it_was_sent() {
    let (_, results) = hostile();
    let command = report::curl(results[1].request.as_ref().unwrap());
    // The shell says what it would call curl with.
    let output =
        std::process::Command::new("sh").arg("-c").arg(format!("curl() {{ printf '%s\\n' \"$@\"; }}; {command}")).output().unwrap();
    let words = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        words.lines().collect::<Vec<_>>(),
        [
            "-gsS",
            "-X",
            "POST",
            "-H",
            "x-key: {{secret:KEY}}",
            "-H",
            "content-type: application/json",
            "--data-raw",
            r#"{"a":"it's ``` here","key":"{{secret:KEY}}"}"#,
            "--url",
            "https://b.test/v1/it's?q={{secret:KEY}}"
        ]
    );
}

#[test]
fn a_comment_is_bounded_and_says_what_it_leaves_out() {
    let tests: Vec<_> = (0..5_000).map(|i| json!({"id": format!("T{i}"), "service": format!("s{}.sh", i % 300), "test": "x".repeat(400), "method": "POST", "input": "y".repeat(1_900)})).collect();
    let plan = read(&plan_of(&tests.into(), None), Mode::Ours);
    let mut run = Run::new(&plan, None, seeds(), Secrets::default()).unwrap();
    while let Some(task) = run.next_task() {
        run.broke(task.ticket, &Trouble::Broken("z".repeat(5_000)), Spent::default());
    }
    let results = run.into_results();
    let verdict = conclude(&plan, &results, None);
    let report = report::Report { plan: &plan, results: &results, verdict: &verdict, timestamp: "", ci: false, changed: &[] };
    let markdown = report::markdown(&report);
    assert!(markdown.len() <= 60 * 1024 && markdown.contains("which had no room here"), "{}", markdown.len());
    assert!(markdown.contains("<summary>Ask again") && markdown.trim_end().ends_with("</details>"));
}

/// prim.sh's runner finds tests by their ids in a `Map`, which takes any value as a key.
#[test]
fn ids_that_are_no_texts_are_keys_by_their_value() {
    let tests = json!([
        { "id": 1 }, { "id": "1" }, { "id": "B", "depends_on": [1] }, { "id": 2.5, "depends_on": ["1"] }, { "id": true }, { "id": null },
        { "id": "C", "depends_on": [true, 1.0] }, { "id": "D", "depends_on": [{}] }, { "id": {} },
    ]);
    let played = play(&read(&plan_of(&tests, None), Mode::Primsh), None, &json!({ "1": { "status": 500 } }));
    let expected = [
        "1 (a number) pass 200",
        "1 fail 500",
        "B pass 200",
        "2.5 blocked null",
        "true pass 200",
        "null pass 200",
        "C pass 200",
        "D blocked null",
    ];
    assert_eq!(played.lines(), expected);
    let blocked: Vec<_> =
        played.results.iter().filter_map(|result| Some((result.note.as_deref()?, result.blocked_by.as_deref()?))).collect();
    assert_eq!(blocked, [("blocked by 1", "1"), ("blocked by [object Object]", "[object Object] (an object)")]);
}

/// By prim.sh's rules what was not sent is blocked, and nothing looks at what is blocked.
#[test]
fn a_run_of_prim_shs_way_that_was_cut_short_is_not_green() {
    let plan = read(&plan_of(&json!([{}, {"id": "B"}, {"id": "C"}]), None), Mode::Primsh);
    let mut run = Run::new(&plan, None, seeds(), Secrets::default()).unwrap();
    let task = run.next_task().unwrap();
    assert_eq!(run.answered(task.ticket, &answer(&json!({})), Spent::default()), None);
    assert_eq!((run.next_task().is_some(), run.stopped()), (true, None));
    run.stop("the deadline passed", &BTreeMap::new());
    let why = run.stopped().unwrap().to_owned();
    let results = run.into_results();
    let phase = |phase: &str| Some(Phases::new([("a".to_owned(), phase.to_owned())]));
    for (phases, before, after) in [(None, 0, 2), (phase("hold"), 0, 2), (phase("live"), 1, 1)] {
        let verdict = conclude(&plan, &results, phases.as_ref());
        assert_eq!(verdict.exit.code(), before, "{}", verdict.summary);
        let verdict = verdict.cut_short(&why);
        assert_eq!(verdict.exit.code(), after, "{}", verdict.summary);
        assert!(verdict.summary.ends_with("; it was cut short: the deadline passed"), "{}", verdict.summary);
    }
    // One that had come to its end was not.
    let plan = read(&plan_of(&json!([{}]), None), Mode::Primsh);
    let mut run = Run::new(&plan, None, seeds(), Secrets::default()).unwrap();
    let task = run.next_task().unwrap();
    assert_eq!(run.answered(task.ticket, &answer(&json!({})), Spent::default()), None);
    run.stop("the deadline passed", &BTreeMap::new());
    assert_eq!((run.stopped(), run.results().len()), (None, 1));
}

#[test]
fn a_try_that_there_is_no_money_for_hides_no_answer() {
    let retry = json!([{"retry": {"count": 3}}]);
    let waits = json!([{"retry": {"count": 3, "until": {"body": {"state": "done"}}}}]);
    for (tests, first, outcome, says) in [
        (&retry, json!({"status": 503}), Outcome::Fail, "it answers 503, and 200 is expected"),
        (&retry, json!({"cut": "it broke off"}), Outcome::Error, "its body ends too early"),
        (&waits, json!({"json": {"state": "new"}}), Outcome::Fail, "what retry.until waits for did not come in 1 tries"),
    ] {
        let plan = read(&plan_of(tests, None), Mode::Ours);
        let mut run = Run::new(&plan, None, seeds(), Secrets::default()).unwrap();
        let task = run.next_task().unwrap();
        assert_eq!(run.answered(task.ticket, &answer(&first), Spent::default()), Some(0));
        run.again(task.ticket).unwrap();
        let asked = Spent { status: Some(402), ..Spent::default() };
        assert_eq!(run.broke(task.ticket, &Trouble::Declined("raise --budget".into()), asked), None);
        let result = &run.results()[0];
        let status = first["status"].as_u64().unwrap_or(200);
        assert_eq!((result.outcome, result.actual_status.map(u64::from), result.attempts), (outcome, Some(status), 2), "{result:?}");
        let note = result.note.as_ref().unwrap();
        assert!(note.contains(says) && note.ends_with("; it was not tried again: raise --budget"), "{note}");
    }
    // Where nothing answered before, it is all that there is to say.
    let plan = read(&plan_of(&retry, None), Mode::Ours);
    let mut run = Run::new(&plan, None, seeds(), Secrets::default()).unwrap();
    let task = run.next_task().unwrap();
    assert_eq!(run.broke(task.ticket, &Trouble::Declined("raise --budget".into()), Spent::default()), None);
    assert_eq!((run.results()[0].outcome, run.results()[0].note.as_deref()), (Outcome::Error, Some("raise --budget")));
}

#[test]
fn groups_that_were_asked_for_are_named_in_the_order_of_the_run() {
    let group = |id: &str, tests: Value| json!({ "id": id, "name": "", "prompt": "", "tests": tests });
    let mut canary = group("canary", json!([]));
    canary["canary_only"] = true.into();
    let groups = json!([group("store", json!(["T-1"])), group("onboarding", json!([])), canary, group("discovery", json!([]))]);
    for (mode, only, expected) in [
        (Mode::Primsh, None, vec![0, 3, 1]),
        (Mode::Primsh, Some("onboarding"), vec![1]),
        (Mode::Ours, None, vec![0, 1, 3]),
        (Mode::Ours, Some("discovery"), vec![3]),
    ] {
        let plan = read(&plan_of(&json!([{}]), Some(&groups)), mode);
        let run = Run::new(&plan, only, seeds(), Secrets::default()).unwrap();
        assert_eq!(run.groups(), expected, "{mode:?} {only:?}");
        let verdict = conclude(&plan, &play(&plan, only, &json!({})).results, None);
        let counted: Vec<_> = verdict.groups.iter().map(|(id, counts)| (id.clone(), counts.total())).collect();
        let store: Vec<_> = [("store".to_owned(), 1)].into_iter().filter(|_| only.is_none()).collect();
        assert_eq!(counted, store, "{mode:?} {only:?}");
        let named = verdict.naming(&plan, run.groups()).groups;
        let mut in_order = expected.clone();
        in_order.sort_unstable();
        let ids: Vec<_> = in_order.iter().map(|i| plan.groups[*i].id.clone()).collect();
        assert_eq!(named.iter().map(|(id, _)| id.clone()).collect::<Vec<_>>(), ids, "{mode:?} {only:?}");
        assert!(named.iter().all(|(id, counts)| counts.total() == usize::from(id == "store")), "{named:?}");
    }
}

/// prim.sh's runner drops what only a canary runs before it looks for tests.
#[test]
fn a_group_of_a_canary_alone_needs_no_tests() {
    let tests = json!([{}]);
    let of = |canary_only: bool, tests: Value| json!([{ "id": "g", "tests": ["T-1"] }, { "id": "c", "canary_only": canary_only, "tests": tests }, { "id": "d", "canary_only": canary_only }]);
    let plan = read(&plan_of(&tests, Some(&of(true, Value::Null))), Mode::Primsh);
    assert_eq!(plan.groups.iter().map(|group| group.tests.len()).collect::<Vec<_>>(), [1, 0, 0]);
    let refused = suite::from_value(&plan_of(&tests, Some(&of(false, Value::Null))), Mode::Primsh).unwrap_err();
    assert_eq!(refused.len(), 2, "{refused:?}");
}

/// A build server is to be as red as the exit code.
#[test]
fn junit_has_what_phases_make_a_warning_as_skipped() {
    let (plan, results) = hostile();
    for (a, ci, exit, figures, skipped) in [
        ("testing", true, Exit::Proven, ["6", "0", "0", "5"], vec!["B", "E", "F", "N", "S"]),
        ("testing", false, Exit::Proven, ["6", "1", "3", "1"], vec!["S"]),
        // What is not green is red for all that did not pass.
        ("live", true, Exit::Unproven, ["6", "1", "3", "1"], vec!["S"]),
    ] {
        let phases = Phases::new([("b".to_owned(), "testing".to_owned()), ("a".to_owned(), a.to_owned())]);
        let verdict = conclude(&plan, &results, Some(&phases));
        assert_eq!(verdict.exit, exit);
        let report = report::Report { plan: &plan, results: &results, verdict: &verdict, timestamp: "", ci, changed: &[] };
        let junit = report::junit(&report);
        let tree = roxmltree::Document::parse(&junit).unwrap();
        for name in ["testsuites", "testsuite"] {
            let suite = tree.descendants().find(|node| node.has_tag_name(name)).unwrap();
            assert_eq!(["tests", "failures", "errors", "skipped"].map(|name| suite.attribute(name).unwrap()), figures, "{name} {ci}");
        }
        let cases = tree.descendants().filter(|node| node.has_tag_name("skipped"));
        let (mut ids, mut warned) = (BTreeSet::new(), 0);
        for case in cases {
            ids.insert(case.parent().unwrap().attribute("name").unwrap().split(' ').next().unwrap());
            warned += usize::from(case.attribute("message").unwrap().starts_with("warning: "));
        }
        assert_eq!((ids, warned), (skipped.iter().copied().collect(), skipped.len() - 1), "{junit}");
    }
}
