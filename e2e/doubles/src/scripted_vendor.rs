//! A SCRIPTED vendor: what the example `lookup` calls, with words from a list of its
//! own. A word that it does not have it makes up from the word itself, and says so.

use serde_json::{Value, json};

use super::scripted_model::Asked;

/// What it calls itself.
pub const NAME: &str = "scripted dictionary (no vendor)";
const WORDS: [(&str, &str, [&str; 3]); 3] = [
    ("flywheel", "A heavy wheel that keeps a machine turning evenly.", ["wheel", "gyroscope", "momentum"]),
    ("gate", "What opens for whoever may pass.", ["door", "barrier", "portal"]),
    ("ledger", "A book of what was paid, and by whom.", ["book", "register", "account"]),
];

/// What it answers.
pub fn answer(asked: &Asked) -> (u16, Value) {
    let path = asked.target.split('?').next().unwrap_or_default();
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    match (asked.method.as_str(), parts.as_slice()) {
        ("POST", ["v1", "lookup"]) => match asked.body["word"].as_str().filter(|word| !word.is_empty() && word.len() <= 100) {
            Some(word) => (200, json!({ "word": word, "definitions": [{ "text": definition(word), "source": NAME }] })),
            None => refused(400, "invalid_request", "word: must be a text of 100 bytes at most"),
        },
        ("GET", ["v1", "nearby"]) => match asked.target.split(['?', '&']).find_map(|pair| pair.strip_prefix("word=")) {
            Some(word) => (200, json!({ "word": word, "words": nearby(word), "source": NAME })),
            None => refused(400, "invalid_request", "word: must be there"),
        },
        ("GET", [""]) => (200, json!({ "service": NAME, "status": "ok" })),
        _ => refused(404, "not_found", "there is nothing here"),
    }
}

fn definition(word: &str) -> String {
    let known = WORDS.iter().find(|(known, ..)| *known == word);
    known.map_or_else(|| format!("No dictionary has {word:?}: it has {} letters.", word.chars().count()), |(_, text, _)| (*text).into())
}

fn nearby(word: &str) -> Vec<String> {
    let known = WORDS.iter().find(|(known, ..)| *known == word);
    known.map_or_else(|| vec![word.chars().rev().collect()], |(_, _, near)| near.iter().map(|word| (*word).to_owned()).collect())
}

/// A refusal in the form of services.
pub fn refused(status: u16, code: &str, message: &str) -> (u16, Value) {
    (status, json!({ "error": { "code": code, "message": message } }))
}
