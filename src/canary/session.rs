//! The conversation, as a machine without a socket: it is told what the model said
//! and what came of the tools, and says what to do next. Every bound of a
//! conversation is kept here, whatever the model asks for.

use std::collections::{BTreeMap, VecDeque};

use super::{
    limits::{MOST_CALLS, MOST_CALLS_AT_ONCE, MOST_FAILURES, MOST_NOTES, MOST_OUTPUT, MOST_STREAM, MOST_SUMMARY, cut},
    reach::{Reach, Request},
    record::{Ended, Record, Step, Used},
    tools::{self, Call, FINISH, HTTP, NOTE, SHELL},
};
use crate::{
    ports::{
        model::{Message, Role, Spoken, Tool, ToolCall, Turn},
        shell::Printed,
    },
    suite::Answer,
};

/// How often the model may answer without a tool before that is its end.
const MOST_SILENT: u32 = 2;
/// Longest text of the model that stays in the conversation.
const MOST_SAID: usize = 4000;
/// Longest arguments that stay in the conversation, in bytes.
const MOST_REPEATED: usize = 8 * 1024;
/// Headers of an answer that the model reads.
const SHOWN: [&str; 5] = ["content-type", "location", "retry-after", "link", "etag"];

const NUDGE: &str = "Use the tools for the task, or call finish.";
const STOP: &str = "This failed twice. Stop trying it: note with ux_note what was unclear, and go on with the rest.";

/// What the conversation needs from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Todo {
    /// The answer to a request.
    Http(Request),
    /// What a command prints.
    Shell(String),
}

/// What became of a request.
#[derive(Clone, Debug, Default)]
pub struct Fetched {
    /// The answer, or why there is none.
    pub answer: Option<Answer>,
    /// Why there is none.
    pub trouble: Option<String>,
    /// Millionths of a US dollar that were paid for it.
    pub paid_micros: u128,
    /// Milliseconds that it took.
    pub milliseconds: u64,
}

/// A conversation about one group.
#[derive(Debug)]
pub struct Session {
    reach: Reach,
    tools: Vec<Tool>,
    shell: bool,
    most_rounds: u32,
    turns: Vec<Turn>,
    pending: VecDeque<ToolCall>,
    doing: Option<(String, Todo)>,
    dropped: usize,
    calls: usize,
    silent: u32,
    failures: BTreeMap<String, u32>,
    record: Record,
}

impl Session {
    /// A conversation that begins so.
    pub fn new(opening: Vec<Turn>, reach: Reach, shell: bool, most_rounds: u32) -> Self {
        Self {
            tools: tools::tools(shell),
            reach,
            shell,
            most_rounds,
            turns: opening,
            pending: VecDeque::new(),
            doing: None,
            dropped: 0,
            calls: 0,
            silent: 0,
            failures: BTreeMap::new(),
            record: Record::default(),
        }
    }

    /// What was said so far.
    pub fn conversation(&self) -> &[Turn] {
        &self.turns
    }

    /// The tools that the model may ask for.
    pub fn tools(&self) -> &[Tool] {
        &self.tools
    }

    /// Whether it is over, and why.
    pub fn ended(&self) -> Option<&Ended> {
        self.record.ended.as_ref()
    }

    /// Ends it from outside. The first end stands.
    pub fn end(&mut self, why: Ended) {
        self.pending.clear();
        self.record.ended.get_or_insert(why);
    }

    /// What was done.
    pub fn into_record(self) -> Record {
        self.record
    }

    /// How many steps there were so far: the next one's place.
    pub fn steps(&self) -> usize {
        self.record.steps.len()
    }

    /// Takes what the model said.
    pub fn heard(&mut self, spoken: Spoken) {
        if self.ended().is_some() {
            return;
        }
        self.record.rounds += 1;
        self.record.input_tokens += spoken.input_tokens;
        self.record.output_tokens += spoken.output_tokens;
        let text = cut(&spoken.text, MOST_SAID);
        if spoken.calls.is_empty() {
            self.silent += 1;
            if self.record.summary.is_empty() {
                self.record.summary = cut(&text, MOST_SUMMARY);
            }
            self.turns.push(Turn::Said(Message { role: Role::Assistant, text }));
            self.turns.push(Turn::Said(Message { role: Role::User, text: NUDGE.into() }));
            if self.silent >= MOST_SILENT {
                self.end(Ended::Silent);
            }
            self.round_over();
            return;
        }
        let room = MOST_CALLS_AT_ONCE.min(MOST_CALLS - self.calls);
        self.dropped = spoken.calls.len().saturating_sub(room);
        self.record.dropped_calls += self.dropped;
        for call in spoken.calls.into_iter().take(room) {
            // Ids of our own: those of a model may be missing, or the same twice.
            self.calls += 1;
            self.pending.push_back(ToolCall { id: format!("call_{}", self.calls), ..call });
        }
        self.turns.push(Turn::Called { text, calls: self.pending.iter().map(repeated).collect() });
    }

