//! A SCRIPTED vendor for the demo and the test bed: what stands behind the example
//! `lookup`, whose routes it answers with words from a list of its own. A word that
//! it does not have it makes up from the word itself, and says so.

#[allow(dead_code, reason = "it serves as the scripted model does, and says other things")]
mod scripted_model;

use std::net::TcpListener;

use clap::Parser;
use scripted_model::{Asked, serve};
use serde_json::{Value, json};

const NAME: &str = "scripted dictionary (no vendor)";
const WORDS: [(&str, &str, [&str; 3]); 3] = [
    ("flywheel", "A heavy wheel that keeps a machine turning evenly.", ["wheel", "gyroscope", "momentum"]),
    ("gate", "What opens for whoever may pass.", ["door", "barrier", "portal"]),
    ("ledger", "A book of what was paid, and by whom.", ["book", "register", "account"]),
];

/// A scripted vendor: it answers from a list, and nobody real is behind it.
#[derive(Debug, Parser)]
struct Arguments {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: String,
    /// The key that it wants; any is good without.
    #[arg(long)]
    key: Option<String>,
}

#[allow(clippy::print_stdout, reason = "whoever started it reads the address there")]
fn main() -> std::io::Result<()> {
    let Arguments { listen, key } = Arguments::parse();
    let listener = TcpListener::bind(&listen)?;
    println!("{NAME}: http://{}", listener.local_addr()?);
    serve(&listener, move |asked| {
        if key.as_ref().is_some_and(|key| asked.authorization != format!("Bearer {key}")) {
            return refused(401, "unauthorized", "the key is another");
        }
        answer(asked)
    })
}

fn answer(asked: &Asked) -> (u16, Value) {
    let path = asked.target.split('?').next().unwrap_or_default();
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    match (asked.method.as_str(), parts.as_slice()) {
        ("POST", ["v1", "lookup"]) => match asked.body["word"].as_str().filter(|word| !word.is_empty() && word.len() <= 100) {
            Some(word) => (200, json!({ "word": word, "definitions": [{ "text": definition(word), "source": NAME }] })),
            None => refused(400, "invalid_request", "word: must be a text of 100 bytes at most"),
        },
        ("GET", ["v1", "words", word, "nearby"]) => (200, json!({ "word": word, "words": nearby(word), "source": NAME })),
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

fn refused(status: u16, code: &str, message: &str) -> (u16, Value) {
    (status, json!({ "error": { "code": code, "message": message } }))
}
