//! A room that is a namespace, on an API server in memory.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::http::StatusCode;
use flywheel::{
    adapters::clock::SystemClock,
    gate::report::{Report, Step},
    ports::{
        clock::Clock,
        provisioner::{Order, Provisioner, State, Stopped},
    },
    spawn::{Cluster, Pace, Spawner, Swept, Ways, sweep},
};
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::Watch;
use crate::{apiserver::ApiServer, contract};

const ROOM: &str = "room-0123456789";

fn cluster(api: &ApiServer) -> Cluster {
    Cluster::new(api.client(), Ways { runtime_class: None, sealed_from: "10.0.0.1:443".into(), policies: Vec::new() })
}

/// Keys go with the Job, whoever is still there, and with what runs.
#[tokio::test]
async fn a_rooms_keys_are_its_jobs_and_go_when_it_is_stopped() {
    let api = ApiServer::default();
    let rooms = cluster(&api);
    let order = contract::provisioner::order(ROOM, "image", "{}");
    rooms.make(&order).await.unwrap();
    let (secrets, jobs) = (format!("/api/v1/namespaces/{ROOM}/secrets"), format!("/apis/batch/v1/namespaces/{ROOM}/jobs"));
    let job = api.object(&format!("{jobs}/{ROOM}")).expect("its Job");
    let owners: Vec<Value> = api.objects(&secrets).iter().map(|secret| secret["metadata"]["ownerReferences"][0]["uid"].clone()).collect();
    assert_eq!(owners, [job["metadata"]["uid"].clone(), job["metadata"]["uid"].clone()]);
    let said = job.to_string() + &api.object(&format!("/api/v1/namespaces/{ROOM}")).unwrap().to_string();
    assert!(contract::provisioner::SECRETS.iter().all(|secret| !said.contains(secret)), "{said}");
    assert_eq!(job["metadata"]["annotations"]["room.flywheel.prim.sh/funder"], order.notes["funder"], "whose it is");

    rooms.stop(ROOM).await.unwrap();
    assert_eq!((api.objects(&secrets), api.objects(&jobs)), (vec![], vec![]));
    assert!(matches!(rooms.look(ROOM).await.unwrap(), State::Broken(_)), "its name is there");
    rooms.stop(ROOM).await.expect("twice");
}

/// Wherever its maker dies, no key is there that would not go with a Job, which ends by
/// itself; and whoever sweeps leaves nothing.
#[tokio::test]
async fn a_maker_that_dies_half_way_leaves_no_key_that_stays() {
    let order = Order { notes: BTreeMap::new(), ..contract::provisioner::order(ROOM, "image", "{}") };
    let (secrets, jobs) = (format!("/api/v1/namespaces/{ROOM}/secrets"), format!("/apis/batch/v1/namespaces/{ROOM}/jobs"));
    let (mut keys_at_death, mut lives) = (Vec::new(), false);
    for requests in 0.. {
        let api = ApiServer::default();
        let rooms = cluster(&api);
        let asked = Arc::new(AtomicUsize::new(0));
        api.refuse_those(move |_| {
            (asked.fetch_add(1, Ordering::SeqCst) >= requests).then_some((StatusCode::SERVICE_UNAVAILABLE, "its maker is dead"))
        });
        lives = rooms.make(&order).await.is_ok();
        api.relent();
        let job = api.objects(&jobs).pop();
        let keys = api.objects(&secrets);
        keys_at_death.push(keys.len());
        for key in &keys {
            let owner = &key["metadata"]["ownerReferences"][0];
            let job = job.as_ref().unwrap_or_else(|| panic!("after {requests} requests there is a key and no Job: {key}"));
            assert_eq!((&owner["kind"], &owner["uid"]), (&Value::from("Job"), &job["metadata"]["uid"]), "after {requests} requests");
        }
        if let Some(job) = &job {
            assert!(job["spec"]["activeDeadlineSeconds"].as_u64().is_some_and(|most| most <= 300), "its maker ends it, or this: {job}");
            assert!(job["spec"]["ttlSecondsAfterFinished"].is_u64() && job["spec"]["suspend"].is_null(), "{job}");
        }

        let there = api.object(&format!("/api/v1/namespaces/{ROOM}")).is_some();
        let clock = Watch(Mutex::new(SystemClock.now() + SignedDuration::from_secs(600)));
        let pace = Pace { look: Duration::from_millis(1), lease: Duration::from_secs(60), patience: Duration::from_secs(10) };
        let spawner = Spawner { rooms: &rooms, treasury: None, clock: &clock, pace, tell: &|_| {} };
        let swept = sweep(&spawner).await.unwrap();
        assert_eq!(
            swept,
            there.then(|| Swept { id: ROOM.into(), brought: Ok(0) }).into_iter().collect::<Vec<_>>(),
            "after {requests} requests"
        );
        assert_eq!((api.objects(&secrets), api.objects(&jobs)), (vec![], vec![]), "after {requests} requests");
        assert_eq!(rooms.look(ROOM).await.unwrap(), State::Gone);
        if lives {
            break;
        }
    }
    assert!(lives && keys_at_death.first() == Some(&0) && keys_at_death.last() == Some(&2), "{keys_at_death:?}");
    assert!(keys_at_death.contains(&1), "also between the two: {keys_at_death:?}");
}

