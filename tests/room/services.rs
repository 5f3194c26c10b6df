//! Services that are sound, wrong, greedy or hostile, tried by a command line. What they
//! say to whoever uses it changes no verdict.

use flywheel::api::gate_run::Verdict;
use serde_json::{Value, json};

use super::{notes as cli, run, told};
use crate::{
    canary::{
        notes, plan_text,
        service::{Asked, Character, Service},
        test, with,
    },
    scaffold::workspace,
};

fn plan(tests: &[Value]) -> Value {
    serde_json::from_str(&plan_text(tests)).unwrap()
}

/// What the service was asked, without its agent's name.
fn lines(asked: &[Asked]) -> Vec<&str> {
    asked.iter().map(|asked| asked.line.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_test_is_made_by_the_command_of_its_route() {
    let Some(bun) = workspace::needed() else { return };
    let service = Service::start(Character::Sound).await;
    let mut tests = notes();
    let hostile = json!({ "text": "\u{1b}[2J $(id) `id` \"'; --help \u{2028} @x" });
    tests[1]["input"] = hostile.clone();
    tests.extend([
        test("GONE", "GET", "/v1/notes/none", 404),
        with(test("BAD", "POST", "/v1/notes", 400), json!({ "input": {} })),
        // A name that the command line has an option of its own for.
        test("ABOUT", "GET", "/v1/notes?url=http://127.0.0.1:1/x", 200),
        test("NOWHERE", "GET", "/v1/nothing", 404),
        test("HEAD", "HEAD", "/v1/nothing", 404),
    ]);
    let ran = tokio::task::spawn_blocking({
        let told = told(&service.url, "notes", &plan(&tests), &cli());
        move || run("sound", &told, &cli(), &bun)
    })
    .await
    .unwrap();
    assert_eq!(ran.verdict(), Verdict::Passed, "{:#?}", ran.report);
    for (name, said) in [
        ("H ", "sent by the runner: no command makes it"),
        ("MAKE", "command keep-note"),
        ("READ", "command get-note"),
        ("LIST", "command list-notes"),
        ("REMOVE", "command drop-note"),
        ("GONE", "command get-note"),
        ("BAD", "command keep-note"),
        ("ABOUT", "command list-notes"),
        ("NOWHERE", "sent by the runner: no command makes it"),
        ("HEAD", "sent by the runner: no command makes it"),
    ] {
        assert_eq!(ran.said(name), (Verdict::Passed, said));
    }
    let asked = service.asked();
    let kept = asked.iter().find(|asked| asked.line == "POST /v1/notes").unwrap();
    assert_eq!(kept.body, hostile.to_string());
    // Who is asked by a command line is asked no more than by the runner.
    assert_eq!(lines(&asked).len(), tests.len(), "{:?}", lines(&asked));
    assert!(asked.iter().all(|asked| asked.headers["host"] == "notes.prim.sh"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_answers_wrong_fails_whatever_it_says() {
    let Some(bun) = workspace::needed() else { return };
    for (character, step) in
        [(Character::Broken, "READ"), (Character::Flatterer, "MAKE"), (Character::Hostile("http://127.0.0.1:1".into()), "MAKE")]
    {
        let service = Service::start(character.clone()).await;
        let told = told(&service.url, "notes", &plan(&notes()), &cli());
        let bun = bun.clone();
        let ran = tokio::task::spawn_blocking(move || run("wrong", &told, &cli(), &bun)).await.unwrap();
        assert_eq!(ran.verdict(), Verdict::Failed, "{character:?}: {:#?}", ran.report);
        assert_eq!(ran.step(step).verdict, Verdict::Failed, "{character:?}: {:#?}", ran.report);
        assert_eq!(ran.code, Some(0), "a verdict is one, whatever it is");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_pays_what_is_declared_and_no_more() {
    let Some(bun) = workspace::needed() else { return };
    let priced = |amount: &str| {
        let mut tests = notes();
        tests[1] = with(tests[1].clone(), json!({ "notes": null, "payment": { "amount": amount } }));
        plan(&tests)
    };
    let other = json!({ "network": "eip155:84532", "payTo": "0x0000000000000000000000000000000000000002" });
    for (what, asks, plan, terms, verdict) in [
        ("what is declared", 2500, priced("2500"), Value::Null, Verdict::Passed),
        ("more than is declared", 2501, priced("2500"), Value::Null, Verdict::Failed),
        ("more than a request may cost", 60_000, priced("60000"), Value::Null, Verdict::Error),
        ("to another than is declared", 2500, priced("2500"), other, Verdict::Failed),
    ] {
        let service = Service::start(Character::Priced(asks)).await;
        let mut told = told(&service.url, "notes", &plan, &cli());
        told["terms"] = terms;
        let bun = bun.clone();
        let ran = tokio::task::spawn_blocking(move || run("priced", &told, &cli(), &bun)).await.unwrap();
        assert_eq!(ran.step("MAKE").verdict, verdict, "{what}: {:#?}", ran.report);
        let paid = service.asked().iter().filter(|asked| asked.headers.contains_key("payment-signature")).count();
        assert_eq!(paid, usize::from(verdict == Verdict::Passed), "{what}");
        let made = service.asked().iter().filter(|asked| asked.line == "POST /v1/notes").count();
        assert_eq!(made, paid + 1, "{what}");
    }
}
