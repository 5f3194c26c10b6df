//! Groups that a SCRIPTED model does by the command line. It says commands one after the
//! other, whatever it is answered: a note's id is taken from an answer by the shell.

use std::{
    net::TcpListener,
    sync::{Arc, Mutex},
    thread,
};

use flywheel::api::gate_run::Verdict;
use serde_json::{Value, json};

use super::{KEY, Ran, notes as cli, run, told};
use crate::{
    canary::{
        notes, plan_text,
        scripted_model::serve,
        service::{Character, Service},
        with,
    },
    scaffold::workspace,
};

/// A model that says these lines, one in each answer, and then ends; its address, and
/// what it was told last.
fn model(lines: &'static [&'static str]) -> (String, Arc<Mutex<Value>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let told = Arc::new(Mutex::new(Value::Null));
    let kept = told.clone();
    thread::spawn(move || {
        serve(&listener, move |asked| {
            assert_eq!(asked.authorization, format!("Bearer {KEY}"));
            *kept.lock().unwrap() = asked.body.clone();
            let said = asked.body["messages"].as_array().unwrap().iter().filter(|message| message["role"] == "tool").count();
            let (name, arguments) = match lines.get(said) {
                Some(line) => ("shell_exec", json!({ "command": line })),
                None => ("finish", json!({ "summary": "scripted: all passed, every goal holds" })),
            };
            let call = json!({ "id": "c", "type": "function", "function": { "name": name, "arguments": arguments.to_string() } });
            let message = json!({ "role": "assistant", "content": "", "tool_calls": [call] });
            (200, json!({ "choices": [{ "message": message }], "usage": { "prompt_tokens": 10, "completion_tokens": 1 } }))
        })
    });
    (url, told)
}

/// The group `g` of these tests is the command line's alone.
fn plan(tests: &[Value]) -> Value {
    let mut plan: Value = serde_json::from_str(&plan_text(tests)).unwrap();
    plan["groups"][0]["interface"] = "cli".into();
    plan["groups"][0]["canary_only"] = true.into();
    plan
}

async fn room(name: &'static str, service: &Service, tests: &[Value], lines: &'static [&'static str]) -> Option<(Ran, Value)> {
    let bun = workspace::needed()?;
    let (url, last) = model(lines);
    let mut told = told(&service.url, "notes", &plan(tests), &cli());
    told["model"] = json!({ "url": url, "name": "scripted" });
    let ran = tokio::task::spawn_blocking(move || run(name, &told, &cli(), &bun)).await.unwrap();
    let said = last.lock().unwrap().clone();
    Some((ran, said))
}

const SOUND: &[&str] = &[
    "notes --help",
    r#"notes keep-note --body '{"text":"mine"}'"#,
    "notes list-notes --limit 3 && notes get-note --id n1",
    "notes drop-note --id n1",
];

#[tokio::test(flavor = "multi_thread")]
async fn what_commands_did_reaches_the_goals() {
    let service = Service::start(Character::Sound).await;
    let Some((ran, told)) = room("agent", &service, &notes()[1..], SOUND).await else { return };
    assert_eq!(ran.verdict(), Verdict::Passed, "{:#?}", ran.report);
    // Two exchanges of one line reach two goals.
    for (goal, step) in [("MAKE", "step 2"), ("READ", "step 3"), ("LIST", "step 3"), ("REMOVE", "step 4")] {
        assert_eq!(ran.said(&format!("g: goal {goal}")), (Verdict::Passed, step));
    }
    let opening = told["messages"].to_string();
    assert!(opening.contains("`notes --help` lists its commands"), "{opening}");
    let tools: Vec<_> = told["tools"].as_array().unwrap().iter().map(|tool| tool["function"]["name"].as_str().unwrap()).collect();
    assert_eq!(tools, ["shell_exec", "ux_note", "finish"]);
    assert!(told["messages"].to_string().contains("usage: notes COMMAND"), "the help is what the model read");
    assert!(service.asked().iter().any(|asked| asked.body == r#"{"text":"mine"}"#));
}

#[tokio::test(flavor = "multi_thread")]
async fn words_and_requests_of_its_own_reach_nothing() {
    let service = Service::start(Character::Sound).await;
    const LIES: &[&str] = &[
        "echo '{\"id\":\"n1\",\"text\":\"x\"}'; exit 0",
        // At no order's place.
        "bun -e 'const u = new URL(process.env.SERVICE_URL); console.log((await fetch(u.origin + \"/v1/notes\")).status)'",
        // A shadow of the service.
        "notes get-note --id n1 --url http://127.0.0.1:1",
        // Another program under its name.
        "echo '#!/bin/true' > $HOME/bin/notes; notes list-notes",
    ];
    let Some((ran, _)) = room("lies", &service, &notes()[3..4], LIES).await else { return };
    // The runner found the service sound, and that is all there is to it.
    assert_eq!(ran.verdict(), Verdict::Blocked, "{:#?}", ran.report);
    assert_eq!(ran.step("g: goal LIST").verdict, Verdict::Blocked);
    let output = &ran.step("g: agent").output;
    assert!(output.contains("404"), "{output}");
}

#[tokio::test(flavor = "multi_thread")]
async fn its_commands_are_paid_for_within_the_caps() {
    for (asks, verdict) in [(2500, Verdict::Passed), (2501, Verdict::Blocked)] {
        let service = Service::start(Character::Priced(asks)).await;
        let mut tests = notes()[1..2].to_vec();
        tests[0] = with(tests[0].clone(), json!({ "notes": null, "payment": { "amount": "2500" } }));
        let Some((ran, _)) = room("paid", &service, &tests, SOUND).await else { return };
        let goal = ran.step("g: goal MAKE");
        if verdict == Verdict::Passed {
            assert_eq!(goal.verdict, verdict, "{:#?}", ran.report);
        } else {
            assert_ne!(goal.verdict, Verdict::Passed, "{:#?}", ran.report);
        }
        let paid = service.asked().iter().any(|asked| asked.headers.contains_key("payment-signature"));
        assert_eq!(paid, verdict == Verdict::Passed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_model_its_groups_are_blocked() {
    let Some(bun) = workspace::needed() else { return };
    let service = Service::start(Character::Sound).await;
    let told = told(&service.url, "notes", &plan(&notes()[1..]), &cli());
    let ran = tokio::task::spawn_blocking(move || run("modelless", &told, &cli(), &bun)).await.unwrap();
    assert_eq!(ran.verdict(), Verdict::Blocked, "{:#?}", ran.report);
    assert!(ran.said("group g").1.contains("there is no model"), "{:#?}", ran.report);
}