/// The same order again finds what its earlier try made, and makes the rest.
#[tokio::test]
async fn an_order_that_was_cut_off_is_made_to_its_end() {
    let order = contract::provisioner::order(ROOM, "image", "{}");
    let secrets = format!("/api/v1/namespaces/{ROOM}/secrets");
    let api = ApiServer::default();
    api.refuse_those(move |seen| {
        let is_key = seen.path.ends_with("/secrets") && seen.body.contains("\"model\"");
        is_key.then_some((StatusCode::SERVICE_UNAVAILABLE, "busy"))
    });
    cluster(&api).make(&order).await.unwrap_err();
    assert_eq!(api.objects(&secrets).len(), 1);
    api.relent();
    cluster(&api).make(&order).await.unwrap();
    let owners: Vec<Value> = api.objects(&secrets).iter().map(|key| key["metadata"]["ownerReferences"][0]["uid"].clone()).collect();
    assert_eq!(owners.len(), 2);
    assert_eq!(owners[0], owners[1]);
}

/// The pod as its node tells of it.
fn pod(status: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": "pod", "namespace": ROOM, "uid": "p", "resourceVersion": "1", "finalizers": ["batch.kubernetes.io/job-tracking"] },
        "spec": { "nodeName": "node", "containers": [] }, "status": status,
    })
}

fn gate(state: &Value) -> Value {
    let container = json!({ "name": "gate", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": state });
    json!({ "phase": "Failed", "containerStatuses": [container] })
}

/// What a room's program says at its end goes with its pod, and is heard all the same.
#[tokio::test]
async fn the_last_words_of_a_pod_that_is_ended_are_heard() {
    let words = Report::new(ROOM, "", vec![Step::passed("return")]).summary("").to_termination();
    let running = json!({ "phase": "Running" });
    for (what, ended, heard) in [
        ("words", gate(&json!({ "terminated": { "exitCode": 1, "message": words } })), Stopped::Said(words.clone())),
        ("a kill", gate(&json!({ "terminated": { "exitCode": 137 } })), Stopped::Unheard),
        ("nothing of its program", json!({ "phase": "Failed" }), Stopped::Unheard),
        ("an image that never came", gate(&json!({ "waiting": { "reason": "ImagePullBackOff" } })), Stopped::Never),
    ] {
        let api = ApiServer::default();
        let rooms = cluster(&api);
        rooms.make(&contract::provisioner::order(ROOM, "image", "{}")).await.unwrap();
        let at = format!("/api/v1/namespaces/{ROOM}/pods/pod");
        api.put_object(&at, pod(&running));
        // The Job's end is the pod's, by controllers and a node.
        let node = async {
            let jobs = format!("/apis/batch/v1/namespaces/{ROOM}/jobs");
            while !api.objects(&jobs).is_empty() {
                tokio::task::yield_now().await;
            }
            api.delete(&at);
            api.edit(&at, |mut pod| {
                pod["status"] = ended.clone();
                let held = pod["metadata"]["finalizers"].as_array().unwrap().clone();
                pod["metadata"]["finalizers"] = held.into_iter().filter(|held| held != "batch.kubernetes.io/job-tracking").collect();
                Some(pod)
            });
        };
        let (stopped, ()) = tokio::join!(rooms.stop(ROOM), node);
        assert_eq!(stopped.unwrap(), heard, "{what}");
        assert_eq!(api.object(&at), None, "{what}: nobody holds it any more");
    }
}

/// Whoever stopped it before died while they held its pod.
#[tokio::test]
async fn a_pod_that_a_dead_maker_holds_is_heard_and_let_go() {
    let api = ApiServer::default();
    let rooms = cluster(&api);
    rooms.make(&contract::provisioner::order(ROOM, "image", "{}")).await.unwrap();
    let words = Report::new(ROOM, "", vec![Step::passed("return")]).summary("").to_termination();
    let at = format!("/api/v1/namespaces/{ROOM}/pods/pod");
    let mut held = pod(&gate(&json!({ "terminated": { "exitCode": 1, "message": words } })));
    held["metadata"]["finalizers"] = json!(["flywheel.prim.sh/last-words"]);
    held["metadata"]["deletionTimestamp"] = "2027-01-15T08:00:00Z".into();
    api.put_object(&at, held);
    assert_eq!(rooms.stop(ROOM).await.unwrap(), Stopped::Said(words));
    assert_eq!(api.object(&at), None);
    assert_eq!(rooms.stop(ROOM).await.unwrap(), Stopped::Unheard, "nobody hears them twice");
}

/// A pod that no node has is not begun by one once it is being removed.
#[tokio::test]
async fn a_room_that_had_no_pod_never_began() {
    for has_pod in [false, true] {
        let api = ApiServer::default();
        let rooms = cluster(&api);
        rooms.make(&contract::provisioner::order(ROOM, "image", "{}")).await.unwrap();
        let at = format!("/api/v1/namespaces/{ROOM}/pods/pod");
        if has_pod {
            let mut waiting = pod(&json!({ "phase": "Pending" }));
            waiting["spec"].as_object_mut().unwrap().remove("nodeName");
            waiting["metadata"]["finalizers"] = json!([]);
            api.put_object(&at, waiting);
        }
        let collector = async {
            while has_pod && api.object(&at).is_some_and(|pod| pod["metadata"]["finalizers"] == json!([])) {
                tokio::task::yield_now().await;
            }
            api.delete(&at);
        };
        let (stopped, ()) = tokio::join!(rooms.stop(ROOM), collector);
        assert_eq!(stopped.unwrap(), Stopped::Never, "with a pod: {has_pod}");
        assert_eq!(api.object(&at), None);
    }
    // One whose pod is gone had its time.
    let api = ApiServer::default();
    let rooms = cluster(&api);
    rooms.make(&contract::provisioner::order(ROOM, "image", "{}")).await.unwrap();
    api.edit(&format!("/apis/batch/v1/namespaces/{ROOM}/jobs/{ROOM}"), |mut job| {
        job["status"] = json!({ "failed": 1 });
        Some(job)
    });
    assert_eq!(rooms.stop(ROOM).await.unwrap(), Stopped::Unheard);
}
