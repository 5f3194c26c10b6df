//! One `Controller` per kind, all of the same shape.

use std::sync::Arc;

use futures::{FutureExt, Stream, StreamExt, TryStreamExt, future::Shared};
use kube::{
    Api, ResourceExt,
    core::DeserializeGuard,
    runtime::{Controller, PredicateConfig, WatchStreamExt, controller, predicates, reflector, reflector::ObjectRef, watcher},
};

use super::{
    context::Context,
    driver::{self, Kind, pass},
};
use crate::telemetry;

/// Objects of a kind worked on at a time.
const CONCURRENCY: u16 = 8;

/// Works on the objects of one kind until `shutdown`. A change of the spec, a poke
/// or the resync starts a pass; status writes don't, or each would start the next.
pub async fn run<K: Kind>(
    cx: Arc<Context>,
    namespace: &str,
    poked: impl Stream<Item = ObjectRef<K>> + Send + 'static,
    shutdown: Shared<impl Future<Output = ()> + Send + 'static>,
) {
    let api: Api<DeserializeGuard<K>> = Api::namespaced(cx.client.clone(), namespace);
    let (reader, writer) = reflector::store();
    let filled = reader.clone();
    let deleted = cx.clone();
    let objects = watcher(api, watcher::Config::default())
        .default_backoff()
        .inspect_ok(move |event| {
            if let watcher::Event::Delete(object) = event {
                K::gone(&object.namespace().unwrap_or_default(), &object.name_any(), &deleted);
            }
        })
        .modify(|guard| {
            if let Ok(object) = &mut guard.0 {
                object.shed();
            }
        })
        .reflect(writer)
        .applied_objects()
        .predicate_filter(predicates::generation, PredicateConfig::default());
    let poked = poked.map(|object| ObjectRef::new(&object.name).within(object.namespace.as_deref().unwrap_or_default()));
    let passes = Controller::for_stream(objects, reader)
        .with_config(controller::Config::default().concurrency(CONCURRENCY))
        .reconcile_on(poked)
        .graceful_shutdown_on(shutdown)
        .run(pass::<K>, driver::on_error::<K>, cx.clone())
        .for_each(|result| async {
            match result {
                Ok((object, _)) => tracing::debug!(kind = K::NAME, name = %object.name, "pass done"),
                // A poke for an object that went while the watch was interrupted.
                Err(controller::Error::ObjectNotFound(object)) => {
                    K::gone(object.namespace.as_deref().unwrap_or_default(), &object.name, &cx)
                }
                // A failed pass, which is told already, or a watch that will resume.
                Err(error) => tracing::debug!(kind = K::NAME, error = telemetry::chain(&error), "no pass"),
            }
        });
    let note_filled = async {
        if filled.wait_until_ready().await.is_ok() {
            cx.note_filled(K::NAME);
        }
    };
    futures::join!(passes, note_filled.boxed());
}
