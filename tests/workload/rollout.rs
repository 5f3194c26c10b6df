//! How a workload is doing, from what Kubernetes says of it.

use flywheel::controller::workload::{Rollout, Running, Seen, judge};
use serde_json::{Value, json};

use super::{COMMIT, Case, TREE};

fn deployment(status: &Value) -> Value {
    let mut status = status.clone();
    if status.get("observedGeneration").is_none() {
        status["observedGeneration"] = 2.into();
    }
    json!({ "metadata": { "name": "prim-search", "generation": 2 }, "spec": { "replicas": 1, "selector": {}, "template": {} }, "status": status })
}

/// A pod made at this second, with a status.
fn pod(second: u32, tree: &str, status: &Value) -> Value {
    json!({
        "metadata": {
            "name": format!("prim-search-{second}"), "creationTimestamp": format!("2027-01-15T08:00:{second:02}Z"),
            "annotations": { "flywheel.prim.sh/tree": tree }
        },
        "status": status
    })
}

fn ready(is: bool) -> Value {
    json!([{ "type": "Ready", "status": if is { "True" } else { "False" } }])
}

/// A pod whose container is in this state.
fn container(state: &Value, last: &Value) -> Value {
    json!({
        "conditions": ready(false),
        "containerStatuses": [{
            "name": "service", "image": "registry.example/factory:1", "imageID": "", "ready": false, "restartCount": 3, "state": state, "lastState": last
        }]
    })
}

fn judged(deployment: &Value, pods: &[Value]) -> Running {
    let pods = pods.iter().map(|pod| serde_json::from_value(pod.clone()).unwrap()).collect();
    judge(None, &Seen { deployment: Some(serde_json::from_value(deployment.clone()).unwrap()), pods, ..Seen::default() })
}

const GOING: (i32, i32, i32) = (2, 1, 1);

fn counted((all, updated, available): (i32, i32, i32)) -> Value {
    json!({ "replicas": all, "updatedReplicas": updated, "availableReplicas": available })
}

#[test]
fn ready_is_all_pods_of_the_newest_version_and_a_change_that_was_taken_up() {
    let old = pod(1, COMMIT, &json!({ "conditions": ready(true) }));
    let new = pod(2, TREE, &json!({ "conditions": ready(true) }));
    let running = judged(&deployment(&counted((1, 1, 1))), &[old.clone(), new.clone()]);
    assert_eq!((running.rollout, running.tree.as_deref()), (Rollout::Ready, Some(TREE)));

    let mut stale = counted((1, 1, 1));
    stale["observedGeneration"] = 1.into();
    assert!(matches!(judged(&deployment(&stale), &[new]).rollout, Rollout::Going(why) if why.contains("not been taken up")));

    // While the new one starts, the old one's tree is what runs.
    let starts = pod(2, TREE, &json!({ "conditions": ready(false) }));
    let running = judged(&deployment(&counted(GOING)), &[old.clone(), starts]);
    assert_eq!(running.tree.as_deref(), Some(COMMIT));
    assert!(matches!(running.rollout, Rollout::Going(_)));

    let mut going = old;
    going["metadata"]["deletionTimestamp"] = "2027-01-15T08:01:00Z".into();
    assert_eq!(judged(&deployment(&counted((1, 1, 0))), &[going]).tree, None, "a pod that goes serves nobody");
}

#[test]
fn it_says_in_kubernetes_words_what_it_waits_for() {
    let waiting = |reason: &str, message: &str| container(&json!({ "waiting": { "reason": reason, "message": message } }), &json!({}));
    let ended = json!({ "terminated": { "exitCode": 1, "reason": "Error", "message": "API_KEY=hunter2" } });
    let unscheduled = json!({ "conditions": [{ "type": "PodScheduled", "status": "False", "message": "0/1 nodes are available" }] });
    for (counts, status, expected) in [
        ((0, 0, 0), json!({}), "0 of 1 new replicas have been updated; pod prim-search-2 starts"),
        (GOING, json!({}), "1 old replicas are pending termination; pod prim-search-2 starts"),
        ((1, 1, 0), waiting("ContainerCreating", ""), "0 of 1 updated replicas are available; pod prim-search-2 starts"),
        ((1, 1, 0), waiting("ErrImagePull", "rpc"), "ErrImagePull: container service can't have the image registry.example/factory:1"),
        ((1, 1, 0), waiting("ImagePullBackOff", "x"), "ErrImagePull: container service can't have the image registry.example/factory:1"),
        (
            (1, 1, 0),
            waiting("CreateContainerConfigError", "secret \"x\" not found"),
            "CreateContainerConfigError: container service: secret \"x\" not found",
        ),
        ((1, 1, 0), container(&json!({ "running": {} }), &ended), "CrashLoopBackOff: container service ended with exit code 1 (Error)"),
        (
            (1, 1, 0),
            container(&json!({ "waiting": { "reason": "CrashLoopBackOff", "message": "back-off 40s" } }), &ended),
            "CrashLoopBackOff: container service ended with exit code 1 (Error)",
        ),
        ((1, 1, 0), unscheduled, "is not scheduled: 0/1 nodes are available"),
    ] {
        let pods = [pod(1, COMMIT, &json!({ "conditions": ready(true) })), pod(2, TREE, &status)];
        let Rollout::Going(why) = judged(&deployment(&counted(counts)), &pods).rollout else { panic!("{expected}") };
        assert!(why.contains(expected), "{why:?} is not {expected:?}");
        assert!(!why.contains("hunter2") && !why.contains("40s"), "{why}");
    }
}

