//! The report: the fields of prim.sh's canary report, and ours beside them.

use serde::Serialize;

use super::{
    goals::Proof,
    record::{Ended, Record, Step, usd},
    tools::Note,
};
use crate::{
    api::gate_run::Verdict,
    gate::report::{self, cut},
    runner::progress::plain,
    suite::{Exit, Test},
};

/// What a model costs, in US dollars for a million tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TokenPrice {
    /// Of those that it reads.
    pub input: f64,
    /// Of those that it writes.
    pub output: f64,
}

/// A run over one or several groups.
#[derive(Debug, Serialize)]
pub struct Report {
    /// When it began (RFC 3339).
    pub timestamp: String,
    /// `canary`.
    pub mode: &'static str,
    /// The network that payments are on.
    pub network: String,
    /// The model's name.
    pub model: String,
    /// Each group, in the plan's order.
    pub groups: Vec<GroupReport>,
    /// How often each verdict came.
    pub summary: Summary,
    /// What all of it cost.
    pub cost: Cost,
}

/// One group.
#[derive(Debug, Serialize)]
pub struct GroupReport {
    /// Id.
    pub group_id: String,
    /// Title.
    pub group_name: String,
    /// `pass`, `warn` (blocked), `fail` or `error`.
    pub verdict: &'static str,
    /// The same as gates say it.
    pub gate_verdict: Verdict,
    /// What it was blocked by or broke on, where no goal says it.
    pub error: Option<String>,
    /// Each goal.
    pub goals: Vec<Goal>,
    /// What the model used, in order.
    pub steps: Vec<Step>,
    /// What it noted, as texts.
    pub ux_notes: Vec<String>,
    /// The same with what they are about.
    pub ux: Vec<Note>,
    /// What it says in the end; nothing follows from it.
    pub agent_summary: String,
    /// Answers of the model.
    pub rounds: u32,
    /// Why the conversation ended.
    pub ended: Option<Ended>,
    /// Calls that were dropped.
    pub dropped_calls: usize,
    /// Milliseconds that it took.
    pub duration_ms: u64,
    /// What it cost.
    pub cost: Cost,
}

/// A goal, and how it came out.
#[derive(Debug, Serialize)]
pub struct Goal {
    /// The test's id.
    pub id: String,
    /// Its title.
    pub test: String,
    /// Its method and URL.
    pub request: String,
    /// `agent` (reached), `runner` (only the runner reached it), `refuted` or `unproven`.
    pub proof: &'static str,
    /// What there is to say.
    pub note: Option<String>,
    #[serde(skip)]
    verdict: Verdict,
}

/// What was paid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Cost {
    /// Tokens that the model read.
    pub input_tokens: u64,
    /// Tokens that it wrote.
    pub output_tokens: u64,
    /// US dollars for them, by the prices that were given.
    pub model_usd: f64,
    /// Millionths of a USDC that services have receipts for.
    pub spent_micros: u128,
    /// The same of payments that were sent and have no receipt.
    pub outstanding_micros: u128,
}

/// How often each verdict came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// All.
    pub total_groups: usize,
    /// Passed.
    pub pass: usize,
    /// Blocked.
    pub warn: usize,
    /// Failed.
    pub fail: usize,
    /// Error.
    pub error: usize,
}

impl Cost {
    /// The cost of a record's tokens.
    pub fn of(record: &Record, price: TokenPrice) -> Self {
        // Tokens of some answers are exact in a float.
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
        let million = |tokens: u64| tokens as f64 / 1e6;
        let (input_tokens, output_tokens) = (record.input_tokens, record.output_tokens);
        let model_usd = million(input_tokens) * price.input + million(output_tokens) * price.output;
        Self { input_tokens, output_tokens, model_usd, ..Self::default() }
    }

    /// Both together.
    pub fn and(self, other: Self) -> Self {
        Self {
            input_tokens: self.input_tokens + other.input_tokens,
            output_tokens: self.output_tokens + other.output_tokens,
            model_usd: self.model_usd + other.model_usd,
            spent_micros: self.spent_micros + other.spent_micros,
            outstanding_micros: self.outstanding_micros + other.outstanding_micros,
        }
    }
}

impl Goal {
    /// The goal that a test is.
    pub fn new(test: &Test, proof: &Proof) -> Self {
        Self {
            id: test.id.clone(),
            test: test.title.clone(),
            request: format!("{} {}", test.method, test.endpoint),
            proof: proof.as_str(),
            note: proof.message(),
            verdict: proof.verdict(),
        }
    }
}

