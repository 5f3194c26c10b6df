//! The last stage: what it takes, how it is lost and found again, and what gates
//! that break or pass only on a second try come to.

use std::time::Duration;

use flywheel::api::primitive::Phase;
use kube::runtime::controller::Action as Requeue;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{DEPLOYMENTS, OWN, Run, changed, document};
use crate::driver::RESYNC;

const FACTORY: &str = "/apis/flywheel.prim.sh/v1alpha1/namespaces/flywheel/factories/prim";
const SERVICE: &str = "packages/notes/src/service.ts";

/// A Factory with a model, and what else of its policy on gates.
pub async fn with(policy: Value) -> Run {
    let run = Run::new().await;
    set(&run, policy);
    run
}

fn set(run: &Run, mut policy: Value) {
    let model =
        json!({ "model": { "url": "https://model.example/v1", "name": "small", "secret": "model" }, "maxRounds": 10, "budget": "$1" });
    policy.as_object_mut().unwrap().entry("canary").or_insert(model);
    run.api.edit(FACTORY, |mut factory| {
        factory["spec"]["policy"]["gates"] = policy;
        Some(factory)
    });
}

pub async fn live(policy: Value) -> Run {
    let mut run = with(policy).await;
    run.apply(&document("notes"), &json!({ "stage": "Live" }));
    run.until("notes", "True", "Live").await;
    run
}

fn phase(run: &Run) -> Phase {
    run.status("notes").phase.expect("a phase")
}

/// Somebody's merge into the package, which is seen.
pub async fn merge(run: &Run, text: &str) {
    run.push(SERVICE, Some(text));
    run.factory_looks().await;
}

#[tokio::test]
async fn every_layer_and_the_probe_make_it_live() {
    let mut run = with(json!({})).await;
    run.canary = "";
    run.apply(&document("notes"), &json!({ "stage": "Live" }));
    for _ in 0..60 {
        if run.runs_of("Contract").is_empty() {
            assert!(run.runs_of("Canary").is_empty(), "one layer after the other");
        }
        run.step("notes").await;
    }
    let waiting = run.says("notes", "CanaryPassed", "Unknown", "Running");
    assert_eq!((phase(&run), run.runs_of("Canary").len()), (Phase::Testing, 1), "{waiting}");
    assert_eq!(run.status("notes").waits_for.map(|w| w.what).as_deref(), Some("Canary"));
    let since = run.status("notes").waits_for.unwrap().since;

    run.canary = "Passed";
    run.api.take();
    run.until("notes", "True", "Live").await;
    assert!(since.0 < run.cx.now().at);
    let ready = run.says("notes", "Ready", "True", "Live");
    assert!(ready.contains("https://notes.prim.sh") && ready.contains("Contract and Canary"), "{ready}");
    run.says("notes", "CanaryPassed", "True", "Passed");
    assert_eq!((phase(&run), run.status("notes").waits_for), (Phase::Live, None));
    assert_eq!(run.milestones("notes").last().map(String::as_str), Some("Live"));
    let told = run.api.take().into_iter().filter(|r| r.path.contains("/events")).map(|r| r.json()["reason"].clone()).collect::<Vec<_>>();
    assert!(told.contains(&json!("Live")), "{told:?}");
    let status = run.status("notes");
    let layers: Vec<_> = status.gates.iter().map(|known| (known.layer.name(), known.tree == *status.tree.as_ref().unwrap())).collect();
    assert_eq!(layers, [("Contract", true), ("Canary", true)]);
    assert!(status.gates.iter().all(|known| known.at.is_some() && known.plan.is_some() && known.tool.is_some() && known.running.is_none()));
    assert_eq!(run.quiet_pass("notes").await, Requeue::requeue(RESYNC));

    // As far as its stage asks, and no further.
    run.apply(&document("notes"), &json!({ "stage": "Testing" }));
    run.until("notes", "True", "Answering").await;
    assert_eq!(phase(&run), Phase::Testing);
    run.apply(&document("notes"), &json!({ "stage": "Live" }));
    run.until("notes", "True", "Live").await;
    assert_eq!((run.runs_of("Contract").len(), run.runs_of("Canary").len()), (1, 1), "what was shown stays shown");
}

