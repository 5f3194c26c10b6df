//! From an idea to a document: a model writes it, the strict checker reads it, and
//! what it finds goes back to the model, for some rounds. Nothing that the model
//! says is taken unless the checker finds nothing.

use serde::Serialize;

use crate::{
    ports::{
        error::PortError,
        model::{Message, Model, Role},
    },
    prim,
};

/// How often a model is asked at most.
pub const MOST_ROUNDS: u32 = 3;
/// How much of a bad answer goes back, in characters, and how many problems.
const MOST_BACK: usize = 20_000;
const MOST_PROBLEMS: usize = 30;

const TASK: &str = "You design small HTTP services for software agents. Answer with one JSON object that is a prim.yaml document of the given schema, and nothing else. Routes are under /v1, an operation_id is a verb and a noun such as create_note, each route declares its errors, and what it takes and answers is a type of the document. Prices are in US dollars. Leave out what you do not need.";

/// What came of it.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// The document as YAML, where there is a strict one.
    #[serde(skip)]
    pub document: Option<String>,
    /// The problems of the last answer.
    pub problems: Vec<String>,
    /// How often the model was asked.
    pub rounds: u32,
    /// Tokens that it read.
    pub input_tokens: u64,
    /// Tokens that it wrote.
    pub output_tokens: u64,
}

/// Asks for a document until one is strict. An id that is given is the document's.
pub async fn realize(model: &dyn Model, idea: &str, id: Option<&str>, rounds: u32) -> Result<Outcome, PortError> {
    let schema = prim::schema();
    let wanted = id.map(|id| format!("\n\nIts id is {id}.")).unwrap_or_default();
    let mut conversation = vec![said(Role::System, TASK), said(Role::User, &format!("{idea}{wanted}"))];
    let mut outcome = Outcome { document: None, problems: Vec::new(), rounds: 0, input_tokens: 0, output_tokens: 0 };
    while outcome.rounds < rounds.min(MOST_ROUNDS) {
        let answer = model.answer(&conversation, &schema).await?;
        outcome.rounds += 1;
        outcome.input_tokens += answer.input_tokens;
        outcome.output_tokens += answer.output_tokens;
        match judged(&answer.text, id) {
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
    Ok(outcome)
}

/// The answer as YAML; else what is wrong with it.
fn judged(text: &str, id: Option<&str>) -> Result<String, Vec<String>> {
    let (value, findings) = prim::check_text(text);
    let mut problems: Vec<_> = findings.iter().take(MOST_PROBLEMS).map(ToString::to_string).collect();
    let read = value.map(prim::from_value);
    if let Some(Err(unread)) = &read {
        problems.extend(unread.iter().map(ToString::to_string));
    }
    match read {
        Some(Ok(document)) if problems.is_empty() => match id.filter(|id| *id != document.id.as_str()) {
            Some(id) => Err(vec![format!("id: must be {id}")]),
            None => Ok(document.to_yaml()),
        },
        _ if problems.is_empty() => Err(vec!["it is no document".into()]),
        _ => Err(problems),
    }
}

fn said(role: Role, text: &str) -> Message {
    Message { role, text: text.into() }
}
