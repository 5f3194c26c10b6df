//! Packages of the base branch and their Primitives, pass by pass.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use flywheel::ports::forge::EntryKind;
use kube::runtime::controller::Action as Requeue;
use serde_json::{Value, json};

use super::Run;
use crate::{fixtures, world};

const PRIMITIVES: &str = "/apis/flywheel.prim.sh/v1alpha1/namespaces/flywheel/primitives";
const FACTORY: &str = "/apis/flywheel.prim.sh/v1alpha1/namespaces/flywheel/factories/prim";

/// Merges files into main.
fn merge(run: &Run, files: &[(&str, &str)]) {
    run.world.change(|w| {
        let repo = &mut w.forge.repo;
        let parent = repo.branches["main"].0.clone();
        let mut all = repo.git.files(&parent);
        for (path, text) in files {
            let blob = repo.git.blob(text.as_bytes());
            all.insert((*path).into(), (EntryKind::File, blob));
        }
        let head = repo.git.commit(all, vec![parent], "a merge");
        repo.push("main", &head);
    });
}

fn primitive(run: &Run, id: &str) -> Option<Value> {
    run.api.object(&format!("{PRIMITIVES}/{id}"))
}

/// Stores the Factory as the API server has it by now.
fn store(run: &Run) {
    run.api.put_object(FACTORY, serde_json::to_value(&run.object).unwrap());
}

#[tokio::test]
async fn a_merged_package_has_its_primitive_and_at_rest_nobody_is_asked() {
    let mut run = Run::new();
    store(&run);
    run.pass().await.result.unwrap();
    run.says("PackagesAdopted", "True", "Verified");
    assert_eq!(run.status().packages, Some(0));

    merge(&run, &[("packages/search/prim.yaml", "id: search\nunknown: [1, {x: null}]\n"), ("packages/kit/index.ts", "")]);
    let passed = run.pass().await;
    assert_eq!(passed.result.unwrap(), Requeue::requeue(Duration::from_secs(1)));
    run.says("PackagesAdopted", "False", "Waiting");
    run.says("Ready", "True", "Verified");
    let made = primitive(&run, "search").expect("its Primitive");
    assert_eq!(made["spec"], json!({ "factoryRef": { "name": "prim" }, "document": { "id": "search", "unknown": [1, { "x": null }] } }));
    assert_eq!(run.status().packages, Some(1), "what has no prim.yaml is none");

    run.pass().await.result.unwrap();
    run.says("PackagesAdopted", "True", "Verified");
    let calls = |run: &Run| run.world.read(|w| ["tree", "blob", "file", "commit"].map(|name| w.forge.faults.calls(name)));
    let before = calls(&run);
    run.quiet_pass().await.result.unwrap();
    assert_eq!(calls(&run), before, "a commit that was read is not read again");

    // Only what lacks a Primitive is read, and what is wrong is read once.
    merge(&run, &[("packages/find/prim.yaml", "id: [\n"), ("packages/Bad/prim.yaml", "id: Bad\n")]);
    run.pass().await.result.unwrap();
    run.says("PackagesAdopted", "False", "Invalid");
    let message = &run.condition("PackagesAdopted").message;
    assert!(message.contains("packages/find: prim.yaml is not YAML") && message.contains("packages/Bad: "), "{message}");
    assert_eq!(calls(&run)[1], before[1] + 1);
    run.quiet_pass().await.result.unwrap();
    assert_eq!(calls(&run)[1], before[1] + 1);
}

#[tokio::test]
async fn what_was_retained_is_left_alone_until_it_changes() {
    let mut run = Run::new();
    merge(&run, &[("packages/search/prim.yaml", "id: search\n")]);
    store(&run);
    run.pass().await.result.unwrap();
    let tree = run.world.read(|w| {
        let repo = &w.forge.repo;
        let files = repo.git.files(&repo.branches["main"].0);
        repo.git.listing(&files).into_iter().find(|e| e.path == "packages/search").unwrap().sha
    });

    // Its Primitive goes, and leaves its mark where the controller has not seen it yet.
    run.api.edit(&format!("{PRIMITIVES}/search"), |_| None);
    run.api.edit(FACTORY, |mut factory| {
        factory["status"]["retained"] = json!({ "search": tree });
        Some(factory)
    });
    run.pass().await.result.unwrap();
    assert_eq!(primitive(&run, "search"), None);
    run.says("PackagesAdopted", "True", "Verified");
    assert_eq!(run.status().retained["search"], tree.as_str());
    run.quiet_pass().await.result.unwrap();

    merge(&run, &[("packages/search/index.ts", "changed\n")]);
    run.api.take();
    let passed = run.pass().await;
    passed.result.unwrap();
    assert!(primitive(&run, "search").is_some());
    let drops: Vec<_> = passed.requests.iter().filter(|r| r.content_type == "application/merge-patch+json").collect();
    assert_eq!(drops.len(), 1);
    assert_eq!((drops[0].method.clone(), drops[0].json()), (Method::PATCH, json!({ "status": { "retained": { "search": null } } })));
    assert!(run.status().retained.is_empty());
    run.pass().await.result.unwrap();
    run.says("PackagesAdopted", "True", "Verified");
}

