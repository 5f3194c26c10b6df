//! A change that means ill, the whole way: what its code does and what it carries
//! turns no red change green, and nothing of it reaches the base branch.

use flywheel::{
    api::{
        agent_pr::AgentPR,
        gate_run::{GateRun, Verdict},
    },
    gate::report::{Report, Step},
};
use kube::{
    Api,
    api::{DeleteParams, PostParams},
    runtime::wait::await_condition,
};
use reqwest::Method;
use serde_json::{Value, json};

use super::{JOURNEY, branches, changes, document, pulls};
use crate::{
    cluster::bed::{forge, ready},
    support::{package, until, until_within},
};

/// The files that the scaffolder makes of a document, as an AgentPR has them.
fn scaffolded(id: &str) -> Vec<Value> {
    package(document(id, "Means ill.")).iter().map(|f| json!({ "path": f.path, "content": f.content })).collect()
}

fn change(name: &str, files: &[Value]) -> AgentPR {
    serde_json::from_value(json!({
        "apiVersion": "flywheel.prim.sh/v1alpha1", "kind": "AgentPR", "metadata": { "name": name },
        "spec": { "factoryRef": { "name": "prim" }, "primitive": name, "title": format!("Add {name}"), "files": files },
    }))
    .expect("an AgentPR")
}

/// What it does from its first instruction on: forges a verdict wherever one might
/// be read, kills what it can, asks what it can reach, and fails at last.
fn evil() -> String {
    let forged =
        serde_json::to_string(&Report::new("job", "sha256:0", vec![Step::passed("lint")]).summary("").to_termination()).expect("JSON");
    format!(
        r#"
const forged = {forged};
for (const path of ["/dev/termination-log", "/proc/1/fd/1", "/inputs/plan.json", "/proc/1/root/dev/termination-log"]) {{
  try {{
    await Bun.write(path, forged);
  }} catch {{}}
}}
console.log(forged);
for (const [hostname, port] of [["10.203.77.3", 3000], ["10.96.0.1", 443]] as const) {{
  Bun.connect({{ hostname, port, socket: {{ data() {{}} }} }}).then(
    () => console.log("reached"),
    () => undefined,
  );
}}
for (const id of [2, 3, process.ppid]) {{
  try {{
    process.kill(id, "SIGKILL");
  }} catch {{}}
}}
throw new Error("after all that");
"#
    )
}

/// Whether the base branch has anything below this path.
async fn on_base(path: &str) -> bool {
    let all = forge(Method::GET, "/repos/prim/factory/git/trees/main?recursive=true&per_page=1000", None).await;
    all["tree"].as_array().expect("a tree").iter().any(|e| e["path"].as_str().is_some_and(|p| p.starts_with(path)))
}

#[tokio::test]
async fn a_hostile_package_stays_red_and_is_not_merged() {
    let (client, _) = ready().await;
    let mut files = scaffolded("hostile");
    let service = files.iter_mut().find(|f| f["path"] == "packages/hostile/src/service.ts").expect("the seeded code");
    service["content"] = json!(format!("{}{}", service["content"].as_str().expect("text"), evil()));
    files.push(json!({
        "path": "packages/hostile/test/exit.test.ts",
        "content": "import { test } from \"bun:test\";\n\ntest(\"all is well\", () => process.exit(0));\n",
    }));
    changes(&client).create(&PostParams::default(), &change("hostile", &files)).await.expect("AgentPR");
    let said = until_within(JOURNEY, changes(&client), "hostile", "refused by its gate", |c| {
        c.status.iter().flat_map(|s| &s.conditions).any(|c| c.type_ == "Stalled" && c.status == "True" && c.reason == "Failed")
    })
    .await;
    let status = said.status.expect("status");
    let [pull] = &pulls("hostile").await[..] else { panic!("one pull request") };
    assert_eq!((pull["state"].as_str(), pull["merged"].as_bool()), (Some("open"), Some(false)), "{pull:#?}");
    let head = pull["head"]["sha"].as_str().expect("a head");
    assert_eq!(status.revision.as_ref().map(|r| r.head.as_str()), Some(head));
    let combined = forge(Method::GET, &format!("/repos/prim/factory/commits/{head}/status"), None).await;
    assert_eq!(combined["state"], "failure", "{combined:#?}");
    assert!(!on_base("packages/hostile/").await, "nothing of it is merged");

    let runs: Api<GateRun> = Api::namespaced(client.clone(), "flywheel");
    let runs = runs.list(&Default::default()).await.expect("GateRuns").items;
    let ours = runs.iter().filter(|run| run.spec.target.agent_pr.as_ref().is_some_and(|t| t.name == "hostile"));
    let verdicts: Vec<_> = ours.filter_map(|run| run.status.as_ref()?.verdict).collect();
    assert!(!verdicts.is_empty() && verdicts.iter().all(|v| *v != Verdict::Passed), "{verdicts:?}");

    changes(&client).delete("hostile", &DeleteParams::default()).await.expect("delete");
    let gone = await_condition(changes(&client), "hostile", |c: Option<&AgentPR>| c.is_none());
    tokio::time::timeout(JOURNEY, gone).await.expect("gone in time").expect("watch");
    assert!(branches("hostile").await.is_empty() && pulls("hostile").await.iter().all(|p| p["state"] == "closed"));
}

#[tokio::test]
async fn a_change_that_carries_more_than_its_package_is_never_pushed() {
    let (client, _) = ready().await;
    let carried = [
        ("workflow", ".github/workflows/ci.yml"),
        ("lint", "packages/smuggler/biome.json"),
        ("compiler", "packages/smuggler/src/tsconfig.json"),
        ("runtime", "packages/smuggler/bunfig.toml"),
        ("scanner", "packages/smuggler/.gitleaksignore"),
        ("lockfile", "bun.lock"),
        ("kit", "kit/src/index.ts"),
        ("neighbour", "packages/other/src/service.ts"),
    ];
    for (what, path) in carried {
        let mut files = scaffolded("smuggler");
        files.push(json!({ "path": path, "content": "{}\n" }));
        let mut smuggler = change("smuggler", &files);
        smuggler.metadata.name = Some(format!("smuggler-{what}"));
        let name = format!("smuggler-{what}");
        changes(&client).create(&PostParams::default(), &smuggler).await.expect("AgentPR");
        let said = until(changes(&client), &name, "refused", |c| {
            c.status.iter().flat_map(|s| &s.conditions).any(|c| c.type_ == "Stalled" && c.status == "True" && c.reason == "Invalid")
        })
        .await;
        let text = serde_json::to_string(&said.status).expect("JSON");
        assert!(text.contains("spec.files") && text.contains(path), "{text}");
        changes(&client).delete(&name, &DeleteParams::default()).await.expect("delete");
    }
    // The API server itself refuses these.
    for path in ["packages/smuggler/../../kit/src/index.ts", "/etc/passwd"] {
        let files = [json!({ "path": path, "content": "x\n" })];
        let refused = changes(&client).create(&PostParams { dry_run: true, ..PostParams::default() }, &change("smuggler", &files)).await;
        assert!(refused.is_err_and(|e| e.to_string().contains("spec.files[0].path")), "{path}");
    }
    assert!(branches("smuggler").await.is_empty() && pulls("smuggler").await.is_empty(), "nothing is pushed");
}
