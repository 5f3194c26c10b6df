//! What becomes of a primitive whose object is deleted.

use serde_json::json;

use super::{DEPLOYMENTS, OWN, RUN, Run, document};
use crate::world::Outage;

impl Run {
    /// Steps until the object is gone.
    async fn until_gone(&mut self, id: &str) {
        for _ in 0..80 {
            if self.api.object(&Run::path(id)).is_none() {
                return;
            }
            self.step(id).await;
        }
        panic!("{id} does not go: {:#?}", self.status(id));
    }

    /// Deletes what answers, and steps until its Deployment is gone.
    async fn until_taken_down(&mut self, id: &str) {
        self.until(id, "True", "Answering").await;
        self.api.delete(&Self::path(id));
        for _ in 0..80 {
            if self.api.objects(DEPLOYMENTS).is_empty() {
                return;
            }
            self.step(id).await;
        }
        panic!("{id} still runs: {:#?}", self.status(id));
    }

    /// What Events have said since the requests were taken last.
    fn events(&self) -> String {
        self.api.take().into_iter().filter(|r| r.path.contains("/events")).map(|r| r.body).collect()
    }

    fn nothing_runs(&self) -> bool {
        ["services", "configmaps", "persistentvolumeclaims", "secrets"].iter().all(|k| self.api.objects(&format!("{RUN}/{k}")).is_empty())
            && self.api.objects(DEPLOYMENTS).is_empty()
    }
}

#[tokio::test]
async fn retain_leaves_everything_and_a_note() {
    let mut run = Run::new().await;
    run.apply(&document("notes"), &json!({}));
    run.until("notes", "True", "Answering").await;
    let tree = run.status("notes").tree.unwrap();
    run.api.delete(&Run::path("notes"));
    run.api.take();
    run.until_gone("notes").await;
    let said = run.events();
    for left in ["packages/notes of the base branch", "DnsRecord notes.prim.sh", "PersistentVolumeClaim flywheel-run/prim-notes-data"] {
        assert!(said.contains(left), "{left}: {said}");
    }
    run.factory_looks().await;
    let factory = run.api.object(&format!("{OWN}/factories/prim")).unwrap();
    assert!(factory["status"]["conditions"].to_string().contains("retained: notes; their workloads, names and data stay"), "{factory}");
    let factory = run.api.object(&format!("{OWN}/factories/prim")).unwrap();
    assert_eq!(factory["status"]["retained"], json!({ "notes": tree }));
    assert_eq!((run.routes(), run.address("notes.prim.sh").len(), run.api.objects(DEPLOYMENTS).len()), (1, 1, 1));
    assert!(run.paths().iter().any(|path| path.starts_with("packages/notes/")));
    assert_eq!(run.pulls(), 1);
}

#[tokio::test]
async fn what_was_never_merged_leaves_no_note() {
    let mut run = Run::new().await;
    run.unit = "";
    run.apply(&document("notes"), &json!({}));
    run.settle("notes").await;
    run.api.delete(&Run::path("notes"));
    run.until_gone("notes").await;
    assert!(run.api.object(&format!("{OWN}/factories/prim")).unwrap()["status"].get("retained").is_none());
}

#[tokio::test]
async fn delete_removes_the_package_by_a_pull_request_and_then_all_the_rest() {
    let mut run = Run::new().await;
    run.apply(&document("notes"), &json!({ "deletionPolicy": "Delete" }));
    run.until("notes", "True", "Answering").await;
    let tree = run.status("notes").tree.unwrap();
    run.unit = "";
    run.api.delete(&Run::path("notes"));
    run.settle("notes").await;
    let removal = format!("notes-remove-{}", &tree[..10]);
    let message = run.says("notes", "Ready", "False", "Deleting");
    assert!(message.contains(&removal), "{message}");
    let change = run.api.object(&format!("{OWN}/agentprs/{removal}")).expect("a removal");
    assert_eq!(change["spec"]["title"], "Remove notes");
    assert!(change["metadata"].get("ownerReferences").is_none());
    assert!(change["spec"]["files"].as_array().unwrap().iter().all(|file| file.get("content").is_none()));
    assert_eq!((run.routes(), run.api.objects(DEPLOYMENTS).len()), (1, 1), "nothing goes before the package");

    run.unit = "Passed";
    run.until_gone("notes").await;
    assert!(!run.paths().iter().any(|path| path.starts_with("packages/notes/")));
    assert!(run.nothing_runs() && run.routes() == 0 && run.address("notes.prim.sh").is_empty());
    assert!(run.world.read(|w| w.dns.data("a-notes.prim.sh", "TXT")).is_empty());
    assert_eq!(run.pulls(), 2);

    // And again from the beginning.
    run.apply(&document("notes"), &json!({ "deletionPolicy": "Delete" }));
    for change in run.changes().into_iter().filter(|name| !name.contains("-remove-")) {
        run.api.edit(&format!("{OWN}/agentprs/{change}"), |_| None);
    }
    for gate in run.gates() {
        run.api.edit(&format!("{OWN}/gateruns/{}", gate["metadata"]["name"].as_str().unwrap()), |_| None);
    }
    run.until("notes", "True", "Answering").await;
    run.api.delete(&Run::path("notes"));
    run.until_gone("notes").await;
    assert!(run.nothing_runs() && !run.paths().iter().any(|path| path.starts_with("packages/notes/")));
}

#[tokio::test]
async fn an_open_proposal_is_taken_back() {
    let mut run = Run::new().await;
    run.unit = "";
    run.apply(&document("notes"), &json!({ "deletionPolicy": "Delete" }));
    run.settle("notes").await;
    run.api.delete(&Run::path("notes"));
    run.until_gone("notes").await;
    assert!(run.changes().is_empty());
    run.world.read(|w| assert_eq!(w.forge.repo.branches.keys().collect::<Vec<_>>(), ["main"]));
}

