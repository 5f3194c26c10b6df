//! `flywheel gate run` and `lint` as people and scripts meet them: exit codes, files,
//! what is printed and what never is.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    sync::atomic::Ordering,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tokio::process::Command;

use super::{
    seen::{Server, json as answer},
    test, text,
};
use crate::address::reserved;

const BINARY: &str = env!("CARGO_BIN_EXE_flywheel");

/// A folder that goes away with its test.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("flywheel-runner-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// `flywheel gate …` without a wallet.
fn gate(arguments: &[&str], folder: &Path) -> Command {
    let mut command = Command::new(BINARY);
    command.arg("gate").args(arguments).current_dir(folder).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for name in ["AGENT_PRIVATE_KEY", "TESTNET_WALLET", "AGENT_ADDRESS", "PRIM_NETWORK"] {
        command.env_remove(name);
    }
    command.kill_on_drop(true);
    command
}

pub async fn ran(arguments: &[&str], folder: &Folder) -> (i32, String) {
    ran_with(&[], arguments, folder).await
}

/// The same with those variables in its environment.
async fn ran_with(environment: &[(&str, &str)], arguments: &[&str], folder: &Folder) -> (i32, String) {
    let output: Output = gate(arguments, &folder.0).envs(environment.iter().copied()).output().await.unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(!said.contains("panicked"), "{arguments:?}: {said}");
    (output.status.code().unwrap_or(-1), said)
}

