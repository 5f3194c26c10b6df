//! What must come before what. A test comes after those it depends on, after those
//! that fill the variables it uses, and, if it removes something, after all others
//! that ask for what it removes.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    finding::{Code, Finding},
    pattern::Pattern,
    plan::{Plan, Test},
    template::{Piece, pieces, texts},
};

/// Steps that are taken at most to tell who comes after removals: what is left then is
/// removed when its turn comes.
const MOST_WORK: usize = 2_000_000;

/// The order of a plan's tests, by their places in it.
#[derive(Clone, Debug, Default)]
pub(super) struct Graph {
    /// Tests by id.
    pub ids: BTreeMap<String, usize>,
    /// What each test needs: dependencies first, then what fills its variables.
    pub needs: Vec<Vec<usize>>,
    /// Which test fills each of a test's variables.
    pub sources: Vec<BTreeMap<String, usize>>,
    /// Dependencies of each test that are not in the plan.
    pub dangling: Vec<Vec<String>>,
}

impl Graph {
    /// The graph of all tests. Seeds are variables that have a value from the start.
    pub fn of(plan: &Plan, seeds: &BTreeSet<&str>) -> Self {
        let mut graph = Self::default();
        for (i, test) in plan.tests.iter().enumerate() {
            graph.ids.entry(test.id.clone()).or_insert(i);
        }
        let fillers = fillers(plan);
        for (i, test) in plan.tests.iter().enumerate() {
            let mut needs: Vec<usize> = Vec::new();
            let mut dangling = Vec::new();
            for id in &test.depends_on {
                match graph.ids.get(id) {
                    Some(at) => needs.push(*at),
                    None => dangling.push(id.clone()),
                }
            }
            let mut sources = BTreeMap::new();
            for name in variables(test) {
                if let Some(source) = fillers.get(name).and_then(|all| source(i, all, &needs, seeds.contains(name))) {
                    sources.insert(name.to_owned(), source);
                }
            }
            needs.extend(sources.values());
            let mut seen = BTreeSet::new();
            needs.retain(|need| seen.insert(*need));
            graph.needs.push(needs);
            graph.sources.push(sources);
            graph.dangling.push(dangling);
        }
        graph
    }

    /// All that those tests need, and they themselves.
    pub fn closure(&self, tests: impl IntoIterator<Item = usize>) -> BTreeSet<usize> {
        let mut open: Vec<_> = tests.into_iter().collect();
        let mut found = BTreeSet::new();
        while let Some(test) = open.pop() {
            if found.insert(test) {
                open.extend(&self.needs[test]);
            }
        }
        found
    }

    /// A circle, if there is one: each needs the next, and the last the first.
    pub fn cycle(&self) -> Option<Vec<usize>> {
        // 0: not seen; 1: on the way; 2: done.
        let mut state = vec![0_u8; self.needs.len()];
        for start in 0..self.needs.len() {
            let mut way: Vec<(usize, usize)> = vec![(start, 0)];
            if state[start] != 0 {
                continue;
            }
            state[start] = 1;
            while let Some((test, next)) = way.last_mut() {
                let Some(need) = self.needs[*test].get(*next).copied() else {
                    state[*test] = 2;
                    way.pop();
                    continue;
                };
                *next += 1;
                if state[need] == 1 {
                    return Some(way.iter().map(|(test, _)| *test).skip_while(|test| *test != need).collect());
                }
                if state[need] == 0 {
                    state[need] = 1;
                    way.push((need, 0));
                }
            }
        }
        None
    }

    /// What stands against running the plan at all.
    pub fn problems(&self, plan: &Plan) -> Vec<Finding> {
        let mut found = Vec::new();
        for (i, test) in plan.tests.iter().enumerate() {
            if let Some(first) = self.ids.get(&test.id).filter(|first| **first != i) {
                found.push(Finding::new(Code::DuplicateId, format!("tests[{i}].id"), format!("{} is tests[{first}]'s already", test.id)));
            }
        }
        if let Some(cycle) = self.cycle() {
            let ids: Vec<_> = cycle.iter().chain(cycle.first()).map(|i| plan.tests[*i].id.as_str()).collect();
            let shown = if ids.len() > 12 {
                format!("{} … {}", ids[..6].join(" → "), ids[ids.len() - 3..].join(" → "))
            } else {
                ids.join(" → ")
            };
            let at = cycle.first().copied().unwrap_or_default();
            found.push(Finding::new(Code::Cycle, format!("tests[{at}].depends_on"), format!("tests need each other in a circle: {shown}")));
        }
        found
    }

