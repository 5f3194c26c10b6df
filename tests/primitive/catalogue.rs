//! What is derived from all packages: one change of the Factory's own at a time,
//! gated by the real GateRun pass, in whatever order things happen and end.

use clap::ValueEnum;
use flywheel::{
    api::{conditions::Reason, factory::FactoryStatus, gate_run::GateRun},
    controller::driver,
    outputs::{Output, Owner, Service},
    prim,
    scaffold::{self, Options},
};
use kube::core::DeserializeGuard;
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{OWN, Run, changed, document};
use crate::world::{Outage, faults::When};

const FACTORY: &str = "factories/prim";

async fn with_catalogue() -> Run {
    let run = Run::new().await;
    run.api.edit(&format!("{OWN}/{FACTORY}"), |mut factory| {
        factory["spec"]["policy"]["aggregates"] = true.into();
        Some(factory)
    });
    run.factory_looks().await;
    run
}

impl Run {
    fn factory_status(&self) -> FactoryStatus {
        serde_json::from_value(self.api.object(&format!("{OWN}/{FACTORY}")).unwrap()["status"].clone()).unwrap_or_default()
    }

    #[track_caller]
    fn catalogue_says(&self, status: &str, reason: Reason) -> String {
        let said = self.factory_status();
        let found = said.conditions.iter().find(|c| c.type_ == "CatalogueCurrent").unwrap_or_else(|| panic!("nothing: {said:#?}"));
        assert_eq!((found.status.as_str(), found.reason.as_str()), (status, reason.as_str()), "{}", found.message);
        found.message.clone()
    }

    fn is_current(&self) -> bool {
        self.factory_status().conditions.iter().any(|c| c.type_ == "CatalogueCurrent" && c.status == "True")
    }

    /// AgentPRs of what is derived that are open.
    fn derived(&self) -> Vec<String> {
        let all = self.api.objects(&format!("{OWN}/agentprs"));
        let open = |o: &&Value| {
            o["spec"]["primitive"] == "flywheel" && o["status"]["mergeSha"].is_null() && o["metadata"]["deletionTimestamp"].is_null()
        };
        all.iter().filter(open).map(|o| o["metadata"]["name"].as_str().unwrap().to_owned()).collect()
    }

    /// Steps of everybody until all of it is as the packages make it.
    async fn catalogued(&mut self, ids: &[&str]) {
        for _ in 0..120 {
            for id in ids {
                self.step(id).await;
            }
            self.others().await;
            let _ = self.factory_pass().await;
            assert!(self.derived().len() <= 1, "two at a time: {:?}", self.derived());
            // All services of this cluster have one address, so that only one is itself there.
            let merged = ids.iter().all(|id| self.find(id, "Merged").is_some_and(|c| c.status == "True"));
            if merged && self.is_current() && self.derived().is_empty() {
                return;
            }
        }
        panic!("it comes to no end: {:#?} {:#?}", self.factory_status(), self.api.objects(&format!("{OWN}/agentprs")));
    }

    async fn factory_pass(&self) -> Result<(), driver::PassError> {
        let object = serde_json::from_value(self.api.object(&format!("{OWN}/{FACTORY}")).unwrap()).unwrap();
        driver::pass::<flywheel::api::factory::Factory>(Arc::new(DeserializeGuard(Ok(object))), self.cx.clone()).await.map(drop)
    }

    /// A file of the base branch.
    fn text(&self, path: &str) -> Option<String> {
        self.world.read(|w| {
            let git = &w.forge.repo.git;
            let (_, id) = git.files(&w.forge.repo.branches["main"].0).get(path).cloned()?;
            Some(String::from_utf8(git.content(&id).unwrap().to_vec()).unwrap())
        })
    }

    /// The base branch has exactly what its documents make.
    #[track_caller]
    fn is_exact(&self, ids: &[&str]) {
        let services: Vec<_> = ids
            .iter()
            .map(|id| {
                let document = prim::read(&self.text(&format!("packages/{id}/prim.yaml")).expect("a package")).unwrap();
                Service { manifest: scaffold::manifest(&document, &Options::at("$0.01".parse().unwrap())).unwrap(), document }
            })
            .collect();
        let made = Output::value_variants().iter().flat_map(|output| output.files(&services, &Owner::default()));
        let wanted: BTreeMap<_, _> = made.map(|(path, content)| (format!("generated/{path}"), content)).collect();
        let there = self.paths().into_iter().filter(|path| path.starts_with("generated/"));
        let there: BTreeMap<_, _> = there.map(|path| (path.clone(), self.text(&path).unwrap())).collect();
        assert_eq!(there.keys().collect::<Vec<_>>(), wanted.keys().collect::<Vec<_>>());
        assert!(there == wanted, "some content differs");
        let plan = self.text("gates/plan.json").expect("a plan");
        assert!(ids.iter().all(|id| plan.contains(&format!("{id}.prim.sh"))), "the plan lacks one");
    }