#[tokio::test]
async fn what_live_lacks_is_said_with_the_way_to_it() {
    // No model.
    let mut run = Run::new().await;
    run.apply(&document("notes"), &json!({ "stage": "Live" }));
    run.until("notes", "False", "StageUnavailable").await;
    let message = run.says("notes", "CanaryPassed", "Unknown", "StageUnavailable");
    assert!(message.contains("policy.gates.canary") && message.contains("policy.gates.live"), "{message}");
    run.says("notes", "Stalled", "True", "StageUnavailable");
    run.says("notes", "ContractPassed", "True", "Passed");
    assert_eq!(phase(&run), Phase::Testing);
    assert_eq!(run.quiet_pass("notes").await, Requeue::requeue(RESYNC));
    // No clean room.
    let mut run = with(json!({ "live": ["Contract", "Canary", "CleanRoom"] })).await;
    run.apply(&document("notes"), &json!({ "stage": "Live" }));
    run.until("notes", "False", "StageUnavailable").await;
    let message = run.says("notes", "CleanRoomPassed", "Unknown", "StageUnavailable");
    assert!(message.contains("policy.gates.cleanRoom is not set") && message.contains("policy.gates.live"), "{message}");
    run.says("notes", "CanaryPassed", "True", "Passed");
    assert_eq!(phase(&run), Phase::Testing);
    set(&run, json!({ "live": ["Contract", "Canary", "CleanRoom"], "cleanRoom": { "timeoutSeconds": 200, "unconfined": true } }));
    run.until("notes", "True", "Live").await;
    run.says("notes", "CleanRoomPassed", "True", "Passed");
    let [name] = &run.runs_of("CleanRoom")[..] else { panic!("one run: {:?}", run.runs_of("CleanRoom")) };
    assert_eq!(run.api.object(&format!("{OWN}/gateruns/{name}")).unwrap()["spec"]["timeoutSeconds"], 200);

    // Layers that nobody asks for.
    let mut run = Run::new().await;
    run.apply(&document("notes"), &json!({ "stage": "Live" }));
    run.until("notes", "False", "StageUnavailable").await;
    run.api.edit(FACTORY, |mut factory| {
        factory["spec"]["policy"]["gates"] = json!({ "live": ["Contract"] });
        Some(factory)
    });
    run.until("notes", "True", "Live").await;
    assert!(run.runs_of("Canary").is_empty());

    // Tests that nobody could try.
    let mut run = with(json!({})).await;
    run.untried = 12;
    run.apply(&document("notes"), &json!({ "stage": "Live" }));
    run.until("notes", "False", "StageUnavailable").await;
    run.says("notes", "ContractPassed", "True", "Passed");
    let message = run.says("notes", "Ready", "False", "StageUnavailable");
    assert!(message.contains("12 of its tests were not tried") && message.contains("policy.gates.contract.wallet"), "{message}");
    assert_eq!((phase(&run), run.runs_of("Canary").len()), (Phase::Testing, 0), "no money is spent on what is not enough");
    run.quiet_pass("notes").await;
    // With a wallet it is another plan, and asked again.
    run.untried = 0;
    set(&run, json!({ "contract": { "wallet": "purse" } }));
    run.until("notes", "True", "Live").await;
    assert_eq!(run.runs_of("Contract").len(), 2);
}

#[tokio::test]
async fn a_probe_that_fails_degrades_what_is_live_until_it_answers() {
    let mut run = live(json!({})).await;
    run.serves(500, "notes");
    run.api.take();
    run.pass("notes").await.unwrap();
    let message = run.says("notes", "Ready", "False", "Degraded");
    assert!(message.contains("answers 500"), "{message}");
    run.says("notes", "Reconciling", "True", "Degraded");
    assert_eq!(phase(&run), Phase::Degraded);
    let told = run.api.take().into_iter().filter(|r| r.path.contains("/events")).map(|r| r.json()["reason"].clone()).collect::<Vec<_>>();
    assert_eq!(told, [json!("Degraded")]);
    run.serves(200, "notes");
    run.until("notes", "True", "Live").await;
    assert_eq!((run.runs_of("Contract").len(), run.runs_of("Canary").len()), (1, 1));
    let counted = run.cx.metrics.encode().unwrap();
    assert!(counted.contains("flywheel_primitive_phases_total{phase=\"Degraded\"} 1"), "{counted}");
    assert!(counted.contains("flywheel_primitive_phases_total{phase=\"Live\"} 2"), "{counted}");
}

