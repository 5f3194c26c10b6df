//! Conversations with models about ideas, each a task of its own beside the passes:
//! a pass begins one, and a later one sees what came of it. They are in memory alone;
//! a process that ends forgets those that go on, and what nobody wrote down.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use serde_json::Value;
use tokio::{
    sync::{Semaphore, broadcast},
    task::AbortHandle,
};

use super::limits::Limits;
use crate::{
    api::{conditions::Reason, primitive::Document as Written},
    author::{self, Outcome, Task},
    decide::{
        Question,
        primitive::{Asked, ModelSeen, Told},
    },
    ports::{
        clock::Clock,
        error::{Class, PortError},
        model::{Answered, Message, Model},
        scan::Scan,
    },
    prim::{self, Document},
};

/// Models that are asked at a time.
const AT_A_TIME: usize = 4;
/// What a conversation may take beside its answers: secret scans and checks.
const BESIDE: Duration = Duration::from_secs(60);

/// Which object: its namespace, name and uid.
pub type Of = (String, String, String);

/// Who can be asked for a document, and what must be right about it.
#[derive(Clone)]
pub struct Author {
    /// The model.
    pub model: Arc<dyn Model>,
    /// What is known of it.
    pub seen: ModelSeen,
    /// Longest wait for one answer.
    pub timeout: Duration,
    /// The idea.
    pub idea: String,
    /// The document's id.
    pub id: String,
    /// What is wrong with a strict document.
    pub judge: Arc<Judge>,
}

/// Says what is wrong with a strict document.
pub type Judge = dyn Fn(&Document) -> Vec<String> + Send + Sync;

/// What every conversation needs of the process.
pub struct Means {
    /// Looks for secrets in what is said.
    pub scanner: Arc<dyn Scan>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Waits that servers asked for.
    pub limits: Arc<Limits>,
}

/// All conversations of a process.
pub struct Ideas {
    shared: Arc<Shared>,
}

struct Shared {
    table: Mutex<Table>,
    turns: Semaphore,
    /// Namespace and name of whose conversation ended.
    ended: broadcast::Sender<(String, String)>,
}

#[derive(Default)]
struct Table {
    /// By namespace and name.
    entries: HashMap<(String, String), Entry>,
    /// Nothing is begun any more.
    stopped: bool,
    serial: u64,
}

struct Entry {
    uid: String,
    hash: String,
    serial: u64,
    state: State,
    task: AbortHandle,
}

enum State {
    Queued,
    Going,
    Ended(Box<Told>),
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Default for Ideas {
    fn default() -> Self {
        let shared = Shared { table: Mutex::default(), turns: Semaphore::new(AT_A_TIME), ended: broadcast::channel(256).0 };
        Self { shared: Arc::new(shared) }
    }
}

impl Ideas {
    /// Where the conversation about an idea of this hash is. One about another idea
    /// of the object is given up, and any where it has none to ask about.
    pub fn look(&self, (namespace, name, uid): &Of, hash: Option<&str>) -> Asked {
        let mut table = self.shared.lock();
        let key = (namespace.clone(), name.clone());
        match table.entries.get(&key) {
            Some(entry) if entry.uid == *uid && Some(entry.hash.as_str()) == hash => match &entry.state {
                State::Ended(told) => return Asked::Ended(Box::new(copy(told))),
                // It broke off: a promise to ourselves, which begins anew.
                _ if entry.task.is_finished() => {}
                State::Queued => return Asked::Queued,
                State::Going => return Asked::Going,
            },
            None => return Asked::Nothing,
            Some(_) => {}
        }
        table.entries.remove(&key);
        Asked::Nothing
    }

    /// Begins a conversation, unless the same goes on.
    pub fn ask(&self, (namespace, name, uid): Of, question: &Question, author: Author, means: Means) {
        let key = (namespace, name);
        let mut table = self.shared.lock();
        let same = |entry: &Entry| entry.uid == uid && entry.hash == question.hash;
        let goes_on = |entry: &Entry| !matches!(entry.state, State::Ended(_)) && !entry.task.is_finished();
        if table.stopped || table.entries.get(&key).is_some_and(|entry| same(entry) && goes_on(entry)) {
            return;
        }
        table.serial += 1;
        let serial = table.serial;
        let (shared, whose, asked) = (self.shared.clone(), key.clone(), question.clone());
        let task = tokio::spawn(async move { shared.converse(whose, serial, asked, author, means).await });
        let entry = Entry { uid, hash: question.hash.clone(), serial, state: State::Queued, task: task.abort_handle() };
        table.entries.insert(key, entry);
    }

