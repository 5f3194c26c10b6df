//! What a real API server makes of our CRDs, examples and manifests. Nothing here
//! needs a node; read `crds.rs` next, then `rights.rs` and `lease.rs`.

mod crds;
mod lease;
mod rights;

use kube::Client;

use crate::support;

/// The CRDs and the rendered chart, applied once per process.
pub(crate) async fn installed() -> Client {
    static INSTALLED: tokio::sync::OnceCell<()> = tokio::sync::OnceCell::const_new();
    let client = support::client().await;
    INSTALLED
        .get_or_init(|| async {
            let crds: Vec<_> = flywheel::generate::crds()
                .iter()
                .flat_map(|crd| support::documents(&flywheel::generate::to_yaml(crd).expect("YAML")))
                .collect();
            support::apply(&client, &crds, false).await.expect("CRDs");
            for crd in flywheel::generate::crds() {
                established(&client, crd.metadata.name.as_deref().expect("name")).await;
            }
            let manifests = std::fs::read_to_string(support::root().join("manifests/flywheel.yaml")).expect("manifests/flywheel.yaml");
            support::apply(&client, &support::documents(&manifests), false).await.expect("manifests/flywheel.yaml");
        })
        .await;
    client
}

async fn established(client: &Client, name: &str) {
    let api = kube::Api::all(client.clone());
    let wait = kube::runtime::wait::await_condition(api, name, kube::runtime::conditions::is_crd_established());
    tokio::time::timeout(support::PATIENCE, wait).await.expect("CRD established in time").expect("watch");
}
