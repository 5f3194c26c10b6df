//! `flywheel gate run`, `lint` and `schema`: a test plan on the command line. Files,
//! the environment and the terminal are read and written here; the order and the
//! judgement are `src/suite`'s, the requests `src/runner`'s.

use std::{
    collections::BTreeSet,
    fs,
    io::Read as _,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, bail};
use clap::{Subcommand, ValueEnum};
use secrecy::SecretString;
use serde_json::json;
use tokio::runtime::Handle;

use crate::{
    adapters::{clock::SystemClock, x402::Wallet},
    call_args::{CallArgs, Pair, is_service, named},
    canary_cli, contract_cli, gate,
    ports::{clock::Clock, payments::Payer},
    report_files::{Output, apart, ended},
    room_cli,
    runner::{
        Runner,
        budget::{Spending, usd},
        http::{Http, Settings},
        pay::Cashier,
        phases,
        progress::{Lines, plain},
        seeds::{Agent, seeds, stamp},
    },
    spawn_cli,
    suite::{
        self, Exit, Finding, Known, Mode, Payment, Phases, Plan, Run, Secrets, Severity, TestResult, Verdict,
        report::{self, Report},
    },
    telemetry,
};

/// Requests a second to a host: one in a quarter of an hour, and more than any is asked.
const RATES: RangeInclusive<f64> = 0.001..=1_000_000.0;
/// Longest file that is read, in bytes: no plan is longer.
const MAX_FILE: u64 = suite::LARGEST as u64 + 1;

/// What is done with a plan, and the parts of a gate's pod.
#[derive(Debug, Subcommand)]
pub enum GateCommand {
    /// Runs a test plan against its services, and pays where they ask for it.
    ///
    /// Exits with 0 when all that had to pass did, 1 when something failed, 2 when
    /// something had no answer or could not be asked, 3 when command line or plan are
    /// wrong. The wallet is AGENT_PRIVATE_KEY, else TESTNET_WALLET.
    Run(Box<RunArgs>),
    /// Has a language model use services as a plan's groups say, and checks by what
    /// happened whether their goals hold.
    ///
    /// Exits as `run` does: 0 only if the model's own requests reached every goal.
    Canary(Box<canary_cli::CanaryArgs>),
    /// The same inside a gate's pod.
    Agent(canary_cli::AgentArgs),
    /// Tests a deployed service by its name inside a gate's pod, and writes the verdict.
    Contract(contract_cli::ContractArgs),
    /// Tries a deployed service by its command line in a sandbox, inside a gate's pod, and
    /// writes the verdict.
    Room(Box<room_cli::RoomArgs>),
    /// Makes a clean room, has a service used there by its command line, and takes the
    /// room away again.
    ///
    /// Exits with 0 when all passed and nothing is left, 1 when something failed, 2 when
    /// something was not shown or is left behind, 3 when nothing could begin.
    Spawn(Box<spawn_cli::SpawnArgs>),
    /// Says what is wrong with a plan, and runs nothing.
    Lint(LintArgs),
    /// Prints a plan's form as JSON Schema.
    Schema,
    /// One part of a gate's pod.
    #[command(flatten)]
    Pod(gate::GateCommand),
}

/// Whose rules a plan is run by.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Compat {
    /// Those of prim.sh's own runner.
    Primsh,
}

/// How findings are printed.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// Lines for people.
    Text,
    /// A list for programs.
    Json,
}

/// What `flywheel gate lint` is told.
#[derive(Debug, clap::Args)]
pub struct LintArgs {
    /// The plan; `-` is the standard input.
    plan: PathBuf,
    /// How findings are printed.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// A variable that the run will be given.
    #[arg(long = "var", value_name = "NAME")]
    vars: Vec<String>,
    /// By whose rules it is read.
    #[arg(long, value_enum)]
    compat: Option<Compat>,
}

