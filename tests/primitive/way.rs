//! From a document to an answer, and on to the next version.

use kube::runtime::controller::Action as Requeue;
use serde_json::{Value, json};

use super::{Run, changed, document};
use crate::driver::RESYNC;

#[tokio::test]
async fn a_document_becomes_a_tested_answer() {
    let mut run = Run::new().await;
    run.apply(&document("notes"), &json!({}));
    run.step("notes").await;
    let proposed = run.says("notes", "Ready", "False", "Proposing");
    run.until("notes", "True", "Answering").await;

    let status = run.status("notes");
    let commit = status.commit.clone().expect("a commit");
    let [change] = &run.changes()[..] else { panic!("one AgentPR: {:?}", run.changes()) };
    assert!(proposed.contains(change.as_str()), "{proposed}");
    assert_eq!(status.agent_pr.as_ref(), Some(change));
    assert_eq!(format!("{:?}", status.phase), "Some(Testing)");
    assert_eq!(status.url.as_deref(), Some("https://notes.prim.sh"));
    assert!(run.says("notes", "Ready", "True", "Answering").contains(&commit));
    for kind in ["Deployed", "Routed", "NameReady", "Serving", "EnvironmentComplete"] {
        run.says("notes", kind, "True", "Verified");
    }
    run.says("notes", "Merged", "True", "Merged");
    run.says("notes", "ContractPassed", "True", "Passed");
    assert!(run.find("notes", "Stalled").is_none() && run.find("notes", "Reconciling").is_none());
    assert_eq!(run.milestones("notes"), ["Proposed", "Green", "Merged", "Deployed", "Named", "Serving", "Tested"]);
    assert_eq!(status.next_action, None);

    assert_eq!(run.pulls(), 1);
    assert_eq!(run.address("notes.prim.sh"), ["192.0.2.80"]);
    let kinds: Vec<_> = status.effects.iter().map(|e| e.kind.as_str()).collect();
    let all = ["PullRequest", "ConfigMap", "Secret", "PersistentVolumeClaim", "Deployment", "Service", "Route", "DnsRecord"];
    for kind in all {
        assert!(kinds.contains(&kind), "{kind} is not among {kinds:?}");
    }
    assert!(!kinds.contains(&"Branch"), "it went with the merge: {kinds:?}");
    let gates: Vec<_> = run.gates().into_iter().filter(|gate| gate["spec"]["layer"] == "Contract").collect();
    let [gate] = &gates[..] else { panic!("one run of layer 2: {gates:?}") };
    assert_eq!(gate["spec"]["target"], json!({ "url": "https://notes.prim.sh", "primitive": "notes", "commit": commit }));
    assert_eq!(gate["metadata"]["name"], format!("notes-{}-contract", &status.tree.unwrap()[..24]));
    assert_eq!(gate["metadata"]["ownerReferences"][0]["uid"], "uid-of-notes");

    let metrics = run.cx.metrics.encode().unwrap();
    for stage in ["merged", "green", "spec"] {
        let name = format!("flywheel_{stage}_to_serving_seconds_count 1");
        assert!(metrics.contains(&name), "{name}: {metrics}");
    }
    assert_eq!(run.quiet_pass("notes").await, Requeue::requeue(RESYNC));
}

#[tokio::test]
async fn what_is_proposed_is_what_the_document_says() {
    let mut run = Run::new().await;
    run.apply(&document("notes"), &json!({}));
    run.step("notes").await;
    let [change] = &run.api.objects("/apis/flywheel.prim.sh/v1alpha1/namespaces/flywheel/agentprs")[..] else { panic!("one AgentPR") };
    assert_eq!(change["spec"]["title"], "Add notes.sh");
    assert_eq!(change["spec"]["primitive"], "notes");
    let owner = json!({ "apiVersion": "flywheel.prim.sh/v1alpha1", "kind": "Primitive", "name": "notes", "uid": "uid-of-notes", "controller": true, "blockOwnerDeletion": false });
    assert_eq!(change["metadata"]["ownerReferences"], json!([owner]));
    assert_eq!(change["metadata"]["labels"]["flywheel.prim.sh/primitive"], "notes");
    let paths: Vec<_> = change["spec"]["files"].as_array().unwrap().iter().map(|f| f["path"].as_str().unwrap()).collect();
    assert!(paths.contains(&"packages/notes/prim.yaml") && paths.iter().all(|p| p.starts_with("packages/notes/")), "{paths:?}");
    assert!(change["spec"]["body"].as_str().unwrap().contains("Taken for granted"), "{}", change["spec"]["body"]);
}

#[tokio::test]
async fn another_packages_merge_changes_nothing() {
    let mut run = Run::new().await;
    run.apply(&document("notes"), &json!({}));
    run.until("notes", "True", "Answering").await;
    let before = run.status("notes");
    run.push("packages/other/prim.yaml", Some("id: other\n"));
    run.factory_looks().await;
    run.api.take();
    run.pass("notes").await.unwrap();
    let writes: Vec<_> = run.api.take().into_iter().filter(|r| r.method != "GET").collect();
    assert!(writes.is_empty(), "{writes:#?}");
    assert_eq!(run.status("notes"), before);
}

