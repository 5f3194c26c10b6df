//! Gate layer 4: a service as somebody meets it who has nothing but its command line
//! and a wallet. The command line is installed and run in a sandbox that nothing is
//! believed of; what counts are exchanges that go through the judge's own recorder, in
//! answer to commands that the judge ordered. Read `plan.rs` for what a room is told,
//! this file for what is done in which order, then `recorder.rs` and `ordered.rs`.

mod agent;
mod command;
mod money;
mod ordered;
mod persistence;
mod plan;
mod recorder;
mod sandbox;

use std::{
    cell::RefCell,
    collections::BTreeMap,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use tokio::time::sleep_until;

pub use money::{Bank, RoomPurse, Unmoved};
pub use ordered::Way;
pub use persistence::Persistence;
pub use plan::{Cli, Command, Limits, Money, Parameters, Request, RoomPlan};
pub use sandbox::{Sandbox, SandboxError, Settings};

use self::{
    agent::{Overheard, Terminal},
    ordered::Commands,
};
use crate::{
    api::gate_run::Verdict,
    canary::{self, Canary, GroupReport, Reach, Services, TokenPrice, goals_origins, uninterrupted},
    gate::{
        control::Ended,
        plan::Route,
        report::{MAX_OUTPUT, Step, cut},
    },
    ports::{model::Agent, payments::Payer},
    runner::{Runner, progress::Quiet},
    suite::{Group, Interface, Outcome, Plan, Run, Secrets, TestResult},
};

/// What a group needs of the run's time to be begun.
const LEAST: Duration = Duration::from_secs(10);

/// What is said of a room that no sandbox runtime confines.
pub const UNCONFINED: &str = "no sandbox runtime is named: a container under the cluster's own, such as runc";

/// A room's own wallet, and the money in it.
#[async_trait(?Send)]
pub trait Purse {
    /// The wallet: fresh, and nobody's but this room's.
    fn payer(&self) -> Arc<dyn Payer>;
    /// The steps `wallet` and `fund`: money comes in, once however often it is tried.
    async fn fund(&self) -> Vec<Step>;
    /// The step `return`: what is left goes back to where it came from.
    async fn bring_back(&self) -> Step;
    /// A step `return ROOM` for each room before it that may have left something: what it
    /// had goes back, too.
    async fn gather(&self) -> Vec<Step>;
}

/// What a test's result is as a step, as layer 2 says it.
pub type AsStep = fn(&[Route], &Plan, &TestResult) -> Step;

/// A model, and what it costs.
pub struct Model<'a> {
    /// It.
    pub agent: &'a dyn Agent,
    /// What it costs.
    pub price: TokenPrice,
}

/// Everything that a run has.
pub struct Room<'a> {
    /// What it is told.
    pub told: &'a RoomPlan,
    /// The tests of that.
    pub plan: &'a Plan,
    /// Whoever reaches the service and pays, one request after the other.
    pub runner: Runner,
    /// The sandbox, where there is a command line.
    pub sandbox: Option<&'a Sandbox>,
    /// Where the command line lies in it.
    pub cli: &'a Path,
    /// The model, where there is one.
    pub model: Option<Model<'a>>,
    /// Variables that the tests begin with.
    pub seeds: BTreeMap<String, String>,
    /// When tests and groups have to be done.
    pub until: Instant,
    /// What a result is as a step.
    pub as_step: AsStep,
}

