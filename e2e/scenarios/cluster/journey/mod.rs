//! Primitives from `kubectl apply` to a name that answers, on real parts: what
//! happens on the way, what goes wrong there, and how it ends all the same.

mod changes;
mod crashes;
mod examples;
mod faults;
mod hostile;
mod paid;
mod real;
mod refused;
mod rest;

use std::{path::PathBuf, time::Duration};

use flywheel::api::{agent_pr::AgentPR, primitive::Primitive};
use k8s_openapi::api::apps::v1::Deployment;
use kube::{
    Api, Client,
    api::{DeleteParams, DynamicObject, Patch, PatchParams},
    runtime::wait::await_condition,
};
use reqwest::Method;
use serde_json::{Value, json};

use super::bed::{NAMESPACE, forge};
use crate::support::{apply, file_at, package, run, until_within, variable};

/// Longest way from a document to its answer, on a busy machine.
const JOURNEY: Duration = Duration::from_secs(180);

pub(crate) fn primitives(client: &Client) -> Api<Primitive> {
    Api::namespaced(client.clone(), NAMESPACE)
}

pub(crate) fn changes(client: &Client) -> Api<AgentPR> {
    Api::namespaced(client.clone(), NAMESPACE)
}

pub(crate) fn deployments(client: &Client) -> Api<Deployment> {
    Api::namespaced(client.clone(), "flywheel-run")
}

/// A free service with one route.
pub(crate) fn document(id: &str, description: &str) -> Value {
    json!({
        "id": id, "name": format!("{id}.sh"), "endpoint": format!("{id}.prim.sh"), "description": description,
        "factory": { "free_service": true },
        "env": ["NOTES_DB_PATH"],
        "routes_map": [
            { "route": "POST /v1/notes", "request": "Note", "response": "Note", "status": 201, "operation_id": "create_note",
              "description": "Keep a note.", "errors": [{ "status": 400, "code": "invalid_request", "description": "No note" }] },
            { "route": "GET /v1/notes", "response": "Notes", "status": 200, "operation_id": "list_notes", "description": "List notes." }
        ]
    })
}

/// The package that the scaffolder makes of a document, as an AgentPR has it.
pub(crate) fn packaged(document: Value) -> Vec<Value> {
    package(document).iter().map(|f| json!({ "path": f.path, "content": f.content })).collect()
}

/// An AgentPR that nobody's Primitive made.
pub(crate) fn by_hand(name: &str, primitive: &str, files: &[Value]) -> AgentPR {
    serde_json::from_value(json!({
        "apiVersion": "flywheel.prim.sh/v1alpha1", "kind": "AgentPR", "metadata": { "name": name },
        "spec": { "factoryRef": { "name": "prim" }, "primitive": primitive, "title": format!("Add {primitive}"), "files": files },
    }))
    .expect("an AgentPR")
}

/// Applies a Primitive with this document, and more of its spec.
pub(crate) async fn declare(client: &Client, document: Value, more: Value) {
    let mut object = json!({
        "apiVersion": "flywheel.prim.sh/v1alpha1", "kind": "Primitive",
        "metadata": { "name": document["id"], "namespace": NAMESPACE },
        "spec": { "factoryRef": { "name": "prim" }, "document": document, "deletionPolicy": "Delete" },
    });
    for (key, value) in more.as_object().into_iter().flatten() {
        object["spec"][key] = value.clone();
    }
    let object: DynamicObject = serde_json::from_value(object).expect("a Primitive");
    apply(client, &[object], false).await.expect("the Primitive is let in");
}

/// Whether a Primitive's condition of this generation says so.
fn says(primitive: &Primitive, kind: &str, status: &str, reason: &str) -> bool {
    let generation = primitive.metadata.generation;
    let conditions = primitive.status.iter().flat_map(|s| &s.conditions);
    conditions.into_iter().any(|c| c.type_ == kind && c.status == status && c.reason == reason && c.observed_generation == generation)
}

pub(crate) async fn answering(client: &Client, id: &str) -> Primitive {
    until_within(JOURNEY, primitives(client), id, "answering", |p| says(p, "Ready", "True", "Answering")).await
}

/// The Primitive, once it passed all that its Factory asks of what is in use.
pub(crate) async fn live(client: &Client, id: &str) -> Primitive {
    until_within(JOURNEY, primitives(client), id, "live", |p| says(p, "Ready", "True", "Live")).await
}

async fn saying(client: &Client, id: &str, kind: &str, status: &str, reason: &str) -> Primitive {
    until_within(JOURNEY, primitives(client), id, &format!("{kind}={status} {reason}"), |p| says(p, kind, status, reason)).await
}

/// Deletes a Primitive as its policy says, and waits until it is gone.
async fn remove(client: &Client, id: &str) {
    primitives(client).delete(id, &DeleteParams::default()).await.expect("delete");
    gone(client, id).await;
}

