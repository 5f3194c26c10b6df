//! A GateRun object, from `kubectl apply` to its verdict: what the controller makes
//! of it, and what it says meanwhile.

use flywheel::{
    api::gate_run::{GateRun, Verdict},
    gate::bundle::{Bundle, SourceFile},
};
use k8s_openapi::{
    ByteString,
    api::{batch::v1::Job, core::v1::ConfigMap},
};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, PostParams},
    runtime::wait::{await_condition, conditions},
};
use serde_json::json;

use crate::{
    cluster::bed::ready,
    support::{PATIENCE, documents, package, root, until},
};

const NAMESPACE: &str = "flywheel";

/// The package that the scaffolder makes of an example.
fn scaffolded() -> Vec<SourceFile> {
    let example = std::fs::read_to_string(root().join("manifests/examples/primitive-suggest.yaml")).expect("example");
    let object = documents(&example).into_iter().next().expect("a Primitive");
    package(object.data["spec"]["document"].clone()).iter().map(|file| SourceFile::new(&file.path, &file.content)).collect()
}

/// The same, with an own file that answers no request.
fn broken() -> Vec<SourceFile> {
    let mut files = scaffolded();
    let service = files.iter_mut().find(|f| f.path.ends_with("/src/service.ts")).expect("the seeded code");
    service.content = format!("{}\nthrow new Error(\"broken on purpose\");\n", service.content);
    files
}

/// A manifest's ConfigMap and a GateRun over it.
async fn submit(client: &Client, name: &str, files: Vec<SourceFile>) -> Api<GateRun> {
    let bundle = Bundle::pack(files).expect("bundle");
    let configs: Api<ConfigMap> = Api::namespaced(client.clone(), NAMESPACE);
    let runs: Api<GateRun> = Api::namespaced(client.clone(), NAMESPACE);
    remove(client, name).await;
    let mut config: ConfigMap = serde_json::from_value(json!({ "metadata": { "name": name }, "immutable": true })).expect("ConfigMap");
    config.binary_data = Some([("bundle.json.gz".to_owned(), ByteString(bundle.bytes().to_vec()))].into());
    configs.create(&PostParams::default(), &config).await.expect("manifest");
    let run = json!({
        "apiVersion": "flywheel.prim.sh/v1alpha1", "kind": "GateRun", "metadata": { "name": name },
        "spec": {
            "factoryRef": { "name": "prim" }, "layer": "Unit", "timeoutSeconds": 120,
            "target": { "manifestRef": { "name": name, "digest": bundle.digest() } },
        },
    });
    runs.create(&PostParams::default(), &serde_json::from_value(run).expect("GateRun")).await.expect("GateRun");
    runs
}

/// Left by an earlier run, or not there.
async fn remove(client: &Client, name: &str) {
    let configs: Api<ConfigMap> = Api::namespaced(client.clone(), NAMESPACE);
    let runs: Api<GateRun> = Api::namespaced(client.clone(), NAMESPACE);
    let _ = configs.delete(name, &DeleteParams::default()).await;
    let _ = runs.delete(name, &DeleteParams::default()).await;
}

fn says(run: &GateRun, kind: &str, status: &str, reason: &str) -> bool {
    run.status.iter().flat_map(|s| &s.conditions).any(|c| c.type_ == kind && c.status == status && c.reason == reason)
}

#[tokio::test]
async fn a_good_package_passes_and_the_object_says_so() {
    let (client, _) = ready().await;
    let runs = submit(&client, "object-good", scaffolded()).await;
    let run = until(runs, "object-good", "decided", |r| r.status.as_ref().is_some_and(|s| s.verdict.is_some())).await;
    let status = run.status.clone().expect("status");
    assert_eq!(status.verdict, Some(Verdict::Passed), "{status:#?}");
    assert!(says(&run, "Ready", "True", "Passed"));
    assert!(status.results.len() >= 5 && status.results.iter().all(|r| r.verdict == Verdict::Passed), "{:#?}", status.results);

    // The inputs go with the Job, and the verdict stays without it.
    let jobs: Api<Job> = Api::namespaced(client.clone(), "flywheel-gates");
    let configs: Api<ConfigMap> = Api::namespaced(client.clone(), "flywheel-gates");
    let job = status.job.expect("a Job's name");
    let uid = configs.get(&job).await.expect("inputs").uid().expect("uid");
    jobs.delete(&job, &DeleteParams::background()).await.expect("delete");
    let gone = await_condition(configs, &job, conditions::is_deleted(&uid));
    tokio::time::timeout(PATIENCE, gone).await.expect("inputs gone in time").expect("watch");
    let runs: Api<GateRun> = Api::namespaced(client.clone(), NAMESPACE);
    assert_eq!(runs.get("object-good").await.expect("GateRun").status.and_then(|s| s.verdict), Some(Verdict::Passed));
    remove(&client, "object-good").await;
}