#[tokio::test]
async fn each_end_has_its_exit_code() {
    let folder = Folder::new("exits");
    let server = Server::answering(|_, _| answer(200, "", "{}")).await;
    let dead = format!("http://{}/", reserved());
    let fails = json!({"expected": {"status": 404}});
    let good = test("T-1", &server.url, &json!({}));
    let bad = test("T-2", &server.url, &fails);
    let lost = test("T-3", &dead, &json!({}));
    let waits = test("T-4", &server.url, &json!({"depends_on": ["T-3"]}));
    let stuck = test("T-5", &server.url, &json!({"input": "{{nobody}}", "method": "POST"}));
    let live = folder.write("live.json", r#"{"things.sh": "live"}"#);
    let testing = folder.write("testing.json", r#"{"things.sh": "testing"}"#);
    let ci = |phases: &str| vec!["--ci".to_owned(), "--phases".into(), phases.into()];
    let compat = vec!["--compat".to_owned(), "primsh".into()];
    let both = [compat.clone(), ci(&live)].concat();
    let cases: Vec<(&str, Vec<&Value>, Vec<String>, i32)> = vec![
        ("all pass", vec![&good], vec![], 0),
        ("one fails", vec![&good, &bad], vec![], 1),
        ("one has no answer", vec![&good, &lost], vec![], 2),
        ("one is blocked", vec![&good, &lost, &waits], vec![], 2),
        ("all is blocked", vec![&stuck], compat.clone(), 2),
        ("all is blocked, for live", vec![&stuck], both, 2),
        ("all is blocked, for testing", vec![&stuck], ci(&testing), 2),
        ("one fails, live", vec![&good, &bad], ci(&live), 1),
        ("one fails, testing", vec![&good, &bad], ci(&testing), 0),
        ("no phases", vec![&good], vec!["--ci".into(), "--phases".into(), "missing.json".into()], 3),
        ("all the patience there is", vec![&good], vec!["--timeout".into(), u64::MAX.to_string()], 0),
        ("no such group", vec![&good], vec!["--group".into(), "none".into()], 3),
        ("no such flag", vec![&good], vec!["--nonsense".into()], 3),
        ("no such amount", vec![&good], vec!["--budget".into(), "much".into()], 3),
        ("no such chain", vec![&good], vec!["--network".into(), "base".into()], 3),
        ("no such token", vec![&good], vec!["--asset".into(), "USDC".into()], 3),
        ("nobody to pay", vec![&good], vec!["--pay-to".into(), "0x2".into()], 3),
    ];
    for (name, tests, more, code) in cases {
        let plan = folder.write("plan.json", &text(tests.into_iter().cloned().collect()));
        let mut arguments = vec!["run", &plan];
        arguments.extend(more.iter().map(String::as_str));
        let (exit, said) = ran(&arguments, &folder).await;
        assert_eq!(exit, code, "{name}: {said}");
    }
    let asked = server.requests();
    let mut names: Value = serde_json::from_str(&text(vec![good.clone()])).unwrap();
    names["groups"][0]["tests"] = json!(["T-1", "T-9"]);
    let plan = folder.write("plan.json", &names.to_string());
    let (exit, said) = ran(&["run", &plan, "--result", "result.json"], &folder).await;
    assert!(exit == 2 && said.contains("1 of 1 passed; T-9 had to pass and is no test of the plan"), "{said}");
    let result: Value = serde_json::from_str(&folder.read("result.json")).unwrap();
    assert_eq!(result["verdict"]["hard"], json!(["T-9"]));
    let (exit, said) = ran(&["run", &plan, "--compat", "primsh"], &folder).await;
    assert_eq!(exit, 0, "prim.sh's runner passes over it: {said}");
    let asked = asked + 2;
    let plan = folder.write("plan.json", &text(vec![good]));
    let (exit, said) = ran(&["run", &plan, "--dry-run"], &folder).await;
    assert!(exit == 0 && said.contains("T-1") && server.requests() == asked, "{said}");
}

#[tokio::test]
async fn plans_that_are_none_are_refused_in_words() {
    let folder = Folder::new("malformed");
    let test = test("T-1", "http://127.0.0.1:1/", &json!({}));
    let with = |key: &str, value: Value| {
        let mut test = test.clone();
        test[key] = value;
        text(vec![test])
    };
    let cases = [
        String::new(),
        "null".into(),
        "[]".into(),
        "{".into(),
        "[".repeat(100_000),
        r#"{"plan": 1}"#.into(),
        with("endpoint", json!(7)),
        with("depends_on", json!("T-1")),
        with("depends_on", json!(["T-1"])),
        with("depends_on", json!(["T-9"])),
        with("expected", json!({"status": "ok"})),
        with("captures", json!({"a": 1})),
        with("captures", json!({"a": "$.["})),
        text(vec![test.clone(), test.clone()]),
        "\u{0}\u{1}".into(),
    ];
    for plan in cases {
        let path = folder.write("plan.json", &plan);
        for command in ["run", "lint"] {
            let (exit, said) = ran(&[command, &path], &folder).await;
            // What depends on nothing that there is runs, and is blocked.
            let code = if command == "run" && plan.contains("T-9") { 2 } else { 3 };
            assert_eq!(exit, code, "{command} {plan}: {said}");
            assert!(!said.is_empty() && said.len() < 20_000, "{command} {plan:.80}: {said:.1000}");
        }
        // Whatever prim.sh's reader makes of it, it is no crash.
        let (exit, said) = ran(&["run", &path, "--compat", "primsh", "--timeout", "500"], &folder).await;
        assert!((0..=3).contains(&exit), "{plan:.80}: {said}");
    }
    fs::write(folder.0.join("bytes.json"), [0xff, 0xfe, 0x00]).unwrap();
    assert_eq!(ran(&["run", "bytes.json"], &folder).await.0, 3);
    assert_eq!(ran(&["run", "there-is-none.json"], &folder).await.0, 3);
    let (exit, said) = ran(&["lint", "plan.json", "--format", "json"], &folder).await;
    assert!(exit == 3 && said.trim_start().starts_with('['), "{said}");
}

#[tokio::test]
async fn reports_are_written_and_secrets_are_in_none() {
    // Something that each place it is sent to writes in another way.
    const SECRET: &str = "hunter2:/w?x y\"z";
    let folder = Folder::new("reports");
    // It says back whatever it is told, everywhere, and in ways of its own.
    let server = Server::answering(|head, body| {
        let key = head.lines().find_map(|line| line.strip_prefix("x-key: ")).unwrap_or_default();
        let basic = STANDARD.encode(format!("me:{key}"));
        let hidden: String = key.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect();
        let said = json!({"said": key, "body": body, "head": head, "basic": basic, "url": urlencoded(key)}).to_string();
        answer(200, &format!("x-said: {key}\r\n"), &said.replacen("\"said\"", &format!("\"hidden\":\"{hidden}\",\"said\""), 1))
    })
    .await;
    let leaks = |expected: Value| {
        json!({
            "method": "POST", "headers": {"x-key": "{{secret:KEY}}"}, "input": {"key": "{{secret:KEY}}", "text": "{\"in\":\"{{secret:KEY}}\"}"},
            "expected": {"status": 200, "body": expected}
        })
    };
    let url = format!("{}/v1/{{{{secret:KEY}}}}/x?key={{{{secret:KEY}}}}", server.url);
    let mut tests = vec![test("T-1", &server.url, &json!({}))];
    // Each note repeats another part of what was answered.
    for (i, part) in ["said", "body", "head", "basic", "url", "hidden"].into_iter().enumerate() {
        tests.push(test(&format!("T-{}", i + 2), &url, &leaks(json!({ part: {"$oneOf": ["number", {"$contains": "no such"}]} }))));
    }
    let mut status = leaks(Value::Null);
    status["expected"]["status"] = 201.into();
    tests.push(test("T-8", &url, &status));
    let plan = folder.write("plan.json", &text(tests));
    let secret = folder.write("key", &format!("{SECRET}\n"));
    let given = format!("KEY={secret}");
    let reports = ["--result", "out/result.json", "--junit", "out/junit.xml", "--markdown", "out/table.md", "--changed", "things"];
    let (exit, said) = ran(&[&["run", &plan, "--secret-file", &given], &reports[..]].concat(), &folder).await;
    assert_eq!(exit, 1, "{said}");
    let result: Value = serde_json::from_str(&folder.read("out/result.json")).unwrap();
    assert_eq!(result["tests"][0]["result"], "pass");
    for at in 1..8 {
        assert_eq!((&result["tests"][at]["result"], &result["tests"][at]["actual_status"]), (&json!("fail"), &json!(200)), "{result:#}");
    }
    assert!(folder.read("out/junit.xml").contains("<testsuite"));
    assert!(folder.read("out/table.md").contains("T-2"));
    let basic = STANDARD.encode(format!("me:{SECRET}"));
    for text in [said, folder.read("out/result.json"), folder.read("out/junit.xml"), folder.read("out/table.md")] {
        for part in ["hunter2", &basic[6..14], "%79%22z", "u0068", "y%20", "x+y"] {
            assert!(!text.contains(part), "{part}: {text}");
        }
        assert!(text.contains("T-2") && (text.contains("secret:KEY") || text.contains("secret&#58;KEY")), "{text}");
    }
}

fn urlencoded(text: &str) -> String {
    text.bytes().map(|b| format!("%{b:02x}")).collect()
}

#[tokio::test]
async fn names_that_the_plan_does_not_have_are_refused_with_those_it_has() {
    let folder = Folder::new("names");
    let server = Server::answering(|_, _| answer(200, "", "{}")).await;
    let keyed = test("T-2", &server.url, &json!({"headers": {"x-key": "{{secret:KEY}}"}, "service": "others.sh"}));
    let plan = folder.write("plan.json", &text(vec![test("T-1", &server.url, &json!({})), keyed]));
    let secret = folder.write("key", "hunter2");
    folder.write("none.pem", "no certificate\n");
    let (good, bad) = (format!("KEY={secret}"), format!("KEYS={secret}"));
    for (arguments, code, named) in [
        (vec!["--secret-file", &good, "--changed", "things", "--changed", "others.sh", "--base", "things=http://127.0.0.1:1"], 2, ""),
        (vec!["--secret-file", &bad], 3, "--secret-file: the plan has no secret \"KEYS\"; there are KEY"),
        (vec!["--changed", "thing"], 3, "--changed: the plan has no service \"thing\"; there are others.sh, things.sh"),
        (vec!["--base", "thing.sh=http://127.0.0.1:1"], 3, "--base: the plan has no service \"thing.sh\"; there are others.sh, things.sh"),
        (vec!["--ca", "none.pem"], 3, "no certificates in PEM"),
        (vec!["--secret-file", &good, "--compat", "primsh"], 3, "it has no secrets"),
    ] {
        let before = server.requests();
        let (exit, said) = ran(&[&["run", &plan], &arguments[..]].concat(), &folder).await;
        assert!(exit == code && said.contains(named), "{arguments:?}: {exit} {said}");
        assert_eq!(server.requests() > before, code != 3, "{arguments:?}");
    }
}

/// A plan may come from anybody: what is shown of it is what it says, where it says it.
#[tokio::test]
async fn a_name_that_is_no_name_spoils_no_terminal() {
    let folder = Folder::new("terminal");
    let server = Server::answering(|_, _| answer(200, "", "{}")).await;
    let turned = json!({ "test": "\u{202e}ssap\u{2066} \u{1b}[2J", "expected": { "status": 404 } });
    let long = json!({ "test": "y".repeat(100_000) });
    let plan =
        folder.write("plan.json", &text(vec![test("T\u{202e}\n1", &server.url, &turned), test(&"x".repeat(100_000), &server.url, &long)]));
    let (exit, said) = ran(&["run", &plan], &folder).await;
    assert_eq!(exit, 1, "{said:.500}");
    assert!(!said.contains(['\u{202e}', '\u{2066}', '\u{1b}']) && said.lines().all(|line| line.len() < 1000), "{said:.2000}");
    assert!(said.contains("fail    T  1") && said.contains("xxx…") && said.contains("yyy…"), "{said:.2000}");
}

/// What is said twice is shown once and run the other way.
#[tokio::test]
async fn what_is_given_twice_is_refused() {
    let folder = Folder::new("twice");
    let server = Server::answering(|_, _| answer(200, "", "{}")).await;
    let good = text(vec![test("T-1", &server.url, &json!({}))]);
    let twice = folder.write("twice.json", &good.replacen("\"tests\":", "\"tests\":[],\"tests\":", 1));
    for command in ["run", "lint"] {
        let (exit, said) = ran(&[command, &twice], &folder).await;
        assert!(exit == 3 && said.contains("has the key \"tests\" twice"), "{command}: {exit} {said}");
    }
    // prim.sh's reader takes the last.
    assert_eq!(ran(&["run", &twice, "--compat", "primsh"], &folder).await.0, 0);
    let before = server.requests();
    let keyed = text(vec![test("T-1", &server.url, &json!({ "headers": { "x-key": "{{secret:KEY}}" } }))]);
    let (good, keyed) = (folder.write("good.json", &good), folder.write("keyed.json", &keyed));
    folder.write("key", "hunter2");
    for (plan, arguments, named) in [
        (&keyed, vec!["--secret-file", "KEY=key", "--secret-file", "KEY=good.json"], "--secret-file: \"KEY\" is given twice"),
        (&good, vec!["--base", "things=http://127.0.0.1:1", "--base", "things=http://127.0.0.1:2"], "--base: \"things\" is given twice"),
        (&good, vec!["--var", "a=1", "--var", "a=2"], "--var: \"a\" is given twice"),
        (&good, vec!["--result", "r", "--junit", "r"], "--junit r is --result, too"),
        (&good, vec!["--markdown", "good.json"], "--markdown good.json is the plan, too"),
        (&keyed, vec!["--secret-file", "KEY=/dev/zero"], "/dev/zero has more than"),
        (&good, vec!["--ca", "/dev/zero"], "/dev/zero has more than"),
        (&good, vec!["--rate", "1e-300"], "is no rate from 0.001"),
        (&good, vec!["--rate=-1"], "is no rate"),
    ] {
        let (exit, said) = ran(&[&["run", plan], &arguments[..]].concat(), &folder).await;
        assert!(exit == 3 && said.contains(named), "{arguments:?}: {exit} {said}");
    }
    assert!(folder.read("good.json").contains("T-1"), "the plan is what it was");
    assert_eq!(server.requests(), before, "nothing was sent");
    let devices = ["run", &good, "--result", "/dev/null", "--junit", "/dev/null"];
    assert_eq!(ran(&devices, &folder).await.0, 0);
}

#[tokio::test]
async fn a_report_that_can_not_be_written_stops_a_run_before_it_and_hides_no_verdict() {
    let folder = Folder::new("unwritable");
    let server = Server::answering(|_, _| answer(200, "", "{}")).await;
    folder.write("file", "");
    let good = folder.write("good.json", &text(vec![test("T-1", &server.url, &json!({}))]));
    let bad = folder.write("bad.json", &text(vec![test("T-1", &server.url, &json!({"expected": {"status": 404}}))]));
    for flag in ["--result", "--junit", "--markdown"] {
        let (exit, said) = ran(&["run", &good, flag, "file/report"], &folder).await;
        assert!(exit == 3 && said.contains("file/report") && said.contains("nothing was sent"), "{said}");
    }
    assert_eq!(server.requests(), 0);
    // A disk that is full says so only when it is written to.
    for (plan, code) in [(&good, 2), (&bad, 1)] {
        let (exit, said) = ran(&["run", plan, "--markdown", "/dev/full", "--result", "result.json"], &folder).await;
        assert!(exit == code && said.contains("of 1 passed") && said.contains("could not be written: /dev/full"), "{exit} {said}");
        assert!(folder.read("result.json").contains("T-1"), "the others are written");
    }
}

#[tokio::test]
async fn a_dry_run_shows_what_a_group_brings_along() {
    let folder = Folder::new("dry");
    let url = "https://things.test/v1/x";
    let mut plan: Value = serde_json::from_str(&text(
        ["A-1", "A-2", "B-1", "C-1"]
            .map(|id| test(id, url, &json!({"depends_on": if id == "B-1" { json!(["A-1", "C-1"]) } else { json!([]) }})))
            .into(),
    ))
    .unwrap();
    plan["groups"] = json!([
        {"id": "a", "name": "A", "tests": ["A-1", "A-2"]},
        {"id": "b", "name": "B", "tests": ["B-1", "GONE"]},
        {"id": "empty", "name": "Empty", "tests": []},
    ]);
    let path = folder.write("plan.json", &plan.to_string());
    let shown =
        |said: &str| -> Vec<String> { said.lines().map(|line| line.split_whitespace().take(2).collect::<Vec<_>>().join(" ")).collect() };
    let (exit, said) = ran(&["run", &path, "--dry-run", "--group", "b"], &folder).await;
    assert_eq!(exit, 0, "{said}");
    assert_eq!(shown(&said), ["a (A),", "A-1 GET", "b (B)", "B-1 GET", "GONE ?", "in no", "C-1 GET"], "{said}");
    let (_, said) = ran(&["run", &path, "--dry-run", "--group", "b", "--compat", "primsh"], &folder).await;
    assert_eq!(shown(&said), ["b (B)", "B-1 GET", "GONE ?"], "its runner brings nothing along: {said}");
    let (_, said) = ran(&["run", &path, "--dry-run"], &folder).await;
    assert_eq!(shown(&said), ["a (A)", "A-1 GET", "A-2 GET", "b (B)", "B-1 GET", "GONE ?", "empty (Empty)", "in no", "C-1 GET"], "{said}");
}

/// It needs nobody's key and nobody's answer; whatever else is wrong is said as always.
#[tokio::test]
async fn a_dry_run_asks_nobody() {
    let folder = Folder::new("asks-nobody");
    let server = Server::answering(|_, _| answer(200, "", r#"{"things.sh":"live"}"#)).await;
    let mut plan: Value = serde_json::from_str(&text(vec![test("T-1", &server.url, &json!({}))])).unwrap();
    let group = |id: &str| json!({ "id": id, "name": id, "prompt": "", "tests": ["T-1"] });
    plan["groups"] = json!([group("store"), group("onboarding"), group("discovery")]);
    let path = folder.write("plan.json", &plan.to_string());
    for (environment, arguments, code) in [
        (("AGENT_PRIVATE_KEY", "0x12"), vec!["--dry-run"], 0),
        (("AGENT_PRIVATE_KEY", "0x12"), vec![], 3),
        (("TESTNET_WALLET", "0x12"), vec!["--dry-run", "--ci", "--phases", &server.url], 0),
        (("PRIM_NETWORK", "base"), vec!["--dry-run"], 3),
        (("PRIM_NETWORK", ""), vec!["--dry-run", "--changed", "nobody"], 3),
        (("PRIM_NETWORK", ""), vec!["--dry-run", "--group", "nobody"], 3),
        (("PRIM_NETWORK", ""), vec!["--dry-run", "--ca", "missing.pem"], 3),
    ] {
        let (exit, said) = ran_with(&[environment], &[&["run", &path], &arguments[..]].concat(), &folder).await;
        assert_eq!(exit, code, "{environment:?} {arguments:?}: {said}");
        assert!(code != 0 || said.contains("T-1"), "{said}");
    }
    assert_eq!(server.requests(), 0);
    // Groups come as they would be run.
    let (_, said) = ran(&["run", &path, "--dry-run", "--compat", "primsh"], &folder).await;
    let groups: Vec<_> = said.lines().filter(|line| !line.starts_with(' ')).filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(groups, ["store", "discovery", "onboarding"], "{said}");
}

#[tokio::test]
async fn an_empty_address_is_none() {
    let folder = Folder::new("address");
    let server = Server::answering(|_, _| answer(200, "", "{}")).await;
    let plan = folder.write("plan.json", &text(vec![test("T-1", &format!("{}/{{{{agent_address}}}}", server.url), &json!({}))]));
    for compat in [&[][..], &["--compat", "primsh"]] {
        let before = server.requests();
        let (exit, said) = ran_with(&[("AGENT_ADDRESS", "")], &[&["run", &plan], compat].concat(), &folder).await;
        assert!(exit == 2 && said.contains("blocked") && server.requests() == before, "{exit} {said}");
        assert_eq!(ran_with(&[("AGENT_ADDRESS", "0xA")], &[&["run", &plan], compat].concat(), &folder).await.0, 0);
    }
}

#[tokio::test]
async fn prim_shs_results_have_each_group_that_was_asked_and_its_time() {
    let folder = Folder::new("groups");
    let server = Server::answering(|_, _| answer(200, "", "{}")).await;
    let mut plan: Value = serde_json::from_str(&text(vec![test("T-1", &server.url, &json!({}))])).unwrap();
    let group = |id: &str, canary: bool| json!({ "id": id, "name": "", "prompt": "", "tests": [], "canary_only": canary });
    plan["groups"].as_array_mut().unwrap().extend([group("empty", false), group("canary", true)]);
    let path = folder.write("plan.json", &plan.to_string());
    for (compat, groups) in [(&["--compat", "primsh"][..], vec![("all", 1), ("empty", 0)]), (&[], vec![("all", 1)])] {
        let (exit, said) = ran(&[&["run", &path, "--result", "result.json"], compat].concat(), &folder).await;
        assert_eq!(exit, 0, "{said}");
        let result: Value = serde_json::from_str(&folder.read("result.json")).unwrap();
        let none = json!({ "pass": 0, "fail": 0, "blocked": 0, "error": 0, "skipped": 0 });
        let counts = |pass: usize| {
            let mut counts = none.clone();
            counts["pass"] = pass.into();
            counts
        };
        let expected: serde_json::Map<_, _> = groups.into_iter().map(|(id, pass)| (id.to_owned(), counts(pass))).collect();
        assert_eq!(result["groups"], Value::Object(expected), "{compat:?}");
        // 2026-01-02T03:04:05.678Z
        let time = result["timestamp"].as_str().unwrap();
        assert!(time.len() == 24 && time.ends_with('Z') && time.as_bytes()[19] == b'.', "{time}");
    }
}

/// A server that pours interim answers without end, on threads of its own.
fn flood() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                let mut stream = stream;
                let _ = std::io::Read::read(&mut stream, &mut [0; 4096]);
                let piece = b"HTTP/1.1 103 Early Hints\r\n\r\n".repeat(4096);
                while std::io::Write::write_all(&mut stream, &piece).is_ok() {}
            });
        }
    });
    url
}