    /// Gives up whatever an object asked.
    pub fn forget(&self, namespace: &str, name: &str) {
        self.shared.lock().entries.remove(&(namespace.to_owned(), name.to_owned()));
    }

    /// Gives up all of them, and begins none any more.
    pub fn stop(&self) {
        let mut table = self.shared.lock();
        table.stopped = true;
        table.entries.clear();
    }

    /// Objects whose conversations end from now on; a lost one costs time alone.
    pub fn ended(&self) -> broadcast::Receiver<(String, String)> {
        self.shared.ended.subscribe()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn converse(&self, key: (String, String), serial: u64, question: Question, author: Author, means: Means) {
        let Ok(_turn) = self.turns.acquire().await else { return };
        self.set(&key, serial, State::Going);
        let whole = author.timeout.saturating_mul(question.rounds.max(1)).saturating_add(BESIDE);
        let outcome = tokio::time::timeout(whole, answer(&question, &author, &means))
            .await
            .unwrap_or_else(|_| Outcome { failed: Some(PortError::unreachable("the model's server")), ..Outcome::default() });
        let (rounds, input, output) = question.before;
        let more = |before: i64, now: u64| before.saturating_add(i64::try_from(now).unwrap_or(i64::MAX));
        let document = outcome.document.map(|yaml| written(&yaml)).transpose();
        let (document, broken) = document.map_or_else(|error| (None, Some(error)), |document| (document, None));
        let told = Told {
            document,
            problems: if outcome.rounds == 0 { question.problems } else { outcome.problems },
            rounds: rounds.saturating_add(outcome.rounds.into()),
            input_tokens: more(input, outcome.input_tokens),
            output_tokens: more(output, outcome.output_tokens),
            at: means.clock.now(),
            model: author.seen,
            failed: outcome.failed.or(broken),
        };
        tracing::info!(namespace = key.0, name = key.1, rounds = told.rounds, strict = told.document.is_some(), "a model was asked");
        self.set(&key, serial, State::Ended(Box::new(told)));
        // Nobody listens while another process leads.
        let _ = self.ended.send(key);
    }

    fn set(&self, key: &(String, String), serial: u64, state: State) {
        if let Some(entry) = self.lock().entries.get_mut(key).filter(|entry| entry.serial == serial) {
            entry.state = state;
        }
    }
}

async fn answer(question: &Question, author: &Author, means: &Means) -> Outcome {
    let failed = |error| Outcome { failed: Some(error), ..Outcome::default() };
    match means.scanner.scan(&[("spec.idea", &author.idea)]).await {
        Err(error) => return failed(error),
        Ok(Some(found)) => return failed(PortError::new(Class::Invalid, Reason::SecretInFile, found)),
        Ok(None) => {}
    }
    let model = Obedient { author, means };
    let task =
        Task { idea: &author.idea, id: Some(&author.id), rounds: question.rounds, scan: Some(&*means.scanner), more: &*author.judge };
    author::realize(&model, &task).await
}

/// A model that is left alone for as long as its server asked for.
struct Obedient<'a> {
    author: &'a Author,
    means: &'a Means,
}

#[async_trait]
impl Model for Obedient<'_> {
    async fn answer(&self, conversation: &[Message], schema: &Value) -> Result<Answered, PortError> {
        let Means { limits, clock, .. } = self.means;
        limits.obey(&self.author.seen.account, &**clock, self.author.model.answer(conversation, schema)).await
    }
}

fn written(yaml: &str) -> Result<Written, PortError> {
    let bug = |error: String| PortError::new(Class::Bug, Reason::InternalError, format!("a strict document can't be read: {error}"));
    let value = prim::value(yaml).map_err(|problem| bug(problem.to_string()))?;
    serde_json::from_value(value).map_err(|error| bug(error.to_string()))
}

/// Errors carry what they came from, which can't be copied.
fn copy(told: &Told) -> Told {
    Told {
        document: told.document.clone(),
        problems: told.problems.clone(),
        model: told.model.clone(),
        failed: told.failed.as_ref().map(|error| PortError::new(error.class, error.reason, error.message.clone())),
        ..*told
    }
}