/// What `flywheel gate run` is told.
#[derive(Debug, clap::Args)]
pub struct RunArgs {
    /// The plan; `-` is the standard input.
    plan: PathBuf,
    /// Runs this group alone, with whatever its tests depend on.
    #[arg(long, short)]
    group: Option<String>,
    /// Most requests at once.
    #[arg(long, short, default_value = "16", value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: u16,
    /// Failures count by their service's phase: hard for what is live, soft before.
    #[arg(long)]
    ci: bool,
    /// The phase of each service, `{"store.sh": "live"}`: a file with JSON or YAML, or the
    /// address of a server that says it as JSON, such as a controller's /phases.
    #[arg(long, value_name = "URL|FILE", requires = "ci")]
    phases: Option<PathBuf>,
    /// Prints what would be run, and sends nothing.
    #[arg(long)]
    dry_run: bool,
    /// By whose rules the plan is read, run and judged.
    #[arg(long, value_enum)]
    compat: Option<Compat>,
    /// Writes the results as JSON.
    #[arg(long, value_name = "FILE")]
    result: Option<PathBuf>,
    /// Writes the results as JUnit XML.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Writes the results as a table for a pull request.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// A service that the pull request changes: it comes first in the table.
    #[arg(long, value_name = "ID")]
    changed: Vec<String>,
    /// Seconds after which the run ends, whatever is left.
    #[arg(long, value_name = "SECONDS", default_value = "900", value_parser = clap::value_parser!(u64).range(1..))]
    deadline: u64,
    /// Milliseconds that a request may take, where its test says nothing.
    #[arg(long, value_name = "MS", default_value = "30000", value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,
    /// Bytes of an answer's body that are read.
    #[arg(long, value_name = "BYTES", default_value = "1048576", value_parser = clap::value_parser!(u32).range(1..))]
    body_limit: u32,
    /// Most requests a second to each host.
    #[arg(long, value_name = "N", value_parser = rate)]
    rate: Option<f64>,
    #[command(flatten)]
    calls: CallArgs,
    /// Milliseconds between "Settlement failed" and the one other payment.
    #[arg(long, value_name = "MS", default_value = "2000")]
    again_after: u64,
    /// A secret of the plan, `{{secret:NAME}}`, from a file; it is never shown.
    #[arg(long = "secret-file", value_name = "NAME=PATH")]
    secrets: Vec<Pair<PathBuf>>,
}

/// Runs one command. What can't begin ends with 3.
pub fn run(command: &GateCommand) -> anyhow::Result<ExitCode> {
    let came = match command {
        GateCommand::Pod(part) => return gate::run(part, contract_cli::ahead),
        GateCommand::Agent(args) => return gate::block_on(|wires| canary_cli::agent(args, wires))?,
        GateCommand::Contract(args) => return gate::block_on(|wires| contract_cli::main(args, wires))?,
        GateCommand::Room(args) => return gate::block_on(|wires| room_cli::main(args, wires))?,
        GateCommand::Spawn(args) => tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(spawn_cli::run(args)),
        GateCommand::Schema => schema(),
        GateCommand::Lint(args) => lint(args),
        GateCommand::Canary(args) => gate::block_on(|wires| canary_cli::run(args, wires))?,
        GateCommand::Run(args) => gate::block_on(|wires| run_plan(args, wires))?,
    };
    let exit = came.unwrap_or_else(|error| {
        eprintln!("flywheel: {}", telemetry::chain(error.as_ref()));
        Exit::Usage
    });
    Ok(ExitCode::from(exit.code()))
}

fn schema() -> anyhow::Result<Exit> {
    print(&format!("{:#}\n", suite::schema()))?;
    Ok(Exit::Proven)
}

fn lint(args: &LintArgs) -> anyhow::Result<Exit> {
    let text = read(&args.plan)?;
    let findings = match suite::read(&text, mode(args.compat)) {
        Ok(plan) => suite::lint(&plan, &Known { seeds: args.vars.iter().cloned().collect(), services: None }),
        Err(findings) => findings,
    };
    match args.format {
        Format::Json => print(&format!("{}\n", serde_json::to_string_pretty(&findings)?))?,
        Format::Text => print(&said(&findings))?,
    }
    Ok(if findings.iter().any(|finding| finding.severity == Severity::Error) { Exit::Usage } else { Exit::Proven })
}

