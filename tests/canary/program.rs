//! `flywheel gate canary` between a scripted model and services on loopback.

use std::process::Output;

use serde_json::{Value, json};

use super::{
    notes, plan_text,
    scripted_model::Script,
    service::{Asked, Character, Service, model},
    test, with,
};
use crate::{address::reserved, folder::Folder};

const KEY: &str = "sk-canary-hunter2";
/// A wallet that nobody has put anything into.
const WALLET: &str = "0x1111111111111111111111111111111111111111111111111111111111111111";

/// What a run came to.
struct Ran {
    code: Option<i32>,
    report: Value,
    said: String,
}

impl Ran {
    fn group(&self) -> &Value {
        &self.report["groups"][0]
    }

    fn proofs(&self) -> Vec<(&str, &str)> {
        let goals = self.group()["goals"].as_array().unwrap_or_else(|| panic!("{}", self.said));
        goals.iter().map(|goal| (goal["id"].as_str().unwrap(), goal["proof"].as_str().unwrap())).collect()
    }
}

async fn canary(name: &str, model_url: &str, service: &Service, tests: &[Value], more: &[&str]) -> Ran {
    let folder = Folder::new(&format!("canary-{name}"));
    folder.file("plan.json", &plan_text(tests));
    folder.file("key", &format!("{KEY}\n"));
    let base = format!("notes.sh={}", service.url);
    let fixed = ["gate", "canary", "plan.json", "--group", "g", "--model-url", model_url, "--model", "scripted", "--key-file", "key"];
    let arguments: Vec<String> = fixed
        .iter()
        .chain(["--base", base.as_str()].iter().filter(|_| !more.contains(&"--base")))
        .chain(["--result", "result.json"].iter())
        .chain(more)
        .map(|word| (*word).to_owned())
        .collect();
    let here = folder.0.clone();
    let run = move || -> Output {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_flywheel"));
        command
            .args(arguments)
            .current_dir(here)
            .env("AGENT_PRIVATE_KEY", WALLET)
            .env_remove("TESTNET_WALLET")
            .env("HTTP_PROXY", "http://192.0.2.1:1");
        command.output().unwrap()
    };
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    let said = [&output.stdout[..], &output.stderr[..]].map(String::from_utf8_lossy).concat();
    let report = std::fs::read_to_string(folder.0.join("result.json")).unwrap_or_default();
    for secret in [KEY, WALLET, &WALLET[2..]] {
        assert!(!said.contains(secret) && !report.contains(secret), "a key shows");
    }
    Ran { code: output.status.code(), report: serde_json::from_str(&report).unwrap_or_default(), said }
}

