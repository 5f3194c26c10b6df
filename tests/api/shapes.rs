//! What the schemas alone let in and keep out.

use flywheel::api::{agent_pr::AgentPR, factory::Factory, gate_run::GateRun, primitive::Primitive};
use serde_json::{Value, json};

use super::{rules, try_rows};

#[test]
fn factories() {
    let long = |n: usize| json!("a".repeat(n));
    try_rows::<Factory>(
        &rules::factory(),
        &[
            ("/spec/repository", Value::Null, Some("lacks repository")),
            ("/spec/dns", Value::Null, Some("lacks dns")),
            ("/spec/deploy", Value::Null, Some("lacks deploy")),
            ("/spec/unknown", json!(1), Some("unknown field unknown")),
            ("/spec/repository/forge", json!("SourceSafe"), Some("spec.repository.forge: is none of")),
            ("/spec/repository/url", json!("http://10.0.0.1:3000"), None),
            ("/spec/repository/url", json!("https://git.example.org/gitea/"), None),
            ("/spec/repository/url", json!("git.example.org"), Some("does not match")),
            ("/spec/repository/url", json!("https://user:secret@git.example.org"), Some("does not match")),
            ("/spec/repository/url", json!("https://git.example.org/?token=x"), Some("does not match")),
            ("/spec/repository/url", json!("file:///etc/passwd"), Some("does not match")),
            ("/spec/repository/owner", json!("a/b"), Some("does not match")),
            ("/spec/repository/owner", json!(""), Some("does not match")),
            ("/spec/repository/owner", json!(".hidden"), Some("does not match")),
            ("/spec/repository/owner", long(101), Some("longer than 100")),
            ("/spec/repository/name", json!("a/b"), Some("does not match")),
            ("/spec/repository/name", json!("factory.v2_x-y"), None),
            ("/spec/repository/baseBranch", json!(""), Some("shorter than 1")),
            ("/spec/repository/baseBranch", long(245), Some("longer than 244")),
            ("/spec/repository/credentials", Value::Null, Some("lacks credentials")),
            ("/spec/repository/credentials/name", json!(""), Some("shorter than 1")),
            ("/spec/repository/credentials/namespace", long(64), Some("longer than 63")),
            ("/spec/dns/zone", json!("sub.prim.sh"), None),
            ("/spec/dns/zone", json!("prim.sh."), Some("does not match")),
            ("/spec/dns/zone", json!("Prim.sh"), Some("does not match")),
            ("/spec/dns/zone", json!("*.prim.sh"), Some("does not match")),
            ("/spec/dns/provider", json!("Cloudflare"), Some("is none of")),
            ("/spec/dns/ttlSeconds", json!(0), Some("less than 1")),
            ("/spec/dns/ttlSeconds", json!(86_401), Some("more than 86400")),
            ("/spec/dns/ttlSeconds", json!("60"), Some("is not a")),
            ("/spec/dns/rfc2136/server", Value::Null, Some("lacks server")),
            ("/spec/deploy/image", json!(""), Some("shorter than 1")),
            ("/spec/deploy/env", json!({ "PAY_TO": "0x1" }), None),
            ("/spec/deploy/env", json!({ "PAY_TO": 1 }), Some("is not a")),
            ("/spec/deploy/edge/adminUrl", json!("https://10.0.0.1:2021"), None),
            ("/spec/deploy/edge/adminUrl", json!("http://10.0.0.1:2021"), Some("does not match")),
            ("/spec/deploy/edge/adminUrl", json!("https://10.0.0.1:2021/config"), Some("does not match")),
            ("/spec/deploy/edge/adminCaBundle", json!(""), Some("shorter than 1")),
            ("/spec/deploy/edge/address", json!("1"), Some("shorter than 2")),
            ("/spec/policy", json!({}), None),
            ("/spec/policy", json!({ "defaultStage": "Live", "requiredCheck": "ci" }), None),
            ("/spec/policy", json!({ "defaultStage": "live" }), Some("is none of")),
            ("/spec/policy", json!({ "requiredCheck": "" }), Some("shorter than 1")),
            ("/spec/policy", json!({ "maxOpenPullRequests": 0 }), Some("less than 1")),
            ("/spec/policy", json!({ "maxRunningGates": 1001 }), Some("more than 1000")),
            ("/spec/model", model(&json!({})), None),
            ("/spec/model", model(&json!({ "maxRounds": 1, "timeoutSeconds": 600, "inputPrice": "$0.15", "outputPrice": "$2" })), None),
            ("/spec/model", model(&json!({ "url": "https://key@models.example" })), Some("does not match")),
            ("/spec/model", model(&json!({ "url": "https://models.example/v1?key=x" })), Some("does not match")),
            ("/spec/model", model(&json!({ "name": "" })), Some("shorter than 1")),
            ("/spec/model", model(&json!({ "name": "a\nb" })), Some("does not match")),
            ("/spec/model", model(&json!({ "maxRounds": 0 })), Some("less than 1")),
            ("/spec/model", model(&json!({ "maxRounds": 4 })), Some("more than 3")),
            ("/spec/model", model(&json!({ "timeoutSeconds": 0 })), Some("less than 1")),
            ("/spec/model", model(&json!({ "timeoutSeconds": 601 })), Some("more than 600")),
            ("/spec/model", model(&json!({ "inputPrice": "2.50" })), Some("does not match")),
            ("/spec/model", model(&json!({ "outputPrice": "$0" })), Some("does not match")),
            ("/spec/model", json!({ "url": "https://models.example/v1", "name": "m" }), Some("lacks credentials")),
            ("/spec/policy", json!({ "gates": {} }), None),
            ("/spec/policy", json!({ "gates": { "contract": { "wallet": "purse", "maxPayment": "$0.05", "budget": "$1" } } }), None),
            ("/spec/policy", json!({ "gates": { "contract": { "maxPayment": "0.05" } } }), Some("does not match")),
            ("/spec/policy", json!({ "gates": { "contract": { "privateKey": "0x1" } } }), Some("unknown field privateKey")),
            ("/spec/policy", json!({ "gates": { "canary": { "model": { "url": "https://m.example/v1", "name": "small" } } } }), None),
            (
                "/spec/policy",
                json!({ "gates": { "canary": { "model": { "url": "https://m.example", "name": "s" }, "maxRounds": 11 } } }),
                Some("more than 10"),
            ),
            (
                "/spec/policy",
                json!({ "gates": { "canary": { "model": { "url": "https://k:v@m.example", "name": "s" } } } }),
                Some("does not match"),
            ),
            ("/spec/policy", json!({ "gates": { "live": [] } }), Some("fewer items than 1")),
            ("/spec/policy", json!({ "gates": { "cleanRoom": {} } }), None),
            (
                "/spec/policy",
                json!({ "gates": { "cleanRoom": { "fund": "$2", "facilitator": "http://f.example:4021", "rpc": "https://c.example/v2/x" } } }),
                None,
            ),
            ("/spec/policy", json!({ "gates": { "cleanRoom": { "timeoutSeconds": 179 } } }), Some("less than 180")),
            ("/spec/policy", json!({ "gates": { "cleanRoom": { "fund": "2" } } }), Some("does not match")),
            ("/spec/policy", json!({ "gates": { "cleanRoom": { "rpc": "https://u:p@c.example" } } }), Some("does not match")),
            ("/spec/policy", json!({ "gates": { "cleanRoom": { "wallet": "purse" } } }), Some("unknown field wallet")),
        ],
        false,
    );
}

