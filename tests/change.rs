//! Changes from files to merge, over a forge and an API server in memory: passes in
//! any order come to the same end, and what can't be merged is said and kept out.
//! `held.rs` has what keeps one back, `gates.rs` its runs, `calls.rs` what it costs.

mod calls;
mod gates;
mod held;

use std::sync::Arc;

use async_trait::async_trait;
use flywheel::{
    api::{
        agent_pr::{AgentPR, AgentPRStatus},
        names::Sha,
    },
    controller::{context::Context, driver},
    ports::{
        error::PortError,
        forge::{PullState, StatusState},
        scan::Scan,
    },
};
use kube::{core::DeserializeGuard, runtime::controller::Action as Requeue};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::{
    apiserver::ApiServer,
    driver::RESYNC,
    fixtures,
    world::{
        Fakes, World,
        faults::When,
        forge::{BOT, REQUIRED_CHECK},
    },
};

const CHANGES: &str = "/apis/flywheel.prim.sh/v1alpha1/namespaces/flywheel/agentprs";
const GATES: &str = "/apis/flywheel.prim.sh/v1alpha1/namespaces/flywheel/gateruns";
const FACTORY: &str = "/apis/flywheel.prim.sh/v1alpha1/namespaces/flywheel/factories/prim";

/// Finds a secret wherever the word stands.
struct Words;

#[async_trait]
impl Scan for Words {
    async fn scan(&self, files: &[(&str, &str)]) -> Result<Option<String>, PortError> {
        let found = files.iter().find(|(_, text)| text.contains("hunter2"));
        Ok(found.map(|(path, _)| format!("{path}:1 (generic) look like secrets")))
    }
}

struct Run {
    api: ApiServer,
    world: Arc<World>,
    cx: Arc<Context>,
}

impl Run {
    fn new() -> Self {
        let api = ApiServer::default();
        for secret in fixtures::secrets() {
            api.put(secret);
        }
        api.put_object(FACTORY, serde_json::to_value(fixtures::factory()).unwrap());
        let world = World::good();
        world.change(|w| {
            w.forge.repo.labels =
                vec![flywheel::ports::forge::Label { name: "agent-pr".into(), color: "0e8a16".into(), description: String::new() }];
        });
        let (sender, mut pokes) = mpsc::channel(64);
        // Nobody reads them here.
        pokes.close();
        let mut cx = Context::with_world(api.client(), Arc::new(Fakes(world.clone())), world.clone(), sender, RESYNC);
        cx.scanner = Arc::new(Words);
        Self { api, world, cx: Arc::new(cx) }
    }

    /// Applies a change, made this many seconds after the first could be.
    fn apply(&self, name: &str, primitive: &str, after: u32, files: &Value) {
        self.api.put_object(
            &format!("{CHANGES}/{name}"),
            json!({
                "apiVersion": "flywheel.prim.sh/v1alpha1", "kind": "AgentPR",
                "metadata": { "name": name, "namespace": "flywheel", "uid": format!("uid-{name}"), "generation": 1,
                    "creationTimestamp": format!("2027-01-15T08:00:{after:02}Z") },
                "spec": { "factoryRef": { "name": "prim" }, "primitive": primitive, "title": format!("Add {primitive}"), "files": files },
            }),
        );
    }

    fn add(&self, name: &str, primitive: &str, after: u32) {
        self.apply(name, primitive, after, &files(primitive));
    }

    async fn pass(&self, name: &str) -> Result<Requeue, driver::PassError> {
        let object: AgentPR = serde_json::from_value(self.api.object(&format!("{CHANGES}/{name}")).expect("the AgentPR")).unwrap();
        driver::pass::<AgentPR>(Arc::new(DeserializeGuard(Ok(object))), self.cx.clone()).await
    }