    /// What to do next of what the model asked for; nothing once it is to be asked
    /// again, or is over.
    pub fn todo(&mut self) -> Option<Todo> {
        while let Some(call) = self.pending.pop_front() {
            match tools::read(&call, &self.reach, self.shell) {
                Ok(Call::Http(request)) => {
                    let key = format!("{} {}", request.method, self.reach.url(&request));
                    if let Some(todo) = self.attempt(&call, &key, Todo::Http(request)) {
                        return Some(todo);
                    }
                }
                Ok(Call::Shell(command)) => {
                    if let Some(todo) = self.attempt(&call, &command.clone(), Todo::Shell(command)) {
                        return Some(todo);
                    }
                }
                Ok(Call::Note(note)) => {
                    let room = self.record.notes.len() < MOST_NOTES;
                    if room {
                        self.record.notes.push(note);
                    }
                    self.result(call.id, if room { "noted" } else { "there are enough notes; this one was dropped" }.into());
                }
                Ok(Call::Finish(summary)) => {
                    self.record.summary = summary;
                    self.result(call.id, "finished".into());
                    self.end(Ended::Finished);
                }
                Err(told) => {
                    let used = match call.name.as_str() {
                        HTTP | SHELL | NOTE | FINISH => Used::Refused { tool: call.name.clone(), arguments: cut(&call.arguments, 500) },
                        _ => Used::Refused { tool: cut(&call.name, 64), arguments: cut(&call.arguments, 500) },
                    };
                    self.record.steps.push(Step { note: Some(told.clone()), ..Step::new(call.id.clone(), used) });
                    self.result(call.id, told);
                }
            }
        }
        self.round_over();
        None
    }

    /// Takes what became of a request.
    pub fn fetched(&mut self, fetched: &Fetched) {
        let Some((id, Todo::Http(request))) = self.doing.take() else { return };
        let url = self.reach.url(&request);
        let status = fetched.answer.as_ref().map(|answer| answer.status);
        let ok = status.is_some_and(|status| (200..300).contains(&status));
        if !ok {
            *self.failures.entry(format!("{} {url}", request.method)).or_default() += 1;
        }
        let text = match &fetched.answer {
            Some(answer) => answered(answer, fetched.paid_micros),
            None => fetched.trouble.clone().unwrap_or_else(|| "no answer".into()),
        };
        let response_body = fetched.answer.as_ref().map(|answer| String::from_utf8_lossy(&answer.body).into_owned());
        let used = Used::http(&request, url, status, response_body.as_deref());
        self.record.steps.push(Step {
            ok,
            note: fetched.trouble.as_ref().map(|text| cut(text, 500)),
            paid_micros: fetched.paid_micros,
            milliseconds: fetched.milliseconds,
            ..Step::new(id.clone(), used)
        });
        self.result(id, text);
    }

    /// Takes what a command printed; nothing where the sandbox broke.
    pub fn printed(&mut self, printed: Result<&Printed, String>) {
        let Some((id, Todo::Shell(command))) = self.doing.take() else { return };
        let code = printed.as_ref().ok().and_then(|printed| printed.code);
        if code != Some(0) {
            *self.failures.entry(command.clone()).or_default() += 1;
        }
        let text = match &printed {
            Ok(printed) => {
                let code = printed.code.map_or("none: it was ended".into(), |code| code.to_string());
                let [stdout, stderr] = [&printed.stdout, &printed.stderr].map(|text| cut(text, MOST_STREAM));
                format!("exit code: {code}\nstdout:\n{stdout}\nstderr:\n{stderr}")
            }
            Err(why) => why.clone(),
        };
        let used = Used::shell(command, printed.as_ref().ok().copied());
        self.record.steps.push(Step { ok: code == Some(0), note: printed.err(), ..Step::new(id.clone(), used) });
        self.result(id, text);
    }

    fn attempt(&mut self, call: &ToolCall, key: &str, todo: Todo) -> Option<Todo> {
        if self.failures.get(key).is_some_and(|failures| *failures >= MOST_FAILURES) {
            let used = Used::Refused { tool: call.name.clone(), arguments: cut(key, 500) };
            self.record.steps.push(Step { note: Some(STOP.into()), ..Step::new(call.id.clone(), used) });
            self.result(call.id.clone(), STOP.into());
            return None;
        }
        self.doing = Some((call.id.clone(), todo.clone()));
        Some(todo)
    }

    fn result(&mut self, call: String, mut text: String) {
        text = cut(&text, MOST_OUTPUT);
        if self.pending.is_empty() && self.dropped > 0 {
            text.push_str(&format!("\n({} further calls of that answer were dropped: ask for {MOST_CALLS_AT_ONCE} at most)", self.dropped));
            self.dropped = 0;
        }
        self.turns.push(Turn::Result { call, text });
    }

    fn round_over(&mut self) {
        if self.record.rounds >= self.most_rounds {
            self.end(Ended::Rounds);
        } else if self.calls >= MOST_CALLS {
            self.end(Ended::Calls);
        }
    }
}

/// A call as the conversation repeats it: servers refuse names and arguments of
/// other forms than they would have made.
fn repeated(call: &ToolCall) -> ToolCall {
    let named = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let name: String = call.name.chars().filter(|c| named(*c)).take(64).collect();
    let whole =
        call.arguments.len() <= MOST_REPEATED && serde_json::from_str::<serde_json::Value>(&call.arguments).is_ok_and(|a| a.is_object());
    ToolCall {
        id: call.id.clone(),
        name: if name.is_empty() { "unnamed".into() } else { name },
        arguments: if whole { call.arguments.clone() } else { "{}".into() },
    }
}

/// An answer as the model reads it.
fn answered(answer: &Answer, paid_micros: u128) -> String {
    let mut text = format!("HTTP {}\n", answer.status);
    for name in SHOWN {
        if let Some(value) = answer.header(name) {
            text.push_str(&format!("{name}: {}\n", cut(&value, 300)));
        }
    }
    if paid_micros > 0 {
        text.push_str(&format!("(paid: {} USDC)\n", super::record::usd(paid_micros)));
    }
    if let Some(why) = &answer.cut {
        text.push_str(&format!("(the body is not whole: {})\n", cut(why, 200)));
    }
    text.push('\n');
    text.push_str(&String::from_utf8_lossy(&answer.body));
    text
}
