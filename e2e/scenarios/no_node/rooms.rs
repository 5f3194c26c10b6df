//! A clean room that is a namespace, on a real API server, with money of a real chain:
//! whoever is interrupted takes it away, and whoever is killed is swept up after. No node
//! runs its pod, so that its test fills its wallet as the pod would.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use flywheel::{
    adapters::{clock::SystemClock, x402::Wallet},
    api::gate_run::Verdict,
    bank,
    ports::payments::Payer,
    room::{Money, Purse},
};
use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{Namespace, Secret},
    networking::v1::NetworkPolicy,
};
use kube::{
    Api, Client, ResourceExt,
    api::{ListParams, Patch, PatchParams},
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::{
    cluster::bed::{NAME, NAMESPACE, factories},
    control_plane::installed,
    support::{apply, documents, file_at, polled, testbed, variable},
};

/// How long anything here may take: the longest is the time after which a maker counts as
/// gone.
const PATIENCE: Duration = Duration::from_secs(180);
const DOCUMENT: &str =
    "id: roomy\nname: roomy.sh\nroutes_map:\n  - { route: GET /v1/names, operation_id: list_names, price: \"$0.001\" }\n";

/// Ends what it started, whatever becomes of the test.
struct Maker(Child);

impl Drop for Maker {
    fn drop(&mut self) {
        // An error means that it has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn spawn(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flywheel"));
    command.args(["gate", "spawn", "--factory", NAME, "--namespace", NAMESPACE, "--wallet-file", &variable("TEST_WALLET_KEY_FILE")]);
    // No node runs it.
    command.arg("--unconfined").args(arguments).stdout(Stdio::null());
    command
}

async fn rooms(client: &Client) -> Vec<Namespace> {
    let all: Api<Namespace> = Api::all(client.clone());
    all.list(&ListParams::default().labels("flywheel.prim.sh/room")).await.expect("namespaces").items
}

/// A room whose Job is there, and who made it.
async fn made(client: &Client, document: &str) -> (String, Maker) {
    let maker = Maker(spawn(&[document]).spawn().expect("flywheel"));
    let made = async {
        loop {
            if let [room] = &rooms(client).await[..] {
                let jobs: Api<Job> = Api::namespaced(client.clone(), &room.name_any());
                if !jobs.list(&ListParams::default()).await.expect("Jobs").items.is_empty() {
                    return room.name_any();
                }
            }
        }
    };
    (tokio::time::timeout(PATIENCE, made).await.expect("a room"), maker)
}

#[tokio::test]
async fn a_room_goes_with_its_maker_or_after_it_and_its_money_comes_back() {
    let client = installed().await;
    apply(&client, &documents(&testbed("factory")), false).await.expect("the bed's Factory");
    let gates = json!({ "spec": { "policy": { "gates": { "cleanRoom": { "fund": "$0.05", "rpc": variable("CHAIN_RPC") } } } } });
    factories(&client).patch(NAME, &PatchParams::default(), &Patch::Merge(gates)).await.expect("the policy");
    let folder = std::env::temp_dir().join(format!("no-node-rooms-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let document = folder.join("prim.yaml");
    std::fs::write(&document, DOCUMENT).expect("the document");
    let document = document.to_str().expect("text");

    let (name, mut maker) = made(&client, document).await;
    closed_and_told_no_key(&client, &name).await;
    let pid = Pid::from_raw(i32::try_from(maker.0.id()).expect("a pid")).expect("a pid");
    kill_process(pid, Signal::TERM).expect("SIGTERM");
    assert_eq!(maker.0.wait().expect("its end").code(), Some(2), "it says that nothing was shown");
    assert!(rooms(&client).await.is_empty(), "it takes its room away");

    let (name, mut maker) = made(&client, document).await;
    let key = || Wallet::from_file(Path::new(&variable("TEST_WALLET_KEY_FILE")), Arc::new(SystemClock)).expect("the test wallet");
    let money = Money { facilitator: variable("FACILITATOR_URL"), rpc: Some(variable("CHAIN_RPC")), micros: 50_000, earlier: Vec::new() };
    let chain = bank::bank(&money, None).expect("a bank");
    let ledger = chain.ledger.as_ref().expect("the chain");
    let (funder, room) = (key(), key().derived(&name).expect("its wallet"));
    let balance = async |address: &str| polled("a balance", async || ledger.balance(&chain.token, address).await.ok()).await;
    let before = balance(funder.address()).await;
    let steps = bank::purse(&name, &money, None, key(), Arc::new(SystemClock)).expect("a purse").fund().await;
    assert!(steps.iter().all(|step| step.verdict == Verdict::Passed), "{steps:?}");
    assert_eq!((balance(funder.address()).await, balance(room.address()).await), (before - 50_000, 50_000));
    maker.0.kill().expect("SIGKILL");
    maker.0.wait().expect("its end");
    assert_eq!(rooms(&client).await.len(), 1, "nobody keeps it, and it is there");
    let began = Instant::now();
    while !rooms(&client).await.is_empty() {
        let ended = spawn(&["--sweep"]).status().expect("flywheel");
        assert_eq!(ended.code(), Some(0));
        assert!(began.elapsed() < PATIENCE, "{name} is not swept");
    }
    assert_eq!((balance(funder.address()).await, balance(room.address()).await), (before, 0));
    std::fs::remove_dir_all(&folder).expect("the folder");
}

/// Its policies are there before what runs in it, and its key is in a Secret alone.
async fn closed_and_told_no_key(client: &Client, name: &str) {
    let policies: Api<NetworkPolicy> = Api::namespaced(client.clone(), name);
    let names: Vec<_> = policies.list(&ListParams::default()).await.expect("policies").items.iter().map(ResourceExt::name_any).collect();
    assert!(["closed", "gates-default-deny", "gates-contract"].iter().all(|name| names.contains(&(*name).to_owned())), "{names:?}");
    let secrets: Api<Secret> = Api::namespaced(client.clone(), name);
    // They go with the Job, which does not stay, whoever else does.
    let owned = async {
        loop {
            let items = secrets.list(&ListParams::default()).await.expect("Secrets").items;
            let owned = |key: &Secret| key.owner_references().iter().any(|owner| owner.kind == "Job" && owner.name == name);
            assert!(items.iter().all(owned), "a key is its Job's from the first moment on");
            if items.len() == 1 {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, owned).await.expect("its key");
    let jobs: Api<Job> = Api::namespaced(client.clone(), name);
    let job = serde_json::to_string(&jobs.get(name).await.expect("the Job")).expect("JSON");
    assert!(!job.contains(file_at("TEST_WALLET_KEY_FILE").trim_start_matches("0x")));
}
