//! An API server in memory, for the few requests that a pass makes: it hands out
//! Secrets, takes status patches and Events, remembers every request, and fails
//! on demand.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
};

use axum::http::{Method, Request, Response, StatusCode};
use k8s_openapi::api::core::v1::Secret;
use kube::{Client, ResourceExt, client::Body};
use serde_json::{Value, json};

/// Kinds of a workload's objects, of which a test stores those it needs.
const RUN: [&str; 7] = ["deployments", "replicasets", "services", "configmaps", "persistentvolumeclaims", "pods", "secrets"];

/// One request, as it came in.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Its method.
    pub method: Method,
    /// Its path.
    pub path: String,
    /// Its query.
    pub query: String,
    /// Its content type.
    pub content_type: String,
    /// Its body.
    pub body: String,
}

impl Seen {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }
}

#[derive(Default)]
struct State {
    secrets: HashMap<(String, String), Secret>,
    objects: HashMap<String, Value>,
    refusals: HashMap<String, StatusCode>,
    seen: Vec<Seen>,
}

/// The server; clones are the same one.
#[derive(Clone, Default)]
pub struct ApiServer(Arc<Mutex<State>>);

impl ApiServer {
    /// A client of it.
    pub fn client(&self) -> Client {
        let server = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let server = server.clone();
            async move { Ok::<_, Infallible>(server.answer(request).await) }
        });
        Client::new(service, "flywheel")
    }

    /// Stores a Secret.
    pub fn put(&self, secret: Secret) {
        let key = (secret.namespace().unwrap(), secret.name_any());
        self.with(|state| state.secrets.insert(key, secret));
    }

    /// Stores any object, by its path; a status patch goes into it.
    pub fn put_object(&self, path: &str, object: Value) {
        self.with(|state| state.objects.insert(path.into(), object));
    }

    /// Removes a Secret.
    pub fn remove(&self, namespace: &str, name: &str) {
        self.with(|state| state.secrets.remove(&(namespace.into(), name.into())).expect("no such Secret to remove"));
    }

    /// Answers every request whose path ends so with this code, from now on.
    pub fn refuse(&self, path_end: &str, code: StatusCode) {
        self.with(|state| state.refusals.insert(path_end.into(), code));
    }

    /// Ends all refusals.
    pub fn relent(&self) {
        self.with(|state| state.refusals.clear());
    }

    /// Requests since the last call of this.
    pub fn take(&self) -> Vec<Seen> {
        self.with(|state| std::mem::take(&mut state.seen))
    }

    fn with<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let (head, body) = request.into_parts();
        let seen = Seen {
            method: head.method,
            path: head.uri.path().into(),
            query: head.uri.query().unwrap_or_default().into(),
            content_type: head.headers.get("content-type").and_then(|v| v.to_str().ok()).unwrap_or_default().into(),
            body: String::from_utf8(body.collect_bytes().await.expect("a body").to_vec()).expect("a text body"),
        };
        let (code, answer) = self.with(|state| {
            state.seen.push(seen.clone());
            match state.refusals.iter().find(|(end, _)| seen.path.ends_with(end.as_str())) {
                Some((_, code)) => (*code, failure(*code)),
                None => state.serve(&seen),
            }
        });
        Response::builder()
            .status(code)
            .header("content-type", "application/json")
            .body(Body::from(answer.to_string().into_bytes()))
            .expect("a response")
    }
}

impl State {
    fn serve(&mut self, seen: &Seen) -> (StatusCode, Value) {
        let parts: Vec<_> = seen.path.trim_matches('/').split('/').collect();
        match (seen.method.as_str(), parts.as_slice()) {
            ("GET", ["api", "v1", "namespaces", namespace, "secrets", name]) => {
                match self.secrets.get(&((*namespace).to_owned(), (*name).to_owned())) {
                    Some(secret) => (StatusCode::OK, serde_json::to_value(secret).unwrap()),
                    None => (StatusCode::NOT_FOUND, failure(StatusCode::NOT_FOUND)),
                }
            }
            ("GET", ["api", "v1", "namespaces", _, kind] | ["apis", "apps", "v1", "namespaces", _, kind]) if RUN.contains(kind) => {
                (StatusCode::OK, self.list(seen))
            }
            ("GET", ["api", "v1", "namespaces", _, kind, _] | ["apis", "apps", "v1", "namespaces", _, kind, _]) if RUN.contains(kind) => {
                match self.objects.get(&seen.path) {
                    Some(object) => (StatusCode::OK, object.clone()),
                    None => (StatusCode::NOT_FOUND, failure(StatusCode::NOT_FOUND)),
                }
            }
            ("GET", ["apis", "flywheel.prim.sh", ..]) => match self.objects.get(&seen.path) {
                Some(object) => (StatusCode::OK, object.clone()),
                None => (StatusCode::NOT_FOUND, failure(StatusCode::NOT_FOUND)),
            },
            ("PATCH", ["apis", "flywheel.prim.sh", "v1alpha1", "namespaces", _, _, _, "status"]) => {
                if let Some(object) = self.objects.get_mut(seen.path.trim_end_matches("/status")) {
                    object["status"] = seen.json()["status"].clone();
                }
                (StatusCode::OK, seen.json())
            }
            ("POST", ["apis", "events.k8s.io", "v1", "namespaces", _, "events"]) => (StatusCode::CREATED, seen.json()),
            ("PATCH", ["apis", "events.k8s.io", "v1", "namespaces", _, "events", _]) => (StatusCode::OK, seen.json()),
            _ => panic!("the controller made a request that no test expects: {seen:?}"),
        }
    }
}

impl State {
    /// The objects of a collection that have the labels asked for.
    fn list(&self, seen: &Seen) -> Value {
        let query: HashMap<_, _> = url::form_urlencoded::parse(seen.query.as_bytes()).into_owned().collect();
        let selector = query.get("labelSelector").cloned().unwrap_or_default();
        let below =
            |path: &str| path.strip_prefix(&seen.path).and_then(|rest| rest.strip_prefix('/')).is_some_and(|name| !name.contains('/'));
        let objects = self.objects.iter().filter(|(path, object)| below(path) && has_labels(object, &selector));
        let mut found: Vec<_> = objects.map(|(path, object)| (path, object.clone())).collect();
        found.sort_by_key(|(path, _)| *path);
        let items: Vec<_> = found.into_iter().map(|(_, object)| object).collect();
        json!({ "apiVersion": "v1", "kind": "List", "metadata": {}, "items": items })
    }
}

/// Whether an object has every `key=value` of a selector.
fn has_labels(object: &Value, selector: &str) -> bool {
    selector.split(',').filter(|part| !part.is_empty()).all(|part| {
        let (key, value) = part.split_once('=').expect("a selector of equalities");
        object["metadata"]["labels"][key] == value
    })
}

/// What an API server says with an error code.
fn failure(code: StatusCode) -> Value {
    let reason = match code {
        StatusCode::NOT_FOUND => "NotFound",
        StatusCode::FORBIDDEN => "Forbidden",
        StatusCode::CONFLICT => "Conflict",
        StatusCode::UNPROCESSABLE_ENTITY => "Invalid",
        _ => "InternalError",
    };
    json!({
        "apiVersion": "v1", "kind": "Status", "status": "Failure",
        "reason": reason, "code": code.as_u16(), "message": format!("the test says {code}"),
    })
}
