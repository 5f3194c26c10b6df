//! What a group's agent is to reach, and what shows that it did.
//!
//! **A goal is a test of the group. It is reached by an exchange that our own client
//! made for the agent, and by nothing that anybody says:** the method is the test's,
//! the URL fits the test's, the tests it depends on (in this group) were reached
//! before, and `suite::judge` passes the answer. A variable in the URL that a test
//! of the group fills must have a value that an answer to that test had; all other
//! variables, such as names that an agent chooses itself, stand for one segment of
//! the path. Query, headers and body are the agent's choice: the answer shows
//! whether they were right. One exchange reaches one goal.
//!
//! A body that a test expects literally is the one that the plan itself sends; what
//! an agent sent to the same URL before does as well.
//!
//! So a service can't pass by what it tells the agent, only by answering right; nor
//! an agent by what it says, only by asking. An agent's mistakes refute nothing:
//! goals that it did not reach are tried by the runner, with the plan's own
//! requests ([`Proof`]).

use std::collections::{BTreeMap, BTreeSet};

use url::Url;

use super::reach::{Reach, Request};
use crate::{
    api::gate_run::Verdict,
    gate::report::MISSED,
    suite::{Answer, Judgement, Outcome, Plan, Test, TestResult, judge},
};

/// How many values of a test's variables are tried at most.
const MOST_VALUES: usize = 64;

/// How a goal came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The agent reached it, by that step.
    Agent {
        /// The step's place.
        step: usize,
    },
    /// It did not; the service answers the plan's own request right.
    Runner,
    /// It did not, and the service answers the plan's own request wrong.
    Refuted(String),
    /// It did not, and nothing else shows it either.
    Unproven(String),
}

impl Proof {
    /// As reports say it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Agent { .. } => "agent",
            Self::Runner => "runner",
            Self::Refuted(_) => "refuted",
            Self::Unproven(_) => "unproven",
        }
    }

    /// What it is for a gate: only what the agent reached is shown, and only what the
    /// service answers wrong by itself is refuted.
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Agent { .. } => Verdict::Passed,
            Self::Refuted(_) => Verdict::Failed,
            Self::Runner | Self::Unproven(_) => Verdict::Blocked,
        }
    }

    /// What there is to say about it.
    pub fn message(&self) -> Option<String> {
        match self {
            Self::Agent { step } => Some(format!("step {}", step + 1)),
            Self::Runner => Some(format!("{MISSED}, and the service can: does its llms.txt say how?")),
            Self::Refuted(why) | Self::Unproven(why) => Some(why.clone()),
        }
    }
}

/// A segment of a test's path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Segment {
    /// This text.
    Literal(String),
    /// A variable that a test of the group fills.
    Filled(String),
    /// One segment that is not empty.
    Any,
}

#[derive(Debug)]
struct Goal {
    /// The test's place in the plan.
    test: usize,
    /// The service's place, and its path; none where the URL can't be read.
    place: Option<(usize, Vec<Segment>)>,
    /// Places of goals that come before.
    after: Vec<usize>,
    /// Exchanges that show it.
    shown_by: Vec<usize>,
}

/// The goals of one group.
#[derive(Debug)]
pub struct Goals<'p> {
    plan: &'p Plan,
    variables: BTreeMap<String, String>,
    goals: Vec<Goal>,
    /// The step of each exchange: a command's may have several.
    steps: Vec<usize>,
    /// Values that answers gave to variables.
    filled: BTreeMap<String, BTreeSet<String>>,
    /// Bodies that were sent, by service and target.
    sent: BTreeMap<(usize, String), BTreeSet<String>>,
}

