//! Rooms of GateRuns that pay: their Factory lists each from before it is there until its
//! money is back, whatever becomes of its GateRun.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use flywheel::{
    gate::report::{Report, Step},
    room::RoomPlan,
};
use serde_json::{Value, json};

use super::object::{CONFIGS, Cluster, GROUP, argument, head};

const FACTORY: &str = "/apis/flywheel.prim.sh/v1alpha1/namespaces/flywheel/factories/prim";

/// A Factory whose rooms have money, or whose wallet is none.
fn cluster(wallet: Option<&str>) -> (Cluster, Value) {
    let cluster = Cluster::new();
    cluster.api.edit(FACTORY, |mut factory| {
        factory["spec"]["policy"]["gates"] = json!({ "cleanRoom": { "fund": "$0.25", "rpc": "http://chain.example" } });
        if let Some(wallet) = wallet {
            factory["spec"]["policy"]["gates"]["contract"] = json!({ "wallet": wallet });
        }
        factory["spec"]["policy"]["maxRunningGates"] = json!(9);
        factory["spec"]["deploy"]["env"] = json!({ "X402_FACILITATOR_URL": "http://facilitator.example/" });
        Some(factory)
    });
    let (commit, _) = cluster.commit(&head());
    (cluster, json!({ "url": "https://notes.prim.sh", "primitive": "notes", "commit": commit }))
}

fn listed(cluster: &Cluster) -> Vec<String> {
    let factory = cluster.api.object(FACTORY).unwrap();
    factory["status"]["rooms"].as_object().map(|rooms| rooms.keys().cloned().collect()).unwrap_or_default()
}

/// What the next room looks after.
fn earlier(cluster: &Cluster, name: &str) -> Vec<String> {
    let config = cluster.api.object(&format!("{CONFIGS}/{}", cluster.status(name).job.unwrap())).unwrap();
    let plan: RoomPlan = serde_json::from_str(config["data"]["plan.json"].as_str().unwrap()).unwrap();
    plan.money.unwrap().earlier.into_iter().map(|left| left.name).collect()
}

/// Ends a run's room with these steps.
async fn end(cluster: &Cluster, name: &str, steps: Vec<Step>) {
    let room = cluster.status(name).job.unwrap();
    let job = cluster.jobs().into_iter().find(|job| job["metadata"]["name"] == *room).unwrap();
    let report = Report::new(&room, argument(&job, "--digest"), steps);
    cluster.end(&room, &report.summary(&report.to_log()).to_termination());
    cluster.pass(name).await.unwrap();
}

/// No Primitive made it, and somebody deletes it while its room runs.
#[tokio::test]
async fn a_room_whose_gate_run_is_deleted_is_looked_after_all_the_same() {
    let (cluster, target) = cluster(Some("purse"));
    cluster.apply("gate-1", 0, "CleanRoom", &target);
    cluster.pass("gate-1").await.unwrap();
    let room = cluster.status("gate-1").job.unwrap();
    assert_eq!(listed(&cluster), [room.as_str()]);
    cluster.api.delete(&format!("{GROUP}/gateruns/gate-1"));

    // It may still run: whoever empties its wallet now takes its money from it.
    cluster.world.wait(Duration::from_secs(50));
    cluster.apply("gate-2", 1, "CleanRoom", &target);
    cluster.pass("gate-2").await.unwrap();
    assert_eq!(earlier(&cluster, "gate-2"), Vec::<String>::new());
    end(&cluster, "gate-2", vec![Step::passed("list"), Step::passed("return")]).await;
    assert_eq!(listed(&cluster), [room.as_str()], "its own money is back, and nobody knows of the other's");

    cluster.world.wait(Duration::from_secs(20));
    cluster.apply("gate-3", 2, "CleanRoom", &target);
    cluster.pass("gate-3").await.unwrap();
    assert_eq!(earlier(&cluster, "gate-3"), [room.as_str()]);
    let open = Step { advisory: true, ..Step::not(format!("return {room}"), flywheel::api::gate_run::Verdict::Error, "it may come") };
    end(&cluster, "gate-3", vec![Step::passed("list"), Step::passed("return"), open]).await;
    assert_eq!(listed(&cluster), [room.as_str()], "it is looked at again");

    cluster.apply("gate-4", 3, "CleanRoom", &target);
    cluster.pass("gate-4").await.unwrap();
    assert_eq!(earlier(&cluster, "gate-4"), [room.as_str()]);
    end(&cluster, "gate-4", vec![Step::passed("list"), Step::passed("return"), Step::passed(format!("return {room}"))]).await;
    assert_eq!(listed(&cluster), Vec::<String>::new());
    let (_, message) = cluster.says("gate-4");
    assert!(!message.contains("bring-back"), "{message}");
}

