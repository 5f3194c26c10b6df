//! At rest: nothing is written, and nobody is asked beyond the slow resync.

use std::{fs, time::Duration};

use futures::StreamExt;
use kube::runtime::{WatchStreamExt, watcher};
use reqwest::Method;
use serde_json::Value;

use super::{answering, declare, document, primitives, remove};
use crate::{
    cluster::bed::{REPOSITORY, forge, ready},
    support::variable,
};

/// Longer than the bed's resync of 30 s.
const WINDOW: Duration = Duration::from_secs(40);
/// Requests of the forge by a look at a Factory; Primitives and AgentPRs add none.
const LOOK: usize = 8;

/// Writes to the API server by the controller, without its Lease's.
fn writes() -> usize {
    let log = fs::read_to_string(variable("AUDIT_LOG")).expect("audit log");
    let ours = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).filter(|event| {
        event["user"]["username"] == "system:serviceaccount:flywheel-system:flywheel-controller"
            && ["create", "update", "patch", "delete"].contains(&event["verb"].as_str().unwrap_or_default())
            && event["objectRef"]["resource"] != "leases"
    });
    ours.count()
}

/// Requests of the forge by the bot.
fn requests() -> usize {
    let log = format!("{}/full/logs/forge-access.log", variable("FLYWHEEL_STATE"));
    fs::read_to_string(&log).expect("the forge's access log").lines().filter(|line| line.contains("flywheel-bot")).count()
}

/// What the forge's runner has to do and did. The forge tells the Factory of each of
/// its steps, and the Factory looks.
async fn workflows() -> Value {
    forge(Method::GET, &format!("{REPOSITORY}/actions/tasks?limit=50"), None).await
}

/// Memory of the controller's process in its pod, as this machine sees it.
fn resident_kib() -> usize {
    let processes = fs::read_dir("/proc").expect("/proc").filter_map(|entry| Some(entry.ok()?.path()));
    let is_controller =
        |path: &std::path::PathBuf| fs::read(path.join("cmdline")).is_ok_and(|line| line == b"/usr/local/bin/flywheel\0controller\0");
    let status = fs::read_to_string(processes.into_iter().find(is_controller).expect("the controller runs").join("status"));
    let status = status.expect("its status");
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).expect("VmRSS");
    line.trim().trim_end_matches(" kB").parse().expect("KiB")
}

#[tokio::test]
async fn nothing_is_written_and_nobody_is_asked() {
    let (client, _) = ready().await;
    declare(&client, document("quiet", "Rests."), Value::Null).await;
    answering(&client, "quiet").await;
    let events = watcher(primitives(&client), watcher::Config::default()).default_backoff().applied_objects();
    let mut events = std::pin::pin!(events);
    // What was on its way when it became ready.
    while tokio::time::timeout(Duration::from_secs(5), events.next()).await.is_ok() {}

    let mut windows = 0;
    let (written, asked) = loop {
        let (written, asked, begun) = (writes(), requests(), workflows().await);
        let moved = tokio::time::timeout(WINDOW, events.next()).await;
        assert!(moved.is_err(), "a Primitive was written at rest: {moved:?}");
        let window = (writes() - written, requests() - asked);
        // A workflow that began or ended was no rest.
        if workflows().await == begun {
            break window;
        }
        windows += 1;
        assert!(windows < 5, "the forge's runner does not come to rest");
    };
    assert_eq!(written, 0, "writes in {} s", WINDOW.as_secs());
    assert!(asked <= 2 * LOOK, "{asked} requests of the forge in {} s, with a resync of 30 s", WINDOW.as_secs());
    let memory = resident_kib();
    eprintln!("at rest for {} s: {written} writes, {asked} requests of the forge, controller {memory} KiB resident", WINDOW.as_secs());
    assert!((1..256 * 1024).contains(&memory), "within its limit of 256 MiB: {memory} KiB");
    remove(&client, "quiet").await;
}
