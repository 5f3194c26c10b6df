//! A canary's run: the one place that waits. It carries a conversation on between
//! the model and the service, and then has the runner try what the agent did not
//! reach. Whom it speaks to are ports.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use futures::{
    FutureExt as _,
    future::{LocalBoxFuture, Shared},
};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::{
    goals::{self, Goals, Runner},
    limits::{Limits, MOST_LLMS},
    reach::{Reach, Request},
    record::{Ended, Record},
    report::{Cost, Goal, GroupReport, TokenPrice},
    session::{Fetched, Session, Todo},
    task::{Llms, Task},
};
use crate::{
    api::gate_run::Verdict,
    ports::{
        error::{Class, PortError},
        model::{Agent, Spoken},
        shell::Shell,
    },
    suite::{Answer, Group, Interface, Plan},
};

/// What of a group's time is kept for the runner: a fourth.
const KEPT: u32 = 4;
/// Longest wait for a model that asks to wait.
const MOST_WAIT: Duration = Duration::from_secs(10);

/// The services under test, and whoever pays them. One conversation waits for it at a
/// time, in one thread.
#[async_trait(?Send)]
pub trait Service {
    /// Makes a request, and pays for it within the caps unless it is to be free.
    async fn exchange(&self, reach: &Reach, request: &Request, free: bool) -> Fetched;
    /// Runs a group of the plan as the deterministic runner does.
    async fn verify(&self, group: &str) -> Runner;
    /// What commands in the sandbox asked for since this was asked last, and what was
    /// answered.
    fn overheard(&self) -> Vec<(Request, Answer)> {
        Vec::new()
    }
    /// What was spent so far, and what may still be taken, in millionths of a USDC.
    fn spending(&self) -> (u128, u128);
}

/// Comes when somebody ends the run, and says why; whoever waits for it may be many.
pub type Interrupted = Shared<LocalBoxFuture<'static, String>>;

/// For what nobody interrupts.
pub fn uninterrupted() -> Interrupted {
    std::future::pending().boxed_local().shared()
}

/// Everything that a run is given.
pub struct Canary<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// The model.
    pub model: &'a dyn Agent,
    /// The services.
    pub service: &'a dyn Service,
    /// A sandbox, where there is one.
    pub shell: Option<&'a dyn Shell>,
    /// Limits.
    pub limits: Limits,
    /// Values of variables that a run is seeded with.
    pub variables: BTreeMap<String, String>,
    /// What the model costs.
    pub price: TokenPrice,
    /// What ends it early.
    pub interrupted: Interrupted,
}

/// Why something was not waited for to its end.
enum Stop {
    Late,
    Interrupted(String),
}

