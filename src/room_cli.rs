//! `flywheel gate room`: layer 4 in its pod. Files are read and the verdict is written
//! here; what is done and judged is `src/room`'s.

use std::{
    fs,
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use tokio::{runtime::Handle, time::timeout_at};

use crate::{
    adapters::{clock::SystemClock, x402::Wallet},
    api::gate_run::{RETURN, Verdict},
    bank,
    canary_cli::{self, declared, model, wallet_from},
    contract_cli::{self, BODY},
    create,
    gate::{
        self, LastWords,
        bundle::digest,
        report::{Report, Step, overall},
    },
    gate_cli::{interrupted, refused},
    ports::{clock::Clock, payments::Payer},
    room::{Model, Purse, Room, RoomPlan, RoomPurse, Sandbox, Settings},
    runner::{
        Runner,
        budget::Budget,
        http,
        seeds::{Agent, seeds},
    },
    suite::{self, Mode, Plan},
};

/// What a clean room's pod is told.
#[derive(Debug, clap::Args)]
pub struct RoomArgs {
    /// File with the plan.
    #[arg(long)]
    plan: PathBuf,
    /// The plan's digest: the verdict is about that.
    #[arg(long)]
    digest: String,
    /// File with the command line, read-only at the same place in the sandbox.
    #[arg(long, default_value = crate::gate::layout::CLI)]
    cli: PathBuf,
    /// File with the private key of the wallet that funds the room; without it nothing is
    /// paid.
    #[arg(long)]
    wallet_file: Option<PathBuf>,
    /// File with the key of the model's server; without it none is sent.
    #[arg(long)]
    model_key_file: Option<PathBuf>,
    /// Where the sandbox finds programs.
    #[arg(long, default_value = "/usr/local/bin")]
    sandbox_path: String,
    /// Where the sandbox may write.
    #[arg(long, default_value = "/tmp")]
    sandbox_home: PathBuf,
    /// Loopback port on which the sandbox reports.
    #[arg(long, default_value_t = crate::gate::CONTROL_PORT)]
    control_port: u16,
    /// The room's name is the Job's.
    #[command(flatten)]
    last_words: LastWords,
}

/// What of a run's time is kept to bring money back and to say what was found.
const KEPT: Duration = Duration::from_secs(30);

/// How long money's way back may take, and in a pod that is ended, which has 20 s. What
/// was handed in is settled or not, whoever waits for it.
const RETURNED: [Duration; 2] = [Duration::from_secs(25), Duration::from_secs(15)];

fn late(room: &str, purse: &RoomPurse, most: Duration) -> Step {
    let what = format!(
        "nobody said within {} s what became of the money in room {room}, in the wallet {}",
        most.as_secs(),
        purse.payer().address()
    );
    Step { advisory: true, ..Step::not(RETURN, Verdict::Error, what) }
}

/// Runs, and exits with 0 whenever there is a verdict other than Error.
pub(crate) async fn main(args: &RoomArgs, wires: Handle) -> anyhow::Result<ExitCode> {
    let words = &args.last_words;
    match in_pod(args, wires).await {
        Ok(steps) => words.verdict(&Report::new(&words.job, &args.digest, steps)),
        Err(error) => words.error("input", gate::chain(error)),
    }
}

async fn in_pod(args: &RoomArgs, wires: Handle) -> anyhow::Result<Vec<Step>> {
    let began = Instant::now();
    let told: RoomPlan = gate::announced(&args.plan, &args.digest)?;
    let plan = suite::read(&told.plan.to_string(), Mode::Ours).map_err(|findings| refused(&args.plan, &findings))?;
    if let Some(cli) = &told.cli {
        let found = digest(&fs::read(&args.cli).with_context(|| args.cli.display().to_string())?);
        if found != cli.digest {
            bail!("cli: the file's digest is {found}, and {} was announced", cli.digest);
        }
    }
    let limits = &told.limits;
    let until = began + Duration::from_secs(limits.total_seconds).saturating_sub(KEPT).max(Duration::from_secs(1));
    let purse = purse(args, &told)?;
    let payer = match &purse {
        Some(purse) => Some(purse.payer()),
        None => args.wallet_file.as_deref().map(wallet_from).transpose()?,
    };
    let key = args.model_key_file.as_deref().map(create::key).transpose()?;
    let model = told.model.as_ref().map(|at| model(at, key, &limits.agent)).transpose()?;
    let seeds = seeds(&plan, &Agent { payer: payer.as_deref(), address: None }, SystemClock.now(), []).await?;
    let runner = runner(&told, &plan, payer.clone(), wires)?;
    let sandbox = match &told.cli {
        Some(_) => Some(sandbox(args, &told).await?),
        None => None,
    };
    let room = Room {
        told: &told,
        plan: &plan,
        runner,
        sandbox: sandbox.as_ref(),
        cli: &args.cli,
        model: model.as_ref().map(|(model, price)| Model { agent: model, price: *price }),
        seeds,
        until,
        as_step: contract_cli::step,
    };
    let mut steps = Vec::new();
    let used = used(&room, purse.as_ref().map(|purse| purse as &dyn Purse), payer.as_deref(), &mut steps);
    let ended = tokio::select! {
        // Listened for before anything begins: whoever is not would end without a word.
        biased;
        why = interrupted() => Some(why),
        () = used => None,
    };
    let most = RETURNED[usize::from(ended.is_some())];
    steps.extend(ended.map(|why| Step::not("end", Verdict::Error, why)));
    // Whatever came before: an earlier try may have left something, too.
    if let Some(purse) = &purse {
        let over = tokio::time::Instant::now() + most;
        // Its own first: there is little time.
        let back = timeout_at(over, purse.bring_back()).await;
        let back = back.unwrap_or_else(|_| late(&args.last_words.job, purse, most));
        // Of a long report the end is left out first.
        steps.insert(if back.verdict == Verdict::Passed { steps.len() } else { 0 }, back);
        steps.extend(timeout_at(over, purse.gather()).await.unwrap_or_default());
    }
    let milliseconds = i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX);
    steps.push(Step { milliseconds, ..Step::passed("total") });
    Ok(steps)
}

