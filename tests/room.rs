//! Gate layer 4 from its two programs on: the judge (`gate room`) and the sandbox
//! (`gate host`), as their pod runs them, and services on loopback. Command lines are
//! run by Bun; sandboxes that lie are written here and need none.

mod agent;
mod lying;
mod packages;
mod services;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use flywheel::{
    api::gate_run::Verdict,
    gate::{
        bundle::digest,
        report::{Report, Step, Summary},
    },
    outputs::{CommandLine, Service, command_line},
    prim,
    scaffold::{self, Options},
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::{address::reserved, folder::Folder};

/// A wallet that nobody has put anything into.
const WALLET: &str = "0x1111111111111111111111111111111111111111111111111111111111111111";
/// The key of scripted models.
const KEY: &str = "sk-room-hunter2";

/// The document of the services in `tests/canary/service.rs`.
const NOTES: &str = "id: notes
description: Keeps notes.
factory: {free_service: true}
routes_map:
- {route: POST /v1/notes, operation_id: keep_note, status: 201, request: Note, response: Note, description: Keep one}
- {route: GET /v1/notes, operation_id: list_notes, response: Notes, description: List notes, query_params: [{name: limit, type: integer, description: At most}, {name: url, type: string, description: About that page}]}
- {route: 'GET /v1/notes/:id', operation_id: get_note, response: Note, description: Read one}
- {route: 'DELETE /v1/notes/:id', operation_id: drop_note, status: 204, response: null, description: Remove one}
";

/// A document as a service.
fn service(document: prim::Document) -> Service {
    let manifest = scaffold::manifest(&document, &Options::at("$0.01".parse().unwrap())).unwrap();
    Service { document, manifest }
}

fn notes() -> CommandLine {
    command_line(&service(prim::read(NOTES).unwrap())).unwrap()
}

/// A room's plan about a service that answers there.
fn told(url: &str, primitive: &str, plan: &Value, cli: &CommandLine) -> Value {
    json!({
        "url": url, "commit": "c0ffee", "primitive": primitive, "plan": plan,
        "cli": { "digest": digest(cli.program.as_bytes()), "commands": cli.commands },
        "limits": { "totalSeconds": 180, "agent": { "maxPaymentMicros": 50_000, "budgetMicros": 1_000_000 } },
    })
}

/// What a run came to.
struct Ran {
    summary: Summary,
    report: Option<Report>,
    code: Option<i32>,
}

impl Ran {
    fn verdict(&self) -> Verdict {
        self.summary.verdict
    }

    /// The step whose name begins so.
    fn step(&self, name: &str) -> &Step {
        let steps = &self.report.as_ref().unwrap_or_else(|| panic!("{:?}", self.summary)).steps;
        steps.iter().find(|step| step.name.starts_with(name)).unwrap_or_else(|| panic!("{name}: {steps:#?}"))
    }

    /// The step's verdict and message.
    fn said(&self, name: &str) -> (Verdict, &str) {
        let step = self.step(name);
        (step.verdict, step.message.as_deref().unwrap_or_default())
    }
}

/// A judge that waits for its sandbox.
struct Judge {
    folder: Folder,
    child: Child,
    port: u16,
}

impl Judge {
    /// Starts one; programs of its sandbox are in `path`.
    fn start(name: &str, told: &Value, cli: &CommandLine, path: &Path) -> Self {
        let folder = Folder::new(&format!("room-{name}"));
        let port = reserved().port();
        let text = told.to_string();
        for (file, content) in [("plan.json", text.as_str()), ("cli.ts", &cli.program), ("key", KEY), ("wallet", WALLET)] {
            folder.file(file, content);
        }
        let sandbox = folder.0.join("sandbox");
        fs::create_dir_all(&sandbox).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_flywheel"))
            .args(["gate", "room", "--plan", "plan.json", "--job", "room-1", "--termination", "termination"])
            .args(["--digest", &digest(text.as_bytes()), "--wallet-file", "wallet", "--model-key-file", "key"])
            .args(["--control-port", &port.to_string()])
            .arg("--cli")
            .arg(folder.0.join("cli.ts"))
            .arg("--sandbox-path")
            .arg(path)
            .arg("--sandbox-home")
            .arg(&sandbox)
            .current_dir(&folder.0)
            .env("HTTP_PROXY", "http://192.0.2.1:1")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self { folder, child, port }
    }

    /// Waits for its verdict.
    fn ended(self) -> Ran {
        let output = self.child.wait_with_output().unwrap();
        let (log, complaint) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr).into_owned());
        let termination = fs::read_to_string(self.folder.0.join("termination")).unwrap_or_else(|e| panic!("{e}: {complaint}"));
        for secret in [WALLET, &WALLET[2..], KEY] {
            assert!(!log.contains(secret) && !termination.contains(secret) && !complaint.contains(secret), "a key shows");
        }
        let summary = Summary::parse_termination(&termination).unwrap();
        Ran { summary, report: Report::parse_log(log.trim_end()).ok(), code: output.status.code() }
    }
}

/// Runs a room with a sandbox of its own.
fn run(name: &str, told: &Value, cli: &CommandLine, bun: &Path) -> Ran {
    let judge = Judge::start(name, told, cli, bun.parent().unwrap());
    let mut host = host(&judge);
    let ran = judge.ended();
    // It stays, or its pod would start it again, and ends when it is told, as sidecars are.
    let begun = Instant::now();
    while !listens(host.id()) {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "it ended by itself, or will not be ended: {:?}, {:?}",
            host.try_wait(),
            ran.summary
        );
        std::thread::yield_now();
    }
    kill_process(Pid::from_child(&host), Signal::TERM).unwrap();
    assert!(host.wait().unwrap().success());
    ran
}

/// Whether a process has a way of its own to end when it is told (SIGTERM).
fn listens(process: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default();
    caught >> (Signal::TERM.as_raw() - 1) & 1 == 1
}

/// The sandbox as its container runs it.
fn host(judge: &Judge) -> Child {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_flywheel"));
    Command::new(program).args(["gate", "host", "--port", &judge.port.to_string()]).env_clear().spawn().unwrap()
}
