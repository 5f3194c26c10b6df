//! What keeps a change back: its words, its Primitive, the forge, and time.

use std::time::Duration;

use flywheel::{
    api::agent_pr::AgentPR,
    controller::driver,
    ports::forge::{CommitStatus, PullState, StatusState},
};
use kube::{core::DeserializeGuard, runtime::controller::Action as Requeue};
use serde_json::{Value, json};

use super::{CHANGES, Run};
use crate::world::{
    Outage,
    faults::When,
    forge::{REQUIRED_CHECK, good_rule},
};

const BRANCH: &str = "agent/notes-1800000000";

fn seconds(seconds: u64) -> Requeue {
    Requeue::requeue(Duration::from_secs(seconds))
}

impl Run {
    /// A change whose gate passed, and that was not looked at since.
    async fn green(&self) {
        self.add("notes-1", "notes", 0);
        self.settle("notes-1").await;
        self.judge("Passed");
    }

    /// The same, merged, and its branch not looked at since.
    async fn merging(&self) {
        self.green().await;
        while self.status("notes-1").merge_sha.is_none() {
            self.pass("notes-1").await.unwrap();
        }
    }

    fn pause(&self, factory: &str, reason: &Value) {
        let spec = json!({ "factoryRef": { "name": factory }, "document": { "id": "notes" }, "paused": reason });
        let path = "/apis/flywheel.prim.sh/v1alpha1/namespaces/flywheel/primitives/notes";
        let metadata = json!({ "name": "notes", "namespace": "flywheel" });
        self.api.put_object(
            path,
            json!({ "apiVersion": "flywheel.prim.sh/v1alpha1", "kind": "Primitive", "metadata": metadata, "spec": spec }),
        );
    }

    /// A pass, and when the next one is due, whatever came of it.
    async fn due(&self, name: &str) -> Requeue {
        let object: AgentPR = serde_json::from_value(self.api.object(&format!("{CHANGES}/{name}")).expect("the AgentPR")).unwrap();
        match self.pass(name).await {
            Ok(again) => again,
            Err(error) => driver::on_error(std::sync::Arc::new(DeserializeGuard(Ok(object))), &error, self.cx.clone()),
        }
    }
}

#[tokio::test]
async fn its_words_are_looked_at_as_its_files_are() {
    for (field, words, reason, names) in [
        ("title", "Add notes\n\nSigned-off-by: somebody", "Invalid", "spec.title: must be one line"),
        ("title", "Add notes\u{85}Tested-tree: 0", "Invalid", "spec.title: must be one line"),
        ("title", " \u{a0}", "Invalid", "spec.title: is empty"),
        ("title", "WIP: notes", "Invalid", "spec.title: begins with \"wip:\""),
        ("title", " [Draft] notes", "Invalid", "spec.title: begins with \"[draft]\""),
        ("title", "Add hunter2", "SecretInFile", "spec.title:1"),
        ("body", "see hunter2", "SecretInFile", "spec.body:1"),
    ] {
        let run = Run::new();
        run.add("notes-1", "notes", 0);
        run.api.edit(&format!("{CHANGES}/notes-1"), |mut object| {
            object["spec"][field] = words.into();
            Some(object)
        });
        run.settle("notes-1").await;
        let message = run.says("notes-1", "Ready", "False", reason);
        assert!(message.contains(names) && !message.contains("hunter2"), "{message}");
        run.says("notes-1", "Stalled", "True", reason);
        assert_eq!((run.calls("commit_files"), run.calls("open_pull")), (0, 0), "{words:?}");
    }
    let run = Run::new();
    run.add("notes-1", "notes", 0);
    run.api.edit(&format!("{CHANGES}/notes-1"), |mut object| {
        object["spec"]["title"] = "Draft a plan; wip: none".into();
        object["spec"]["body"] = "Several\nlines are fine here".into();
        Some(object)
    });
    run.settle("notes-1").await;
    assert_eq!(run.calls("open_pull"), 1);
}

#[tokio::test]
async fn a_paused_primitive_holds_its_change_and_no_other() {
    let run = Run::new();
    run.pause("prim", &json!({ "reason": "the data moves first" }));
    run.green().await;
    run.settle("notes-1").await;
    let message = run.says("notes-1", "Ready", "False", "Paused");
    assert!(message.contains("Primitive notes is paused (the data moves first)"), "{message}");
    run.says("notes-1", "GatePassed", "True", "Passed");
    assert_eq!(run.calls("merge"), 0);

    run.add("young-1", "young", 5);
    for _ in 0..4 {
        run.settle("young-1").await;
        run.judge("Passed");
    }
    run.says("young-1", "Ready", "True", "Merged");
    // The base moved on; whoever is held is not updated for nothing.
    run.settle("notes-1").await;
    assert_eq!(run.calls("update_branch"), 0);

    run.pause("prim", &Value::Null);
    for _ in 0..3 {
        run.settle("notes-1").await;
        run.judge("Passed");
    }
    run.says("notes-1", "Ready", "True", "Merged");

    let run = Run::new();
    run.pause("other", &json!({ "reason": "not ours" }));
    run.green().await;
    run.settle("notes-1").await;
    run.says("notes-1", "Ready", "True", "Merged");
}

