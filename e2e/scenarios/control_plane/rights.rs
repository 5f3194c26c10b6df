//! What the controller may do, and nothing else; and who may set whose names.

use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::json;

use super::installed;

const CONTROLLER: &str = "system:serviceaccount:flywheel-system:flywheel-controller";

async fn may(client: &Client, (namespace, verb, group, resource, name): (&str, &str, &str, &str, &str)) -> bool {
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let attributes = ResourceAttributes {
        namespace: Some(namespace.into()),
        verb: Some(verb.into()),
        group: Some(group.into()),
        resource: Some(resource.into()),
        subresource: Some(subresource.into()),
        name: Some(name.into()),
        ..ResourceAttributes::default()
    };
    let review = SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: Some(CONTROLLER.into()),
            resource_attributes: Some(attributes),
            ..SubjectAccessReviewSpec::default()
        },
        ..SubjectAccessReview::default()
    };
    let api: Api<SubjectAccessReview> = Api::all(client.clone());
    api.create(&PostParams::default(), &review).await.expect("review").status.expect("status").allowed
}

#[tokio::test]
async fn the_controller_may_do_its_work_and_no_more() {
    let client = installed().await;
    let flywheel = "flywheel.prim.sh";
    for allowed in [
        ("flywheel", "list", flywheel, "factories", ""),
        ("flywheel", "watch", flywheel, "factories", ""),
        ("flywheel", "patch", flywheel, "factories/status", "prim"),
        ("flywheel", "watch", flywheel, "primitives", ""),
        ("flywheel", "watch", flywheel, "agentprs", ""),
        ("flywheel", "watch", flywheel, "gateruns", ""),
        ("flywheel", "patch", flywheel, "primitives/status", "x"),
        ("flywheel", "patch", flywheel, "agentprs/status", "x"),
        ("flywheel", "patch", flywheel, "gateruns/status", "x"),
        ("flywheel", "list", flywheel, "primitives", ""),
        ("flywheel", "create", flywheel, "primitives", ""),
        ("flywheel", "patch", flywheel, "primitives", "x"),
        ("flywheel", "delete", flywheel, "primitives", "x"),
        ("flywheel", "create", flywheel, "agentprs", ""),
        ("flywheel", "patch", flywheel, "agentprs", "x"),
        ("flywheel", "delete", flywheel, "agentprs", "x"),
        ("flywheel", "create", flywheel, "gateruns", ""),
        ("flywheel", "delete", flywheel, "gateruns", "x"),
        ("flywheel", "get", "", "configmaps", "x"),
        ("flywheel", "create", "", "configmaps", ""),
        ("flywheel-gates", "create", "batch", "jobs", ""),
        ("flywheel-gates", "list", "", "pods", ""),
        ("flywheel-gates", "get", "", "pods/log", "x"),
        ("flywheel", "create", "events.k8s.io", "events", ""),
        ("flywheel", "patch", "events.k8s.io", "events", "x"),
        ("flywheel-system", "get", "", "secrets", "flywheel-forge"),
        ("flywheel-system", "create", "coordination.k8s.io", "leases", ""),
        ("flywheel-system", "update", "coordination.k8s.io", "leases", "flywheel-controller"),
        ("flywheel-keys", "list", "", "secrets", ""),
        ("flywheel-run", "watch", "apps", "deployments", ""),
        ("flywheel-run", "create", "apps", "deployments", ""),
        ("flywheel-run", "patch", "apps", "deployments", "x"),
        ("flywheel-run", "delete", "apps", "deployments", "x"),
        ("flywheel-run", "list", "apps", "replicasets", ""),
        ("flywheel-run", "list", "", "pods", ""),
        ("flywheel-run", "create", "", "services", ""),
        ("flywheel-run", "patch", "", "services", "x"),
        ("flywheel-run", "delete", "", "services", "x"),
        ("flywheel-run", "create", "", "configmaps", ""),
        ("flywheel-run", "list", "", "configmaps", ""),
        ("flywheel-run", "delete", "", "configmaps", "x"),
        ("flywheel-run", "create", "", "persistentvolumeclaims", ""),
        ("flywheel-run", "delete", "", "persistentvolumeclaims", "x"),
        ("flywheel-run", "create", "", "secrets", ""),
        ("flywheel-run", "patch", "", "secrets", "x"),
        ("flywheel-run", "delete", "", "secrets", "x"),
    ] {
        assert!(may(&client, allowed).await, "must be allowed: {allowed:?}");
    }
    for denied in [
        ("flywheel", "patch", flywheel, "factories", "prim"),
        ("flywheel", "delete", flywheel, "factories", "prim"),
        ("default", "list", flywheel, "factories", ""),
        ("flywheel-system", "list", "", "secrets", ""),
        ("flywheel-system", "watch", "", "secrets", ""),
        ("flywheel-system", "get", "", "secrets", "somebody-elses"),
        ("flywheel-system", "update", "", "secrets", "flywheel-forge"),
        ("flywheel-system", "update", "coordination.k8s.io", "leases", "somebody-elses"),
        ("flywheel-system", "delete", "coordination.k8s.io", "leases", "flywheel-controller"),
        ("flywheel-keys", "watch", "", "secrets", ""),
        ("flywheel-keys", "create", "", "secrets", ""),
        ("flywheel-keys", "patch", "", "secrets", "any"),
        ("flywheel-keys", "delete", "", "secrets", "any"),
        ("flywheel-keys", "list", "", "configmaps", ""),
        ("kube-system", "create", "coordination.k8s.io", "leases", ""),
        ("kube-system", "get", "", "secrets", "any"),
        ("flywheel", "patch", "", "configmaps", "x"),
        ("flywheel", "list", "", "configmaps", ""),
        ("flywheel-run", "get", "", "pods/log", "x"),
        ("flywheel-gates", "create", "", "pods", ""),
        ("flywheel-gates", "create", "", "pods/exec", "x"),
        ("flywheel-gates", "delete", "networking.k8s.io", "networkpolicies", "x"),
        ("flywheel-run", "create", "batch", "jobs", ""),
        ("flywheel", "create", flywheel, "factories", ""),
        ("flywheel", "patch", flywheel, "gateruns", "x"),
        ("flywheel", "update", flywheel, "primitives", "x"),
        ("flywheel", "get", "", "secrets", "any"),
        ("flywheel", "create", "apps", "deployments", ""),
        ("flywheel-run", "get", "", "secrets", "any"),
        ("flywheel-run", "list", "", "secrets", ""),
        ("flywheel-run", "patch", "", "configmaps", "x"),
        ("flywheel-run", "patch", "", "persistentvolumeclaims", "x"),
        ("flywheel-run", "create", "", "pods", ""),
        ("flywheel-run", "delete", "", "pods", "x"),
        ("flywheel-run", "create", "", "pods/exec", "x"),
        ("flywheel-run", "get", "", "pods/log", "x"),
        ("flywheel-run", "patch", "apps", "deployments/scale", "x"),
        ("flywheel-gates", "create", "apps", "deployments", ""),
        ("flywheel-system", "patch", "apps", "deployments", "flywheel-controller"),
        ("", "create", "rbac.authorization.k8s.io", "clusterroles", ""),
        ("", "impersonate", "", "users", ""),
    ] {
        assert!(!may(&client, denied).await, "must be denied: {denied:?}");
    }
}

