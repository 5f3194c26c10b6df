//! Our order: whatever is ready, the first of the plan first.

use std::collections::{BTreeMap, BTreeSet};

use super::Next;
use crate::suite::{
    exchange::{Request, Shown, Ticket},
    finding::{Code, Finding},
    graph::{Graph, variables},
    plan::{Plan, Test},
    secrets::Secrets,
    template::{Filled, Filler, Lack},
    verdict::Outcome,
};

/// Where a run is.
#[derive(Debug)]
pub(super) struct Ours {
    graph: Graph,
    seeds: BTreeMap<String, String>,
    /// Each test's place in the order of groups; by its place in the plan.
    ranks: Vec<usize>,
    /// The group that names each test first.
    groups: Vec<Option<usize>>,
    /// The groups that were asked for.
    asked: Vec<usize>,
    selected: BTreeSet<usize>,
    /// What is ready, by rank.
    ready: BTreeSet<(usize, usize)>,
    /// Which have not begun.
    waiting: BTreeSet<usize>,
    /// How many each test waits for, and who waits for it.
    left: Vec<usize>,
    dependants: Vec<Vec<usize>>,
    removals: Vec<Gate>,
    /// The removals that each test comes before.
    before: Vec<Vec<usize>>,
    outcomes: BTreeMap<usize, Outcome>,
    captured: BTreeMap<usize, BTreeMap<String, String>>,
}

/// What must end before something is removed.
#[derive(Clone, Debug)]
struct Gate {
    left: usize,
    last: Vec<usize>,
}

impl Ours {
    pub fn new(plan: &Plan, group: Option<&str>, seeds: BTreeMap<String, String>) -> Result<Self, Vec<Finding>> {
        let graph = Graph::of(plan, &seeds.keys().map(String::as_str).collect());
        let problems = graph.problems(plan);
        if !problems.is_empty() {
            return Err(problems);
        }
        let count = plan.tests.len();
        let (mut ranks, mut groups) = (vec![usize::MAX; count], vec![None; count]);
        let named = plan.groups.iter().enumerate().flat_map(|(group, it)| it.tests.iter().map(move |id| (group, id)));
        for (rank, (group, id)) in named.enumerate() {
            if let Some(test) = graph.ids.get(id).filter(|test| ranks[**test] == usize::MAX) {
                ranks[*test] = rank;
                groups[*test] = Some(group);
            }
        }
        let of = |only| (0..plan.groups.len()).filter(move |i| plan.groups[*i].is_asked(only));
        let asked: Vec<_> = of(group).collect();
        if let (Some(id), None) = (group, asked.first()) {
            let known: Vec<_> = of(None).map(|i| plan.groups[i].id.as_str()).collect();
            let message = format!("has no group {id:?} that a runner can run; there are {}", known.join(", "));
            return Err(vec![Finding::new(Code::WrongValue, "groups", message)]);
        }
        let tests = asked.iter().flat_map(|i| &plan.groups[*i].tests).filter_map(|id| graph.ids.get(id).copied());
        let selected = graph.closure(tests);
        let mut ours = Self {
            removals: Vec::new(),
            before: vec![Vec::new(); count],
            left: vec![0; count],
            dependants: vec![Vec::new(); count],
            ready: BTreeSet::new(),
            waiting: selected.clone(),
            outcomes: BTreeMap::new(),
            captured: BTreeMap::new(),
            graph,
            seeds,
            ranks,
            groups,
            asked,
            selected,
        };
        ours.wire(plan);
        Ok(ours)
    }