#[tokio::test]
async fn a_late_failure_is_tried_again_as_soon_as_an_early_one() {
    let run = Run::new();
    run.add("notes-1", "notes", 0);
    run.settle("notes-1").await;
    // It waits for its gate, and is not Ready, for two hours.
    run.world.wait(Duration::from_secs(7200));
    for (what, outage) in [("looking", true), ("doing", false)] {
        let fail = |fail: bool| {
            if outage {
                run.world.change(|w| w.forge.outage = fail.then_some(Outage::Down));
            } else if fail {
                run.world.change(|w| (0..2).for_each(|_| w.forge.faults.fail("merge", When::Before, Outage::Down)));
                run.judge("Passed");
            }
        };
        fail(true);
        assert_eq!(run.due("notes-1").await, seconds(5), "{what}");
        run.says("notes-1", "Retrying", "True", "Unreachable");
        run.world.wait(Duration::from_secs(60));
        assert_eq!(run.due("notes-1").await, seconds(30), "{what}: it grows with the failure's own age");
        fail(false);
        run.pass("notes-1").await.unwrap();
        let status = run.status("notes-1");
        assert!(status.conditions.iter().all(|c| c.type_ != "Retrying"), "{what}: {status:?}");
    }
    run.settle("notes-1").await;
    run.says("notes-1", "Ready", "True", "Merged");
}

#[tokio::test]
async fn a_pull_request_that_lags_behind_its_branch_is_not_asked_ten_times_a_second() {
    let run = Run::new();
    run.green().await;
    run.world.change(|w| w.forge.repo.behind = 3);
    run.pass("notes-1").await.unwrap();
    for _ in 0..2 {
        assert_eq!(run.due("notes-1").await, seconds(2));
    }
    run.settle("notes-1").await;
    run.says("notes-1", "Ready", "True", "Merged");

    // For ever: it is told, and asked seldom.
    let run = Run::new();
    run.green().await;
    run.world.change(|w| w.forge.repo.behind = 99);
    for _ in 0..7 {
        run.pass("notes-1").await.unwrap();
    }
    run.says("notes-1", "Stalled", "True", "MergeHeld");
    assert_eq!(run.due("notes-1").await, seconds(120));

    // So with an update.
    let run = Run::new();
    run.green().await;
    run.world.change(|w| {
        drop(w.forge.commit("main"));
        w.forge.repo.behind = 3;
    });
    run.pass("notes-1").await.unwrap();
    for _ in 0..2 {
        assert_eq!(run.due("notes-1").await, seconds(2));
        run.says("notes-1", "Ready", "False", "Updating");
    }
    for _ in 0..2 {
        run.settle("notes-1").await;
        run.judge("Passed");
    }
    run.settle("notes-1").await;
    run.says("notes-1", "Ready", "True", "Merged");
}

#[tokio::test]
async fn what_lost_its_label_is_not_updated_until_it_has_it_again() {
    let run = Run::new();
    run.green().await;
    run.world.change(|w| {
        w.forge.repo.pulls[0].labels.clear();
        drop(w.forge.commit("main"));
    });
    run.settle("notes-1").await;
    run.says("notes-1", "Stalled", "True", "MergeHeld");
    assert_eq!(run.calls("update_branch"), 0);
}

/// A Factory that was made anew may have another repository, in which the number is
/// somebody else's.
#[tokio::test]
async fn a_pull_request_of_another_branch_is_left_alone() {
    let run = Run::new();
    run.green().await;
    run.world.change(|w| w.forge.repo.pulls[0].head_branch = "somebodys".into());
    run.pass("notes-1").await.unwrap();
    run.says("notes-1", "Stalled", "True", "Closed");
    run.api.delete(&format!("{CHANGES}/notes-1"));
    run.settle("notes-1").await;
    assert!(run.api.object(&format!("{CHANGES}/notes-1")).is_none());
    assert_eq!(run.world.read(|w| w.forge.repo.pulls[0].state.clone()), PullState::Open);
}