    fn commits_of_ours(&self) -> usize {
        self.world.read(|w| w.forge.repo.pulls.iter().filter(|pull| pull.title.starts_with("Bring what is derived")).count())
    }
}

#[tokio::test]
async fn two_packages_back_to_back_make_one_or_two_commits_and_nothing_follows() {
    let mut run = with_catalogue().await;
    run.catalogue_says("True", Reason::Verified);
    run.apply(&document("notes"), &json!({}));
    run.apply(&document("jots"), &json!({}));
    run.catalogued(&["notes", "jots"]).await;
    run.is_exact(&["jots", "notes"]);
    let commits = run.commits_of_ours();
    assert!((1..=2).contains(&commits), "{commits} commits");
    assert_eq!(run.pulls(), 2 + commits);
    let status = run.factory_status();
    let catalogue = status.catalogue.clone().unwrap();
    assert_eq!((Some(catalogue.commit), catalogue.hash.len()), (status.base_sha, 64));

    // At rest: no write, and of the forge nothing but what a Factory's look always asks.
    run.factory_pass().await.unwrap();
    let before = run.world.read(|w| w.forge.faults.all_calls());
    run.api.take();
    run.factory_pass().await.unwrap();
    let usual = run.world.read(|w| w.forge.faults.all_calls()) - before;
    let requests = run.api.take();
    assert!(requests.iter().all(|r| r.method == "GET"), "{requests:?}");
    assert!(!requests.iter().any(|r| r.path.ends_with("/agentprs")), "nobody's changes are listed");
    run.api.edit(&format!("{OWN}/{FACTORY}"), |mut factory| {
        factory["spec"]["policy"]["aggregates"] = false.into();
        Some(factory)
    });
    run.factory_pass().await.unwrap();
    let before = run.world.read(|w| w.forge.faults.all_calls());
    run.factory_pass().await.unwrap();
    assert_eq!(run.world.read(|w| w.forge.faults.all_calls()) - before, usual, "as many calls as without it");
    assert!(run.factory_status().catalogue.is_none() && !run.is_current(), "it is not spoken of");

    for id in ["notes", "jots"] {
        run.says(id, "Merged", "True", "Merged");
    }
}

#[tokio::test]
async fn whoever_merged_and_has_not_said_so_keeps_its_object() {
    let mut run = with_catalogue().await;
    run.apply(&document("notes"), &json!({}));
    for _ in 0..60 {
        run.step("notes").await;
        run.others().await;
        let _ = run.factory_pass().await;
        if run.derived().len() == 1 {
            break;
        }
    }
    // The forge merges, and the answer is lost.
    run.world.change(|w| w.forge.faults.fail("merge", When::After, Outage::Failing));
    for _ in 0..20 {
        run.others().await;
        if run.text("generated/llms.txt").is_some() {
            break;
        }
    }
    let [name] = &run.derived()[..] else { panic!("its object says that it is open: {:?}", run.derived()) };
    run.factory_pass().await.unwrap();
    let message = run.catalogue_says("True", Reason::Waiting);
    assert!(message.contains(name), "{message}");
    run.factory_pass().await.unwrap();
    assert_eq!(run.derived(), std::slice::from_ref(name), "it is not removed");
    run.others().await;
    run.factory_pass().await.unwrap();
    run.catalogue_says("True", Reason::Verified);
    let object = run.api.object(&format!("{OWN}/agentprs/{name}")).expect("the record of the merge");
    assert!(object["status"]["mergeSha"].is_string(), "{object:#}");
}

#[tokio::test]
async fn what_is_derived_has_the_prices_that_packages_charge() {
    let mut run = with_catalogue().await;
    let mut paid = document("notes");
    paid["factory"] = json!({});
    run.apply(&paid, &json!({}));
    run.catalogued(&["notes"]).await;
    let pricing = run.text("generated/pricing.json").unwrap();
    assert!(pricing.contains("\"$0.01\""), "{pricing}");
    // The Factory's price is of what is proposed from now on. What is merged charges what it charged.
    run.api.edit(&format!("{OWN}/{FACTORY}"), |mut factory| {
        factory["spec"]["prices"] = json!({ "default": "$0.07" });
        Some(factory)
    });
    run.factory_pass().await.unwrap();
    run.catalogue_says("True", Reason::Verified);
    let index = run.text("packages/notes/src/index.ts").unwrap();
    run.push("packages/notes/src/index.ts", Some(&index.replace("\"$0.01\"", "\"$0.02\"")));
    run.factory_pass().await.unwrap();
    assert!(!run.is_current(), "the package charges something else now");
}