    /// For each of those tests that removes something, the others that it lets go
    /// first: whoever asks for what it removes and does not need its removal.
    pub fn removals(&self, plan: &Plan, selected: &BTreeSet<usize>) -> Vec<Removal> {
        let mut paths: Vec<(String, usize)> = selected.iter().map(|i| (path(&plan.tests[*i]), *i)).collect();
        paths.sort();
        let mut removed: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (path, i) in &paths {
            if plan.tests[*i].method == "DELETE" {
                removed.entry(path).or_default().push(*i);
            }
        }
        let mut dependants: Vec<Vec<usize>> = vec![Vec::new(); self.needs.len()];
        for test in selected {
            self.needs[*test].iter().for_each(|need| dependants[*need].push(*test));
        }
        let depths = self.depths(selected, &dependants);
        let mut made = Vec::new();
        let mut work = MOST_WORK;
        for (path, last) in removed {
            let from = paths.partition_point(|(other, _)| other.as_str() < path);
            let under = paths[from..].iter().take_while(|(other, _)| other.starts_with(path));
            let inside = |other: &str| other.len() == path.len() || path.ends_with('/') || other[path.len()..].starts_with('/');
            let mut first: Vec<_> = under.filter(|(other, i)| inside(other) && !last.contains(i)).map(|(_, i)| *i).collect();
            let Some(deepest) = first.iter().map(|test| depths[*test]).max() else { continue };
            // Those that need one of the removals come after it; whoever is not deeper than
            // the deepest of the others can't be on the way to it.
            let (mut after, mut open) = (BTreeSet::new(), last.clone());
            while let Some(test) = open.pop() {
                if after.insert(test) {
                    work = work.saturating_sub(1 + dependants[test].len());
                    open.extend(dependants[test].iter().filter(|next| depths[**next] <= deepest));
                }
            }
            if work == 0 {
                break;
            }
            first.retain(|test| !after.contains(test));
            made.push(Removal { first, last });
        }
        made
    }

    /// How many tests come before each one at least, one after the other.
    fn depths(&self, selected: &BTreeSet<usize>, dependants: &[Vec<usize>]) -> Vec<usize> {
        let (mut depths, mut left) = (vec![0; self.needs.len()], vec![0; self.needs.len()]);
        selected.iter().for_each(|test| left[*test] = self.needs[*test].len());
        let mut open: Vec<_> = selected.iter().copied().filter(|test| left[*test] == 0).collect();
        while let Some(test) = open.pop() {
            for next in &dependants[test] {
                depths[*next] = depths[*next].max(depths[test] + 1);
                left[*next] -= 1;
                if left[*next] == 0 {
                    open.push(*next);
                }
            }
        }
        depths
    }
}

/// Tests that remove the same thing, and those that come before them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Removal {
    /// These first, whatever becomes of them.
    pub first: Vec<usize>,
    /// Then these.
    pub last: Vec<usize>,
}

/// An endpoint without query, as it stands in the plan.
fn path(test: &Test) -> String {
    test.endpoint.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/').to_owned()
}

/// Which of those tests fills a variable for test `at`: one that it depends on, else
/// the last before it, else the first after it; what is there from the start needs none.
fn source(at: usize, fillers: &[usize], needs: &[usize], seeded: bool) -> Option<usize> {
    let others = || fillers.iter().copied().filter(|i| *i != at);
    others().find(|i| needs.contains(i)).or_else(|| if seeded { None } else { others().rfind(|i| *i < at).or_else(|| others().next()) })
}

/// The variables that a test uses, each once.
pub(super) fn variables(test: &Test) -> BTreeSet<&str> {
    templates(test)
        .into_iter()
        .flat_map(|(_, text)| pieces(text))
        .filter_map(|piece| if let Piece::Variable(name) = piece { Some(name) } else { None })
        .collect()
}

/// The tests that fill each variable: those that are left out fill none.
pub(super) fn fillers(plan: &Plan) -> BTreeMap<&str, Vec<usize>> {
    let mut fillers: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (i, test) in plan.tests.iter().enumerate().filter(|(_, test)| !test.skip) {
        test.captures.keys().for_each(|name| fillers.entry(name).or_default().push(i));
    }
    fillers
}

/// Every text of a test in which variables stand, and the field it is in.
pub(super) fn templates(test: &Test) -> Vec<(&'static str, &str)> {
    let mut found = vec![("endpoint", test.endpoint.as_str())];
    found.extend(test.headers.values().map(|value| ("headers", value.as_str())));
    texts(&test.input, &mut |text| found.push(("input", text)));
    found.extend(test.expected.body_equals.as_deref().map(|text| ("expected.body_equals", text)));
    let until = test.retry.iter().filter_map(|retry| retry.until.as_ref()?.body.as_ref());
    for (field, pattern) in
        test.expected.patterns().map(|pattern| ("expected", pattern)).chain(until.map(|pattern| ("retry.until", pattern)))
    {
        pattern.walk(&mut |inner| {
            if let Pattern::Text(text) = inner {
                found.push((field, text));
            }
        });
    }
    found
}
