//! What may be in the way: each is said, none is forced, and what passes by itself
//! is gone on with.

use std::time::Duration;

use flywheel::api::primitive::Phase;
use kube::runtime::controller::Action as Requeue;
use serde_json::{Value, json};

use super::{DEPLOYMENTS, OWN, Run, changed, document};
use crate::{
    driver::RESYNC,
    world::{Outage, edge::Listed, faults::When},
};

#[tokio::test]
async fn what_can_not_be_used_costs_nothing() {
    let mut broken = document("notes");
    broken["routes_map"] = json!([{ "route": "FETCH /v1/notes" }, { "route": "GET v1" }]);
    let mut foreign = document("notes");
    foreign["endpoint"] = "notes.example.org".into();
    let mut large = document("notes");
    large["tips"] = (0..400).map(|i| Value::from(format!("{i:>600}"))).collect();
    for (document, reason, names) in [
        (broken, "Invalid", &["spec.document.routes_map[0]", "spec.document.routes_map[1]"][..]),
        (foreign, "Invalid", &["spec.document.endpoint", "notes.example.org", "notes.prim.sh"]),
        (large, "TooLarge", &["200 KiB", "spec.document"]),
    ] {
        let mut run = Run::new().await;
        run.apply(&document, &json!({}));
        run.settle("notes").await;
        let message = run.says("notes", "Ready", "False", reason);
        assert!(names.iter().all(|name| message.contains(name)), "{message}");
        run.says("notes", "Stalled", "True", reason);
        assert!(run.nothing_pushed());
        assert_eq!(run.status("notes").next_action.map(|n| n.verb), Some("Edit".into()));
        run.quiet_pass("notes").await;
    }
}

#[tokio::test]
async fn a_reserved_id_is_refused_even_where_the_api_server_lets_it_in() {
    let mut run = Run::new().await;
    run.apply(&document("www"), &json!({}));
    for _ in 0..3 {
        run.step("www").await;
    }
    let message = run.says("www", "Stalled", "True", "Invalid");
    assert!(message.contains("metadata.name") && message.contains("www"), "{message}");
    assert!(run.nothing_pushed());
}

#[tokio::test]
async fn a_document_that_turns_invalid_leaves_what_runs() {
    let mut run = Run::new().await;
    run.apply(&document("notes"), &json!({}));
    run.until("notes", "True", "Answering").await;
    let mut broken = document("notes");
    broken["routes_map"] = json!(7);
    run.apply(&broken, &json!({}));
    run.settle("notes").await;
    run.says("notes", "Ready", "False", "Invalid");
    run.says("notes", "Serving", "True", "Verified");
    assert_eq!(run.status("notes").phase, Some(Phase::Testing));
    run.apply(&document("notes"), &json!({}));
    run.settle("notes").await;
    run.says("notes", "Ready", "True", "Answering");
    assert_eq!(run.pulls(), 1);
}

#[tokio::test]
async fn a_factory_that_is_not_there_is_waited_for() {
    let mut run = Run::new().await;
    run.apply(&document("notes"), &json!({ "factoryRef": { "name": "nobody" } }));
    assert_eq!(run.pass("notes").await.unwrap(), Requeue::requeue(Duration::from_secs(30)));
    let message = run.says("notes", "Ready", "False", "Waiting");
    assert!(message.contains("spec.factoryRef.name") && message.contains("nobody"), "{message}");

    let mut run2 = Run::new().await;
    run2.world.change(|w| w.forge.outage = Some(Outage::Down));
    run2.factory_looks().await;
    run2.apply(&document("notes"), &json!({}));
    run2.settle("notes").await;
    let message = run2.says("notes", "Ready", "False", "Waiting");
    assert!(message.contains("Factory prim") && message.contains("forge.example"), "{message}");
    assert!(run2.changes().is_empty());
    run2.world.change(|w| w.forge.outage = None);
    run2.factory_looks().await;
    run2.until("notes", "True", "Answering").await;
    run.apply(&document("notes"), &json!({}));
    run.until("notes", "True", "Answering").await;
}

#[tokio::test]
async fn a_forge_that_is_down_holds_nobody_who_needs_nothing_of_it() {
    let mut run = Run::new().await;
    run.apply(&document("notes"), &json!({}));
    run.until("notes", "True", "Answering").await;
    run.world.change(|w| w.forge.outage = Some(Outage::Down));
    run.factory_looks().await;
    run.quiet_pass("notes").await;
    run.says("notes", "Ready", "True", "Answering");
}

