//! Packages under Bun, as documents make them, used by the scripted model and judged
//! by the plan that is derived from the same document: nobody wrote either for the
//! other. A wallet pays, and a stub facilitator takes it.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader},
    net::TcpListener,
    process::{Command, Stdio},
    thread,
};

use flywheel::{
    outputs::{Service, append_gate},
    scaffold::{self, Options},
};
use serde_json::{Value, json};

use super::{
    scripted_model::{Script, serve},
    scripted_vendor,
    service::model,
};
use crate::{
    folder::Folder,
    scaffold::{load, root, workspace::Workspace},
};

const KEY: &str = "sk-packages";

/// Documents, and the goals of each that an agent can't reach, since nothing that it
/// is told of makes what they are about.
const DOCUMENTS: [(&str, &[&str]); 4] = [
    ("tests/scaffold/documents/notes.yaml", &[]),
    ("tests/scaffold/documents/vault.yaml", &[]),
    ("manifests/examples/primitive-suggest.yaml", &[]),
    ("manifests/examples/primitive-lookup.yaml", &[]),
];

/// The scripted vendor behind `lookup`.
fn vendor() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || serve(&listener, scripted_vendor::answer));
    url
}

#[test]
fn a_scripted_agent_uses_what_documents_make() {
    let Some(workspace) = Workspace::new("canary") else { return };
    let vendor = vendor();
    let (mut packages, mut services) = (Vec::new(), Vec::new());
    for (file, unreached) in DOCUMENTS {
        let document = load(&root().join(file)).unwrap();
        let made = scaffold::manifest(&document, &Options::at("$0.01".parse().unwrap())).unwrap();
        workspace.add(&made);
        let mut env = json!(made.env);
        env["DICTIONARY_API_URL"] = vendor.as_str().into();
        packages.push(json!({"id": document.id, "env": env, "keeps_data": made.keeps_data}));
        services.push((Service { document, manifest: made }, unreached));
    }
    workspace.write("served.json", &Value::from(packages).to_string());
    let mut serving = workspace.command(&["http/serve.ts", "served.json"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(serving.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let addresses: BTreeMap<String, String> = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line:?}"));

    let folder = Folder::new("canary-packages");
    folder.file("key", KEY);
    let url = model(Script::Honest, KEY);
    for (service, unreached) in &services {
        let id = service.document.id.to_string();
        folder.file("plan.json", &append_gate(None, std::slice::from_ref(service)).plan.to_string());
        let base = format!("{}={}", service.document.name, addresses[&id]);
        let output = Command::new(env!("CARGO_BIN_EXE_flywheel"))
            .args(["gate", "canary", "plan.json", "--model-url", &url, "--model", "scripted", "--key-file", "key", "--base", &base])
            .args(["--result", "result.json", "--max-payment", "0.05", "--budget", "1"])
            .env("AGENT_PRIVATE_KEY", format!("0x{}", "1".repeat(64)))
            .current_dir(&folder.0)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        eprintln!("{said}");
        let report: Value = serde_json::from_str(&fs::read_to_string(folder.0.join("result.json")).unwrap_or_default()).unwrap_or_default();
        let group = &report["groups"][0];
        let goals = group["goals"].as_array().unwrap_or_else(|| panic!("{id}: {said}"));
        let missed: Vec<_> = goals.iter().filter(|goal| goal["proof"] != "agent").map(|goal| goal["request"].as_str().unwrap()).collect();
        assert_eq!(missed, **unreached, "{id}: {said}\n{:#}", group["steps"]);
        assert_eq!(output.status.code(), Some(if unreached.is_empty() { 0 } else { 2 }), "{id}: {said}");
        let paid = service.manifest.routes.iter().filter(|route| route.micros.is_some()).count();
        let spent = group["cost"]["spent_micros"].as_u64().unwrap();
        assert_eq!(paid > 0, spent > 0, "{id}: {spent}");
    }
    drop(serving.stdin.take());
    assert!(serving.wait().unwrap().success());
}