#[tokio::test]
async fn what_falls_over_says_so_and_is_degraded_after_a_minute() {
    let mut run = live(json!({})).await;
    let is = |run: &Run, available: u32| {
        run.api.edit(&format!("{DEPLOYMENTS}/prim-notes"), |mut deployment| {
            deployment["status"] = json!({
                "replicas": 1, "updatedReplicas": 1, "availableReplicas": available,
                "conditions": [{ "type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable" }],
            });
            Some(deployment)
        });
    };
    run.serves(502, "notes");
    is(&run, 0);
    run.pass("notes").await.unwrap();
    let message = run.says("notes", "Deployed", "False", "Down");
    assert!(message.contains("ran, and does not now: 0 of 1 updated replicas are available"), "{message}");
    run.says("notes", "Ready", "False", "Down");
    assert_eq!(phase(&run), Phase::Live, "a pod may be on its way to another node");
    run.world.wait(Duration::from_secs(61));
    run.pass("notes").await.unwrap();
    run.says("notes", "Ready", "False", "Degraded");
    run.says("notes", "Reconciling", "True", "Degraded");
    assert_eq!(phase(&run), Phase::Degraded);
    // It is looked at more and more seldom, and by a watch.
    run.world.wait(Duration::from_secs(800));
    assert_eq!(run.pass("notes").await.unwrap(), Requeue::requeue(Duration::from_secs(60)));
    is(&run, 1);
    run.serves(200, "notes");
    run.until("notes", "True", "Live").await;
    assert_eq!((run.runs_of("Contract").len(), run.runs_of("Canary").len()), (1, 1));
}

#[tokio::test]
async fn by_schedule_it_is_asked_again_and_a_red_verdict_degrades_it() {
    let mut run = live(json!({ "regateEverySeconds": 3600 })).await;
    run.world.wait(Duration::from_secs(1700));
    run.quiet_pass("notes").await;
    assert_eq!(run.runs_of("Contract").len(), 1, "not before half of it has passed");

    run.contract = "Failed";
    run.world.wait(Duration::from_secs(3700));
    run.until("notes", "False", "Degraded").await;
    let message = run.says("notes", "Ready", "False", "Degraded");
    assert!(message.contains("GateRun notes-") && message.contains("as the test says"), "{message}");
    run.says("notes", "Stalled", "True", "Degraded");
    run.says("notes", "ContractPassed", "False", "Failed");
    assert_eq!(phase(&run), Phase::Degraded);
    let again = run.gates().into_iter().filter(|gate| gate["spec"]["regate"] == json!(true)).count();
    assert_eq!(again, 2, "one of each layer, which those go before that somebody waits for");
    assert!(run.cx.metrics.encode().unwrap().contains("flywheel_gate_verdict_flips_total 1"));

    // A restart forgets nothing of it.
    run.restart();
    run.settle("notes").await;
    assert_eq!((phase(&run), run.runs_of("Contract").len()), (Phase::Degraded, 2));

    // What was said before stands until the next has spoken.
    run.contract = "";
    run.world.wait(Duration::from_secs(5400));
    run.settle("notes").await;
    let message = run.says("notes", "ContractPassed", "False", "Failed");
    assert!(message.contains("asked again by GateRun"), "{message}");
    run.contract = "Passed";
    run.until("notes", "True", "Live").await;

    // Old runs go, but for the last.
    for _ in 0..6 {
        run.world.wait(Duration::from_secs(5400));
        run.settle("notes").await;
    }
    run.says("notes", "Ready", "True", "Live");
    for layer in ["Contract", "Canary"] {
        assert_eq!(run.runs_of(layer).len(), 4, "{:?}", run.runs_of(layer));
    }
}

#[tokio::test]
async fn a_run_that_breaks_is_tried_once_more_and_refutes_nothing() {
    let mut run = live(json!({ "regateEverySeconds": 3600 })).await;
    run.canary = "Error";
    run.world.wait(Duration::from_secs(5500));
    run.settle("notes").await;
    run.says("notes", "Ready", "True", "Live");
    let message = run.says("notes", "CanaryPassed", "True", "Passed");
    assert!(message.contains("broke, and what was said before stands"), "{message}");
    assert_eq!(run.runs_of("Canary").len(), 3, "one that passed, one that broke, and one more");
    run.quiet_pass("notes").await;
    // Another round says it once.
    run.world.wait(Duration::from_secs(5500));
    run.settle("notes").await;
    assert_eq!(run.says("notes", "CanaryPassed", "True", "Passed").matches("stands").count(), 1);
    run.canary = "Failed";
    run.world.wait(Duration::from_secs(5500));
    run.until("notes", "False", "Degraded").await;
}