impl Canary<'_> {
    /// Has the model do a group's task, and says whether its goals hold. Once it was
    /// interrupted, it says what was done until then.
    pub async fn group(&self, group: &Group) -> GroupReport {
        let began = Instant::now();
        let deadline = began + self.limits.group();
        let (spent, outstanding) = self.service.spending();
        let late = |why: String| Err((Verdict::Error, format!("it was not begun: {why}")));
        let begun = match self.until(deadline, self.begin(group)).await {
            Ok(begun) => begun,
            Err(Stop::Late) => late("its services did not say what they are (llms.txt) in the group's time".into()),
            Err(Stop::Interrupted(why)) => late(why),
        };
        let (verdict, goals, record) = match begun {
            Ok(start) => self.run(group, start, deadline).await,
            Err((verdict, why)) => (verdict, Vec::new(), Record { ended: Some(Ended::NotBegun(why)), ..Record::default() }),
        };
        let (now_spent, now_outstanding) = self.service.spending();
        let cost = Cost {
            spent_micros: now_spent.saturating_sub(spent),
            outstanding_micros: now_outstanding.saturating_sub(outstanding),
            ..Cost::of(&record, self.price)
        };
        let mut report = GroupReport::new((&group.id, &group.name), verdict, goals, record, cost);
        report.duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        report
    }

    /// The services, and what they say of themselves; else the verdict.
    async fn begin(&self, group: &Group) -> Result<(Reach, Session), (Verdict, String)> {
        let blocked = |why: &str| (Verdict::Blocked, why.to_owned());
        let tests = goals::tests(self.plan, &group.id);
        if tests.is_empty() {
            return Err(blocked("the group has no tests, so that it has no goals that anything could show"));
        }
        let cli = group.interface == Interface::Cli;
        let program = self.shell.filter(|_| cli).map(Shell::program);
        if cli && program.is_none() {
            return Err(blocked("a command line is used in a sandbox alone, and there is none here: run `flywheel gate spawn`"));
        }
        let origins: Vec<_> = tests.iter().filter_map(|at| goals::origin(&self.plan.tests[*at].endpoint)).collect();
        let reach = Reach::new(&origins);
        if reach.origins().is_empty() {
            return Err(blocked("none of the group's tests has a URL whose host can be read"));
        }
        let mut llms = Vec::new();
        let mut answered = false;
        for service in 0..reach.origins().len() {
            let request = Request { method: "GET".into(), service, target: "/llms.txt".into(), ..Request::default() };
            let fetched = self.service.exchange(&reach, &request, true).await;
            answered |= fetched.answer.is_some();
            llms.push(read(&fetched));
        }
        if !answered {
            let Some(Llms::None(why)) = llms.into_iter().next() else { return Err(blocked("no service")) };
            return Err((Verdict::Error, format!("the service is not reached: {why}")));
        }
        let task = Task { name: &group.name, prompt: &group.prompt, variables: &self.variables, program, reach: &reach, llms: &llms };
        let session = Session::new(task.opening(), reach.clone(), cli, self.limits.rounds(cli));
        Ok((reach, session))
    }

    async fn run(&self, group: &Group, (reach, mut session): (Reach, Session), deadline: Instant) -> (Verdict, Vec<Goal>, Record) {
        let mut goals = Goals::new(self.plan, &group.id, &reach, self.variables.clone());
        let talking = deadline - self.limits.group() / KEPT;
        match self.until(talking, self.talk(&reach, &mut session, &mut goals)).await {
            Ok(()) => {}
            Err(Stop::Late) => session.end(Ended::Time),
            Err(Stop::Interrupted(why)) => session.end(Ended::Interrupted(why)),
        }
        let record = session.into_record();
        let broke = matches!(record.ended, Some(Ended::Broke(_)));
        let runner = match &record.ended {
            Some(Ended::Broke(_)) => Runner::Not("its model broke".into()),
            Some(Ended::Interrupted(why)) => Runner::Not(why.clone()),
            _ if goals.all_reached() => Runner::Not("there was nothing left to try".into()),
            _ => self.until(deadline, self.service.verify(&group.id)).await.unwrap_or_else(|stop| {
                Runner::Not(match stop {
                    Stop::Late => "there was no time to try it without".into(),
                    Stop::Interrupted(why) => why,
                })
            }),
        };
        let proofs = goals.proofs(&runner);
        let verdict = goals::verdict(proofs.iter().map(|(_, proof)| proof), broke);
        (verdict, proofs.iter().map(|(test, proof)| Goal::new(test, proof)).collect(), record)
    }

    /// Waits until then at most, and no longer than until it is interrupted.
    async fn until<T>(&self, deadline: Instant, work: impl Future<Output = T>) -> Result<T, Stop> {
        tokio::select! {
            biased;
            why = self.interrupted.clone() => Err(Stop::Interrupted(why)),
            came = timeout_at(deadline, work) => came.map_err(|_| Stop::Late),
        }
    }

    async fn talk(&self, reach: &Reach, session: &mut Session, goals: &mut Goals<'_>) {
        while session.ended().is_none() {
            match self.asked(session).await {
                Ok(spoken) => session.heard(spoken),
                Err(error) => session.end(Ended::Broke(error.message)),
            }
            while let Some(todo) = session.todo() {
                match todo {
                    Todo::Http(request) => {
                        let fetched = self.service.exchange(reach, &request, false).await;
                        if let Some(answer) = &fetched.answer {
                            goals.saw(session.steps(), &request, answer);
                        }
                        session.fetched(&fetched);
                    }
                    Todo::Shell(command) => match self.shell {
                        Some(shell) => {
                            let printed = shell.run(&command, Duration::from_secs(self.limits.request_seconds)).await;
                            for (request, answer) in self.service.overheard() {
                                goals.saw(session.steps(), &request, &answer);
                            }
                            session.printed(printed.as_ref().map_err(|error| error.message.clone()));
                        }
                        None => session.printed(Err("there is no sandbox".into())),
                    },
                }
            }
        }
    }

    /// The model's next words. What passes by itself is asked once more.
    async fn asked(&self, session: &Session) -> Result<Spoken, PortError> {
        let patience = Duration::from_secs(self.limits.model_seconds);
        let late = |_| PortError::unreachable("the model's server");
        let ask = async || timeout(patience, self.model.next(session.conversation(), session.tools())).await.map_err(late)?;
        match ask().await {
            Err(error) if matches!(error.class, Class::Transient | Class::RateLimited(_)) => {
                if let Class::RateLimited(wait) = error.class {
                    sleep(wait.min(MOST_WAIT)).await;
                }
                ask().await
            }
            answer => answer,
        }
    }
}

/// What a service says of itself.
fn read(fetched: &Fetched) -> Llms {
    match &fetched.answer {
        None => Llms::None(fetched.trouble.clone().unwrap_or_else(|| "no answer".into())),
        Some(answer) if answer.status != 200 => Llms::None(format!("it is answered {}", answer.status)),
        Some(answer) => {
            let end = answer.body.len().min(4 * MOST_LLMS);
            Llms::Text(String::from_utf8_lossy(&answer.body[..end]).into_owned())
        }
    }
}
