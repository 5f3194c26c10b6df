//! What shows a goal, and what does not.

use std::collections::BTreeMap;

use flywheel::{
    api::gate_run::{StepResult, Verdict},
    canary::{Goals, Proof, Reach, Request, Runner, Terms, goals_origins, terms, verdict},
    gate::report::is_missed,
    suite::{Outcome, Payment, Plan, TestResult},
};
use serde_json::{Value, json};

use super::{answer, notes, plan, test, with};

fn request(method: &str, target: &str) -> Request {
    Request { method: method.into(), target: target.into(), ..Request::default() }
}

/// How each goal comes out after these exchanges.
fn after(plan: &Plan, exchanges: &[(&str, &str, u16, Value)], runner: &Runner) -> Vec<(String, Proof)> {
    let reach = Reach::new(&goals_origins(plan));
    let mut goals = Goals::new(plan, "g", &reach, BTreeMap::new());
    for (step, (method, target, status, body)) in exchanges.iter().enumerate() {
        goals.saw(step, &request(method, target), &answer(*status, body));
    }
    goals.proofs(runner).into_iter().map(|(test, proof)| (test.id.clone(), proof)).collect()
}

fn reached(plan: &Plan, exchanges: &[(&str, &str, u16, Value)]) -> Vec<String> {
    let not = Runner::Not("it was not asked".into());
    let shown = after(plan, exchanges, &not).into_iter().filter(|(_, proof)| matches!(proof, Proof::Agent { .. }));
    shown.map(|(id, _)| id).collect()
}

#[test]
fn what_was_done_shows_goals() {
    let note = json!({"id": "n1", "text": "mine"});
    let all = [
        ("GET", "/", 200, json!({"status": "ok"})),
        ("POST", "/v1/notes", 201, note.clone()),
        ("GET", "/v1/notes/n1", 200, note),
        ("GET", "/v1/notes", 200, json!({"items": []})),
        ("DELETE", "/v1/notes/n1", 204, json!(null)),
    ];
    assert_eq!(reached(&plan(&notes()), &all), ["H", "MAKE", "READ", "LIST", "REMOVE"]);
}

#[test]
fn what_an_answer_gave_may_be_expected_of_others() {
    let mut tests = notes();
    tests[2]["expected"] = json!({"status": 200, "body": {"id": "{{note_id}}"}});
    tests[3]["expected"] = json!({"status": 200, "body": {"items": [{"id": "{{note_id}}"}]}});
    let plan = plan(&tests);
    let note = |id: &str| json!({"id": id, "text": "mine"});
    let made = [("GET", "/", 200, json!({"status": "ok"})), ("POST", "/v1/notes", 201, note("n1")), ("POST", "/v1/notes", 201, note("n2"))];
    let then = |more: Vec<(&'static str, &'static str, u16, Value)>| reached(&plan, &[&made[..], &more].concat());
    let list = |id: &str| ("GET", "/v1/notes", 200, json!({"items": [note(id)]}));
    assert_eq!(then(vec![("GET", "/v1/notes/n2", 200, note("n2")), list("n1")]), ["H", "MAKE", "READ", "LIST"]);
    // Another one than was asked for, and one that nobody made.
    assert_eq!(then(vec![("GET", "/v1/notes/n2", 200, note("n1")), list("n3")]), ["H", "MAKE"]);
}