#[tokio::test]
async fn a_controller_that_starts_while_the_forge_is_down_leaves_ready_what_answers() {
    let mut run = Run::new().await;
    run.apply(&document("notes"), &json!({}));
    run.until("notes", "True", "Answering").await;
    let before = run.status("notes");
    run.world.change(|w| w.forge.outage = Some(Outage::Down));
    run.restart();
    assert_eq!(run.pass("notes").await.unwrap(), Requeue::requeue(Duration::from_secs(60)));
    run.says("notes", "Ready", "True", "Answering");
    let message = run.says("notes", "Merged", "True", "Merged");
    assert!(message.contains("can't be read now") && message.contains("Factory prim"), "{message}");
    let meanwhile = run.status("notes");
    assert_eq!((&meanwhile.phase, &meanwhile.effects, &meanwhile.milestones), (&before.phase, &before.effects, &before.milestones));
    for kind in ["Deployed", "Routed", "NameReady", "Serving"] {
        run.says("notes", kind, "True", "Verified");
    }
    let writes: Vec<_> = {
        run.api.take();
        run.pass("notes").await.unwrap();
        run.api.take().into_iter().filter(|r| r.method != "GET").collect()
    };
    assert!(writes.is_empty(), "{writes:?}");

    // What does not answer is not Ready, and what was changed can't be.
    run.serves(500, "notes");
    run.pass("notes").await.unwrap();
    run.says("notes", "Ready", "False", "ProbeFailed");
    run.world.change(|w| w.forge.outage = None);
    run.serves(200, "notes");
    run.until("notes", "True", "Answering").await;
    assert!(run.says("notes", "Merged", "True", "Merged").contains("is the spec's document"));
    run.world.change(|w| w.forge.outage = Some(Outage::Down));
    run.restart();
    run.apply(&changed("notes", "Other words."), &json!({}));
    run.pass("notes").await.unwrap();
    run.says("notes", "Ready", "False", "Unreachable");
}

#[tokio::test]
async fn paused_is_held_and_said() {
    let mut run = Run::new().await;
    run.apply(&document("notes"), &json!({ "paused": { "reason": "looking into it" } }));
    run.settle("notes").await;
    assert_eq!(run.says("notes", "Ready", "False", "Paused"), "looking into it");
    run.says("notes", "Stalled", "True", "Paused");
    assert!(run.changes().is_empty());
    assert_eq!(run.quiet_pass("notes").await, Requeue::requeue(RESYNC));
    run.apply(&document("notes"), &json!({}));
    run.until("notes", "True", "Answering").await;
}

#[tokio::test]
async fn a_red_gate_shows_on_the_primitive_and_a_change_of_the_document_replaces_it() {
    let mut run = Run::new().await;
    run.unit = "Failed";
    run.apply(&document("notes"), &json!({}));
    run.until("notes", "False", "Failed").await;
    let message = run.says("notes", "Stalled", "True", "Failed");
    let first = run.status("notes").agent_pr.unwrap();
    assert!(message.contains(&first) && message.contains("as the test says"), "{message}");
    assert_eq!(run.status("notes").next_action.map(|n| (n.verb, n.url.is_some())), Some(("Edit".into(), true)));
    assert_eq!(run.status("notes").phase, Some(Phase::Phantom));

    run.unit = "Passed";
    run.apply(&changed("notes", "Better words."), &json!({}));
    run.until("notes", "True", "Answering").await;
    assert!(!run.changes().contains(&first), "the older proposal is taken back");
    run.world.read(|w| assert_eq!(w.forge.repo.branches.keys().collect::<Vec<_>>(), ["main"]));
}

#[tokio::test]
async fn a_proposal_that_somebody_removed_is_made_anew_and_a_merged_one_is_not() {
    let mut run = Run::new().await;
    run.unit = "Failed";
    run.apply(&document("notes"), &json!({}));
    run.until("notes", "False", "Failed").await;
    let [change] = &run.changes()[..] else { panic!("one AgentPR") };
    run.api.delete(&format!("{OWN}/agentprs/{change}"));
    run.unit = "Passed";
    run.until("notes", "True", "Answering").await;

    run.push("packages/notes/prim.yaml", Some(&changed("notes", "Theirs.").to_string()));
    run.factory_looks().await;
    run.api.delete(&format!("{OWN}/agentprs/{change}"));
    run.settle("notes").await;
    run.says("notes", "SpecOutdated", "True", "Superseded");
    assert!(run.changes().is_empty(), "what was merged once is not proposed again");
}

