//! What all scenarios share: the client, the environment, and waiting.

use std::{
    env,
    fmt::Debug,
    fs,
    path::PathBuf,
    process::Command,
    sync::Once,
    time::{Duration, Instant},
};

use flywheel::{
    prim,
    scaffold::{self, File, Options},
};
use futures::TryStreamExt;
use kube::{
    Api, Client, ResourceExt,
    api::{DynamicObject, Patch, PatchParams},
    core::GroupVersionKind,
    discovery::{Discovery, Scope},
    runtime::{WatchStreamExt, watcher},
};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Longest wait for anything that should happen by itself.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// The same for what stands in a queue, as the forge's workflows do.
pub const LONG_PATIENCE: Duration = Duration::from_secs(240);

/// A client for the test bed's API server.
pub async fn client() -> Client {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(flywheel::telemetry::install_crypto_provider);
    Client::try_default().await.expect("no API server: run these by `make test-control-plane` or `make test-e2e`")
}

/// A variable that `make env` prints.
#[expect(clippy::disallowed_methods, reason = "the test bed tells its addresses through the environment")]
pub fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run these by `make test-e2e`, on the full test bed (CLUSTER=full)"))
}

/// A variable that whoever runs the tests may set.
#[expect(clippy::disallowed_methods, reason = "tests take their settings from the environment")]
pub fn setting(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// The content of a file that a variable names.
pub fn file_at(name: &str) -> String {
    let path = variable(name);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}")).trim().to_owned()
}

/// The checkout.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The test bed's own program.
pub fn testbed_path() -> PathBuf {
    PathBuf::from(variable("FLYWHEEL_CACHE")).join("bin/testbed")
}

/// Runs the test bed's own program.
pub fn testbed(command: &str) -> String {
    run(Command::new(testbed_path()).arg(command))
}

/// Runs a program that must succeed, and returns what it printed.
pub fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{command:?}: {}\n{stdout}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    stdout
}

/// The documents of a YAML text.
pub fn documents(yaml: &str) -> Vec<DynamicObject> {
    serde_saphyr::from_multiple(yaml).expect("YAML of Kubernetes objects")
}

/// The package that the scaffolder makes of a document.
pub fn package(document: Value) -> Vec<File> {
    let document = prim::from_value(document).expect("document");
    let options = Options::at("$0.01".parse().expect("price"));
    scaffold::manifest(&document, &options).expect("manifest").files
}

/// Applies objects of any kind, server-side, in their order.
pub async fn apply(client: &Client, objects: &[DynamicObject], dry_run: bool) -> Result<(), kube::Error> {
    let discovery = Discovery::new(client.clone()).run().await?;
    for object in objects {
        apply_one(client, &discovery, object, dry_run).await?;
    }
    Ok(())
}

async fn apply_one(client: &Client, discovery: &Discovery, object: &DynamicObject, dry_run: bool) -> Result<(), kube::Error> {
    let types = object.types.as_ref().expect("apiVersion and kind");
    let kind = GroupVersionKind::try_from(types).expect("apiVersion and kind");
    let (resource, capabilities) = discovery.resolve_gvk(&kind).unwrap_or_else(|| panic!("the API server does not know {kind:?}"));
    let api: Api<DynamicObject> = match capabilities.scope {
        Scope::Cluster => Api::all_with(client.clone(), &resource),
        Scope::Namespaced => Api::namespaced_with(client.clone(), object.namespace().as_deref().unwrap_or("default"), &resource),
    };
    let mut params = PatchParams::apply("scenarios").force();
    params.dry_run = dry_run;
    api.patch(&object.name_any(), &params, &Patch::Apply(object)).await.map(drop)
}

/// Waits until an object is as it should be, by watching it.
pub async fn until<K>(api: Api<K>, name: &str, what: &str, good: impl Fn(&K) -> bool) -> K
where
    K: kube::Resource + Clone + Debug + DeserializeOwned + Send + 'static,
    K::DynamicType: Default,
{
    until_within(PATIENCE, api, name, what, good).await
}

/// The same, for what may take longer.
pub async fn until_within<K>(patience: Duration, api: Api<K>, name: &str, what: &str, good: impl Fn(&K) -> bool) -> K
where
    K: kube::Resource + Clone + Debug + DeserializeOwned + Send + 'static,
    K::DynamicType: Default,
{
    let mut last = None;
    let wait = async {
        let mut objects = std::pin::pin!(
            watcher(api, watcher::Config::default().fields(&format!("metadata.name={name}"))).default_backoff().applied_objects()
        );
        while let Some(object) = objects.try_next().await.expect("watch") {
            if good(&object) {
                return object;
            }
            last = Some(object);
        }
        panic!("the watch of {name} ended");
    };
    match tokio::time::timeout(patience, wait).await {
        Ok(object) => object,
        Err(_) => panic!("{name}: not {what} within {} s; last seen: {last:#?}", patience.as_secs()),
    }
}

/// Looks again and again, where there is nothing to watch.
pub async fn polled<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    let mut looks = tokio::time::interval(Duration::from_millis(300));
    loop {
        looks.tick().await;
        if let Some(found) = look().await {
            return found;
        }
        assert!(began.elapsed() < LONG_PATIENCE, "{what}: not within {} s", LONG_PATIENCE.as_secs());
    }
}
