//! What `make demo` shows and more: the examples become Live, paid for on the chain and
//! used by the SCRIPTED model; an idea becomes a service; and the Factory keeps what is
//! derived from all of them.

use std::{collections::BTreeSet, fs, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use flywheel::api::factory::Factory;
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client,
    api::{DynamicObject, ListParams, Patch, PatchParams},
};
use reqwest::Method;
use serde_json::{Value, json};

use super::{ask, changes, declare, live, primitives, pulls, remove, told};
use crate::{
    cluster::bed::{NAME, NAMESPACE, factories, forge_as, ready, says},
    support::{apply, file_at, root, until_within, variable},
};

/// How long the Factory may take with a change of its own: it waits for others to merge.
const DERIVED: Duration = Duration::from_secs(180);

async fn secret(client: &Client, namespace: &str, name: &str, annotations: Value, labels: Value, values: Value) {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let stated = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name, "annotations": annotations, "labels": labels }, "stringData": values,
    });
    api.patch(name, &PatchParams::apply("scenarios"), &Patch::Apply(stated)).await.expect(name);
}

/// How many changes of the Factory's own merged.
async fn merged(client: &Client) -> usize {
    let all = changes(client).list(&ListParams::default()).await.expect("AgentPRs");
    let own = all.items.iter().filter(|change| change.spec.primitive == "flywheel");
    own.filter(|change| change.status.as_ref().is_some_and(|status| status.merge_sha.is_some())).count()
}

/// Whether the base branch has so many packages, and what is derived from them.
fn derived(factory: &Factory, packages: i64) -> bool {
    let status = factory.status.clone().unwrap_or_default();
    let newest = status.catalogue.is_some_and(|catalogue| Some(catalogue.commit) == status.base_sha);
    newest && status.packages == Some(packages) && says(factory, "CatalogueCurrent", "True", "Verified")
}

/// Applies a Primitive that has an idea and no document.
async fn imagine(client: &Client, id: &str, idea: &str) {
    let object: DynamicObject = serde_json::from_value(json!({
        "apiVersion": "flywheel.prim.sh/v1alpha1", "kind": "Primitive", "metadata": { "name": id, "namespace": NAMESPACE },
        "spec": { "factoryRef": { "name": NAME }, "idea": idea, "stage": "Live", "deletionPolicy": "Delete" },
    }))
    .expect("a Primitive");
    apply(client, &[object], false).await.expect("the Primitive is let in");
}

/// A file of the base branch.
async fn file(path: &str) -> Option<String> {
    let path = format!("/repos/prim/factory/contents/{path}?ref=main");
    let found = forge_as("FORGE_TOKEN_FILE", Method::GET, &path, None).await.ok()?;
    let packed: String = found["content"].as_str()?.split_whitespace().collect();
    String::from_utf8(BASE64_STANDARD.decode(packed).ok()?).ok()
}

#[tokio::test]
async fn examples_and_an_idea_become_live_and_what_is_derived_follows() {
    let (client, factory) = ready().await;
    let there = factory.status.and_then(|status| status.packages).unwrap_or_default();
    let allowed = json!({ "flywheel.prim.sh/allowed-factories": "flywheel/prim" });
    let key = file_at("TEST_WALLET_KEY_FILE");
    secret(&client, "flywheel-gates", "gate-wallet", json!({}), json!({}), json!({ "privateKey": key.trim() })).await;
    let (url, name) = (variable("MODEL_URL"), variable("MODEL_NAME"));
    let mut sent = allowed.clone();
    sent["flywheel.prim.sh/allowed-servers"] = url.parse::<url::Url>().expect("a URL").origin().ascii_serialization().into();
    secret(&client, "flywheel-system", "flywheel-model", sent, json!({}), json!({ "key": "opens-nothing" })).await;
    let of = |id: &str| json!({ "flywheel.prim.sh/primitive": id });
    let vendor = json!({ "DICTIONARY_API_URL": variable("VENDOR_URL"), "DICTIONARY_API_KEY": "opens-nothing" });
    secret(&client, "flywheel-keys", "grant-lookup", allowed.clone(), of("lookup"), vendor).await;
    secret(&client, "flywheel-keys", "grant-suggest", allowed, of("suggest"), json!({ "PRIM_INTERNAL_KEY": "opens-nothing" })).await;
    let policy = json!({ "spec": {
        "policy": { "aggregates": true, "gates": { "contract": { "wallet": "gate-wallet" }, "canary": { "model": { "url": url, "name": name } } } },
        "model": { "url": url, "name": name, "credentials": { "name": "flywheel-model", "namespace": "flywheel-system" }, "inputPrice": "$1", "outputPrice": "$2" },
    } });
    factories(&client).patch(NAME, &PatchParams::default(), &Patch::Merge(policy)).await.expect("the policy");

    for id in ["lookup", "suggest"] {
        let example = fs::read_to_string(root().join(format!("manifests/examples/primitive-{id}.yaml"))).expect("the example");
        let example: Value = serde_saphyr::from_str(&example).expect("YAML");
        declare(&client, example["spec"]["document"].clone(), json!({ "stage": "Live" })).await;
    }
    imagine(&client, "jots", "Keep short texts, in a service called `jots`.").await;
    for id in ["lookup", "suggest", "jots"] {
        let primitive = live(&client, id).await;
        let passed: Vec<_> = primitive.status.iter().flat_map(|s| &s.gates).map(|gate| (gate.layer.name(), gate.verdict)).collect();
        assert_eq!(passed.len(), 2, "layers 2 and 3: {passed:?}");
        let comments = told(&pulls(id).await[0]["number"]).await;
        let table = comments[0]["body"].as_str().expect("a table");
        assert!(table.contains("| step | verdict |") && table.contains("| preview in all | Passed |"), "{table}");
    }
    let jots = primitives(&client).get("jots").await.expect("jots").status.expect("a status");
    let idea = jots.idea.expect("what the model took");
    assert_eq!(idea.rounds, 2, "its first answer has a mistake: {idea:?}");
    let (code, made) = ask("jots", Method::POST, "/v1/jots", Some(json!({ "text": "one" }))).await.expect("an answer");
    assert_eq!((code, &made["text"]), (201, &json!("one")));

    until_within(DERIVED, factories(&client), NAME, "what is derived is there", |factory| derived(factory, there + 3)).await;
    assert!(merged(&client).await > 0, "by a change of the Factory's own");
    let plan: Value = serde_json::from_str(&file("gates/plan.json").await.expect("the plan")).expect("JSON");
    let services: BTreeSet<_> = plan["tests"].as_array().into_iter().flatten().filter_map(|test| test["service"].as_str()).collect();
    assert!(["jots.sh", "lookup.sh", "suggest.sh"].iter().all(|name| services.contains(name)), "{services:?}");
    assert!(file("generated/openapi/jots.json").await.is_some() && file("generated/cli/lookup.ts").await.is_some());

    for id in ["lookup", "suggest", "jots"] {
        remove(&client, id).await;
    }
    until_within(DERIVED, factories(&client), NAME, "what was derived goes", |factory| derived(factory, there)).await;
    assert_eq!(file("generated/openapi/jots.json").await, None);
    let rest = json!({ "spec": { "policy": { "aggregates": false, "gates": null }, "model": null } });
    factories(&client).patch(NAME, &PatchParams::default(), &Patch::Merge(rest)).await.expect("as it was");
}