#[tokio::test]
async fn the_same_document_can_be_proposed_again_after_another() {
    let mut run = Run::new().await;
    run.apply(&document("notes"), &json!({}));
    run.until("notes", "True", "Answering").await;
    run.apply(&changed("notes", "Other words."), &json!({}));
    run.step("notes").await;
    run.until("notes", "True", "Answering").await;
    run.apply(&document("notes"), &json!({}));
    run.step("notes").await;
    run.until("notes", "True", "Answering").await;
    run.settle("notes").await;
    assert!(run.find("notes", "SpecOutdated").is_none());
    assert_eq!(run.pulls(), 3);
}

#[tokio::test]
async fn an_agent_pr_of_somebody_else_is_left_alone() {
    let mut run = Run::new().await;
    run.apply(&document("notes"), &json!({}));
    run.step("notes").await;
    let name = run.status("notes").agent_pr.unwrap();
    let path = format!("{OWN}/agentprs/{name}");
    run.api.edit(&path, |mut object| {
        object["metadata"]["ownerReferences"][0]["uid"] = "another".into();
        Some(object)
    });
    run.pass("notes").await.unwrap();
    let message = run.says("notes", "Ready", "False", "Taken");
    assert!(message.contains(&name), "{message}");
    assert!(run.api.object(&path).is_some());
}

#[tokio::test]
async fn what_another_holds_is_named_and_never_overwritten() {
    let mut run = Run::new().await;
    let theirs = "heritage=external-dns,external-dns/owner=other,external-dns/resource=service/web/notes";
    run.world.change(|w| {
        w.dns.records.insert(("notes.prim.sh".into(), "A"), (60, vec!["198.51.100.7".into()]));
        w.dns.records.insert(("a-notes.prim.sh".into(), "TXT"), (60, vec![theirs.into()]));
    });
    run.apply(&document("notes"), &json!({}));
    run.until("notes", "False", "Taken").await;
    let message = run.says("notes", "NameReady", "False", "Taken");
    assert!(message.contains("service/web/notes of other"), "{message}");
    assert!(run.nothing_pushed(), "what can't have its name is not proposed");
    assert_eq!(run.quiet_pass("notes").await, Requeue::requeue(Duration::from_secs(60)));
    assert_eq!((run.address("notes.prim.sh"), run.routes()), (vec!["198.51.100.7".to_owned()], 0));
    run.world.change(|w| w.dns.records.clear());
    run.until("notes", "True", "Answering").await;

    let mut run = Run::new().await;
    run.world.change(|w| w.edge.routes.as_mut().unwrap().push(Listed::Other("notes.prim.sh".into())));
    run.apply(&document("notes"), &json!({}));
    run.until("notes", "False", "Taken").await;
    assert!(run.says("notes", "Stalled", "True", "Taken").contains("notes.prim.sh"));
    run.says("notes", "Routed", "False", "Taken");
    assert_eq!(run.world.read(|w| w.edge.faults.calls("set_route")), 0);
    assert_eq!(run.quiet_pass("notes").await, Requeue::requeue(Duration::from_secs(60)), "the route's wait, and not the record's");
    assert!(run.address("notes.prim.sh").is_empty(), "no name leads to another's route");
    assert_eq!(run.routes(), 1);
}

#[tokio::test]
async fn a_rollout_that_does_not_start_is_said_and_the_old_version_serves() {
    let mut run = Run::new().await;
    run.apply(&document("notes"), &json!({}));
    run.until("notes", "True", "Answering").await;
    let first = run.status("notes");
    run.pods_start = false;
    run.push("packages/notes/src/service.ts", Some("process.exit(1);\n"));
    run.factory_looks().await;
    run.step("notes").await;
    run.api.edit(&format!("{DEPLOYMENTS}/prim-notes"), |mut deployment| {
        let late = json!([{ "type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded" }]);
        deployment["status"] = json!({ "replicas": 2, "updatedReplicas": 1, "availableReplicas": 1, "conditions": late });
        Some(deployment)
    });
    run.until("notes", "False", "RolloutFailed").await;
    run.says("notes", "Deployed", "False", "RolloutFailed");
    run.says("notes", "Serving", "True", "Verified");
    let stuck = run.status("notes");
    assert_eq!((stuck.commit, stuck.tree, stuck.phase), (first.commit, first.tree, first.phase));
    assert!(stuck.rolling.is_some());
    run.quiet_pass("notes").await;

    run.pods_start = true;
    run.until("notes", "True", "Answering").await;
    assert_eq!(run.status("notes").rolling, None);
}