impl<'p> Goals<'p> {
    /// The goals of a group; variables are those that a run is seeded with.
    pub fn new(plan: &'p Plan, group: &str, reach: &Reach, variables: BTreeMap<String, String>) -> Self {
        let tests = tests(plan, group);
        let places: BTreeMap<&str, usize> = tests.iter().enumerate().map(|(at, test)| (plan.tests[*test].id.as_str(), at)).collect();
        let fills: BTreeSet<&str> = tests.iter().flat_map(|at| plan.tests[*at].captures.keys()).map(String::as_str).collect();
        let goals = tests
            .iter()
            .map(|at| {
                let test = &plan.tests[*at];
                Goal {
                    test: *at,
                    place: place(&test.endpoint, reach, &fills),
                    after: test.depends_on.iter().filter_map(|id| places.get(id.as_str()).copied()).collect(),
                    shown_by: Vec::new(),
                }
            })
            .collect();
        Self { plan, variables, goals, steps: Vec::new(), filled: BTreeMap::new(), sent: BTreeMap::new() }
    }

    /// Takes an exchange that was made for the agent.
    pub fn saw(&mut self, step: usize, request: &Request, answer: &Answer) {
        let (target, segments) = (path(request), segments(request));
        let mut reached = Vec::new();
        for (at, goal) in self.goals.iter().enumerate() {
            let test = &self.plan.tests[goal.test];
            let fits = goal.place.as_ref().is_some_and(|(service, path)| *service == request.service && self.fits(path, &segments));
            let ready = goal.after.iter().all(|before| !self.goals[*before].shown_by.is_empty());
            if !fits || !ready || !test.method.eq_ignore_ascii_case(&request.method) {
                continue;
            }
            let judgement = self.judged(test, goal.place.as_ref().map_or(&[], |(_, path)| path), request, answer);
            if judgement.outcome == Outcome::Pass {
                reached.push((at, judgement.captures));
            }
        }
        for (at, captures) in reached {
            self.goals[at].shown_by.push(self.steps.len());
            for (name, value) in captures {
                self.filled.entry(name).or_default().insert(value);
            }
        }
        self.steps.push(step);
        if let Some(body) = &request.body {
            self.sent.entry((request.service, target.to_owned())).or_default().insert(body.clone());
        }
    }

    /// By the plan's rules, but for a literal body that is the agent's own. A variable that
    /// a test of the group fills has any of the values that it got, or the one in the path.
    fn judged(&self, test: &Test, path: &[Segment], request: &Request, answer: &Answer) -> Judgement {
        let mut all = self.values(test, path, request).into_iter().map(|variables| self.judged_by(test, &variables, request, answer));
        let first = all.next();
        let passed = |judgement: &Judgement| judgement.outcome == Outcome::Pass;
        match first {
            Some(first) if passed(&first) => first,
            Some(first) => all.find(passed).unwrap_or(first),
            None => self.judged_by(test, &self.variables, request, answer),
        }
    }

    /// What the variables in a test's expectation may be.
    fn values(&self, test: &Test, path: &[Segment], request: &Request) -> Vec<BTreeMap<String, String>> {
        let expected = test.given["expected"].to_string();
        let segments = segments(request);
        let mut all = vec![self.variables.clone()];
        for (name, values) in self.filled.iter().filter(|(name, _)| expected.contains(&format!("{{{{{name}}}}}"))) {
            let asked = path.iter().zip(&segments).find(|(expected, _)| matches!(expected, Segment::Filled(filled) if filled == name));
            let values: Vec<&String> = asked.map_or_else(|| values.iter().collect(), |(_, found)| vec![found]);
            let with = |variables: &BTreeMap<String, String>| {
                let one = |value: &&String| variables.clone().into_iter().chain([(name.clone(), (*value).clone())]).collect();
                values.iter().map(one).collect::<Vec<BTreeMap<_, _>>>()
            };
            all = all.iter().flat_map(with).take(MOST_VALUES).collect();
        }
        all
    }

    fn judged_by(&self, test: &Test, variables: &BTreeMap<String, String>, request: &Request, answer: &Answer) -> Judgement {
        let own = || {
            let sent = self.sent.get(&(request.service, path(request).to_owned()))?;
            std::str::from_utf8(&answer.body).ok().filter(|body| sent.contains(*body))
        };
        match &test.expected.body_equals {
            Some(_) if own().is_some() => {
                let mut test = test.clone();
                test.expected.body_equals = None;
                judge(self.plan, &test, variables, answer)
            }
            _ => judge(self.plan, test, variables, answer),
        }
    }

