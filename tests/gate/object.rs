//! GateRuns from what they name to their Job and its verdict, over a forge and an
//! API server in memory. No Job runs here.

use std::sync::Arc;

use axum::http::{Method, StatusCode};
use flywheel::{
    api::{
        gate_run::{GateRun, GateRunStatus, Verdict},
        names::Sha,
    },
    controller::{context::Context, driver},
    gate::{
        bundle::{self, Bundle, SourceFile},
        report::{Report, Step},
    },
    ports::forge::EntryKind,
    prim,
    scaffold::{self, Options},
};
use k8s_openapi::{ByteString, api::core::v1::ConfigMap};
use kube::{core::DeserializeGuard, runtime::controller::Action as Requeue};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::{
    apiserver::ApiServer,
    driver::RESYNC,
    fixtures,
    world::{Fakes, Outage, World, faults::When, forge::sha},
};

pub(super) const GROUP: &str = "/apis/flywheel.prim.sh/v1alpha1/namespaces/flywheel";
pub(super) const JOBS: &str = "/apis/batch/v1/namespaces/flywheel-gates/jobs";
pub(super) const CONFIGS: &str = "/api/v1/namespaces/flywheel-gates/configmaps";
pub(super) const PODS: &str = "/api/v1/namespaces/flywheel-gates/pods";
const DOCUMENT: &str = "id: notes\nname: notes.sh\nroutes_map:\n  - { route: GET /v1/notes, status: 200, operation_id: list_notes }\n";

