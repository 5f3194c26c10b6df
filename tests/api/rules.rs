//! Every CEL rule of every kind: a row that it lets in and one that it refuses,
//! with its message.

use flywheel::api::{agent_pr::AgentPR, factory::Factory, gate_run::GateRun, names, primitive::Primitive};
use serde_json::{Value, json};

use super::{Row, problems, schema_of, try_rows};
use crate::fixtures;

pub fn factory() -> Value {
    let mut factory = serde_json::to_value(fixtures::factory()).unwrap();
    // As a user writes it: the API server fills in what has a default.
    factory["spec"].as_object_mut().unwrap().remove("policy");
    factory["spec"]["dns"]["ownerId"] = json!("prim-1");
    factory
}

pub fn primitive() -> Value {
    json!({
        "apiVersion": "flywheel.prim.sh/v1alpha1", "kind": "Primitive",
        "metadata": { "name": "search", "namespace": "flywheel" },
        "spec": { "factoryRef": { "name": "prim" }, "document": { "id": "search", "name": "Search", "routes": [{ "method": "GET" }] } },
    })
}

fn idea() -> Value {
    let mut object = primitive();
    object["spec"] = json!({ "factoryRef": { "name": "prim" }, "idea": "Find things." });
    object
}

pub fn agent_pr() -> Value {
    json!({
        "apiVersion": "flywheel.prim.sh/v1alpha1", "kind": "AgentPR",
        "metadata": { "name": "search-1", "namespace": "flywheel" },
        "spec": {
            "factoryRef": { "name": "prim" }, "primitive": "search", "title": "Add search", "body": "Why",
            "files": [{ "path": "packages/search/prim.yaml", "content": "id: search\n" }],
        },
    })
}

fn deployed() -> Value {
    json!({ "url": "https://search.prim.sh", "primitive": "search", "commit": "0".repeat(40) })
}

pub fn gate_run() -> Value {
    json!({
        "apiVersion": "flywheel.prim.sh/v1alpha1", "kind": "GateRun",
        "metadata": { "name": "search-unit-1", "namespace": "flywheel" },
        "spec": { "factoryRef": { "name": "prim" }, "layer": "Contract", "target": deployed() },
    })
}

const REPOSITORY: &str = "forge, url, owner and name can't change";
const ZONE: &str = "the zone can't change";
const RUN_NAMESPACE: &str = "the namespace can't change";
const OWNER: &str = "ownerId can't change once it is set";
const RFC2136: &str = "rfc2136 is required with provider Rfc2136";
const NAME: &str = "metadata.name must be the document's id";
const EITHER: &str = "exactly one of document and idea is required";
const IDEA: &str = "metadata.name must be an id";
const RESERVED: &str = "this id is reserved";
const FACTORY_REF: &str = "factoryRef can't change";
const CHANGE: &str = "a change can't be edited";
const FILES: &str = "exactly one of files and manifestRef is required";
const DERIVED: &str = "has no files and no manifestRef: the Factory makes them";
const PATH: &str = "path must not have . or .. in it";
const DRAFT: &str = "title must not begin as a draft's does";
const SIZE: &str = "the files have more than 204800 characters in all";
const REPOSITORY_NAME: &str = "a repository can't be named . or ..";
const LIVE: &str = "live is Contract, and with it Canary, CleanRoom or both";
const REGATE: &str = "regateEverySeconds is 0, which is never, or at least 60";
const RUN: &str = "a run can't be edited";
const TARGET: &str = "exactly one of agentPR, manifestRef and url is required";
const DEPLOYED: &str = "primitive and commit are required with url, and go with nothing else";
const ROOM: &str = "layer CleanRoom needs a timeoutSeconds of at least 180";
const LAYER: &str = "layer Unit tests an agentPR or a manifestRef, and all others a url";

fn factory_creates() -> Vec<Row> {
    vec![
        ("/spec/dns/rfc2136", Value::Null, Some(RFC2136)),
        ("/spec/dns/provider", json!("Rfc2136"), None),
        ("/spec/repository/name", json!("."), Some(REPOSITORY_NAME)),
        ("/spec/repository/name", json!(".."), Some(REPOSITORY_NAME)),
        ("/spec/repository/name", json!("..."), None),
        ("/spec/policy", json!({ "gates": { "live": ["Contract"] } }), None),
        ("/spec/policy", json!({ "gates": { "live": ["Canary"] } }), Some(LIVE)),
        ("/spec/policy", json!({ "gates": { "live": ["Contract", "CleanRoom"] } }), None),
        ("/spec/policy", json!({ "gates": { "live": ["Contract", "Canary", "CleanRoom"] } }), None),
        ("/spec/policy", json!({ "gates": { "live": ["CleanRoom"] } }), Some(LIVE)),
        ("/spec/policy", json!({ "gates": { "live": ["Contract", "Unit"] } }), Some(LIVE)),
        ("/spec/policy", json!({ "gates": { "regateEverySeconds": 0 } }), None),
        ("/spec/policy", json!({ "gates": { "regateEverySeconds": 59 } }), Some(REGATE)),
        ("/spec/policy", json!({ "gates": { "regateEverySeconds": 60 } }), None),
    ]
}

