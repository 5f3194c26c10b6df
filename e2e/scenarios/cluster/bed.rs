//! The bed's Factory and credentials, and how to break and mend them.

use std::{collections::BTreeMap, process::Command};

use flywheel::api::factory::Factory;
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use reqwest::{Method, header};
use serde_json::{Value, json};

use crate::support::{apply, client, documents, file_at, run, testbed, until, variable};

/// Namespace of the bed's Factory.
pub(crate) const NAMESPACE: &str = "flywheel";
/// Name of the bed's Factory.
pub(crate) const NAME: &str = "prim";
/// Its repository in the forge's API.
pub(crate) const REPOSITORY: &str = "/repos/prim/factory";

/// The bed's Factory, applied and ready.
pub(super) async fn ready() -> (Client, Factory) {
    let client = client().await;
    apply(&client, &documents(&testbed("factory")), false).await.expect("the bed's Factory");
    let factory = until(factories(&client), NAME, "Ready", |f| says(f, "Ready", "True", "Verified")).await;
    (client, factory)
}

pub(crate) fn factories(client: &Client) -> Api<Factory> {
    Api::namespaced(client.clone(), NAMESPACE)
}

/// Whether a condition of this generation has this status and reason.
pub(super) fn says(factory: &Factory, kind: &str, status: &str, reason: &str) -> bool {
    let generation = factory.metadata.generation;
    factory
        .status
        .iter()
        .flat_map(|s| &s.conditions)
        .any(|c| c.type_ == kind && c.status == status && c.reason == reason && c.observed_generation == generation)
}

/// Changes the spec in something that does not matter, which starts a pass.
pub(super) async fn touch(client: &Client) {
    let api = factories(client);
    let ttl = api.get(NAME).await.expect("factory").spec.dns.ttl_seconds;
    let patch = json!({ "spec": { "dns": { "ttlSeconds": if ttl == 60 { 61 } else { 60 } } } });
    api.patch(NAME, &PatchParams::default(), &Patch::Merge(patch)).await.expect("touch");
}

/// A value of one of the Factory's Secrets.
pub(super) struct SecretValue {
    api: Api<Secret>,
    name: &'static str,
    key: &'static str,
    before: String,
}

impl SecretValue {
    /// Replaces it, until [`Self::restore`].
    pub(super) async fn replace(client: &Client, name: &'static str, key: &'static str, value: &str) -> Self {
        let api: Api<Secret> = Api::namespaced(client.clone(), "flywheel-system");
        let secret = api.get(name).await.expect(name);
        let before = secret.data.and_then(|mut d| d.remove(key)).expect(key);
        let replaced = Self { api, name, key, before: String::from_utf8(before.0).expect("text") };
        replaced.set(value).await;
        replaced
    }

    async fn set(&self, value: &str) {
        let data = BTreeMap::from([(self.key, value)]);
        self.api.patch(self.name, &PatchParams::default(), &Patch::Merge(json!({ "stringData": data }))).await.expect(self.name);
    }

    pub(super) async fn restore(self) {
        self.set(&self.before).await;
    }
}

/// A call of the forge's API as its administrator.
pub(crate) async fn forge(method: Method, path: &str, body: Option<Value>) -> Value {
    forge_as("FORGE_TOKEN_FILE", method, path, body).await.unwrap_or_else(|said| panic!("{said}"))
}

/// The same with the token in the file that a variable names, and with what the forge
/// says where it refuses.
pub(crate) async fn forge_as(token: &str, method: Method, path: &str, body: Option<Value>) -> Result<Value, String> {
    let url = format!("{}/api/v1{path}", variable("FORGE_URL").trim_end_matches('/'));
    let mut request = reqwest::Client::new().request(method, &url).header(header::AUTHORIZATION, format!("token {}", file_at(token)));
    if let Some(body) = body {
        request = request.json(&body);
    }
    let response = request.send().await.expect("the forge");
    let status = response.status();
    let text = response.text().await.expect("the forge's answer");
    if !status.is_success() {
        return Err(format!("{url}: {status} {text}"));
    }
    Ok(if text.is_empty() { Value::Null } else { serde_json::from_str(&text).expect("JSON") })
}

/// Kills one of the bed's processes as a crash would.
pub(super) fn kill(part: &str) {
    let line = testbed("status")
        .lines()
        .find(|l| l.split_whitespace().next() == Some(part))
        .unwrap_or_else(|| panic!("no part {part}"))
        .to_owned();
    let pid: u32 = line.split_whitespace().find_map(|w| w.parse().ok()).unwrap_or_else(|| panic!("no pid in {line:?}"));
    run(Command::new("kill").args(["-9", &pid.to_string()]));
}

/// Mends whatever was broken.
pub(super) fn heal() {
    testbed("up");
}
