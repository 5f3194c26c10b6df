//! Packages under Bun, as documents make them, tried by the command lines and the plans
//! that are derived from the same documents. A wallet pays, and a stub facilitator takes
//! it.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    process::Stdio,
};

use flywheel::{
    api::gate_run::Verdict,
    outputs::{append_gate, command_line},
};
use serde_json::{Value, json};

use super::{run, service, told};
use crate::scaffold::{
    load, root,
    workspace::{self, Workspace},
};

/// Documents, and what at least of their tests commands make.
const DOCUMENTS: [&str; 3] =
    ["tests/scaffold/documents/notes.yaml", "tests/scaffold/documents/vault.yaml", "manifests/examples/primitive-suggest.yaml"];

#[test]
fn what_documents_make_is_used_by_what_they_make() {
    let (Some(workspace), Some(bun)) = (Workspace::new("room"), workspace::needed()) else { return };
    let services = DOCUMENTS.map(|file| service(load(&root().join(file)).unwrap()));
    let packages: Vec<_> = services
        .iter()
        .map(|service| {
            workspace.add(&service.manifest);
            json!({"id": service.document.id, "env": service.manifest.env, "keeps_data": service.manifest.keeps_data})
        })
        .collect();
    workspace.write("served.json", &Value::from(packages).to_string());
    let mut serving = workspace.command(&["http/serve.ts", "served.json"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(serving.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let addresses: BTreeMap<String, String> = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line:?}"));
    for service in &services {
        let id = service.document.id.as_str();
        let plan = append_gate(None, std::slice::from_ref(service)).plan;
        let cli = command_line(service).unwrap();
        let ran = run(id, &told(&addresses[id], id, &plan, &cli), &cli, &bun);
        let steps = &ran.report.as_ref().unwrap_or_else(|| panic!("{id}: {:?}", ran.summary)).steps;
        assert_eq!((ran.verdict(), ran.code), (Verdict::Passed, Some(0)), "{id}: {steps:#?}");
        assert_eq!(ran.said("install"), (Verdict::Passed, format!("{id} with {} commands", cli.commands.len()).as_str()));
        let by_command = steps.iter().filter(|step| step.message.as_ref().is_some_and(|m| m.starts_with("command "))).count();
        let by_runner = steps.iter().filter(|step| step.message.as_ref().is_some_and(|m| m.contains("by the runner"))).count();
        // Of each route there is a test; the health check is no route's.
        assert_eq!((by_command, by_runner), (cli.commands.len(), 1), "{id}: {steps:#?}");
    }
    drop(serving.stdin.take());
    assert!(serving.wait().unwrap().success());
}