impl GroupReport {
    /// A group's report from what was done.
    pub fn new((id, name): (&str, &str), verdict: Verdict, goals: Vec<Goal>, record: Record, cost: Cost) -> Self {
        let error = match &record.ended {
            Some(Ended::Broke(why) | Ended::NotBegun(why) | Ended::Interrupted(why)) => Some(why.clone()),
            _ => None,
        };
        Self {
            group_id: id.into(),
            group_name: name.into(),
            verdict: match verdict {
                Verdict::Passed => "pass",
                Verdict::Failed => "fail",
                Verdict::Blocked => "warn",
                Verdict::Error => "error",
            },
            gate_verdict: verdict,
            error,
            goals,
            steps: record.steps,
            ux_notes: record.notes.iter().map(|note| note.text.clone()).collect(),
            ux: record.notes,
            agent_summary: record.summary,
            rounds: record.rounds,
            ended: record.ended,
            dropped_calls: record.dropped_calls,
            duration_ms: 0,
            cost,
        }
    }

    /// The group in some lines, for people.
    pub fn lines(&self) -> String {
        use std::fmt::Write as _;
        let mut text = format!(
            "{:<6} {} ({}): {} rounds, {} steps, {} USDC, {} ms\n",
            self.verdict,
            plain(&self.group_id),
            plain(&self.group_name),
            self.rounds,
            self.steps.len(),
            usd(self.cost.spent_micros),
            self.duration_ms
        );
        for goal in &self.goals {
            let _ = writeln!(
                text,
                "  {:<9} {:<12} {}{}",
                goal.proof,
                plain(&goal.id),
                plain(&goal.request),
                goal.note.as_ref().map(|note| format!(": {}", plain(note))).unwrap_or_default()
            );
        }
        for note in &self.ux {
            let _ = writeln!(text, "  note      {} {}: {}", word(&note.kind), word(&note.severity), plain(&note.text));
        }
        if let Some(error) = &self.error {
            let _ = writeln!(text, "  {}", plain(error));
        }
        text
    }

    /// The group as steps of a gate's report: each goal, what the model noted, and
    /// the conversation with the whole of this as its output.
    pub fn steps(&self) -> Vec<report::Step> {
        let milliseconds = i64::try_from(self.duration_ms).unwrap_or(i64::MAX);
        let mut steps: Vec<_> = self
            .goals
            .iter()
            .map(|goal| {
                let (method, url) = goal.request.split_once(' ').unwrap_or_default();
                let path = url.split_once("://").and_then(|(_, rest)| rest.find('/').map(|at| &rest[at..])).unwrap_or(url);
                let mut name = format!("goal {} {method} {path}", goal.id);
                cut(&mut name, 120);
                report::Step { message: goal.note.clone(), ..report::Step::not(name, goal.verdict, "") }
            })
            .collect();
        let said = format!("{} rounds, {} steps, {} USDC", self.rounds, self.steps.len(), usd(self.cost.spent_micros));
        let told = report::Step { milliseconds, output: serde_json::to_string(self).unwrap_or_default(), ..report::Step::passed("agent") };
        steps.push(match (&self.error, self.gate_verdict) {
            (Some(why), verdict) if verdict != Verdict::Passed => report::Step { verdict, message: Some(why.clone()), ..told },
            _ => report::Step { message: Some(said), ..told },
        });
        let note = |note: &Note| report::Step {
            message: Some(note.text.clone()),
            ..report::Step::passed(format!("ux {} {}", word(&note.kind), word(&note.severity)))
        };
        steps.extend(self.ux.iter().map(note));
        steps
    }
}

fn word(value: &impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

impl Report {
    /// A report of these groups.
    pub fn new(timestamp: String, network: String, model: String, groups: Vec<GroupReport>) -> Self {
        let count = |verdict| groups.iter().filter(|group| group.gate_verdict == verdict).count();
        let summary = Summary {
            total_groups: groups.len(),
            pass: count(Verdict::Passed),
            warn: count(Verdict::Blocked),
            fail: count(Verdict::Failed),
            error: count(Verdict::Error),
        };
        let cost = groups.iter().fold(Cost::default(), |sum, group| sum.and(group.cost));
        Self { timestamp, mode: "canary", network, model, groups, summary, cost }
    }

    /// What the program ends with: all groups passed, one failed, or something was
    /// not shown.
    pub fn exit(&self) -> Exit {
        let Summary { total_groups, pass, fail, .. } = self.summary;
        if fail > 0 {
            Exit::Failed
        } else if pass == total_groups && pass > 0 {
            Exit::Proven
        } else {
            Exit::Unproven
        }
    }
}