async fn run_plan(args: &RunArgs, wires: Handle) -> anyhow::Result<Exit> {
    let mode = mode(args.compat);
    let plan = suite::read(&read(&args.plan)?, mode).map_err(|findings| refused(&args.plan, &findings))?;
    let began = SystemClock.now();
    let secrets = secrets(&args.secrets)?;
    named("--secret-file", "secret", args.secrets.iter().map(|Pair(name, _)| name.as_str()), &plan.secrets(), |known, name| known == name)?;
    named("--changed", "service", args.changed.iter().map(String::as_str), &plan.services(), is_service)?;
    let settings = args.calls.settings(&plan, args.body_limit as usize)?;
    let agent = |payer| Agent { payer, address: args.calls.address() };
    let begun = |seeds, secrets| Run::new(&plan, args.group.as_deref(), seeds, secrets).map_err(|findings| refused(&args.plan, &findings));
    if args.dry_run {
        let mut known = seeds(&plan, &agent(None), began, args.calls.given()).await?;
        // What counts is what has a value: nothing is sent, and nothing signed.
        for name in ["agent_address", "eip191_sig"].into_iter().filter(|_| key().is_some()) {
            known.entry(name.to_owned()).or_default();
        }
        return dry(&plan, &begun(known, secrets)?);
    }
    let phases = phases(args, &plan, &wires).await?;
    let payer = wallet()?;
    let seeds = seeds(&plan, &agent(payer.as_deref()), began, args.calls.given()).await?;
    let runner = runner(args, &plan, payer, Settings { rate: args.rate, wires: Some(wires), ..settings });
    let mut run = begun(seeds, secrets)?;
    let outputs = Outputs::open(args)?;
    let mut lines = Lines::stdout(run.len());
    runner.run(&plan, &mut run, interrupted(), &mut lines).await;
    lines.finish();
    let (groups, stopped) = (run.groups().to_vec(), run.stopped().map(str::to_owned));
    let results = run.into_results();
    let verdict = suite::conclude(&plan, &results, phases.as_ref()).without(lacking(&plan, args));
    let verdict = if mode == Mode::Primsh { as_prim_sh(verdict, &plan, &groups, stopped.as_deref()) } else { verdict };
    let report =
        Report { plan: &plan, results: &results, verdict: &verdict, timestamp: &stamp(began), ci: args.ci, changed: &args.changed };
    let spending = runner.cashier.budget.spending();
    // Whoever can't be told still has the exit code.
    let _ = print(&format!("{}\n{}", plain(&verdict.summary), paid(&results, &runner.cashier.declared, spending)));
    Ok(ended(verdict.exit, outputs.write(&report, spending)))
}

/// A verdict by prim.sh's rules: its results name every group that was asked, and a run
/// that was cut short has shown too little, though it looks at nothing that was blocked.
fn as_prim_sh(verdict: Verdict, plan: &Plan, groups: &[usize], stopped: Option<&str>) -> Verdict {
    let verdict = verdict.naming(plan, groups);
    match stopped {
        Some(why) => verdict.cut_short(why),
        None => verdict,
    }
}

fn runner(args: &RunArgs, plan: &Plan, payer: Option<Arc<dyn Payer>>, settings: Settings) -> Runner {
    Runner {
        http: Http::new(settings),
        cashier: Cashier {
            payer,
            budget: args.calls.budget(),
            declared: args.calls.declared(plan),
            mode: plan.mode,
            again_after: Duration::from_millis(args.again_after),
            resends: false,
            clock: Arc::new(SystemClock),
        },
        jobs: args.jobs.into(),
        patience: Duration::from_millis(args.timeout),
        deadline: Some(Duration::from_secs(args.deadline)),
    }
}

/// The files that were asked for.
struct Outputs {
    result: Option<Output>,
    junit: Option<Output>,
    markdown: Option<Output>,
}

