//! `flywheel gate canary` and `gate agent`: layer 3 on the command line and in its
//! pod. Files, the environment and the terminal are read and written here; what is
//! said and judged is `src/canary`'s.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, bail};
use futures::FutureExt as _;
use secrecy::SecretString;
use tokio::runtime::Handle;
use url::Url;

use crate::{
    adapters::{clock::SystemClock, model::ChatCompletions, x402::Wallet},
    api::gate_run::Verdict,
    call_args::{CallArgs, NETWORK},
    canary::{
        AgentPlan, Canary, GroupReport, Interrupted, Limits, MOST_CLI_ROUNDS, ModelAt, Report, Services, TokenPrice, goals_origins,
        uninterrupted,
    },
    contract_cli::cashier,
    create,
    gate::{
        self, LastWords,
        plan::Terms,
        report::{self, Step},
    },
    gate_cli::{interrupted, print, read, refused, wallet},
    ports::{clock::Clock, payments::Payer},
    report_files::{Output, ended},
    runner::{
        Runner,
        budget::Budget,
        http::{Http, Settings},
        seeds::{Agent, seeds},
    },
    suite::{self, Exit, Group, Mode, Payment, Plan},
};

/// Bytes of an answer's body that are read: a model reads 4,000 characters of it, and
/// goals are judged by it.
pub(crate) const BODY: usize = 256 * 1024;
/// Most requests at once when the runner tries what the agent did not reach.
const JOBS: usize = 4;

/// What `flywheel gate canary` is told.
#[derive(Debug, clap::Args)]
pub struct CanaryArgs {
    /// The plan; `-` is the standard input.
    plan: PathBuf,
    /// A group; all of them unless one is named.
    #[arg(long, short)]
    group: Vec<String>,
    /// Server with OpenAI's chat completions and tools.
    #[arg(long, env = "FLYWHEEL_MODEL_URL")]
    model_url: Url,
    /// The model's name there.
    #[arg(long, env = "FLYWHEEL_MODEL")]
    model: String,
    /// File with the server's key; without it none is sent.
    #[arg(long, env = "FLYWHEEL_MODEL_KEY_FILE")]
    key_file: Option<PathBuf>,
    /// US dollars for a million tokens that the model reads, for the report.
    #[arg(long, default_value = "0")]
    input_price: f64,
    /// US dollars for a million tokens that it writes.
    #[arg(long, default_value = "0")]
    output_price: f64,
    /// Answers of the model for each group: 10 at most, 20 for a command line.
    #[arg(long, default_value = "10", value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST_CLI_ROUNDS)))]
    rounds: u32,
    /// Seconds for a group.
    #[arg(long, value_name = "SECONDS", default_value = "270", value_parser = clap::value_parser!(u64).range(1..=3600))]
    deadline: u64,
    /// Milliseconds that a request may take.
    #[arg(long, value_name = "MS", default_value = "20000", value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,
    #[command(flatten)]
    calls: CallArgs,
    /// Writes the report as JSON.
    #[arg(long, value_name = "FILE")]
    result: Option<PathBuf>,
}

/// What a canary's pod is told.
#[derive(Debug, clap::Args)]
pub struct AgentArgs {
    /// File with the plan.
    #[arg(long)]
    plan: PathBuf,
    /// The plan's digest: the verdict is about that.
    #[arg(long)]
    digest: String,
    /// File with the key of the model's server; without it none is sent.
    #[arg(long)]
    model_key_file: Option<PathBuf>,
    /// File with the private key of the wallet that pays; without it nothing is paid.
    #[arg(long)]
    wallet_file: Option<PathBuf>,
    #[command(flatten)]
    last_words: LastWords,
}

/// Everything that both ways come down to.
struct Job<'a> {
    plan: &'a Plan,
    groups: Vec<&'a Group>,
    model: ChatCompletions,
    runner: Runner,
    payer: Option<Arc<dyn Payer>>,
    limits: Limits,
    given: Vec<(String, String)>,
    price: TokenPrice,
    /// For plans that name the caller where there is no wallet.
    address: Option<String>,
    /// What ends it early.
    interrupted: Interrupted,
}

impl Job<'_> {
    /// Each group after the other: they share one budget.
    async fn groups(&self, mut told: impl FnMut(&GroupReport)) -> anyhow::Result<Vec<GroupReport>> {
        let agent = Agent { payer: self.payer.as_deref(), address: self.address.clone() };
        let variables = seeds(self.plan, &agent, SystemClock.now(), self.given.iter().cloned()).await?;
        let service = Services::new(self.plan, &self.runner, variables.clone());
        let canary = Canary {
            plan: self.plan,
            model: &self.model,
            service: &service,
            shell: None,
            limits: self.limits.clone(),
            variables,
            price: self.price,
            interrupted: self.interrupted.clone(),
        };
        let mut reports = Vec::new();
        for group in &self.groups {
            let report = canary.group(group).await;
            told(&report);
            reports.push(report);
        }
        Ok(reports)
    }
}