    fn fits(&self, path: &[Segment], segments: &[String]) -> bool {
        let one = |(expected, found): (&Segment, &String)| match expected {
            Segment::Literal(text) => text == found,
            Segment::Filled(name) => self.filled.get(name).is_some_and(|values| values.contains(found)),
            Segment::Any => !found.is_empty(),
        };
        path.len() == segments.len() && path.iter().zip(segments).all(one)
    }

    /// Whether the agent reached all of them.
    pub fn all_reached(&self) -> bool {
        !self.goals.is_empty() && matching(&self.goals).iter().all(Option::is_some)
    }

    /// Each goal's test, and how it came out. What the runner found counts for goals
    /// that the agent did not reach.
    pub fn proofs(&self, runner: &Runner) -> Vec<(&'p Test, Proof)> {
        let found: BTreeMap<&str, &TestResult> = match runner {
            Runner::Ran(results) => results.iter().map(|result| (result.id.as_str(), result)).collect(),
            Runner::Not(_) => BTreeMap::new(),
        };
        let proof = |goal: &Goal, exchange: Option<usize>| {
            let test = &self.plan.tests[goal.test];
            let note = |result: &TestResult, otherwise: &str| result.note.clone().unwrap_or_else(|| otherwise.into());
            let proof = match (exchange, found.get(test.id.as_str()).copied()) {
                // What the service answers wrong stands, whatever else it answered right.
                (_, Some(result)) if result.outcome == Outcome::Fail => Proof::Refuted(note(result, "it answers otherwise")),
                (Some(exchange), _) => Proof::Agent { step: self.steps[exchange] },
                (None, Some(result)) if result.outcome == Outcome::Pass => Proof::Runner,
                (None, Some(result)) => Proof::Unproven(note(result, result.outcome.as_str())),
                (None, None) => Proof::Unproven(match runner {
                    Runner::Not(why) => format!("{MISSED}; {why}"),
                    Runner::Ran(_) => format!("{MISSED}, and the runner did not come to it"),
                }),
            };
            (test, proof)
        };
        self.goals.iter().zip(matching(&self.goals)).map(|(goal, exchange)| proof(goal, exchange)).collect()
    }
}

/// What the runner found of goals that the agent did not reach.
#[derive(Clone, Debug, PartialEq)]
pub enum Runner {
    /// Its results.
    Ran(Vec<TestResult>),
    /// It did not run, and why.
    Not(String),
}

/// What a group comes to: a refutation stands whatever else broke, and nothing
/// passes that the agent did not do.
pub fn verdict<'a>(proofs: impl IntoIterator<Item = &'a Proof>, broke: bool) -> Verdict {
    let verdicts: Vec<_> = proofs.into_iter().map(Proof::verdict).collect();
    if verdicts.contains(&Verdict::Failed) {
        Verdict::Failed
    } else if !verdicts.is_empty() && verdicts.iter().all(|verdict| *verdict == Verdict::Passed) {
        Verdict::Passed
    } else if broke {
        Verdict::Error
    } else {
        Verdict::Blocked
    }
}

/// Places of the tests of a group, in its order, each once. Those that the plan
/// leaves out are no goals.
pub fn tests(plan: &Plan, group: &str) -> Vec<usize> {
    // The last of an id is meant.
    let places: BTreeMap<&str, usize> = plan.tests.iter().enumerate().map(|(at, test)| (test.id.as_str(), at)).collect();
    let mut seen = BTreeSet::new();
    let group = plan.groups.iter().find(|found| found.id == group);
    let ids = group.into_iter().flat_map(|group| &group.tests);
    ids.filter_map(|id| places.get(id.as_str()).copied()).filter(|at| !plan.tests[*at].skip && seen.insert(*at)).collect()
}

