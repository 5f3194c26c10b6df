//! A change's gates: whose runs they are, and how many.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{CHANGES, GATES, Run};

fn name(gate: &Value) -> String {
    gate["metadata"]["name"].as_str().unwrap().to_owned()
}

/// The first run over the change, as it is made.
async fn first() -> Value {
    let run = Run::new();
    run.add("notes-1", "notes", 0);
    run.settle("notes-1").await;
    run.gates().remove(0)
}

#[tokio::test]
async fn a_run_that_was_removed_gives_its_name_to_no_other() {
    let run = Run::new();
    run.add("notes-1", "notes", 0);
    let mut names = BTreeSet::new();
    for _ in 0..4 {
        run.settle("notes-1").await;
        run.judge("Error");
        names.extend(run.gates().iter().map(name));
        // Somebody removes the oldest.
        if run.gates().len() == 2 {
            run.api.delete(&format!("{GATES}/{}", name(&run.gates()[0])));
        }
    }
    let first = name(&first().await);
    let expected = [first.clone(), format!("{first}-2"), format!("{first}-3"), format!("{first}-4")];
    assert_eq!(names.into_iter().collect::<Vec<_>>(), expected);

    // All of them: that is how another is asked for, under a name of its own.
    run.gates().iter().for_each(|gate| run.api.delete(&format!("{GATES}/{}", name(gate))));
    run.settle("notes-1").await;
    assert_eq!(run.gates().iter().map(name).collect::<Vec<_>>(), [format!("{first}-5")]);
    run.judge("Passed");
    run.settle("notes-1").await;
    run.says("notes-1", "Ready", "True", "Merged");
}

#[tokio::test]
async fn another_ones_run_is_not_taken_for_its_own() {
    // The very run, with the very label, passed; but for its owner.
    let mut foreign = first().await;
    let name = name(&foreign);
    foreign["metadata"]["ownerReferences"] = json!([]);
    foreign["status"] = json!({ "verdict": "Passed", "conditions": [] });
    let path = format!("{GATES}/{name}");
    let run = Run::new();
    run.api.put_object(&path, foreign);
    run.add("notes-1", "notes", 0);
    for _ in 0..6 {
        let _ = run.pass("notes-1").await;
    }
    let message = run.says("notes-1", "Ready", "False", "Taken");
    assert!(message.contains(&format!("GateRun {name} is there already and is not AgentPR notes-1's: remove it")), "{message}");
    assert_eq!(run.calls("merge"), 0);

    run.api.delete(&path);
    run.settle("notes-1").await;
    assert_eq!((run.gates().len(), run.judge("Passed")), (1, 1));
    run.settle("notes-1").await;
    run.says("notes-1", "Ready", "True", "Merged");
}

#[tokio::test]
async fn a_run_that_can_not_be_read_holds_nobody_up() {
    let run = Run::new();
    run.add("notes-1", "notes", 0);
    run.settle("notes-1").await;
    let first = name(&run.gates()[0]);
    run.api.edit(&format!("{GATES}/{first}"), |mut gate| {
        gate["spec"]["layer"] = "Ninth".into();
        Some(gate)
    });
    run.settle("notes-1").await;
    assert_eq!(run.gates().iter().map(name).collect::<Vec<_>>(), [first.clone(), format!("{first}-2")]);
    run.api.edit(&format!("{GATES}/{first}-2"), |mut gate| {
        gate["status"] = json!({ "verdict": "Passed", "conditions": [] });
        Some(gate)
    });
    run.settle("notes-1").await;
    run.says("notes-1", "Ready", "True", "Merged");
}

#[tokio::test]
async fn more_runs_than_are_remembered_come_to_an_end() {
    let run = Run::new();
    run.add("notes-1", "notes", 0);
    for _ in 0..25 {
        run.settle("notes-1").await;
        run.judge("Failed");
        run.world.change(|w| drop(w.forge.commit("agent/notes-1800000000")));
    }
    run.settle("notes-1").await;
    assert_eq!(run.gates().len(), 26);
    let status = run.status("notes-1");
    let newest = run.gates().into_iter().find(|gate| gate["status"]["verdict"].is_null()).expect("the newest runs");
    assert_eq!((status.attempts.len(), &status.attempts.last().unwrap().gate), (20, &name(&newest)));
    run.judge("Passed");
    run.settle("notes-1").await;
    run.says("notes-1", "Ready", "True", "Merged");
    assert!(run.api.object(&format!("{CHANGES}/notes-1")).is_some());
    assert_eq!(run.gates().len(), 26, "none is run again");
}

#[tokio::test]
async fn runs_of_former_changes_go_but_for_the_last() {
    let run = Run::new();
    for number in 0..6u32 {
        let change = format!("notes-{number}");
        let content = format!("export default {number};\n");
        run.apply(&change, "notes", number, &json!([{ "path": "packages/notes/src/index.ts", "content": content }]));
        run.settle(&change).await;
        // One that broke and one that passed.
        run.judge("Error");
        run.settle(&change).await;
        run.judge("Passed");
        run.settle(&change).await;
        run.says(&change, "Ready", "True", "Merged");
    }
    let left: BTreeSet<_> = run.gates().iter().map(|gate| gate["spec"]["target"]["agentPR"]["name"].as_str().unwrap().to_owned()).collect();
    assert_eq!(left.into_iter().collect::<Vec<_>>(), ["notes-3", "notes-4", "notes-5"]);
    assert_eq!(run.gates().len(), 6);
    // Nothing is run again for what is over.
    for number in 0..6 {
        run.settle(&format!("notes-{number}")).await;
        run.says(&format!("notes-{number}"), "Ready", "True", "Merged");
    }
    assert_eq!(run.gates().len(), 6);
    assert_eq!(run.status("notes-0").attempts.len(), 2, "its verdicts are kept");
}