/// Everything between the first step and the money's way back.
async fn used(room: &Room<'_>, purse: Option<&dyn Purse>, payer: Option<&dyn Payer>, steps: &mut Vec<Step>) {
    if room.sandbox.is_some() {
        steps.push(room.confined());
    }
    steps.push(room.install().await);
    if overall(steps) == Verdict::Passed {
        match purse {
            Some(purse) => steps.extend(purse.fund().await),
            None => steps.push(Step { message: Some(pays(payer)), ..Step::passed("wallet") }),
        }
    }
    if overall(steps) == Verdict::Passed {
        let mut shown = room.tests().await;
        shown.extend(room.groups().await);
        // What was not tried counts neither for nor against, but all of it shows nothing.
        if !shown.iter().any(|step| step.verdict == Verdict::Passed) {
            shown.push(Step::not("tests", Verdict::Blocked, "nothing of the plan was shown"));
        }
        steps.extend(shown);
    }
}

fn pays(payer: Option<&dyn Payer>) -> String {
    payer.map_or_else(
        || "there is none: what costs something is not paid".into(),
        |payer| format!("{} pays: the room has none of its own", payer.address()),
    )
}

async fn sandbox(args: &RoomArgs, told: &RoomPlan) -> anyhow::Result<Sandbox> {
    let settings = Settings { program: told.primitive.clone(), path: args.sandbox_path.clone(), home: args.sandbox_home.clone() };
    Ok(Sandbox::open(args.control_port, settings).await?)
}

/// The room's own wallet, where it is to have one: it follows from the room's name.
fn purse(args: &RoomArgs, told: &RoomPlan) -> anyhow::Result<Option<RoomPurse>> {
    let Some(money) = &told.money else { return Ok(None) };
    let (Some(file), job) = (&args.wallet_file, args.last_words.job.as_str()) else {
        bail!("money: there is no --wallet-file that it could come from");
    };
    if job.is_empty() {
        bail!("money: a wallet is made for a room's name, and --job says none");
    }
    let funder = Wallet::from_file(file, Arc::new(SystemClock))?;
    Ok(Some(bank::purse(job, money, told.terms.as_ref(), funder, Arc::new(SystemClock))?))
}

fn runner(told: &RoomPlan, plan: &Plan, payer: Option<Arc<dyn Payer>>, wires: Handle) -> anyhow::Result<Runner> {
    let url: url::Url = told.url.parse().with_context(|| format!("url: {:?}", told.url))?;
    // Whatever a document says of where it answers: this service is tested.
    let bases = plan.tests.iter().map(|test| (test.service.clone(), url.clone())).collect();
    let limits = &told.limits.agent;
    let budget = Budget::new(limits.max_payment_micros.into(), limits.budget_micros.into());
    let settings = http::Settings { bases, ca: told.ca_bundle.clone(), body_limit: BODY, rate: None, wires: Some(wires) };
    let runner = canary_cli::runner(settings, payer, budget, declared(told.terms.as_ref()), Duration::from_secs(limits.request_seconds));
    // One sandbox runs one command at a time.
    Ok(Runner { jobs: 1, ..runner })
}