#[test]
fn what_was_not_done_right_shows_none() {
    let (ok, note) = (json!({"status": "ok"}), json!({"id": "n1", "text": "mine"}));
    let health = ("GET", "/", 200, ok.clone());
    let make = ("POST", "/v1/notes", 201, note.clone());
    for (what, exchanges, expected) in [
        ("nothing was done", vec![], vec![]),
        ("another method", vec![("HEAD", "/", 200, ok.clone())], vec![]),
        ("another status", vec![health.clone(), ("POST", "/v1/notes", 200, note.clone())], vec!["H"]),
        ("another shape", vec![health.clone(), ("POST", "/v1/notes", 201, json!({"id": ""}))], vec!["H"]),
        ("what comes before was not done", vec![make.clone()], vec![]),
        ("an id that nobody made", vec![health.clone(), make.clone(), ("GET", "/v1/notes/made-up", 200, note.clone())], vec!["H", "MAKE"]),
        ("an id before it was made", vec![health.clone(), ("GET", "/v1/notes/n1", 200, note.clone()), make.clone()], vec!["H", "MAKE"]),
        ("removed before it was read", vec![health.clone(), make.clone(), ("DELETE", "/v1/notes/n1", 204, json!(null))], vec!["H", "MAKE"]),
        ("a path below", vec![health.clone(), make.clone(), ("GET", "/v1/notes/n1/more", 200, note.clone())], vec!["H", "MAKE"]),
        ("another service's path", vec![("GET", "//", 200, ok)], vec![]),
    ] {
        assert_eq!(reached(&plan(&notes()), &exchanges), expected, "{what}");
    }
}

#[test]
fn one_exchange_shows_one_goal_and_as_many_are_shown_as_can_be() {
    let twice = plan(&[test("A", "GET", "/v1/x", 200), test("B", "GET", "/v1/x", 200), test("C", "GET", "/v1/{{any}}", 200)]);
    let get = |path: &'static str| ("GET", path, 200, json!({}));
    assert_eq!(reached(&twice, &[get("/v1/x")]).len(), 1);
    assert_eq!(reached(&twice, &[get("/v1/x"), get("/v1/x")]).len(), 2);
    // Whichever came first: the one that fits C alone is C's.
    assert_eq!(reached(&twice, &[get("/v1/x"), get("/v1/x"), get("/v1/y")]), ["A", "B", "C"]);
    assert_eq!(reached(&twice, &[get("/v1/y"), get("/v1/x"), get("/v1/x")]), ["A", "B", "C"]);
}

#[test]
fn an_agent_reads_back_what_it_wrote_itself() {
    let read = with(
        test("READ", "GET", "/v1/files/{{test_prefix}}-a", 200),
        json!({
            "depends_on": ["PUT"], "expected": { "status": 200, "body_equals": "the plan's" },
        }),
    );
    let plan = plan(&[with(test("PUT", "PUT", "/v1/files/{{test_prefix}}-a", 200), json!({ "input": "the plan's" })), read]);
    let reach = Reach::new(&goals_origins(&plan));
    let text = |body: &str| flywheel::suite::Answer {
        status: 200,
        headers: vec![("content-type".into(), "text/plain".into())],
        body: body.into(),
        cut: None,
    };
    for (path, body, expected) in [
        ("/v1/files/mine", "my own", true),
        ("/v1/files/mine", "the plan's", true),
        ("/v1/files/mine", "another's", false),
        ("/v1/files/other", "my own", false),
        ("/v1/files/mine%2Fdeep", "my own", false),
    ] {
        let mut goals = Goals::new(&plan, "g", &reach, [("test_prefix".to_owned(), "t".to_owned())].into());
        goals.saw(0, &Request { body: Some("my own".into()), ..request("PUT", "/v1/files/mine") }, &text("kept"));
        goals.saw(1, &request("GET", path), &text(body));
        assert_eq!(goals.all_reached(), expected, "{path} {body}");
    }
}

fn result(id: &str, outcome: Outcome) -> TestResult {
    TestResult {
        id: id.into(),
        test: 0,
        group: Some("g".into()),
        service: "notes.sh".into(),
        outcome,
        actual_status: None,
        note: Some(format!("{id} note")),
        blocked_by: None,
        unfilled: Vec::new(),
        attempts: 1,
        duration_ms: 1,
        receipts: Vec::new(),
        request: None,
    }
}

