//! The five checks: the service runs in the other container, and what it answers
//! over loopback decides. Nothing else of the package has run when it starts, so
//! that only the service itself can answer.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use crate::{
    api::gate_run::Verdict,
    gate::{
        Ahead,
        checks::{self, Answer, Request},
        control::{Ended, Host, HostError, Start},
        facilitator::{self, Facilitator},
        http::{Client, HttpError},
        layout::{self, PORT},
        plan::{Plan, Route},
        report::{MAX_OUTPUT, Step, cut},
    },
};

/// The first check.
const BOOTS: &str = "check boots";
/// Pause between two looks whether the service answers.
const PAUSE: Duration = Duration::from_millis(25);
/// How long the host may take to kill what it runs.
const STOP: Duration = Duration::from_secs(10);

/// Where and how the package's programs run.
pub(in crate::gate) fn start(plan: &Plan, arguments: &[&str], service: bool) -> Start {
    let mut env: BTreeMap<String, String> = plan.env.clone();
    // Last, so that no name the document asks for replaces one of ours.
    let ours = [
        (layout::NETWORK, plan.terms.network.clone()),
        (layout::PAY_TO, plan.terms.pay_to.clone()),
        (layout::FACILITATOR, format!("http://127.0.0.1:{}", facilitator::PORT)),
        ("PORT", PORT.to_string()),
    ];
    env.extend(layout::SETTINGS.map(|(name, value)| (name.to_owned(), value.to_owned())));
    env.extend(ours.map(|(name, value)| (name.to_owned(), value)));
    if service {
        env.insert("NODE_ENV".into(), "production".into());
    }
    let command = [layout::BUN, "--no-env-file"].iter().chain(arguments).map(|a| (*a).to_owned()).collect();
    Start { command, env, directory: layout::WORK.into() }
}

/// The entry file of a package.
pub(in crate::gate) fn entry(plan: &Plan) -> String {
    layout::entry(&plan.primitive)
}

/// Runs the service and asks it everything.
pub(in crate::gate) async fn steps(plan: &Plan, host: &mut Host, facilitator: &Facilitator, ahead: &Ahead<'_>) -> Vec<Step> {
    let patience = Duration::from_secs(plan.limits.request_seconds);
    let client = Client::new(PORT, patience);
    let mut checks = Checks { plan, facilitator, client, steps: Vec::new() };
    if checks.boot(host).await {
        for route in &plan.routes {
            checks.route(route).await;
        }
        // It has to be there still: an answer of one that died since is no proof
        // that it lives.
        let health = checks.client.send(&Request::get("/")).await;
        let alive = judged(health, |answer| checks::health(plan, answer));
        checks.add("check still answers", Instant::now(), alive);
        // Last, since from now on every payment is taken.
        if let Some(preview) = &plan.preview {
            facilitator.take_all();
            checks.steps.extend(ahead(plan, preview).await);
        }
    }
    let printed = match host.stop(STOP).await {
        Ok(ended) => ended.output(),
        Err(error) => error.to_string(),
    };
    let mut steps = checks.steps;
    // What ended by itself has been told of.
    if let Some(first) = steps.first_mut().filter(|first| first.output.is_empty()) {
        first.output = printed;
        cut(&mut first.output, MAX_OUTPUT);
    }
    steps
}

struct Checks<'a> {
    plan: &'a Plan,
    facilitator: &'a Facilitator,
    client: Client,
    steps: Vec<Step>,
}

