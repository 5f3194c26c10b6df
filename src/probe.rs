//! Tries connections from inside a pod: what a NetworkPolicy lets through, and
//! since when in the pod's life. Blocking and without a runtime, so that the
//! first attempt is among the process's first instructions.

use std::{
    io::{self, ErrorKind, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket},
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

/// A question that a cluster's DNS server answers itself: who serves its zone.
const QUESTION: &[u8] = b"\x00\x00\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07cluster\x05local\x00\x00\x06\x00\x01";

/// What to try.
#[derive(Debug, Subcommand)]
pub enum ProbeCommand {
    /// Connects again and again, and tells until when it worked.
    Window {
        /// Where to: IP:port.
        target: SocketAddr,
        /// Asks a DNS server by UDP instead, each time from another port.
        #[arg(long)]
        udp: bool,
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
    let ProbeCommand::Window { target, udp, seconds } = command;
    let attempt = if *udp { ask } else { connect };
    let window = measure(*target, Duration::from_secs(*seconds), attempt);
    serde_json::to_writer(std::io::stdout(), &window)?;
    std::io::stdout().write_all(b"\n")?;
    Ok(ExitCode::SUCCESS)
}

/// Makes a connection.
pub fn connect(target: SocketAddr) -> io::Result<()> {
    TcpStream::connect_timeout(&target, ATTEMPT).map(drop)
}

/// Asks a DNS server a question, and hears any answer to it.
pub fn ask(server: SocketAddr) -> io::Result<()> {
    // A new port, so that no state of an earlier exchange lets this one through.
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.set_read_timeout(Some(ATTEMPT))?;
    socket.connect(server)?;
    socket.send(QUESTION)?;
    let mut answer = [0; 512];
    let length = socket.recv(&mut answer)?;
    // Its first two bytes are the question's; the next bit says that it is none.
    let is_answer = length > 2 && answer[..2] == QUESTION[..2] && answer[2] & 0x80 != 0;
    if is_answer { Ok(()) } else { Err(ErrorKind::InvalidData.into()) }
}

/// Tries `target` for `span`.
pub fn measure(target: SocketAddr, span: Duration, attempt: impl Fn(SocketAddr) -> io::Result<()>) -> Window {
    let start = Instant::now();
    let elapsed = || u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    let mut window = Window::default();
    while start.elapsed() < span {
        window.attempts += 1;
        match attempt(target) {
            Ok(()) => {
                window.successes += 1;
                window.last_success_ms = Some(elapsed());
                thread::sleep(PAUSE);
            }
            Err(error) => {
                window.first_failure_ms.get_or_insert_with(elapsed);
                // A refusal comes at once; a dropped packet has waited already.
                if !matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock) {
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
    fn a_dns_server_is_heard_and_nobody_is_not() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let target = socket.local_addr().unwrap();
        let server = thread::spawn(move || {
            let mut question = [0; 512];
            for answers in [true, false, true] {
                let (length, from) = socket.recv_from(&mut question).unwrap();
                assert_eq!(&question[..length], QUESTION);
                question[2] |= if answers { 0x80 } else { 0 };
                socket.send_to(&question[..length], from).unwrap();
            }
        });
        assert!(ask(target).is_ok());
        assert_eq!(ask(target).unwrap_err().kind(), ErrorKind::InvalidData, "a question is no answer");
        assert!(ask(target).is_ok());
        server.join().unwrap();
        assert!(ask(target).is_err(), "the port is closed");
    }

    #[test]
    fn a_port_that_closes_has_a_window() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = listener.local_addr().unwrap();
        let open = measure(target, Duration::from_millis(50), connect);
        assert!(open.successes > 0 && open.first_failure_ms.is_none(), "{open:?}");
        drop(listener);
        let closed = measure(target, Duration::from_millis(50), connect);
        assert!(closed.successes == 0 && closed.last_success_ms.is_none() && closed.first_failure_ms.is_some(), "{closed:?}");
    }
}