#[tokio::test]
async fn a_changed_document_is_proposed_on_the_old_and_the_old_serves_meanwhile() {
    let mut run = Run::new().await;
    run.apply(&document("notes"), &json!({}));
    run.until("notes", "True", "Answering").await;
    let first = run.status("notes");
    run.push("packages/notes/src/service.ts", Some("// mended by hand\n"));
    run.factory_looks().await;
    run.settle("notes").await;

    run.unit = "";
    run.apply(&changed("notes", "Keeps notes, and finds them."), &json!({}));
    run.settle("notes").await;
    run.says("notes", "Ready", "False", "Running");
    run.says("notes", "Merged", "False", "Running");
    run.says("notes", "Serving", "True", "Verified");
    let waiting = run.status("notes");
    assert_eq!(waiting.phase, first.phase, "the old one serves");
    assert_eq!(waiting.next_action.as_ref().map(|n| (n.verb.as_str(), n.url.is_some())), Some(("Wait", true)));
    assert_eq!(run.milestones("notes"), ["Proposed"], "of what is proposed now");
    assert!(run.effects("notes").iter().any(|effect| effect.starts_with("Branch agent/notes-")), "{:?}", run.effects("notes"));
    let change = run.status("notes").agent_pr.unwrap();
    let change = run.api.object(&format!("{}/agentprs/{change}", super::OWN)).unwrap();
    assert_eq!(change["spec"]["title"], "Change notes.sh");
    let paths: Vec<_> = change["spec"]["files"].as_array().unwrap().iter().map(|f| f["path"].as_str().unwrap()).collect();
    assert!(paths.contains(&"packages/notes/prim.yaml"), "{paths:?}");
    assert!(!paths.contains(&"packages/notes/src/service.ts"), "seeded code is whoever's works on it: {paths:?}");

    run.unit = "Passed";
    run.until("notes", "True", "Answering").await;
    let last = run.status("notes");
    assert_ne!((last.commit, last.tree), (first.commit, first.tree));
    assert_eq!(last.effects.iter().filter(|e| e.kind == "PullRequest").count(), 2);
    run.settle("notes").await;
    assert!(!run.effects("notes").iter().any(|effect| effect.starts_with("Branch")), "{:?}", run.effects("notes"));
    let bundles = run.api.objects(&format!("{}/configmaps", super::RUN)).len();
    assert_eq!(run.effects("notes").iter().filter(|effect| effect.starts_with("ConfigMap")).count(), bundles);
    assert_eq!(run.milestones("notes").last().map(String::as_str), Some("Tested"));
}

#[tokio::test]
async fn a_merge_by_others_runs_and_is_never_proposed_against() {
    let mut run = Run::new().await;
    run.apply(&document("notes"), &json!({}));
    run.until("notes", "True", "Answering").await;
    let yaml = serde_json::to_string(&changed("notes", "Somebody's own words.")).unwrap();
    let theirs = run.push("packages/notes/prim.yaml", Some(&yaml));
    run.factory_looks().await;
    run.settle("notes").await;
    run.says("notes", "SpecOutdated", "True", "Superseded");
    run.says("notes", "Ready", "True", "Answering");
    assert_eq!(run.status("notes").commit.as_deref(), Some(theirs.as_str()));
    assert_eq!((run.changes().len(), run.pulls()), (1, 1));

    // The spec follows, and is not outdated any more.
    run.apply(&changed("notes", "Somebody's own words."), &json!({}));
    run.settle("notes").await;
    assert!(run.find("notes", "SpecOutdated").is_none());
    assert_eq!(run.pulls(), 1);
}

#[tokio::test]
async fn a_package_that_is_there_is_adopted_without_a_proposal() {
    let mut run = Run::new().await;
    run.apply(&document("notes"), &json!({}));
    run.until("notes", "True", "Answering").await;
    // Its object was lost, and made anew with the same document.
    run.api.edit(&Run::path("notes"), |_| None);
    for change in run.changes() {
        run.api.edit(&format!("{}/agentprs/{change}", super::OWN), |_| None);
    }
    for gate in run.gates() {
        run.api.edit(&format!("{}/gateruns/{}", super::OWN, gate["metadata"]["name"].as_str().unwrap()), |_| None);
    }
    run.apply(&document("notes"), &json!({}));
    run.until("notes", "True", "Answering").await;
    assert!(run.changes().is_empty());
    assert_eq!((run.pulls(), run.address("notes.prim.sh").len()), (1, 1));
}