pub(crate) async fn gone(client: &Client, id: &str) {
    let gone = await_condition(primitives(client), id, |p: Option<&Primitive>| p.is_none());
    if tokio::time::timeout(JOURNEY, gone).await.is_err() {
        panic!("{id} is not gone: {:#?}", primitives(client).get(id).await);
    }
}

/// A client of a primitive by its name over TLS, as somebody outside would have one,
/// and the primitive's URL.
fn caller(id: &str) -> Result<(reqwest::Client, String), reqwest::Error> {
    let host = format!("{id}.{}", variable("DNS_ZONE"));
    let authority = reqwest::Certificate::from_pem(file_at("EDGE_CA_FILE").as_bytes()).expect("the edge's authority");
    let address = format!("{}:443", variable("EDGE_ADDRESS")).parse().expect("the edge's address");
    let client = reqwest::Client::builder().tls_certs_only([authority]).resolve(&host, address).timeout(Duration::from_secs(10)).build()?;
    Ok((client, format!("https://{host}")))
}

/// Asks a primitive.
async fn ask(id: &str, method: Method, path: &str, body: Option<Value>) -> Result<(u16, Value), reqwest::Error> {
    let (client, url) = caller(id)?;
    let mut request = client.request(method, format!("{url}{path}"));
    if let Some(body) = body {
        request = request.json(&body);
    }
    let answer = request.send().await?;
    let status = answer.status().as_u16();
    let text = answer.text().await?;
    Ok((status, serde_json::from_str(&text).unwrap_or(Value::String(text))))
}

/// What BIND has at a name.
pub(crate) fn dig(name: &str, kind: &str) -> Vec<String> {
    let server = variable("DNS_SERVER");
    let server = server.split(':').next().unwrap_or_default().to_owned();
    let mut command = std::process::Command::new("dig");
    let printed = run(command.args([&format!("@{server}"), "+short", name, kind]));
    printed.lines().map(str::to_owned).collect()
}

/// Every page of a list of the forge's.
pub(crate) async fn listed(path: &str) -> Vec<Value> {
    let mut all = Vec::new();
    for page in 1.. {
        let Value::Array(found) = forge(Method::GET, &format!("{path}&limit=50&page={page}"), None).await else {
            panic!("{path}: no list")
        };
        let last = found.len() < 50;
        all.extend(found);
        if last {
            break;
        }
    }
    all
}

/// Pull requests of a primitive, newest first, as its repository's API lists them.
pub(crate) async fn pulls(id: &str) -> Vec<Value> {
    let mut all = listed("/repos/prim/factory/pulls?state=all").await;
    all.retain(|pull| {
        pull["head"]["label"].as_str().or(pull["head"]["ref"].as_str()).is_some_and(|b| b.starts_with(&format!("agent/{id}-")))
    });
    all
}

/// The controller's comments under a pull request; the forge's runner writes one too.
pub(crate) async fn told(number: &Value) -> Vec<Value> {
    let Value::Array(mut all) = forge(Method::GET, &format!("/repos/prim/factory/issues/{number}/comments"), None).await else {
        panic!("no comments of {number}")
    };
    all.retain(|comment| comment["user"]["login"] == "flywheel-bot");
    all
}

/// Branches of a primitive that are there.
pub(crate) async fn branches(id: &str) -> Vec<String> {
    let all = listed("/repos/prim/factory/branches?").await;
    let names = all.iter().filter_map(|b| b["name"].as_str().map(str::to_owned));
    names.filter(|name| name.starts_with(&format!("agent/{id}-"))).collect()
}

/// Waits until it has no branches: a change that is given up may take them away a moment
/// later.
pub(crate) async fn no_branches(id: &str) {
    let mut looks = tokio::time::interval(Duration::from_millis(300));
    let gone = async {
        loop {
            looks.tick().await;
            if branches(id).await.is_empty() {
                return;
            }
        }
    };
    if tokio::time::timeout(Duration::from_secs(20), gone).await.is_err() {
        let head = |branch: &Value| json!([branch["name"], branch["commit"]["id"], branch["commit"]["message"]]);
        let stay: Vec<_> = listed("/repos/prim/factory/branches?").await.iter().map(head).collect();
        panic!("{id}: branches {:?} stay among {stay:?}; its pull requests: {:?}", branches(id).await, pulls(id).await);
    }
}

/// Changes something of a Primitive's spec.
pub(crate) async fn patch(client: &Client, id: &str, spec: Value) {
    primitives(client).patch(id, &PatchParams::default(), &Patch::Merge(json!({ "spec": spec }))).await.expect("patch");
}

/// Where the given documents lie; nothing, loudly, where they are not.
#[expect(clippy::disallowed_methods, reason = "where the documents lie is told through the environment")]
fn specs() -> Option<PathBuf> {
    let root = crate::support::root();
    let given = std::env::var("FLYWHEEL_SPECS").map_or_else(|_| root.join("../shared/data/prim.sh"), PathBuf::from);
    let folder = given.join("prims");
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("NOT TRIED: no real documents at {} (FLYWHEEL_SPECS)", folder.display());
    None
}
