//! A server that makes machines for clean rooms, on loopback, as `docs/rooms.md` asks
//! for: what it does is the fake's, what it says is here.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, Request, State},
    http::{HeaderMap, StatusCode},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use flywheel::ports::{
    error::{Class, PortError},
    provisioner::{self, Order, Provisioner, Stopped},
};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::world::rooms::Rooms;

pub const KEY: &str = "key-of-the-provisioner";

/// What is ordered, as it is sent.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Ordered {
    id: String,
    image: String,
    primitive: String,
    plan: String,
    cli: Option<String>,
    wallet: Option<String>,
    model_key: Option<String>,
    seconds: u32,
    expires: Timestamp,
    notes: BTreeMap<String, String>,
}

/// Serves the rooms, and says where.
pub async fn serve(rooms: Arc<Rooms>) -> String {
    flywheel::telemetry::install_crypto_provider();
    let router = Router::new()
        .route("/v1/rooms", get(list).post(make))
        .route("/v1/rooms/{id}", get(look).patch(keep).delete(remove))
        .route("/v1/rooms/{id}/report", get(report))
        .route("/v1/rooms/{id}/stop", post(stop))
        .layer(middleware::from_fn(known))
        .with_state(rooms);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

async fn known(request: Request, next: Next) -> Response {
    let key = request.headers().get("authorization").and_then(|value| value.to_str().ok());
    if key == Some(&format!("Bearer {KEY}")) { next.run(request).await } else { StatusCode::UNAUTHORIZED.into_response() }
}

fn failed(error: &PortError) -> Response {
    let status = match error.class {
        Class::Conflict => StatusCode::CONFLICT,
        Class::Invalid => StatusCode::NOT_FOUND,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, Json(json!({ "error": error.message }))).into_response()
}

fn done(result: Result<(), PortError>) -> Response {
    result.map_or_else(|error| failed(&error), |()| StatusCode::NO_CONTENT.into_response())
}

async fn make(State(rooms): State<Arc<Rooms>>, headers: HeaderMap, body: Bytes) -> Response {
    let Ok(asked) = serde_json::from_slice::<Ordered>(&body) else { return StatusCode::BAD_REQUEST.into_response() };
    if headers.get("idempotency-key").and_then(|key| key.to_str().ok()) != Some(&asked.id) {
        return StatusCode::BAD_REQUEST.into_response();
    }
    let order = Order {
        id: asked.id,
        image: asked.image,
        primitive: asked.primitive,
        plan: asked.plan,
        cli: asked.cli,
        wallet: asked.wallet.map(Into::into),
        model_key: asked.model_key.map(Into::into),
        seconds: asked.seconds,
        expires: asked.expires,
        notes: asked.notes,
    };
    done(rooms.make(&order).await)
}

async fn look(State(rooms): State<Arc<Rooms>>, Path(id): Path<String>) -> Response {
    match rooms.look(&id).await {
        Err(error) => failed(&error),
        Ok(provisioner::State::Gone) => StatusCode::NOT_FOUND.into_response(),
        Ok(provisioner::State::Going(message)) => Json(json!({ "state": "going", "message": message })).into_response(),
        Ok(provisioner::State::Ended(words)) => Json(json!({ "state": "ended", "lastWords": words })).into_response(),
        Ok(provisioner::State::Broken(message)) => Json(json!({ "state": "broken", "message": message })).into_response(),
    }
}

async fn report(State(rooms): State<Arc<Rooms>>, Path(id): Path<String>) -> Response {
    rooms.report(&id).await.map_or_else(|error| failed(&error), IntoResponse::into_response)
}

async fn keep(State(rooms): State<Arc<Rooms>>, Path(id): Path<String>, Json(asked): Json<Value>) -> Response {
    for (name, text) in asked["notes"].as_object().into_iter().flatten() {
        let noted = rooms.note(&id, name, text.as_str().expect("a text")).await;
        if asked["expires"].is_null() || noted.is_err() {
            return done(noted);
        }
    }
    let Some(until) = asked["expires"].as_str().and_then(|text| text.parse().ok()) else { return StatusCode::BAD_REQUEST.into_response() };
    done(rooms.keep(&id, until).await)
}

async fn stop(State(rooms): State<Arc<Rooms>>, Path(id): Path<String>) -> Response {
    match rooms.stop(&id).await {
        Err(error) => failed(&error),
        Ok(Stopped::Said(words)) => Json(json!({ "lastWords": words })).into_response(),
        Ok(Stopped::Never) => Json(json!({ "began": false })).into_response(),
        Ok(Stopped::Unheard) => StatusCode::NO_CONTENT.into_response(),
    }
}

async fn remove(State(rooms): State<Arc<Rooms>>, Path(id): Path<String>) -> Response {
    done(rooms.remove(&id).await)
}

async fn list(State(rooms): State<Arc<Rooms>>) -> Response {
    match rooms.list().await {
        Err(error) => failed(&error),
        Ok(all) => {
            let rooms: Vec<_> = all.iter().map(|room| json!({ "id": room.id, "expires": room.expires, "notes": room.notes })).collect();
            Json(json!({ "rooms": rooms })).into_response()
        }
    }
}
