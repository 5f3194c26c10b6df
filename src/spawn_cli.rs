//! `flywheel gate spawn`: a clean room from a terminal. Files, the Factory and the
//! terminal are read and written here; a room is made and taken away by `src/spawn`.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, anyhow, bail};
use kube::{Api, Client};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::{
    adapters::{clock::SystemClock, provisioner::HttpProvisioner, x402::Wallet},
    api::{factory::Factory, gate_run::Verdict, policy::CleanRoomPolicy},
    bank,
    controller::{gate_plan, objects},
    create,
    gate::{bundle::SourceFile, job, report::Summary},
    gate_cli::{interrupted, print, read},
    ports::{
        clock::Clock,
        payments::Payer,
        provisioner::{Order, Provisioner},
    },
    prim,
    report_files::{Output, ended},
    room::RoomPlan,
    runner::{budget::usd, progress::plain},
    spawn::{self, Cluster, FUNDER, Outcome, Pace, Spawner, Treasury, Ways},
    suite::{self, Exit, Mode},
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
    /// RuntimeClass of its pod; the Factory's unless that is said.
    #[arg(long)]
    runtime_class: Option<String>,
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
    let outcome = spawner.run(&order, async { drop(interrupted().await) }).await;
    told(result, &order, &outcome)
}

/// Empties the wallets of rooms that are gone.
async fn brought_back(rooms: &[String], treasury: &Treasury) -> anyhow::Result<Exit> {
    let mut exit = Exit::Proven;
    for room in rooms {
        match treasury.empty(room).await {
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
            suite::read(&text, Mode::Ours).map_err(|findings| crate::gate_cli::refused(path, &findings))?;
            // A plan may be YAML, and is taken as what it means.
            Some(serde_saphyr::from_str::<Value>(&text).with_context(|| path.display().to_string())?)
        }
    };
    let deployed = gate_plan::deployed(&files, factory, &Ok(written)).map_err(|problem| anyhow!("{problem}"))?;
    let policy = policy(factory);
    let seconds = args.timeout_seconds.unwrap_or_else(|| u32::try_from(policy.timeout_seconds).unwrap_or(600));
    let url = args.url.clone().unwrap_or_else(|| format!("https://{}.{}", parsed.id, factory.spec.dns.zone));
    let room = gate_plan::room(&deployed, factory, &policy).map_err(|problem| anyhow!("{problem}"))?;
    let room = gate_plan::room_at(room, &url, &args.commit, u64::from(seconds).saturating_sub(job::OVERHEAD_SECONDS), &[]);
    let plan: RoomPlan = serde_json::from_value(room.plan.clone()).context("the room's plan")?;
    let wallet = args.wallet_file.as_deref().map(create::key).transpose()?;
    let mut notes = std::collections::BTreeMap::new();
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
        expires: SystemClock.now() + jiff::SignedDuration::try_from(Pace::default().lease)?,
        notes,
    })
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
    let runtime_class = args.runtime_class.clone().or_else(|| factory.spec.deploy.runtime_class.clone());
    Ok(Ways { runtime_class, sealed_from: job::API_SERVER.into(), policies })
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
    let returned = |summary: &Summary| summary.steps.iter().all(|step| step.name != "return" || step.verdict == Verdict::Passed);
    if order.notes.contains_key(FUNDER) && !outcome.verdict.as_ref().is_ok_and(returned) {
        let id = &order.id;
        eprintln!("what a facilitator settles late comes to room {id}'s wallet: `flywheel gate spawn --bring-back {id}` empties it");
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
    let line = |step: &crate::api::gate_run::StepResult| {
        let why = step.message.as_ref().map(|message| format!(": {}", plain(message))).unwrap_or_default();
        format!("{:<8} {}{why}\n", step.verdict.as_str(), plain(&step.name))
    };
    let steps: String = summary.steps.iter().map(line).collect();
    format!("{steps}{}\n", summary.verdict.as_str())
}