impl Room<'_> {
    /// What confines the commands that are run.
    pub fn confined(&self) -> Step {
        let by = self.told.confined_by.as_deref().unwrap_or(UNCONFINED);
        Step { message: Some(by.to_owned()), ..Step::passed("sandbox") }
    }

    /// Installs the command line, and asks it what it can do.
    pub async fn install(&self) -> Step {
        const NAME: &str = "install";
        let (Some(sandbox), Some(cli)) = (self.sandbox, &self.told.cli) else {
            return Step { message: Some("the document wants no command line".into()), ..Step::passed(NAME) };
        };
        let (began, patience) = (Instant::now(), Duration::from_secs(self.told.limits.command_seconds));
        let installed = async {
            let ended = sandbox.install(self.cli, patience).await.map_err(broken)?;
            went(&ended, "it can't be installed")?;
            let ended = sandbox.command(&["--help".to_owned()], &Nobody, patience).await.map_err(broken)?;
            went(&ended, "--help")?;
            let listed = |command: &Command| ended.stdout.lines().any(|line| line.split_whitespace().next() == Some(&command.name));
            let missing: Vec<_> = cli.commands.iter().filter(|command| !listed(command)).map(|command| command.name.as_str()).collect();
            if !missing.is_empty() {
                return Err((Verdict::Failed, format!("--help does not list {}", missing.join(", ")), ended.stdout));
            }
            Ok(())
        };
        let step = match installed.await {
            Ok(()) => Step { message: Some(format!("{} with {} commands", sandbox.program(), cli.commands.len())), ..Step::passed(NAME) },
            Err((verdict, what, mut output)) => {
                cut(&mut output, MAX_OUTPUT);
                Step { output, ..Step::not(NAME, verdict, what) }
            }
        };
        Step { milliseconds: milliseconds(began), ..step }
    }

    /// The plan's tests, by commands where one makes their request.
    pub async fn tests(&self) -> Vec<Step> {
        let mut run = match Run::new(self.plan, None, self.seeds.clone(), Secrets::default()) {
            Ok(run) => run,
            Err(findings) => {
                let why = findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
                return vec![Step::not("tests", Verdict::Error, why)];
            }
        };
        let patience = Duration::from_secs(self.told.limits.command_seconds);
        let commands = self.sandbox.zip(self.told.cli.as_ref()).map(|(sandbox, cli)| Commands {
            sandbox,
            commands: &cli.commands,
            http: &self.runner.http,
            patience,
            ways: RefCell::default(),
        });
        let over = async {
            sleep_until(self.until.into()).await;
            "the room's time is over".to_owned()
        };
        match &commands {
            Some(commands) => self.runner.run_by(commands, self.plan, &mut run, over, &mut Quiet).await,
            None => self.runner.run(self.plan, &mut run, over, &mut Quiet).await,
        }
        let noted = commands.map(|commands| commands.ways.into_inner()).unwrap_or_default();
        let results = run.into_results();
        let steps = results.iter().filter(|result| !self.is_agents(result)).map(|result| {
            let ways = noted.get(&result.test).map(Vec::as_slice).unwrap_or_default();
            with((self.as_step)(&self.told.routes, self.plan, result), ways)
        });
        steps.collect()
    }

    /// Whether a test was left out since it is a model's, which has a step of its own.
    fn is_agents(&self, result: &TestResult) -> bool {
        let has = |group: &Group| group.interface == Interface::Cli && group.tests.contains(&result.id);
        result.outcome == Outcome::Skipped && self.plan.groups.iter().any(has)
    }

    /// The groups that a model does by the command line.
    pub async fn groups(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        for group in self.plan.groups.iter().filter(|group| group.interface == Interface::Cli) {
            steps.extend(self.group(group).await);
        }
        steps
    }

    async fn group(&self, group: &Group) -> Vec<Step> {
        let blocked = |why: &str| vec![Step::not(format!("group {}", group.id), Verdict::Blocked, why)];
        let (Some(sandbox), Some(model)) = (self.sandbox, &self.model) else {
            return blocked(if self.model.is_none() {
                "there is no model to use the command line: give the Factory one by spec.policy.gates.canary.model"
            } else {
                "the document wants no command line"
            });
        };
        let origins = goals_origins(self.plan);
        let [origin] = origins.as_slice() else {
            return blocked("the plan is about several services, and a command line is one's");
        };
        let left = self.until.saturating_duration_since(Instant::now());
        if left < LEAST {
            return vec![Step::not(format!("group {}", group.id), Verdict::Error, "there was no time left to begin it")];
        }
        let given = &self.told.limits.agent;
        let limits = canary::Limits { group_seconds: given.group_seconds.min(left.as_secs()), ..given.clone() };
        let reach = Reach::new([origin]);
        let service = Overheard::new(Services::new(self.plan, &self.runner, self.seeds.clone()));
        let terminal = Terminal { sandbox, reach: &reach, service: &service };
        let canary = Canary {
            plan: self.plan,
            model: model.agent,
            service: &service,
            shell: Some(&terminal),
            limits,
            variables: self.seeds.clone(),
            price: model.price,
            // The room's end is a command's end, too: what it comes to is thrown away.
            interrupted: uninterrupted(),
        };
        let report: GroupReport = canary.group(group).await;
        report.steps().into_iter().map(|step| Step { name: format!("{}: {}", group.id, step.name), ..step }).collect()
    }
}

/// A test's step with how its requests were made. A service that answers right by a
/// command line that does not say so has not passed.
fn with(step: Step, ways: &[Way]) -> Step {
    let said = |message: &mut Option<String>, what: String| {
        *message = Some(match message.take().filter(|text| !text.is_empty()) {
            Some(text) => format!("{text}; {what}"),
            None => what,
        });
    };
    let mut step = step;
    let problem = ways.iter().find_map(|way| match way {
        Way::Command(name, Some((verdict, what))) => Some((name, *verdict, what)),
        _ => None,
    });
    match (problem, ways.last()) {
        (Some((name, verdict, what)), _) => {
            step.verdict = if step.verdict == Verdict::Failed { Verdict::Failed } else { verdict };
            step.advisory = false;
            said(&mut step.message, format!("command {name}: {what}"));
        }
        (None, Some(Way::Runner)) => said(&mut step.message, "sent by the runner: no command makes it".into()),
        (None, Some(Way::Command(name, _))) => said(&mut step.message, format!("command {name}")),
        (None, None) => {}
    }
    step
}

/// What a command that should have gone well did instead.
fn went(ended: &Ended, what: &str) -> Result<(), (Verdict, String, String)> {
    if let Some(problem) = &ended.problem {
        return Err((Verdict::Error, format!("{what}: {problem}"), String::new()));
    }
    if ended.code == Some(0) {
        return Ok(());
    }
    let code = ended.code.map_or_else(|| "no code".into(), |code| code.to_string());
    Err((Verdict::Failed, format!("{what}: it ends with {code}"), ended.output()))
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err calls")]
fn broken(error: SandboxError) -> (Verdict, String, String) {
    (Verdict::Error, error.to_string(), String::new())
}

fn milliseconds(began: Instant) -> i64 {
    i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX)
}

/// For commands that have nobody to ask.
struct Nobody;

#[async_trait(?Send)]
impl recorder::Relay for Nobody {
    async fn relay(&self, _: recorder::Received) -> Result<crate::suite::Answer, String> {
        Err("this command has no service to ask".into())
    }
}
