//! Groups of a plan that a model does by the command line, in the sandbox: the canary's
//! own conversation, with a shell in the place of requests. Its goals are judged by what
//! its commands asked through the recorder, and its payments are made there, as the
//! canary's are.

use std::{
    cell::{Cell, RefCell},
    time::Duration,
};

use async_trait::async_trait;
use serde_json::json;

use super::{
    recorder::{Received, Relay},
    sandbox::Sandbox,
};
use crate::{
    api::conditions::Reason,
    canary::{Fetched, Reach, Request, Runner, Service, Services},
    ports::{
        error::{Class, PortError},
        shell::{Printed, Shell},
    },
    suite::Answer,
};

/// Most requests of one command.
const MOST_AT_ONCE: usize = 20;
/// Most requests of a group's commands that are remembered.
const MOST: usize = 200;

/// The services, and what commands asked them.
pub struct Overheard<'a> {
    services: Services<'a>,
    seen: RefCell<Vec<(Request, Answer)>>,
    count: Cell<usize>,
}

impl<'a> Overheard<'a> {
    /// Services that nobody has asked yet.
    pub fn new(services: Services<'a>) -> Self {
        Self { services, seen: RefCell::default(), count: Cell::new(0) }
    }
}

#[async_trait(?Send)]
impl Service for Overheard<'_> {
    async fn exchange(&self, reach: &Reach, request: &Request, free: bool) -> Fetched {
        self.services.exchange(reach, request, free).await
    }

    async fn verify(&self, group: &str) -> Runner {
        self.services.verify(group).await
    }

    fn overheard(&self) -> Vec<(Request, Answer)> {
        self.seen.take()
    }

    fn spending(&self) -> (u128, u128) {
        self.services.spending()
    }
}

/// The sandbox, for a model.
pub struct Terminal<'a> {
    /// Where commands run.
    pub sandbox: &'a Sandbox,
    /// Whom they may reach.
    pub reach: &'a Reach,
    /// The service there.
    pub service: &'a Overheard<'a>,
}

#[async_trait(?Send)]
impl Shell for Terminal<'_> {
    fn program(&self) -> &str {
        self.sandbox.program()
    }

    async fn run(&self, command: &str, patience: Duration) -> Result<Printed, PortError> {
        let open = Open { terminal: self, asked: Cell::new(0) };
        let ended = self.sandbox.line(command, &open, patience).await;
        let ended = ended.map_err(|e| PortError::new(Class::Transient, Reason::Unreachable, e.to_string()))?;
        match ended.problem {
            Some(problem) => Err(PortError::new(Class::Transient, Reason::Unreachable, format!("the shell can't be started: {problem}"))),
            None => Ok(Printed { code: ended.code, stdout: ended.stdout, stderr: ended.stderr }),
        }
    }
}

/// Lets a command's requests through, as the canary's own.
struct Open<'a> {
    terminal: &'a Terminal<'a>,
    asked: Cell<usize>,
}

#[async_trait(?Send)]
impl Relay for Open<'_> {
    async fn relay(&self, request: Received) -> Result<Answer, String> {
        let Terminal { reach, service, .. } = self.terminal;
        self.asked.set(self.asked.get() + 1);
        service.count.set(service.count.get() + 1);
        if self.asked.get() > MOST_AT_ONCE || service.count.get() > MOST {
            return Err(format!("a command may ask {MOST_AT_ONCE} times, and a group's {MOST} times"));
        }
        let request = read(reach, request)?;
        let fetched = service.exchange(reach, &request, false).await;
        let answer = fetched.answer.ok_or_else(|| fetched.trouble.unwrap_or_else(|| "no answer".into()))?;
        service.seen.borrow_mut().push((request, answer.clone()));
        Ok(answer)
    }
}

/// A request as an agent may make it. Of its headers only the body's kind is passed on:
/// a command line has no others, and payments are the judge's.
fn read(reach: &Reach, request: Received) -> Result<Request, String> {
    let body = String::from_utf8(request.body).map_err(|_| "body: only texts are passed on here".to_owned())?;
    let kind = request.headers.into_iter().find(|(name, _)| name == "content-type");
    let headers: serde_json::Map<_, _> = kind.into_iter().map(|(name, value)| (name, value.into())).collect();
    let body = if body.is_empty() { None } else { Some(body) };
    // A target that begins with two slashes would be another host's.
    if request.target.starts_with("//") {
        return Err("url: begins with two slashes".into());
    }
    reach.request(&json!({ "method": request.method, "url": request.target, "headers": headers, "body": body }))
}