impl Checks<'_> {
    /// Starts the service and waits for its first answer.
    async fn boot(&mut self, host: &mut Host) -> bool {
        let began = Instant::now();
        let limit = Duration::from_secs(self.plan.limits.boot_seconds);
        let entry = entry(self.plan);
        let booted = async {
            if self.client.send(&Request::get("/")).await.is_ok() {
                return Err(Step::not(BOOTS, Verdict::Error, "something answers on the service's port before the service was started"));
            }
            host.start(start(self.plan, &[&entry], true)).await.map_err(|e| refused(&e))?;
            let answers = self.first_answer(began, limit);
            tokio::select! {
                answer = answers => answer.map_err(|e| Step::not(BOOTS, Verdict::Failed, e)),
                // Longer than the answer is waited for, which then says what is wrong.
                ended = host.ended(limit * 2) => Err(gone(ended)),
            }
        };
        let (boots, answer) = match booted.await {
            Ok(answer) => (Step::passed(BOOTS), Some(answer)),
            Err(step) => (step, None),
        };
        self.steps.push(Step { milliseconds: since(began), ..boots });
        if let Some(answer) = &answer {
            self.add("check GET /", began, checks::health(self.plan, answer));
        }
        answer.is_some()
    }

    async fn first_answer(&self, began: Instant, limit: Duration) -> Result<Answer, String> {
        loop {
            match self.client.send(&Request::get("/")).await {
                Ok(answer) => return Ok(answer),
                Err(error @ HttpError::TooLarge) => return Err(error.to_string()),
                Err(error) if began.elapsed() >= limit => return Err(format!("GET / within {} s: {error}", limit.as_secs())),
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    async fn route(&mut self, route: &Route) {
        let name = format!("check {} {}", route.method.as_str(), route.path);
        if checks::is_paid(route) {
            self.paid_route(route, &name).await;
            return;
        }
        let began = Instant::now();
        let answer = self.client.send(&checks::request(route)).await;
        self.add(&name, began, judged(answer, |a| checks::answered(route, a)));
        if let Some(bad) = checks::bad_request(route) {
            let began = Instant::now();
            let answer = self.client.send(&bad).await;
            self.add(&format!("{name} bad input"), began, judged(answer, |a| checks::bad_input(a, &checks::Asked::default())));
        }
    }

    async fn paid_route(&mut self, route: &Route, name: &str) {
        let (plan, request) = (self.plan, checks::request(route));
        let began = Instant::now();
        let answer = self.client.send(&request).await;
        let offer = answer.map_err(|e| e.to_string()).and_then(|a| checks::unpaid(plan, route, &a));
        self.add(&format!("{name} unpaid"), began, offer.as_ref().map(|_| ()).map_err(Clone::clone));
        if let Some(head) = checks::head(route) {
            let began = Instant::now();
            let answer = self.client.send(&head).await;
            let judge = |a: &Answer| if a.status < 400 { Err(format!("HEAD is answered {} unpaid", a.status)) } else { Ok(()) };
            self.add(&format!("{name} unpaid HEAD"), began, judged(answer, judge));
        }
        let Ok(offer) = offer else { return };

        let began = Instant::now();
        let nonce = self.facilitator.issue(false);
        let answer = self.client.send(&request.clone().paid(offer.pay(&nonce))).await;
        let asked = self.facilitator.asked(&nonce);
        self.add(&format!("{name} refused payment"), began, judged(answer, |a| checks::refused(a, &asked)));

        let began = Instant::now();
        let nonce = self.facilitator.issue(true);
        let answer = self.client.send(&request.paid(offer.pay(&nonce))).await;
        let asked = self.facilitator.asked(&nonce);
        self.add(&format!("{name} paid"), began, judged(answer, |a| checks::paid(plan, route, a, &asked)));

        if let Some(bad) = checks::bad_request(route) {
            let began = Instant::now();
            let nonce = self.facilitator.issue(true);
            let answer = self.client.send(&bad.paid(offer.pay(&nonce))).await;
            let asked = self.facilitator.asked(&nonce);
            self.add(&format!("{name} bad input"), began, judged(answer, |a| checks::bad_input(a, &asked)));
        }
    }

    fn add(&mut self, name: &str, began: Instant, result: Result<(), String>) {
        self.steps.push(Step { milliseconds: since(began), ..Step::of(name, result) });
    }
}

fn judged(answer: Result<Answer, HttpError>, judge: impl FnOnce(&Answer) -> Result<(), String>) -> Result<(), String> {
    answer.map_err(|e| e.to_string()).and_then(|answer| judge(&answer))
}

/// Before its first order the host has run nothing of the package: if it is gone
/// then, the run broke and the package did not.
fn refused(error: &HostError) -> Step {
    Step::not(BOOTS, Verdict::Error, error.to_string())
}

/// The service ended before it answered. Its first error line is the best guess at
/// why, and all that it printed is in the report.
fn gone(ended: Result<Ended, HostError>) -> Step {
    let ended = match ended {
        Ok(ended) => ended,
        Err(error) => return Step::not(BOOTS, Verdict::Failed, error.to_string()),
    };
    let how = ended.problem.clone().or_else(|| ended.code.map(|c| format!("exit code {c}"))).unwrap_or_else(|| "killed".into());
    let why = ended.stderr.lines().chain(ended.stdout.lines()).find(|line| line.to_lowercase().contains("error")).unwrap_or_default();
    let mut message = format!("the service ended before it answered ({how}): {}", why.trim());
    cut(&mut message, 500);
    let mut output = ended.output();
    cut(&mut output, MAX_OUTPUT);
    Step { output, ..Step::not(BOOTS, Verdict::Failed, message) }
}

pub(in crate::gate) fn since(began: Instant) -> i64 {
    i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX)
}