    fn wire(&mut self, plan: &Plan) {
        for test in &self.selected {
            for need in &self.graph.needs[*test] {
                self.left[*test] += 1;
                self.dependants[*need].push(*test);
            }
        }
        for removal in self.graph.removals(plan, &self.selected) {
            if removal.first.is_empty() {
                continue;
            }
            for test in &removal.first {
                self.before[*test].push(self.removals.len());
            }
            for test in &removal.last {
                self.left[*test] += 1;
            }
            self.removals.push(Gate { left: removal.first.len(), last: removal.last });
        }
        // What two removals want of each other may be a circle: what tests need is not.
        for stuck in self.stuck() {
            for test in std::mem::take(&mut self.removals[stuck].last) {
                self.left[test] -= 1;
            }
        }
        let ready = self.selected.iter().filter(|test| self.left[**test] == 0);
        self.ready = ready.map(|test| (self.ranks[*test], *test)).collect();
    }

    /// The removals that would never be let go.
    fn stuck(&self) -> Vec<usize> {
        let (mut left, mut gates) = (self.left.clone(), self.removals.clone());
        let mut open: Vec<_> = self.selected.iter().copied().filter(|test| left[*test] == 0).collect();
        while let Some(test) = open.pop() {
            let mut freed = self.dependants[test].clone();
            for gate in &self.before[test] {
                gates[*gate].left -= 1;
                if gates[*gate].left == 0 {
                    freed.extend(&gates[*gate].last);
                }
            }
            for test in freed {
                left[test] -= 1;
                if left[test] == 0 {
                    open.push(test);
                }
            }
        }
        gates.iter().enumerate().filter(|(_, gate)| gate.left > 0).map(|(i, _)| i).collect()
    }

    pub fn asked(&self) -> &[usize] {
        &self.asked
    }

    pub fn selection(&self) -> &BTreeSet<usize> {
        &self.selected
    }

    /// Tests that a run of the whole plan does not send, and why.
    pub fn left_out(&self, plan: &Plan) -> Vec<(usize, &'static str)> {
        let why = |test: usize| if self.groups[test].is_some() { "only a canary runs its group" } else { "it is in no group" };
        (0..plan.tests.len()).filter(|test| !self.selected.contains(test)).map(|test| (test, why(test))).collect()
    }

    pub fn next(&mut self, plan: &Plan, secrets: &Secrets) -> Next {
        let Some((_, test)) = self.ready.pop_first() else { return Next::Nothing };
        self.waiting.remove(&test);
        let ticket = Ticket(test);
        let given = &plan.tests[test];
        let done = |outcome, note: String, blocked_by| Next::Done { ticket, test, outcome, note, blocked_by };
        if given.skip {
            return done(Outcome::Skipped, "the plan leaves it out".into(), None);
        }
        if let Some(id) = self.graph.dangling[test].first() {
            return done(Outcome::Blocked, format!("blocked by {id}, which is not in the plan"), Some(id.clone()));
        }
        // What is left out stands for what somebody did by hand, as in prim.sh's plans.
        let stands = |need: &&usize| !matches!(self.outcomes.get(need), Some(Outcome::Pass | Outcome::Skipped));
        if let Some(need) = self.graph.needs[test].iter().find(stands) {
            let id = &plan.tests[*need].id;
            return done(Outcome::Blocked, format!("blocked by {id}"), Some(id.clone()));
        }
        let values = self.variables(test, given);
        let answered = |name: &str| self.captured(test, name).is_some();
        match fill(given, &Filler { variables: &values, secrets, answered: &answered }) {
            Ok(request) => Next::Send { ticket, test, request: Box::new(request), variables: values },
            Err(Lack::Variable(name)) => {
                let source = self.graph.sources[test].get(&name).map(|source| plan.tests[*source].id.clone());
                let who = source.as_ref().map_or_else(|| "nothing fills".into(), |id| format!("{id} did not fill"));
                done(Outcome::Blocked, format!("it needs {{{{{name}}}}}, which {who}"), source)
            }
            Err(Lack::Secret(name)) => done(Outcome::Blocked, format!("it needs the secret {name}, which was not given"), None),
            Err(Lack::Host(name, value)) => {
                let value = secrets.redact(&value).chars().take(80).collect::<String>();
                let note = format!(
                    "endpoint: its host would be what a service answered, {{{{{name}}}}}: {value:?}. An answer may fill a path, beginning with a / where it follows the host at once; a host stands in the plan, or is given by --var"
                );
                done(Outcome::Error, note, None)
            }
            Err(Lack::Broken(text)) => done(Outcome::Blocked, format!("{text} is no variable"), None),
        }
    }

