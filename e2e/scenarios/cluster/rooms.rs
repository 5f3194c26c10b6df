//! Layer 4 on real parts: a service is used by its command line in a sandbox, with money
//! of the chain that comes and goes back; in the gates' namespace, and from a terminal in
//! one of its own that leaves nothing, also when its maker is killed.

use std::{
    path::Path,
    process::{Child, Command, Output, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use flywheel::{
    adapters::{
        clock::SystemClock,
        x402::{Chain, Wallet},
    },
    api::gate_run::{GateRun, Verdict},
    gate::report::Report,
    ports::payments::{Ledger, Payer, Token},
};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use super::{
    bed::{NAME, NAMESPACE, factories, ready},
    gates::classes,
    journey::{answering, declare, gone, primitives},
};
use crate::support::{file_at, polled, until_within, variable};

/// Longest that a room may take, its start included.
const ROOM: Duration = Duration::from_secs(400);
/// What a room's wallet begins with, in the dollar's units.
const FUND: u128 = 50_000;
/// What one use of all routes costs.
const PRICE: u128 = 3000 + 1000;

fn document() -> Value {
    json!({
        "id": "roomy", "name": "roomy.sh", "endpoint": "roomy.prim.sh", "description": "Keeps names for a price.",
        "env": ["ROOMY_DB_PATH"],
        "routes_map": [
            { "route": "POST /v1/names", "request": "Name", "response": "Name", "status": 201, "operation_id": "create_name", "price": "$0.003",
              "description": "Keep a name." },
            { "route": "GET /v1/names", "response": "Names", "operation_id": "list_names", "price": "$0.001", "description": "List names." }
        ]
    })
}

/// The bed with a paid service and a Factory that has rooms.
struct Scene {
    client: Client,
    chain: Chain,
    funder: Wallet,
    class: Option<String>,
    folder: std::path::PathBuf,
}

impl Scene {
    async fn new() -> Self {
        let (client, _) = ready().await;
        let secrets: Api<Secret> = Api::namespaced(client.clone(), "flywheel-gates");
        let wallet = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "gate-wallet" }, "stringData": { "privateKey": file_at("TEST_WALLET_KEY_FILE") } });
        secrets.patch("gate-wallet", &PatchParams::apply("scenarios"), &Patch::Apply(wallet)).await.expect("the wallet");
        let gates = json!({ "contract": { "wallet": "gate-wallet" }, "cleanRoom": { "fund": "$0.05", "rpc": variable("CHAIN_RPC"), "timeoutSeconds": 300 } });
        let policy = json!({ "spec": { "policy": { "gates": gates } } });
        factories(&client).patch(NAME, &PatchParams::default(), &Patch::Merge(policy)).await.expect("the policy");
        declare(&client, document(), json!({})).await;
        answering(&client, "roomy").await;
        let funder = Wallet::from_file(Path::new(&variable("TEST_WALLET_KEY_FILE")), Arc::new(SystemClock)).expect("the test wallet");
        // The strictest there is: gVisor, where it runs.
        let class = classes(&client).await.pop().flatten();
        let folder = std::env::temp_dir().join(format!("rooms-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join("prim.yaml"), document().to_string()).expect("the document");
        Self { chain: Chain::new(&variable("CHAIN_RPC")).expect("the chain"), client, funder, class, folder }
    }

    async fn balance(&self, address: &str) -> u128 {
        let token = Token::dollar(&variable("CHAIN_NETWORK"), None).expect("the dollar");
        // A chain that makes a block just then may have no answer.
        polled("a balance", async || self.chain.balance(&token, address).await.ok()).await
    }

    fn rooms(&self) -> Api<Namespace> {
        Api::all(self.client.clone())
    }

    async fn names(&self) -> Vec<String> {
        let found = self.rooms().list(&ListParams::default().labels("flywheel.prim.sh/room")).await.expect("namespaces");
        found.items.iter().map(ResourceExt::name_any).collect()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flywheel"));
        command.args(["gate", "spawn", "--factory", NAME, "--namespace", NAMESPACE, "--wallet-file", &variable("TEST_WALLET_KEY_FILE")]);
        match &self.class {
            Some(class) => command.args(["--runtime-class", class]),
            None => command.arg("--unconfined"),
        };
        command.args(arguments).current_dir(&self.folder);
        command
    }

    async fn done(self) {
        primitives(&self.client).delete("roomy", &DeleteParams::default()).await.expect("delete");
        gone(&self.client, "roomy").await;
        let rest = json!({ "spec": { "policy": { "gates": null } } });
        factories(&self.client).patch(NAME, &PatchParams::default(), &Patch::Merge(rest)).await.expect("as it was");
        std::fs::remove_dir_all(&self.folder).expect("the folder");
    }
}

fn said(output: &Output) -> String {
    format!("{}\n{}\n{}", output.status, String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Ends what it started, whatever became of the test.
struct Maker(Child);

impl Drop for Maker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn a_service_is_used_in_rooms_that_leave_nothing() {
    let scene = Scene::new().await;
    as_a_gate_run(&scene).await;
    from_a_terminal(&scene).await;
    whose_maker_is_killed(&scene).await;
    scene.done().await;
}

async fn as_a_gate_run(scene: &Scene) {
    let commit = primitives(&scene.client).get("roomy").await.expect("roomy").status.and_then(|s| s.commit).expect("a commit");
    let runs: Api<GateRun> = Api::namespaced(scene.client.clone(), NAMESPACE);
    let run = json!({
        "apiVersion": "flywheel.prim.sh/v1alpha1", "kind": "GateRun", "metadata": { "name": "roomy-room" },
        "spec": {
            "factoryRef": { "name": NAME }, "layer": "CleanRoom", "timeoutSeconds": 300,
            "target": { "url": format!("https://roomy.{}", variable("DNS_ZONE")), "primitive": "roomy", "commit": commit },
        },
    });
    let before = scene.balance(scene.funder.address()).await;
    runs.create(&PostParams::default(), &serde_json::from_value(run).expect("a GateRun")).await.expect("create");
    let ended =
        until_within(ROOM, runs.clone(), "roomy-room", "judged", |run| run.status.as_ref().is_some_and(|s| s.verdict.is_some())).await;
    let status = ended.status.expect("a status");
    assert_eq!(status.verdict, Some(Verdict::Passed), "{status:#?}");
    let passed = |name: &str| status.results.iter().any(|step| step.name == name && step.verdict == Verdict::Passed);
    assert!(["install", "wallet", "fund", "return"].iter().all(|name| passed(name)), "{:#?}", status.results);
    assert_eq!(status.untried, None);
    let room = scene.funder.derived(&status.job.expect("a Job")).expect("its wallet");
    assert_eq!((scene.balance(scene.funder.address()).await, scene.balance(room.address()).await), (before - PRICE, 0));
    runs.delete("roomy-room", &DeleteParams::default()).await.expect("delete");
}

async fn from_a_terminal(scene: &Scene) {
    let before = scene.balance(scene.funder.address()).await;
    let output = scene.command(&["prim.yaml", "--result", "report.json"]).output().expect("flywheel");
    let text = said(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert_eq!(scene.names().await, Vec::<String>::new(), "{text}");
    assert_eq!(scene.balance(scene.funder.address()).await, before - PRICE, "{text}");
    let report = std::fs::read_to_string(scene.folder.join("report.json")).expect("the report");
    let found = Report::parse_log(&report).expect("a report");
    assert_eq!(found.verdict, Verdict::Passed, "{report}");
    let confined = found.steps.iter().find(|step| step.name == "sandbox").and_then(|step| step.message.clone()).expect("what confines it");
    match &scene.class {
        Some(class) => assert_eq!(confined, format!("RuntimeClass {class}")),
        None => assert!(confined.contains("no sandbox runtime") && text.contains(&confined), "{text}"),
    }
    let key = file_at("TEST_WALLET_KEY_FILE");
    assert!(!text.contains(key.trim_start_matches("0x")) && !report.contains(key.trim_start_matches("0x")));
}

/// SIGKILL with the money in the room: whoever sweeps finds it.
async fn whose_maker_is_killed(scene: &Scene) {
    let before = scene.balance(scene.funder.address()).await;
    let silent = || Stdio::null();
    let mut maker = Maker(scene.command(&["prim.yaml"]).stdout(silent()).stderr(silent()).spawn().expect("flywheel"));
    let (name, wallet) = polled("money in the room", async || {
        assert!(maker.0.try_wait().expect("its state").is_none(), "it ended before it was funded");
        let [name] = &scene.names().await[..] else { return None };
        let wallet = scene.funder.derived(name).expect("its wallet");
        (scene.balance(wallet.address()).await > 0).then(|| (name.clone(), wallet))
    })
    .await;
    maker.0.kill().expect("SIGKILL");
    maker.0.wait().expect("its end");
    assert_eq!(scene.names().await, std::slice::from_ref(&name), "it is there, and nobody keeps it");

    let began = Instant::now();
    while !scene.names().await.is_empty() {
        let output = scene.command(&["--sweep"]).output().expect("flywheel");
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        assert!(began.elapsed() < ROOM, "{name} is not swept: {}", said(&output));
    }
    assert_eq!(scene.balance(wallet.address()).await, 0);
    let spent = before - scene.balance(scene.funder.address()).await;
    assert!(spent <= PRICE && PRICE < FUND, "what was not paid is back: {spent}");
}