/// A wallet is set by the gateway alone: whoever else tries is refused.
#[tokio::test]
async fn only_the_gateway_names_a_wallet() {
    installed().await;
    let patch = Patch::Apply(json!({
        "apiVersion": "flywheel.prim.sh/v1alpha1",
        "kind": "Primitive",
        "metadata": { "name": "paid", "annotations": { "gateway.flywheel.prim.sh/wallet": "0x0000000000000000000000000000000000000001" } },
        "spec": { "factoryRef": { "name": "prim" }, "document": { "id": "paid" } },
    }));
    let params = PatchParams { dry_run: true, ..PatchParams::apply("scenarios").force() };
    let by = async |user: &str, groups: &[&str]| {
        let mut config = kube::Config::infer().await.expect("config");
        config.auth_info.impersonate = Some(user.into());
        config.auth_info.impersonate_groups = Some(groups.iter().map(|&g| g.into()).collect());
        let client = Client::try_from(config).expect("client");
        let api: Api<flywheel::api::primitive::Primitive> = Api::namespaced(client, "flywheel");
        api.patch("paid", &params, &patch).await.map(drop)
    };
    let error = by("somebody", &["system:masters"]).await.expect_err("an operator must not name a wallet").to_string();
    assert!(error.contains("gateway"), "{error}");
    let gateway = "system:serviceaccount:flywheel-system:flywheel-gateway";
    by(gateway, &["system:masters"]).await.expect("the gateway names wallets");
}
