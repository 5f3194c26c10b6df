//! Takes the forge's deliveries: signature first, then a poke. Of a delivery's
//! content only the branch is looked at that it is about; the pass it starts asks
//! the forge itself, so that a lost or forged one costs time only.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    routing::post,
};
use kube::runtime::reflector::ObjectRef;
use serde::Deserialize;
use tokio::net::TcpListener;

use super::{
    context::{Context, Moved},
    deliveries::{self, Sent, Verdict},
    server,
};
use crate::telemetry::DeliveryLabel;

/// Largest delivery in bytes; Gitea's push events list 30 commits at most.
const BODY_LIMIT: usize = 1024 * 1024;
/// Longest wait for a delivery's body, from its head on.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);
/// HMAC-SHA256 of the body; Gitea sends GitHub's header too.
const SIGNATURE: &str = "x-hub-signature-256";

/// What a delivery is called, by Gitea and GitHub; the same where both are sent.
const IDS: [&str; 2] = ["x-gitea-delivery", "x-github-delivery"];

/// Serves until `shutdown`.
pub async fn serve(listener: TcpListener, cx: Arc<Context>, shutdown: impl Future<Output = ()> + Send + 'static) {
    server::serve(listener, router(cx), shutdown).await;
}

/// `POST /webhook/NAMESPACE/FACTORY`.
pub fn router(cx: Arc<Context>) -> Router {
    Router::new().route("/webhook/{namespace}/{factory}", post(deliver)).with_state(cx)
}

async fn deliver(
    State(cx): State<Arc<Context>>,
    Path((namespace, factory)): Path<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> StatusCode {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let signature = text(SIGNATURE).unwrap_or_default();
    // Who does not even claim to have signed need not be listened to.
    let body = if deliveries::is_signature(signature) {
        match tokio::time::timeout(BODY_TIMEOUT, to_bytes(body, BODY_LIMIT)).await {
            Ok(Ok(body)) => body,
            Ok(Err(_)) => return StatusCode::PAYLOAD_TOO_LARGE,
            Err(_) => return StatusCode::REQUEST_TIMEOUT,
        }
    } else {
        Bytes::new()
    };
    let sent = Sent { id: IDS.into_iter().find_map(text), body: &body, signature };
    let verdict = cx.deliveries.deliver(&namespace, &factory, &sent, cx.clock.now());
    let (label, status) = match verdict {
        Verdict::Accepted => ("accepted", StatusCode::ACCEPTED),
        // To the forge it arrived, as the first one did.
        Verdict::Duplicate => ("duplicate", StatusCode::ACCEPTED),
        Verdict::BadSignature => ("bad_signature", StatusCode::UNAUTHORIZED),
        // The same answer: nobody unsigned learns which Factories there are.
        Verdict::UnknownFactory => ("unknown_factory", StatusCode::UNAUTHORIZED),
    };
    cx.metrics.deliveries.get_or_create(&DeliveryLabel { result: label }).inc();
    if verdict == Verdict::Accepted {
        cx.poke(ObjectRef::new(&factory).within(&namespace));
        if let Some(branch) = branch(&body) {
            cx.moved(Moved { namespace, factory, branch });
        }
    }
    status
}

/// The branch that was pushed to, or that a pull request comes from.
fn branch(body: &[u8]) -> Option<String> {
    let delivery: Delivery = serde_json::from_slice(body).ok()?;
    let pushed = delivery.pushed.as_deref().and_then(|name| name.strip_prefix("refs/heads/")).map(String::from);
    pushed.or_else(|| Some(delivery.pull_request?.head.branch))
}

#[derive(Deserialize)]
struct Delivery {
    #[serde(rename = "ref")]
    pushed: Option<String>,
    pull_request: Option<PullRequest>,
}

#[derive(Deserialize)]
struct PullRequest {
    head: Head,
}

#[derive(Deserialize)]
struct Head {
    #[serde(rename = "ref")]
    branch: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_names_the_branch_it_is_about() {
        for (body, expected) in [
            (r#"{"ref":"refs/heads/agent/notes-1","before":"0"}"#, Some("agent/notes-1")),
            (r#"{"action":"labeled","pull_request":{"number":3,"head":{"ref":"agent/notes-1","sha":"0"}}}"#, Some("agent/notes-1")),
            (r#"{"ref":"refs/tags/v1"}"#, None),
            (r#"{"action":"created"}"#, None),
            (r#"{"ref":7}"#, None),
            ("", None),
        ] {
            assert_eq!(branch(body.as_bytes()).as_deref(), expected, "{body}");
        }
    }
}