/// What was merged before the Factory had another base branch stays merged.
#[tokio::test]
async fn a_merge_into_a_former_base_is_a_merge() {
    let run = Run::new();
    run.merging().await;
    run.world.change(|w| w.forge.repo.pulls[0].base = "former".into());
    run.settle("notes-1").await;
    run.says("notes-1", "Ready", "True", "Merged");

    let run = Run::new();
    run.green().await;
    run.world.change(|w| {
        w.forge.repo.pulls[0].base = "former".into();
        w.forge.repo.pulls[0].state = PullState::Closed;
    });
    run.settle("notes-1").await;
    run.says("notes-1", "Stalled", "True", "Closed");
}

#[tokio::test]
async fn a_branch_that_the_forge_updates_after_the_merge_is_removed() {
    let run = Run::new();
    run.merging().await;
    // As Gitea does with an update that waited for the merge.
    run.world.change(|w| drop(w.forge.repo.update(BRANCH, "main").expect("no conflict")));
    run.settle("notes-1").await;
    let message = run.says("notes-1", "Ready", "True", "Merged");
    assert!(!message.contains("was left at"), "{message}");
    assert!(!run.world.read(|w| w.forge.repo.branches.contains_key(BRANCH)));

    // Who merges by hand, and adds something, goes on there.
    let run = Run::new();
    run.merging().await;
    run.world.change(|w| drop(w.forge.repo.merge_by_hand(BRANCH, "main", |files| drop(files.pop_last()))));
    run.settle("notes-1").await;
    let message = run.says("notes-1", "Ready", "True", "Merged");
    assert!(message.contains(&format!("branch {BRANCH} was left at ")), "{message}");
}

#[tokio::test]
async fn a_branch_that_somebody_goes_on_with_is_left() {
    let run = Run::new();
    run.merging().await;
    run.world.change(|w| drop(w.forge.commit(BRANCH)));
    run.settle("notes-1").await;
    let message = run.says("notes-1", "Ready", "True", "Merged");
    assert!(message.contains(&format!("branch {BRANCH} was left at ")), "{message}");
    assert!(run.world.read(|w| w.forge.repo.branches.contains_key(BRANCH)));
    assert_eq!(run.calls("delete_branch"), 0);
    // It stands, and nobody is asked any more.
    let calls = run.world.read(|w| w.forge.faults.all_calls());
    run.settle("notes-1").await;
    assert_eq!((run.says("notes-1", "Ready", "True", "Merged"), run.world.read(|w| w.forge.faults.all_calls())), (message, calls));

    // A change that is taken back leaves what somebody added to it.
    let run = Run::new();
    run.green().await;
    run.world.change(|w| drop(w.forge.commit(BRANCH)));
    run.settle("notes-1").await;
    run.api.delete(&format!("{CHANGES}/notes-1"));
    run.settle("notes-1").await;
    assert!(run.api.object(&format!("{CHANGES}/notes-1")).is_none());
    run.world.read(|w| {
        assert!(w.forge.repo.branches.contains_key(BRANCH));
        assert_eq!(w.forge.repo.pulls[0].state, PullState::Closed);
    });
}

#[tokio::test]
async fn a_change_is_merged_only_when_every_required_check_is_green() {
    let run = Run::new();
    run.world.change(|w| {
        let rule = flywheel::ports::forge::Rule { required_checks: vec![REQUIRED_CHECK.into(), "ci/other".into()], ..good_rule() };
        w.forge.repo.branches.get_mut("main").unwrap().1 = Some(rule);
    });
    run.green().await;
    let say = |state: StatusState| {
        let head = run.world.read(|w| w.forge.repo.branches[BRANCH].0.clone());
        let status = CommitStatus { context: "ci/other".into(), state, description: String::new(), target_url: String::new() };
        run.world.change(|w| drop(w.forge.repo.statuses.entry(head).or_default().insert("ci/other".into(), status)));
    };
    for (state, names) in [(None, "ci/other (not reported)"), (Some(StatusState::Failure), "ci/other (failure)")] {
        state.into_iter().for_each(say);
        for _ in 0..3 {
            run.pass("notes-1").await.unwrap();
        }
        let message = run.says("notes-1", "Ready", "False", "MergeHeld");
        assert!(message.contains(names), "{message}");
        assert_eq!(run.status("notes-1").merge_sha, None);
    }
    say(StatusState::Success);
    run.settle("notes-1").await;
    run.says("notes-1", "Ready", "True", "Merged");
}

#[tokio::test]
async fn whoever_writes_too_much_below_it_does_not_keep_it_back() {
    let run = Run::new();
    run.green().await;
    run.world.change(|w| w.forge.faults.fail("upsert_comment", When::Before, Outage::Endless));
    run.settle("notes-1").await;
    run.says("notes-1", "Ready", "True", "Merged");
    assert_eq!((run.calls("upsert_comment"), run.world.read(|w| w.forge.repo.comments.len())), (1, 0));
}