#[tokio::test]
async fn what_can_not_be_reached_is_waited_for_and_another_s_name_stays() {
    let mut run = Run::new().await;
    run.apply(&document("notes"), &json!({ "deletionPolicy": "Delete" }));
    run.until("notes", "True", "Answering").await;
    run.world.change(|w| w.edge.outage = Some(Outage::Down));
    run.api.delete(&Run::path("notes"));
    run.until("notes", "False", "Unreachable").await;
    run.settle("notes").await;
    let message = run.says("notes", "Ready", "False", "Unreachable");
    assert!(message.contains("waits with the deletion"), "{message}");
    assert_eq!(run.api.objects(DEPLOYMENTS).len(), 1, "what the route leads to stays while it may lead there");
    let theirs = "heritage=external-dns,external-dns/owner=other,external-dns/resource=service/web/notes";
    run.world.change(|w| {
        w.edge.outage = None;
        w.dns.records.insert(("notes.prim.sh".into(), "A"), (60, vec!["198.51.100.7".into()]));
        w.dns.records.insert(("a-notes.prim.sh".into(), "TXT"), (60, vec![theirs.into()]));
    });
    run.until_gone("notes").await;
    assert_eq!(run.address("notes.prim.sh"), ["198.51.100.7"]);
    assert!(run.nothing_runs() && run.routes() == 0);
}

#[tokio::test]
async fn without_its_factory_it_says_what_is_left_and_goes() {
    let mut run = Run::new().await;
    run.apply(&document("notes"), &json!({ "deletionPolicy": "Delete" }));
    run.until("notes", "True", "Answering").await;
    run.api.edit(&format!("{OWN}/factories/prim"), |_| None);
    run.api.delete(&Run::path("notes"));
    run.api.take();
    run.pass("notes").await.unwrap();
    assert!(run.api.object(&Run::path("notes")).is_none());
    let said = run.api.take().into_iter().filter(|r| r.path.ends_with("/status") || r.path.contains("/events"));
    let said: Vec<_> = said.map(|r| r.body).collect();
    for left in ["its Factory is gone", "DnsRecord notes.prim.sh", "Deployment flywheel-run/prim-notes"] {
        assert!(said.iter().any(|body| body.contains(left)), "{left}: {said:?}");
    }
}

#[tokio::test]
async fn paused_holds_the_deletion_too() {
    let mut run = Run::new().await;
    run.apply(&document("notes"), &json!({ "deletionPolicy": "Delete" }));
    run.until("notes", "True", "Answering").await;
    run.apply(&document("notes"), &json!({ "deletionPolicy": "Delete", "paused": { "reason": "keep it" } }));
    run.api.delete(&Run::path("notes"));
    run.settle("notes").await;
    run.says("notes", "Ready", "False", "Paused");
    assert_eq!((run.pulls(), run.api.objects(DEPLOYMENTS).len()), (1, 1));
}

#[tokio::test]
async fn a_policy_that_turns_to_retain_takes_the_removal_back_and_says_what_stays() {
    let mut run = Run::new().await;
    run.apply(&document("notes"), &json!({ "deletionPolicy": "Delete" }));
    run.until("notes", "True", "Answering").await;
    run.unit = "";
    run.api.delete(&Run::path("notes"));
    run.settle("notes").await;
    run.says("notes", "Ready", "False", "Deleting");
    assert!(run.changes().iter().any(|name| name.contains("-remove-")));
    run.apply(&document("notes"), &json!({ "deletionPolicy": "Retain" }));
    run.api.take();
    run.until_gone("notes").await;
    let said = run.events();
    assert!(said.contains("left as they are: packages/notes of the base branch"), "Ready was Deleting before: {said}");
    assert!(!run.changes().iter().any(|name| name.contains("-remove-")));
    run.world.read(|w| assert_eq!(w.forge.repo.branches.keys().collect::<Vec<_>>(), ["main"]));
    assert!(run.paths().iter().any(|path| path.starts_with("packages/notes/")));
    assert_eq!(run.api.objects(DEPLOYMENTS).len(), 1);
}

#[tokio::test]
async fn a_merge_while_it_goes_is_seen_before_it_is_gone() {
    let mut run = Run::new().await;
    run.apply(&document("notes"), &json!({ "deletionPolicy": "Delete" }));
    run.until_taken_down("notes").await;
    // Nobody has told the Factory.
    run.push("packages/notes/prim.yaml", Some(&document("notes").to_string()));
    run.pass("notes").await.unwrap();
    let message = run.says("notes", "Ready", "False", "Deleting");
    assert!(message.contains("removes the package first"), "{message}");
    run.until_gone("notes").await;
    assert!(!run.paths().iter().any(|path| path.starts_with("packages/notes/")), "it goes with everything");
    assert!(run.nothing_runs());
    assert_eq!(run.pulls(), 3);
}

#[tokio::test]
async fn data_goes_last_and_only_by_who_leads() {
    let mut run = Run::new().await;
    run.apply(&document("notes"), &json!({ "deletionPolicy": "Delete" }));
    run.until_taken_down("notes").await;
    let claims = |run: &Run| run.api.objects(&format!("{RUN}/persistentvolumeclaims")).len();
    assert_eq!(claims(&run), 1, "nothing else is there, and the data is");
    run.cx.leadership.hold(None);
    run.pass("notes").await.unwrap_err();
    assert_eq!(claims(&run), 1);
    run.says("notes", "Ready", "False", "Conflict");
    run.cx.leadership.hold(Some(jiff::Timestamp::MAX));
    run.until_gone("notes").await;
    assert!(run.nothing_runs());
}
