//! What is read of the cluster, and what of it goes.

use flywheel::{
    api::conditions::Reason,
    controller::workload::{Rollout, leftovers, observe},
    decide::Manifest,
    ports::error::Class,
};
use serde_json::{Value, json};

use super::{Case, context, id, labels, path};
use crate::apiserver::ApiServer;

/// The server with everything of a case applied.
fn applied(case: &Case) -> ApiServer {
    let api = ApiServer::default();
    for Manifest(mut m) in case.manifests() {
        let plural = format!("{}s", m["kind"].as_str().unwrap().to_lowercase());
        if plural == "services" {
            m["spec"]["clusterIP"] = "10.96.0.77".into();
        }
        api.put_object(&path(&plural, m["metadata"]["name"].as_str().unwrap()), m.clone());
    }
    api
}

#[tokio::test]
async fn what_was_applied_is_found_as_it_was() {
    let case = Case { keeps_data: Some("SEARCH_DB_PATH"), ..Case::new() };
    let api = applied(&case);
    let cx = context(&api);
    let running = observe(Some(&case.manifests()), &case.factory, &id("search"), &cx).await.unwrap();
    assert!(!running.differs, "{running:?}");
    assert_eq!(running.address, Some("10.96.0.77:80".parse().unwrap()));
    let reads = api.take();
    assert!(reads.iter().all(|seen| seen.method == "GET" && !seen.path.contains("/secrets")), "{reads:?}");

    let nothing = observe(Some(&case.manifests()), &case.factory, &id("search"), &context(&ApiServer::default())).await.unwrap();
    assert_eq!((nothing.rollout, nothing.address, nothing.differs), (Rollout::Absent, None, true));
}

#[tokio::test]
async fn an_object_of_the_name_that_is_anothers_is_told_and_left() {
    for kind in ["Deployment", "Service", "ConfigMap"] {
        let case = Case::new();
        let api = applied(&case);
        let mut other = case.manifest(kind);
        other["metadata"]["labels"]["flywheel.prim.sh/namespace"] = "team-b".into();
        api.put_object(&path(&format!("{}s", kind.to_lowercase()), other["metadata"]["name"].as_str().unwrap()), other);
        let error = observe(Some(&case.manifests()), &case.factory, &id("search"), &context(&api)).await.unwrap_err();
        assert_eq!((error.class, error.reason), (Class::Waiting, Reason::Taken), "{kind}");
        assert!(error.message.contains("primitive search of Factory team-b/prim"), "{}", error.message);
    }
}

fn bundle(name: &str, second: u32) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": { "name": name, "namespace": "flywheel-run", "labels": labels(), "creationTimestamp": format!("2027-01-15T08:00:{second:02}Z") }
    })
}

fn set(name: &str, config: &str, replicas: u32) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": { "name": name, "namespace": "flywheel-run", "labels": labels() },
        "spec": {
            "replicas": replicas, "selector": {},
            "template": { "spec": { "containers": [], "volumes": [{ "name": "inputs", "configMap": { "name": config } }] } }
        }
    })
}

#[tokio::test]
async fn a_bundle_goes_when_no_pod_may_need_it() {
    let case = Case::new();
    let api = ApiServer::default();
    let wanted = "sha256:aaaaaaaaaa11111111111111111111111111111111111111111111111111111111";
    let names = ["prim-search-aaaaaaaaaa", "prim-search-b", "prim-search-c", "prim-search-d", "prim-search-e", "prim-search-f"];
    for (second, name) in names.iter().enumerate() {
        api.put_object(&path("configmaps", name), bundle(name, second as u32));
    }
    // The oldest one is wanted again, and the next runs still.
    api.put_object(&path("replicasets", "r1"), set("r1", "prim-search-b", 1));
    api.put_object(&path("replicasets", "r2"), set("r2", "prim-search-c", 0));
    let mut foreign = bundle("other", 0);
    foreign["metadata"]["labels"]["flywheel.prim.sh/primitive"] = "lookup".into();
    api.put_object(&path("configmaps", "other"), foreign);

    let gone = leftovers(&case.factory, &id("search"), Some(wanted), &context(&api)).await.unwrap();
    let gone: Vec<_> = gone.iter().map(|o| (o.kind, o.namespace.as_str(), o.name.as_str())).collect();
    assert_eq!(gone, [("ConfigMap", "flywheel-run", "prim-search-c")]);
}

#[tokio::test]
async fn everything_goes_and_then_nothing_is_left() {
    let case = Case { keeps_data: Some("SEARCH_DB_PATH"), ..Case::new() };
    let api = applied(&case);
    let gone = leftovers(&case.factory, &id("search"), None, &context(&api)).await.unwrap();
    let kinds: Vec<_> = gone.iter().map(|o| o.kind).collect();
    // The Secret first: nobody may look whether it is there.
    assert_eq!(kinds, ["Secret", "Service", "Deployment", "ConfigMap", "PersistentVolumeClaim"]);
    assert_eq!(gone[0].name, "prim-search-env");
    let none = leftovers(&case.factory, &id("search"), None, &context(&ApiServer::default())).await.unwrap();
    assert!(none.is_empty(), "{none:?}");
}
