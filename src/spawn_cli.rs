//! `flywheel gate spawn`: a clean room from a terminal. Files, the Factory and the
//! terminal are read and written here; a room is made and taken away by `src/spawn`.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, anyhow, bail};
use jiff::{SignedDuration, Timestamp};
use kube::{Api, Client};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::{
    adapters::{clock::SystemClock, provisioner::HttpProvisioner, x402::Wallet},
    api::{
        factory::Factory,
        gate_run::{RETURN, StepResult, Verdict},
        policy::CleanRoomPolicy,
    },
    bank,
    controller::{
        gate_plan::{self, At},
        objects,
    },
    create,
    gate::{bundle::SourceFile, job, report::Summary},
    gate_cli::{interrupted, print, read, refused},
    ports::{
        clock::Clock,
        payments::Payer,
        provisioner::{FUNDER, Order, Provisioner},
    },
    prim,
    report_files::{Output, ended},
    room::{RoomPlan, UNCONFINED},
    runner::{budget::usd, progress::plain},
    spawn::{self, Cluster, Outcome, Pace, Spawner, Treasury, Ways},
    suite::{self, Code, Exit, Finding, Known, Mode},
    telemetry,
};

/// What `flywheel gate spawn` is told.
#[derive(Debug, clap::Args)]
pub struct SpawnArgs {
    /// The service's prim.yaml; without it rooms are only swept.
    #[arg(required_unless_present_any = ["sweep", "bring_back"], conflicts_with_all = ["sweep", "bring_back"])]
    document: Option<PathBuf>,
    /// Only takes rooms away whose makers are gone, and brings their money back.
    #[arg(long)]
    sweep: bool,
    /// Empties the wallet of a room that is gone, by its name: a `gate spawn`'s, or the Job
    /// of a GateRun.
    #[arg(long, value_name = "ROOM", requires = "wallet_file", conflicts_with = "sweep")]
    bring_back: Vec<String>,
    /// The Factory whose image, zone, terms and policy are used.
    #[arg(long)]
    factory: String,
    /// Its namespace.
    #[arg(long, short, default_value = "flywheel")]
    namespace: String,
    /// The gates' namespace, whose policies say what a room may reach.
    #[arg(long, default_value = "flywheel-gates")]
    gates_namespace: String,
    /// Where the service answers; by its id in the Factory's zone unless that is said.
    #[arg(long)]
    url: Option<String>,
    /// A gate's test plan, such as the repository's gates/plan.json; without it every
    /// test is derived from the document.
    #[arg(long)]
    plan: Option<PathBuf>,
    /// The commit that the document is of, for the report.
    #[arg(long, default_value = "")]
    commit: String,
    /// File with the private key of the wallet that a room's own is filled from; without
    /// it nothing is paid.
    #[arg(long)]
    wallet_file: Option<PathBuf>,
    /// File with the key that the Factory's model takes; without it no model is asked
    /// that takes one.
    #[arg(long)]
    model_key_file: Option<PathBuf>,
    /// Seconds that the room may take; as the Factory's policy says otherwise.
    #[arg(long, value_parser = clap::value_parser!(u32).range(180..=3600))]
    timeout_seconds: Option<u32>,
    /// RuntimeClass of its pod, such as gvisor; the Factory's spec.deploy.runtimeClass
    /// unless that is said.
    #[arg(long, value_name = "NAME")]
    runtime_class: Option<String>,
    /// Makes the room without a sandbox runtime where no RuntimeClass is named.
    #[arg(long)]
    unconfined: bool,
    /// Base URL of a server that makes machines, instead of the cluster (docs/rooms.md).
    #[arg(long, value_name = "URL", requires = "provisioner_key_file")]
    provisioner: Option<String>,
    /// File with the key that this server takes.
    #[arg(long, value_name = "FILE")]
    provisioner_key_file: Option<PathBuf>,
    /// Writes the report as JSON.
    #[arg(long, value_name = "FILE")]
    result: Option<PathBuf>,
}

