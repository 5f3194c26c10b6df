//! `flywheel gate contract`: layer 2 in its pod, and the look ahead of layer 1. Whether the service is there at all is
//! `gate/contract.rs`'s; the tests of its routes are `src/suite`'s and `src/runner`'s.
//! Its standard output is the report and nothing else.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::future::LocalBoxFuture;
use tokio::runtime::Handle;

use crate::{
    adapters::{clock::SystemClock, x402::Wallet},
    api::gate_run::Verdict,
    gate::{
        self, LastWords,
        contract::steps,
        layout::PORT,
        plan::{Contract, Limits, Preview, Route},
        report::{Report, Step, overall},
    },
    gate_cli::refused,
    ports::{clock::Clock, payments::Payer},
    runner::{
        Runner,
        budget::Budget,
        http::{Http, Settings},
        pay::Cashier,
        progress::Quiet,
        seeds::{Agent, seeds},
    },
    suite::{self, Mode, Outcome, Payment, Plan, Run, Secrets, TestResult},
};

/// Most requests at once: a service under test has half a CPU.
const JOBS: usize = 8;
/// Bytes of an answer's body that are read.
pub(crate) const BODY: usize = 1 << 20;
/// How long after "Settlement failed" another payment is signed.
const AGAIN_AFTER: Duration = Duration::from_secs(2);

/// How long the look ahead may take.
const PREVIEW: Duration = Duration::from_secs(60);

/// Where the plan is.
#[derive(Debug, clap::Args)]
pub struct ContractArgs {
    /// File with the plan.
    #[arg(long)]
    plan: PathBuf,
    /// The plan's digest: the verdict is about that.
    #[arg(long)]
    digest: String,
    /// File with the private key of the wallet that pays; without it nothing is paid.
    #[arg(long)]
    wallet_file: Option<PathBuf>,
    #[command(flatten)]
    last_words: LastWords,
}

/// Runs, and exits with 0 whenever there is a verdict other than Error.
pub(crate) async fn main(args: &ContractArgs, wires: Handle) -> anyhow::Result<ExitCode> {
    let words = &args.last_words;
    match in_pod(args, wires).await {
        Ok(steps) => words.verdict(&Report::new(&words.job, &args.digest, steps)),
        Err(error) => words.error("input", gate::chain(error)),
    }
}

async fn in_pod(args: &ContractArgs, wires: Handle) -> anyhow::Result<Vec<Step>> {
    let contract: Contract = gate::announced(&args.plan, &args.digest)?;
    let payer = args.wallet_file.as_deref().map(|file| Wallet::from_file(file, Arc::new(SystemClock))).transpose()?;
    let payer = payer.map(|wallet| Arc::new(wallet) as Arc<dyn Payer>);
    let began = Instant::now();
    let first = steps(&contract).await;
    // Who is not there, or is another, is not asked everything.
    let Some(suite) = contract.suite.as_ref().filter(|_| overall(&first) == Verdict::Passed) else { return Ok(first) };
    let plan = suite::read(&suite.to_string(), Mode::Ours).map_err(|findings| refused(&args.plan, &findings))?;
    let mut all: Vec<_> = first.into_iter().filter(|step| step.name != TOTAL).collect();
    all.extend(tests(&contract, &plan, payer, began, Some(wires)).await?);
    let milliseconds = i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX);
    all.push(Step { milliseconds, ..Step::passed(TOTAL) });
    Ok(all)
}

/// The step that says how long all took.
const TOTAL: &str = "total";

/// Tries layer 2's tests against a change's service that runs in the pod of layer 1,
/// where the stub facilitator takes every payment.
pub(crate) fn ahead<'a>(plan: &'a gate::plan::Plan, preview: &'a Preview, wires: Handle) -> LocalBoxFuture<'a, Vec<Step>> {
    Box::pin(async move {
        let began = Instant::now();
        let mut steps = match tried(plan, preview, began, wires).await {
            Ok(steps) => steps,
            Err(error) => vec![Step::not("tests", Verdict::Error, gate::chain(error))],
        };
        let passed = steps.iter().filter(|step| step.verdict == Verdict::Passed).count();
        let summary = Step { message: Some(format!("{passed} of {} tests passed", steps.len())), ..Step::passed("in all") };
        // What passed is counted: a verdict has room for some steps alone.
        steps.retain(|step| step.verdict != Verdict::Passed);
        steps.push(Step { milliseconds: i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX), ..summary });
        let named = |step: Step| Step { name: format!("preview {}", step.name), advisory: step.advisory || !preview.required, ..step };
        steps.into_iter().map(named).collect()
    })
}

async fn tried(plan: &gate::plan::Plan, preview: &Preview, began: Instant, wires: Handle) -> anyhow::Result<Vec<Step>> {
    let suite =
        suite::read(&preview.suite.to_string(), Mode::Ours).map_err(|findings| refused("the preview's plan".as_ref(), &findings))?;
    let limits = Limits { total_seconds: PREVIEW.as_secs(), ..plan.limits.clone() };
    let here = Contract {
        url: format!("http://127.0.0.1:{PORT}"),
        commit: String::new(),
        ca_bundle: None,
        plan: gate::plan::Plan { limits, ..plan.clone() },
        suite: None,
        payment: Some(gate::plan::Payment { request_micros: u64::MAX, run_micros: u64::MAX }),
    };
    // Nobody's wallet: the key is one, and no chain hears of what it signs.
    let wallet = Wallet::new(&format!("{:064x}", 1).into(), "the preview's wallet", Arc::new(SystemClock))?;
    tests(&here, &suite, Some(Arc::new(wallet)), began, Some(wires)).await
}

