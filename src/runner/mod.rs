//! Runs a gate's test plan: sends what [`crate::suite`] says is ready, many requests
//! at once, within limits of time, size, rate and money, and pays where a service
//! asks for it. It may not judge an answer or decide an order, and it knows neither
//! Kubernetes nor the command line. Read on here, then `pay.rs`, then `http.rs`;
//! `gate_cli.rs` wires it.

pub mod budget;
pub mod http;
pub mod pay;
pub mod progress;
pub mod rate;
pub mod seeds;

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use futures::{StreamExt, stream::FuturesUnordered};
use tokio::time::sleep;
use url::Url;

use self::{
    http::{Ask, Call, Http},
    pay::{Cashier, Purchase},
    progress::Progress,
    rate::Rate,
};
use crate::suite::{Answer, Mode, Plan, Run, Spent, Task, Test, Ticket, Trouble};

/// Everything that a run goes by.
pub struct Runner {
    /// Client.
    pub http: Http,
    /// Whoever pays.
    pub cashier: Cashier,
    /// How often a host is asked.
    pub rate: Rate,
    /// Most requests at once.
    pub jobs: usize,
    /// How long a request may take, where its test says nothing.
    pub patience: Duration,
    /// When the run ends, whatever is left.
    pub deadline: Option<Duration>,
}

/// What came of something that was waited for.
enum Event {
    Done(Ticket, Result<Answer, Trouble>, Spent),
    Due(Ticket),
}

impl Runner {
    /// Runs to the end, or until `interrupted` says why not.
    pub async fn run(&self, plan: &Plan, run: &mut Run<'_>, interrupted: impl Future<Output = String>, progress: &mut dyn Progress) {
        self.run_by(&self.http, plan, run, interrupted, progress).await;
    }

    /// The same with requests carried by somebody else than the runner's own client.
    pub async fn run_by(
        &self,
        ask: &dyn Ask,
        plan: &Plan,
        run: &mut Run<'_>,
        interrupted: impl Future<Output = String>,
        progress: &mut dyn Progress,
    ) {
        let deadline = async {
            match self.deadline {
                Some(deadline) => {
                    sleep(deadline).await;
                    format!("the run's deadline of {} s passed", deadline.as_secs())
                }
                None => std::future::pending().await,
            }
        };
        tokio::pin!(deadline, interrupted);
        let (mut sent, mut waiting, mut due) = (FuturesUnordered::new(), FuturesUnordered::new(), VecDeque::new());
        let mut shown = 0;
        loop {
            while sent.len() < self.jobs {
                let Some(task) = due.pop_front().and_then(|ticket| run.again(ticket)).or_else(|| run.next_task()) else { break };
                sent.push(self.send(ask, plan, task));
            }
            for result in run.results().get(shown..).unwrap_or_default() {
                progress.result(plan, result);
            }
            shown = run.results().len();
            if sent.is_empty() && waiting.is_empty() {
                break;
            }
            progress.under_way(sent.len());
            let event = tokio::select! {
                Some(event) = sent.next() => event,
                Some(event) = waiting.next() => event,
                why = &mut interrupted => {
                    run.stop(&why);
                    break;
                }
                why = &mut deadline => {
                    run.stop(&why);
                    break;
                }
            };
            let again = match event {
                Event::Due(ticket) => {
                    due.push_back(ticket);
                    continue;
                }
                Event::Done(ticket, Ok(answer), spent) => run.answered(ticket, &answer, spent).map(|after| (ticket, after)),
                Event::Done(ticket, Err(trouble), spent) => run.broke(ticket, &trouble, spent).map(|after| (ticket, after)),
            };
            if let Some((ticket, after)) = again {
                waiting.push(async move {
                    sleep(Duration::from_millis(after)).await;
                    Event::Due(ticket)
                });
            }
        }
        for result in run.results().get(shown..).unwrap_or_default() {
            progress.result(plan, result);
        }
    }

    async fn send(&self, ask: &dyn Ask, plan: &Plan, task: Task) -> Event {
        let test = &plan.tests[task.test];
        let call = match call(plan, test, &task) {
            Ok(call) => call,
            Err(trouble) => return Event::Done(task.ticket, Err(trouble), Spent::default()),
        };
        self.rate.turn(call.url.authority()).await;
        let began = Instant::now();
        let patience = task.timeout_ms.map_or(self.patience, Duration::from_millis);
        let unpaid = task.free || (plan.mode == Mode::Ours && test.expected.status.contains(&402));
        let (answer, receipts) = if unpaid {
            (ask.ask(&call, patience).await.map_err(|e| Trouble::Broken(e.to_string())), Vec::new())
        } else {
            self.cashier.buy(&Purchase { ask, call, patience, declared: task.payment.as_ref() }).await
        };
        let duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        Event::Done(task.ticket, answer, Spent { duration_ms, receipts })
    }
}

/// A task's request, if it goes where its test says.
fn call(plan: &Plan, test: &Test, task: &Task) -> Result<Call, Trouble> {
    let request = &task.request;
    let url = Url::parse(&request.url).map_err(|e| Trouble::Broken(format!("{:?} is no URL: {e}", request.shown.url)))?;
    stays(plan, test, &url)?;
    Ok(Call {
        service: test.service.clone(),
        method: request.method.clone(),
        url,
        headers: request.headers.clone(),
        body: request.body.clone(),
        // What prim.sh's runner sends with follows them; elsewhere they go nowhere.
        follow: plan.mode == Mode::Primsh,
    })
}

/// Whether a URL has the host that its test names. What a service answered may stand
/// in a path, never in the name of whom the next request, with its payment, goes to.
fn stays(plan: &Plan, test: &Test, url: &Url) -> Result<(), Trouble> {
    let after = test.endpoint.find("://").map_or(0, |at| at + 3);
    let authority = test.endpoint[after..].split(['/', '?', '#', '\\']).next().unwrap_or_default();
    let captured = authority.split("{{").skip(1).find_map(|rest| {
        let name = rest.split("}}").next().unwrap_or_default();
        plan.tests.iter().any(|other| other.captures.contains_key(name)).then_some(name)
    });
    if let Some(name) = captured {
        return Err(Trouble::Declined(format!(
            "endpoint: the host would be what a service answered ({{{{{name}}}}}); put a / before the variable, or give the host by --var"
        )));
    }
    if authority.contains("{{") {
        return Ok(());
    }
    let named = Url::parse(&format!("http://{authority}/")).ok().and_then(|url| url.host_str().map(str::to_owned));
    if named.as_deref() == url.host_str() {
        return Ok(());
    }
    Err(Trouble::Declined(format!("endpoint: the test names {authority:?}, and its variables make the host another one")))
}
