//! From an idea to a document: a model writes it, the strict checker reads it, and
//! what it finds goes back to the model, for some rounds. Nothing that the model
//! says is taken unless the checker finds nothing.

use crate::{
    ports::{
        error::PortError,
        model::{Message, Model, Role},
        scan::Scan,
    },
    prim::{self, Checked, Document},
};

/// How often a model is asked at most.
pub const MOST_ROUNDS: u32 = 3;
/// How much of a bad answer goes back, in characters, how many problems, and how much
/// of each.
const MOST_BACK: usize = 20_000;
const MOST_PROBLEMS: usize = 30;
const MOST_PROBLEM: usize = 500;
/// Longest document that is taken, in bytes of YAML: what it becomes must fit one
/// change.
const LONGEST: usize = 128 * 1024;

const TASK: &str = "You design small HTTP services for software agents. Answer with one JSON object that is a prim.yaml document of the given schema, and nothing else. Routes are under /v1, an operation_id is a verb and a noun such as create_note, each route declares its errors, and what it takes and answers is a type of the document. Prices are in US dollars. Leave out what you do not need.";

/// What a model is asked for.
pub struct Task<'a> {
    /// What the service should do.
    pub idea: &'a str,
    /// The document's id, where it is given.
    pub id: Option<&'a str>,
    /// How often it is asked at most.
    pub rounds: u32,
    /// Looks through what it says for secrets, where somebody should.
    pub scan: Option<&'a dyn Scan>,
    /// What else is wrong with a strict document.
    pub more: &'a (dyn Fn(&Document) -> Vec<String> + Send + Sync),
}

impl<'a> Task<'a> {
    /// For whoever reads the document before anything is made of it.
    pub fn new(idea: &'a str, id: Option<&'a str>, rounds: u32) -> Self {
        Self { idea, id, rounds, scan: None, more: &|_| Vec::new() }
    }
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The document as YAML, where there is a strict one.
    pub document: Option<String>,
    /// The problems of the last answer.
    pub problems: Vec<String>,
    /// How often the model answered.
    pub rounds: u32,
    /// Tokens that it read.
    pub input_tokens: u64,
    /// Tokens that it wrote.
    pub output_tokens: u64,
    /// Why it was not asked on, where it was not.
    pub failed: Option<PortError>,
}

/// Asks for a document until one is strict. An id that is given is the document's.
pub async fn realize(model: &dyn Model, task: &Task<'_>) -> Outcome {
    let mut outcome = Outcome::default();
    if let Err(error) = converse(model, task, &mut outcome).await {
        outcome.failed = Some(error);
    }
    outcome
}

async fn converse(model: &dyn Model, task: &Task<'_>, outcome: &mut Outcome) -> Result<(), PortError> {
    let schema = prim::schema();
    let wanted = task.id.map(|id| format!("\n\nIts id is {id}.")).unwrap_or_default();
    let mut conversation = vec![said(Role::System, TASK), said(Role::User, &format!("{}{wanted}", task.idea))];
    while outcome.rounds < task.rounds.min(MOST_ROUNDS) {
        let answer = model.answer(&conversation, &schema).await?;
        outcome.rounds += 1;
        outcome.input_tokens += answer.input_tokens;
        outcome.output_tokens += answer.output_tokens;
        match judged(&answer.text, task).await? {
            Ok(document) => {
                outcome.problems.clear();
                outcome.document = Some(document);
                break;
            }
            Err(problems) => {
                conversation.push(said(Role::Assistant, &answer.text.chars().take(MOST_BACK).collect::<String>()));
                let list = problems.iter().map(|problem| format!("- {problem}")).collect::<Vec<_>>().join("\n");
                conversation
                    .push(said(Role::User, &format!("That document has problems. Answer with the whole document, mended:\n{list}")));
                outcome.problems = problems;
            }
        }
    }
    Ok(())
}

/// The answer as YAML; else what is wrong with it.
async fn judged(text: &str, task: &Task<'_>) -> Result<Result<String, Vec<String>>, PortError> {
    // First of all: what the checker says may repeat what is there.
    if let Some(scan) = task.scan
        && let Some(found) = scan.scan(&[("the answer", text)]).await?
    {
        return Ok(Err(vec![short(&found)]));
    }
    Ok(strict(text, task).map_err(|problems| problems.iter().take(MOST_PROBLEMS).map(|problem| short(problem)).collect()))
}

fn strict(text: &str, task: &Task<'_>) -> Result<String, Vec<String>> {
    let Checked { document, findings } = prim::check_text(text);
    let problems: Vec<_> = findings.iter().take(MOST_PROBLEMS).map(ToString::to_string).collect();
    let document = match document {
        Ok(document) if problems.is_empty() => document,
        Err(unread) if problems.is_empty() => return Err(unread.iter().map(ToString::to_string).collect()),
        _ => return Err(problems),
    };
    if let Some(id) = task.id.filter(|id| *id != document.id.as_str()) {
        return Err(vec![format!("id: must be {id}")]);
    }
    let yaml = document.to_yaml();
    if yaml.len() > LONGEST {
        return Err(vec![format!("it has {} KiB, and {} are taken: make it shorter", yaml.len().div_ceil(1024), LONGEST / 1024)]);
    }
    let more = (task.more)(&document);
    if more.is_empty() { Ok(yaml) } else { Err(more) }
}

fn short(problem: &str) -> String {
    match problem.char_indices().nth(MOST_PROBLEM) {
        None => problem.into(),
        Some((end, _)) => format!("{}…", &problem[..end]),
    }
}

fn said(role: Role, text: &str) -> Message {
    Message { role, text: text.into() }
}
