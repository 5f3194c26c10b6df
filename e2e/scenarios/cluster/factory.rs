//! A Factory on the real forge, zone and edge.

use kube::{
    Api,
    api::{DeleteParams, ListParams},
};
use reqwest::Method;
use serde_json::json;

use super::bed::{NAME, NAMESPACE, SecretValue, factories, forge, ready, says, touch};
use crate::support::until;

#[tokio::test]
async fn it_is_checked_and_says_so_once() {
    let (client, factory) = ready().await;
    let status = factory.status.expect("status");
    assert_eq!(status.repository.as_deref(), Some("prim/factory"));
    assert_eq!(status.account.as_deref(), Some("flywheel-bot"));
    assert_eq!(status.base_sha.map(|s| s.len()), Some(40));
    let said: Vec<_> = status.conditions.iter().map(|c| c.type_.as_str()).collect();
    assert_eq!(
        said,
        ["BranchProtected", "CredentialsReady", "DnsReady", "EdgeReady", "ForgeReady", "PackagesAdopted", "Ready", "WebhookReady"],
        "no Reconciling, no Stalled"
    );

    let events: Api<k8s_openapi::api::events::v1::Event> = Api::namespaced(client, NAMESPACE);
    let about_us = ListParams::default().fields("regarding.name=prim,regarding.kind=Factory,reason=Verified");
    let events = events.list(&about_us).await.expect("events");
    assert!(!events.items.is_empty(), "an Event says that it became ready");
}

#[tokio::test]
async fn a_missing_label_is_made() {
    let (client, _) = ready().await;
    let labels = forge(Method::GET, "/repos/prim/factory/labels", None).await;
    let label = labels.as_array().and_then(|l| l.iter().find(|l| l["name"] == "agent-pr")).expect("agent-pr")["id"].clone();
    forge(Method::DELETE, &format!("/repos/prim/factory/labels/{label}"), None).await;
    touch(&client).await;
    let generation = factories(&client).get(NAME).await.expect("factory").metadata.generation;
    until(factories(&client), NAME, "looked at", |f| f.status.as_ref().is_some_and(|s| s.observed_generation == generation)).await;
    let labels = forge(Method::GET, "/repos/prim/factory/labels", None).await;
    let made = labels.as_array().map(|l| l.iter().filter(|l| l["name"] == "agent-pr").count());
    assert_eq!(made, Some(1), "{labels}");
}

#[tokio::test]
async fn a_delivery_of_the_real_forge_is_noticed() {
    let (client, _) = ready().await;
    forge(Method::POST, "/repos/prim/factory/branches", Some(json!({ "new_branch_name": "delivery-test", "old_branch_name": "main" })))
        .await;
    let factory = until(factories(&client), NAME, "delivered to", |f| says(f, "WebhookReady", "True", "Delivering")).await;
    forge(Method::DELETE, "/repos/prim/factory/branches/delivery-test", None).await;
    assert!(says(&factory, "Ready", "True", "Verified"));
}

#[tokio::test]
async fn a_wrong_token_stalls_it_and_a_right_one_mends_it() {
    let (client, _) = ready().await;
    let token = SecretValue::replace(&client, "flywheel-forge", "token", "0000000000000000000000000000000000000000").await;
    touch(&client).await;
    let stalled = until(factories(&client), NAME, "stalled", |f| says(f, "Stalled", "True", "TokenRejected")).await;
    assert!(says(&stalled, "Ready", "False", "TokenRejected"));
    assert!(says(&stalled, "BranchProtected", "Unknown", "NotChecked"));
    token.restore().await;
    touch(&client).await;
    let mended = until(factories(&client), NAME, "Ready", |f| says(f, "Ready", "True", "Verified")).await;
    assert!(mended.status.expect("status").conditions.iter().all(|c| c.type_ != "Stalled"), "Stalled is gone, not False");
}

#[tokio::test]
async fn a_deleted_factory_leaves_nothing_behind() {
    let (client, _) = ready().await;
    factories(&client).delete(NAME, &DeleteParams::default()).await.expect("delete");
    let gone = kube::runtime::wait::await_condition(factories(&client), NAME, |f: Option<&flywheel::api::factory::Factory>| f.is_none());
    tokio::time::timeout(crate::support::PATIENCE, gone).await.expect("gone in time").expect("watch");
    // And made anew it is ready again.
    ready().await;
}