/// A file as a commit has it.
pub(super) type File = (&'static str, EntryKind, Vec<u8>);

pub(super) fn file(path: &'static str, content: &str) -> File {
    (path, EntryKind::File, content.into())
}

/// What every commit begins with.
pub(super) fn base() -> Vec<File> {
    vec![file("biome.json", "{}"), file("packages/search/prim.yaml", "id: search\n")]
}

/// The base with a package of notes.
pub(super) fn head() -> Vec<File> {
    [base(), vec![file("packages/notes/prim.yaml", DOCUMENT), file("packages/notes/src/index.ts", "export {};\n")]].concat()
}

pub(super) struct Cluster {
    pub(super) api: ApiServer,
    pub(super) world: Arc<World>,
    pub(super) cx: Arc<Context>,
}

impl Cluster {
    pub(super) fn new() -> Self {
        let api = ApiServer::default();
        for secret in fixtures::secrets() {
            api.put(secret);
        }
        let mut factory = serde_json::to_value(fixtures::factory()).unwrap();
        factory["spec"]["policy"]["maxRunningGates"] = json!(1);
        factory["spec"]["deploy"]["edge"]["caBundle"] = json!("the edge's authority");
        api.put_object(&format!("{GROUP}/factories/prim"), factory);
        let world = World::good();
        let (sender, _) = mpsc::channel(1);
        let cx = Context::with_world(api.client(), Arc::new(Fakes(world.clone())), world.clone(), sender, RESYNC);
        let cluster = Self { api, world, cx: Arc::new(cx) };
        cluster.change("notes-1", "prim");
        cluster
    }

    /// An AgentPR over notes.
    fn change(&self, name: &str, factory: &str) {
        let spec = json!({ "factoryRef": { "name": factory }, "primitive": "notes", "title": "Add notes", "files": [{ "path": "packages/notes/prim.yaml" }] });
        self.put(&format!("{GROUP}/agentprs/{name}"), "AgentPR", name, 0, &spec);
    }

    fn put(&self, path: &str, kind: &str, name: &str, second: u32, spec: &Value) {
        self.api.put_object(
            path,
            json!({
                "apiVersion": "flywheel.prim.sh/v1alpha1", "kind": kind,
                "metadata": { "name": name, "namespace": "flywheel", "uid": format!("{name}-uid"), "generation": 1,
                    "creationTimestamp": format!("2027-01-15T08:00:{second:02}Z") },
                "spec": spec,
            }),
        );
    }

    pub(super) fn apply(&self, name: &str, second: u32, layer: &str, target: &Value) {
        let spec = json!({ "factoryRef": { "name": "prim" }, "layer": layer, "target": target, "timeoutSeconds": 60 });
        self.put(&format!("{GROUP}/gateruns/{name}"), "GateRun", name, second, &spec);
    }

    /// A commit of these files alone, and its tree.
    pub(super) fn commit(&self, files: &[File]) -> (Sha, Sha) {
        self.world.read(|state| {
            let git = &mut state.forge.repo.git;
            let files: std::collections::BTreeMap<_, _> =
                files.iter().map(|(path, kind, content)| ((*path).to_owned(), (*kind, git.blob(content)))).collect();
            let made = git.commit(files, Vec::new(), "");
            let tree = git.look(&made).unwrap().tree;
            (made, tree)
        })
    }

    /// A run over the change of `head` from `base`.
    pub(super) fn over(&self, name: &str, second: u32, base: &[File], head: &[File]) {
        let ((base, _), (head, tree)) = (self.commit(base), self.commit(head));
        let revision = json!({ "base": base.as_str(), "head": head.as_str(), "tree": tree.as_str() });
        self.apply(name, second, "Unit", &json!({ "agentPR": { "name": "notes-1", "revision": revision } }));
    }

    pub(super) async fn pass(&self, name: &str) -> Result<Requeue, driver::PassError> {
        let object: GateRun = serde_json::from_value(self.api.object(&format!("{GROUP}/gateruns/{name}")).unwrap()).unwrap();
        driver::pass::<GateRun>(Arc::new(DeserializeGuard(Ok(object))), self.cx.clone()).await
    }

    pub(super) fn status(&self, name: &str) -> GateRunStatus {
        serde_json::from_value(self.api.object(&format!("{GROUP}/gateruns/{name}")).unwrap()["status"].clone()).unwrap()
    }

    /// The reason and message of `Ready`.
    pub(super) fn says(&self, name: &str) -> (String, String) {
        let ready = self.status(name).conditions.into_iter().find(|c| c.type_ == "Ready").expect("Ready");
        (ready.reason, ready.message)
    }

    pub(super) fn jobs(&self) -> Vec<Value> {
        self.api.objects(JOBS)
    }

    /// The files that a Job's ConfigMap carries.
    fn bundle(&self, job: &str) -> Vec<SourceFile> {
        let config: ConfigMap = serde_json::from_value(self.api.object(&format!("{CONFIGS}/{job}")).unwrap()).unwrap();
        let packed = &config.binary_data.unwrap()["bundle.json.gz"].0;
        bundle::files(packed, &bundle::digest(packed)).unwrap()
    }

    /// Ends a Job whose gate said this.
    pub(super) fn end(&self, job: &str, said: &str) {
        let path = format!("{JOBS}/{job}");
        self.api.edit(&path, |mut job| {
            job["status"] = json!({ "conditions": [{ "type": "Complete", "status": "True" }] });
            Some(job)
        });
        let state = json!({ "terminated": { "exitCode": 0, "message": said } });
        let gate = json!({ "name": "gate", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": state });
        self.api.put_object(
            &format!("{PODS}/{job}-x"),
            json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": format!("{job}-x"), "namespace": "flywheel-gates", "labels": { "batch.kubernetes.io/job-name": job } },
                "status": { "phase": "Succeeded", "containerStatuses": [gate] } }),
        );
    }

    pub(super) fn forge_calls(&self) -> u32 {
        self.world.read(|state| state.forge.faults.all_calls())
    }
}

/// The word after `flag` in the gate container's command.
pub(super) fn argument(job: &Value, flag: &str) -> String {
    let command = job["spec"]["template"]["spec"]["containers"][0]["command"].as_array().unwrap();
    command.iter().skip_while(|word| *word != flag).nth(1).unwrap().as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_change_becomes_a_job_with_its_whole_package_and_a_verdict() {
    let cluster = Cluster::new();
    let mut files = head();
    files.push(("packages/notes/link", EntryKind::Symlink, b"/etc/passwd".to_vec()));
    files.push(("packages/notes/run.sh", EntryKind::Executable, b"#!/bin/sh\n".to_vec()));
    cluster.over("gate-1", 0, &base(), &files);
    cluster.pass("gate-1").await.unwrap();

    let [job] = &cluster.jobs()[..] else { panic!("one Job: {:?}", cluster.jobs()) };
    let name = cluster.status("gate-1").job.expect("the Job's name");
    assert_eq!(job["metadata"]["name"], name.as_str());
    let labels = &job["spec"]["template"]["metadata"]["labels"];
    assert_eq!((&labels["flywheel.prim.sh/layer"], &labels["flywheel.prim.sh/gaterun"]), (&json!("unit"), &json!("gate-1")));
    // What a package may not have reaches the judge as what it is.
    let modes: Vec<_> = cluster.bundle(&name).into_iter().map(|f| (f.path, f.mode)).collect();
    let expected = [("link", "120000"), ("prim.yaml", "100644"), ("run.sh", "100755"), ("src/index.ts", "100644")];
    assert_eq!(modes, expected.map(|(path, mode)| (format!("packages/notes/{path}"), mode.to_owned())));
    assert_eq!(cluster.says("gate-1").0, "Running");

    // Its inputs are there: nobody is asked for them again.
    let calls = cluster.forge_calls();
    cluster.api.take();
    cluster.pass("gate-1").await.unwrap();
    assert_eq!(cluster.forge_calls(), calls);
    let requests = cluster.api.take();
    assert!(requests.iter().all(|r| r.method == Method::GET || r.path.ends_with("/status") || r.path.contains("/events")), "{requests:?}");
    assert!(requests.iter().all(|r| !r.path.contains("/factories") && !r.path.contains("/agentprs")), "{requests:?}");

    let report = Report::new(&name, argument(job, "--digest"), vec![Step::passed("lint")]);
    cluster.end(&name, &report.summary("").to_termination());
    for _ in 0..2 {
        cluster.pass("gate-1").await.unwrap();
        assert_eq!((cluster.status("gate-1").verdict, cluster.says("gate-1").0.as_str()), (Some(Verdict::Passed), "Passed"));
    }
    let counted = cluster.cx.metrics.encode().unwrap();
    assert!(counted.contains("flywheel_gate_verdicts_total{layer=\"unit\",verdict=\"Passed\"} 1"), "{counted}");
}

#[tokio::test]
async fn what_a_change_says_without_being_run_needs_no_job() {
    let with = |more: Vec<File>| [head(), more].concat();
    let without = |path: &str| head().into_iter().filter(|f| f.0 != path).collect::<Vec<_>>();
    let notes = || without("packages/notes/prim.yaml");
    let many = (0..501).map(|i| file(Box::leak(format!("packages/notes/src/f{i}.ts").into_boxed_str()), "")).collect();
    for (what, before, after, verdict, step, named) in [
        ("a removal", head(), base(), Verdict::Passed, "removal", "packages/notes/ is removed"),
        ("a removal of more", head(), vec![file("biome.json", "{}")], Verdict::Failed, "files", "packages/search/prim.yaml"),
        (
            "a workflow",
            base(),
            with(vec![file(".github/workflows/x.yml", "on: push")]),
            Verdict::Failed,
            "files",
            ".github/workflows/x.yml",
        ),
        (
            "other configuration",
            base(),
            [vec![file("biome.json", "{ }")], without("biome.json")].concat(),
            Verdict::Failed,
            "files",
            "\"biome.json\" (changed)",
        ),
        ("no document", base(), notes(), Verdict::Failed, "files", "needs exactly one packages/<id>/prim.yaml"),
        (
            "a document that is none",
            base(),
            [notes(), vec![file("packages/notes/prim.yaml", "id: [")]].concat(),
            Verdict::Failed,
            "files",
            "packages/notes/prim.yaml: ",
        ),
        (
            "another's document",
            base(),
            [notes(), vec![file("packages/notes/prim.yaml", "id: search")]].concat(),
            Verdict::Failed,
            "files",
            "its id is search",
        ),
        (
            "no text",
            base(),
            with(vec![("packages/notes/a.bin", EntryKind::File, vec![0xff])]),
            Verdict::Failed,
            "files",
            "a.bin is no text",
        ),
        (
            "a huge file",
            base(),
            with(vec![file("packages/notes/a.ts", &"x".repeat(bundle::MAX_FILE + 1))]),
            Verdict::Failed,
            "files",
            "bytes",
        ),
        ("too many files", base(), with(many), Verdict::Failed, "files", "503 files"),
    ] {
        let cluster = Cluster::new();
        cluster.over("gate-1", 0, &before, &after);
        cluster.pass("gate-1").await.unwrap_or_else(|e| panic!("{what}: {e}"));
        let status = cluster.status("gate-1");
        assert_eq!((status.verdict, status.job), (Some(verdict), None), "{what}: {:?}", status.conditions);
        assert_eq!(status.results.iter().map(|r| r.name.as_str()).collect::<Vec<_>>(), [step], "{what}");
        let (_, message) = cluster.says("gate-1");
        assert!(message.contains(named), "{what}: {named:?} is not in {message:?}");
        assert!(cluster.jobs().is_empty() && cluster.api.objects(CONFIGS).is_empty(), "{what}");
    }
}

#[tokio::test]
async fn a_revision_that_is_not_there_is_no_verdict_about_the_change() {
    let cluster = Cluster::new();
    let (base, tree) = cluster.commit(&base());
    let revision =
        |base: &Sha, head: &Sha| json!({ "agentPR": { "name": "notes-1", "revision": { "base": base, "head": head, "tree": tree } } });
    for (i, (base, head, named)) in [(&base, &sha(99), "revision.head"), (&sha(99), &base, "revision.base")].into_iter().enumerate() {
        let name = format!("gate-{i}");
        cluster.apply(&name, 0, "Unit", &revision(base, head));
        cluster.pass(&name).await.unwrap();
        assert_eq!(cluster.status(&name).verdict, Some(Verdict::Error), "{named}");
        assert!(cluster.says(&name).1.contains(named));
    }
    // Another tree than the one that was meant is the change's own fault.
    let (head, _) = cluster.commit(&head());
    cluster.apply("gate-x", 0, "Unit", &revision(&base, &head));
    cluster.pass("gate-x").await.unwrap();
    assert_eq!(cluster.status("gate-x").verdict, Some(Verdict::Failed));
    assert!(cluster.says("gate-x").1.starts_with("head is another tree"));
}

#[tokio::test]
async fn what_is_not_the_changes_fault_is_a_condition() {
    let row = |change: fn(&Cluster), reason: &'static str, named: &'static str| (change, reason, named);
    for (change, reason, named) in [
        row(|c| c.api.delete(&format!("{GROUP}/agentprs/notes-1")), "Waiting", "spec.target.agentPR.name: AgentPR notes-1 does not exist"),
        row(|c| c.change("notes-1", "other"), "Invalid", "spec.target.agentPR.name: AgentPR notes-1 is of Factory other"),
        row(|c| c.api.delete(&format!("{GROUP}/factories/prim")), "Waiting", "spec.factoryRef.name: Factory prim does not exist"),
        row(|c| c.world.change(|w| w.forge.outage = Some(Outage::Down)), "Unreachable", "Factory prim: https://forge.example"),
        row(|c| c.world.change(|w| w.forge.tokens.clear()), "TokenRejected", "Factory prim: "),
        row(|c| c.api.remove(fixtures::SYSTEM, "prim-forge"), "SecretNotFound", "Factory prim: "),
    ] {
        let cluster = Cluster::new();
        cluster.over("gate-1", 0, &base(), &head());
        change(&cluster);
        let _ = cluster.pass("gate-1").await;
        let (said, message) = cluster.says("gate-1");
        assert_eq!(said, reason, "{message}");
        assert!(message.contains(named), "{named:?} is not in {message:?}");
        assert_eq!((cluster.status("gate-1").verdict, cluster.jobs().len()), (None, 0), "{named}");
    }
}

/// A file that can't be read now is not taken for one that is wrong; what was read
/// once is what it is.
#[tokio::test]
async fn a_forge_that_may_not_be_asked_judges_nothing() {
    let cluster = Cluster::new();
    let bad: Vec<File> = [head(), vec![("packages/notes/a.bin", EntryKind::File, vec![0xff])]].concat();
    cluster.over("gate-1", 0, &base(), &bad);
    cluster.over("gate-2", 1, &base(), &bad);
    cluster.world.change(|w| w.forge.faults.fail("blob", When::Before, Outage::Down));
    let _ = cluster.pass("gate-1").await;
    assert_eq!((cluster.status("gate-1").verdict, cluster.says("gate-1").0.as_str()), (None, "Unreachable"));
    cluster.pass("gate-1").await.unwrap();
    assert_eq!(cluster.status("gate-1").verdict, Some(Verdict::Failed));
    let calls = cluster.forge_calls();
    cluster.pass("gate-2").await.unwrap();
    assert_eq!((cluster.status("gate-2").verdict, cluster.forge_calls()), (Some(Verdict::Failed), calls));
}

/// It asks its Factory's forge at first every 5 s, and more and more seldom.
#[tokio::test]
async fn a_run_whose_forge_is_down_for_long_waits_for_long() {
    let cluster = Cluster::new();
    cluster.over("gate-1", 0, &base(), &head());
    cluster.world.change(|w| w.forge.outage = Some(Outage::Down));
    for (passed, due) in [(0, 5), (60, 30), (3600, 300)] {
        cluster.world.wait(std::time::Duration::from_secs(passed));
        assert_eq!(cluster.pass("gate-1").await.unwrap(), Requeue::requeue(std::time::Duration::from_secs(due)), "after {passed} s");
    }
    cluster.world.change(|w| w.forge.outage = None);
    cluster.pass("gate-1").await.unwrap();
    assert_eq!(cluster.says("gate-1").0, "Running");
    assert!(cluster.status("gate-1").conditions.iter().all(|c| c.type_ != "Retrying"));
}

#[tokio::test]
async fn runs_wait_for_their_turn_the_oldest_first() {
    let cluster = Cluster::new();
    for (name, second) in [("gate-c", 3), ("gate-a", 1), ("gate-b", 2)] {
        cluster.over(name, second, &base(), &head());
    }
    for name in ["gate-c", "gate-b"] {
        cluster.pass(name).await.unwrap();
        assert_eq!(cluster.says(name).0, "Queued", "{name}");
    }
    assert!(cluster.says("gate-c").1.starts_with("behind 2 others"), "{:?}", cluster.says("gate-c"));
    cluster.pass("gate-a").await.unwrap();
    assert_eq!(cluster.jobs().len(), 1);

    // Whoever waits asks the API server alone, and writes nothing.
    let calls = cluster.forge_calls();
    cluster.api.take();
    let again = cluster.pass("gate-c").await.unwrap();
    assert_eq!(again, Requeue::requeue(std::time::Duration::from_secs(30)));
    assert!(cluster.api.take().iter().all(|r| r.method == Method::GET), "nothing is written");
    assert_eq!((cluster.forge_calls(), cluster.jobs().len()), (calls, 1));

    let job = cluster.status("gate-a").job.unwrap();
    cluster.end(&job, "");
    cluster.pass("gate-a").await.unwrap();
    cluster.pass("gate-c").await.unwrap();
    assert!(cluster.says("gate-c").1.starts_with("behind 1 other:"), "{:?}", cluster.says("gate-c"));
    cluster.pass("gate-b").await.unwrap();
    assert_eq!((cluster.says("gate-b").0.as_str(), cluster.jobs().len()), ("Running", 2));

    // What needs no Job waits for nobody.
    cluster.over("gate-d", 4, &head(), &base());
    cluster.pass("gate-d").await.unwrap();
    assert_eq!(cluster.status("gate-d").verdict, Some(Verdict::Passed));
}

#[tokio::test]
async fn a_job_whose_run_is_gone_takes_its_place_until_it_ends() {
    let cluster = Cluster::new();
    let left = format!("{JOBS}/left-behind");
    let labels = json!({ "flywheel.prim.sh/gaterun-namespace": "flywheel", "flywheel.prim.sh/gaterun": "left" });
    cluster.api.put_object(
        &left,
        json!({ "apiVersion": "batch/v1", "kind": "Job", "metadata": { "name": "left-behind", "namespace": "flywheel-gates", "labels": labels } }),
    );
    cluster.over("gate-1", 0, &base(), &head());
    cluster.pass("gate-1").await.unwrap();
    assert!(cluster.says("gate-1").1.starts_with("behind 1 other:"), "{:?}", cluster.says("gate-1"));

    cluster.api.edit(&left, |mut job| {
        job["status"] = json!({ "conditions": [{ "type": "Failed", "status": "True" }] });
        Some(job)
    });
    cluster.pass("gate-1").await.unwrap();
    assert_eq!((cluster.says("gate-1").0.as_str(), cluster.jobs().len()), ("Running", 2));
}

#[tokio::test]
async fn a_job_that_is_refused_is_said_and_made_later() {
    let cluster = Cluster::new();
    cluster.over("gate-1", 0, &base(), &head());
    cluster.api.refuse_those(|seen| {
        (seen.method == Method::POST && seen.path.ends_with("/jobs")).then_some((StatusCode::FORBIDDEN, "the test says 403"))
    });
    assert!(cluster.pass("gate-1").await.is_err());
    let (reason, message) = cluster.says("gate-1");
    assert_eq!(reason, "PermissionMissing");
    assert!(message.starts_with("the API server refused the gate's Job in namespace flywheel-gates: the test says 403"), "{message}");
    assert_eq!(cluster.status("gate-1").job, None);

    cluster.api.relent();
    cluster.pass("gate-1").await.unwrap();
    assert_eq!((cluster.says("gate-1").0.as_str(), cluster.jobs().len()), ("Running", 1));
}

/// Also what a process leaves behind that dies between the two.
#[tokio::test]
async fn inputs_that_were_not_given_to_their_job_are_given_later() {
    let cluster = Cluster::new();
    cluster.over("gate-1", 0, &base(), &head());
    let name = "gate-1-gate-1-u";
    cluster.api.refuse(&format!("/configmaps/{name}"), StatusCode::INTERNAL_SERVER_ERROR);
    assert!(cluster.pass("gate-1").await.is_err());
    assert_eq!((cluster.jobs().len(), cluster.status("gate-1").job), (1, None));

    cluster.api.relent();
    cluster.api.edit(&format!("{JOBS}/{name}"), |mut job| {
        job["metadata"]["uid"] = json!("job-uid");
        Some(job)
    });
    // Even if it has ended meanwhile, the verdict comes after that.
    cluster.end(name, "");
    cluster.pass("gate-1").await.unwrap();
    let config = cluster.api.object(&format!("{CONFIGS}/{name}")).unwrap();
    assert_eq!(config["metadata"]["ownerReferences"][0]["uid"], "job-uid");
    assert_eq!((cluster.jobs().len(), cluster.status("gate-1").job.as_deref()), (1, Some(name)));
    cluster.pass("gate-1").await.unwrap();
    assert_eq!(cluster.status("gate-1").verdict, Some(Verdict::Error));
}

#[tokio::test]
async fn a_deployed_service_is_asked_by_the_document_of_its_commit() {
    let cluster = Cluster::new();
    let (commit, _) = cluster.commit(&head());
    let target = |primitive: &str, commit: &Sha| json!({ "url": "https://notes.prim.sh", "primitive": primitive, "commit": commit });
    cluster.apply("gate-1", 0, "Contract", &target("notes", &commit));
    cluster.pass("gate-1").await.unwrap();

    let [job] = &cluster.jobs()[..] else { panic!("one Job: {:?}", cluster.jobs()) };
    let pod = &job["spec"]["template"];
    assert_eq!(pod["metadata"]["labels"]["flywheel.prim.sh/layer"], "contract");
    assert_eq!((pod["spec"]["containers"].as_array().unwrap().len(), &pod["spec"]["initContainers"]), (1, &Value::Null));
    let config = cluster.api.object(&format!("{CONFIGS}/{}", cluster.status("gate-1").job.unwrap())).unwrap();
    let plan = config["data"]["plan.json"].as_str().unwrap();
    assert_eq!(argument(job, "--digest"), bundle::digest(plan.as_bytes()));
    let plan: Value = serde_json::from_str(plan).unwrap();
    assert_eq!(
        (&plan["url"], &plan["commit"], &plan["caBundle"]),
        (&json!("https://notes.prim.sh"), &json!(commit), &json!("the edge's authority"))
    );
    assert_eq!(plan["plan"]["names"], json!(["notes", "notes.sh"]));
    assert_eq!((&plan["plan"]["generated"], &plan["plan"]["env"]), (&Value::Null, &Value::Null), "what only layer 1 needs");
    assert_eq!(config["binaryData"], Value::Null, "no code goes along");

    let absent = sha(99);
    for (name, primitive, commit, reason, named) in [
        ("gate-2", "other", &commit, "Invalid", "spec.target.primitive: commit"),
        ("gate-3", "notes", &absent, "Broken", "spec.target.commit: the repository has no commit"),
    ] {
        cluster.apply(name, 1, "Contract", &target(primitive, commit));
        let _ = cluster.pass(name).await;
        let (said, message) = cluster.says(name);
        assert_eq!(said, reason, "{message}");
        assert!(message.contains(named), "{message}");
    }
}

#[tokio::test]
async fn a_manifest_is_tested_before_it_has_a_branch() {
    let cluster = Cluster::new();
    let document = prim::read(DOCUMENT).unwrap();
    let made = scaffold::manifest(&document, &Options::at("$0.01".parse().unwrap())).unwrap();
    let files: Vec<_> = made.files.iter().map(|f| SourceFile::new(&f.path, &f.content)).collect();
    let bundle = Bundle::pack(files.clone()).unwrap();
    let data = json!({ "bundle.json.gz": ByteString(bundle.bytes().to_vec()) });
    cluster.api.put_object("/api/v1/namespaces/flywheel/configmaps/m", json!({ "metadata": { "name": "m" }, "binaryData": data }));
    let target = |digest: &str| json!({ "manifestRef": { "name": "m", "digest": digest } });
    cluster.apply("gate-1", 0, "Unit", &target(bundle.digest()));
    cluster.pass("gate-1").await.unwrap();
    assert_eq!(cluster.bundle(&cluster.status("gate-1").job.unwrap()).len(), files.len());

    cluster.apply("gate-2", 1, "Unit", &target(&bundle::digest(b"other")));
    let _ = cluster.pass("gate-2").await;
    assert_eq!(cluster.says("gate-2").0, "Invalid");
    assert!(cluster.says("gate-2").1.starts_with("spec.target.manifestRef: the bundle's digest is"), "{:?}", cluster.says("gate-2"));
}
