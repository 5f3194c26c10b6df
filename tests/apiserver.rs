//! An API server in memory, for the few requests that a pass makes: it hands out
//! Secrets, makes and lists objects, takes status patches and Events, has Leases
//! with versions, remembers every request, and fails on demand.

use std::{
    collections::{BTreeMap, HashMap},
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
};

use axum::http::{Method, Request, Response, StatusCode};
use k8s_openapi::api::core::v1::Secret;
use kube::{Client, ResourceExt, client::Body};
use serde_json::{Value, json};

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

/// Which requests are refused, and with which words.
type Refuses = dyn Fn(&Seen) -> Option<(StatusCode, &'static str)> + Send;

#[derive(Default)]
struct State {
    secrets: HashMap<(String, String), Secret>,
    objects: BTreeMap<String, Value>,
    refusals: HashMap<String, StatusCode>,
    refuses: Option<Box<Refuses>>,
    logs: HashMap<String, String>,
    seen: Vec<Seen>,
    version: u64,
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

    /// An object, by its path.
    pub fn object(&self, path: &str) -> Option<Value> {
        self.with(|state| state.objects.get(path).cloned())
    }

    /// Every object of a collection.
    pub fn objects(&self, path: &str) -> Vec<Value> {
        let below = format!("{path}/");
        self.with(|state| state.objects.iter().filter(|(at, _)| at.starts_with(&below)).map(|(_, object)| object.clone()).collect())
    }

    /// Changes an object as somebody else would, or removes it.
    pub fn edit(&self, path: &str, edit: impl FnOnce(Value) -> Option<Value>) {
        self.with(|state| {
            let object = state.objects.remove(path).expect("no such object to edit");
            if let Some(object) = edit(object) {
                state.store(path, object);
            }
        });
    }

    /// Deletes an object as somebody with kubectl would.
    pub fn delete(&self, path: &str) {
        self.with(|state| state.delete(path));
    }

    /// What the containers of a pod printed, by the pod's path.
    pub fn log(&self, pod: &str, text: &str) {
        self.with(|state| state.logs.insert(format!("{pod}/log"), text.into()));
    }

    /// Removes a Secret.
    pub fn remove(&self, namespace: &str, name: &str) {
        self.with(|state| state.secrets.remove(&(namespace.into(), name.into())).expect("no such Secret to remove"));
    }

    /// Answers every request whose path ends so with this code, from now on.
    pub fn refuse(&self, path_end: &str, code: StatusCode) {
        self.with(|state| state.refusals.insert(path_end.into(), code));
    }

    /// Refuses some requests with these words, from now on.
    pub fn refuse_those(&self, which: impl Fn(&Seen) -> Option<(StatusCode, &'static str)> + Send + 'static) {
        self.with(|state| state.refuses = Some(Box::new(which)));
    }

    /// Ends all refusals.
    pub fn relent(&self) {
        self.with(|state| {
            state.refusals.clear();
            state.refuses = None;
        });
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
            if let Some((code, words)) = state.refuses.as_ref().and_then(|refuses| refuses(&seen)) {
                let mut answer = failure(code);
                answer["message"] = words.into();
                return (code, answer.to_string());
            }
            match (state.refusals.iter().find(|(end, _)| seen.path.ends_with(end.as_str())), state.logs.get(&seen.path)) {
                (Some((_, code)), _) => (*code, failure(*code).to_string()),
                (None, Some(log)) => (StatusCode::OK, limited(log, &seen.query)),
                (None, None) => {
                    let (code, answer) = state.serve(&seen);
                    (code, answer.to_string())
                }
            }
        });
        Response::builder()
            .status(code)
            .header("content-type", "application/json")
            .body(Body::from(answer.into_bytes()))
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
            ("PATCH", ["apis", "flywheel.prim.sh", "v1alpha1", "namespaces", _, _, _, "status"]) => {
                if let Some(object) = self.objects.get_mut(seen.path.trim_end_matches("/status")) {
                    match seen.content_type.as_str() {
                        "application/merge-patch+json" => merge(object, &seen.json()),
                        _ => object["status"] = seen.json()["status"].clone(),
                    }
                }
                (StatusCode::OK, seen.json())
            }
            ("POST", ["apis", "events.k8s.io", "v1", "namespaces", _, "events"]) => (StatusCode::CREATED, seen.json()),
            ("PATCH", ["apis", "events.k8s.io", "v1", "namespaces", _, "events", _]) => (StatusCode::OK, seen.json()),
            ("GET", [.., "pods", _, "log"]) => (StatusCode::NOT_FOUND, failure(StatusCode::NOT_FOUND)),
            (method, ["api", "v1", "namespaces"]) => self.collection(method, seen),
            (method, ["api", "v1", "namespaces", _]) => self.single(method, seen),
            (method, [.., "namespaces", _, _]) => self.collection(method, seen),
            (method, [.., "namespaces", _, _, _]) => self.single(method, seen),
            _ => panic!("the controller made a request that no test expects: {seen:?}"),
        }
    }

    /// All objects of a kind in a namespace.
    fn collection(&mut self, method: &str, seen: &Seen) -> (StatusCode, Value) {
        match method {
            "GET" => (StatusCode::OK, self.list(seen)),
            "POST" => {
                let mut object = seen.json();
                let name = object["metadata"]["name"].as_str().expect("a name").to_owned();
                let path = format!("{}/{name}", seen.path);
                if self.objects.contains_key(&path) {
                    return (StatusCode::CONFLICT, refusal("AlreadyExists", StatusCode::CONFLICT));
                }
                // No two objects are one, or of one second.
                let second = self.version;
                let made = format!("2027-01-15T{:02}:{:02}:{:02}Z", 8 + second / 3600, second / 60 % 60, second % 60);
                for (key, value) in [("uid", format!("uid-{name}-{second}")), ("creationTimestamp", made)] {
                    if object["metadata"][key].is_null() {
                        object["metadata"][key] = value.into();
                    }
                }
                (StatusCode::CREATED, self.store(&path, object))
            }
            _ => panic!("the controller made a request that no test expects: {seen:?}"),
        }
    }

    /// One object.
    fn single(&mut self, method: &str, seen: &Seen) -> (StatusCode, Value) {
        let there = self.objects.get(&seen.path).cloned();
        let apply = seen.content_type == "application/apply-patch+yaml";
        let Some(mut object) = there else {
            // Server-side apply makes what is not there.
            return match method {
                "PATCH" if apply => (StatusCode::CREATED, self.store(&seen.path, seen.json())),
                _ => (StatusCode::NOT_FOUND, failure(StatusCode::NOT_FOUND)),
            };
        };
        let sent = seen.json();
        let version = &sent["metadata"]["resourceVersion"];
        if !version.is_null() && *version != object["metadata"]["resourceVersion"] {
            return (StatusCode::CONFLICT, failure(StatusCode::CONFLICT));
        }
        match method {
            "GET" => (StatusCode::OK, object),
            "PUT" => (StatusCode::OK, self.store(&seen.path, sent)),
            // A merge patch that takes the version away leaves none to update.
            "PATCH" if sent["metadata"].get("resourceVersion").is_some_and(Value::is_null) => {
                (StatusCode::UNPROCESSABLE_ENTITY, failure(StatusCode::UNPROCESSABLE_ENTITY))
            }
            "PATCH" => {
                merge(&mut object, &sent);
                let held = object["metadata"]["finalizers"].as_array().is_some_and(|f| !f.is_empty());
                if !held && !object["metadata"]["deletionTimestamp"].is_null() {
                    self.objects.remove(&seen.path);
                    return (StatusCode::OK, object);
                }
                (StatusCode::OK, self.store(&seen.path, object))
            }
            "DELETE" => {
                self.delete(&seen.path);
                (StatusCode::OK, object)
            }
            _ => panic!("the controller made a request that no test expects: {seen:?}"),
        }
    }

    /// Removes an object, or marks it where somebody holds it.
    fn delete(&mut self, path: &str) {
        let Some(mut object) = self.objects.remove(path) else { return };
        if object["metadata"]["finalizers"].as_array().is_some_and(|f| !f.is_empty()) {
            object["metadata"]["deletionTimestamp"] = json!("2027-01-15T08:00:00Z");
            self.store(path, object);
        }
    }

    /// Stores an object under a version of its own, and returns it.
    fn store(&mut self, path: &str, mut object: Value) -> Value {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.objects.insert(path.into(), object.clone());
        object
    }
}