/// Runs; what can't begin is an error.
pub(crate) async fn run(args: &SpawnArgs) -> anyhow::Result<Exit> {
    telemetry::install_crypto_provider();
    let client = Client::try_default().await.context("no cluster: is there a kubeconfig?")?;
    let factories: Api<Factory> = Api::namespaced(client.clone(), &args.namespace);
    let found = objects::find(&factories, &args.factory).await?;
    let found = found.ok_or_else(|| anyhow!("--factory: there is no Factory {} in namespace {}", args.factory, args.namespace))?;
    let factory = furnished(found, args);
    let order = args.document.as_ref().map(|document| order(args, document, &factory)).transpose()?;
    let treasury = treasury(args, &factory)?;
    if let (false, Some(treasury)) = (args.bring_back.is_empty(), &treasury) {
        return brought_back(&args.bring_back, treasury).await;
    }
    let result = args.result.as_deref().map(Output::open).transpose()?;
    let rooms: Box<dyn Provisioner> = match (&args.provisioner, &args.provisioner_key_file) {
        (Some(url), Some(file)) => Box::new(HttpProvisioner::with_key_file(url, file)?),
        _ => Box::new(Cluster::new(client.clone(), ways(&client, &factory, args).await?)),
    };
    let spawner = Spawner {
        rooms: rooms.as_ref(),
        treasury: treasury.as_ref(),
        clock: &SystemClock,
        pace: Pace::default(),
        tell: &|line| eprintln!("{}", plain(line)),
    };
    // Whoever makes a room first clears up after those who could not.
    let swept = swept(&spawner).await?;
    let Some(order) = order else { return Ok(if swept { Exit::Proven } else { Exit::Unproven }) };
    // Sweeping takes as long as it takes: its maker counts as there from now on.
    let order = Order { expires: leased(&SystemClock)?, ..order };
    let outcome = spawner.run(&order, async { drop(interrupted().await) }).await;
    told(result, &order, &outcome)
}

/// Empties the wallets of rooms that are gone. One that has nothing proves nothing: it
/// may be another's, or a node may be behind.
async fn brought_back(rooms: &[String], treasury: &Treasury) -> anyhow::Result<Exit> {
    let mut exit = Exit::Proven;
    for room in rooms {
        match treasury.empty(room).await {
            Ok(0) => {
                let on = &treasury.bank.token.network;
                eprintln!("the wallet of room {room} has nothing on {on}; of another Factory's room, name that Factory");
                exit = Exit::Unproven;
            }
            Ok(brought) => eprintln!("{} USDC of room {room} are back", usd(brought)),
            Err(problem) => {
                eprintln!("room {room}: {}", plain(&problem));
                exit = Exit::Unproven;
            }
        }
    }
    Ok(exit)
}

/// The Factory with what this command has of wallets and keys in place of its Secrets.
fn furnished(mut factory: Factory, args: &SpawnArgs) -> Factory {
    let gates = &mut factory.spec.policy.gates;
    gates.contract.wallet = args.wallet_file.as_ref().map(|_| "the wallet file".into());
    if args.model_key_file.is_none() && gates.canary.as_ref().is_some_and(|canary| canary.model.secret.is_some()) {
        eprintln!("the Factory's model takes a key, and there is no --model-key-file: no model is asked");
        gates.canary = None;
    }
    factory
}