/// Runs `flywheel check` over files.
fn check(files: &[SourceFile]) -> std::process::Output {
    let files: Vec<_> = files.iter().map(|f| json!({ "path": f.path, "content": f.content })).collect();
    let path = std::env::temp_dir().join(format!("flywheel-check-{}.json", std::process::id()));
    std::fs::write(&path, json!({ "files": files }).to_string()).expect("manifest");
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_flywheel")).arg("check").arg(&path).args(["--factory", "prim"]).output();
    std::fs::remove_file(&path).expect("remove");
    output.expect("flywheel check")
}

#[tokio::test]
async fn files_are_checked_from_the_command_line_and_nothing_is_left() {
    let (client, _) = ready().await;
    for (files, code, verdict) in [(scaffolded(), 0, "Passed"), (broken(), 1, "Failed")] {
        let output = check(&files);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{said}");
        let answer: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(answer["verdict"], verdict, "{answer}");
        let results = answer["results"].as_array().expect("results");
        assert!(results.iter().any(|r| r["name"] == "typecheck" || r["name"] == "lint"), "{answer}");
        assert_eq!(results.iter().all(|r| r["verdict"] == "Passed"), code == 0, "{answer}");
    }
    let nothing = check(&[SourceFile::new("../outside", "")]);
    assert_eq!(nothing.status.code(), Some(1), "{nothing:?}");
    let runs: Api<GateRun> = Api::namespaced(client.clone(), NAMESPACE);
    let left = runs.list(&Default::default()).await.expect("GateRuns").items;
    assert!(left.iter().all(|run| !run.name_any().starts_with("check-")), "{left:#?}");
    let configs: Api<ConfigMap> = Api::namespaced(client, NAMESPACE);
    let left = configs.list_metadata(&Default::default()).await.expect("ConfigMaps").items;
    assert!(left.iter().all(|config| !config.name_any().starts_with("check-")), "{left:#?}");
}

#[tokio::test]
async fn a_bad_package_fails_with_its_steps() {
    let (client, _) = ready().await;
    let runs = submit(&client, "object-bad", broken()).await;
    let run = until(runs, "object-bad", "decided", |r| r.status.as_ref().is_some_and(|s| s.verdict.is_some())).await;
    assert!(says(&run, "Ready", "False", "Failed") && says(&run, "Stalled", "True", "Failed"), "{:#?}", run.status);
    assert!(run.status.expect("status").results.iter().any(|r| r.verdict == Verdict::Failed && r.message.is_some()));
    remove(&client, "object-bad").await;
}

#[tokio::test]
async fn a_removed_job_is_an_error_and_not_a_second_run() {
    let (client, _) = ready().await;
    let runs = submit(&client, "object-removed", scaffolded()).await;
    let run = until(runs.clone(), "object-removed", "begun", |r| r.status.as_ref().is_some_and(|s| s.job.is_some())).await;
    let job = run.status.and_then(|s| s.job).expect("a Job's name");
    let jobs: Api<Job> = Api::namespaced(client.clone(), "flywheel-gates");
    let there = await_condition(jobs.clone(), &job, conditions::is_created());
    tokio::time::timeout(PATIENCE, there).await.expect("made in time").expect("watch");
    jobs.delete(&job, &DeleteParams::foreground()).await.expect("delete");
    let run = until(runs, "object-removed", "decided", |r| r.status.as_ref().is_some_and(|s| s.verdict.is_some())).await;
    assert!(says(&run, "Ready", "False", "Broken"), "{:#?}", run.status);
    assert!(jobs.get_opt(&job).await.expect("API server").is_none(), "it is not made again");
    remove(&client, "object-removed").await;
}