#[tokio::test]
async fn a_flood_of_interim_answers_stalls_no_deadline() {
    let folder = Folder::new("flood");
    let url = flood();
    let tests = (0..4).map(|i| test(&format!("T-{i}"), &url, &json!({}))).collect();
    let plan = folder.write("plan.json", &text(tests));
    for (arguments, why) in [(["--deadline", "1"], "deadline"), (["--timeout", "500"], "no answer")] {
        let began = std::time::Instant::now();
        let (exit, said) = ran(&[&["run", &plan], &arguments[..]].concat(), &folder).await;
        assert!(exit == 2 && said.contains(why), "{said}");
        // Generous: the machine may be busy. Without others to wait for it, it takes minutes.
        assert!(began.elapsed() < std::time::Duration::from_secs(15), "{arguments:?}: {:?}", began.elapsed());
    }
}

#[tokio::test]
async fn an_interrupt_ends_with_a_report() {
    let folder = Folder::new("interrupt");
    let server = Server::answering(|_, _| answer(200, "", "{}")).await;
    for (mode, signal, outcomes) in [
        (&[][..], rustix::process::Signal::INT, ["pass", "error", "blocked"]),
        (&["--compat", "primsh"], rustix::process::Signal::TERM, ["pass", "fail", "blocked"]),
    ] {
        let silent = Server::new(|stream, _| async move {
            let _held = stream;
            std::future::pending::<()>().await;
        })
        .await;
        let waits = |id: &str, url: &str, on: &str| test(id, url, &json!({ "depends_on": [on] }));
        let tests = vec![test("T-1", &server.url, &json!({})), waits("T-2", &silent.url, "T-1"), waits("T-3", &server.url, "T-2")];
        let plan = folder.write("plan.json", &text(tests));
        let child = gate(&[&["run", &plan, "--result", "result.json"], mode].concat(), &folder.0).spawn().unwrap();
        while silent.seen.connections.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        let id = rustix::process::Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()).unwrap();
        rustix::process::kill_process(id, signal).unwrap();
        let output = child.wait_with_output().await.unwrap();
        assert_eq!(output.status.code(), Some(2), "{mode:?}: {output:?}");
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(said.contains("cut short: the run was interrupted"), !mode.is_empty(), "{mode:?}: {said}");
        let result: Value = serde_json::from_str(&folder.read("result.json")).unwrap();
        assert_eq!([0, 1, 2].map(|at| result["tests"][at]["result"].as_str().unwrap_or_default()), outcomes, "{mode:?}: {result}");
        assert!(result["tests"][1]["run_note"].as_str().unwrap().contains("interrupted"), "{mode:?}: {result}");
    }
}
