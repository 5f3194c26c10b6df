//! Tests of a plan by commands: the runner's requests, each made by a command of the
//! command line where one makes it, and then held against what was ordered. What the
//! service is sent is the judge's own request, whatever the sandbox would have sent.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use url::Url;

use super::{
    command::{Asked, Made, Printed, made, promised},
    plan::Command,
    recorder::{Received, Relay},
    sandbox::{Sandbox, SandboxError},
};
use crate::{
    api::gate_run::Verdict,
    gate::{
        control::{Ended, HostError},
        host::MAX_OUTPUT,
    },
    ports::payments::{REQUIRED_HEADERS, Unreadable, challenge_text},
    runner::http::{Ask, Call, Http, NoReply, Sent},
    suite::Answer,
};

/// Characters of what a command complains of that a message repeats.
const EXCERPT: usize = 200;

/// How a request was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// By the runner: no command makes it.
    Runner,
    /// By this command, and what was wrong with it.
    Command(String, Option<(Verdict, String)>),
}

/// Carries requests by commands.
pub struct Commands<'a> {
    /// Where they run.
    pub sandbox: &'a Sandbox,
    /// The commands there are.
    pub commands: &'a [Command],
    /// Whoever reaches the service.
    pub http: &'a Http,
    /// How long one may take.
    pub patience: Duration,
    /// How each test's requests were made, by its place in the plan. Between two tries of
    /// one, others are made.
    pub ways: RefCell<BTreeMap<usize, Vec<Way>>>,
}

impl Commands<'_> {
    fn note(&self, call: &Call, way: Way) {
        if let Some(test) = call.test {
            self.ways.borrow_mut().entry(test).or_default().push(way);
        }
    }
}

#[async_trait(?Send)]
impl Ask for Commands<'_> {
    async fn ask(&self, call: &Call, patience: Duration) -> Sent {
        let Some(Made { words, call }) = made(self.commands, call) else {
            self.note(call, Way::Runner);
            return self.http.send(call, patience).await;
        };
        let began = Instant::now();
        let once = Once {
            http: self.http,
            call: &call,
            patience,
            begun: Cell::new(false),
            answer: RefCell::default(),
            strange: RefCell::default(),
        };
        let ended = self.sandbox.command(&words, &once, self.patience).await;
        let answer = once.answer.take();
        let problem = problem(ended.as_ref(), answer.as_ref(), once.strange.take());
        self.note(&call, Way::Command(words.into_iter().next().unwrap_or_default(), problem));
        let answer = answer.unwrap_or_else(|| Err(NoReply::Broken("the command did not ask the service".into())));
        Sent { answer, took: began.elapsed() }
    }
}

/// What is wrong with a command that ended so, and for which the service answered that.
fn problem(
    ended: Result<&Ended, &SandboxError>,
    answer: Option<&Result<Answer, NoReply>>,
    strange: Option<String>,
) -> Option<(Verdict, String)> {
    let ended = match ended {
        Ok(ended) => ended,
        // It is the command's own doing; all else may be the machine's.
        Err(SandboxError::Host(late @ HostError::Late(_))) => return Some((Verdict::Failed, late.to_string())),
        Err(error) => return Some((Verdict::Error, error.to_string())),
    };
    if let Some(problem) = &ended.problem {
        return Some((Verdict::Error, format!("the command can't be started: {problem}")));
    }
    if let Some(strange) = strange {
        return Some((Verdict::Failed, strange));
    }
    match answer {
        None => {
            let said: String = ended.stderr.chars().take(EXCERPT).collect();
            let code = ended.code.map_or_else(|| "no code".into(), |code| code.to_string());
            Some((Verdict::Failed, format!("the command ends with {code} before it asks the service: {}", said.trim())))
        }
        // Of the exchange all is said there is.
        Some(Err(_)) => None,
        Some(Ok(answer)) => {
            let terms = match terms(answer) {
                Ok(terms) => terms,
                // No command can print what nobody can read.
                Err(unreadable) => {
                    return Some((Verdict::Failed, format!("the service answers 402 with terms that nobody can read: {unreadable}")));
                }
            };
            let printed = Printed { code: ended.code, stdout: &ended.stdout, stderr: &ended.stderr };
            promised(answer, terms.as_deref(), &printed, MAX_OUTPUT).err().map(|what| (Verdict::Failed, what))
        }
    }
}

/// What a 402 says in the header that a command line reads, as it is to be printed.
fn terms(answer: &Answer) -> Result<Option<Vec<u8>>, Unreadable> {
    let header = if answer.status == 402 { answer.header(REQUIRED_HEADERS[0]) } else { None };
    header.map(|header| challenge_text(&header)).transpose()
}

/// Lets the one request through that was ordered.
struct Once<'a> {
    http: &'a Http,
    call: &'a Call,
    patience: Duration,
    begun: Cell<bool>,
    answer: RefCell<Option<Result<Answer, NoReply>>>,
    strange: RefCell<Option<String>>,
}

#[async_trait(?Send)]
impl Relay for Once<'_> {
    async fn relay(&self, request: Received) -> Result<Answer, String> {
        if let Err(what) = self.is_ordered(&request) {
            self.strange.borrow_mut().get_or_insert(what.clone());
            return Err(what);
        }
        let answer = self.http.send(self.call, self.patience).await.answer;
        self.answer.replace(Some(answer.clone()));
        answer.map_err(|e| e.to_string())
    }
}

impl Once<'_> {
    fn is_ordered(&self, request: &Received) -> Result<(), String> {
        if self.begun.get() {
            return Err("the command asks the service more than once".into());
        }
        let url: Url = format!("http://recorder{}", request.target).parse().map_err(|_| "the command asks for what is no path")?;
        let asked = Asked::new(&request.method, &url, &request.headers, &request.body);
        let call = self.call;
        let ordered = Asked::new(&call.method, &call.url, &call.headers, call.body.as_deref().unwrap_or_default());
        if let Some(what) = asked.differs(&ordered) {
            return Err(format!("the command's request has another {what} than was ordered"));
        }
        self.begun.set(true);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A 402 with this header, for which the command printed what it says and ended with 4.
    fn told(header: &str, printed: &str) -> Option<(Verdict, String)> {
        let said = json!({ "code": 4, "problem": null, "stdout": "", "stderr": printed, "report": null });
        let ended: Ended = serde_json::from_value(said).expect("an end");
        let headers = vec![("payment-required".to_owned(), header.to_owned())];
        problem(Ok(&ended), Some(&Ok(Answer { status: 402, headers, ..Answer::default() })), None)
    }

    #[test]
    fn terms_that_nobody_can_read_are_the_services_fault() {
        let (text, padded) = (r#"{"x402Version":2}"#, "eyJ4NDAyVmVyc2lvbiI6Mn0=");
        assert_eq!(told(padded, text), None);
        assert_eq!(told(padded.trim_end_matches('='), text), None, "as browsers read it");
        for header in ["%%%", "bm9uZQ==", "eyJ4NDAyVmVyc2lvbiI6"] {
            let (verdict, said) = told(header, "whatever").expect("a problem");
            assert!(verdict == Verdict::Failed && said.starts_with("the service answers 402 with terms"), "{said}");
        }
        assert!(told(padded, "other terms").is_some_and(|(_, said)| said.contains("the command's standard error")));
    }
}