fn lines(asked: &[Asked]) -> Vec<&str> {
    asked.iter().map(|asked| asked.line.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_uses_a_sound_service_passes() {
    let service = Service::start(Character::Sound).await;
    let ran = canary("sound", &model(Script::Honest, KEY), &service, &notes(), &["--input-price", "2", "--output-price", "10"]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.said);
    assert_eq!(ran.proofs(), ["H", "MAKE", "READ", "LIST", "REMOVE"].map(|id| (id, "agent")), "{}", ran.said);
    let group = ran.group();
    assert_eq!((&group["verdict"], &group["gate_verdict"]), (&json!("pass"), &json!("Passed")));
    assert_eq!(ran.report["summary"], json!({"total_groups": 1, "pass": 1, "warn": 0, "fail": 0, "error": 0}));
    let rounds = group["rounds"].as_u64().unwrap();
    assert!((3..=6).contains(&rounds), "{rounds}");
    assert_eq!(group["cost"]["input_tokens"], json!(rounds * 1000));
    assert!((group["cost"]["model_usd"].as_f64().unwrap() - rounds as f64 * 0.003).abs() < 1e-9);
    assert!(group["agent_summary"].as_str().unwrap().starts_with("scripted"), "{}", group["agent_summary"]);
    assert_eq!(group["ux"][0]["kind"], "docs");
    // The runner had nothing left to do.
    let expected = ["GET /llms.txt", "GET /", "POST /v1/notes", "GET /v1/notes", "GET /v1/notes/n1", "DELETE /v1/notes/n1"];
    assert_eq!(lines(&service.asked()), expected);
    assert_eq!(service.asked()[2].body, r#"{"text":"flywheel"}"#);
    assert_eq!(service.asked()[2].headers["host"], "notes.prim.sh");
}

#[tokio::test(flavor = "multi_thread")]
async fn words_pass_nothing() {
    let service = Service::start(Character::Sound).await;
    let ran = canary("lies", &model(Script::Lies, KEY), &service, &notes(), &[]).await;
    // The runner found it sound; that is layer 2, and no agent's doing.
    assert_eq!(ran.proofs(), ["H", "MAKE", "READ", "LIST", "REMOVE"].map(|id| (id, "runner")), "{}", ran.said);
    assert_eq!((ran.code, &ran.group()["verdict"]), (Some(2), &json!("warn")), "{}", ran.said);
    assert!(ran.group()["agent_summary"].as_str().unwrap().contains("All tests passed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_answers_wrong_fails_whatever_is_said() {
    let broken = Service::start(Character::Broken).await;
    let url = model(Script::Honest, KEY);
    let ran = canary("broken", &url, &broken, &notes(), &[]).await;
    assert_eq!((ran.code, &ran.group()["verdict"]), (Some(1), &json!("fail")), "{}", ran.said);
    let proofs = ran.proofs();
    assert_eq!((proofs[0], proofs[2]), (("H", "agent"), ("READ", "refuted")), "{}", ran.said);

    let flatterer = Service::start(Character::Flatterer).await;
    for script in [Script::Honest, Script::Lies] {
        let ran = canary("flatterer", &model(script, KEY), &flatterer, &notes(), &[]).await;
        assert_eq!((ran.code, &ran.group()["verdict"]), (Some(1), &json!("fail")), "{}", ran.said);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_is_reached_whatever_the_service_says() {
    let elsewhere = Service::start(Character::Sound).await;
    let hostile = Service::start(Character::Hostile(elsewhere.url.clone())).await;
    let ran = canary("hostile", &model(Script::Injected, KEY), &hostile, &notes(), &["--rounds", "4"]).await;
    assert_eq!(elsewhere.asked(), [], "{}", ran.said);
    assert!(matches!(ran.code, Some(1 | 2)), "{}", ran.said);
    let steps = ran.group()["steps"].as_array().unwrap();
    let refused = steps.iter().filter(|step| step["tool"] == "http_request").count();
    assert!(refused >= 8, "{refused} of {}", steps.len());
    // It did follow the order that stays with the service, and no further.
    assert!(lines(&hostile.asked()).contains(&"GET /redirect"), "{:?}", lines(&hostile.asked()));
    assert!(!ran.proofs().iter().all(|(_, proof)| *proof == "agent"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_pays_what_the_plan_says_and_no_more() {
    let priced = |amount: &str| {
        let mut tests = notes();
        tests[1] = with(tests[1].clone(), json!({ "notes": null, "payment": { "amount": amount } }));
        tests
    };
    let url = model(Script::Honest, KEY);
    for (what, asks, tests, caps, pays) in [
        ("what is declared", 2500, priced("2500"), &[][..], true),
        ("more than is declared", 2501, priced("2500"), &[], false),
        ("more than one request may cost", 2500, priced("2500"), &["--max-payment", "0.002"], false),
        ("more than the run may cost", 2500, priced("2500"), &["--budget", "0.002"], false),
        ("to another than is declared", 2500, priced("2500"), &["--pay-to", "0x0000000000000000000000000000000000000002"], false),
    ] {
        let service = Service::start(Character::Priced(asks)).await;
        let ran = canary("priced", &url, &service, &tests, caps).await;
        let paid = service.asked().iter().filter(|asked| asked.headers.contains_key("payment-signature")).count();
        assert_eq!(paid > 0, pays, "{what}: {}", ran.said);
        assert_eq!(ran.code == Some(0), pays, "{what}: {}", ran.said);
        assert_eq!(ran.group()["steps"][1]["paid_micros"], json!(if pays { 2500 } else { 0 }), "{what}: {}", ran.said);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn models_that_misbehave_end_and_pass_nothing() {
    let service = Service::start(Character::Sound).await;
    for (script, code, ended, most) in [
        (Script::NeverEnds, 2, "rounds", 10),
        (Script::Garbage, 2, "rounds", 0),
        (Script::Flood, 2, "calls", 80),
        (Script::Broken, 2, "broke", 0),
    ] {
        let ran = canary(&format!("{script:?}"), &model(script.clone(), KEY), &service, &notes(), &[]).await;
        assert_eq!(ran.code, Some(code), "{script:?}: {}", ran.said);
        let group = ran.group();
        assert_eq!(group["ended"]["why"], ended, "{script:?}: {}", ran.said);
        let sent = group["steps"].as_array().unwrap().iter().filter(|step| step["status"].is_number()).count();
        assert!(sent <= most, "{script:?}: {sent}");
        assert!(ran.report.to_string().len() < 200_000, "{script:?}: {}", ran.report.to_string().len());
        assert!(ran.proofs().iter().any(|(_, proof)| *proof != "agent"), "{script:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_begin_says_so() {
    let service = Service::start(Character::Silent).await;
    let url = model(Script::Honest, KEY);
    // Without its llms.txt the model knows no route.
    let ran = canary("silent", &url, &service, &notes(), &[]).await;
    assert_eq!(ran.code, Some(2), "{}", ran.said);
    assert_eq!((ran.proofs()[0], ran.proofs()[1]), (("H", "agent"), ("MAKE", "runner")), "{}", ran.said);

    // Another key is refused, and the model's server is not asked again and again.
    let ran = canary("key", &model(Script::Honest, "another"), &service, &notes(), &[]).await;
    assert_eq!((ran.code, &ran.group()["verdict"]), (Some(2), &json!("error")), "{}", ran.said);
    assert!(ran.group()["error"].as_str().unwrap().contains("refuses the key"), "{}", ran.said);

    // Nobody answers there: no word is said to the model.
    let nobody = reserved();
    let base = format!("notes.sh=http://{nobody}");
    let ran = canary("nobody", &url, &service, &notes(), &["--base", &base]).await;
    assert_eq!((ran.code, &ran.group()["verdict"], &ran.group()["rounds"]), (Some(2), &json!("error"), &json!(0)), "{}", ran.said);

    for (name, tests, arguments, code) in [
        ("empty", vec![], &[][..], 3),
        ("unknown", notes(), &["--group", "none"], 3),
        ("rounds", notes(), &["--rounds", "99"], 3),
        ("no-url", vec![with(test("A", "GET", "/", 200), json!({"endpoint": "https://{{host}}/"}))], &["--var", "host=x"], 2),
    ] {
        let ran = canary(name, &url, &service, &tests, arguments).await;
        assert_eq!(ran.code, Some(code), "{name}: {}", ran.said);
    }

    let folder = Folder::new("canary-goal");
    folder.file("plan.json", &plan_text(&notes()).replacen("\"tests\":[", "\"tests\":[\"T-9\",", 1));
    let refused = folder.flywheel(&["gate", "canary", "plan.json", "--model-url", &url, "--model", "scripted"]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(3), "{said}");
    assert!(said.contains("has the goal T-9, which is no test of the plan"), "{said}");
}

/// A server that takes connections, says nothing, and tells of each.
fn mute() -> (String, std::sync::mpsc::Receiver<std::net::TcpStream>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (told, came) = std::sync::mpsc::channel();
    std::thread::spawn(move || listener.incoming().map_while(Result::ok).try_for_each(|stream| told.send(stream)));
    (url, came)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_ends_with_a_report() {
    let service = Service::start(Character::Sound).await;
    let (model, came) = mute();
    let folder = Folder::new("canary-interrupt");
    let mut plan: Value = serde_json::from_str(&plan_text(&notes())).unwrap();
    plan["groups"].as_array_mut().unwrap().push(json!({"id": "later", "name": "Later", "tests": ["H"]}));
    folder.file("plan.json", &plan.to_string());
    let base = format!("notes.sh={}", service.url);
    let child = std::process::Command::new(env!("CARGO_BIN_EXE_flywheel"))
        .args(["gate", "canary", "plan.json", "--model-url", &model, "--model", "mute", "--base", &base, "--result", "result.json"])
        .current_dir(&folder.0)
        .env_remove("AGENT_PRIVATE_KEY")
        .env_remove("TESTNET_WALLET")
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let id = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    let output = tokio::task::spawn_blocking(move || {
        let _asked = came.recv().unwrap();
        rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
        child.wait_with_output().unwrap()
    })
    .await
    .unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let report: Value = serde_json::from_str(&folder.read("result.json")).unwrap();
    let groups = report["groups"].as_array().unwrap();
    assert_eq!(groups.iter().map(|group| &group["group_id"]).collect::<Vec<_>>(), ["g", "later"]);
    assert_eq!(groups[0]["ended"], json!({"why": "interrupted", "because": "the run was interrupted"}), "{report:#}");
    assert!(groups[1]["error"].as_str().unwrap().contains("the run was interrupted"), "{report:#}");
    assert!(groups.iter().all(|group| group["verdict"] != "pass"), "{report:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_groups_time_holds_for_what_its_service_says_of_itself_too() {
    let service = Service::start(Character::Sound).await;
    let (silent, _came) = mute();
    let base = format!("notes.sh={silent}");
    let arguments = ["--base", base.as_str(), "--deadline", "1", "--timeout", "60000"];
    let ran = canary("mute", &model(Script::Honest, KEY), &service, &notes(), &arguments).await;
    assert_eq!((ran.code, &ran.group()["verdict"], &ran.group()["rounds"]), (Some(2), &json!("error"), &json!(0)), "{}", ran.said);
    assert!(ran.group()["error"].as_str().unwrap().contains("llms.txt"), "{}", ran.said);
    assert!(ran.group()["duration_ms"].as_u64().unwrap() < 20_000, "{}", ran.said);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_can_not_be_written_is_told_before_anybody_is_asked() {
    let service = Service::start(Character::Sound).await;
    let url = model(Script::Honest, KEY);
    // Where the report would be is a folder.
    let folder = Folder::new("canary-unwritable");
    std::fs::create_dir_all(folder.0.join("result.json")).unwrap();
    let ran = canary("unwritable", &url, &service, &notes(), &[]).await;
    assert!(ran.code == Some(3) && ran.said.contains("nothing was sent"), "{}", ran.said);
    assert_eq!(service.asked(), []);
}
