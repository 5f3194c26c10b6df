//! Layer 2's own tests, one for each route, against the packages that it tests: what it
//! asks must be what a generated service answers, or no primitive would ever be Live.
//! The services are real programs on loopback, paid by a real wallet; a stub
//! facilitator takes the payments.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader},
    process::Stdio,
};

use flywheel::{controller::gate_plan, gate::bundle::SourceFile, prim, suite::Outcome};
use serde_json::{Value, json};
use url::Url;

use super::{given, manifest, root, smoke::run, workspace::Workspace};
use crate::fixtures;

/// Documents that are ours, whose every route must pass or be left out by name.
fn ours() -> Vec<Value> {
    // The other example asks a vendor, who is not here.
    let text = fs::read_to_string(root().join("manifests/examples/primitive-suggest.yaml")).unwrap();
    let suggest = prim::value(&text).unwrap()["spec"]["document"].clone();
    let notes = json!({
        "id": "notes", "name": "notes.sh", "endpoint": "notes.prim.sh", "description": "Keeps notes.", "factory": { "free_service": true },
        "routes_map": [
            { "route": "POST /v1/notes", "request": "Note", "response": "Note", "status": 201, "operation_id": "create_note", "description": "Keep a note." },
            { "route": "GET /v1/notes", "response": "Notes", "status": 200, "operation_id": "list_notes", "description": "List notes." },
            { "route": "GET /v1/notes/:id", "response": "Note", "status": 200, "operation_id": "get_note", "description": "One note." },
        ],
    });
    let links = prim::value(&fs::read_to_string(root().join("tests/scaffold/documents/links.yaml")).unwrap()).unwrap();
    vec![suggest, notes, links]
}

#[test]
fn layer_2_asks_what_generated_services_answer() {
    let Some(workspace) = Workspace::new("routes") else { return };
    let theirs = given().into_iter().map(|path| {
        let mut value = prim::value(&fs::read_to_string(path).unwrap()).unwrap();
        // As in floor.rs: without a vendor our store answers what it can.
        if value["providers"].take() != Value::Null {
            value["env"].take();
        }
        value
    });
    let own = ours();
    let ids: Vec<_> = own.iter().map(|value| value["id"].as_str().unwrap().to_owned()).collect();
    let mut factory = fixtures::factory();
    factory.spec.policy.gates.contract.wallet = Some("wallet".into());
    let (mut packages, mut suites) = (Vec::new(), BTreeMap::new());
    for value in own.into_iter().chain(theirs) {
        let document = prim::from_value(value).unwrap();
        if suites.contains_key(document.id.as_str()) {
            continue;
        }
        let made = manifest(&document);
        workspace.add(&made);
        let files: Vec<_> = made.files.iter().map(|file| SourceFile::new(&file.path, file.content.as_str())).collect();
        let contract = gate_plan::contract(&files, &factory, &Ok(None)).unwrap_or_else(|problem| panic!("{}: {problem}", document.id));
        packages.push(json!({"id": document.id, "env": made.env, "keeps_data": made.keeps_data}));
        suites.insert(document.id.to_string(), (document.name.clone(), contract.suite.unwrap()));
    }
    workspace.write("served.json", &Value::from(packages).to_string());
    let mut serving = workspace.command(&["http/serve.ts", "served.json"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(serving.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let addresses: BTreeMap<String, Url> = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line:?}"));

    let mut red = Vec::new();
    for (id, (name, suite)) in &suites {
        // Whatever a document is called: its own address.
        let at = BTreeMap::from([(name.trim_end_matches(".sh").to_owned(), addresses[id].clone())]);
        // And once more on what the first run left.
        for turn in ["first", "second"].into_iter().take(if ids.contains(id) { 2 } else { 1 }) {
            let results = run(&suite.to_string(), &at);
            assert_eq!(results.len(), suite["tests"].as_array().unwrap().len(), "{id}: every test is accounted for");
            let count = |outcome| results.iter().filter(|result| result.outcome == outcome).count();
            eprintln!("{id:<10} {}", Outcome::ALL.map(|outcome| format!("{} {}", count(outcome), outcome.as_str())).join(", "));
            for result in results.iter().filter(|result| result.outcome != Outcome::Pass) {
                let why: String = result.note.clone().unwrap_or_default().chars().take(160).collect();
                eprintln!("  {:<12} {:<8} {why}", result.id, result.outcome.as_str());
                if ids.contains(id) && matches!(result.outcome, Outcome::Fail | Outcome::Error | Outcome::Blocked) {
                    red.push(format!("{}, {turn} run: {why}", result.id));
                }
            }
        }
    }
    drop(serving.stdin.take());
    assert!(serving.wait().unwrap().success());
    assert!(red.is_empty(), "{red:#?}");
}