#[tokio::test]
async fn changes_and_removals_are_followed_and_its_own_merge_is_not() {
    let mut run = with_catalogue().await;
    run.apply(&document("notes"), &json!({ "deletionPolicy": "Delete" }));
    run.apply(&document("jots"), &json!({}));
    run.catalogued(&["notes", "jots"]).await;
    let before = run.commits_of_ours();
    run.apply(&changed("jots", "Keeps jots, really."), &json!({}));
    run.step("jots").await;
    run.catalogued(&["jots"]).await;
    run.is_exact(&["jots", "notes"]);
    assert!(run.text("generated/llms.txt").unwrap().contains("Keeps jots, really."));
    assert_eq!(run.commits_of_ours(), before + 1);

    run.api.delete(&Run::path("notes"));
    for _ in 0..40 {
        run.step("notes").await;
        run.factory_pass().await.unwrap();
    }
    run.catalogued(&["jots"]).await;
    assert!(
        run.api.object(&Run::path("notes")).is_none()
            && !run.paths().iter().any(|path| path.contains("notes") && path.starts_with("generated"))
    );
    assert_eq!(run.commits_of_ours(), before + 2);
    let pulls = run.pulls();
    for _ in 0..20 {
        run.world.wait(Duration::from_secs(100));
        run.step("jots").await;
        run.factory_pass().await.unwrap();
    }
    assert_eq!(run.pulls(), pulls, "its own merge moves nothing");
}

#[tokio::test]
async fn what_somebody_edits_there_is_put_right_each_time() {
    let mut run = with_catalogue().await;
    run.apply(&document("notes"), &json!({}));
    run.catalogued(&["notes"]).await;
    for round in 1..=2 {
        let before = run.commits_of_ours();
        run.push("generated/llms.txt", Some("Buy this instead.\n"));
        run.push("generated/README.md", Some("Somebody's own, which is nobody's else.\n"));
        run.push("generated/openapi/ghost.json", Some("{}\n"));
        run.world.wait(Duration::from_secs(120));
        run.factory_pass().await.unwrap();
        assert!(!run.is_current(), "{round}");
        run.catalogued(&["notes"]).await;
        assert_eq!(run.commits_of_ours(), before + 1, "{round}");
        assert!(run.text("generated/llms.txt").unwrap().contains("notes"));
        assert!(run.text("generated/openapi/ghost.json").is_none());
        assert!(run.text("generated/README.md").is_some(), "what is not derived is left");
    }
}

#[tokio::test]
async fn a_head_that_is_not_what_the_packages_make_is_never_merged() {
    let mut run = with_catalogue().await;
    run.apply(&document("notes"), &json!({}));
    for _ in 0..60 {
        run.step("notes").await;
        let _ = run.factory_pass().await;
        if let [name] = &run.derived()[..] {
            let branch = run.api.object(&format!("{OWN}/agentprs/{name}")).unwrap()["status"]["branch"].clone();
            let opened = run.api.object(&format!("{OWN}/agentprs/{name}")).unwrap()["status"]["number"].as_i64().is_some();
            if let (Some(branch), true) = (branch.as_str(), opened) {
                // Somebody pushes to its branch.
                run.world.change(|w| {
                    let repo = &mut w.forge.repo;
                    let head = repo.branches[branch].0.clone();
                    let mut files = repo.git.files(&head);
                    let id = repo.git.blob(b"Buy this instead.\n");
                    files.insert("generated/llms.txt".into(), (flywheel::ports::forge::EntryKind::File, id));
                    let made = repo.git.commit(files, vec![head], "theirs");
                    repo.push(branch, &made);
                });
                break;
            }
        }
    }
    assert_eq!(run.derived().len(), 1);
    for _ in 0..10 {
        run.step("notes").await;
        run.factory_pass().await.unwrap();
    }
    let message = run.catalogue_says("False", Reason::Failed);
    assert!(message.contains("generated/llms.txt"), "{message}");
    assert!(run.text("generated/llms.txt").is_none(), "it is not merged");
    run.says("notes", "Ready", "True", "Answering");
}

