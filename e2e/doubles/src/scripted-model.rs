//! A SCRIPTED model as a program, for the demo and the test bed: no language model
//! is behind it. `scripted-model --listen 127.0.0.1:0 [--script honest]` prints the
//! address that it serves `POST /v1/chat/completions` at.

mod scripted_author;
#[allow(dead_code, reason = "tests use the rest")]
mod scripted_model;

use std::net::TcpListener;

use clap::Parser;
use scripted_model::{NAME, Script, serve};
use serde_json::json;

/// A scripted model: it answers by rules, and no language model is behind it.
#[derive(Debug, Parser)]
struct Arguments {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: String,
    /// How it behaves: honest, lies, injected, never-ends, garbage, flood or broken.
    #[arg(long, default_value = "honest", value_parser = |name: &str| Script::parse(name).ok_or("there is no such script"))]
    script: Script,
    /// The key that it wants; any is good without.
    #[arg(long)]
    key: Option<String>,
}

#[allow(clippy::print_stdout, reason = "whoever started it reads the address there")]
fn main() -> std::io::Result<()> {
    let Arguments { listen, script, key } = Arguments::parse();
    let listener = TcpListener::bind(&listen)?;
    println!("{NAME}: http://{}/v1", listener.local_addr()?);
    serve(&listener, move |asked| {
        if key.as_ref().is_some_and(|key| asked.authorization != format!("Bearer {key}")) {
            return (401, json!({ "error": { "message": "the key is another" } }));
        }
        match (asked.method.as_str(), asked.target.as_str()) {
            ("POST", target) if target.ends_with("/chat/completions") => {
                // Whoever names a schema wants a document, and no conversation.
                (
                    200,
                    if asked.body["response_format"].is_object() {
                        scripted_author::answer(&asked.body)
                    } else {
                        script.answer(&asked.body)
                    },
                )
            }
            ("GET", _) => (200, json!({ "service": NAME, "status": "ok" })),
            _ => (404, json!({ "error": { "message": "there is nothing here" } })),
        }
    })
}
