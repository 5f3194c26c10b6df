//! Real documents, unchanged.

use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams},
};
use reqwest::Method;
use serde_json::{Value, json};

use super::{answering, ask, changes, declare, dig, no_branches, pulls, remove, specs, told};
use crate::cluster::bed::{forge, ready};

/// A Secret that an operator granted to a primitive.
async fn grant(client: &kube::Client, id: &str, key: &str) -> Api<Secret> {
    let api: Api<Secret> = Api::namespaced(client.clone(), "flywheel-keys");
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": { "name": format!("grant-{id}"), "labels": { "flywheel.prim.sh/primitive": id },
            "annotations": { "flywheel.prim.sh/allowed-factories": "flywheel/prim" } },
        "stringData": { (key): "opens-nothing" },
    });
    api.patch(&format!("grant-{id}"), &PatchParams::apply("scenarios"), &Patch::Apply(secret)).await.expect("Secret");
    api
}

#[tokio::test]
async fn real_documents_become_names_that_answer() {
    let Some(folder) = specs() else { return };
    let (client, _) = ready().await;
    let mut secrets = None;
    for (id, key) in [("feedback", "PRIM_INTERNAL_KEY"), ("search", "TAVILY_API_KEY")] {
        secrets = Some(grant(&client, id, key).await);
        let text = std::fs::read_to_string(folder.join(format!("{id}.prim.yaml"))).expect("the document");
        declare(&client, serde_saphyr::from_str(&text).expect("YAML"), Value::Null).await;
    }
    for id in ["feedback", "search"] {
        let primitive = answering(&client, id).await;
        let status = primitive.status.expect("status");
        assert_eq!(status.url, Some(format!("https://{id}.prim.sh")));

        // One pull request, squashed into one commit, and nothing left of it.
        let change = changes(&client).get(&status.agent_pr.expect("an AgentPR")).await.expect("AgentPR").status.expect("status");
        let found = pulls(id).await;
        assert_eq!(found[0]["merged"], true, "{found:?}");
        assert_eq!(found[0]["merge_commit_sha"].as_str(), change.merge_sha.as_deref());
        no_branches(id).await;
        let comments = told(&found[0]["number"]).await;
        assert_eq!(comments.len(), 1, "one comment, edited in place: {comments:?}");
        let merged = forge(
            Method::GET,
            &format!("/repos/prim/factory/git/commits/{}", found[0]["merge_commit_sha"].as_str().unwrap_or_default()),
            None,
        )
        .await;
        assert_eq!(merged["parents"].as_array().map(Vec::len), Some(1), "squashed");

        // The name, and whose it is.
        assert_eq!(dig(&format!("{id}.prim.sh"), "A"), [crate::support::variable("EDGE_ADDRESS")]);
        let owner = format!("\"heritage=external-dns,external-dns/owner=prim,external-dns/resource=primitive/flywheel/{id}\"");
        assert_eq!(dig(&format!("a-{id}.prim.sh"), "TXT"), [owner]);
        let (code, body) = ask(id, Method::GET, "/", None).await.expect("an answer");
        assert_eq!((code, &body["service"]), (200, &json!(format!("{id}.sh"))));
    }
    let (code, _) = ask("feedback", Method::GET, "/v1/feed", None).await.expect("an answer");
    assert_eq!(code, 401, "the internal key is set, and nobody showed it");
    let (code, terms) = ask("search", Method::POST, "/v1/search", Some(json!({ "query": "x" }))).await.expect("an answer");
    assert_eq!(code, 402, "{terms}");

    for id in ["feedback", "search"] {
        remove(&client, id).await;
        assert!(dig(&format!("{id}.prim.sh"), "A").is_empty(), "its name is gone");
        assert!(dig(&format!("a-{id}.prim.sh"), "TXT").is_empty(), "and so is the mark");
        if let Some(api) = &secrets {
            api.delete(&format!("grant-{id}"), &DeleteParams::default()).await.expect("Secret");
        }
    }
}
