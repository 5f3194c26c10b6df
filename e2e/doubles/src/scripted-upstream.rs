//! A SCRIPTED vendor as a program, for the demo and the test bed: it stands behind the
//! example `lookup`. `scripted-upstream --listen 127.0.0.1:0` prints its address.

#[allow(dead_code, reason = "it serves as the scripted model does, and says other things")]
mod scripted_model;
mod scripted_vendor;

use std::net::TcpListener;

use clap::Parser;
use scripted_model::serve;
use scripted_vendor::{NAME, answer, refused};

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
