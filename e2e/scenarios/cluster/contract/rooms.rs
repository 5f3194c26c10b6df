//! Rooms that are namespaces.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use flywheel::{
    gate::job::API_SERVER,
    ports::provisioner::{Order, Provisioner},
    spawn::{Cluster, Ways},
};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client, Config, api::ListParams};

use super::{
    address::reserved,
    suites::provisioner::{Arrange, order, suite},
};
use crate::cluster::bed::ready;

struct Namespaces {
    client: Client,
    ways: Ways,
    image: String,
    count: AtomicUsize,
}

#[async_trait]
impl Arrange for Namespaces {
    async fn provisioner(&self) -> Arc<dyn Provisioner> {
        Arc::new(Cluster::new(self.client.clone(), self.ways.clone()))
    }

    async fn stranger(&self) -> Option<Arc<dyn Provisioner>> {
        // Whose rights these are is the kubeconfig's matter, and the API server's.
        None
    }

    async fn closed_port(&self) -> Arc<dyn Provisioner> {
        let nobody = Config::new(format!("http://{}", reserved()).parse().expect("a URL"));
        Arc::new(Cluster::new(Client::try_from(nobody).expect("a client"), self.ways.clone()))
    }

    /// What is no plan is what its program says at once.
    fn order(&self, id: &str) -> Order {
        order(id, &self.image, "{}")
    }

    async fn end(&self, _: &str) {}

    async fn holds_keys(&self, id: &str) -> bool {
        let keys: Api<Secret> = Api::namespaced(self.client.clone(), id);
        !keys.list(&ListParams::default()).await.expect("Secrets").items.is_empty()
    }

    fn fresh(&self) -> String {
        format!("room-{:010x}", (u64::from(std::process::id()) << 8) + self.count.fetch_add(1, Ordering::Relaxed) as u64)
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(120)
    }
}

#[tokio::test]
async fn namespaces_keep_the_contract() {
    let (client, factory) = ready().await;
    let policies = Cluster::policies(&client, "flywheel-gates").await.expect("the gates' policies");
    let ways = Ways { runtime_class: None, sealed_from: API_SERVER.into(), policies };
    suite(&Namespaces { client, ways, image: factory.spec.deploy.image, count: AtomicUsize::default() }).await;
}