#[tokio::test]
async fn who_does_not_answer_rightly_is_asked_again() {
    let mut run = Run::new().await;
    run.apply(&document("notes"), &json!({}));
    run.until("notes", "True", "Answering").await;
    for (status, id) in [(500, "notes"), (200, "other")] {
        run.serves(status, id);
        run.pass("notes").await.unwrap();
        let message = run.says("notes", "Serving", "False", "ProbeFailed");
        assert!(message.contains("https://notes.prim.sh") && message.contains(&status.to_string()), "{message}");
        run.says("notes", "Ready", "False", "ProbeFailed");
        run.says("notes", "ContractPassed", "True", "Passed");
    }
    assert_eq!(run.pass("notes").await.unwrap(), Requeue::requeue(Duration::from_secs(2)));
    run.world.wait(Duration::from_secs(80));
    assert_eq!(run.pass("notes").await.unwrap(), Requeue::requeue(Duration::from_secs(10)), "less often the longer it lasts");
    run.serves(200, "notes");
    run.until("notes", "True", "Answering").await;
}

#[tokio::test]
async fn layer_2_decides_and_is_tried_again_only_where_it_broke() {
    for (verdict, reason, runs) in [("Failed", "Failed", 1), ("Blocked", "Blocked", 1), ("Error", "Broken", 2)] {
        let mut run = Run::new().await;
        run.contract = verdict;
        run.apply(&document("notes"), &json!({}));
        run.until("notes", "False", reason).await;
        let message = run.says("notes", "ContractPassed", "False", reason);
        assert!(message.contains("as the test says"), "{message}");
        assert_eq!(run.gates().iter().filter(|gate| gate["spec"]["layer"] == "Contract").count(), runs, "{verdict}");
        assert_eq!(run.status("notes").phase, Some(Phase::Building));
        run.quiet_pass("notes").await;
        if verdict == "Error" {
            // A run that broke said nothing of the service: whoever removes the runs
            // asks again.
            run.contract = "Passed";
            for gate in run.gates() {
                run.api.edit(&format!("{OWN}/gateruns/{}", gate["metadata"]["name"].as_str().unwrap()), |_| None);
            }
            run.until("notes", "True", "Answering").await;
            continue;
        }
        // What was said stays said, whatever becomes of the GateRun.
        for gate in run.gates() {
            run.api.edit(&format!("{OWN}/gateruns/{}", gate["metadata"]["name"].as_str().unwrap()), |_| None);
        }
        run.quiet_pass("notes").await;

        run.contract = "Passed";
        run.push("packages/notes/src/service.ts", Some("// mended\n"));
        run.factory_looks().await;
        run.until("notes", "True", "Answering").await;
    }
}

#[tokio::test]
async fn every_lost_answer_and_every_failure_of_zone_and_edge_ends_the_same() {
    for operation in ["set_route", "routes", "set_address", "look_up", "get"] {
        for when in [When::Before, When::After] {
            let mut run = Run::new().await;
            run.world.change(|w| match operation {
                "set_route" | "routes" => w.edge.faults.fail(operation, when, Outage::Down),
                "get" => w.probe.faults.fail(operation, when, Outage::Down),
                _ => w.dns.faults.fail(operation, when, Outage::Failing),
            });
            run.apply(&document("notes"), &json!({}));
            run.until("notes", "True", "Answering").await;
            assert_eq!((run.pulls(), run.routes(), run.address("notes.prim.sh").len()), (1, 1, 1), "{operation} {when:?}");
        }
    }
}

#[tokio::test]
async fn a_lost_status_makes_nothing_twice() {
    let mut run = Run::new().await;
    run.apply(&document("notes"), &json!({}));
    run.lose_each_status("notes", 60).await;
    run.says("notes", "Ready", "True", "Answering");
    assert_eq!((run.changes().len(), run.pulls(), run.routes()), (1, 1, 1));
    assert_eq!(run.gates().iter().filter(|gate| gate["spec"]["layer"] == "Contract").count(), 1);
}
