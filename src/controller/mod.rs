//! The Kubernetes shell: the only place that watches and writes objects. It
//! decides nothing (that is `decide`) and speaks to no other server itself (that
//! is `ports`). Read `driver.rs` next: the one pass every kind goes through.

pub mod apply;
pub mod context;
pub mod deliveries;
pub mod driver;
pub mod factory;
pub mod health;
pub mod secrets;
pub mod status;
pub mod webhook;

use std::sync::Arc;

use anyhow::{Context as _, bail};
use futures::{FutureExt, StreamExt, future::Shared};
use kube::{
    Api, Client, ResourceExt,
    api::ListParams,
    core::DeserializeGuard,
    runtime::{Controller, PredicateConfig, WatchStreamExt, controller, predicates, reflector, reflector::ObjectRef, watcher},
};
use tokio::{net::TcpListener, sync::mpsc};
use tokio_stream::wrappers::ReceiverStream;

use crate::{api::factory::Factory, config::ControllerConfig, telemetry};
use context::Context;
use driver::pass;

/// Objects of a kind worked on at a time.
const CONCURRENCY: u16 = 8;
/// Pokes that may wait; a poke that finds the queue full is dropped, since the
/// resync does its work later.
const POKES: usize = 256;

/// Runs until SIGTERM or SIGINT.
pub async fn run(config: ControllerConfig) -> anyhow::Result<()> {
    let client = Client::try_default().await.context("no way to the API server: neither a kubeconfig nor a service account")?;
    require_crds(&client, &config.namespace).await?;

    let health = TcpListener::bind(config.health_listen).await.with_context(|| format!("health address {}", config.health_listen))?;
    let webhook = TcpListener::bind(config.webhook_listen).await.with_context(|| format!("webhook address {}", config.webhook_listen))?;

    let shutdown = shutdown_signal().boxed().shared();
    let (pokes, poked) = mpsc::channel(POKES);
    let cx = Arc::new(Context::new(client.clone(), &config, pokes));

    let factories = factories(client, &config, cx.clone(), poked, shutdown.clone());
    tracing::info!(namespace = %config.namespace, version = env!("CARGO_PKG_VERSION"), "controller started");
    let (health, webhook, ()) = futures::join!(
        health::serve(health, cx.clone(), shutdown.clone()),
        webhook::serve(webhook, cx.clone(), shutdown.clone()),
        factories,
    );
    health.context("health server")?;
    webhook.context("webhook server")?;
    tracing::info!("controller stopped");
    Ok(())
}

/// One Controller for Factories: a change of the spec, a poke or the resync
/// starts a pass. Status writes don't, or each would start the next.
async fn factories(
    client: Client,
    config: &ControllerConfig,
    cx: Arc<Context>,
    poked: mpsc::Receiver<ObjectRef<Factory>>,
    shutdown: Shared<impl Future<Output = ()> + Send + 'static>,
) {
    let api: Api<DeserializeGuard<Factory>> = Api::namespaced(client, &config.namespace);
    let (reader, writer) = reflector::store();
    let ready = reader.clone();
    let cx_ready = cx.clone();
    let objects = watcher(api, watcher::Config::default())
        .default_backoff()
        .reflect(writer)
        .applied_objects()
        .predicate_filter(predicates::generation, PredicateConfig::default());
    let poked = ReceiverStream::new(poked)
        .map(|factory: ObjectRef<Factory>| ObjectRef::new(&factory.name).within(factory.namespace.as_deref().unwrap_or_default()));
    let controller = Controller::for_stream(objects, reader)
        .with_config(controller::Config::default().concurrency(CONCURRENCY))
        .reconcile_on(poked)
        .graceful_shutdown_on(shutdown)
        .run(pass::<Factory>, driver::on_error::<Factory>, cx)
        .for_each(|result| async {
            match result {
                Ok((object, _)) => tracing::debug!(kind = "Factory", name = %object.name, "pass done"),
                // A poke for an object that is gone, or a watch that will resume.
                Err(error) => tracing::debug!(error = telemetry::chain(&error), "no pass"),
            }
        });
    let note_ready = async move {
        if ready.wait_until_ready().await.is_ok() {
            cx_ready.set_ready();
        }
    };
    futures::join!(controller, note_ready);
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

async fn shutdown_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = match signal(SignalKind::terminate()) {
        Ok(stream) => stream,
        Err(error) => {
            tracing::error!(%error, "no SIGTERM handler; only SIGINT stops this process");
            return tokio::signal::ctrl_c().await.unwrap_or_default();
        }
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}
