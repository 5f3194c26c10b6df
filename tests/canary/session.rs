//! Conversations, whatever the model says.

use flywheel::{
    canary::{Ended, Fetched, Llms, Reach, Session, Task, Todo, Used},
    ports::{
        model::{Spoken, ToolCall, Turn},
        shell::Printed,
    },
};
use serde_json::{Value, json};

use super::answer;

fn session(shell: bool, rounds: u32) -> Session {
    let reach = Reach::new([&"https://notes.prim.sh".parse().unwrap()]);
    let llms = [Llms::Text("# notes".into())];
    let task = Task {
        name: "n",
        prompt: "Use it.",
        variables: &Default::default(),
        program: shell.then_some("notes"),
        reach: &reach,
        llms: &llms,
    };
    Session::new(task.opening(), reach.clone(), shell, rounds)
}

fn calls(calls: impl IntoIterator<Item = (&'static str, Value)>) -> Spoken {
    let call = |(name, arguments): (&str, Value)| ToolCall { id: "same".into(), name: name.into(), arguments: arguments.to_string() };
    Spoken { calls: calls.into_iter().map(call).collect(), input_tokens: 10, output_tokens: 1, ..Spoken::default() }
}

fn get(path: &str) -> (&'static str, Value) {
    ("http_request", json!({ "method": "GET", "url": format!("https://notes.prim.sh{path}") }))
}

fn answered(status: u16) -> Fetched {
    Fetched { answer: Some(answer(status, &json!({ "a": 1 }))), ..Fetched::default() }
}

/// Says the same until it is over; how many requests were made, and how it ended.
fn talked(session: &mut Session, spoken: &Spoken, status: u16) -> (usize, Ended) {
    let mut sent = 0;
    for _ in 0..1000 {
        if let Some(ended) = session.ended() {
            return (sent, ended.clone());
        }
        session.heard(spoken.clone());
        while session.todo().is_some() {
            sent += 1;
            session.fetched(&answered(status));
        }
    }
    panic!("it never ends");
}

/// Each call has one result, of its own id, right after it.
fn sound(session: &Session) {
    let mut open: Vec<String> = Vec::new();
    for turn in session.conversation() {
        match turn {
            Turn::Said(_) => assert!(open.is_empty(), "{open:?} have no results"),
            Turn::Called { calls, .. } => {
                assert!(open.is_empty(), "{open:?} have no results");
                open.extend(calls.iter().map(|call| call.id.clone()));
                for call in calls {
                    assert!(serde_json::from_str::<Value>(&call.arguments).is_ok_and(|a| a.is_object()), "{call:?}");
                    assert!(call.arguments.len() <= 8192 && !call.name.is_empty(), "{call:?}");
                }
            }
            Turn::Result { call, text } => {
                assert!(text.chars().count() <= 4200, "{}", text.len());
                let at = open.iter().position(|id| id == call).unwrap_or_else(|| panic!("{call} has no call"));
                open.remove(at);
            }
        }
    }
}

#[test]
fn every_conversation_ends() {
    let flood: Vec<_> = (0..1000).map(|i| get(&format!("/{i}"))).collect();
    for (what, spoken, rounds, most, ended) in [
        ("one call for ever", calls([get("/")]), 10, 10, Ended::Rounds),
        ("a thousand calls at once", calls(flood), 10, 80, Ended::Calls),
        ("nothing at all", Spoken::default(), 10, 0, Ended::Silent),
        ("words", Spoken { text: "All passed!".repeat(10_000), ..Spoken::default() }, 10, 0, Ended::Silent),
        ("the end at once", calls([("finish", json!({ "summary": "done" })), get("/")]), 10, 0, Ended::Finished),
        ("unknown tools", calls([("rm", json!({})), ("", json!([]))]), 3, 0, Ended::Rounds),
    ] {
        let mut session = session(false, rounds);
        let (sent, why) = talked(&mut session, &spoken, 200);
        assert_eq!(why, ended, "{what}");
        assert!(sent <= most, "{what}: {sent}");
        if ended != Ended::Finished {
            sound(&session);
        }
        let record = session.into_record();
        assert!(record.rounds <= rounds && record.steps.len() <= 80 && record.summary.len() <= 4200, "{what}");
    }
}

#[test]
fn what_failed_twice_is_not_tried_again() {
    let mut session = session(false, 10);
    let (sent, _) = talked(&mut session, &calls([get("/v1/x"), get("/v1/x?other")]), 500);
    assert_eq!(sent, 4);
    let record = session.into_record();
    let refused = record.steps.iter().filter(|step| matches!(step.used, Used::Refused { .. })).count();
    assert_eq!((refused, record.steps.len()), (16, 20));
}

#[test]
fn the_model_reads_an_answer_cut_and_with_what_it_cost() {
    let mut session = session(false, 10);
    session.heard(calls([get("/v1/x"), ("http_request", json!({ "method": "GET", "url": "https://evil.example/" })), get("/v1/y")]));
    let Some(Todo::Http(request)) = session.todo() else { panic!() };
    assert_eq!(request.target, "/v1/x");
    let mut large = answer(200, &json!("x".repeat(100_000)));
    large.headers.push(("set-cookie".into(), "secret".into()));
    session.fetched(&Fetched { answer: Some(large), paid_micros: 1500, ..Fetched::default() });
    let Some(Todo::Http(request)) = session.todo() else { panic!() };
    assert_eq!(request.target, "/v1/y");
    session.fetched(&Fetched { trouble: Some("no answer within 20000 ms".into()), ..Fetched::default() });
    assert!(session.todo().is_none());
    sound(&session);
    let results = session.conversation().iter().filter_map(|turn| match turn {
        Turn::Result { text, .. } => Some(text.clone()),
        Turn::Said(_) | Turn::Called { .. } => None,
    });
    let [first, second, third] = &results.collect::<Vec<_>>()[..] else { panic!() };
    assert!(first.starts_with("HTTP 200\ncontent-type: application/json\n(paid: 0.0015 USDC)\n\n\"xxx"), "{first}");
    assert!(first.chars().count() == 4000 && !first.contains("secret"), "{first}");
    assert!(second.contains("only the service under test"), "{second}");
    assert_eq!(third, "no answer within 20000 ms");
    let steps = session.into_record().steps;
    assert_eq!(steps.iter().map(|step| step.ok).collect::<Vec<_>>(), [true, false, false]);
    assert_eq!(steps[0].paid_micros, 1500);
}

#[test]
fn notes_are_kept_up_to_a_number() {
    let mut session = session(false, 10);
    let note = || ("ux_note", json!({ "kind": "docs", "severity": "minor", "text": "unclear ".repeat(1000) }));
    talked(&mut session, &calls([note(), note(), note()]), 200);
    let record = session.into_record();
    assert_eq!(record.notes.len(), 20);
    assert!(record.notes.iter().all(|note| note.text.chars().count() <= 500));
    assert_eq!((record.input_tokens, record.output_tokens), (100, 10));
}

#[test]
fn commands_are_run_where_there_is_a_sandbox() {
    let shell = || calls([("shell_exec", json!({ "command": "notes list_notes" }))]);
    let mut without = session(false, 10);
    without.heard(shell());
    assert_eq!(without.todo(), None);
    let mut with = session(true, 20);
    with.heard(shell());
    assert_eq!(with.todo(), Some(Todo::Shell("notes list_notes".into())));
    with.printed(Ok(&Printed { code: Some(0), stdout: "o".repeat(9000), stderr: "e".into() }));
    assert!(with.todo().is_none());
    sound(&with);
    let Some(Turn::Result { text, .. }) = with.conversation().last() else { panic!() };
    assert!(text.starts_with("exit code: 0\nstdout:\nooo") && text.ends_with("stderr:\ne"), "{text}");
    assert!(text.len() < 2200, "{}", text.len());
    assert!(with.into_record().steps[0].ok);
}
