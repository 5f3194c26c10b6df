//! The sandbox: the pod's other container, in which the command line is installed and
//! run. It is told what to run and where the service is, and holds no key. What it says
//! is bounded and may be forged: at most a step fails by it.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{net::TcpListener, sync::Mutex};

use super::recorder::{Recorder, Relay};
use crate::gate::{
    control::{Ended, Host, HostError, Start},
    layout::SETTINGS,
};

/// How long the sandbox may take to come up.
const PATIENCE: Duration = Duration::from_secs(60);
/// Where the command line takes its service's address from.
const SERVICE: &str = "SERVICE_URL";
/// Makes a program of a module: what runs it is named in full, since the image has
/// nothing that would look for it.
const INSTALL: &str = "const { mkdirSync, readFileSync, writeFileSync } = require('node:fs');
const { dirname } = require('node:path');
const { FROM, TO } = process.env;
mkdirSync(dirname(TO), { recursive: true });
writeFileSync(TO, `#!${process.execPath}\\n${readFileSync(FROM, 'utf8').replace(/^#!.*\\n/, '')}`, { mode: 0o755 });";

/// Why the sandbox did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The other container.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The judge's own machine.
    #[error("the recorder has no address for an order")]
    Recorder(#[from] io::Error),
}

/// What is told of it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Name of the program that is installed there.
    pub program: String,
    /// Where it finds others.
    pub path: String,
    /// Where it may write.
    pub home: PathBuf,
}

/// The container, and the way that it has to the service.
pub struct Sandbox {
    host: Mutex<Host>,
    recorder: Recorder,
    settings: Settings,
}

impl Sandbox {
    /// Takes the sandbox's port and the recorder's, and waits for the first to come.
    pub async fn open(port: u16, settings: Settings) -> Result<Self, SandboxError> {
        let recorder = Recorder::open().await?;
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let host = Mutex::new(Host::accept(listener, PATIENCE).await?);
        Ok(Self { host, recorder, settings })
    }

    /// Name of the program that is installed there.
    pub fn program(&self) -> &str {
        &self.settings.program
    }

    /// Installs the command line that lies there as a file.
    pub async fn install(&self, from: &Path, patience: Duration) -> Result<Ended, SandboxError> {
        let files = [("FROM", from.to_path_buf()), ("TO", self.installed())];
        let env = files.map(|(name, path)| (name.to_owned(), path.display().to_string()));
        Ok(self.host.lock().await.run(self.start(words(&["bun", "--eval", INSTALL]), env), patience).await?)
    }

    /// Runs the command line with these words; what it asks the service goes to `relay`.
    pub async fn command(&self, arguments: &[String], relay: &dyn Relay, patience: Duration) -> Result<Ended, SandboxError> {
        let mut command = vec![self.installed().display().to_string()];
        command.extend_from_slice(arguments);
        self.ordered(command, relay, patience).await
    }

    /// Runs a line of a shell, alike.
    pub async fn line(&self, line: &str, relay: &dyn Relay, patience: Duration) -> Result<Ended, SandboxError> {
        self.ordered(words(&["bun", "exec", line]), relay, patience).await
    }

    async fn ordered(&self, command: Vec<String>, relay: &dyn Relay, patience: Duration) -> Result<Ended, SandboxError> {
        let place = self.recorder.place()?;
        let mut host = self.host.lock().await;
        let start = self.start(command, [(SERVICE.to_owned(), place.url())]);
        Ok(self.recorder.during(&place, relay, host.run(start, patience)).await?)
    }

    fn installed(&self) -> PathBuf {
        self.settings.home.join("bin").join(&self.settings.program)
    }

    fn start(&self, command: Vec<String>, env: impl IntoIterator<Item = (String, String)>) -> Start {
        let home = self.settings.home.display().to_string();
        let own = [
            ("PATH", format!("{home}/bin:{}", self.settings.path)),
            ("HOME", home.clone()),
            ("TMPDIR", home.clone()),
            // Without them its shell has no `cat`: nothing else is there either.
            ("BUN_ENABLE_EXPERIMENTAL_SHELL_BUILTINS", "1".into()),
        ];
        let settings = SETTINGS.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let own = own.map(|(name, value)| (name.to_owned(), value));
        let env: BTreeMap<_, _> = settings.into_iter().chain(own).chain(env).collect();
        Start { command, env, directory: home }
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}
