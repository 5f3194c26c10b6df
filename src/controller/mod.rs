//! The Kubernetes shell: the only place that watches and writes objects. It
//! decides nothing (that is `decide`) and speaks to no other server itself (that
//! is `ports`). Read `driver.rs` next: the one pass every kind goes through.

pub mod apply;
pub mod code;
pub mod connections;
pub mod context;
pub mod deliveries;
pub mod driver;
pub mod environment;
pub mod factory;
pub mod failpoints;
pub mod gate_plan;
pub mod gate_run;
pub mod health;
pub mod leadership;
pub mod limits;
pub mod objects;
pub mod primitive;
pub mod secrets;
pub mod server;
pub mod status;
pub mod watch;
pub mod webhook;
pub mod workload;

use std::sync::Arc;

use anyhow::{Context as _, bail};
use futures::{FutureExt, Stream, StreamExt};
use k8s_openapi::api::batch::v1::Job;
use kube::{
    Api, Client, ResourceExt,
    api::ListParams,
    core::DeserializeGuard,
    runtime::{WatchStreamExt, reflector::ObjectRef, watcher},
};
use tokio::{net::TcpListener, sync::mpsc};
use tokio_stream::wrappers::ReceiverStream;

use crate::{
    api::{factory::Factory, gate_run::GateRun},
    config::ControllerConfig,
    telemetry,
};
use context::Context;

/// Pokes that may wait; a poke that finds the queue full is dropped, since the
/// resync does its work later.
const POKES: usize = 256;

/// Runs until SIGTERM or SIGINT.
pub async fn run(config: ControllerConfig) -> anyhow::Result<()> {
    // First of all: as process 1 of a container it would else ignore SIGTERM.
    let shutdown = shutdown_signal().context("signal handlers")?.boxed().shared();
    let client = Client::try_default().await.context("no way to the API server: neither a kubeconfig nor a service account")?;
    tokio::select! {
        known = require_crds(&client, &config.namespace) => known?,
        () = shutdown.clone() => return Ok(()),
    }

    let health = TcpListener::bind(config.health_listen).await.with_context(|| format!("health address {}", config.health_listen))?;
    let webhook = TcpListener::bind(config.webhook_listen).await.with_context(|| format!("webhook address {}", config.webhook_listen))?;

    let (pokes, poked) = mpsc::channel(POKES);
    let cx = Arc::new(Context::new(client.clone(), &config, pokes));

    let gates = changed_gates(&client, &config.gates_namespace);
    let factories = watch::run::<Factory>(cx.clone(), &config.namespace, ReceiverStream::new(poked), shutdown.clone());
    let gate_runs = watch::run::<GateRun>(cx.clone(), &config.namespace, gates, shutdown.clone());
    tracing::info!(namespace = %config.namespace, version = env!("CARGO_PKG_VERSION"), "controller started");
    futures::join!(
        health::serve(health, cx.clone(), shutdown.clone()),
        webhook::serve(webhook, cx.clone(), shutdown.clone()),
        factories,
        gate_runs,
    );
    tracing::info!("controller stopped");
    Ok(())
}

/// GateRuns whose Jobs changed. A Job is in another namespace than its GateRun,
/// so that no owner reference leads back; its labels do.
fn changed_gates(client: &Client, gates: &str) -> impl Stream<Item = ObjectRef<GateRun>> + use<> {
    let jobs: Api<Job> = Api::namespaced(client.clone(), gates);
    let ours = watcher::Config::default().labels(gate_run::NAME_LABEL);
    watcher(jobs, ours).default_backoff().touched_objects().filter_map(|job| async move {
        let job = job.inspect_err(|error| tracing::debug!(error = telemetry::chain(error), "watch of gate Jobs")).ok()?;
        let label = |name: &str| job.labels().get(name).cloned();
        Some(ObjectRef::new(&label(gate_run::NAME_LABEL)?).within(&label(gate_run::NAMESPACE_LABEL)?))
    })
}

/// Without its CRDs the controller would watch for ever in vain.
async fn require_crds(client: &Client, namespace: &str) -> anyhow::Result<()> {
    let api: Api<DeserializeGuard<Factory>> = Api::namespaced(client.clone(), namespace);
    match api.list(&ListParams::default().limit(1)).await {
        Ok(list) => {
            for bad in list.iter().filter(|f| f.0.is_err()) {
                tracing::warn!(name = %bad.name_any(), "a stored Factory does not fit its schema");
            }
            Ok(())
        }
        Err(kube::Error::Api(status)) if status.is_not_found() => {
            bail!(
                "the API server does not know the kind Factory of flywheel.prim.sh/v1alpha1: apply the CRDs first (kubectl apply --server-side -f crds/)"
            )
        }
        Err(kube::Error::Api(status)) if status.is_forbidden() => {
            bail!("may not list Factories in namespace {namespace}: {}", status.message)
        }
        Err(error) => Err(error).context("API server"),
    }
}

/// Ends with the first SIGTERM or SIGINT from now on.
fn shutdown_signal() -> std::io::Result<impl Future<Output = ()> + Send + 'static> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
