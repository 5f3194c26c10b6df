//! Tries connections from inside a pod: what a NetworkPolicy lets through, and
//! since when in the pod's life. Blocking and without a runtime, so that the
//! first attempt is among the process's first instructions.

use std::{
    io::{ErrorKind, Write},
    net::{SocketAddr, TcpStream},
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use clap::Subcommand;
use serde::{Deserialize, Serialize};

/// Longest wait for one connection while measuring: a dropped packet is told
/// from a slow one by this.
const ATTEMPT: Duration = Duration::from_millis(50);
/// Pause between attempts that failed at once.
const PAUSE: Duration = Duration::from_millis(2);

/// What to try.
#[derive(Debug, Subcommand)]
pub enum ProbeCommand {
    /// Connects again and again, and tells until when it worked.
    Window {
        /// Where to: IP:port.
        target: SocketAddr,
        /// For how many seconds.
        #[arg(long = "for", default_value = "10", value_parser = clap::value_parser!(u64).range(1..=300))]
        seconds: u64,
    },
}

/// How long connections worked after the process began.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Window {
    /// Connections tried.
    pub attempts: u64,
    /// Connections made.
    pub successes: u64,
    /// Milliseconds from the process's start to the last connection that was
    /// made; absent where none was.
    pub last_success_ms: Option<u64>,
    /// Milliseconds from the process's start to the first attempt that failed;
    /// absent where none did.
    pub first_failure_ms: Option<u64>,
    /// How long was tried, in milliseconds.
    pub tried_ms: u64,
}

/// Runs, and prints one JSON object.
pub fn run(command: &ProbeCommand) -> anyhow::Result<ExitCode> {
    let ProbeCommand::Window { target, seconds } = command;
    let window = measure(*target, Duration::from_secs(*seconds));
    serde_json::to_writer(std::io::stdout(), &window)?;
    std::io::stdout().write_all(b"\n")?;
    Ok(ExitCode::SUCCESS)
}

/// Tries `target` for `span`.
pub fn measure(target: SocketAddr, span: Duration) -> Window {
    let start = Instant::now();
    let elapsed = || u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    let mut window = Window::default();
    while start.elapsed() < span {
        window.attempts += 1;
        match TcpStream::connect_timeout(&target, ATTEMPT) {
            Ok(_) => {
                window.successes += 1;
                window.last_success_ms = Some(elapsed());
                thread::sleep(PAUSE);
            }
            Err(error) => {
                window.first_failure_ms.get_or_insert_with(elapsed);
                // A refusal comes at once; a dropped packet has waited already.
                if error.kind() != ErrorKind::TimedOut {
                    thread::sleep(PAUSE);
                }
            }
        }
    }
    window.tried_ms = elapsed();
    window
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_port_that_closes_has_a_window() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = listener.local_addr().unwrap();
        let open = measure(target, Duration::from_millis(50));
        assert!(open.successes > 0 && open.first_failure_ms.is_none(), "{open:?}");
        drop(listener);
        let closed = measure(target, Duration::from_millis(50));
        assert!(closed.successes == 0 && closed.last_success_ms.is_none() && closed.first_failure_ms.is_some(), "{closed:?}");
    }
}