#[test]
fn the_runner_tells_a_clumsy_agent_from_a_broken_service() {
    let plan = plan(&[test("A", "GET", "/a", 200), test("B", "GET", "/b", 200)]);
    let did_a = [("GET", "/a", 200, json!({}))];
    let ran = |a, b| Runner::Ran(vec![result("A", a), result("B", b)]);
    for (what, exchanges, runner, broke, expected) in [
        ("it works, and the agent did nothing", &did_a[..0], ran(Outcome::Pass, Outcome::Pass), false, Verdict::Blocked),
        ("it works, and the agent did half", &did_a, ran(Outcome::Pass, Outcome::Pass), false, Verdict::Blocked),
        ("the other half is broken", &did_a, ran(Outcome::Pass, Outcome::Fail), false, Verdict::Failed),
        ("what the agent did is broken by now", &did_a, ran(Outcome::Fail, Outcome::Pass), false, Verdict::Failed),
        ("nobody answers by now", &did_a, ran(Outcome::Error, Outcome::Error), false, Verdict::Blocked),
        ("the model broke before", &did_a, Runner::Not("x".into()), true, Verdict::Error),
    ] {
        let proofs = after(&plan, exchanges, &runner);
        assert_eq!(verdict(proofs.iter().map(|(_, proof)| proof), broke), expected, "{what}: {proofs:?}");
    }
    // A model that breaks after it did everything did everything.
    assert_eq!(verdict([&Proof::Agent { step: 0 }], true), Verdict::Passed);
    assert_eq!(verdict([], false), Verdict::Blocked);
}

#[test]
fn a_request_costs_what_the_plan_says_of_its_route() {
    let priced = |id: &str, method: &str, path: &str, amount: &str| {
        with(test(id, method, path, 200), json!({ "notes": null, "payment": { "amount": amount } }))
    };
    let plan = plan(&[
        test("FREE", "GET", "/v1/list", 200),
        priced("ONE", "GET", "/v1/{{id}}", "1000"),
        with(test("UNPAID", "POST", "/v1/list", 402), json!({ "notes": null })),
        priced("PAID", "POST", "/v1/list", "5000"),
    ]);
    let reach = Reach::new(&goals_origins(&plan));
    let amount = |amount| Terms::Paid(Some(Payment { amount: Some(amount), ..Payment::default() }));
    for (method, target, expected) in [
        ("GET", "/v1/list?x=1", Terms::Free),
        ("GET", "/v1/other", amount(1000)),
        ("POST", "/v1/list", amount(5000)),
        ("DELETE", "/v1/list", Terms::Paid(None)),
        ("GET", "/v1/a/b", Terms::Paid(None)),
    ] {
        assert_eq!(terms(&plan, &reach, &request(method, target)), expected, "{method} {target}");
    }
}

#[test]
fn what_only_the_agent_missed_is_told_from_what_money_or_the_service_kept_from_it() {
    let result = |proof: &Proof, advisory| StepResult {
        name: "goal".into(),
        verdict: proof.verdict(),
        milliseconds: 0,
        message: proof.message(),
        advisory,
    };
    // As the runner's own results would make them.
    let plan = plan(&notes());
    let missed = after(&plan, &[], &Runner::Not("its model broke".into())).remove(0).1;
    let unpaid = Proof::Unproven("the service asks for a payment, and there is no wallet: set AGENT_PRIVATE_KEY".into());
    let agent = Proof::Agent { step: 0 };
    for (results, expected) in [
        (vec![result(&Proof::Runner, false)], true),
        (vec![result(&agent, false), result(&missed, false), result(&Proof::Runner, false)], true),
        (vec![result(&Proof::Runner, false), result(&unpaid, true)], true),
        (vec![result(&Proof::Runner, false), result(&unpaid, false)], false),
        (vec![result(&Proof::Runner, false), result(&Proof::Refuted("500".into()), false)], false),
        (vec![StepResult { message: None, ..result(&Proof::Runner, false) }], false),
        (vec![result(&agent, false)], false),
        (vec![], false),
    ] {
        assert_eq!(is_missed(&results), expected, "{results:?}");
    }
}