impl State {
    /// The objects of a collection that have the labels asked for.
    fn list(&self, seen: &Seen) -> Value {
        let query: HashMap<_, _> = url::form_urlencoded::parse(seen.query.as_bytes()).into_owned().collect();
        let selector = query.get("labelSelector").cloned().unwrap_or_default();
        let below =
            |path: &str| path.strip_prefix(&seen.path).and_then(|rest| rest.strip_prefix('/')).is_some_and(|name| !name.contains('/'));
        let secrets = self.secrets.iter().map(|((namespace, name), secret)| {
            (format!("/api/v1/namespaces/{namespace}/secrets/{name}"), serde_json::to_value(secret).unwrap())
        });
        let objects = self.objects.iter().map(|(path, object)| (path.clone(), object.clone()));
        let mut found: Vec<_> = objects.chain(secrets).filter(|(path, object)| below(path) && has_labels(object, &selector)).collect();
        found.sort_by(|(a, _), (b, _)| a.cmp(b));
        let items: Vec<_> = found.into_iter().map(|(_, object)| object).collect();
        json!({ "apiVersion": "v1", "kind": "List", "metadata": {}, "items": items })
    }
}

/// A log, as much of it as was asked for.
fn limited(log: &str, query: &str) -> String {
    let limit = url::form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == "limitBytes").map(|(_, value)| value.parse().unwrap());
    log.chars().take(limit.unwrap_or(usize::MAX)).collect()
}

/// Whether an object has every `key=value` of a selector, and every `key`.
fn has_labels(object: &Value, selector: &str) -> bool {
    selector.split(',').filter(|part| !part.is_empty()).all(|part| match part.split_once('=') {
        Some((key, value)) => object["metadata"]["labels"][key] == value,
        None => !object["metadata"]["labels"][part].is_null(),
    })
}

/// A JSON merge patch (RFC 7386).
fn merge(object: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *object = patch.clone();
        return;
    };
    if !object.is_object() {
        *object = json!({});
    }
    for (name, value) in fields {
        match value {
            Value::Null => drop(object.as_object_mut().and_then(|o| o.remove(name))),
            value => merge(&mut object[name.as_str()], value),
        }
    }
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
    refusal(reason, code)
}

fn refusal(reason: &str, code: StatusCode) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Status", "status": "Failure",
        "reason": reason, "code": code.as_u16(), "message": format!("the test says {code}"),
    })
}