#[test]
fn a_bundle_that_is_refused_says_why() {
    let summary = r#"{"version":1,"job":"","change":"","verdict":"Error","steps":[{"name":"unpack","verdict":"Error","milliseconds":0,"message":"the bundle's digest is other"}]}"#;
    let status = json!({ "initContainerStatuses": [{
        "name": "unpack", "image": "x", "imageID": "", "ready": false, "restartCount": 1,
        "state": { "terminated": { "exitCode": 1, "reason": "Error", "message": summary } }
    }] });
    let Rollout::Going(why) = judged(&deployment(&counted((1, 1, 0))), &[pod(1, TREE, &status)]).rollout else { panic!("going") };
    assert!(why.contains("the bundle's digest is other"), "{why}");
}

#[test]
fn what_does_not_start_in_time_is_stuck_and_says_why() {
    let exceeded = json!([{ "type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "timed out" }]);
    let mut status = counted(GOING);
    status["conditions"] = exceeded;
    let crashes = container(&json!({ "running": {} }), &json!({ "terminated": { "exitCode": 137, "reason": "OOMKilled" } }));
    let running = judged(&deployment(&status), &[pod(1, COMMIT, &json!({ "conditions": ready(true) })), pod(2, TREE, &crashes)]);
    assert!(matches!(&running.rollout, Rollout::Stuck(why) if why.contains("137 (OOMKilled)")), "{running:?}");
    assert_eq!(running.tree.as_deref(), Some(COMMIT), "the old version serves");

    // Pods that the API server refuses are never made.
    status["conditions"].as_array_mut().unwrap().push(json!({ "type": "ReplicaFailure", "status": "True", "message": "exceeded quota" }));
    assert!(matches!(judged(&deployment(&status), &[]).rollout, Rollout::Stuck(why) if why.contains("exceeded quota")));
    // A change since is given its own time.
    status["observedGeneration"] = 1.into();
    assert!(matches!(judged(&deployment(&status), &[]).rollout, Rollout::Going(_)));
}

#[test]
fn what_ran_and_does_not_now_is_down() {
    let mut status = counted((1, 1, 0));
    status["conditions"] = json!([{ "type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable" }]);
    let crashes = container(&json!({ "running": {} }), &json!({ "terminated": { "exitCode": 137, "reason": "OOMKilled" } }));
    let judged_of = |status: &Value| judged(&deployment(status), &[pod(2, TREE, &crashes)]).rollout;
    assert!(matches!(judged_of(&status), Rollout::Down(why) if why.contains("137 (OOMKilled)")));
    status["availableReplicas"] = 1.into();
    assert_eq!(judged_of(&status), Rollout::Ready);
    // What replaces it is on its way.
    let mut next = counted(GOING);
    next["conditions"] = json!([{ "type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated" }]);
    assert!(matches!(judged_of(&next), Rollout::Going(_)));
}

#[test]
fn a_secret_that_was_removed_is_stated_again() {
    let case = Case::new();
    let mut seen = Seen {
        deployment: Some(serde_json::from_value(case.manifest("Deployment")).unwrap()),
        service: Some(serde_json::from_value(case.manifest("Service")).unwrap()),
        made: [("ConfigMap".to_owned(), case.manifest("ConfigMap")["metadata"]["name"].as_str().unwrap().to_owned())].into(),
        ..Seen::default()
    };
    assert!(!judge(Some(&case.manifests()), &seen).differs);
    let waits = container(&json!({ "waiting": { "reason": "CreateContainerConfigError", "message": "secret not found" } }), &json!({}));
    seen.pods = vec![serde_json::from_value(pod(1, TREE, &waits)).unwrap()];
    assert!(judge(Some(&case.manifests()), &seen).differs);
}
