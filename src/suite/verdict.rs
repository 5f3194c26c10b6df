//! What became of each test, and what a run comes to.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use super::{
    exchange::{Receipt, Shown},
    plan::{Mode, Plan, Test},
    read::{once, parse},
};

/// What became of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// The answer was as expected.
    Pass,
    /// The answer was another.
    Fail,
    /// What it needs is not there, so that it was never sent.
    Blocked,
    /// There is no answer, so that nothing can be told.
    Error,
    /// The plan leaves it out.
    Skipped,
}

impl Outcome {
    /// All, in the order of reports.
    pub const ALL: [Self; 5] = [Self::Pass, Self::Fail, Self::Blocked, Self::Error, Self::Skipped];

    /// As reports say it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Blocked => "blocked",
            Self::Error => "error",
            Self::Skipped => "skipped",
        }
    }
}

/// What became of one test.
#[derive(Clone, Debug, PartialEq)]
pub struct TestResult {
    /// Id.
    pub id: String,
    /// The test's place in the plan.
    pub test: usize,
    /// The group it was run for, by id; none for what only another group's tests needed.
    pub group: Option<String>,
    /// Name of the service.
    pub service: String,
    /// What became of it.
    pub outcome: Outcome,
    /// The last answer's status, if there was one.
    pub actual_status: Option<u16>,
    /// Why, in a sentence; secrets in it are `{{secret:NAME}}`.
    pub note: Option<String>,
    /// The test for want of which it was blocked.
    pub blocked_by: Option<String>,
    /// Variables that its answer should have filled and did not.
    pub unfilled: Vec<String>,
    /// How often it was sent.
    pub attempts: u32,
    /// Milliseconds of all tries together, without the time between them.
    pub duration_ms: u64,
    /// Payments that were made.
    pub receipts: Vec<Receipt>,
    /// What was sent last.
    pub request: Option<Shown>,
}

/// How often each outcome came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Tests that passed.
    pub pass: usize,
    /// Tests that failed.
    pub fail: usize,
    /// Tests that were blocked.
    pub blocked: usize,
    /// Tests without an answer.
    pub error: usize,
    /// Tests that were left out.
    pub skipped: usize,
}

/// What a program ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: all that was to be shown is.
    Proven,
    /// 1: something that had to pass failed.
    Failed,
    /// 2: something that had to pass was blocked or had no answer, or nothing passed.
    Unproven,
    /// 3: the command line or the plan is wrong, so that nothing was run.
    Usage,
}

impl Exit {
    /// The process's exit code.
    pub fn code(self) -> u8 {
        match self {
            Self::Proven => 0,
            Self::Failed => 1,
            Self::Unproven => 2,
            Self::Usage => 3,
        }
    }
}

impl Counts {
    /// Those of results.
    pub fn of<'a>(results: impl IntoIterator<Item = &'a TestResult>) -> Self {
        let mut counts = Self::default();
        results.into_iter().for_each(|result| counts.add(result.outcome));
        counts
    }

    /// Counts one more.
    pub(super) fn add(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Pass => self.pass += 1,
            Outcome::Fail => self.fail += 1,
            Outcome::Blocked => self.blocked += 1,
            Outcome::Error => self.error += 1,
            Outcome::Skipped => self.skipped += 1,
        }
    }

    /// All of them.
    pub fn total(&self) -> usize {
        self.pass + self.fail + self.blocked + self.error + self.skipped
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} passed", self.pass, self.total())?;
        for (count, word) in
            [(self.fail, "failed"), (self.blocked, "blocked"), (self.error, "without an answer"), (self.skipped, "skipped")]
        {
            if count > 0 {
                write!(f, ", {count} {word}")?;
            }
        }
        Ok(())
    }
}

/// The phase of each service, by its name or id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Phases(BTreeMap<String, String>);

impl Phases {
    /// Reads JSON or YAML: a mapping from a service's name or id to its phase.
    pub fn read(text: &str) -> Result<Self, String> {
        once(text).map_err(|problem| format!("it is no such JSON: {problem}"))?;
        let value = parse(text).map_err(|finding| finding.message.replace("the plan is", "it is"))?;
        let map = value.as_object().ok_or("it must be a mapping from services to phases")?;
        let phase = |(name, phase): (&String, &serde_json::Value)| match phase.as_str() {
            Some(phase) => Ok((name.clone(), phase.to_owned())),
            None => Err(format!("{name}: the phase must be a text")),
        };
        Ok(Self(map.iter().map(phase).collect::<Result<_, _>>()?))
    }

    /// Those given, by name or id.
    pub fn new(phases: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(phases.into_iter().collect())
    }

    /// The phase of a test's service: by its name, by that without `.sh`, or by the
    /// host that the test asks.
    pub fn of(&self, test: &Test) -> Option<&str> {
        let host = test.endpoint.split_once("://").and_then(|(_, rest)| rest.split(['/', '?', '#']).next());
        let names = [Some(test.service.as_str()), test.service.strip_suffix(".sh"), host];
        names.into_iter().flatten().find_map(|name| self.0.get(name)).map(String::as_str)
    }
}

