//! The services under test as the runner reaches them: by its client with its
//! bounds, paid by its cashier within its budget.

use std::{collections::BTreeMap, time::Instant};

use async_trait::async_trait;
use url::Url;

use super::{
    drive::Service,
    goals::Runner as Found,
    reach::{Reach, Request},
    session::Fetched,
    terms::{Terms, terms},
};
use crate::{
    runner::{
        Runner,
        http::{Call, sent},
        pay::Purchase,
        progress::Quiet,
        tally::Tally,
    },
    suite::{Answer, Plan, Run, Secrets, Trouble},
};

/// The services of a plan, and the runner that asks them.
pub struct Services<'a> {
    plan: &'a Plan,
    runner: &'a Runner,
    seeds: BTreeMap<String, String>,
}

impl<'a> Services<'a> {
    /// Those of a plan; seeds are the variables of its tests.
    pub fn new(plan: &'a Plan, runner: &'a Runner, seeds: BTreeMap<String, String>) -> Self {
        Self { plan, runner, seeds }
    }

    async fn send(&self, reach: &Reach, request: &Request, free: bool) -> (Result<Answer, Trouble>, u128) {
        let url: Url = match reach.url(request).parse() {
            Ok(url) => url,
            Err(e) => return (Err(Trouble::Broken(format!("no URL: {e}"))), 0),
        };
        let call = Call {
            service: self.service(reach, request.service),
            method: request.method.clone(),
            url,
            headers: request.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
            body: request.body.as_ref().map(|body| body.clone().into_bytes()),
            // An agent sees where a service sends it, and may only follow to the service.
            follow: false,
            test: None,
        };
        let Runner { http, patience, cashier, .. } = self.runner;
        let tally = Tally::default();
        let answer = match if free { Terms::Free } else { terms(self.plan, reach, request) } {
            Terms::Free => sent(http, &call, *patience, &tally).await,
            Terms::Paid(declared) => {
                cashier.buy(&Purchase { ask: http, call, patience: *patience, declared: declared.as_ref(), tally: &tally }).await
            }
        };
        (answer, tally.spent().receipts.iter().map(|receipt| receipt.amount).sum())
    }

    /// The name by which the runner knows a service's other address.
    fn service(&self, reach: &Reach, service: usize) -> String {
        let origin = reach.origins().get(service);
        let of = |endpoint: &str| super::goals::origin(endpoint);
        let test = self.plan.tests.iter().find(|test| origin.is_some() && of(&test.endpoint).as_ref() == origin);
        test.map(|test| test.service.clone()).unwrap_or_default()
    }
}

#[async_trait(?Send)]
impl Service for Services<'_> {
    async fn exchange(&self, reach: &Reach, request: &Request, free: bool) -> Fetched {
        let began = Instant::now();
        let (answer, paid_micros) = self.send(reach, request, free).await;
        let milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (answer, trouble) = match answer {
            Ok(answer) => (Some(answer), None),
            Err(trouble) => (None, Some(trouble.text().to_owned())),
        };
        Fetched { answer, trouble, paid_micros, milliseconds }
    }

    async fn verify(&self, group: &str) -> Found {
        // What only an agent is asked to do, the runner tries after it.
        let mut plan = self.plan.clone();
        plan.groups.iter_mut().filter(|it| it.id == group).for_each(|it| it.canary_only = false);
        let mut run = match Run::new(&plan, Some(group), self.seeds.clone(), Secrets::default()) {
            Ok(run) => run,
            Err(findings) => {
                let why = findings.first().map(ToString::to_string).unwrap_or_default();
                return Found::Not(format!("the plan can't be run: {why}"));
            }
        };
        self.runner.run(&plan, &mut run, std::future::pending(), &mut Quiet).await;
        Found::Ran(run.into_results())
    }

    fn spending(&self) -> (u128, u128) {
        let spending = self.runner.cashier.budget.spending();
        (spending.spent, spending.outstanding)
    }
}