#[tokio::test]
async fn a_run_that_breaks_by_another_image_is_tried_once_more_and_not_for_ever() {
    let mut run = live(json!({})).await;
    let image = |run: &Run, tag: &str| {
        let image = format!("registry.example/factory:{tag}");
        run.api.edit(FACTORY, |mut factory| {
            factory["spec"]["deploy"]["image"] = json!(image);
            Some(factory)
        });
    };
    let tool =
        |run: &Run| run.status("notes").gates.iter().find(|known| known.layer.as_str() == "canary").and_then(|known| known.tool.clone());
    let first = tool(&run);
    run.canary = "Error";
    for (tag, runs) in [("2", 3), ("3", 5)] {
        image(&run, tag);
        run.settle("notes").await;
        assert_eq!(run.runs_of("Canary").len(), runs, "two for each image");
        run.says("notes", "Ready", "True", "Live");
        assert_eq!(tool(&run), first, "what stands was shown by that, and by nothing since");
        run.quiet_pass("notes").await;
    }
    // Whoever removes them asks again.
    run.canary = "Passed";
    for name in run.runs_of("Canary").split_off(1) {
        run.api.edit(&format!("{OWN}/gateruns/{name}"), |_| None);
    }
    run.settle("notes").await;
    assert_eq!(tool(&run).as_deref(), Some("registry.example/factory:3"));
}

#[tokio::test]
async fn a_canary_whose_model_missed_it_is_tried_once_more() {
    let goal = |message: &str| json!({ "name": "goal H GET /", "verdict": "Blocked", "milliseconds": 0, "message": message });
    for (message, runs) in [
        ("the agent did not do it, and the service can: does its llms.txt say how?", 2),
        ("the service asks for a payment, and there is no wallet: set AGENT_PRIVATE_KEY", 1),
    ] {
        let mut run = with(json!({})).await;
        run.results = json!([goal(message)]);
        run.canary = "Blocked";
        run.apply(&document("notes"), &json!({ "stage": "Live" }));
        run.settle("notes").await;
        run.says("notes", "CanaryPassed", "False", "Blocked");
        assert_eq!(run.runs_of("Canary").len(), runs, "{message}");
        run.quiet_pass("notes").await;
    }
}

/// Breaks layer 2's next run, and has the one after that pass.
async fn flakes(run: &mut Run) {
    let before = run.runs_of("Contract");
    for verdict in ["Error", "Passed"] {
        run.contract = verdict;
        for step in 0.. {
            assert!(step < 60, "no run with {verdict}: {:#?}", run.status("notes"));
            let new = |gate: &Value| !before.iter().any(|name| gate["metadata"]["name"] == name.as_str());
            if run.gates().iter().any(|gate| gate["spec"]["layer"] == "Contract" && gate["status"]["verdict"] == verdict && new(gate)) {
                break;
            }
            run.step("notes").await;
        }
    }
}

#[tokio::test]
async fn a_pass_on_the_second_try_is_flaky_and_over_the_budget_it_is_none() {
    let mut run = with(json!({ "flakyBudget": 1, "flakyWindowSeconds": 3600 })).await;
    run.apply(&document("notes"), &json!({ "stage": "Live" }));
    flakes(&mut run).await;
    run.until("notes", "True", "Live").await;
    let second = format!("{}-2", run.runs_of("Contract")[0]);
    assert_eq!(run.status("notes").flaky.iter().map(|f| f.gate.clone()).collect::<Vec<_>>(), [second]);
    assert!(run.cx.metrics.encode().unwrap().contains("flywheel_gate_flakes_total 1"));

    merge(&run, "// mended\n").await;
    flakes(&mut run).await;
    run.until("notes", "False", "Degraded").await;
    let message = run.says("notes", "ContractPassed", "False", "Failed");
    assert!(message.contains("2 times within 3600 s") && message.contains("policy.gates.flakyBudget is 1"), "{message}");
    assert_eq!(run.status("notes").flaky.len(), 2);
    run.quiet_pass("notes").await;

    // What is longer ago than the window counts no more.
    run.world.wait(Duration::from_secs(4000));
    merge(&run, "// mended again\n").await;
    flakes(&mut run).await;
    run.until("notes", "True", "Live").await;
    assert_eq!(run.status("notes").flaky.len(), 1);
}