/// The tests of a service's routes as steps, in what is left of the run's time. Fails where a
/// wallet can't sign, or tests depend on each other in a circle.
pub async fn tests(
    contract: &Contract,
    plan: &Plan,
    payer: Option<Arc<dyn Payer>>,
    began: Instant,
    wires: Option<Handle>,
) -> anyhow::Result<Vec<Step>> {
    let agent = Agent { payer: payer.as_deref(), address: None };
    let seeds = seeds(plan, &agent, SystemClock.now(), []).await?;
    let mut run = Run::new(plan, None, seeds, Secrets::default()).map_err(|findings| refused("the plan".as_ref(), &findings))?;
    let runner = runner(contract, plan, payer, began, wires)?;
    runner.run(plan, &mut run, std::future::pending(), &mut Quiet).await;
    Ok(run.into_results().iter().map(|result| step(&contract.plan.routes, plan, result)).collect())
}

fn runner(
    contract: &Contract,
    plan: &Plan,
    payer: Option<Arc<dyn Payer>>,
    began: Instant,
    wires: Option<Handle>,
) -> anyhow::Result<Runner> {
    let url: url::Url = contract.url.parse()?;
    // Whatever a document says of where it answers: this service is tested.
    let bases: BTreeMap<_, _> = plan.tests.iter().map(|test| (test.service.clone(), url.clone())).collect();
    let limits = &contract.plan.limits;
    let terms = &contract.plan.terms;
    let budget = contract.payment.as_ref().map_or_else(|| Budget::new(0, 0), |p| Budget::new(p.request_micros.into(), p.run_micros.into()));
    let declared = Payment {
        max: None,
        amount: None,
        pay_to: Some(terms.pay_to.clone()),
        asset: terms.asset.clone(),
        network: Some(terms.network.clone()),
    };
    Ok(Runner {
        http: Http::new(Settings { bases, ca: contract.ca_bundle.clone(), body_limit: BODY, rate: None, wires }),
        cashier: cashier(payer, budget, declared),
        jobs: JOBS,
        patience: Duration::from_secs(limits.request_seconds),
        deadline: Some(Duration::from_secs(limits.total_seconds).saturating_sub(began.elapsed())),
    })
}

/// Whoever pays for a gate.
pub(crate) fn cashier(payer: Option<Arc<dyn Payer>>, budget: Budget, declared: Payment) -> Cashier {
    Cashier { payer, budget, declared, mode: Mode::Ours, again_after: AGAIN_AFTER, resends: true, clock: Arc::new(SystemClock) }
}

/// Why no payment was taken, in the service's words, where it has any.
fn unpaid(result: &TestResult) -> Option<String> {
    let last = result.receipts.last().filter(|_| result.actual_status == Some(402))?;
    Some(format!("its payment was refused: {}", last.refused.as_deref()?))
}

/// Why a refusal refutes nothing, where it does not: a test that was made from a
/// document alone may ask for what only a key, a vendor or somebody's data could answer.
fn unknown(routes: &[Route], plan: &Plan, result: &TestResult) -> Option<&'static str> {
    let test = plan.tests.get(result.test).filter(|test| test.generated)?;
    let route = routes.iter().find(|route| route.tests.contains(&test.id))?;
    let known = route.example.as_ref().is_some_and(|example| example.headers.is_empty());
    match result.actual_status? {
        400..=499 if !known => Some("the document does not say what it takes"),
        502..=504 if route.upstream => Some("its provider does not answer it"),
        501 => Some("nobody has written it yet, or something that it needs is not set up"),
        _ => None,
    }
}

/// What a test came to, as a step. What was never sent was not tried: what it would
/// have needed and what failed is a step of its own.
pub(crate) fn step(routes: &[Route], plan: &Plan, result: &TestResult) -> Step {
    let test = plan.tests.get(result.test);
    let name = format!("{} {}", result.id, test.map(|test| test.title.as_str()).unwrap_or_default());
    let note = result.note.clone().unwrap_or_default();
    let left_out = || test.and_then(|test| test.notes.clone()).unwrap_or_else(|| note.clone());
    let step = match result.outcome {
        Outcome::Pass => Step::passed(name.trim_end()),
        Outcome::Fail => match unknown(routes, plan, result) {
            Some(why) => Step::untried(name.trim_end(), unpaid(result).unwrap_or_else(|| format!("{why}: {note}"))),
            None => Step::not(name.trim_end(), Verdict::Failed, [note].into_iter().chain(unpaid(result)).collect::<Vec<_>>().join("; ")),
        },
        Outcome::Error => Step::not(name.trim_end(), Verdict::Error, note),
        Outcome::Blocked => Step::untried(name.trim_end(), note),
        Outcome::Skipped => Step::untried(name.trim_end(), left_out()),
    };
    Step { milliseconds: i64::try_from(result.duration_ms).unwrap_or(i64::MAX), ..step }
}