    /// Passes until nothing changes any more.
    async fn settle(&self, name: &str) {
        for _ in 0..30 {
            let before = self.status(name);
            let _ = self.pass(name).await;
            if self.api.object(&format!("{CHANGES}/{name}")).is_none() || self.status(name) == before {
                return;
            }
        }
        panic!("{name} comes to no end: {:?}", self.status(name));
    }

    fn status(&self, name: &str) -> AgentPRStatus {
        let object = self.api.object(&format!("{CHANGES}/{name}")).unwrap_or_default();
        serde_json::from_value(object["status"].clone()).unwrap_or_default()
    }

    fn says(&self, name: &str, kind: &str, status: &str, reason: &str) -> String {
        let said = self.status(name);
        let found = said.conditions.iter().find(|c| c.type_ == kind).unwrap_or_else(|| panic!("no {kind}: {said:?}"));
        assert_eq!((found.status.as_str(), found.reason.as_str()), (status, reason), "{}", found.message);
        found.message.clone()
    }

    fn gates(&self) -> Vec<Value> {
        self.api.objects(GATES)
    }

    /// Ends every run that has not ended, as the gate's controller would.
    fn judge(&self, verdict: &str) -> usize {
        let open: Vec<_> = self.gates().into_iter().filter(|gate| gate["status"]["verdict"].is_null()).collect();
        for gate in &open {
            let path = format!("{GATES}/{}", gate["metadata"]["name"].as_str().unwrap());
            self.api.edit(&path, |mut gate| {
                let ready = if verdict == "Passed" { "True" } else { "False" };
                gate["status"] = json!({ "verdict": verdict, "results": [{ "name": "lint", "verdict": verdict, "milliseconds": 3 }],
                    "conditions": [{ "type": "Ready", "status": ready, "reason": verdict, "message": "as the test says", "lastTransitionTime": "2027-01-15T08:00:00Z" }] });
                Some(gate)
            });
        }
        open.len()
    }

    fn main(&self) -> Sha {
        self.world.read(|w| w.forge.repo.branches["main"].0.clone())
    }

    fn paths(&self) -> Vec<String> {
        let head = self.main();
        self.world.read(|w| w.forge.repo.git.files(&head).into_keys().collect())
    }

    fn calls(&self, operation: &'static str) -> u32 {
        self.world.read(|w| w.forge.faults.calls(operation))
    }
}

fn files(primitive: &str) -> Value {
    json!([
        { "path": format!("packages/{primitive}/prim.yaml"), "content": format!("id: {primitive}\nname: {primitive}.sh\nfactory: {{ free_service: true }}\nroutes_map: []\n") },
        { "path": format!("packages/{primitive}/src/index.ts"), "content": "export default {};\n" }
    ])
}