/// A Factory's model, with some fields changed.
fn model(change: &Value) -> Value {
    let mut model = json!({ "url": "https://models.example/v1", "name": "m", "credentials": { "name": "prim-model" } });
    model.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    model
}

#[test]
fn primitives() {
    try_rows::<Primitive>(
        &rules::primitive(),
        &[
            ("/spec/document/id", Value::Null, Some("lacks id")),
            ("/spec/document/anything", json!({ "deep": [1, { "x": null }] }), None),
            ("/spec/document", json!({ "id": "Search" }), Some("does not match")),
            ("/spec/document", json!({ "id": "search-" }), Some("does not match")),
            ("/spec/document", json!({ "id": "a".repeat(41) }), Some("longer than 40")),
            ("/spec/idea", json!(""), Some("shorter than 1")),
            ("/spec/idea", json!("i".repeat(8001)), Some("longer than 8000")),
            ("/spec/stage", json!("Live"), None),
            ("/spec/stage", json!("Prod"), Some("is none of")),
            ("/spec/paused", json!({ "reason": "looking into it" }), None),
            ("/spec/paused", json!({ "reason": "" }), Some("shorter than 1")),
            ("/spec/paused", json!({}), Some("lacks reason")),
            ("/spec/deletionPolicy", json!("Delete"), None),
            ("/spec/deletionPolicy", json!("Orphan"), Some("is none of")),
            ("/spec/factoryRef", json!({ "name": "" }), Some("shorter than 1")),
        ],
        false,
    );
}