/// A request's path, encoded.
fn path(request: &Request) -> &str {
    request.target.split_once('?').map_or(request.target.as_str(), |(path, _)| path)
}

/// The pieces of a path between its slashes; the first slash begins it.
fn pieces(path: &str) -> std::str::Split<'_, char> {
    path.strip_prefix('/').unwrap_or(path).split('/')
}

/// The segments of a request's path.
pub(super) fn segments(request: &Request) -> Vec<String> {
    pieces(path(request)).map(decoded).collect()
}

/// Scheme, host and port that a test's URL names.
pub fn origin(endpoint: &str) -> Option<Url> {
    let (origin, _) = split(endpoint)?;
    origin
        .parse()
        .ok()
        .filter(|url: &Url| matches!(url.scheme(), "http" | "https") && url.username().is_empty() && url.password().is_none())
}

/// The origins that a plan's tests name, each once.
pub fn origins(plan: &Plan) -> Vec<Url> {
    let mut found = Vec::new();
    for url in plan.tests.iter().filter_map(|test| origin(&test.endpoint)) {
        if !found.contains(&url) {
            found.push(url);
        }
    }
    found
}

/// A URL's origin, and its path.
fn split(endpoint: &str) -> Option<(&str, &str)> {
    let authority = endpoint.find("://")? + 3;
    let end = endpoint[authority..].find(['/', '?', '#']).map_or(endpoint.len(), |at| authority + at);
    let path = endpoint[end..].split(['?', '#']).next().unwrap_or_default();
    let origin = &endpoint[..end];
    (!origin.contains("{{")).then_some((origin, path))
}

/// The service and the path of a test's URL; variables in `fills` are told from others.
pub(super) fn place(endpoint: &str, reach: &Reach, fills: &BTreeSet<&str>) -> Option<(usize, Vec<Segment>)> {
    let (_, path) = split(endpoint)?;
    let origin = origin(endpoint)?;
    let service = reach.origins().iter().position(|known| *known == origin)?;
    let segment = |text: &str| match text.strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}")) {
        Some(name) if fills.contains(name) => Segment::Filled(name.to_owned()),
        _ if text.contains("{{") => Segment::Any,
        _ => Segment::Literal(decoded(text)),
    };
    Some((service, pieces(path).map(segment).collect()))
}

/// A text without percent-encoding; what is no UTF-8 then stays as it was.
fn decoded(text: &str) -> String {
    let (bytes, mut made) = (text.as_bytes(), Vec::with_capacity(text.len()));
    let mut at = 0;
    while at < bytes.len() {
        let hex = |at: usize| bytes.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        match (bytes[at], hex(at + 1), hex(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                made.push(u8::try_from(high * 16 + low).unwrap_or_default());
                at += 3;
            }
            (byte, ..) => {
                made.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8(made).unwrap_or_else(|_| text.to_owned())
}

/// An exchange for as many goals as can have one of their own.
fn matching(goals: &[Goal]) -> Vec<Option<usize>> {
    let mut taken: BTreeMap<usize, usize> = BTreeMap::new();
    for at in 0..goals.len() {
        augment(goals, at, &mut taken, &mut BTreeSet::new());
    }
    let mut exchanges = vec![None; goals.len()];
    taken.into_iter().for_each(|(exchange, at)| exchanges[at] = Some(exchange));
    exchanges
}

/// Gives a goal an exchange, if need be one whose goal finds another. There are few
/// exchanges, so that this neither goes deep nor takes long.
fn augment(goals: &[Goal], at: usize, taken: &mut BTreeMap<usize, usize>, tried: &mut BTreeSet<usize>) -> bool {
    for exchange in &goals[at].shown_by {
        if !tried.insert(*exchange) {
            continue;
        }
        let free = match taken.get(exchange).copied() {
            None => true,
            Some(other) => augment(goals, other, taken, tried),
        };
        if free {
            taken.insert(*exchange, at);
            return true;
        }
    }
    false
}
