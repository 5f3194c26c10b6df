//! The Kubernetes shell: the only place that watches and writes objects. It
//! decides nothing (that is `decide`) and speaks to no other server itself (that
//! is `ports`). Read `driver.rs` next: the one pass every kind goes through.

pub mod agent_pr;
pub mod apply;
pub mod catalogue;
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
pub mod ideas;
pub mod leadership;
pub mod lease;
pub mod limits;
pub mod manifest;
pub mod objects;
pub mod packages;
pub mod phases;
pub mod primitive;
pub mod proposal;
pub mod scanner;
pub mod secrets;
pub mod server;
pub mod status;
pub mod triggers;
pub mod watch;
pub mod webhook;
pub mod workload;

use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail};
use futures::{FutureExt, StreamExt, stream_select};
use kube::{Api, Client, ResourceExt, api::ListParams, core::DeserializeGuard};
use tokio::{net::TcpListener, sync::mpsc};
use tokio_stream::wrappers::ReceiverStream;

use crate::{
    api::{agent_pr::AgentPR, factory::Factory, gate_run::GateRun, primitive::Primitive},
    config::ControllerConfig,
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
    let cx = Context::new(client.clone(), &config, pokes).map_err(|problem| anyhow!(problem).context("settings"))?;
    let cx = Arc::new(cx);

    let namespace = config.namespace.as_str();
    let factory_moved = stream_select!(ReceiverStream::new(poked), triggers::owners::<AgentPR, Factory>(&client, namespace).boxed());
    let factories = watch::run::<Factory>(cx.clone(), namespace, factory_moved, shutdown.clone());
    let gate_moved =
        stream_select!(triggers::gate_jobs(&client, &config.gates_namespace).boxed(), triggers::turn_moved(&client, namespace).boxed(),);
    let gate_runs = watch::run::<GateRun>(cx.clone(), namespace, gate_moved, shutdown.clone());
    let change_moved = stream_select!(
        triggers::owners::<GateRun, AgentPR>(&client, namespace).boxed(),
        triggers::factories_moved::<AgentPR>(&client, namespace).boxed(),
        triggers::queue_moved(&client, namespace).boxed(),
        triggers::unpaused(&client, namespace).boxed(),
        triggers::delivered(&cx, namespace).boxed(),
    );
    let changes = watch::run::<AgentPR>(cx.clone(), namespace, change_moved, shutdown.clone());
    let primitive_moved = stream_select!(
        triggers::owners::<AgentPR, Primitive>(&client, namespace).boxed(),
        triggers::owners::<GateRun, Primitive>(&client, namespace).boxed(),
        triggers::factories_moved::<Primitive>(&client, namespace).boxed(),
        triggers::workloads(&client, &config.run_namespace).boxed(),
        triggers::answered(&cx).boxed(),
    );
    let primitives = watch::run::<Primitive>(cx.clone(), namespace, primitive_moved, shutdown.clone());
    let stopped = shutdown.clone();
    let asking = cx.clone();
    let kinds = async {
        // Who waits for a model does not hold up the end.
        let stop = async {
            stopped.await;
            asking.ideas.stop();
        };
        futures::join!(factories, gate_runs, changes, primitives, stop);
    };
    tracing::info!(namespace = %config.namespace, version = env!("CARGO_PKG_VERSION"), "controller started");
    // Who asks after its health is answered while it waits for its turn, too.
    let servers = async {
        futures::join!(health::serve(health, cx.clone(), shutdown.clone()), webhook::serve(webhook, cx.clone(), shutdown.clone()));
        anyhow::Ok(())
    };
    futures::try_join!(servers, in_turn(&config, &cx, shutdown.clone(), kinds))?;
    tracing::info!("controller stopped");
    Ok(())
}

/// Does `work` while no other controller does any.
async fn in_turn(
    config: &ControllerConfig,
    cx: &Arc<Context>,
    shutdown: impl Future<Output = ()>,
    work: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    if config.lease_namespace.is_empty() {
        tracing::warn!("no Lease is asked for (FLYWHEEL_LEASE_NAMESPACE): no other controller may run beside this one");
        work.await;
        return Ok(());
    }
    let identity = lease::identity(&config.host);
    let claimant = lease::Claimant::new(cx.client.clone(), &config.lease_namespace, identity, cx.clock.clone());
    lease::lead(claimant, cx.clone(), shutdown, work).await
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