#[tokio::test]
async fn a_change_is_proposed_gated_merged_and_tidied_up() {
    let run = Run::new();
    run.add("notes-1", "notes", 0);
    run.settle("notes-1").await;
    assert!(run.says("notes-1", "Ready", "False", "Running").contains("GateRun notes-1-"));
    let status = run.status("notes-1");
    assert_eq!(status.branch.as_deref(), Some("agent/notes-1800000000"), "the object's creation time");
    assert_eq!((status.number, status.queue), (Some(1), Some(1)));
    assert_eq!(run.gates().len(), 1);
    let revision = status.revision.clone().expect("a revision");
    assert_eq!(run.gates()[0]["spec"]["target"]["agentPR"]["revision"], json!(revision));
    let said = run.world.read(|w| w.forge.repo.statuses[&revision.head.parse::<Sha>().unwrap()][REQUIRED_CHECK].state);
    assert_eq!(said, StatusState::Pending);
    assert!(!run.paths().iter().any(|p| p.starts_with("packages/")), "nothing is merged before the verdict");

    assert_eq!(run.judge("Passed"), 1);
    run.settle("notes-1").await;
    run.says("notes-1", "Ready", "True", "Merged");
    let status = run.status("notes-1");
    assert_eq!(status.merge_sha.as_deref(), Some(run.main().as_str()));
    assert!(status.cleaned && !status.edited);
    assert!(run.paths().contains(&"packages/notes/src/index.ts".to_owned()));
    let names: Vec<_> = status.milestones.iter().map(|m| m.name.as_str()).collect();
    assert_eq!(names, ["Seen", "Committed", "Opened", "Green", "Merged"]);
    run.world.read(|w| {
        assert_eq!(w.forge.repo.branches.keys().collect::<Vec<_>>(), ["main"], "its branch is gone");
        assert_eq!((w.forge.repo.pulls.len(), w.forge.repo.comments.len()), (1, 1));
        assert_eq!(w.forge.repo.pulls[0].labels, ["agent-pr"]);
        assert_eq!(w.forge.repo.pulls[0].author, BOT.0);
    });
    let metrics = run.cx.metrics.encode().unwrap();
    assert!(metrics.contains("flywheel_changes_merged_total{edited=\"false\"} 1"), "{metrics}");

    // At rest: no call of the forge, and no write.
    let (calls, _) = (run.world.read(|w| w.forge.faults.all_calls()), run.api.take());
    run.pass("notes-1").await.unwrap();
    assert_eq!(run.world.read(|w| w.forge.faults.all_calls()), calls);
    assert!(run.api.take().iter().all(|r| r.method == axum::http::Method::GET));
}

#[tokio::test]
async fn two_changes_merge_in_turn_and_the_second_is_gated_again_on_the_first() {
    let run = Run::new();
    run.add("one-1", "one", 0);
    run.add("two-1", "two", 1);
    for _ in 0..12 {
        for name in ["two-1", "one-1"] {
            run.settle(name).await;
        }
        run.judge("Passed");
    }
    for name in ["one-1", "two-1"] {
        run.says(name, "Ready", "True", "Merged");
    }
    let (first, second) = (run.status("one-1"), run.status("two-1"));
    assert_eq!(second.revision.unwrap().base, first.merge_sha.unwrap(), "what was merged second was tested on the first");
    assert_eq!(run.gates().len(), 3, "the second once more, since the first moved the base");
    assert!(!second.edited, "the forge's own merge of the base is nobody's edit");
    assert!(run.paths().iter().any(|p| p.starts_with("packages/one/")) && run.paths().iter().any(|p| p.starts_with("packages/two/")));
}

#[tokio::test]
async fn a_red_gate_stops_its_own_change_alone() {
    let run = Run::new();
    run.add("bad-1", "bad", 0);
    run.settle("bad-1").await;
    run.judge("Failed");
    run.settle("bad-1").await;
    run.says("bad-1", "Ready", "False", "Failed");
    run.says("bad-1", "Stalled", "True", "Failed");
    run.add("good-1", "good", 1);
    run.settle("good-1").await;
    run.judge("Passed");
    run.settle("good-1").await;
    run.says("good-1", "Ready", "True", "Merged");
    assert_eq!(run.calls("merge"), 1);
}

#[tokio::test]
async fn what_is_red_is_tried_on_a_newer_base_when_nobody_waits_for_that() {
    let run = Run::new();
    run.add("bad-1", "bad", 0);
    run.settle("bad-1").await;
    run.judge("Failed");
    run.settle("bad-1").await;
    for (name, id, age) in [("good-1", "good", 1), ("fine-1", "fine", 2)] {
        run.add(name, id, age);
        run.settle(name).await;
    }
    run.judge("Passed");
    run.settle("good-1").await;
    run.says("good-1", "Ready", "True", "Merged");
    // The base moved, and another is on its way.
    let former = run.status("bad-1").revision.unwrap();
    run.settle("bad-1").await;
    run.says("bad-1", "Stalled", "True", "Failed");
    assert_eq!(run.status("bad-1").revision.unwrap(), former);
    run.settle("fine-1").await;
    run.judge("Passed");
    run.settle("fine-1").await;
    run.says("fine-1", "Ready", "True", "Merged");
    // Nobody is: it may be green now. Until it is, it keeps nobody back.
    run.settle("bad-1").await;
    run.says("bad-1", "Ready", "False", "Running");
    assert_eq!(run.status("bad-1").revision.unwrap().base, run.main().as_str());
    run.add("next-1", "next", 3);
    run.settle("next-1").await;
    assert_eq!(run.status("next-1").queue, Some(1));
    run.judge("Passed");
    for name in ["next-1", "bad-1"] {
        run.settle(name).await;
    }
    run.says("next-1", "Ready", "True", "Merged");
    run.judge("Passed");
    run.settle("bad-1").await;
    run.says("bad-1", "Ready", "True", "Merged");
}