fn factory_updates() -> Vec<Row> {
    vec![
        ("/spec/repository/owner", json!("other"), Some(REPOSITORY)),
        ("/spec/repository/name", json!("other"), Some(REPOSITORY)),
        ("/spec/repository/url", json!("https://moved.example"), Some(REPOSITORY)),
        ("/spec/repository/baseBranch", json!("trunk"), None),
        ("/spec/repository/credentials/name", json!("renewed"), None),
        ("/spec/dns/zone", json!("other.sh"), Some(ZONE)),
        ("/spec/dns/ownerId", json!("prim-2"), Some(OWNER)),
        ("/spec/dns/ownerId", Value::Null, Some(OWNER)),
        ("/spec/dns/ttlSeconds", json!(30), None),
        ("/spec/dns/rfc2136/server", json!("192.0.2.54:53"), None),
        ("/spec/deploy/image", json!("registry.example/factory:2"), None),
        ("/spec/deploy/namespace", json!("elsewhere"), Some(RUN_NAMESPACE)),
    ]
}

fn primitive_creates() -> Vec<Row> {
    vec![
        ("/metadata/name", json!("lookup"), Some(NAME)),
        ("/spec/document/id", json!("lookup"), Some(NAME)),
        ("/spec/document", Value::Null, Some(EITHER)),
        ("/spec/idea", json!("Find things."), Some(EITHER)),
    ]
}

fn primitive_updates() -> Vec<Row> {
    vec![
        ("/spec/factoryRef/name", json!("other"), Some(FACTORY_REF)),
        ("/spec/document/name", json!("Find"), None),
        ("/spec/stage", json!("Live"), None),
    ]
}

fn agent_pr_creates() -> Vec<Row> {
    let reference = json!({ "name": "m", "digest": format!("sha256:{}", "0".repeat(64)) });
    let files = |sizes: &[usize]| -> Value {
        let file = |(n, size): (usize, &usize)| json!({ "path": format!("packages/search/{n}.ts"), "content": "x".repeat(*size) });
        sizes.iter().enumerate().map(file).chain([json!({ "path": "packages/search/gone.ts" })]).collect()
    };
    vec![
        ("/spec/files", files(&[204_800, 0]), None),
        ("/spec/files", files(&[204_800, 1]), Some(SIZE)),
        ("/spec/files", files(&[50_000; 5]), Some(SIZE)),
        ("/spec/files", Value::Null, Some(FILES)),
        ("/spec/primitive", json!("flywheel"), Some(DERIVED)),
        ("/spec", json!({ "factoryRef": { "name": "prim" }, "primitive": "flywheel", "title": "Derive" }), None),
        ("/spec/manifestRef", reference, Some(FILES)),
        ("/spec/files/0/path", json!("packages/../.github/workflows/ci.yml"), Some(PATH)),
        ("/spec/files/0/path", json!("./packages/x"), Some(PATH)),
        ("/spec/files/0/path", json!("packages/..x/.y"), None),
        ("/spec/title", json!("WIP: search"), Some(DRAFT)),
        ("/spec/title", json!(" [Draft] search"), Some(DRAFT)),
        ("/spec/title", json!("Draft the plan of wip: search"), None),
    ]
}

fn gate_run_creates() -> Vec<Row> {
    let reference = json!({ "name": "m", "digest": format!("sha256:{}", "0".repeat(64)) });
    let change = json!({ "name": "search-1", "revision": { "base": "0".repeat(40), "head": "1".repeat(40), "tree": "2".repeat(40) } });
    let spec = |layer: &str, target: Value| json!({ "factoryRef": { "name": "prim" }, "layer": layer, "target": target });
    let room = |seconds: i64| {
        let mut spec = spec("CleanRoom", deployed());
        spec["timeoutSeconds"] = seconds.into();
        spec
    };
    vec![
        ("/spec/target", json!({}), Some(TARGET)),
        ("/spec/target/manifestRef", reference.clone(), Some(TARGET)),
        ("/spec/target/commit", Value::Null, Some(DEPLOYED)),
        ("/spec/target/primitive", Value::Null, Some(DEPLOYED)),
        ("/spec", spec("Unit", json!({ "agentPR": change, "commit": "0".repeat(40) })), Some(DEPLOYED)),
        ("/spec", spec("Unit", deployed()), Some(LAYER)),
        ("/spec", spec("Contract", json!({ "agentPR": change })), Some(LAYER)),
        ("/spec", spec("Canary", deployed()), None),
        ("/spec", spec("CleanRoom", deployed()), None),
        ("/spec", room(180), None),
        ("/spec", room(179), Some(ROOM)),
        ("/spec", spec("Unit", json!({ "manifestRef": reference })), None),
        ("/spec", spec("Unit", json!({ "agentPR": change })), None),
    ]
}