#[tokio::test]
async fn building_is_as_far_as_the_stage_lets_it_go() {
    let mut run = Run::new().await;
    run.apply(&document("notes"), &json!({ "stage": "Building" }));
    run.until("notes", "True", "StageReached").await;
    assert!(run.api.objects(super::DEPLOYMENTS).is_empty() && run.routes() == 0);
    assert_eq!(run.quiet_pass("notes").await, Requeue::requeue(RESYNC));

    run.apply(&document("notes"), &json!({ "stage": "Testing" }));
    run.until("notes", "True", "Answering").await;
    run.apply(&document("notes"), &json!({ "stage": "Building" }));
    run.until("notes", "True", "StageReached").await;
    let status = run.status("notes");
    assert_eq!((format!("{:?}", status.phase).as_str(), status.url, status.tree), ("Some(Building)", None, None));
    assert!(run.api.objects(super::DEPLOYMENTS).is_empty() && run.routes() == 0 && run.address("notes.prim.sh").is_empty());
    let claims = run.api.objects(&format!("{}/persistentvolumeclaims", super::RUN));
    assert_eq!(claims.len(), 1, "its data stays");
    assert_eq!(run.quiet_pass("notes").await, Requeue::requeue(RESYNC));
}

#[tokio::test]
async fn live_says_what_it_lacks() {
    let mut run = Run::new().await;
    run.apply(&document("notes"), &json!({ "stage": "Live" }));
    run.until("notes", "False", "StageUnavailable").await;
    run.says("notes", "Stalled", "True", "StageUnavailable");
    run.says("notes", "ContractPassed", "True", "Passed");
    assert_eq!(format!("{:?}", run.status("notes").phase), "Some(Testing)");
    assert_eq!(run.quiet_pass("notes").await, Requeue::requeue(RESYNC));
}

#[tokio::test]
async fn every_example_comes_to_the_end_of_its_stage() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests/examples");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if !path.file_name().unwrap().to_str().unwrap().starts_with("primitive-") {
            continue;
        }
        let example: Value = serde_saphyr::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let (spec, id) = (&example["spec"], example["metadata"]["name"].as_str().unwrap());
        let mut run = Run::new().await;
        run.apply(&spec["document"], &json!({ "stage": spec["stage"] }));
        match spec["stage"].as_str() {
            Some("Live") => run.until(id, "False", "StageUnavailable").await,
            _ => run.until(id, "True", "Answering").await,
        }
        seen += 1;
    }
    assert!(seen >= 2, "the examples are gone");
}

#[tokio::test]
async fn a_record_says_whose_it_is_and_no_other_factory_of_the_name_has_it() {
    let mut run = Run::new().await;
    // Another cluster's, whose Factory is called the same and has another repository.
    let theirs = "heritage=external-dns,external-dns/owner=prim-00000000,external-dns/resource=primitive/flywheel/notes";
    run.world.change(|w| {
        w.dns.records.insert(("notes.prim.sh".into(), "A"), (60, vec!["198.51.100.7".into()]));
        w.dns.records.insert(("a-notes.prim.sh".into(), "TXT"), (60, vec![theirs.into()]));
    });
    run.apply(&document("notes"), &json!({}));
    run.until("notes", "False", "Taken").await;
    assert!(run.says("notes", "NameReady", "False", "Taken").contains("primitive/flywheel/notes of prim-00000000"));
    run.world.change(|w| w.dns.records.clear());
    run.until("notes", "True", "Answering").await;
    let mark = run.world.read(|w| w.dns.data("a-notes.prim.sh", "TXT"));
    let [text] = &mark[..] else { panic!("one mark: {mark:?}") };
    let owner = text.split(',').find_map(|part| part.strip_prefix("external-dns/owner=prim-")).expect("the Factory's name");
    assert!(owner.len() == 8 && owner.bytes().all(|b| b.is_ascii_hexdigit()), "{text}");
    assert!(text.starts_with("heritage=external-dns,") && text.ends_with(",external-dns/resource=primitive/flywheel/notes"), "{text}");

    // The same from the same repository, in whatever cluster.
    let mut anew = Run::new().await;
    anew.apply(&document("notes"), &json!({}));
    anew.until("notes", "True", "Answering").await;
    assert_eq!(anew.world.read(|w| w.dns.data("a-notes.prim.sh", "TXT")), mark);

    let mut named = Run::new().await;
    named.api.edit(&format!("{}/factories/prim", super::OWN), |mut factory| {
        factory["spec"]["dns"]["ownerId"] = "blue".into();
        Some(factory)
    });
    named.apply(&document("notes"), &json!({}));
    named.until("notes", "True", "Answering").await;
    assert!(named.world.read(|w| w.dns.data("a-notes.prim.sh", "TXT"))[0].contains("external-dns/owner=blue,"));
}

#[tokio::test]
async fn a_record_of_another_time_to_live_is_mended_once() {
    let mut run = Run::new().await;
    run.apply(&document("notes"), &json!({}));
    run.until("notes", "True", "Answering").await;
    let set = |run: &Run| run.world.read(|w| w.dns.faults.calls("set_address"));
    let before = set(&run);
    for of in ["notes.prim.sh", "a-notes.prim.sh"] {
        run.world.change(|w| w.dns.records.iter_mut().filter(|((name, _), _)| name == of).for_each(|(_, (ttl, _))| *ttl = 3600));
        run.pass("notes").await.unwrap();
        run.says("notes", "Ready", "True", "Answering");
        run.world.read(|w| assert!(w.dns.records.values().all(|(ttl, _)| *ttl == 60), "{:?}", w.dns.records));
    }
    run.quiet_pass("notes").await;
    assert_eq!(set(&run), before + 2);
}