#[tokio::test]
async fn the_same_tree_by_the_same_plan_and_image_is_not_tested_twice() {
    let mut run = live(json!({})).await;
    let first = run.status("notes");
    let text = run.world.read(|w| {
        let head = w.forge.repo.branches["main"].0.clone();
        let id = w.forge.repo.git.files(&head)[SERVICE].1.clone();
        String::from_utf8(w.forge.repo.git.content(&id).unwrap().to_vec()).unwrap()
    });
    merge(&run, "// another\n").await;
    run.until("notes", "False", "RollingOut").await;
    assert_eq!(phase(&run), Phase::Live, "what it was stays visible");
    run.until("notes", "True", "Live").await;
    assert_eq!((run.runs_of("Contract").len(), run.runs_of("Canary").len()), (2, 2), "it had to pass again");
    assert!(run.status("notes").gates.iter().all(|known| known.reused_from.is_none()));

    // Taken back.
    merge(&run, &text).await;
    run.until("notes", "False", "RollingOut").await;
    run.until("notes", "True", "Live").await;
    let back = run.status("notes");
    assert_eq!(back.tree, first.tree);
    assert_eq!((run.runs_of("Contract").len(), run.runs_of("Canary").len()), (2, 2));
    for (now, then) in back.gates.iter().zip(&first.gates) {
        assert_eq!(now.reused_from.as_ref(), Some(&then.gate));
        assert_eq!(now.at, then.at, "it is as old as it is");
    }
    let message = run.says("notes", "ContractPassed", "True", "Passed");
    assert!(message.contains("of the same tree by the same plan and image"), "{message}");
    run.quiet_pass("notes").await;

    // Another image is another judge: it is asked again, and what was said stands meanwhile.
    run.api.edit(FACTORY, |mut factory| {
        factory["spec"]["deploy"]["image"] = json!("registry.example/factory:2");
        Some(factory)
    });
    (run.contract, run.canary) = ("", "");
    run.settle("notes").await;
    run.says("notes", "Ready", "True", "Live");
    assert_eq!(run.runs_of("Contract").len(), 3);
    (run.contract, run.canary) = ("Passed", "Passed");
    run.settle("notes").await;
    assert_eq!((run.runs_of("Contract").len(), run.runs_of("Canary").len()), (3, 3));
    run.says("notes", "Ready", "True", "Live");
    assert!(run.status("notes").gates.iter().all(|known| known.tool.as_deref() == Some("registry.example/factory:2")));
}

/// What runs charges what it charged: it is neither tested anew nor refuted, and the
/// price comes with the package that has it.
#[tokio::test]
async fn another_default_price_degrades_nothing_that_runs() {
    let mut run = with(json!({})).await;
    let mut paid = document("notes");
    paid["factory"] = json!({});
    run.apply(&paid, &json!({ "stage": "Live" }));
    run.until("notes", "True", "Live").await;
    let first = run.status("notes");
    run.api.edit(FACTORY, |mut factory| {
        factory["spec"]["prices"]["default"] = json!("$0.25");
        Some(factory)
    });
    for _ in 0..80 {
        run.step("notes").await;
    }
    run.until("notes", "True", "Live").await;
    let now = run.status("notes");
    assert!(now.tree != first.tree, "the price is merged by itself");
    for (layer, then, now) in first.gates.iter().zip(&now.gates).map(|(then, now)| (then.layer.name(), then, now)) {
        let of_first = run.runs_of(layer).into_iter().filter(|name| name.starts_with(&then.gate)).count();
        assert_eq!((of_first, now.plan != then.plan), (1, true), "{layer}: {:?}", run.runs_of(layer));
    }
    let counted = run.cx.metrics.encode().unwrap();
    assert!(!counted.contains("phase=\"Degraded\""), "{counted}");
}

#[tokio::test]
async fn a_verdict_that_is_due_again_is_not_reused() {
    let mut run = live(json!({ "regateEverySeconds": 3600 })).await;
    let gates = run.gates().len();
    run.world.wait(Duration::from_secs(5500));
    // The status is lost, as by a restored object.
    run.api.edit(&Run::path("notes"), |mut object| {
        object["status"]["gates"] = json!([]);
        Some(object)
    });
    run.settle("notes").await;
    run.says("notes", "Ready", "True", "Live");
    assert_eq!(run.gates().len(), gates + 2);
}

