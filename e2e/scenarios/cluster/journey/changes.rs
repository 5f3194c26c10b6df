//! What is merged runs, whoever merged it, and nothing else is touched by it.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use flywheel::api::agent_pr::AgentPR;
use kube::api::{DeleteParams, PostParams};
use reqwest::Method;
use serde_json::{Value, json};

use super::{JOURNEY, answering, ask, changes, declare, deployments, document, gone, patch, primitives, pulls, remove, saying, says};
use crate::{
    cluster::bed::ready,
    support::{package, until_within},
};

#[tokio::test]
async fn a_change_redeploys_its_package_alone_while_the_old_version_serves() {
    let (client, _) = ready().await;
    let merged = |pulls: Vec<Value>| pulls.iter().filter(|pull| pull["merged"] == true).count();
    let merged_before = merged(pulls("first").await);
    declare(&client, document("first", "The first one."), Value::Null).await;
    declare(&client, document("second", "The second one."), Value::Null).await;
    answering(&client, "first").await;
    let before = answering(&client, "second").await;
    let untouched = deployments(&client).get("prim-second").await.expect("Deployment").metadata.generation;

    let (stop, asked, failed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let asker = {
        let (stop, asked, failed) = (stop.clone(), asked.clone(), failed.clone());
        tokio::spawn(async move {
            while !stop.load(Ordering::SeqCst) {
                let answered = ask("first", Method::GET, "/", None).await.is_ok_and(|(code, _)| code == 200);
                asked.fetch_add(1, Ordering::SeqCst);
                failed.fetch_add(usize::from(!answered), Ordering::SeqCst);
            }
        })
    };
    let mut newer = document("first", "The first one, changed.");
    newer["routes_map"][0]["description"] = json!("Keep a note, and say so.");
    patch(&client, "first", json!({ "document": newer })).await;
    answering(&client, "first").await;
    stop.store(true, Ordering::SeqCst);
    asker.await.expect("the asker");
    assert_eq!(failed.load(Ordering::SeqCst), 0, "of {} requests during the change", asked.load(Ordering::SeqCst));
    assert!(asked.load(Ordering::SeqCst) > 20, "it was asked all along");

    let after = primitives(&client).get("second").await.expect("second").status.expect("status");
    let before = before.status.expect("status");
    assert_eq!((after.commit, after.tree), (before.commit, before.tree), "another package's merge changes nothing here");
    assert_eq!(deployments(&client).get("prim-second").await.expect("Deployment").metadata.generation, untouched);
    assert_eq!(merged(pulls("first").await), merged_before + 2);
    remove(&client, "first").await;
    remove(&client, "second").await;
}

#[tokio::test]
async fn a_package_that_somebody_merged_has_a_primitive_and_a_retained_one_has_none() {
    let (client, _) = ready().await;
    let files = package(document("adopted", "Merged by somebody."));
    let files: Vec<_> = files.iter().map(|f| json!({ "path": f.path, "content": f.content })).collect();
    let change: AgentPR = serde_json::from_value(json!({
        "apiVersion": "flywheel.prim.sh/v1alpha1", "kind": "AgentPR", "metadata": { "name": "adopted-by-hand" },
        "spec": { "factoryRef": { "name": "prim" }, "primitive": "adopted", "title": "Add adopted", "files": files },
    }))
    .expect("an AgentPR");
    changes(&client).create(&PostParams::default(), &change).await.expect("AgentPR");
    let adopted = until_within(JOURNEY, primitives(&client), "adopted", "answering", |p| says(p, "Ready", "True", "Answering")).await;
    assert!(adopted.status.expect("status").agent_pr.is_none(), "what is on the base branch is not proposed");

    // Retain: all stays, and it is not adopted again.
    primitives(&client).delete("adopted", &DeleteParams::default()).await.expect("delete");
    gone(&client, "adopted").await;
    crate::cluster::bed::touch(&client).await;
    let factory = until_within(JOURNEY, crate::cluster::bed::factories(&client), "prim", "looked at", |f| {
        f.status.as_ref().is_some_and(|s| s.observed_generation == f.metadata.generation && s.retained.contains_key("adopted"))
    })
    .await;
    assert!(factory.status.expect("status").retained.contains_key("adopted"));
    assert!(primitives(&client).get_opt("adopted").await.expect("API server").is_none(), "retained, and so not adopted");
    let (code, _) = ask("adopted", Method::GET, "/", None).await.expect("an answer");
    assert_eq!(code, 200, "it still serves");

    // Declared anew it goes on from there, and with Delete all of it goes.
    declare(&client, document("adopted", "Merged by somebody."), Value::Null).await;
    answering(&client, "adopted").await;
    remove(&client, "adopted").await;
    assert!(deployments(&client).get_opt("prim-adopted").await.expect("API server").is_none());
    changes(&client).delete("adopted-by-hand", &DeleteParams::default()).await.expect("AgentPR");
}

#[tokio::test]
async fn a_pause_holds_and_a_stage_caps() {
    let (client, _) = ready().await;
    let before = pulls("held").await.len();
    declare(&client, document("held", "Held."), json!({ "paused": { "reason": "until the review" }, "stage": "Building" })).await;
    let held = saying(&client, "held", "Stalled", "True", "Paused").await;
    let message = &held.status.expect("status").conditions.iter().find(|c| c.type_ == "Ready").expect("Ready").message.clone();
    assert!(message.contains("until the review"), "{message}");
    assert_eq!(pulls("held").await.len(), before, "nothing was proposed");

    patch(&client, "held", json!({ "paused": null })).await;
    saying(&client, "held", "Ready", "True", "StageReached").await;
    assert!(deployments(&client).get_opt("prim-held").await.expect("API server").is_none(), "merged, and no further");
    patch(&client, "held", json!({ "stage": "Testing" })).await;
    answering(&client, "held").await;
    patch(&client, "held", json!({ "stage": "Building" })).await;
    saying(&client, "held", "Ready", "True", "StageReached").await;
    assert!(deployments(&client).get_opt("prim-held").await.expect("API server").is_none(), "taken down again");
    remove(&client, "held").await;
}
