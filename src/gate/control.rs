//! How the trusted container has the other one run programs: one connection over
//! loopback, made before any code under test has run, one JSON object a line.
//! What comes back is written by a container that runs such code: it is bounded,
//! may be forged, and only ever counts against the package.

use std::{collections::BTreeMap, io, time::Duration};

use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    time::timeout,
};

/// Loopback port of the connection.
pub const PORT: u16 = 4022;
/// Longest line either side reads: what a program printed, each byte of it escaped.
const MAX_LINE: u64 = 2 * 1024 * 1024;

/// Longest wait for a program that is killed.
const STOP: Duration = Duration::from_secs(10);

/// A program to run, alone: whatever ran before is killed first.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Start {
    /// Program and arguments.
    pub command: Vec<String>,
    /// The whole environment.
    pub env: BTreeMap<String, String>,
    /// Working directory.
    pub directory: String,
}

/// What the host is asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Order {
    /// Run this.
    Start(Start),
    /// Kill it, and say so.
    Stop,
}

/// What a program came to.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Ended {
    /// Exit code; absent if a signal ended it.
    pub code: Option<i32>,
    /// Why it could not be started.
    pub problem: Option<String>,
    /// The beginning of what it printed.
    pub stdout: String,
    /// The beginning of what it complained of.
    pub stderr: String,
    /// Whether it is the answer to [`Order::Stop`].
    #[serde(default)]
    pub stopped: bool,
    /// The file that the order's environment names as `REPORT`.
    pub report: Option<String>,
}

impl Ended {
    /// Both together, for people.
    pub(crate) fn output(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

/// One end of the connection.
pub(crate) struct Line {
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    begun: Vec<u8>,
}

impl Line {
    pub(crate) fn new(stream: TcpStream) -> Self {
        let (reader, writer) = stream.into_split();
        Self { reader: BufReader::new(reader), writer, begun: Vec::new() }
    }

    pub(crate) async fn send<T: Serialize>(&mut self, value: &T) -> io::Result<()> {
        let mut line = serde_json::to_vec(value)?;
        line.push(b'\n');
        self.writer.write_all(&line).await
    }

    /// The next object; nothing where the other end is gone. May be cancelled:
    /// what was read of a line is kept.
    pub(crate) async fn receive<T: for<'a> Deserialize<'a>>(&mut self) -> io::Result<Option<T>> {
        let left = MAX_LINE.saturating_sub(self.begun.len() as u64);
        (&mut self.reader).take(left).read_until(b'\n', &mut self.begun).await?;
        let line = std::mem::take(&mut self.begun);
        match line.last() {
            None => Ok(None),
            Some(b'\n') => Ok(Some(serde_json::from_slice(&line)?)),
            Some(_) => Err(io::Error::new(io::ErrorKind::InvalidData, "a line is cut off or too long")),
        }
    }
}

/// The other container, as the trusted one sees it.
pub(crate) struct Host {
    line: Line,
    gone: bool,
    /// Whether a program was started whose end nobody has heard of.
    running: bool,
}

/// Why the other container did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// It never came.
    #[error("the container for the package's code did not come up")]
    Absent(#[source] io::Error),
    /// It is gone, or says what no host says.
    #[error("the container for the package's code ended or broke off: killed, out of memory, or too many processes")]
    Gone,
    /// It said nothing in time.
    #[error("no end within {0} s")]
    Late(u64),
}

impl Host {
    /// Waits for the host on a listener that is closed after the first comer:
    /// no code under test runs before that one is told to start it.
    pub(crate) async fn accept(listener: TcpListener, patience: Duration) -> Result<Self, HostError> {
        let accepted = timeout(patience, listener.accept()).await.map_err(|_| HostError::Absent(io::ErrorKind::TimedOut.into()))?;
        let (stream, _) = accepted.map_err(HostError::Absent)?;
        Ok(Self { line: Line::new(stream), gone: false, running: false })
    }

    /// Starts a program, after killing what ran before.
    pub(crate) async fn start(&mut self, start: Start) -> Result<(), HostError> {
        self.running = true;
        self.order(&Order::Start(start)).await
    }

    /// Waits for the program's end.
    pub(crate) async fn ended(&mut self, patience: Duration) -> Result<Ended, HostError> {
        if self.gone {
            return Err(HostError::Gone);
        }
        match timeout(patience, self.line.receive::<Ended>()).await {
            Err(_) => Err(HostError::Late(patience.as_secs())),
            Ok(Ok(Some(ended))) => {
                self.running = false;
                Ok(ended)
            }
            Ok(_) => {
                self.gone = true;
                Err(HostError::Gone)
            }
        }
    }

    /// Kills the program. One that ended by itself meanwhile has said so before, and
    /// that is not the next one's end.
    pub(crate) async fn stop(&mut self, patience: Duration) -> Result<Ended, HostError> {
        self.order(&Order::Stop).await?;
        let first = self.ended(patience).await?;
        if !first.stopped && !self.ended(patience).await?.stopped {
            self.gone = true;
            return Err(HostError::Gone);
        }
        Ok(first)
    }

    /// Runs a program to its end, or kills it after `patience`. May be cancelled: the
    /// next one finds nothing of it.
    pub(crate) async fn run(&mut self, start: Start, patience: Duration) -> Result<Ended, HostError> {
        if self.running {
            self.stop(STOP).await?;
        }
        self.start(start).await?;
        match self.ended(patience).await {
            Err(late @ HostError::Late(_)) => {
                self.stop(STOP).await?;
                Err(late)
            }
            ended => ended,
        }
    }

    async fn order(&mut self, order: &Order) -> Result<(), HostError> {
        let sent = timeout(Duration::from_secs(5), self.line.send(order)).await;
        if matches!(sent, Ok(Ok(()))) {
            return Ok(());
        }
        self.gone = true;
        Err(HostError::Gone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(word: &str) -> Start {
        Start { command: vec![word.into()], env: BTreeMap::new(), directory: "/".into() }
    }

    /// A host whose programs end by themselves when they are told to stop, but for
    /// `quick`, which ends at once.
    async fn host() -> Host {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let mut line = Line::new(TcpStream::connect(address).await.unwrap());
            let mut running = false;
            while let Some(order) = line.receive::<Order>().await.unwrap() {
                match order {
                    Order::Start(start) if start.command == ["quick"] => {
                        line.send(&Ended { code: Some(7), ..Ended::default() }).await.unwrap();
                    }
                    Order::Start(_) => running = true,
                    Order::Stop => {
                        if std::mem::take(&mut running) {
                            line.send(&Ended { code: Some(1), ..Ended::default() }).await.unwrap();
                        }
                        line.send(&Ended { stopped: true, ..Ended::default() }).await.unwrap();
                    }
                }
            }
        });
        Host::accept(listener, Duration::from_secs(10)).await.unwrap()
    }

    #[tokio::test]
    async fn the_end_of_one_program_is_not_that_of_the_next() {
        let patience = Duration::from_secs(10);
        let mut host = host().await;
        let late = host.run(start("slow"), Duration::from_millis(10)).await;
        assert!(matches!(late, Err(HostError::Late(_))), "{late:?}");
        assert_eq!(host.run(start("quick"), patience).await.unwrap().code, Some(7));
        // Nobody waits for its end any more.
        assert!(timeout(Duration::from_millis(10), host.run(start("slow"), patience)).await.is_err());
        assert_eq!(host.run(start("quick"), patience).await.unwrap().code, Some(7));
        host.start(start("slow")).await.unwrap();
        assert_eq!(host.stop(patience).await.unwrap().code, Some(1), "what it ended with is told");
    }
}