/// Whether tests of a service in this phase have to pass. One that nobody has a
/// phase of has to; prim.sh's runner takes only what it calls testnet and mainnet.
fn has_to_pass(mode: Mode, phase: Option<&str>) -> bool {
    let phase = phase.map(str::to_ascii_lowercase);
    match mode {
        Mode::Ours => {
            let soft = ["testing", "building", "phantom", "idea", "planning", "hold", "built", "coming_soon"];
            phase.is_none_or(|phase| !soft.contains(&phase.as_str()))
        }
        Mode::Primsh => phase.is_some_and(|phase| ["testnet", "mainnet", "live"].contains(&phase.as_str())),
    }
}

/// What a run comes to.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// What the program ends with.
    pub exit: Exit,
    /// How often each outcome came.
    pub counts: Counts,
    /// The same by group, in the plan's order.
    pub groups: Vec<(String, Counts)>,
    /// Ids of tests that had to pass and did not.
    pub hard: Vec<String>,
    /// Ids of tests that did not pass and are only warned of.
    pub soft: Vec<String>,
    /// In a sentence.
    pub summary: String,
}

/// What results come to. Phases are those of `--ci`; without them every test has
/// to pass (with [`Mode::Primsh`], none).
///
/// A run of which nothing was sent that passed or failed is never green, whatever the
/// phases, and with prim.sh's rules neither: that is where they are left.
pub fn conclude(plan: &Plan, results: &[TestResult], phases: Option<&Phases>) -> Verdict {
    let counts = Counts::of(results);
    let (mut hard, mut soft) = (Vec::new(), Vec::new());
    let mut worst = Exit::Proven;
    for result in results.iter().filter(|result| !matches!(result.outcome, Outcome::Pass | Outcome::Skipped)) {
        let must = match (phases, plan.mode) {
            (Some(phases), mode) => has_to_pass(mode, phases.of(&plan.tests[result.test])),
            (None, Mode::Ours) => true,
            (None, Mode::Primsh) => false,
        };
        // prim.sh's runner never looks at what was blocked.
        if !must || plan.mode == Mode::Primsh && result.outcome != Outcome::Fail {
            soft.push(result.id.clone());
            continue;
        }
        hard.push(result.id.clone());
        worst = match (worst, result.outcome) {
            (_, Outcome::Fail) | (Exit::Failed, _) => Exit::Failed,
            _ => Exit::Unproven,
        };
    }
    // What prim.sh's rules let pass unsent was left out.
    let shown = |result: &TestResult| result.outcome == Outcome::Fail || result.outcome == Outcome::Pass && result.attempts > 0;
    let nothing = !results.iter().any(shown);
    let exit = if worst == Exit::Proven && nothing { Exit::Unproven } else { worst };
    let summary = match exit {
        Exit::Proven if soft.is_empty() => format!("{counts}"),
        Exit::Proven => format!("{counts}; what did not pass does not have to"),
        Exit::Unproven if nothing => format!("{counts}: nothing was shown"),
        Exit::Failed | Exit::Unproven | Exit::Usage => format!("{counts}; {} had to pass and did not", some(&hard)),
    };
    Verdict { exit, counts, groups: by_group(plan, results), hard, soft, summary }
}

impl Verdict {
    /// The same where groups name these, and the plan has no such tests: nobody showed
    /// what they are to show.
    pub fn without(mut self, unknown: impl IntoIterator<Item = String>) -> Self {
        let unknown: Vec<_> = unknown.into_iter().collect();
        if unknown.is_empty() {
            return self;
        }
        if self.exit == Exit::Proven {
            self.exit = Exit::Unproven;
        }
        self.summary += &format!("; {} had to pass and is no test of the plan", some(&unknown));
        self.hard.extend(unknown);
        self
    }

    /// The same of a run that was cut short: what was not sent showed nothing.
    pub fn cut_short(mut self, why: &str) -> Self {
        if self.exit == Exit::Proven {
            self.exit = Exit::Unproven;
        }
        self.summary += &format!("; it was cut short: {why}");
        self
    }

    /// The same with each of these groups, by place, also where no test of theirs has a
    /// result.
    pub fn naming(mut self, plan: &Plan, groups: &[usize]) -> Self {
        let mut counts: BTreeMap<String, Counts> = self.groups.into_iter().collect();
        for group in groups {
            counts.entry(plan.groups[*group].id.clone()).or_default();
        }
        self.groups = in_order(plan, &counts);
        self
    }
}

/// The first of a list, and how many more there are.
fn some(ids: &[String]) -> String {
    let shown = ids.iter().take(5).map(String::as_str).collect::<Vec<_>>().join(", ");
    if ids.len() > 5 { format!("{shown} and {} more", ids.len() - 5) } else { shown }
}

fn by_group(plan: &Plan, results: &[TestResult]) -> Vec<(String, Counts)> {
    let mut counts: BTreeMap<String, Counts> = BTreeMap::new();
    for result in results {
        counts.entry(result.group.clone().unwrap_or_default()).or_default().add(result.outcome);
    }
    in_order(plan, &counts)
}

/// In the order in which the plan has its groups.
fn in_order(plan: &Plan, counts: &BTreeMap<String, Counts>) -> Vec<(String, Counts)> {
    let mut seen = BTreeSet::new();
    let named = plan.groups.iter().map(|group| group.id.as_str()).filter(|id| seen.insert(*id));
    named.filter_map(|id| Some((id.to_owned(), *counts.get(id)?))).collect()
}
