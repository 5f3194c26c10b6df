//! One run of a plan, as a machine that is told of answers and says what to send
//! next. It waits for nothing and reads no clock: who has it sends each [`Task`],
//! in any number at once, and hands back what came of it. `run/ours.rs` orders tests
//! by what they need, `run/line.rs` as prim.sh's runner does.

mod line;
mod ours;

use std::collections::{BTreeMap, BTreeSet};

use super::{
    exchange::{Answer, Receipt, Request, Shown, Spent, Task, Ticket, Trouble},
    finding::Finding,
    hidden,
    judge::{Judgement, ends, judge},
    plan::{Mode, Plan},
    secrets::Secrets,
    verdict::{Outcome, TestResult},
};
use line::Line;
use ours::Ours;

/// One run of a plan.
#[derive(Debug)]
pub struct Run<'p> {
    plan: &'p Plan,
    secrets: Secrets,
    order: Order,
    under_way: BTreeMap<Ticket, Flight>,
    results: Vec<TestResult>,
    /// Why it ended before its last test did.
    stopped: Option<String>,
}

/// By whose rules the next test is chosen.
#[derive(Debug)]
enum Order {
    Ours(Box<Ours>),
    Line(Line),
}

/// A test that was sent.
#[derive(Debug)]
struct Flight {
    test: usize,
    group: Option<String>,
    request: Request,
    attempt: u32,
    /// Of all tries so far.
    spent: Spent,
    variables: BTreeMap<String, String>,
    /// The last answer that was not the end of it: its status, and what is said of it.
    last: Option<(u16, Judgement)>,
}

/// What is next.
enum Next {
    /// This is sent.
    Send { ticket: Ticket, test: usize, request: Box<Request>, variables: BTreeMap<String, String> },
    /// This has come to an end without being sent.
    Done { ticket: Ticket, test: usize, outcome: Outcome, note: String, blocked_by: Option<String> },
    /// Nothing, for now or for good.
    Nothing,
}

impl<'p> Run<'p> {
    /// A run of all groups but those that only a canary runs, or of one and whatever
    /// it depends on. Seeds are variables by name. It is an error where there is no
    /// such group, where two tests have one id, and where tests depend on each other in
    /// a circle; prim.sh's way knows the first alone.
    pub fn new(plan: &'p Plan, group: Option<&str>, seeds: BTreeMap<String, String>, secrets: Secrets) -> Result<Self, Vec<Finding>> {
        let order = match plan.mode {
            Mode::Ours => Order::Ours(Box::new(Ours::new(plan, group, seeds)?)),
            Mode::Primsh => Order::Line(Line::new(plan, group, seeds).map_err(|finding| vec![finding])?),
        };
        let mut run = Self { plan, secrets, order, under_way: BTreeMap::new(), results: Vec::new(), stopped: None };
        if let Order::Ours(ours) = &run.order {
            let left = if group.is_none() { ours.left_out(plan) } else { Vec::new() };
            for (test, note) in left {
                run.push(test, None, Outcome::Skipped, None, Some(note.into()), None);
            }
        }
        Ok(run)
    }

    /// What to send next; none while nothing is ready. prim.sh's way has one at a time.
    pub fn next_task(&mut self) -> Option<Task> {
        loop {
            let next = match &mut self.order {
                Order::Ours(ours) => ours.next(self.plan, &self.secrets),
                Order::Line(line) => line.next(self.plan),
            };
            match next {
                Next::Nothing => return None,
                Next::Done { ticket, test, outcome, note, blocked_by } => {
                    let group = self.group(ticket);
                    self.push(test, group, outcome, None, Some(note), blocked_by);
                    self.finished(ticket, outcome, BTreeMap::new());
                }
                Next::Send { ticket, test, request, variables } => {
                    let group = self.group(ticket);
                    let (request, spent) = (*request, Spent::default());
                    let flight = Flight { test, group, request, attempt: 1, spent, variables, last: None };
                    let task = self.task(ticket, &flight);
                    self.under_way.insert(ticket, flight);
                    return Some(task);
                }
            }
        }
    }

