//! Clean rooms of a primitive's gates whose money may not be back: their names outlive
//! the GateRuns that had them.

use std::time::Duration;

use serde_json::json;

use super::{
    OWN, Run, document,
    live::{merge, with},
};

/// The name outlives the GateRun, since nothing else leads to the money.
#[tokio::test]
async fn a_room_whose_money_stays_is_named_until_another_brings_it_back() {
    let room = json!({ "facilitator": "http://facilitator.example" });
    let gates =
        json!({ "contract": { "wallet": "purse" }, "cleanRoom": room, "live": ["Contract", "CleanRoom"], "regateEverySeconds": 3600 });
    let mut run = with(gates).await;
    let step = |name: &str, verdict: &str| json!({ "name": name, "verdict": verdict, "milliseconds": 1 });
    run.results = json!([step("return", "Error")]);
    run.apply(&document("notes"), &json!({ "stage": "Live" }));
    run.until("notes", "True", "Live").await;
    let [name] = &run.runs_of("CleanRoom")[..] else { panic!("{:?}", run.runs_of("CleanRoom")) };
    let room = format!("room-of-{name}");
    assert_eq!(run.status("notes").rooms, [room.as_str()]);
    let message = run.says("notes", "CleanRoomPassed", "True", "Passed");
    assert!(message.contains("as the test says"), "what its GateRun says of it: {message}");

    run.api.delete(&format!("{OWN}/gateruns/{name}"));
    run.settle("notes").await;
    assert_eq!(run.status("notes").rooms, [room.as_str()]);

    run.results = json!([step("return", "Passed"), step(&format!("return {room}"), "Passed")]);
    run.world.wait(Duration::from_secs(5500));
    run.settle("notes").await;
    assert_eq!(run.status("notes").rooms, Vec::<String>::new());
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
    let room = json!({ "facilitator": "http://facilitator.example" });
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
    assert_eq!(run.status("notes").rooms, [format!("room-of-{first}")], "it is tried again");

    // The second goes on while another version is merged, and ends after that.
    let second = run.runs_of("CleanRoom").into_iter().find(|name| *name != first).expect("a second");
    merge(&run, "// another\n").await;
    rooms_made(&mut run, 3).await;
    run.canary = "Passed";
    run.judge();
    run.results = returned("Passed");
    run.until("notes", "True", "Live").await;
    let rooms = run.status("notes").rooms;
    assert!(rooms.contains(&format!("room-of-{first}")) && rooms.contains(&format!("room-of-{second}")), "{rooms:?}");
}