#[tokio::test]
async fn what_is_red_is_open_and_keeps_its_place_until_somebody_closes_it() {
    let run = Run::new();
    run.api.edit(FACTORY, |mut factory| {
        factory["spec"]["policy"]["maxOpenPullRequests"] = json!(1);
        Some(factory)
    });
    run.add("bad-1", "bad", 0);
    run.settle("bad-1").await;
    run.judge("Failed");
    run.settle("bad-1").await;
    run.says("bad-1", "Stalled", "True", "Failed");
    run.add("good-1", "good", 1);
    run.settle("good-1").await;
    assert_eq!(run.says("good-1", "Ready", "False", "Queued"), "the Factory has 1 pull requests open, and 1 may be");
    assert_eq!(run.calls("open_pull"), 1);

    run.world.change(|w| w.forge.repo.pulls[0].state = PullState::Closed);
    run.settle("bad-1").await;
    run.says("bad-1", "Stalled", "True", "Closed");
    run.settle("good-1").await;
    run.judge("Passed");
    run.settle("good-1").await;
    run.says("good-1", "Ready", "True", "Merged");
}

#[tokio::test]
async fn what_somebody_pushed_stands_on_the_base_that_was_merged_in_before() {
    let run = Run::new();
    run.add("one-1", "one", 0);
    run.add("two-1", "two", 1);
    for name in ["one-1", "two-1"] {
        run.settle(name).await;
    }
    run.judge("Passed");
    for name in ["one-1", "two-1"] {
        run.settle(name).await;
    }
    run.says("one-1", "Ready", "True", "Merged");
    run.says("two-1", "Ready", "False", "Running");
    let updated = run.status("two-1").revision.unwrap();
    assert_eq!(updated.base, run.main().as_str());
    // Meanwhile an older one is ahead, so that it is not updated at once.
    run.add("zero-1", "zero", 0);
    run.settle("zero-1").await;
    run.world.change(|w| drop(w.forge.commit(&run.status("two-1").branch.unwrap())));
    run.world.change(|w| drop(w.forge.commit("main")));
    run.settle("two-1").await;
    let revision = run.status("two-1").revision.unwrap();
    assert!(run.status("two-1").edited);
    assert_eq!((revision.head == updated.head, &revision.base), (false, &updated.base));
}

#[tokio::test]
async fn a_gate_that_breaks_is_run_three_times_and_no_more() {
    let run = Run::new();
    run.add("notes-1", "notes", 0);
    let mut runs = 0;
    for _ in 0..5 {
        run.settle("notes-1").await;
        runs += run.judge("Error");
    }
    assert_eq!(runs, 3);
    run.settle("notes-1").await;
    run.says("notes-1", "Ready", "False", "Broken");
    assert_eq!(run.status("notes-1").attempts.len(), 3);
}