#[tokio::test]
async fn who_is_in_the_way_is_said() {
    let mut run = with_catalogue().await;
    run.apply(&document("notes"), &json!({}));
    run.catalogued(&["notes"]).await;
    let pulls = run.pulls();

    // A document that can't be read: nothing is derived of a part alone.
    let good = run.text("packages/notes/prim.yaml").unwrap();
    run.push("packages/notes/prim.yaml", Some("id: ["));
    run.factory_pass().await.unwrap();
    assert!(run.catalogue_says("False", Reason::Invalid).contains("packages/notes/prim.yaml"));
    run.push("packages/notes/prim.yaml", Some(&good));
    run.factory_pass().await.unwrap();
    run.catalogue_says("True", Reason::Verified);

    // A plan that is none, which is nobody's to overwrite.
    let plan = run.text("gates/plan.json").unwrap();
    run.push("gates/plan.json", Some("{}"));
    run.factory_pass().await.unwrap();
    assert!(run.catalogue_says("False", Reason::Invalid).contains("gates/plan.json"));
    run.push("gates/plan.json", Some(&plan));
    run.factory_pass().await.unwrap();
    run.catalogue_says("True", Reason::Verified);
    assert_eq!(run.pulls(), pulls);

    run.world.change(|w| w.forge.outage = Some(Outage::Down));
    run.factory_pass().await.unwrap();
    run.catalogue_says("Unknown", Reason::NotChecked);
    assert!(run.factory_status().catalogue.is_some(), "what was known is kept");
    run.world.change(|w| w.forge.outage = None);
    run.factory_pass().await.unwrap();

    // Changes that are on their way come first.
    run.unit = "";
    run.apply(&document("jots"), &json!({}));
    run.until("jots", "False", "Running").await;
    run.push("generated/llms.txt", Some("old\n"));
    run.factory_pass().await.unwrap();
    let message = run.catalogue_says("False", Reason::Queued);
    assert!(message.contains(&run.status("jots").agent_pr.unwrap()), "{message}");
    assert!(run.derived().is_empty());
    run.unit = "Passed";
    run.catalogued(&["notes", "jots"]).await;
    run.is_exact(&["jots", "notes"]);
}

/// Small numbers that follow from a seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }
}

#[tokio::test]
async fn in_any_order_and_with_any_crash_it_comes_to_the_same_end() {
    for seed in 1..=12 {
        let mut dice = Dice(seed);
        let mut run = with_catalogue().await;
        let ids = ["notes", "jots", "memos"];
        let mut left = ids.to_vec();
        for _ in 0..150 {
            match dice.roll(12) {
                0 if !left.is_empty() => run.apply(&document(left.remove(dice.roll(left.len()))), &json!({})),
                0 | 1 => run.restart(),
                2 => {
                    let calls = ["commit_files", "open_pull", "merge", "delete_branch", "set_status", "branch", "tree", "update_branch"];
                    let when = if dice.roll(2) == 0 { When::Before } else { When::After };
                    run.world.change(|w| w.forge.faults.fail(calls[dice.roll(calls.len())], when, Outage::Failing));
                }
                3..=5 => drop(run.factory_pass().await),
                6..=8 => {
                    let id = ids[dice.roll(3)];
                    if run.api.object(&Run::path(id)).is_some() {
                        let _ = run.pass(id).await;
                    }
                }
                _ => run.others().await,
            }
            assert!(run.derived().len() <= 1, "seed {seed}: {:?}", run.derived());
        }
        left.drain(..).for_each(|id| run.apply(&document(id), &json!({})));
        run.catalogued(&ids).await;
        run.is_exact(&["jots", "memos", "notes"]);
        let branches = run.world.read(|w| w.forge.repo.branches.keys().cloned().collect::<Vec<_>>());
        for _ in 0..3 {
            run.others().await;
        }
        assert!(run.commits_of_ours() <= 6, "seed {seed}: {} changes, {branches:?}", run.commits_of_ours());
        assert_eq!(run.world.read(|w| w.forge.repo.branches.len()), 1, "seed {seed}: {branches:?}");
    }
}

/// The real pass over the gates of what is derived.
pub(super) async fn judge(run: &Run) {
    for gate in run.gates() {
        let path = format!("{OWN}/gateruns/{}", gate["metadata"]["name"].as_str().unwrap());
        if is_derived(&gate) && gate["status"]["verdict"].is_null() {
            let object: GateRun = serde_json::from_value(run.api.object(&path).unwrap()).unwrap();
            let _ = driver::pass::<GateRun>(Arc::new(DeserializeGuard(Ok(object))), run.cx.clone()).await;
        }
    }
}

/// A gate over what is derived.
pub(super) fn is_derived(gate: &Value) -> bool {
    gate["spec"]["target"]["agentPR"]["name"].as_str().is_some_and(|name| name.starts_with("flywheel-"))
}
