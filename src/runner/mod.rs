//! Runs a gate's test plan: sends what [`crate::suite`] says is ready, many requests
//! at once, within limits of time, size, rate and money, and pays where a service
//! asks for it. It may not judge an answer or decide an order, and it knows neither
//! Kubernetes nor the command line. Read on here, then `pay.rs`, then `http.rs`;
//! `gate_cli.rs` wires it.

pub mod budget;
mod decode;
pub mod http;
pub mod pay;
pub mod phases;
pub mod progress;
pub mod rate;
pub mod seeds;
pub mod tally;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use futures::{StreamExt, stream::FuturesUnordered};
use tokio::time::sleep;
use url::Url;

use self::{
    http::{Ask, Call, Http},
    pay::{Cashier, Purchase},
    progress::Progress,
    tally::Tally,
};
use crate::suite::{Answer, Mode, Plan, Run, Spent, Task, Test, Ticket, Trouble};

/// Everything that a run goes by.
pub struct Runner {
    /// Client.
    pub http: Http,
    /// Whoever pays.
    pub cashier: Cashier,
    /// Most requests at once.
    pub jobs: usize,
    /// How long a request may take, where its test says nothing.
    pub patience: Duration,
    /// When the run ends, whatever is left.
    pub deadline: Option<Duration>,
}

/// What came of something that was waited for.
enum Event {
    Done(Ticket, Result<Answer, Trouble>, Duration),
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
        let mut tallies: BTreeMap<Ticket, Arc<Tally>> = BTreeMap::new();
        let mut places = BTreeSet::new();
        let mut shown = 0;
        loop {
            while sent.len() < self.jobs {
                let Some(task) = due.pop_front().and_then(|ticket| run.again(ticket)).or_else(|| run.next_task()) else { break };
                let tally = Arc::new(Tally::default());
                tallies.insert(task.ticket, tally.clone());
                let call = call(plan, &task, &mut places);
                sent.push(self.send(ask, plan, task, call, tally));
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
                    run.stop(&why, &tallied(&tallies));
                    break;
                }
                why = &mut deadline => {
                    run.stop(&why, &tallied(&tallies));
                    break;
                }
            };
            let again = match event {
                Event::Due(ticket) => {
                    due.push_back(ticket);
                    continue;
                }
                Event::Done(ticket, answer, patience) => {
                    let spent = tallies.remove(&ticket).map(|tally| tally.spent()).unwrap_or_default();
                    let after = match answer {
                        Ok(answer) => run.answered(ticket, &answer, spent).map(|after| after.max(wanted_pause(&answer, patience))),
                        Err(trouble) => run.broke(ticket, &trouble, spent),
                    };
                    after.map(|after| (ticket, after))
                }
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

    async fn send(&self, ask: &dyn Ask, plan: &Plan, task: Task, call: Result<Call, Trouble>, tally: Arc<Tally>) -> Event {
        let patience = task.timeout_ms.map_or(self.patience, Duration::from_millis);
        let call = match call {
            Ok(call) => call,
            Err(trouble) => return Event::Done(task.ticket, Err(trouble), patience),
        };
        let test = &plan.tests[task.test];
        let unpaid = task.free || (plan.mode == Mode::Ours && test.expected.status.contains(&402));
        let answer = if unpaid {
            http::sent(ask, &call, patience, &tally).await
        } else {
            let declared = task.payment.as_ref();
            self.cashier.buy(&Purchase { ask, call, patience, declared, tally: &tally }).await
        };
        Event::Done(task.ticket, answer, patience)
    }
}

/// How many milliseconds a service asks to be left alone before it is tried again. No
/// longer than a request of the test may take: a service does not decide how long a run
/// is.
fn wanted_pause(answer: &Answer, most: Duration) -> u64 {
    let wanted = if matches!(answer.status, 429 | 503) { answer.header("retry-after") } else { None };
    let digits = wanted.as_deref().map(str::trim).filter(|text| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()));
    // More seconds than can be counted are too many all the same.
    let seconds = digits.map_or(0, |text| text.parse().unwrap_or(u64::MAX));
    u64::try_from(Duration::from_secs(seconds).min(most).as_millis()).unwrap_or(u64::MAX)
}

/// What each try that is under way came to so far.
fn tallied(tallies: &BTreeMap<Ticket, Arc<Tally>>) -> BTreeMap<Ticket, Spent> {
    tallies.iter().map(|(ticket, tally)| (*ticket, tally.so_far())).collect()
}

/// A task's request, if it goes where its test says. `places` are those that were
/// asked so far.
fn call(plan: &Plan, task: &Task, places: &mut BTreeSet<String>) -> Result<Call, Trouble> {
    let request = &task.request;
    let test = &plan.tests[task.test];
    let url = Url::parse(&request.url).map_err(|e| Trouble::Broken(format!("{:?} is no URL: {e}", request.shown.url)))?;
    stays(plan, test, &url, places)?;
    places.insert(url.origin().ascii_serialization());
    Ok(Call {
        service: test.service.clone(),
        method: request.method.clone(),
        url,
        headers: request.headers.clone(),
        body: request.body.clone(),
        // What prim.sh's runner sends with follows them; elsewhere they go nowhere.
        follow: plan.mode == Mode::Primsh,
        test: Some(task.test),
    })
}

/// Whether a URL has the host that its test names. What a service answered may stand
/// in a path, never in the name of whom the next request, with its payment, goes to:
/// by our rules such a test does not come here, and by prim.sh's an answer may only
/// name whom the plan itself asks.
fn stays(plan: &Plan, test: &Test, url: &Url, places: &BTreeSet<String>) -> Result<(), Trouble> {
    let authority = authority(&test.endpoint);
    if !test.endpoint.contains("{{") {
        return Ok(());
    }
    if !authority.contains("{{") {
        let named = Url::parse(&format!("http://{authority}/")).ok().and_then(|url| url.host_str().map(str::to_owned));
        if named.as_deref() == url.host_str() {
            return Ok(());
        }
        return Err(Trouble::Declined(format!("endpoint: the test names {authority:?}, and its variables make the host another one")));
    }
    let captured = |name: &str| plan.tests.iter().any(|other| other.captures.contains_key(name));
    let name = authority.split("{{").skip(1).filter_map(|rest| rest.split_once("}}")).map(|(name, _)| name).find(|name| captured(name));
    let Some(name) = name.filter(|_| plan.mode == Mode::Primsh) else { return Ok(()) };
    let origin = url.origin();
    let literal = |other: &Test| {
        let whole = other.endpoint.split(['/', '?', '#', '\\']).take(3).collect::<Vec<_>>().join("/");
        !self::authority(&other.endpoint).contains("{{") && Url::parse(&whole).is_ok_and(|named| named.origin() == origin)
    };
    if places.contains(&origin.ascii_serialization()) || plan.tests.iter().any(literal) {
        return Ok(());
    }
    Err(Trouble::Declined(format!(
        "endpoint: a service's answer ({{{{{name}}}}}) would send this request to another host than the plan asks"
    )))
}

/// What stands in a test's URL between its scheme and its path.
fn authority(endpoint: &str) -> &str {
    let after = endpoint.find("://").map_or(0, |at| at + 3);
    endpoint[after..].split(['/', '?', '#', '\\']).next().unwrap_or_default()
}
