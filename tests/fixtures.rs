//! Objects that several tests begin with: a Factory that fits [`crate::world`].

use flywheel::api::factory::{Factory, FactorySpec, ModelSpec};
use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::api::ObjectMeta;
use serde_json::json;

use crate::world::{dns, edge, forge, model};

/// Namespace and name of the Factory.
pub const FACTORY: (&str, &str) = ("flywheel", "prim");
/// Namespace of its Secrets.
pub const SYSTEM: &str = "flywheel-system";

/// A spec in which everything is right.
pub fn spec() -> FactorySpec {
    serde_json::from_value(json!({
        "repository": {
            "forge": "Gitea", "url": forge::URL, "owner": forge::OWNER, "name": forge::NAME,
            "credentials": { "name": "prim-forge" },
        },
        // Only its own tests have it on: every merge would be followed by another.
        "policy": { "aggregates": false },
        "dns": { "zone": dns::ZONE, "rfc2136": { "server": dns::SERVER, "credentials": { "name": "prim-dns" } } },
        "deploy": {
            "image": "registry.example/factory:1",
            "edge": {
                "adminUrl": edge::ADMIN_URL, "adminCaBundle": edge::CA, "address": "192.0.2.80",
                "credentials": { "name": "prim-edge" },
            },
        },
    }))
    .unwrap()
}

/// A Factory's model, which the scripted one is.
pub fn model_spec() -> ModelSpec {
    let spec = json!({
        "url": model::URL, "name": model::NAME, "credentials": { "name": "prim-model" }, "inputPrice": "$2", "outputPrice": "$10",
    });
    serde_json::from_value(spec).unwrap()
}

/// The Factory as the API server would hand it out.
pub fn factory() -> Factory {
    let mut factory = Factory::new(FACTORY.1, spec());
    factory.metadata.namespace = Some(FACTORY.0.into());
    factory.metadata.uid = Some("6f1d8e2a-0000-4000-8000-000000000001".into());
    factory.metadata.generation = Some(1);
    factory
}

/// A Secret that the Factory may use.
pub fn secret(name: &str, data: &[(&str, &str)]) -> Secret {
    Secret {
        metadata: ObjectMeta {
            name: Some(name.into()),
            namespace: Some(SYSTEM.into()),
            annotations: Some(
                [
                    ("flywheel.prim.sh/allowed-factories".to_owned(), format!("other/one, {}/{}", FACTORY.0, FACTORY.1)),
                    (
                        "flywheel.prim.sh/allowed-servers".to_owned(),
                        format!("{}, {},dns://{}, {}", forge::URL, edge::ADMIN_URL, dns::SERVER, model::URL),
                    ),
                ]
                .into(),
            ),
            ..ObjectMeta::default()
        },
        data: Some(data.iter().map(|(k, v)| ((*k).to_owned(), ByteString(v.as_bytes().to_vec()))).collect()),
        ..Secret::default()
    }
}

/// The Secrets that the Factory refers to.
pub fn secrets() -> Vec<Secret> {
    vec![
        secret("prim-forge", &[("token", forge::BOT.1), ("webhookSecret", forge::WEBHOOK_SECRET)]),
        secret("prim-dns", &[("keyName", dns::KEY.0), ("algorithm", dns::ALGORITHM), ("secret", dns::KEY.1)]),
        secret("prim-edge", &[("tls.crt", edge::CLIENT.0), ("tls.key", edge::CLIENT.1)]),
        secret("prim-model", &[("key", model::KEY)]),
    ]
}

/// Values that must never leave the process.
pub fn secret_values() -> [&'static str; 5] {
    [forge::BOT.1, forge::WEBHOOK_SECRET, dns::KEY.1, edge::CLIENT.1, model::KEY]
}
