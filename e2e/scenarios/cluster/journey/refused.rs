//! What is wrong is said, by its path, and costs nothing.

use flywheel::api::{agent_pr::AgentPR, names::Fqdn};
use flywheel::ports::dns::{AddressRecord, Owner};
use kube::api::{DeleteParams, PostParams};
use serde_json::{Value, json};

use super::{answering, branches, changes, declare, dig, document, patch, primitives, pulls, remove, saying};
use crate::{cluster::bed::ready, support::until};

fn message(primitive: &flywheel::api::primitive::Primitive) -> String {
    let conditions = primitive.status.iter().flat_map(|s| &s.conditions);
    conditions.into_iter().find(|c| c.type_ == "Ready").map(|c| c.message.clone()).unwrap_or_default()
}

#[tokio::test]
async fn a_name_of_somebody_else_is_never_overwritten() {
    let (client, _) = ready().await;
    let zone = crate::cluster::contract::zone();
    let name: Fqdn = "claimed.prim.sh".parse().expect("name");
    let other = Owner { id: "somebody".into(), resource: "ingress/shop/front".into() };
    let record = AddressRecord { name: name.clone(), address: "192.0.2.7".parse().expect("address"), ttl: 60, owner: other.clone() };
    zone.set_address(&record).await.expect("the other's record");

    declare(&client, document("claimed", "Claimed by another."), Value::Null).await;
    let taken = saying(&client, "claimed", "Stalled", "True", "Taken").await;
    assert!(message(&taken).contains("ingress/shop/front of somebody"), "{}", message(&taken));
    assert_eq!(dig("claimed.prim.sh", "A"), ["192.0.2.7"]);

    zone.remove(&name, &other).await.expect("given up");
    patch(&client, "claimed", json!({ "stage": "Testing" })).await;
    answering(&client, "claimed").await;
    remove(&client, "claimed").await;
}

#[tokio::test]
async fn wrong_documents_are_conditions_and_nothing_is_pushed() {
    let (client, _) = ready().await;
    let mut foreign = document("wrong", "Somebody else's endpoint.");
    foreign["endpoint"] = json!("wrong.example.com");
    let mut route = document("wrong", "No route.");
    route["routes_map"][0]["route"] = json!("FETCH everything");
    let mut large = document("wrong", "Too much.");
    large["routes_map"] = (0..400)
        .map(|n| json!({ "route": format!("GET /v1/r{n}"), "status": 200, "operation_id": format!("r_{n}"), "description": "x".repeat(600) }))
        .collect();
    for (wrong, reason, names) in
        [(foreign, "Invalid", "spec.document.endpoint"), (route, "Invalid", "spec.document.routes_map[0]"), (large, "TooLarge", "KiB")]
    {
        declare(&client, wrong, Value::Null).await;
        let said = saying(&client, "wrong", "Stalled", "True", reason).await;
        assert!(message(&said).contains(names), "{}", message(&said));
    }
    assert!(branches("wrong").await.is_empty() && pulls("wrong").await.is_empty(), "nothing is pushed");
    remove(&client, "wrong").await;

    declare(&client, document("lost", "No such Factory."), json!({ "factoryRef": { "name": "nowhere" } })).await;
    let said = saying(&client, "lost", "Ready", "False", "Waiting").await;
    assert!(message(&said).contains("spec.factoryRef.name: Factory nowhere"), "{}", message(&said));
    primitives(&client).delete("lost", &DeleteParams::default()).await.expect("delete");
    super::gone(&client, "lost").await;
}

#[tokio::test]
async fn a_secret_in_a_file_is_never_pushed() {
    let (client, _) = ready().await;
    // Made up, in the form of a real one.
    let key = format!("ghp_{}", "0A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r");
    let change: AgentPR = serde_json::from_value(json!({
        "apiVersion": "flywheel.prim.sh/v1alpha1", "kind": "AgentPR", "metadata": { "name": "leaky" },
        "spec": {
            "factoryRef": { "name": "prim" }, "primitive": "leaky", "title": "Add leaky",
            "files": [{ "path": "packages/leaky/src/index.ts", "content": format!("const token = \"{key}\";\n") }]
        },
    }))
    .expect("an AgentPR");
    changes(&client).create(&PostParams::default(), &change).await.expect("AgentPR");
    let said = until(changes(&client), "leaky", "refused", |c| {
        c.status.iter().flat_map(|s| &s.conditions).any(|c| c.type_ == "Stalled" && c.reason == "SecretInFile")
    })
    .await;
    let text = serde_json::to_string(&said.status).expect("JSON");
    assert!(text.contains("packages/leaky/src/index.ts:1") && !text.contains(&key), "{text}");
    assert!(branches("leaky").await.is_empty() && pulls("leaky").await.is_empty());
    changes(&client).delete("leaky", &DeleteParams::default()).await.expect("delete");
}