#[test]
fn factory_rules() {
    try_rows::<Factory>(&factory(), &factory_creates(), false);
    try_rows::<Factory>(&factory(), &factory_updates(), true);
}

#[test]
fn primitive_rules() {
    try_rows::<Primitive>(&primitive(), &primitive_creates(), false);
    try_rows::<Primitive>(&primitive(), &primitive_updates(), true);
    let thought = idea();
    let updates: [Row; 3] = [
        ("/spec/idea", json!("Find other things."), None),
        ("/spec", primitive()["spec"].clone(), None),
        ("/spec/factoryRef/name", json!("other"), Some(FACTORY_REF)),
    ];
    try_rows::<Primitive>(&thought, &updates, true);
    for name in ["Search", "search-", "-search", "1search", "sea.rch", &"a".repeat(41)] {
        let mut object = thought.clone();
        object["metadata"]["name"] = json!(name);
        assert!(problems::<Primitive>(&object, None).iter().any(|p| p.contains(IDEA)), "{name}");
        assert!(name.parse::<names::PrimitiveId>().is_err(), "{name}: the parsed name must agree with the CRD");
    }
    for id in names::RESERVED_IDS {
        let mut object = primitive();
        object["metadata"]["name"] = json!(id);
        object["spec"]["document"]["id"] = json!(id);
        let found = problems::<Primitive>(&object, None);
        assert!(found.iter().any(|p| p.contains(RESERVED)), "{id}: {found:?}");
        assert!(id.parse::<names::PrimitiveId>().is_err(), "{id}: the parsed name must agree with the CRD");
        let mut object = idea();
        object["metadata"]["name"] = json!(id);
        assert!(problems::<Primitive>(&object, None).iter().any(|p| p.contains(IDEA)), "{id}, of an idea");
    }
}

#[test]
fn agent_pr_rules() {
    try_rows::<AgentPR>(&agent_pr(), &agent_pr_creates(), false);
    let updates: [Row; 3] = [
        ("/spec/title", json!("Add search, really"), Some(CHANGE)),
        ("/spec/files/0/content", json!("id: other\n"), Some(CHANGE)),
        ("/metadata/labels", json!({ "a": "b" }), None),
    ];
    try_rows::<AgentPR>(&agent_pr(), &updates, true);
}

#[test]
fn gate_run_rules() {
    try_rows::<GateRun>(&gate_run(), &gate_run_creates(), false);
    let updates: [Row; 3] = [
        ("/spec/layer", json!("Canary"), Some(RUN)),
        ("/spec/timeoutSeconds", json!(301), Some(RUN)),
        ("/status", json!({ "verdict": "Passed", "conditions": [] }), None),
    ];
    try_rows::<GateRun>(&gate_run(), &updates, true);
}

/// A rule added to a type must get its rows here.
#[test]
fn no_rule_is_without_rows() {
    let known = [
        REPOSITORY,
        ZONE,
        RUN_NAMESPACE,
        OWNER,
        RFC2136,
        NAME,
        EITHER,
        IDEA,
        RESERVED,
        FACTORY_REF,
        CHANGE,
        FILES,
        DERIVED,
        PATH,
        RUN,
        TARGET,
        DEPLOYED,
        LAYER,
        SIZE,
        REPOSITORY_NAME,
        DRAFT,
        LIVE,
        REGATE,
        ROOM,
    ];
    let mut found = Vec::new();
    for schema in [schema_of::<Factory>(), schema_of::<Primitive>(), schema_of::<AgentPR>(), schema_of::<GateRun>()] {
        messages(&schema, &mut found);
    }
    // A document stands in the spec, and in the status of an idea.
    found.sort();
    found.dedup();
    assert_eq!(found.len(), known.len(), "{found:#?}");
    for message in found {
        assert!(known.iter().any(|k| message.contains(k)), "no row for the rule {message:?}: add one to tests/api/rules.rs");
    }
}

fn messages(schema: &Value, found: &mut Vec<String>) {
    match schema {
        Value::Object(fields) => {
            for rule in fields.get("x-kubernetes-validations").and_then(Value::as_array).into_iter().flatten() {
                found.push(rule["message"].as_str().expect("a rule without a message says nothing to its user").to_owned());
            }
            fields.values().for_each(|value| messages(value, found));
        }
        Value::Array(list) => list.iter().for_each(|value| messages(value, found)),
        _ => {}
    }
}