/// The process ends on either side of the note: no room is there that is not on the list.
#[tokio::test]
async fn a_room_is_on_the_list_before_it_is_there() {
    for fails in ["status", "configmaps", "jobs"] {
        let (cluster, target) = cluster(Some("purse"));
        cluster.apply("gate-1", 0, "CleanRoom", &target);
        cluster.api.refuse_those(move |seen| {
            let is_note = fails == "status" && seen.path.ends_with("factories/prim/status");
            let makes = seen.method == Method::POST && seen.path.ends_with(fails);
            (is_note || makes).then_some((StatusCode::SERVICE_UNAVAILABLE, "busy"))
        });
        let _ = cluster.pass("gate-1").await;
        assert!(cluster.jobs().is_empty(), "{fails}");
        assert_eq!(listed(&cluster).len(), usize::from(fails != "status"), "{fails}");
        cluster.api.relent();
        cluster.pass("gate-1").await.unwrap();
        assert_eq!(listed(&cluster), [cluster.status("gate-1").job.unwrap()], "{fails}");
    }
}

/// A list that can't be shortened is no failure of the run, and says nothing of it.
#[tokio::test]
async fn what_can_not_be_taken_off_the_list_changes_no_verdict() {
    let (cluster, target) = cluster(Some("purse"));
    cluster.apply("gate-1", 0, "CleanRoom", &target);
    cluster.pass("gate-1").await.unwrap();
    cluster.api.refuse("factories/prim/status", StatusCode::SERVICE_UNAVAILABLE);
    end(&cluster, "gate-1", vec![Step::passed("list"), Step::passed("return")]).await;
    let (reason, message) = cluster.says("gate-1");
    assert_eq!((reason.as_str(), message.as_str()), ("Passed", "everything required was shown"));
    assert_eq!(listed(&cluster).len(), 1, "whoever looks after it next finds nothing, and takes it off");
}

/// Where there is no wallet there is no money, and no word of it.
#[tokio::test]
async fn a_room_without_a_wallet_is_on_no_list_and_says_nothing_of_money() {
    for removed in [false, true] {
        let (cluster, target) = cluster(None);
        cluster.apply("gate-1", 0, "CleanRoom", &target);
        cluster.pass("gate-1").await.unwrap();
        let room = cluster.status("gate-1").job.unwrap();
        if removed {
            cluster.api.delete(&format!("{}/{room}", super::object::JOBS));
        } else {
            cluster.end(&room, "");
        }
        cluster.pass("gate-1").await.unwrap();
        let (reason, message) = cluster.says("gate-1");
        assert_eq!(reason, "Broken", "{message}");
        assert!(["wallet", "money", "bring", &room].iter().all(|word| !message.contains(word)), "{message}");
        assert_eq!(listed(&cluster), Vec::<String>::new());
    }
    // With one it says how its money comes back.
    let (cluster, target) = cluster(Some("purse"));
    cluster.apply("gate-1", 0, "CleanRoom", &target);
    cluster.pass("gate-1").await.unwrap();
    let room = cluster.status("gate-1").job.unwrap();
    cluster.api.delete(&format!("{}/{room}", super::object::JOBS));
    cluster.pass("gate-1").await.unwrap();
    assert!(cluster.says("gate-1").1.contains(&format!("--bring-back {room}")));
}