#[tokio::test]
async fn nothing_is_adopted_unless_all_that_matters_was_seen() {
    let mut run = Run::new();
    merge(&run, &[("packages/search/prim.yaml", "id: search\n")]);
    store(&run);
    run.api.refuse("/primitives", axum::http::StatusCode::INTERNAL_SERVER_ERROR);
    run.pass().await.result.unwrap();
    run.says("PackagesAdopted", "False", "ServerError");
    run.says("Ready", "True", "Verified");

    run.api.relent();
    run.world.change(|w| w.forge.faults.fail("tree", world::faults::When::Before, world::Outage::Failing));
    run.pass().await.result.unwrap();
    run.says("PackagesAdopted", "False", "ServerError");

    run.world.change(|w| w.forge.outage = Some(world::Outage::Down));
    run.pass().await.result.unwrap();
    run.says("PackagesAdopted", "Unknown", "NotChecked");
    assert_eq!(primitive(&run, "search"), None);

    run.world.change(|w| w.forge.outage = None);
    run.pass().await.result.unwrap();
    assert!(primitive(&run, "search").is_some());
    assert!(!fixtures::secret_values().iter().any(|secret| format!("{:?}", run.status()).contains(secret)));
}

#[tokio::test]
async fn one_that_the_api_server_refuses_holds_up_nobody() {
    let mut run = Run::new();
    merge(
        &run,
        &[
            ("packages/bad/prim.yaml", "id: bad\n"),
            ("packages/find/prim.yaml", "id: find\n"),
            ("packages/search/prim.yaml", "id: search\n"),
        ],
    );
    store(&run);
    run.api.refuse_those(|seen| {
        let bad = seen.method == Method::POST && seen.json()["metadata"]["name"] == "bad";
        bad.then_some((StatusCode::UNPROCESSABLE_ENTITY, "spec.document: not to this webhook's liking"))
    });
    let passed = run.pass().await;
    assert_eq!(passed.result.unwrap(), Requeue::requeue(Duration::from_secs(1)));
    assert!(primitive(&run, "bad").is_none() && primitive(&run, "find").is_some() && primitive(&run, "search").is_some());
    run.says("Ready", "True", "Verified");
    run.says("PackagesAdopted", "False", "InternalError");
    let message = run.condition("PackagesAdopted").message.clone();
    assert!(message.contains("packages/bad: ") && message.contains("this webhook's liking"), "{message}");

    // It is tried again, but neither at once nor with another word.
    let tried = run.pass().await;
    assert_eq!(tried.result.unwrap(), Requeue::requeue(Duration::from_secs(60)));
    assert!(tried.statuses.is_empty(), "{:?}", tried.statuses);
    assert_eq!(run.condition("PackagesAdopted").message, message);
    run.api.relent();
    run.pass().await.result.unwrap();
    run.pass().await.result.unwrap();
    assert!(primitive(&run, "bad").is_some());
    run.says("PackagesAdopted", "True", "Verified");
}

#[tokio::test]
async fn a_refusal_is_told_beside_what_is_wrong_with_another() {
    let mut run = Run::new();
    merge(&run, &[("packages/find/prim.yaml", "id: [\n"), ("packages/search/prim.yaml", "id: search\n")]);
    store(&run);
    run.api.refuse_those(|seen| (seen.method == Method::POST).then_some((StatusCode::INTERNAL_SERVER_ERROR, "failed calling webhook")));
    run.pass().await.result.unwrap();
    // Both are told: what is wrong with one, and who refused the other.
    run.says("PackagesAdopted", "False", "Invalid");
    let message = &run.condition("PackagesAdopted").message;
    assert!(
        message.contains("packages/find: prim.yaml is not YAML") && message.contains("packages/search: the API server answered 500"),
        "{message}"
    );
}
