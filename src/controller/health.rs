//! Health and metrics of the process. One that waits for the Lease is healthy, and
//! not ready.

use std::sync::Arc;

use axum::{Router, extract::State, http::StatusCode, response::IntoResponse, routing::get};
use tokio::net::TcpListener;

use super::{context::Context, server};

/// Content type of OpenMetrics text.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Serves until `shutdown`.
pub async fn serve(listener: TcpListener, cx: Arc<Context>, shutdown: impl Future<Output = ()> + Send + 'static) {
    server::serve(listener, router(cx), shutdown).await;
}

/// `/livez`: the process answers. `/readyz`: its caches are filled. `/metrics`.
pub fn router(cx: Arc<Context>) -> Router {
    Router::new().route("/livez", get(|| async { "ok" })).route("/readyz", get(ready)).route("/metrics", get(metrics)).with_state(cx)
}

async fn ready(State(cx): State<Arc<Context>>) -> impl IntoResponse {
    if cx.is_ready() {
        (StatusCode::OK, "ok")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "another controller leads, or caches are being filled")
    }
}

async fn metrics(State(cx): State<Arc<Context>>) -> impl IntoResponse {
    match cx.metrics.encode() {
        Ok(text) => ([("content-type", OPENMETRICS)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
