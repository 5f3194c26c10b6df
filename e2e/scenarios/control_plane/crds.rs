//! A real API server takes the examples and refuses what the CRDs' rules forbid.

use std::fs;

use kube::{
    Api,
    api::{DeleteParams, DynamicObject, PostParams},
    core::ApiResource,
};
use serde_json::{Value, json};

use super::installed;
use crate::support::{apply, documents, root};

#[tokio::test]
async fn every_example_is_accepted() {
    let client = installed().await;
    let mut seen = 0;
    for entry in fs::read_dir(root().join("manifests/examples")).expect("manifests/examples") {
        let path = entry.expect("entry").path();
        if path.extension().is_none_or(|e| e != "yaml") || path.ends_with("kustomization.yaml") {
            continue;
        }
        let objects = documents(&fs::read_to_string(&path).expect("read"));
        assert!(!objects.is_empty(), "{} is empty", path.display());
        apply(&client, &objects, true).await.unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        seen += objects.len();
    }
    assert!(seen >= 5, "only {seen} examples");
}

/// An example's document, changed, and what the server must say of it.
struct Refusal {
    example: &'static str,
    pointer: &'static str,
    value: Value,
    says: &'static str,
}

fn first_of(example: &str) -> Value {
    let path = root().join("manifests/examples").join(example);
    let object = documents(&fs::read_to_string(path).expect("read")).into_iter().next().expect("an object");
    serde_json::to_value(object).expect("JSON")
}

fn resource(object: &Value) -> ApiResource {
    let crd = flywheel::generate::crds().into_iter().find(|c| c.spec.names.kind == object["kind"]).expect("kind");
    ApiResource {
        group: flywheel::api::GROUP.into(),
        version: flywheel::api::VERSION.into(),
        api_version: format!("{}/{}", flywheel::api::GROUP, flywheel::api::VERSION),
        kind: crd.spec.names.kind,
        plural: crd.spec.names.plural,
    }
}

/// Sets a value by JSON pointer, making the last key where it is not there.
fn set(object: &mut Value, pointer: &str, value: Value) {
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
    let parent = object.pointer_mut(parent).unwrap_or_else(|| panic!("no {parent}"));
    match value {
        Value::Null => drop(parent.as_object_mut().expect("object").remove(key)),
        value => parent[key] = value,
    }
}

#[tokio::test]
async fn what_the_rules_forbid_is_refused_with_the_field() {
    let client = installed().await;
    let refusals = [
        Refusal { example: "factory.yaml", pointer: "/spec/repository/url", value: json!("ftp://x"), says: "spec.repository.url" },
        Refusal { example: "factory.yaml", pointer: "/spec/repository/forge", value: json!("Subversion"), says: "spec.repository.forge" },
        Refusal {
            example: "factory.yaml",
            pointer: "/spec/dns/rfc2136",
            value: Value::Null,
            says: "rfc2136 is required with provider Rfc2136",
        },
        Refusal { example: "factory.yaml", pointer: "/spec/dns/zone", value: json!("Prim.sh."), says: "spec.dns.zone" },
        Refusal {
            example: "factory.yaml",
            pointer: "/spec/deploy/edge/adminUrl",
            value: json!("http://x"),
            says: "spec.deploy.edge.adminUrl",
        },
        Refusal {
            example: "primitive-suggest.yaml",
            pointer: "/metadata/name",
            value: json!("other"),
            says: "metadata.name must be the document's id",
        },
        Refusal { example: "primitive-suggest.yaml", pointer: "/spec/document/id", value: json!("www"), says: "this id is reserved" },
        Refusal {
            example: "primitive-suggest.yaml",
            pointer: "/spec/idea",
            value: json!("Keep suggestions."),
            says: "exactly one of document and idea is required",
        },
        Refusal { example: "idea-jots.yaml", pointer: "/metadata/name", value: json!("www"), says: "metadata.name must be an id" },
        Refusal { example: "primitive-suggest.yaml", pointer: "/spec/stage", value: json!("banana"), says: "spec.stage" },
        Refusal {
            example: "agentpr.yaml",
            pointer: "/spec/files",
            value: Value::Null,
            says: "exactly one of files and manifestRef is required",
        },
        Refusal {
            example: "agentpr.yaml",
            pointer: "/spec/files/0/path",
            value: json!("packages/../x"),
            says: "path must not have . or .. in it",
        },
        Refusal { example: "agentpr.yaml", pointer: "/spec/files/0/path", value: json!("/etc/passwd"), says: "spec.files[0].path" },
        Refusal {
            example: "gaterun.yaml",
            pointer: "/spec/target/manifestRef",
            value: json!({ "name": "m", "digest": format!("sha256:{}", "0".repeat(64)) }),
            says: "exactly one of agentPR, manifestRef and url is required",
        },
        Refusal { example: "gaterun.yaml", pointer: "/spec/layer", value: json!("Vibes"), says: "spec.layer" },
    ];
    for refusal in refusals {
        let mut object = first_of(refusal.example);
        set(&mut object, refusal.pointer, refusal.value.clone());
        object["metadata"]["namespace"] = json!("flywheel");
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), "flywheel", &resource(&object));
        let object: DynamicObject = serde_json::from_value(object).expect("object");
        let error =
            api.create(&PostParams { dry_run: true, ..PostParams::default() }, &object).await.expect_err(refusal.pointer).to_string();
        assert!(error.contains(refusal.says), "{} {} = {}: {error}", refusal.example, refusal.pointer, refusal.value);
    }
}