    /// Takes an answer. If the test is to be tried again, says after how many milliseconds
    /// [`Run::again`] is to be asked for it.
    pub fn answered(&mut self, ticket: Ticket, answer: &Answer, spent: Spent) -> Option<u64> {
        let flight = self.under_way.get_mut(&ticket)?;
        flight.spend(Spent { status: Some(answer.status), ..spent });
        let test = &self.plan.tests[flight.test];
        let mut judgement = judge(self.plan, test, &flight.variables, answer);
        if judgement.note.is_some()
            && let Some(clean) = self.secrets.clean(answer)
        {
            // A note repeats parts of what the answer says, so that a part of a secret may
            // be in it: it is made again of what may be said.
            let said = judge(self.plan, test, &flight.variables, &clean);
            let same = said.note.filter(|_| said.outcome == judgement.outcome);
            judgement.note = same.or_else(|| Some("why can't be said: the answer repeats a secret".into()));
        }
        if let Some(retry) = &test.retry {
            let ended = match &retry.until {
                Some(until) => ends(self.plan, until, &flight.variables, answer),
                None => judgement.outcome == Outcome::Pass,
            };
            if !ended && retry.until.is_some() && judgement.outcome == Outcome::Pass {
                judgement.outcome = Outcome::Fail;
                judgement.note = Some(format!("what retry.until waits for did not come in {} tries", flight.attempt));
                judgement.captures.clear();
            }
            if !ended && flight.attempt <= retry.count {
                flight.last = Some((answer.status, judgement));
                return Some(retry.interval_ms);
            }
        }
        self.end(ticket, judgement);
        None
    }

    /// Takes that there is no answer; otherwise as [`Run::answered`].
    pub fn broke(&mut self, ticket: Ticket, trouble: &Trouble, spent: Spent) -> Option<u64> {
        let flight = self.under_way.get_mut(&ticket)?;
        flight.spend(spent);
        let outcome = match (self.plan.mode, trouble) {
            (Mode::Primsh, _) | (_, Trouble::Wrong(_)) => Outcome::Fail,
            (_, Trouble::Broken(_) | Trouble::Declined(_)) => Outcome::Error,
        };
        if let Some(retry) = &self.plan.tests[flight.test].retry
            && matches!(trouble, Trouble::Broken(_))
            && flight.attempt <= retry.count
        {
            return Some(retry.interval_ms);
        }
        // What an earlier try showed holds, where there was no money for another.
        if matches!(trouble, Trouble::Declined(_))
            && let Some((status, mut judgement)) = flight.last.take()
        {
            flight.spent.status = Some(status);
            let note = judgement.note.unwrap_or_default();
            judgement.note = Some(format!("{note}; it was not tried again: {}", trouble.text()));
            self.end(ticket, judgement);
            return None;
        }
        // prim.sh's runner threw before it noted any; and terms that are not paid are what
        // is wrong, not that money was asked for.
        if self.plan.mode == Mode::Primsh || !matches!(trouble, Trouble::Broken(_)) {
            flight.spent.status = None;
        }
        self.end(ticket, Judgement::without(outcome, trouble.text()));
        None
    }

    /// The next try of a test, if it is under way.
    pub fn again(&mut self, ticket: Ticket) -> Option<Task> {
        let mut flight = self.under_way.remove(&ticket)?;
        flight.attempt += 1;
        let task = self.task(ticket, &flight);
        self.under_way.insert(ticket, flight);
        Some(task)
    }

    /// Ends the run: what is under way has no answer (prim.sh calls that a fail), and
    /// the rest is blocked. `spent` is what tries that are under way took so far: a
    /// payment that is out is out.
    pub fn stop(&mut self, why: &str, spent: &BTreeMap<Ticket, Spent>) {
        if self.is_done() {
            return;
        }
        self.stopped = Some(why.to_owned());
        let primsh = self.plan.mode == Mode::Primsh;
        let tickets: Vec<_> = self.under_way.keys().copied().collect();
        for ticket in tickets {
            if let Some(flight) = self.under_way.get_mut(&ticket) {
                flight.spend(spent.get(&ticket).cloned().unwrap_or_default());
                flight.spent.status = flight.spent.status.filter(|_| !primsh);
            }
            self.end(ticket, Judgement::without(if primsh { Outcome::Fail } else { Outcome::Error }, why));
        }
        let rest = match &mut self.order {
            Order::Ours(ours) => ours.stop(),
            Order::Line(line) => line.stop(),
        };
        for (ticket, test) in rest {
            let group = self.group(ticket);
            self.push(test, group, Outcome::Blocked, None, Some(format!("never sent: {why}")), None);
        }
    }

    /// Why the run was cut short, if it was.
    pub fn stopped(&self) -> Option<&str> {
        self.stopped.as_deref()
    }

    /// Whether every test has a result.
    pub fn is_done(&self) -> bool {
        let left = match &self.order {
            Order::Ours(ours) => ours.left(),
            Order::Line(line) => line.left(),
        };
        left == 0 && self.under_way.is_empty()
    }

    /// Tests that this run sends or says why not, with those that the plan leaves out.
    pub fn len(&self) -> usize {
        let left = match &self.order {
            Order::Ours(ours) => ours.left(),
            Order::Line(line) => line.left(),
        };
        left + self.under_way.len() + self.results.len()
    }

