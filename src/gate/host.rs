//! The container that runs the package's code: a launcher of three dozen lines'
//! worth of trust. Until its first order nothing of the package has run here;
//! from then on the gate believes nothing that comes from this container.
//!
//! It gives what it starts limits that a process without rights can't lift, a
//! clean environment, and pipes whose overflow goes nowhere.

use std::{
    fs,
    io::{ErrorKind, Read},
    process::{ExitCode, Stdio},
    time::Duration,
};

use rustix::process::{
    DumpableBehavior, Pid, Resource, Rlimit, Signal, WaitOptions, getpid, kill_process_group, set_dumpable_behavior, setrlimit, waitpid,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    net::TcpStream,
    process::{Child, Command},
    signal::unix::{SignalKind, signal},
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::control::{Ended, Line, Order, PORT, Start};

/// Longest wait for the trusted container.
const PATIENCE: Duration = Duration::from_secs(60);
/// Pause between two attempts to reach it.
const PAUSE: Duration = Duration::from_millis(20);
/// Most bytes of each stream that are kept; the rest is read and dropped.
pub(crate) const MAX_OUTPUT: usize = 64 * 1024;
/// Most bytes of a report file.
const MAX_REPORT: u64 = 64 * 1024;
/// How long pipes are read after the program has ended: a process it left
/// behind may hold them for ever.
const DRAIN: Duration = Duration::from_millis(300);

/// What limits the code under test.
#[derive(Debug, clap::Args)]
pub struct HostArgs {
    /// Most processes and threads of this container's user.
    #[arg(long, default_value = "256")]
    processes: u64,
    /// Most bytes of one file, the kubelet's own included.
    #[arg(long, default_value = "16777216")]
    file_bytes: u64,
    /// Most open files of one process.
    #[arg(long, default_value = "512")]
    open_files: u64,
    /// Loopback port of the trusted container.
    #[arg(long, default_value_t = PORT)]
    port: u16,
}

/// Runs what the trusted container orders, until that is gone and the pod ends.
pub(super) async fn main(args: &HostArgs) -> anyhow::Result<ExitCode> {
    for (resource, limit) in
        [(Resource::Nproc, args.processes), (Resource::Fsize, args.file_bytes), (Resource::Nofile, args.open_files), (Resource::Core, 0)]
    {
        setrlimit(resource, Rlimit { current: Some(limit), maximum: Some(limit) })?;
    }
    // Keeps this process's memory and its log out of the reach of its own user.
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    let Ok(stream) = timeout(PATIENCE, connect(args.port)).await else {
        return Ok(ExitCode::FAILURE);
    };
    let mut line = Line::new(stream);
    let mut program: Option<Program> = None;
    loop {
        let ended = async {
            match &mut program {
                Some(program) => program.ended().await,
                None => std::future::pending().await,
            }
        };
        let answer = tokio::select! {
            order = line.receive::<Order>() => {
                let stopped = match program.take() {
                    Some(running) => running.kill().await,
                    None => Ended::default(),
                };
                sweep();
                match order {
                    Ok(Some(Order::Stop)) => Ended { stopped: true, ..stopped },
                    Ok(Some(Order::Start(start))) => match Program::start(&start) {
                        Ok(started) => {
                            program = Some(started);
                            continue;
                        }
                        Err(error) => Ended { problem: Some(error.to_string()), ..Ended::default() },
                    },
                    Err(error) if error.kind() == ErrorKind::InvalidData => return Err(error.into()),
                    Ok(None) | Err(_) => break,
                }
            }
            ended = ended => {
                program = None;
                ended
            }
        };
        if line.send(&answer).await.is_err() {
            break;
        }
    }
    // A sidecar that ends before its pod is started again. Not listened for any earlier,
    // since what runs here could say it too.
    signal(SignalKind::terminate())?.recv().await;
    Ok(ExitCode::SUCCESS)
}

/// Connects to the trusted container, which may start later.
async fn connect(port: u16) -> TcpStream {
    loop {
        if let Ok(stream) = TcpStream::connect(("127.0.0.1", port)).await {
            return stream;
        }
        sleep(PAUSE).await;
    }
}

/// Kills every other process of this container and takes their remains. Only as
/// the container's first process, where -1 means no more than the container.
fn sweep() {
    if getpid() != Pid::INIT {
        return;
    }
    // kill(-1, SIGKILL); an error means that there was nobody.
    let _ = kill_process_group(Pid::INIT, Signal::KILL);
    while matches!(waitpid(None, WaitOptions::NOHANG), Ok(Some(_))) {}
}

struct Program {
    child: Child,
    output: [JoinHandle<Vec<u8>>; 2],
    report: Option<String>,
}

impl Program {
    fn start(start: &Start) -> std::io::Result<Self> {
        let (program, arguments) = start.command.split_first().ok_or(std::io::ErrorKind::InvalidInput)?;
        let mut child = Command::new(program)
            .args(arguments)
            .env_clear()
            .envs(&start.env)
            .current_dir(&start.directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let output = [tokio::spawn(drain(child.stdout.take())), tokio::spawn(drain(child.stderr.take()))];
        Ok(Self { child, output, report: start.env.get("REPORT").cloned() })
    }

    async fn ended(&mut self) -> Ended {
        let code = self.child.wait().await.ok().and_then(|status| status.code());
        let [mut stdout, mut stderr] = [String::new(), String::new()];
        for (pipe, text) in self.output.iter_mut().zip([&mut stdout, &mut stderr]) {
            match timeout(DRAIN, &mut *pipe).await {
                Ok(bytes) => *text = String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned(),
                Err(_) => pipe.abort(),
            }
        }
        let report = self.report.as_deref().and_then(read);
        Ended { code, stdout, stderr, report, ..Ended::default() }
    }

    async fn kill(mut self) -> Ended {
        let _ = self.child.start_kill(); // an error means that it has ended
        self.ended().await
    }
}

/// Reads to the end and keeps the beginning.
async fn drain(pipe: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let mut kept = Vec::new();
    let mut piece = [0; 8192];
    let Some(mut pipe) = pipe else { return kept };
    while let Ok(read @ 1..) = pipe.read(&mut piece).await {
        let room = MAX_OUTPUT - kept.len();
        kept.extend_from_slice(&piece[..read.min(room)]);
    }
    kept
}

/// The beginning of a file; nothing where it is none. A pipe or a device that
/// somebody put there would be read for ever.
fn read(path: &str) -> Option<String> {
    if !fs::symlink_metadata(path).ok()?.is_file() {
        return None;
    }
    let mut text = Vec::new();
    fs::File::open(path).ok()?.take(MAX_REPORT).read_to_end(&mut text).ok()?;
    Some(String::from_utf8_lossy(&text).into_owned())
}