#[tokio::test]
async fn every_lost_answer_and_every_failure_ends_the_same() {
    let operations = [
        "commit_files",
        "open_pull",
        "set_status",
        "upsert_comment",
        "merge",
        "delete_branch",
        "branch",
        "find_pull",
        "pull",
        "commit",
        "tree",
    ];
    for operation in operations {
        for when in [When::Before, When::After] {
            let run = Run::new();
            run.world.change(|w| w.forge.faults.fail(operation, when, crate::world::Outage::Down));
            run.add("notes-1", "notes", 0);
            for _ in 0..4 {
                run.settle("notes-1").await;
                run.judge("Passed");
            }
            let what = format!("{operation} {when:?}");
            let status = run.status("notes-1");
            assert_eq!(
                status.conditions.iter().find(|c| c.type_ == "Ready").map(|c| c.reason.as_str()),
                Some("Merged"),
                "{what}: {status:?}"
            );
            run.world.read(|w| {
                assert_eq!((w.forge.repo.pulls.len(), w.forge.repo.comments.len()), (1, 1), "{what}");
                assert_eq!(w.forge.repo.branches.len(), 1, "{what}");
            });
            assert_eq!(run.gates().len(), 1, "{what}");
        }
    }
}

#[tokio::test]
async fn a_status_that_was_lost_is_found_again() {
    // Whatever a pass did, the process may have died before it wrote so.
    for lost in 0..12 {
        let run = Run::new();
        run.add("notes-1", "notes", 0);
        for pass in 0..24 {
            let path = format!("{CHANGES}/notes-1");
            let before = run.api.object(&path).expect("the AgentPR")["status"].clone();
            let _ = run.pass("notes-1").await;
            if pass == lost {
                run.api.edit(&path, |mut object| {
                    object["status"] = before;
                    Some(object)
                });
            }
            run.judge("Passed");
        }
        run.says("notes-1", "Ready", "True", "Merged");
        run.world.read(|w| assert_eq!((w.forge.repo.pulls.len(), w.forge.repo.branches.len()), (1, 1), "pass {lost}"));
        assert_eq!((run.gates().len(), run.calls("merge")), (1, 1), "pass {lost}");
    }
}

#[tokio::test]
async fn what_may_not_be_pushed_is_not_pushed() {
    let secret = json!([{ "path": "packages/notes/src/index.ts", "content": "const key = 'hunter2';" }]);
    let outside = json!([{ "path": ".github/workflows/own.yml", "content": "on: push" }]);
    let broken = json!([{ "path": "packages/notes/prim.yaml", "content": "id: [" }]);
    for (files, reason, names) in [
        (secret, "SecretInFile", "packages/notes/src/index.ts:1"),
        (outside, "Invalid", ".github/workflows/own.yml"),
        (broken, "Invalid", "packages/notes/prim.yaml"),
    ] {
        let run = Run::new();
        run.apply("notes-1", "notes", 0, &files);
        run.settle("notes-1").await;
        let message = run.says("notes-1", "Ready", "False", reason);
        assert!(message.contains(names) && !message.contains("hunter2"), "{message}");
        run.says("notes-1", "Stalled", "True", reason);
        assert_eq!((run.calls("commit_files"), run.calls("open_pull")), (0, 0));
        assert_eq!(run.status("notes-1").branch, None);
    }
}

#[tokio::test]
async fn somebodys_commit_is_gated_too_and_counted_as_an_edit() {
    let run = Run::new();
    run.add("notes-1", "notes", 0);
    run.settle("notes-1").await;
    run.judge("Passed");
    run.world.change(|w| drop(w.forge.commit("agent/notes-1800000000")));
    run.settle("notes-1").await;
    run.says("notes-1", "Ready", "False", "Running");
    assert_eq!((run.gates().len(), run.calls("merge")), (2, 0), "the old verdict is about another head");
    assert!(run.status("notes-1").edited);
    run.judge("Passed");
    run.settle("notes-1").await;
    run.says("notes-1", "Ready", "True", "Merged");
    assert!(run.cx.metrics.encode().unwrap().contains("flywheel_changes_merged_total{edited=\"true\"} 1"));
}