    /// Places of the tests that it sends, or says why not: those that were asked for and
    /// what they need.
    pub fn selection(&self) -> BTreeSet<usize> {
        match &self.order {
            Order::Ours(ours) => ours.selection().clone(),
            Order::Line(line) => line.selection(),
        }
    }

    /// Places of the groups that were asked for: in the plan's order, with prim.sh's way
    /// in its own.
    pub fn groups(&self) -> &[usize] {
        match &self.order {
            Order::Ours(ours) => ours.asked(),
            Order::Line(line) => line.groups(),
        }
    }

    /// Whether there is nothing to run.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A text without secrets.
    pub fn redact(&self, text: &str) -> String {
        self.secrets.redact(text)
    }

    /// Results in the order in which they came: look again after each call for new ones.
    pub fn results(&self) -> &[TestResult] {
        &self.results
    }

    /// Results in the order of the plan's groups; with prim.sh's way in the order in
    /// which they came.
    pub fn into_results(mut self) -> Vec<TestResult> {
        if let Order::Ours(ours) = &self.order {
            self.results.sort_by_key(|result| ours.rank(result.test));
        }
        self.results
    }

    fn group(&self, ticket: Ticket) -> Option<String> {
        let group = match &self.order {
            Order::Ours(ours) => ours.group(ticket),
            Order::Line(line) => line.group(ticket),
        };
        group.map(|i| self.plan.groups[i].id.clone())
    }

    fn task(&self, ticket: Ticket, flight: &Flight) -> Task {
        let test = &self.plan.tests[flight.test];
        Task {
            ticket,
            test: flight.test,
            request: flight.request.clone(),
            timeout_ms: test.timeout_ms,
            free: test.is_free(),
            payment: test.payment.clone(),
            attempt: flight.attempt,
        }
    }

    fn end(&mut self, ticket: Ticket, judgement: Judgement) {
        let Some(flight) = self.under_way.remove(&ticket) else { return };
        let shown = self.shown(flight.request.shown);
        let receipts = flight.spent.receipts.into_iter().map(|receipt| self.receipt(receipt)).collect();
        self.push(flight.test, flight.group, judgement.outcome, flight.spent.status, judgement.note, None);
        if let Some(result) = self.results.last_mut() {
            result.unfilled = judgement.unfilled;
            result.attempts = flight.attempt;
            result.duration_ms = flight.spent.duration_ms;
            result.receipts = receipts;
            result.request = Some(shown);
        }
        self.finished(ticket, judgement.outcome, judgement.captures);
    }

    fn shown(&self, shown: Shown) -> Shown {
        let header = |(name, value): (String, String)| {
            let value = self.secrets.redact(&value);
            let value = hidden::shown(&name, &value).to_owned();
            (name, value)
        };
        Shown {
            method: shown.method,
            url: hidden::url(&self.secrets.redact(&shown.url)).into_owned(),
            headers: shown.headers.into_iter().map(header).collect(),
            body: shown.body.map(|body| hidden::body(&self.secrets.redact(&body)).into_owned()),
        }
    }

    /// A receipt repeats what the service says.
    fn receipt(&self, receipt: Receipt) -> Receipt {
        let clean = |text: String| self.secrets.redact(&text);
        Receipt {
            network: clean(receipt.network),
            asset: clean(receipt.asset),
            pay_to: clean(receipt.pay_to),
            payer: clean(receipt.payer),
            transaction: receipt.transaction.map(clean),
            refused: receipt.refused.map(clean),
            ..receipt
        }
    }

    fn finished(&mut self, ticket: Ticket, outcome: Outcome, captures: BTreeMap<String, String>) {
        match &mut self.order {
            Order::Ours(ours) => ours.finished(ticket, outcome, captures),
            Order::Line(line) => line.finished(self.plan, outcome, captures),
        }
    }

    fn push(
        &mut self,
        test: usize,
        group: Option<String>,
        outcome: Outcome,
        status: Option<u16>,
        note: Option<String>,
        blocked_by: Option<String>,
    ) {
        let given = &self.plan.tests[test];
        self.results.push(TestResult {
            id: given.id.clone(),
            test,
            group,
            service: given.service.clone(),
            outcome,
            actual_status: status,
            note: note.map(|note| self.secrets.redact(&note)),
            blocked_by,
            unfilled: Vec::new(),
            attempts: 0,
            duration_ms: 0,
            receipts: Vec::new(),
            request: None,
        });
    }
}

impl Flight {
    fn spend(&mut self, spent: Spent) {
        self.spent.duration_ms = self.spent.duration_ms.saturating_add(spent.duration_ms);
        self.spent.receipts.extend(spent.receipts);
        self.spent.status = spent.status.or(self.spent.status);
    }
}