    /// The variables of a test: what was there from the start, and what the tests that
    /// fill them filled, whichever came last.
    fn variables(&self, test: usize, given: &Test) -> BTreeMap<String, String> {
        let value = |name: &str| self.captured(test, name).or_else(|| self.seeds.get(name)).cloned();
        variables(given).into_iter().filter_map(|name| Some((name.to_owned(), value(name)?))).collect()
    }

    /// What an answer filled a test's variable with.
    fn captured(&self, test: usize, name: &str) -> Option<&String> {
        self.captured.get(self.graph.sources[test].get(name)?)?.get(name)
    }

    pub fn finished(&mut self, ticket: Ticket, outcome: Outcome, captures: BTreeMap<String, String>) {
        let test = ticket.0;
        self.outcomes.insert(test, outcome);
        if !captures.is_empty() {
            self.captured.insert(test, captures);
        }
        let mut freed = self.dependants[test].clone();
        for gate in &self.before[test] {
            self.removals[*gate].left -= 1;
            if self.removals[*gate].left == 0 {
                freed.extend(&self.removals[*gate].last);
            }
        }
        for test in freed {
            self.left[test] -= 1;
            if self.left[test] == 0 && self.waiting.contains(&test) {
                self.ready.insert((self.ranks[test], test));
            }
        }
    }

    pub fn stop(&mut self) -> Vec<(Ticket, usize)> {
        self.ready.clear();
        std::mem::take(&mut self.waiting).into_iter().map(|test| (Ticket(test), test)).collect()
    }

    /// Tests that were not begun.
    pub fn left(&self) -> usize {
        self.waiting.len()
    }

    pub fn group(&self, ticket: Ticket) -> Option<usize> {
        self.groups[ticket.0]
    }

    pub fn rank(&self, test: usize) -> (usize, usize) {
        (self.ranks[test], test)
    }
}

/// The request of a test, with all that its judgement needs at hand.
fn fill(test: &Test, filler: &Filler) -> Result<Request, Lack> {
    // Whatever the answer is held against must be known before anything is sent.
    for (field, text) in crate::suite::graph::templates(test) {
        if field.starts_with("expected") || field.starts_with("retry") {
            filler.fill(text)?;
        }
    }
    let url = filler.url(&test.endpoint)?;
    let mut headers: Vec<(String, Filled)> = Vec::new();
    for (name, value) in &test.headers {
        headers.push((name.to_ascii_lowercase(), filler.fill(value)?));
    }
    let (body, kind) = match &test.input {
        serde_json::Value::Null => (None, None),
        serde_json::Value::String(text) => (Some(filler.fill(text)?), Some("text/plain")),
        other => {
            let (sent, shown) = filler.value(other)?;
            (Some(Filled { text: sent.to_string(), shown: shown.to_string() }), Some("application/json"))
        }
    };
    if let Some(kind) = kind.filter(|_| headers.iter().all(|(name, _)| name != "content-type")) {
        headers.push(("content-type".into(), Filled { text: kind.into(), shown: kind.into() }));
    }
    let (sent, shown) = headers.into_iter().map(|(name, value)| ((name.clone(), value.text), (name, value.shown))).unzip();
    let (body, shown_body) = body.map(|body| (body.text.into_bytes(), body.shown)).unzip();
    Ok(Request {
        shown: Shown { method: test.method.clone(), url: url.shown, headers: shown, body: shown_body },
        method: test.method.clone(),
        url: url.text,
        headers: sent,
        body,
    })
}