/// Runs on the command line.
pub(crate) async fn run(args: &CanaryArgs, wires: Handle) -> anyhow::Result<Exit> {
    let plan = suite::read(&read(&args.plan)?, Mode::Ours).map_err(|findings| refused(&args.plan, &findings))?;
    let unknown: Vec<_> = args.group.iter().filter(|id| plan.groups.iter().all(|group| group.id != **id)).collect();
    if !unknown.is_empty() {
        let known = plan.groups.iter().map(|group| group.id.as_str()).collect::<Vec<_>>().join(", ");
        bail!("--group: there is none with the id {unknown:?}; there are {known}");
    }
    let groups: Vec<_> = plan.groups.iter().filter(|group| args.group.is_empty() || args.group.contains(&group.id)).collect();
    if let Some((group, id)) = plan.unknown(groups.iter().copied()).first() {
        bail!("{}: the group {} has the goal {id}, which is no test of the plan", args.plan.display(), group.id);
    }
    let limits =
        Limits { rounds: args.rounds, group_seconds: args.deadline, request_seconds: args.timeout.div_ceil(1000), ..Limits::default() };
    let settings = Settings { wires: Some(wires), ..args.calls.settings(&plan, BODY)? };
    let declared = args.calls.declared(&plan);
    let network = declared.network.clone().unwrap_or_default();
    let payer = wallet()?;
    let runner = runner(settings, payer.clone(), args.calls.budget(), declared, Duration::from_millis(args.timeout));
    let key = args.key_file.as_deref().map(create::key).transpose()?;
    let model = ChatCompletions::new(&args.model_url, &args.model, key, Duration::from_secs(limits.model_seconds))?;
    let price = TokenPrice { input: args.input_price, output: args.output_price };
    let began = SystemClock.now().to_string();
    let job = Job {
        plan: &plan,
        groups,
        model,
        runner,
        payer,
        limits,
        given: args.calls.given().collect(),
        price,
        address: args.calls.address(),
        interrupted: interrupted().boxed_local().shared(),
    };
    let output = args.result.as_deref().map(Output::open).transpose()?;
    let groups = job.groups(|group| eprint!("{}", group.lines())).await?;
    let report = Report::new(began, network, args.model.clone(), groups);
    let text = format!("{:#}\n", serde_json::to_value(&report)?);
    let written = match output {
        Some(output) => output.write(&text),
        None => print(&text).context("the standard output"),
    };
    Ok(ended(report.exit(), written))
}

/// Runs in a pod, and exits with 0 whenever there is a verdict other than Error.
pub(crate) async fn agent(args: &AgentArgs, wires: Handle) -> anyhow::Result<ExitCode> {
    let words = &args.last_words;
    match in_pod(args, wires).await {
        Ok(steps) => words.verdict(&report::Report::new(&words.job, &args.digest, steps)),
        Err(error) => words.error("input", gate::chain(error)),
    }
}

async fn in_pod(args: &AgentArgs, wires: Handle) -> anyhow::Result<Vec<Step>> {
    let told: AgentPlan = gate::announced(&args.plan, &args.digest)?;
    let plan = suite::read(&told.plan.to_string(), Mode::Ours).map_err(|findings| refused(&args.plan, &findings))?;
    let url: Url = told.url.parse().with_context(|| format!("url: {:?}", told.url))?;
    // The plan is derived from a document, which an agent wrote.
    if let Some(other) = goals_origins(&plan).into_iter().find(|origin| origin.origin() != url.origin()) {
        bail!("plan: a test is about {other}, and {url} is tested");
    }
    let limits = told.limits.clone();
    let payer = args.wallet_file.as_deref().map(wallet_from).transpose()?;
    let declared = declared(told.terms.as_ref());
    let budget = Budget::new(limits.max_payment_micros.into(), limits.budget_micros.into());
    let settings = Settings { bases: BTreeMap::new(), ca: told.ca_bundle.clone(), body_limit: BODY, rate: None, wires: Some(wires) };
    let runner = runner(settings, payer.clone(), budget, declared, Duration::from_secs(limits.request_seconds));
    let key = args.model_key_file.as_deref().map(create::key).transpose()?;
    let (model, price) = model(&told.model, key, &limits)?;
    let groups = plan.groups.iter().collect();
    // Whoever ends a pod takes its verdict with it.
    let job =
        Job { plan: &plan, groups, model, runner, payer, limits, given: Vec::new(), price, address: None, interrupted: uninterrupted() };
    let mut steps: Vec<_> = job.groups(|_| {}).await?.iter().flat_map(GroupReport::steps).collect();
    if steps.is_empty() {
        steps.push(Step::not("groups", Verdict::Blocked, "the plan has no group, so that there was nothing to do"));
    }
    Ok(steps)
}

/// The model of a plan, and what it costs.
pub(crate) fn model(at: &ModelAt, key: Option<SecretString>, limits: &Limits) -> anyhow::Result<(ChatCompletions, TokenPrice)> {
    let url = at.url.parse().with_context(|| format!("model.url: {:?}", at.url))?;
    let model = ChatCompletions::new(&url, &at.name, key, Duration::from_secs(limits.model_seconds))?;
    Ok((model, TokenPrice { input: at.input_price, output: at.output_price }))
}

/// What a Factory's terms declare of every payment.
pub(crate) fn declared(terms: Option<&Terms>) -> Payment {
    let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    Payment {
        max: None,
        amount: None,
        pay_to: terms.and_then(|terms| given(&terms.pay_to)),
        asset: terms.and_then(|terms| terms.asset.clone()),
        network: terms.and_then(|terms| given(&terms.network)).or_else(|| Some(NETWORK.into())),
    }
}

pub(crate) fn runner(settings: Settings, payer: Option<Arc<dyn Payer>>, budget: Budget, declared: Payment, patience: Duration) -> Runner {
    Runner {
        http: Http::new(settings),
        cashier: cashier(payer, budget, declared),
        jobs: JOBS,
        patience,
        // A group's own time ends it.
        deadline: None,
    }
}

pub(crate) fn wallet_from(file: &Path) -> anyhow::Result<Arc<dyn Payer>> {
    Ok(Arc::new(Wallet::from_file(file, Arc::new(SystemClock))?))
}