/// What is ordered: as a GateRun would have it made.
fn order(args: &SpawnArgs, document: &Path, factory: &Factory) -> anyhow::Result<Order> {
    let text = read(document)?;
    let parsed = prim::read(&text).map_err(|problems| {
        let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
        anyhow!("{}: {}", document.display(), problems.join("; "))
    })?;
    let files = [SourceFile::new(format!("packages/{}/prim.yaml", parsed.id), text)];
    let written = match &args.plan {
        None => None,
        Some(path) => {
            let text = read(path)?;
            let plan = suite::read(&text, Mode::Ours).map_err(|findings| refused(path, &findings))?;
            sound(&plan).map_err(|findings| refused(path, &findings))?;
            // A plan may be YAML, and is taken as what it means.
            Some(serde_saphyr::from_str::<Value>(&text).with_context(|| path.display().to_string())?)
        }
    };
    let deployed = gate_plan::deployed(&files, factory, &Ok(written)).map_err(|problem| anyhow!("{problem}"))?;
    let policy = policy(factory);
    let seconds = args.timeout_seconds.unwrap_or_else(|| u32::try_from(policy.timeout_seconds).unwrap_or(600));
    let url = args.url.clone().unwrap_or_else(|| format!("https://{}.{}", parsed.id, factory.spec.dns.zone));
    let room = gate_plan::room(&deployed, factory, &policy).map_err(|problem| anyhow!("{problem}"))?;
    let confined_by = confined_by(args, factory)?;
    let seconds_inside = u64::from(seconds).saturating_sub(job::OVERHEAD_SECONDS);
    let at = At { url: &url, commit: &args.commit, seconds: seconds_inside, earlier: &[], confined_by: confined_by.as_deref() };
    let room = gate_plan::room_at(room, at);
    let plan: RoomPlan = serde_json::from_value(room.plan.clone()).context("the room's plan")?;
    let wallet = args.wallet_file.as_deref().map(create::key).transpose()?;
    let mut notes = gate_plan::notes(factory);
    if let (Some(_), Some(key)) = (&plan.money, &wallet) {
        notes.insert(FUNDER.to_owned(), wallet_of(key)?.address().to_owned());
    }
    Ok(Order {
        id: fresh(),
        image: factory.spec.deploy.image.clone(),
        primitive: plan.primitive,
        plan: room.plan.to_string(),
        cli: room.cli,
        wallet,
        model_key: args.model_key_file.as_deref().map(create::key).transpose()?,
        seconds,
        expires: leased(&SystemClock)?,
        notes,
    })
}

/// Until when a room's maker counts as there that says so now.
fn leased(clock: &dyn Clock) -> anyhow::Result<Timestamp> {
    Ok(clock.now() + SignedDuration::try_from(Pace::default().lease)?)
}

/// What tests need of each other has to be there: those of other services are left out
/// of the room's, and a need with them.
fn sound(plan: &suite::Plan) -> Result<(), Vec<Finding>> {
    let unsound = |finding: &Finding| matches!(finding.code, Code::DanglingDependency | Code::Cycle);
    let found: Vec<_> = suite::lint(plan, &Known::default()).into_iter().filter(unsound).collect();
    if found.is_empty() { Ok(()) } else { Err(found) }
}

fn runtime_class<'a>(args: &'a SpawnArgs, factory: &'a Factory) -> Option<&'a str> {
    args.runtime_class.as_deref().or(factory.spec.deploy.runtime_class.as_deref())
}

/// What confines a room's commands. Without anything it is not made, unless that is
/// wanted.
fn confined_by(args: &SpawnArgs, factory: &Factory) -> anyhow::Result<Option<String>> {
    if args.provisioner.is_some() {
        return Ok(Some("a machine of the provisioner's".into()));
    }
    let by = gate_plan::confined_by(runtime_class(args, factory));
    if by.is_none() && !args.unconfined {
        bail!(
            "--runtime-class: none is named, and neither does the Factory's spec.deploy.runtimeClass, so that whatever the command line does would be confined by a container alone: name one, such as gvisor, or say --unconfined"
        );
    }
    if by.is_none() {
        eprintln!("{UNCONFINED}");
    }
    Ok(by)
}

fn policy(factory: &Factory) -> CleanRoomPolicy {
    factory.spec.policy.gates.clean_room.clone().unwrap_or_default()
}

fn wallet_of(key: &SecretString) -> anyhow::Result<Wallet> {
    Ok(Wallet::new(&key.expose_secret().to_owned().into(), "--wallet-file", Arc::new(SystemClock))?)
}

/// A name that no room had.
fn fresh() -> String {
    let number = RandomState::new().build_hasher().finish();
    format!("room-{:010x}", number & 0xff_ffff_ffff)
}