impl Outputs {
    fn open(args: &RunArgs) -> anyhow::Result<Self> {
        let reports = [("--result", &args.result), ("--junit", &args.junit), ("--markdown", &args.markdown)];
        let reports = reports.into_iter().filter_map(|(flag, path)| Some((flag, path.as_deref()?)));
        apart([("the plan", args.plan.as_path())].into_iter().chain(reports))?;
        let open = |path: &Option<PathBuf>| path.as_deref().map(Output::open).transpose();
        Ok(Self { result: open(&args.result)?, junit: open(&args.junit)?, markdown: open(&args.markdown)? })
    }

    /// Writes all of them that can be; the first problem is told.
    fn write(self, report: &Report, spending: Spending) -> anyhow::Result<()> {
        let json = || {
            let mut json = report::json(report);
            json["spending"] = json!({ "spent_usd": usd(spending.spent), "outstanding_usd": usd(spending.outstanding) });
            format!("{json:#}\n")
        };
        let result = self.result.map_or(Ok(()), |output| output.write(&json()));
        let junit = self.junit.map_or(Ok(()), |output| output.write(&report::junit(report)));
        let markdown = self.markdown.map_or(Ok(()), |output| output.write(&report::markdown(report)));
        result.and(junit).and(markdown)
    }
}

/// What was paid, and what it was held against, where anything was.
fn paid(results: &[TestResult], declared: &Payment, spending: Spending) -> String {
    if spending == Spending::default() {
        return String::new();
    }
    let receipts = || results.iter().flat_map(|result| &result.receipts);
    let mut text = format!("paid {} USD by {} receipts", usd(spending.spent), receipts().filter(|receipt| receipt.settled).count());
    if spending.outstanding > 0 {
        text += &format!("; {} USD was signed without a receipt, and may still be taken", usd(spending.outstanding));
    }
    if declared.pay_to.is_none() {
        text += "; whom services may name was not declared by --pay-to: where a test says nothing, chain, token and cap alone were checked";
    }
    text + "\n"
}

/// Tests that the groups name which are run, and the plan lacks. prim.sh's runner passes
/// over them.
fn lacking(plan: &Plan, args: &RunArgs) -> BTreeSet<String> {
    let asked = plan.groups.iter().filter(|group| plan.mode == Mode::Ours && group.is_asked(args.group.as_deref()));
    plan.unknown(asked).into_iter().map(|(_, id)| id.to_owned()).collect()
}

/// Everything that would be run, by the group that names it first. prim.sh's way runs
/// what was asked for alone, in an order of its own.
fn dry(plan: &Plan, run: &Run) -> anyhow::Result<Exit> {
    let mut left = run.selection();
    let of = |id: &str| plan.tests.iter().rposition(|test| test.id == id);
    let line = |at: usize| {
        let test = &plan.tests[at];
        format!("  {:<12} {:<6} {} {}\n", plain(&test.id), plain(&test.method), plain(&test.endpoint), plain(&test.title))
    };
    let mut text = String::new();
    let asked: BTreeSet<_> = run.groups().iter().copied().collect();
    let groups = match plan.mode {
        Mode::Ours => (0..plan.groups.len()).collect(),
        Mode::Primsh => run.groups().to_vec(),
    };
    for at in groups {
        let (group, asked) = (&plan.groups[at], asked.contains(&at));
        let mut lines = String::new();
        for id in &group.tests {
            match of(id) {
                // prim.sh's way sends what a group names twice twice.
                Some(at) if left.remove(&at) || asked && plan.mode == Mode::Primsh => lines += &line(at),
                None if asked => lines += &format!("  {:<12} ?\n", plain(id)),
                Some(_) | None => {}
            }
        }
        if asked || !lines.is_empty() {
            let why = if asked { "" } else { ", for what others need" };
            text += &format!("{} ({}){why}\n{lines}", plain(&group.id), plain(&group.name));
        }
    }
    if !left.is_empty() {
        text += "in no group, for what others need\n";
        left.into_iter().for_each(|at| text += &line(at));
    }
    print(&text)?;
    Ok(Exit::Proven)
}

