//! Layer 2's first look: whether a deployed service answers by its name as its document
//! says. It asks for its health and one route, and nothing that leaves a trace; all
//! of its routes are tested after that, by `contract_cli.rs`. No agent's code runs here.

use std::time::{Duration, Instant};

use super::{
    checks::{self, Answer, Asked, Request},
    http::HttpError,
    https::Client,
    plan::{Contract, Plan, Route},
    report::Step,
    steps::service::since,
};
use crate::api::{gate_run::Verdict, http::Method};

/// Pause between two attempts.
const PAUSE: Duration = Duration::from_millis(250);
/// How long after the run's beginning the edge may still say that nobody is behind
/// it: a route and the pod behind it may be seconds old.
const SETTLING: Duration = Duration::from_secs(15);

/// Asks the service everything.
pub async fn steps(contract: &Contract) -> Vec<Step> {
    let limits = &contract.plan.limits;
    let client = match Client::new(&contract.url, contract.ca_bundle.as_deref(), Duration::from_secs(limits.request_seconds)) {
        Ok(client) => client,
        Err(problem) => return vec![Step::not("input", Verdict::Error, problem)],
    };
    let service = Service { client, began: Instant::now(), patience: Duration::from_secs(limits.total_seconds) };
    let health = service.ask("check GET /", &Request::get("/"), |answer| checks::health(&contract.plan, answer)).await;
    // Who can't be reached is not asked again for as long.
    let reached = health.verdict != Verdict::Error;
    let mut steps = vec![health];
    if reached {
        steps.push(service.route(&contract.plan).await);
    }
    steps.push(Step { milliseconds: since(service.began), ..Step::passed("total") });
    steps
}

struct Service {
    client: Client,
    began: Instant,
    patience: Duration,
}

impl Service {
    async fn route(&self, plan: &Plan) -> Step {
        let name = |route: &Route| format!("check {} {}", route.method, route.path);
        match choose(&plan.routes) {
            Some(Ask::Unpaid(route)) => {
                let judge = |answer: &Answer| checks::unpaid(plan, route, answer).map(drop);
                self.ask(&format!("{} unpaid", name(route)), &checks::request(route), judge).await
            }
            Some(Ask::Free(route)) => self.ask(&name(route), &checks::request(route), |answer| checks::answered(route, answer)).await,
            Some(Ask::BadInput(route, bad)) => {
                self.ask(&format!("{} bad input", name(route)), &bad, |answer| checks::bad_input(answer, &Asked::default())).await
            }
            None => {
                Step { message: Some("no route can be asked without a key or a lasting effect".into()), ..Step::passed("check no route") }
            }
        }
    }

    /// The judgement of the first answer that is the service's.
    async fn ask(&self, name: &str, request: &Request, judge: impl FnOnce(&Answer) -> Result<(), String>) -> Step {
        let began = Instant::now();
        let answer = loop {
            let answer = self.client.send(request).await;
            if !not_there_yet(&answer, self.began.elapsed(), self.patience) {
                break answer;
            }
            tokio::time::sleep(PAUSE).await;
        };
        let step = match answer {
            Ok(answer) => Step::of(name, judge(&answer)),
            Err(error @ HttpError::TooLarge) => Step::of(name, Err(error.to_string())),
            // Nobody answered, so that nobody's answer is wrong.
            Err(error @ HttpError::None(_)) => {
                let problem =
                    format!("{error}; tried for {} s: does the name resolve, and may gate pods reach the edge?", began.elapsed().as_secs());
                Step::not(name, Verdict::Error, problem)
            }
        };
        Step { milliseconds: since(began), ..step }
    }
}

/// Whether the service may only not be reachable yet. A wrong answer of its own is
/// one at once.
fn not_there_yet(answer: &Result<Answer, HttpError>, elapsed: Duration, patience: Duration) -> bool {
    match answer {
        Ok(answer) => matches!(answer.status, 502..=504) && elapsed < SETTLING.min(patience),
        Err(HttpError::None(_)) => elapsed < patience,
        Err(HttpError::TooLarge) => false,
    }
}

/// What is asked of one route.
#[derive(Debug, PartialEq)]
enum Ask<'a> {
    /// Its price.
    Unpaid(&'a Route),
    /// Its answer.
    Free(&'a Route),
    /// To refuse a body that is no JSON.
    BadInput(&'a Route, Request),
}

/// The route that shows most and changes nothing. A priced one shows its terms; a
/// free one is read; one that only takes is given something to refuse. An example
/// with headers needs a key that the plan does not have.
fn choose(routes: &[Route]) -> Option<Ask<'_>> {
    let keyless = |route: &&Route| route.example.as_ref().is_none_or(|e| e.headers.is_empty());
    let free = || routes.iter().filter(|route| !checks::is_paid(route)).filter(keyless);
    let read = |sure: bool| free().find(|route| route.method == Method::Get && route.example.is_some() == sure).map(Ask::Free);
    let priced = routes.iter().find(|route| checks::is_paid(route)).map(Ask::Unpaid);
    let refusing = || free().find_map(|route| Some(Ask::BadInput(route, checks::bad_request(route)?)));
    priced.or_else(|| read(true)).or_else(|| read(false)).or_else(refusing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_be_too_early_is_asked_again() {
        let patience = Duration::from_secs(60);
        let answered = |status| Ok(Answer { status, ..Answer::default() });
        let nobody = || Err(HttpError::None("refused".into()));
        for (what, answer, seconds, again) in [
            ("nobody listens", nobody(), 59, true),
            ("nobody ever listened", nobody(), 60, false),
            ("the edge has nobody behind it", answered(502), 14, true),
            ("the edge still has nobody behind it", answered(502), 15, false),
            ("the pod is not ready", answered(503), 0, true),
            ("the service's own failure", answered(500), 0, false),
            ("what is not written", answered(501), 0, false),
            ("no such route", answered(404), 0, false),
            ("an answer", answered(200), 0, false),
            ("too much of an answer", Err(HttpError::TooLarge), 0, false),
        ] {
            assert_eq!(not_there_yet(&answer, Duration::from_secs(seconds), patience), again, "{what}");
        }
        assert!(!not_there_yet(&answered(502), Duration::from_secs(1), Duration::from_secs(1)), "its own time ends that too");
    }
}
