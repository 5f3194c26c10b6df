//! From an idea to a document, with a scripted model: a server that says what the
//! test wrote down, whatever it is asked.

use std::process::Output;

use serde_json::{Value, json};
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers::any};

use crate::{folder::Folder, world::model::endless};

const KEY: &str = "sk-hunter2";

fn good() -> Value {
    json!({
        "id": "jots", "description": "Keeps jots", "factory": {"free_service": true}, "env": ["JOTS_DB_PATH"],
        "routes_map": [{"route": "POST /v1/jots", "operation_id": "create_jot", "description": "Keep one", "status": 201, "request": "json", "response": "json"}],
    })
}

/// A document whose every text would like to be code.
fn hostile() -> Value {
    let nasty = "*/ process.exit(1); /* ${require('fs')} ` \" ' <script> {{ x }}";
    json!({
        "id": "jots", "name": nasty, "description": nasty, "ownership": nasty, "tips": [nasty], "limits": [nasty], "quick_start": [nasty],
        "factory": {"free_service": true}, "env": ["JOTS_DB_PATH"],
        "routes_map": [{"route": "POST /v1/jots", "operation_id": "create_jot", "description": nasty, "status": 201, "request": "json",
            "response": "json", "errors": [{"status": 400, "code": "invalid", "description": nasty}]}],
    })
}

fn completion(text: &str) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(
        json!({"choices": [{"message": {"role": "assistant", "content": text}}], "usage": {"prompt_tokens": 1000, "completion_tokens": 500}}),
    )
}

/// A model that says these texts, one after the other, and the last one for ever.
async fn scripted(texts: Vec<String>) -> MockServer {
    let server = MockServer::start().await;
    let turn = std::sync::atomic::AtomicUsize::new(0);
    let respond = move |_: &Request| {
        let at = turn.fetch_add(1, std::sync::atomic::Ordering::Relaxed).min(texts.len() - 1);
        completion(&texts[at])
    };
    Mock::given(any()).respond_with(respond).mount(&server).await;
    server
}

/// Runs the command against a model's server.
async fn create(folder: &Folder, url: String, more: &[&str]) -> Output {
    let key = folder.file("key", &format!("{KEY}\n"));
    let mut arguments: Vec<String> = ["create", "--idea", "Keep jots", "--model", "scripted", "--out", "made.yaml", "--model-url", &url]
        .into_iter()
        .chain(["--key-file", &key, "--input-price", "2", "--output-price", "10"])
        .chain(more.iter().copied())
        .map(str::to_owned)
        .collect();
    arguments.shrink_to_fit();
    let here = folder.0.clone();
    let run = move || std::process::Command::new(env!("CARGO_BIN_EXE_flywheel")).args(arguments).current_dir(here).output().unwrap();
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    assert!(!String::from_utf8_lossy(&said).contains(KEY), "the key shows");
    output
}

fn summary(output: &Output) -> Value {
    let said = String::from_utf8_lossy(&output.stderr);
    serde_json::from_str(said.lines().last().unwrap_or_default()).unwrap_or_else(|e| panic!("{e}: {said}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_answer_is_a_document_at_once() {
    let (folder, server) = (Folder::new("idea-good"), scripted(vec![good().to_string()]).await);
    let output = create(&folder, format!("{}/v1", server.uri()), &[]).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(summary(&output), json!({"rounds": 1, "inputTokens": 1000, "outputTokens": 500, "costUsd": 0.007, "strict": true}));
    assert_eq!(flywheel::prim::read(&folder.read("made.yaml")).unwrap().id.as_str(), "jots");
    let asked = server.received_requests().await.unwrap().remove(0);
    assert_eq!(asked.url.path(), "/v1/chat/completions");
    assert_eq!(asked.headers["authorization"], format!("Bearer {KEY}"));
    let body: Value = asked.body_json().unwrap();
    assert_eq!(body["response_format"]["json_schema"]["schema"], flywheel::prim::schema());
    assert_eq!(body["model"], "scripted");

    // What is there is not overwritten, and nobody is asked for it.
    let again = create(&folder, format!("{}/v1", server.uri()), &[]).await;
    assert!(!again.status.success());
    assert_eq!(server.received_requests().await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn problems_go_back_until_there_are_none() {
    let mut bad = good();
    bad["routes_map"][0]["status"] = json!("banana");
    let (folder, server) = (Folder::new("idea-mended"), scripted(vec![bad.to_string(), good().to_string()]).await);
    let output = create(&folder, server.uri(), &["--id", "jots"]).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!((&summary(&output)["rounds"], &summary(&output)["inputTokens"]), (&json!(2), &json!(2000)));
    let second: Value = server.received_requests().await.unwrap()[1].body_json().unwrap();
    let messages = second["messages"].as_array().unwrap();
    assert_eq!(messages[2], json!({"role": "assistant", "content": bad.to_string()}));
    assert!(messages[3]["content"].as_str().unwrap().contains("routes_map[0].status"), "{}", messages[3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_is_asked_for_again_and_never_written() {
    for (name, text) in [
        ("prose", "Sure! Here is your service.".to_owned()),
        ("empty", String::new()),
        ("list", "[1, 2]".into()),
        ("other", good().to_string().replace("\"jots\"", "\"other\"")),
        ("bomb", format!("a: &a [x]\n{}", (0..40).map(|i| format!("b{i}: &b{i} [*a, *a]\n")).collect::<String>())),
        ("deep", "[".repeat(100_000)),
    ] {
        let (folder, server) = (Folder::new(&format!("idea-{name}")), scripted(vec![text]).await);
        let output = create(&folder, server.uri(), &["--id", "jots"]).await;
        assert_eq!(output.status.code(), Some(1), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!((&summary(&output)["rounds"], &summary(&output)["strict"]), (&json!(3), &json!(false)), "{name}");
        assert!(!folder.0.join("made.yaml").exists(), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_that_would_like_to_be_code_stay_texts() {
    let (folder, server) = (Folder::new("idea-hostile"), scripted(vec![hostile().to_string()]).await);
    let output = create(&folder, server.uri(), &[]).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let made = flywheel::prim::read(&folder.read("made.yaml")).unwrap();
    assert_eq!(flywheel::prim::check(made.given()), []);
    // What they become is held to the same structure by `scaffold::random`.
    let mut names = good();
    names["routes_map"][0]["operation_id"] = json!("x() { process.exit(1) } y");
    names["id"] = json!("../../etc/passwd");
    names["env"] = json!(["A; rm -rf /"]);
    let (folder, server) = (Folder::new("idea-names"), scripted(vec![names.to_string()]).await);
    let output = create(&folder, server.uri(), &[]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(!folder.0.join("made.yaml").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_never_ends_is_left() {
    let folder = Folder::new("idea-endless");
    let flood = endless(Some(&[b'x'; 65536]));
    let output = create(&folder, flood, &[]).await;
    assert!(!output.status.success() && String::from_utf8_lossy(&output.stderr).contains("more than"), "{output:?}");
    let silent = endless(None);
    let output = create(&folder, silent, &["--timeout-seconds", "1"]).await;
    assert!(!output.status.success() && String::from_utf8_lossy(&output.stderr).contains("the model's server"), "{output:?}");
    assert!(!folder.0.join("made.yaml").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_refuses_is_said_without_its_words() {
    let (folder, server) = (Folder::new("idea-refused"), MockServer::start().await);
    Mock::given(any()).respond_with(ResponseTemplate::new(401).set_body_string(format!("wrong key {KEY}"))).mount(&server).await;
    let output = create(&folder, server.uri(), &[]).await;
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("refuses the key"), "{output:?}");
}
