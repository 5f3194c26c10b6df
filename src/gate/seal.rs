//! Waits until the pod's network is closed. Policies are put in place beside a
//! pod's start, not before it: measured, a pod reaches others for about half a
//! second of its life. Nothing of an agent's may run in that window.

use std::{
    io::ErrorKind,
    net::{SocketAddr, TcpStream, ToSocketAddrs},
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use super::{LastWords, chain};

/// One attempt; a dropped packet is told from a slow one by this.
const ATTEMPT: Duration = Duration::from_millis(200);
/// Pause after an attempt that failed at once, and after one that worked.
const PAUSE: Duration = Duration::from_millis(20);

/// Where to try, and how long.
#[derive(Debug, clap::Args)]
pub struct SealArgs {
    /// What every open pod reaches: HOST:PORT, such as the API server's Service.
    target: String,
    /// How long every attempt has to fail in a row.
    #[arg(long, default_value = "1000")]
    quiet_milliseconds: u64,
    /// When to give up.
    #[arg(long, default_value = "30")]
    deadline_seconds: u64,
    #[command(flatten)]
    last_words: LastWords,
}

/// Why a pod is not sealed.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The target is no address.
    #[error("{target:?} is no HOST:PORT")]
    Target {
        /// What was given.
        target: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// It was reached until the end.
    #[error(
        "the pod still reaches {target} after {seconds} s: the default-deny NetworkPolicy of this namespace is missing, or the cluster's network plug-in enforces none"
    )]
    Open {
        /// What was reached.
        target: SocketAddr,
        /// For how long.
        seconds: u64,
    },
}

/// Runs, and ends the pod if it stays open.
pub(super) fn main(args: &SealArgs) -> anyhow::Result<ExitCode> {
    let quiet = Duration::from_millis(args.quiet_milliseconds);
    let deadline = Duration::from_secs(args.deadline_seconds);
    match resolve(&args.target).and_then(|target| wait(target, quiet, deadline)) {
        Ok(_) => Ok(ExitCode::SUCCESS),
        Err(error) => args.last_words.error("seal", chain(error)),
    }
}

/// Waits until attempts have failed for `quiet`, and says how long that took.
fn wait(target: SocketAddr, quiet: Duration, deadline: Duration) -> Result<Duration, SealError> {
    let start = Instant::now();
    let mut since: Option<Instant> = None;
    loop {
        let began = Instant::now();
        if reaches(target) {
            since = None;
        } else if began.duration_since(*since.get_or_insert(began)) >= quiet {
            return Ok(start.elapsed());
        }
        if start.elapsed() >= deadline {
            return Err(SealError::Open { target, seconds: deadline.as_secs() });
        }
    }
}

/// Whether a connection is made. Whatever else happens to it, it is not made.
fn reaches(target: SocketAddr) -> bool {
    let attempt = TcpStream::connect_timeout(&target, ATTEMPT);
    if attempt.as_ref().err().is_none_or(|e| e.kind() != ErrorKind::TimedOut) {
        thread::sleep(PAUSE);
    }
    attempt.is_ok()
}

/// Whether the network is open again: one attempt.
pub(super) fn is_open(target: &str) -> Result<bool, SealError> {
    resolve(target).map(reaches)
}

fn resolve(target: &str) -> Result<SocketAddr, SealError> {
    let wrong = |source| SealError::Target { target: target.into(), source };
    let mut addresses = target.to_socket_addrs().map_err(wrong)?;
    addresses.next().ok_or_else(|| wrong(ErrorKind::NotFound.into()))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use tokio::net::TcpSocket;

    use super::*;

    const QUIET: Duration = Duration::from_millis(60);

    #[test]
    fn it_waits_for_a_port_that_closes_and_not_for_one_that_stays_open() {
        // Nobody else gets the port once it is closed.
        let held = TcpSocket::new_v4().unwrap();
        held.set_reuseaddr(true).unwrap();
        held.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let target = held.local_addr().unwrap();
        let listener = TcpListener::bind(target).unwrap();
        let open = wait(target, QUIET, Duration::from_millis(150));
        assert!(matches!(open, Err(SealError::Open { .. })), "{open:?}");
        drop(listener);
        assert!(wait(target, QUIET, Duration::from_secs(5)).unwrap() >= QUIET);
    }

    #[test]
    fn a_wrong_target_is_named() {
        let error = is_open("nowhere").unwrap_err().to_string();
        assert!(error.contains("nowhere"), "{error}");
    }
}
