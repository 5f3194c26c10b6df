//! Takes the forge's deliveries: signature first, then a poke. A delivery's
//! content is not looked at; the pass it starts asks the forge itself, so that a
//! lost or forged one costs time only.

use std::{io, sync::Arc};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, State},
    http::{HeaderMap, StatusCode},
    routing::post,
};
use kube::runtime::reflector::ObjectRef;
use tokio::net::TcpListener;

use super::{context::Context, deliveries::Verdict};
use crate::telemetry::DeliveryLabel;

/// Largest delivery in bytes; Gitea's push events list 30 commits at most.
const BODY_LIMIT: usize = 1024 * 1024;
/// HMAC-SHA256 of the body; Gitea sends GitHub's header too.
const SIGNATURE: &str = "x-hub-signature-256";

/// Serves until `shutdown`.
pub async fn serve(listener: TcpListener, cx: Arc<Context>, shutdown: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
    axum::serve(listener, router(cx)).with_graceful_shutdown(shutdown).await
}

/// `POST /webhook/NAMESPACE/FACTORY`.
pub fn router(cx: Arc<Context>) -> Router {
    Router::new().route("/webhook/{namespace}/{factory}", post(deliver)).layer(DefaultBodyLimit::max(BODY_LIMIT)).with_state(cx)
}

async fn deliver(
    State(cx): State<Arc<Context>>,
    Path((namespace, factory)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let signature = headers.get(SIGNATURE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let verdict = cx.deliveries.deliver(&namespace, &factory, &body, signature, cx.clock.now());
    let (label, status) = match verdict {
        Verdict::Accepted => ("accepted", StatusCode::ACCEPTED),
        Verdict::BadSignature => ("bad_signature", StatusCode::UNAUTHORIZED),
        // The same answer: nobody unsigned learns which Factories there are.
        Verdict::UnknownFactory => ("unknown_factory", StatusCode::UNAUTHORIZED),
    };
    cx.metrics.deliveries.get_or_create(&DeliveryLabel { result: label }).inc();
    if verdict == Verdict::Accepted {
        cx.poke(ObjectRef::new(&factory).within(&namespace));
    }
    status
}