fn mode(compat: Option<Compat>) -> Mode {
    match compat {
        Some(Compat::Primsh) => Mode::Primsh,
        None => Mode::Ours,
    }
}

/// The wallet that pays, where the environment has a key.
pub(crate) fn wallet() -> anyhow::Result<Option<Arc<dyn Payer>>> {
    let Some((name, key)) = key() else { return Ok(None) };
    Ok(Some(Arc::new(Wallet::new(&key, name, Arc::new(SystemClock))?)))
}

/// The wallet's key, and what it is called. A key has no place on a command line, which
/// others on the machine may read.
#[expect(clippy::disallowed_methods, reason = "the one setting that is no argument")]
fn key() -> Option<(&'static str, SecretString)> {
    let given = |name| std::env::var(name).ok().filter(|key| !key.is_empty()).map(|key| (name, key.into()));
    ["AGENT_PRIVATE_KEY", "TESTNET_WALLET"].into_iter().find_map(given)
}

fn secrets(files: &[Pair<PathBuf>]) -> anyhow::Result<Secrets> {
    let mut secrets = Vec::new();
    for Pair(name, path) in files {
        let text = read(path).with_context(|| format!("--secret-file {name}"))?;
        // Editors end files with a line break, which is no part of a secret.
        secrets.push((name.clone(), SecretString::from(text.trim_end_matches(['\n', '\r']).to_owned())));
    }
    Ok(Secrets::new(secrets))
}

/// The services' phases, where those count.
async fn phases(args: &RunArgs, plan: &Plan, wires: &Handle) -> anyhow::Result<Option<Phases>> {
    let Some(given) = &args.phases else { return Ok(args.ci.then(Phases::default)) };
    let is_address = |text: &&str| {
        ["http://", "https://"].iter().any(|scheme| text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)))
    };
    let said = match given.to_str().filter(is_address) {
        Some(text) => {
            let url = text.parse().map_err(|problem| anyhow::anyhow!("--phases: it is no address: {problem}"))?;
            let settings = Settings { wires: Some(wires.clone()), ..args.calls.settings(plan, phases::MOST)? };
            phases::ask(&Http::new(settings), &url).await.map_err(|problem| anyhow::anyhow!("--phases: {}", plain(&problem)))
        }
        None => Phases::read(&read(given)?).map_err(|problem| anyhow::anyhow!("--phases: {}: {}", given.display(), plain(&problem))),
    };
    said.map(Some)
}

/// A file's text, or the standard input's, up to a limit.
pub(crate) fn read(path: &Path) -> anyhow::Result<String> {
    let name = || path.display().to_string();
    let mut text = String::new();
    let read = if path.as_os_str() == "-" {
        std::io::stdin().take(MAX_FILE).read_to_string(&mut text)
    } else {
        fs::File::open(path).with_context(name)?.take(MAX_FILE).read_to_string(&mut text)
    };
    if read.with_context(name)? as u64 == MAX_FILE {
        bail!("{} has more than {} bytes", name(), suite::LARGEST);
    }
    Ok(text)
}

/// When somebody ends the run: it still says what was done.
pub(crate) async fn interrupted() -> String {
    let mut terminated = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).ok();
    let terminated = async {
        match &mut terminated {
            Some(signal) => _ = signal.recv().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminated => {}
    }
    "the run was interrupted".into()
}

pub(crate) fn refused(plan: &Path, findings: &[Finding]) -> anyhow::Error {
    anyhow::anyhow!("{} can't be run:\n{}", plan.display(), said(findings).trim_end())
}

fn said(findings: &[Finding]) -> String {
    let word = |severity| match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    findings.iter().map(|finding| format!("{}: {}\n", word(finding.severity), plain(&finding.to_string()))).collect()
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate| RATES.contains(rate));
    rate.ok_or_else(|| format!("{text:?} is no rate from {} to {}, such as 5 or 0.5", RATES.start(), RATES.end()))
}

pub(crate) fn print(text: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    std::io::stdout().write_all(text.as_bytes())
}