/// The wallet that rooms are filled from, and who moves its money.
fn treasury(args: &SpawnArgs, factory: &Factory) -> anyhow::Result<Option<Treasury>> {
    let Some(file) = &args.wallet_file else { return Ok(None) };
    let funder = Wallet::from_file(file, Arc::new(SystemClock))?;
    let money = gate_plan::money(factory, &policy(factory)).map_err(|problem| anyhow!("{problem}"))?;
    let money = serde_json::from_value(money).context("the Factory's policy.gates.cleanRoom")?;
    let bank = bank::bank(&money, Some(&gate_plan::terms(&factory.spec.deploy.env)))?;
    let address = funder.address().to_owned();
    let wallet = move |room: &str| Ok(Arc::new(funder.derived(room)?) as Arc<dyn Payer>);
    Ok(Some(Treasury { bank, funder: address, wallet: Box::new(wallet) }))
}

async fn ways(client: &Client, factory: &Factory, args: &SpawnArgs) -> anyhow::Result<Ways> {
    let policies = Cluster::policies(client, &args.gates_namespace).await?;
    if policies.is_empty() {
        bail!("--gates-namespace: {} has no NetworkPolicy, and a room reaches what the gates' let it reach", args.gates_namespace);
    }
    Ok(Ways { runtime_class: runtime_class(args, factory).map(str::to_owned), sealed_from: job::API_SERVER.into(), policies })
}

/// Whether nothing of rooms whose makers are gone is left.
async fn swept(spawner: &Spawner<'_>) -> anyhow::Result<bool> {
    let mut all = true;
    for swept in spawn::sweep(spawner).await? {
        match swept.brought {
            Ok(brought) => eprintln!("room {} is gone, and {} USDC of it are back", swept.id, usd(brought)),
            Err(problem) => {
                eprintln!("{}", plain(&problem));
                all = false;
            }
        }
    }
    Ok(all)
}

/// Says what came out of it.
fn told(result: Option<Output>, order: &Order, outcome: &Outcome) -> anyhow::Result<Exit> {
    if let Some(left) = &outcome.left {
        eprintln!("{}; `flywheel gate spawn --sweep` tries again", plain(left));
    }
    let verdict = match &outcome.verdict {
        Ok(summary) => {
            print(&lines(summary))?;
            summary.verdict
        }
        Err(why) => {
            eprintln!("no verdict: {}", plain(why));
            Verdict::Error
        }
    };
    // Whoever had no last word, or none of its money's, may have some that comes late.
    let returned = |summary: &Summary| summary.steps.iter().all(|step| step.name != RETURN || step.verdict == Verdict::Passed);
    if order.notes.contains_key(FUNDER) && !outcome.verdict.as_ref().is_ok_and(returned) {
        let id = &order.id;
        eprintln!(
            "what is left there, or is settled late, is in room {id}'s wallet: `flywheel gate spawn --bring-back {id}` empties it, with the Factory's policy.gates.cleanRoom.rpc"
        );
    }
    let untried = outcome.verdict.as_ref().map_or(0, |summary| summary.untried);
    if untried > 0 {
        eprintln!("{untried} of its tests were not tried");
    }
    let exit = match (verdict, &outcome.left) {
        (Verdict::Failed, _) => Exit::Failed,
        (Verdict::Passed, None) if untried == 0 => Exit::Proven,
        _ => Exit::Unproven,
    };
    let written = match (result, &outcome.report) {
        (Some(result), Some(report)) => result.write(&format!("{report}\n")),
        (Some(_), None) => Err(anyhow!("the room printed none")),
        (None, _) => Ok(()),
    };
    Ok(ended(exit, written))
}