#[tokio::test]
async fn a_new_version_that_is_refuted_degrades_what_was_live() {
    let mut run = live(json!({})).await;
    run.canary = "Failed";
    merge(&run, "// worse\n").await;
    run.until("notes", "False", "Degraded").await;
    run.says("notes", "ContractPassed", "True", "Passed");
    run.says("notes", "CanaryPassed", "False", "Failed");
    run.canary = "Passed";
    run.apply(&changed("notes", "Keeps notes better."), &json!({ "stage": "Live" }));
    run.until("notes", "True", "Live").await;
    assert_eq!(phase(&run), Phase::Live);
}

#[tokio::test]
async fn a_lost_status_asks_no_layer_twice() {
    let mut run = with(json!({})).await;
    run.apply(&document("notes"), &json!({ "stage": "Live" }));
    run.lose_each_status("notes", 70).await;
    run.says("notes", "Ready", "True", "Live");
    assert_eq!((run.runs_of("Contract").len(), run.runs_of("Canary").len()), (1, 1));
}

/// What may come in the way of something live, in any order.
#[derive(Clone, Copy, Debug)]
enum Event {
    Contract(&'static str),
    Canary(&'static str),
    Serves(u16),
    Merge(u8),
    Image(u8),
    Hours(u64),
    LoseStatus,
    LoseGates,
    RemoveRuns,
    Restart,
    Steps(u8),
}

fn event() -> impl Strategy<Value = Event> {
    let verdict = || proptest::sample::select(vec!["Passed", "Failed", "Blocked", "Error", ""]);
    prop_oneof![
        verdict().prop_map(Event::Contract),
        verdict().prop_map(Event::Canary),
        proptest::sample::select(vec![200, 500]).prop_map(Event::Serves),
        (0..3u8).prop_map(Event::Merge),
        (1..3u8).prop_map(Event::Image),
        (1..4u64).prop_map(Event::Hours),
        Just(Event::LoseStatus),
        Just(Event::LoseGates),
        Just(Event::RemoveRuns),
        Just(Event::Restart),
        (1..6u8).prop_map(Event::Steps),
    ]
}

async fn happens(run: &mut Run, event: Event) {
    match event {
        Event::Contract(verdict) => run.contract = verdict,
        Event::Canary(verdict) => run.canary = verdict,
        Event::Serves(status) => run.serves(status, "notes"),
        Event::Merge(text) => merge(run, &format!("// version {text}\n")).await,
        Event::Image(tag) => run.api.edit(FACTORY, |mut factory| {
            factory["spec"]["deploy"]["image"] = json!(format!("registry.example/factory:{tag}"));
            Some(factory)
        }),
        Event::Hours(hours) => run.world.wait(Duration::from_secs(hours * 3600)),
        Event::LoseStatus => run.api.edit(&Run::path("notes"), |mut object| {
            object["status"] = json!({});
            Some(object)
        }),
        Event::LoseGates => run.api.edit(&Run::path("notes"), |mut object| {
            object["status"]["gates"] = json!([]);
            Some(object)
        }),
        Event::RemoveRuns => {
            for name in run.runs_of("Contract").into_iter().chain(run.runs_of("Canary")) {
                run.api.edit(&format!("{OWN}/gateruns/{name}"), |_| None);
            }
        }
        Event::Restart => run.restart(),
        Event::Steps(count) => {
            for _ in 0..count {
                run.step("notes").await;
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4, max_shrink_iters: 8, ..ProptestConfig::default() })]

    /// Whatever came, in whatever order: once all is good again, it is live, and rests.
    #[test]
    fn whatever_happens_to_it_ends_live_where_all_is_good(events in proptest::collection::vec(event(), 1..10)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut run = live(json!({ "regateEverySeconds": 3600, "flakyBudget": 1000 })).await;
            for event in &events {
                happens(&mut run, *event).await;
                run.step("notes").await;
                let status = run.status("notes");
                let ready = run.find("notes", "Ready").expect("Ready");
                assert_eq!(status.phase == Some(Phase::Live) && ready.status == "True", ready.reason == "Live", "{ready:?}");
                assert!(status.gates.len() <= 2, "{:?}", status.gates);
            }
            (run.contract, run.canary) = ("Passed", "Passed");
            for _ in 0..3 {
                run.world.wait(Duration::from_secs(3600));
                run.settle("notes").await;
            }
            run.serves(200, "notes");
            run.until("notes", "True", "Live").await;
            run.settle("notes").await;
            run.quiet_pass("notes").await;
            assert_eq!(run.pulls(), 1);
            for layer in ["Contract", "Canary"] {
                assert!(run.runs_of(layer).len() <= 5, "{:?}", run.runs_of(layer));
            }
        });
    }
}