#[tokio::test]
async fn the_label_holds_and_closing_stops() {
    let run = Run::new();
    run.add("notes-1", "notes", 0);
    run.settle("notes-1").await;
    run.world.change(|w| w.forge.repo.pulls[0].labels.clear());
    run.judge("Passed");
    run.settle("notes-1").await;
    assert!(run.says("notes-1", "Ready", "False", "MergeHeld").contains("agent-pr"));
    run.world.change(|w| w.forge.repo.pulls[0].state = PullState::Closed);
    run.settle("notes-1").await;
    run.says("notes-1", "Stalled", "True", "Closed");
    assert_eq!(run.calls("merge"), 0);
}

#[tokio::test]
async fn a_deleted_change_takes_its_branch_and_pull_request_back() {
    let run = Run::new();
    run.add("notes-1", "notes", 0);
    run.settle("notes-1").await;
    let path = format!("{CHANGES}/notes-1");
    assert_eq!(run.api.object(&path).unwrap()["metadata"]["finalizers"], json!(["flywheel.prim.sh/agentpr"]));
    run.api.delete(&path);
    run.settle("notes-1").await;
    assert!(run.api.object(&path).is_none(), "it is let go");
    run.world.read(|w| {
        assert_eq!(w.forge.repo.branches.keys().collect::<Vec<_>>(), ["main"]);
        assert_eq!(w.forge.repo.pulls[0].state, PullState::Closed);
    });
}

#[tokio::test]
async fn a_change_that_can_not_go_on_holds_nobody_up() {
    // Older ones: one without files yet, one held by its label, one that the forge
    // refuses, one whose pull request somebody removed, one retargeted.
    let held = |run: &Run| run.world.change(|w| w.forge.repo.pulls[0].labels.clear());
    let retargeted = |run: &Run| run.world.change(|w| w.forge.repo.pulls[0].base = "dev".into());
    type Trouble = fn(&Run);
    let troubles: [(&str, Option<Trouble>); 3] = [("label", Some(held)), ("base", Some(retargeted)), ("files", None)];
    for (what, trouble) in troubles {
        let run = Run::new();
        if trouble.is_some() {
            run.add("old-1", "old", 0);
        } else {
            run.apply("old-1", "old", 0, &json!(null));
            run.api.edit(&format!("{CHANGES}/old-1"), |mut object| {
                object["spec"]["manifestRef"] = json!({ "name": "not-there", "digest": format!("sha256:{}", "0".repeat(64)) });
                Some(object)
            });
        }
        run.settle("old-1").await;
        run.judge("Passed");
        if let Some(trouble) = trouble {
            trouble(&run);
        }
        run.settle("old-1").await;
        run.add("young-1", "young", 5);
        for _ in 0..4 {
            run.settle("young-1").await;
            run.judge("Passed");
        }
        run.says("young-1", "Ready", "True", "Merged");
        assert_eq!(run.status("old-1").merge_sha, None, "{what}");
    }
}

#[tokio::test]
async fn a_merged_change_stays_merged_when_it_can_not_be_looked_at() {
    let run = Run::new();
    run.add("notes-1", "notes", 0);
    run.settle("notes-1").await;
    run.judge("Passed");
    run.settle("notes-1").await;
    run.api.refuse("/agentprs", axum::http::StatusCode::INTERNAL_SERVER_ERROR);
    let _ = run.pass("notes-1").await;
    run.api.relent();
    run.settle("notes-1").await;
    run.says("notes-1", "Ready", "True", "Merged");
}

#[tokio::test]
async fn what_main_says_already_is_no_change() {
    let run = Run::new();
    run.add("notes-1", "notes", 0);
    run.settle("notes-1").await;
    run.judge("Passed");
    run.settle("notes-1").await;
    run.add("notes-2", "notes", 5);
    run.settle("notes-2").await;
    run.says("notes-2", "Ready", "True", "NothingToChange");
    assert_eq!(run.world.read(|w| w.forge.repo.pulls.len()), 1);
}