fn lines(summary: &Summary) -> String {
    let line = |step: &StepResult| {
        let why = step.message.as_ref().map(|message| format!(": {}", plain(message))).unwrap_or_default();
        format!("{:<8} {}{why}\n", step.verdict.as_str(), plain(&step.name))
    };
    let steps: String = summary.steps.iter().map(line).collect();
    format!("{steps}{}\n", summary.verdict.as_str())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use serde_json::json;

    use super::*;

    const DOCUMENT: &str = "id: notes\nname: notes.sh\nfactory: { free_service: true }\nroutes_map:\n  - { route: GET /v1/notes, status: 200, operation_id: list_notes }\n";

    #[derive(clap::Parser)]
    struct Cli {
        #[command(flatten)]
        spawn: SpawnArgs,
    }

    fn factory(runtime_class: Option<&str>) -> Factory {
        serde_json::from_value(json!({
            "apiVersion": "flywheel.prim.sh/v1alpha1", "kind": "Factory", "metadata": { "name": "prim", "namespace": "flywheel" },
            "spec": {
                "repository": { "forge": "Gitea", "url": "http://forge", "owner": "prim", "name": "factory", "credentials": { "name": "x" } },
                "dns": { "zone": "prim.sh", "rfc2136": { "server": "127.0.0.1:53", "credentials": { "name": "x" } } },
                "deploy": {
                    "image": "runtime", "runtimeClass": runtime_class,
                    "edge": { "adminUrl": "https://127.0.0.1", "adminCaBundle": "x", "credentials": { "name": "x" }, "address": "127.0.0.1" }
                }
            }
        }))
        .expect("a Factory")
    }

    /// What is ordered with these words, of a service whose repository has this plan.
    fn ordered(name: &str, words: &[&str], factory: &Factory, plan: &Value) -> anyhow::Result<RoomPlan> {
        let folder = std::env::temp_dir().join(format!("spawn-cli-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let (document, written) = (folder.join("prim.yaml"), folder.join("plan.json"));
        std::fs::write(&document, DOCUMENT)?;
        std::fs::write(&written, plan.to_string())?;
        let own = ["spawn", "--factory", "prim", "--plan"].map(PathBuf::from).into_iter();
        let all = own.chain([written, document.clone()]).chain(words.iter().map(PathBuf::from));
        let order = order(&Cli::try_parse_from(all)?.spawn, &document, factory);
        std::fs::remove_dir_all(&folder)?;
        Ok(serde_json::from_str(&order?.plan)?)
    }

    fn plan(depends_on: &Value) -> Value {
        let test = json!({ "id": "LIST", "service": "notes.sh", "test": "list", "method": "GET", "endpoint": "https://notes.prim.sh/v1/notes", "input": null, "expected": { "status": 200 }, "depends_on": depends_on, "captures": {}, "notes": null });
        json!({ "plan": "p", "version": 1, "network": "", "context": "", "groups": [{ "id": "g", "name": "g", "prompt": "", "tests": ["LIST"] }], "tests": [test] })
    }

    #[test]
    fn a_room_that_nothing_confines_is_made_only_for_who_says_so() {
        let none = plan(&json!([]));
        let refused = ordered("refused", &[], &factory(None), &none).unwrap_err().to_string();
        assert!(refused.contains("--runtime-class") && refused.contains("--unconfined"), "{refused}");
        for (name, words, class, confined) in [
            ("unconfined", vec!["--unconfined"], None, None),
            ("factory", vec![], Some("gvisor"), Some("RuntimeClass gvisor")),
            ("named", vec!["--runtime-class", "kata"], Some("gvisor"), Some("RuntimeClass kata")),
            ("machine", vec!["--provisioner", "https://p", "--provisioner-key-file", "k"], None, Some("a machine of the provisioner's")),
        ] {
            let told = ordered(name, &words, &factory(class), &none).unwrap();
            assert_eq!(told.confined_by.as_deref(), confined, "{name}");
        }
    }

    /// As `gate lint` says, though the room's own plan has that service's tests alone.
    #[test]
    fn a_test_that_needs_what_is_not_there_is_refused() {
        let refused = ordered("dangling", &["--unconfined"], &factory(None), &plan(&json!(["nosuch"]))).unwrap_err().to_string();
        assert!(refused.contains("tests[0].depends_on") && refused.contains("nosuch"), "{refused}");
    }
}
