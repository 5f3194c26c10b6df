//! The trusted container: reads the plan and the files, verified by their
//! digests, runs every step, and writes the verdict. Its standard output is the
//! report and nothing else.

use std::{
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use tokio::{net::TcpListener, time::timeout};

use super::{
    Ahead, LastWords, announced,
    bundle::{self, SourceFile},
    chain,
    control::{self, Host},
    facilitator::{self, Facilitator},
    paths,
    plan::Plan,
    report::{Report, Step},
    seal,
    steps::{Place, files, generated, lint, secrets, service, suppressions, tests, types},
};
use crate::api::gate_run::Verdict;

/// How long the other container may take to start.
const HOST: Duration = Duration::from_secs(60);

/// Where everything is.
#[derive(Debug, clap::Args)]
pub struct UnitArgs {
    /// File with the bundle.
    #[arg(long)]
    bundle: PathBuf,
    /// The bundle's digest.
    #[arg(long)]
    digest: String,
    /// File with the plan.
    #[arg(long)]
    plan: PathBuf,
    /// The plan's digest.
    #[arg(long)]
    plan_digest: String,
    /// What an open pod would reach: the network is looked at again.
    #[arg(long)]
    sealed_from: String,
    /// The laid-out tree.
    #[arg(long, default_value = "/opt/factory/work")]
    work: PathBuf,
    #[command(flatten)]
    last_words: LastWords,
}

/// Runs, and exits with 0 whenever there is a verdict other than Error.
pub(super) async fn main(args: &UnitArgs, ahead: &Ahead<'_>) -> anyhow::Result<ExitCode> {
    let words = &args.last_words;
    match read(args) {
        Ok((plan, all)) => words.verdict(&Report::new(&words.job, &args.digest, every_step(args, &plan, all, ahead).await)),
        Err(error) => words.error("input", chain(error)),
    }
}

fn read(args: &UnitArgs) -> anyhow::Result<(Plan, Vec<SourceFile>)> {
    let plan = announced(&args.plan, &args.plan_digest)?;
    Ok((plan, bundle::files(&super::unpack::read(&args.bundle)?, &args.digest)?))
}

async fn every_step(args: &UnitArgs, plan: &Plan, all: Vec<SourceFile>, ahead: &Ahead<'_>) -> Vec<Step> {
    let total = Duration::from_secs(plan.limits.total_seconds);
    let began = Instant::now();
    let place = Place { work: args.work.clone(), tools: "/usr/local/bin".into(), patience: Duration::from_secs(plan.limits.tool_seconds) };
    let on_files = timeout(total, on_files(plan, all, &place));
    let on_service = timeout(total, on_service(args, plan, ahead));
    let (on_files, on_service) = tokio::join!(on_files, on_service);
    let late = |part: &str| vec![Step::not(part, Verdict::Error, format!("no end within {} s", total.as_secs()))];
    let mut steps = on_files.unwrap_or_else(|_| late("tools"));
    steps.extend(on_service.unwrap_or_else(|_| late("service")));
    steps.push(still_sealed(&args.sealed_from).await);
    let milliseconds = service::since(began);
    steps.push(Step { milliseconds, ..Step::passed("total") });
    steps
}

/// What needs nothing of the package to run.
async fn on_files(plan: &Plan, all: Vec<SourceFile>, place: &Place) -> Vec<Step> {
    let secrets = secrets::step(&all, place).await;
    let (good, refused) = paths::judge(&plan.primitive, all);
    let mut steps = vec![files::step(&refused), secrets, suppressions::step(&good)];
    if !plan.generated.is_empty() {
        steps.push(generated::step(&plan.generated, &good));
    }
    steps.push(lint::step(&plan.primitive, place).await);
    steps.push(types::step(place).await);
    steps
}

/// What runs the package's code: the service first, while nothing else has run.
async fn on_service(args: &UnitArgs, plan: &Plan, ahead: &Ahead<'_>) -> Vec<Step> {
    let (mut host, facilitator) = match open(args, plan).await {
        Ok(both) => both,
        Err(error) => return vec![Step::not("service", Verdict::Error, chain(error))],
    };
    let mut steps = service::steps(plan, &mut host, &facilitator, ahead).await;
    steps.push(tests::exports(plan, &mut host).await);
    steps.push(tests::tests(plan, &mut host).await);
    steps
}

/// Takes every port that the package must not have, and only then the host that
/// will run it.
async fn open(args: &UnitArgs, plan: &Plan) -> anyhow::Result<(Host, Facilitator)> {
    if seal::is_open(&args.sealed_from)? {
        bail!("the pod reaches {} although it was sealed: something changed the network's policy", args.sealed_from);
    }
    let listener = TcpListener::bind(("127.0.0.1", facilitator::PORT)).await.context("the facilitator's port")?;
    let facilitator = Facilitator::new(&plan.terms.network);
    tokio::spawn(facilitator.clone().serve(listener));
    let listener = TcpListener::bind(("127.0.0.1", control::PORT)).await.context("the host's port")?;
    Ok((Host::accept(listener, HOST).await?, facilitator))
}

/// The network was closed all the time, or at least is at the end.
async fn still_sealed(target: &str) -> Step {
    let target = target.to_owned();
    match tokio::task::spawn_blocking(move || seal::is_open(&target)).await {
        Ok(Ok(false)) => Step::passed("sealed"),
        Ok(Ok(true)) => Step::not("sealed", Verdict::Error, "the pod's network is open: what ran in it may have reached others"),
        Ok(Err(error)) => Step::not("sealed", Verdict::Error, chain(error)),
        Err(error) => Step::not("sealed", Verdict::Error, chain(error)),
    }
}