#[tokio::test]
async fn what_can_not_change_does_not() {
    let client = installed().await;
    let changes = [
        ("factory.yaml", "/spec/repository/owner", json!("other"), "make a Factory of its own"),
        ("factory.yaml", "/spec/dns/zone", json!("other.example"), "the zone can't change"),
        ("factory.yaml", "/spec/deploy/namespace", json!("elsewhere"), "the namespace can't change"),
        ("primitive-suggest.yaml", "/spec/factoryRef/name", json!("other"), "factoryRef can't change"),
        ("agentpr.yaml", "/spec/title", json!("another title"), "make another AgentPR"),
        ("gaterun.yaml", "/spec/timeoutSeconds", json!(7), "make another GateRun"),
    ];
    for (example, pointer, value, says) in changes {
        let mut object = first_of(example);
        object["metadata"]["namespace"] = json!("flywheel");
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), "flywheel", &resource(&object));
        let created = api
            .create(&PostParams::default(), &serde_json::from_value(object).expect("object"))
            .await
            .unwrap_or_else(|e| panic!("{example}: {e}"));
        let mut changed = serde_json::to_value(&created).expect("JSON");
        set(&mut changed, pointer, value);
        let name = created.metadata.name.as_deref().expect("name");
        let result = api.replace(name, &PostParams::default(), &serde_json::from_value(changed).expect("object")).await;
        api.delete(name, &DeleteParams::default()).await.expect("delete");
        let error = result.expect_err(pointer).to_string();
        assert!(error.contains(says), "{example} {pointer}: {error}");
    }
}

#[tokio::test]
async fn unknown_keys_of_a_document_are_kept() {
    let client = installed().await;
    let mut object = first_of("primitive-suggest.yaml");
    object["metadata"]["namespace"] = json!("flywheel");
    object["metadata"]["name"] = json!("keeps");
    object["spec"]["document"] = json!({ "id": "keeps", "hero_badges": ["**Free**"], "deep": { "er": [1, { "x": null }] } });
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), "flywheel", &resource(&object));
    let created = api.create(&PostParams::default(), &serde_json::from_value(object.clone()).expect("object")).await.expect("created");
    api.delete("keeps", &DeleteParams::default()).await.expect("delete");
    assert_eq!(created.data["spec"]["document"]["hero_badges"], object["spec"]["document"]["hero_badges"]);
    assert_eq!(created.data["spec"]["document"]["deep"]["er"][0], json!(1));
    assert_eq!(created.data["spec"]["deletionPolicy"], json!("Retain"), "defaults are set");
}
