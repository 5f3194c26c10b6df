//! Health and metrics of the process, the primitives' phases for whoever runs gates
//! beside it, and the schemas of what people write. One that waits for the Lease is
//! healthy, and not ready.

use std::sync::{Arc, LazyLock};

use axum::{Json, Router, extract::State, http::StatusCode, response::IntoResponse, routing::get};
use serde_json::Value;
use tokio::net::TcpListener;

use super::{context::Context, server};
use crate::{prim, suite, telemetry::chain};

/// Content type of OpenMetrics text.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Content type of a JSON Schema.
const SCHEMA: &str = "application/schema+json";

static DOCUMENT: LazyLock<String> = LazyLock::new(|| text(&prim::schema()));
static PLAN: LazyLock<String> = LazyLock::new(|| text(&suite::schema()));

/// Serves until `shutdown`.
pub async fn serve(listener: TcpListener, cx: Arc<Context>, shutdown: impl Future<Output = ()> + Send + 'static) {
    server::serve(listener, router(cx), shutdown).await;
}

/// `/livez`: the process answers. `/readyz`: its caches are filled. `/metrics`.
/// `/phases`: the phase of each primitive, by its id and by its service's name.
/// `/schemas/…`: of documents and of test plans, at the paths of their `$id`s.
pub fn router(cx: Arc<Context>) -> Router {
    Router::new()
        .route("/livez", get(|| async { "ok" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/phases", get(phases))
        .route("/schemas/prim.v1alpha1.json", get(|| async { ([("content-type", SCHEMA)], DOCUMENT.as_str()) }))
        .route("/schemas/plan.v1alpha1.json", get(|| async { ([("content-type", SCHEMA)], PLAN.as_str()) }))
        .with_state(cx)
}

fn text(schema: &Value) -> String {
    format!("{schema:#}\n")
}

async fn ready(State(cx): State<Arc<Context>>) -> impl IntoResponse {
    if cx.is_ready() {
        (StatusCode::OK, "ok")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "another controller leads, or caches are being filled")
    }
}

async fn phases(State(cx): State<Arc<Context>>) -> impl IntoResponse {
    match cx.phases.of(&cx).await {
        Ok(phases) => Json(phases).into_response(),
        Err(error) => {
            tracing::warn!(error = chain(&error), "phases not told");
            (StatusCode::SERVICE_UNAVAILABLE, "the API server does not answer: ask again").into_response()
        }
    }
}

async fn metrics(State(cx): State<Arc<Context>>) -> impl IntoResponse {
    match cx.metrics.encode() {
        Ok(text) => ([("content-type", OPENMETRICS)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