#[test]
fn agent_prs() {
    let file = |path: &str| json!([{ "path": path, "content": "x" }]);
    try_rows::<AgentPR>(
        &rules::agent_pr(),
        &[
            ("/spec/title", json!(""), Some("shorter than 1")),
            ("/spec/title", json!("t".repeat(201)), Some("longer than 200")),
            ("/spec/body", json!("b".repeat(16_385)), Some("longer than 16384")),
            ("/spec/primitive", json!("Search"), Some("does not match")),
            ("/spec/files", json!([]), Some("fewer items than 1")),
            ("/spec/files", json!([{ "path": "packages/search/old.ts" }]), None),
            ("/spec/files", file("packages/search/src/@x/a_b-1.ts"), None),
            ("/spec/files", file("/etc/passwd"), Some("does not match")),
            ("/spec/files", file("packages//x"), Some("does not match")),
            ("/spec/files", file("packages/x/"), Some("does not match")),
            ("/spec/files", file("packages/a b"), Some("does not match")),
            ("/spec/files", file("packages\\x"), Some("does not match")),
            ("/spec/files", file(&"p".repeat(256)), Some("longer than 255")),
            ("/spec/files", json!(vec![json!({ "path": "a" }); 201]), Some("more items than 200")),
        ],
        false,
    );
}

#[test]
fn gate_runs() {
    let unit = |target: Value| json!({ "factoryRef": { "name": "prim" }, "layer": "Unit", "target": target });
    let revision = |sha: &str| unit(json!({ "agentPR": { "name": "a", "revision": { "base": sha, "head": sha, "tree": sha } } }));
    try_rows::<GateRun>(
        &rules::gate_run(),
        &[
            ("/spec/layer", json!("Smoke"), Some("is none of")),
            ("/spec/timeoutSeconds", json!(0), Some("less than 1")),
            ("/spec/timeoutSeconds", json!(3601), Some("more than 3600")),
            ("/spec/target", Value::Null, Some("lacks target")),
            ("/spec", revision(&"a".repeat(40)), None),
            ("/spec", revision(&"a".repeat(64)), None),
            ("/spec", revision(&"a".repeat(41)), Some("does not match")),
            ("/spec", revision(&"A".repeat(40)), Some("does not match")),
            ("/spec/target/url", json!("ftp://x"), Some("does not match")),
            ("/spec/target/url", json!("http://search.prim.sh"), Some("does not match")),
            ("/spec/target/url", json!("https://search.prim.sh/v1"), Some("does not match")),
            ("/spec/target/url", json!("https://user@search.prim.sh"), Some("does not match")),
            ("/spec/target/url", json!("https://search.prim.sh:8443/"), None),
            ("/spec/target/primitive", json!("../search"), Some("does not match")),
            ("/spec/target/commit", json!("main"), Some("does not match")),
            ("/spec", unit(json!({ "manifestRef": { "name": "m", "digest": "sha256:00" } })), Some("does not match")),
            ("/spec", unit(json!({ "manifestRef": { "name": "m", "digest": format!("sha256:{}", "0".repeat(64)) } })), None),
        ],
        false,
    );
}
