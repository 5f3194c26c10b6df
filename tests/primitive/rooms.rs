//! Clean rooms of a primitive's gates whose money may not be back: their names outlive
//! the GateRuns that had them.

use std::time::Duration;

use flywheel::{
    api::{
        conditions::{ConditionType, Reason, Truth},
        gate_run::{Layer, Tested, Verdict},
        policy::{CleanRoomPolicy, GatesSpec},
        primitive::{Phase, Stage},
    },
    decide::{
        Action, Manifest, audit,
        primitive::{Base, Gate, Outside, Rollout, Seen, decide, run_name},
    },
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::{
    OWN, Run,
    decisions::{HASH, now, package},
    document,
    live::{merge, with},
    random::{answering, deployed},
};
use crate::world::forge::sha;

fn names(run: &Run) -> Vec<String> {
    run.status("notes").rooms.into_iter().map(|room| room.name).collect()
}

/// The name outlives the GateRun, since nothing else leads to the money.
#[tokio::test]
async fn a_room_whose_money_stays_is_named_until_another_brings_it_back() {
    let room = json!({ "facilitator": "http://facilitator.example", "unconfined": true });
    let gates =
        json!({ "contract": { "wallet": "purse" }, "cleanRoom": room, "live": ["Contract", "CleanRoom"], "regateEverySeconds": 3600 });
    let mut run = with(gates).await;
    let step = |name: &str, verdict: &str| json!({ "name": name, "verdict": verdict, "milliseconds": 1 });
    run.results = json!([step("return", "Error")]);
    run.apply(&document("notes"), &json!({ "stage": "Live" }));
    run.until("notes", "True", "Live").await;
    let [name] = &run.runs_of("CleanRoom")[..] else { panic!("{:?}", run.runs_of("CleanRoom")) };
    let room = format!("room-of-{name}");
    assert_eq!(names(&run), [room.as_str()]);
    let status = run.api.object(&format!("{OWN}/gateruns/{name}")).unwrap()["status"].clone();
    let ended: Timestamp = status["since"].as_str().unwrap().parse().unwrap();
    let until = run.status("notes").rooms[0].until.clone().map(|until| until.0);
    assert_eq!(until, Some(ended + SignedDuration::from_secs(360)), "money may come to it for a while");
    let message = run.says("notes", "CleanRoomPassed", "True", "Passed");
    assert!(message.contains("as the test says"), "what its GateRun says of it: {message}");

    run.api.delete(&format!("{OWN}/gateruns/{name}"));
    run.settle("notes").await;
    assert_eq!(names(&run), [room.as_str()]);

    run.results = json!([step("return", "Passed"), step(&format!("return {room}"), "Passed")]);
    run.world.wait(Duration::from_secs(5500));
    run.settle("notes").await;
    assert_eq!(names(&run), Vec::<String>::new());
}

/// Steps until there are so many runs of layer 4.
async fn rooms_made(run: &mut Run, count: usize) {
    for _ in 0..80 {
        if run.runs_of("CleanRoom").len() == count {
            return;
        }
        run.step("notes").await;
    }
    panic!("there are {:?}", run.runs_of("CleanRoom"));
}

/// A room that broke is tried again, and one of a version that is no more is asked by
/// nobody: what they left is named all the same.
#[tokio::test]
async fn a_room_that_broke_or_was_superseded_is_named_too() {
    let room = json!({ "facilitator": "http://facilitator.example", "unconfined": true });
    let gates = json!({ "contract": { "wallet": "purse" }, "cleanRoom": room, "live": ["Contract", "CleanRoom"] });
    let mut run = with(gates).await;
    let returned = |verdict: &str| json!([{ "name": "return", "verdict": verdict, "milliseconds": 1 }]);
    (run.canary, run.results) = ("Error", returned("Error"));
    run.apply(&document("notes"), &json!({ "stage": "Live" }));
    rooms_made(&mut run, 1).await;
    let first = run.runs_of("CleanRoom").remove(0);
    run.judge();
    run.canary = "";
    rooms_made(&mut run, 2).await;
    assert_eq!(names(&run), [format!("room-of-{first}")], "it is tried again");

    // The second goes on while another version is merged, and ends after that.
    let second = run.runs_of("CleanRoom").into_iter().find(|name| *name != first).expect("a second");
    merge(&run, "// another\n").await;
    rooms_made(&mut run, 3).await;
    run.canary = "Passed";
    run.judge();
    run.results = returned("Passed");
    run.until("notes", "True", "Live").await;
    let rooms = names(&run);
    assert!(rooms.contains(&format!("room-of-{first}")) && rooms.contains(&format!("room-of-{second}")), "{rooms:?}");
}

/// What layer 4 said of this version, by a room that something confined or nothing did.
fn passed(confined_by: Option<&str>, policy: CleanRoomPolicy, live: Vec<Layer>) -> Seen {
    let tested = Tested { tree: String::new(), plan: "plan".into(), tool: "image:1".into(), confined_by: confined_by.map(Into::into) };
    let gate = |layer| Gate {
        name: run_name(&"notes".parse().unwrap(), sha(7).as_str(), layer, 1),
        layer,
        ours: true,
        created: Timestamp::UNIX_EPOCH,
        verdict: Some(Verdict::Passed),
        at: Some(now().at),
        message: "m".into(),
        untried: None,
        missed: false,
        tested: Some(tested.clone()),
        before: None,
        room_left: None,
        rooms_emptied: Vec::new(),
    };
    let mut seen = deployed(Rollout::Ready, false);
    seen.base = Ok(Base { commit: sha(1), package: Some(package(HASH)) });
    seen.spec.stage = Some(Stage::Live);
    seen.factory.as_mut().unwrap().gates = GatesSpec { clean_room: Some(policy), live, ..GatesSpec::default() };
    let Outside::Wanted(deployment) = &mut seen.outside else { unreachable!() };
    deployment.naming = Some(answering());
    deployment.runs = [Layer::Contract, Layer::CleanRoom].map(gate).into();
    seen
}

/// A room that is a container alone shows what it shows, and is not enough for Live unless
/// the Factory says so, or asks for no room.
#[test]
fn a_room_that_nothing_confines_does_not_count_for_live() {
    let all = || vec![Layer::Contract, Layer::CleanRoom];
    for (what, confined_by, unconfined, live, is_live) in [
        ("nothing confines it", None, false, all(), false),
        ("that is wanted", None, true, all(), true),
        ("a RuntimeClass", Some("RuntimeClass gvisor"), false, all(), true),
        ("no room is asked for", None, false, vec![Layer::Contract], true),
    ] {
        let seen = passed(confined_by, CleanRoomPolicy { unconfined, ..CleanRoomPolicy::default() }, live.clone());
        let decision = decide(&seen, now());
        audit::check(&decision).expect("sound");
        let of = |kind| decision.statements.iter().find(|s| s.kind == kind).unwrap_or_else(|| panic!("{what}: {:#?}", decision.statements));
        let ready = of(ConditionType::Ready);
        assert_eq!((decision.status.phase == Some(Phase::Live), ready.status == Truth::True), (is_live, is_live), "{what}: {ready:?}");
        if live.contains(&Layer::CleanRoom) {
            assert_eq!(of(ConditionType::CleanRoomPassed).status, Truth::True, "{what}: it is recorded");
            let known = decision.status.gates.iter().find(|known| known.layer == Layer::CleanRoom).expect("a verdict");
            assert_eq!((known.verdict, known.confined_by.as_deref()), (Some(Verdict::Passed), confined_by), "{what}");
        }
        if !is_live {
            let named = ["spec.deploy.runtimeClass", "policy.gates.cleanRoom.unconfined", "policy.gates.live"];
            assert!(ready.reason == Reason::StageUnavailable && named.iter().all(|field| ready.message.contains(field)), "{ready:?}");
        }
    }

    // Under a RuntimeClass it would be another plan, so that it is tried once more.
    let mut seen = passed(None, CleanRoomPolicy::default(), all());
    seen.previous = decide(&seen, now()).status;
    let Outside::Wanted(deployment) = &mut seen.outside else { unreachable!() };
    deployment.plans.insert(Layer::CleanRoom, "under gvisor".into());
    let made = |action: &Action| matches!(action, Action::CreateObject(Manifest(made)) if made["kind"] == "GateRun" && made["spec"]["layer"] == "CleanRoom");
    assert!(decide(&seen, now()).actions.iter().any(made));
}
