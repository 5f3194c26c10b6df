//! From an idea to a document, and from there like any other: with a scripted model
//! in memory, and a process that ends wherever it hurts.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use flywheel::ports::{error::PortError, scan::Scan};
use kube::runtime::controller::Action as Requeue;
use serde_json::{Value, json};

use super::{OWN, Run, document};
use crate::{
    driver::RESYNC,
    fixtures,
    world::{Outage, model::Says},
};

const IDEA: &str = "Keep jots, for whoever has one.";

/// What a model would write, strictly.
fn jots() -> Value {
    json!({
        "id": "jots", "description": "Keeps jots", "factory": { "free_service": true }, "env": ["JOTS_DB_PATH"],
        "routes_map": [{
            "route": "POST /v1/jots", "operation_id": "create_jot", "description": "Keep one", "status": 201, "request": "json", "response": "json",
        }],
    })
}

fn says(document: &Value) -> Says {
    Says::Text(document.to_string(), 1000, 500)
}

fn garbage() -> Says {
    Says::Text("Sure! Here is your service.".into(), 1000, 500)
}

async fn with_model(script: impl IntoIterator<Item = Says>) -> Run {
    let run = Run::new().await;
    run.api.edit(&format!("{OWN}/factories/prim"), |mut factory| {
        factory["spec"]["model"] = serde_json::to_value(fixtures::model_spec()).unwrap();
        Some(factory)
    });
    run.world.change(|w| w.model.script = script.into_iter().collect());
    run.factory_looks().await;
    run
}

impl Run {
    fn apply_idea(&self, id: &str, idea: &str, settings: &Value) {
        self.apply(&json!({ "id": id }), settings);
        self.api.edit(&Self::path(id), |mut object| {
            let spec = object["spec"].as_object_mut().unwrap();
            spec.remove("document");
            spec.insert("idea".into(), idea.into());
            Some(object)
        });
    }

    fn asked(&self) -> usize {
        self.world.read(|w| w.model.asked.len())
    }

    fn scripted(&self, script: impl IntoIterator<Item = Says>) {
        self.world.change(|w| w.model.script = script.into_iter().collect());
    }

    /// Lets what was begun beside the passes go on as far as it can.
    async fn breathe(&self) {
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn an_idea_becomes_a_document_once_and_that_a_tested_answer() {
    let mut run = with_model([says(&jots())]).await;
    run.apply_idea("jots", IDEA, &json!({}));
    run.pass("jots").await.unwrap();
    // What was used so far is noted before anybody is asked.
    assert_eq!((run.asked(), run.says("jots", "Ready", "False", "Asking")), (0, "model scripted is asked for the document".to_owned()));
    let noted = run.status("jots").idea.expect("the idea is noted");
    assert_eq!((noted.rounds, noted.input_tokens, run.status("jots").document), (0, 0, None));

    run.pass("jots").await.unwrap();
    run.breathe().await;
    assert_eq!(run.asked(), 1);
    run.pass("jots").await.unwrap();
    let status = run.status("jots");
    let idea = status.idea.clone().unwrap();
    assert_eq!((idea.rounds, idea.input_tokens, idea.output_tokens, idea.cost_usd.as_deref()), (1, 1000, 500, Some("0.007")));
    assert_eq!((idea.hash, idea.problems), (noted.hash, Vec::<String>::new()));
    assert_eq!(status.document.as_ref().map(|document| document.id.as_str()), Some("jots"));
    assert!(run.changes().is_empty(), "it is written down before anything is made of it");

    run.until("jots", "True", "Answering").await;
    run.says("jots", "DocumentWritten", "True", "Verified");
    assert_eq!(run.milestones("jots"), ["Proposed", "Green", "Merged", "Deployed", "Named", "Serving", "Tested"]);
    assert_eq!((run.pulls(), run.asked()), (1, 1));
    let [change] = &run.api.objects(&format!("{OWN}/agentprs"))[..] else { panic!("one AgentPR") };
    assert!(change["spec"]["body"].as_str().unwrap().contains("a model wrote for its idea"), "{}", change["spec"]["body"]);

    // The conversation had the id, and the schema.
    let (talk, schema) = run.world.read(|w| w.model.asked[0].clone());
    assert!(talk[1].text.contains(IDEA) && talk[1].text.contains("Its id is jots."), "{talk:?}");
    assert_eq!(schema, flywheel::prim::schema());

    // Neither time nor another process asks again.
    assert_eq!(run.quiet_pass("jots").await, Requeue::requeue(RESYNC));
    run.restart();
    run.pass("jots").await.unwrap();
    run.quiet_pass("jots").await;
    run.world.wait(Duration::from_secs(100_000));
    run.settle("jots").await;
    assert_eq!((run.asked(), run.pulls()), (1, 1));
}

#[tokio::test]
async fn problems_go_back_and_rounds_and_tokens_are_counted() {
    let mut other = jots();
    other["id"] = "others".into();
    let mut elsewhere = jots();
    elsewhere["endpoint"] = "jots.example.org".into();
    let mut run = with_model([says(&other), says(&elsewhere), says(&jots())]).await;
    run.apply_idea("jots", IDEA, &json!({}));
    run.until("jots", "True", "Answering").await;
    let idea = run.status("jots").idea.unwrap();
    assert_eq!((idea.rounds, idea.input_tokens, idea.cost_usd.as_deref()), (3, 3000, Some("0.021")));
    let talk = run.world.read(|w| w.model.asked[2].0.clone());
    assert!(talk[3].text.contains("id: must be jots"), "{talk:?}");
    assert!(talk[5].text.contains("the document.endpoint") && talk[5].text.contains("jots.prim.sh"), "what no file may say goes back too");
    run.says("jots", "DocumentWritten", "True", "Verified");
}

#[tokio::test]
async fn what_never_gets_strict_stalls_with_its_problems_and_another_idea_asks_anew() {
    let mut run = with_model([garbage()]).await;
    run.apply_idea("jots", IDEA, &json!({}));
    run.until("jots", "False", "NotStrict").await;
    run.says("jots", "Stalled", "True", "NotStrict");
    let message = run.says("jots", "DocumentWritten", "False", "NotStrict");
    let status = run.status("jots");
    let idea = status.idea.clone().unwrap();
    assert_eq!((idea.rounds, idea.output_tokens, run.asked()), (3, 1500, 3));
    assert!(!idea.problems.is_empty() && message.contains(&idea.problems[0]), "{message} lacks {:?}", idea.problems);
    assert_eq!(status.next_action.map(|next| next.verb), Some("Edit".into()));
    assert!(status.document.is_none() && run.nothing_pushed());
    assert_eq!(run.quiet_pass("jots").await, Requeue::requeue(RESYNC));
    run.restart();
    run.world.wait(Duration::from_secs(100_000));
    run.settle("jots").await;
    assert_eq!(run.asked(), 3, "never again by itself");

    run.scripted([says(&jots())]);
    run.apply_idea("jots", "Keep jots, and say it better.", &json!({}));
    run.until("jots", "True", "Answering").await;
    let anew = run.status("jots").idea.unwrap();
    assert_eq!((anew.rounds, anew.problems.len(), run.asked()), (1, 0, 4));
    assert_ne!(anew.hash, idea.hash);
}

#[tokio::test]
async fn a_changed_idea_is_proposed_on_the_old_and_the_old_serves_meanwhile() {
    let mut run = with_model([says(&jots())]).await;
    run.apply_idea("jots", IDEA, &json!({}));
    run.until("jots", "True", "Answering").await;
    run.scripted([Says::Held]);
    run.apply_idea("jots", "Keep jots, and find them.", &json!({}));
    for _ in 0..4 {
        run.step("jots").await;
        run.breathe().await;
    }
    run.says("jots", "Ready", "False", "Asking");
    run.says("jots", "Serving", "True", "Verified");
    assert_eq!(run.status("jots").document, None, "the old one is not what is asked for");
    let mut better = jots();
    better["description"] = "Keeps and finds jots".into();
    run.scripted([says(&better)]);
    run.world.read(|w| w.model.release.notify_one());
    run.breathe().await;
    run.until("jots", "True", "Answering").await;
    assert_eq!(run.pulls(), 2);

    // A document instead of the idea forgets what was written for it.
    run.apply(
        &{
            let mut own = document("jots");
            own["endpoint"] = "jots.prim.sh".into();
            own
        },
        &json!({}),
    );
    run.until("jots", "False", "Proposing").await;
    assert_eq!((run.status("jots").idea, run.status("jots").document), (None, None));
    run.until("jots", "True", "Answering").await;
    assert!(run.find("jots", "DocumentWritten").is_none());
}

#[tokio::test]
async fn a_process_that_ends_costs_one_more_conversation_and_nothing_else() {
    // While it is asked, and after it answered, before anybody wrote that down.
    for answered in [false, true] {
        let mut run = with_model([if answered { says(&jots()) } else { Says::Held }]).await;
        run.apply_idea("jots", IDEA, &json!({}));
        run.pass("jots").await.unwrap();
        run.pass("jots").await.unwrap();
        run.breathe().await;
        assert_eq!(run.asked(), 1);
        run.restart();
        run.scripted([says(&jots())]);
        run.until("jots", "True", "Answering").await;
        assert_eq!((run.asked(), run.pulls(), run.status("jots").idea.unwrap().rounds), (2, 1, 1));
    }
    // At every other moment it costs nothing at all.
    for steps in [0, 1, 3, 4, 5, 6, 8] {
        let mut run = with_model([says(&jots())]).await;
        run.apply_idea("jots", IDEA, &json!({}));
        for _ in 0..steps {
            run.step("jots").await;
            run.breathe().await;
        }
        run.restart();
        run.until("jots", "True", "Answering").await;
        assert!(run.asked() <= 2 && run.pulls() == 1, "{steps}: asked {} times", run.asked());
        assert_eq!(run.status("jots").idea.unwrap().rounds, 1, "{steps}");
    }
}

#[tokio::test]
async fn an_answer_whose_note_is_lost_is_noted_later_without_another_call() {
    let mut run = with_model([says(&jots())]).await;
    run.apply_idea("jots", IDEA, &json!({}));
    run.pass("jots").await.unwrap();
    run.pass("jots").await.unwrap();
    run.breathe().await;
    run.api.refuse("primitives/jots/status", axum::http::StatusCode::INTERNAL_SERVER_ERROR);
    assert!(run.pass("jots").await.is_err());
    assert!(run.status("jots").document.is_none());
    run.api.relent();
    run.until("jots", "True", "Answering").await;
    assert_eq!(run.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn each_failure_is_said_and_tried_again_in_its_time() {
    for (fails, reason, stalled, waits) in [
        (Says::Failing, "ServerError", false, 5),
        (Says::Silent, "Unreachable", false, 5),
        (Says::Limited(Duration::from_secs(77)), "RateLimited", false, 77),
        (Says::Unknown, "Invalid", true, 300),
        (Says::Nonsense, "UnexpectedAnswer", true, 300),
        (Says::Endless, "TooLarge", true, 300),
    ] {
        let mut run = with_model([garbage(), fails.clone()]).await;
        run.apply_idea("jots", IDEA, &json!({}));
        run.pass("jots").await.unwrap();
        run.pass("jots").await.unwrap();
        while run.world.read(|w| w.model.asked.len() < 2 || w.model.busy > 0) {
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        run.breathe().await;
        let again = run.pass("jots").await.unwrap();
        run.says("jots", "DocumentWritten", "False", reason);
        let message = run.says("jots", "Ready", "False", reason);
        assert!(message.contains("the model's server"), "{message}");
        run.says("jots", if stalled { "Stalled" } else { "Reconciling" }, "True", reason);
        // Who is stuck is looked at each minute: another key needs no more.
        assert_eq!(again, Requeue::requeue(Duration::from_secs(waits.min(if stalled { 60 } else { waits }))), "{fails:?}");
        let idea = run.status("jots").idea.unwrap();
        assert_eq!((idea.rounds, idea.input_tokens, idea.cost_usd.as_deref()), (1, 1000, Some("0.007")), "what was answered is counted");
        run.scripted([says(&jots())]);
        run.pass("jots").await.unwrap();
        run.breathe().await;
        assert_eq!(run.asked(), 2, "{fails:?}: not before its time");
        run.world.wait(Duration::from_secs(waits));
        run.until("jots", "True", "Answering").await;
        let idea = run.status("jots").idea.unwrap();
        assert_eq!((run.asked(), idea.rounds, idea.input_tokens), (3, 2, 2000), "{fails:?}");
    }
}

#[tokio::test]
async fn a_refused_key_waits_for_another_and_is_never_shown() {
    let mut run = with_model([says(&jots())]).await;
    run.api.put(fixtures::secret("prim-model", &[("key", "revoked-77")]));
    run.apply_idea("jots", IDEA, &json!({}));
    run.until("jots", "False", "TokenRejected").await;
    run.says("jots", "Stalled", "True", "TokenRejected");
    assert_eq!(run.asked(), 0);
    let mut mended = fixtures::secret("prim-model", &[("key", crate::world::model::KEY)]);
    mended.metadata.resource_version = Some("2".into());
    run.api.put(mended);
    run.until("jots", "True", "Answering").await;
    let said: String = run.api.take().iter().map(|request| request.body.clone()).collect();
    assert!(!said.contains("revoked-77") && !said.contains(crate::world::model::KEY), "a key shows");
}

#[tokio::test]
async fn who_can_not_be_asked_is_said() {
    // No model; a Secret that is not there, or not for this server or Factory.
    let mut run = Run::new().await;
    run.apply_idea("jots", IDEA, &json!({}));
    run.step("jots").await;
    let message = run.says("jots", "Stalled", "True", "Invalid");
    assert!(message.contains("spec.idea") && message.contains("spec.model"), "{message}");

    for (name, reason) in [("nothing-here", "SecretNotFound"), ("prim-strange", "SecretNotAllowed")] {
        let mut run = with_model([says(&jots())]).await;
        let mut strange = fixtures::secret("prim-strange", &[("key", "x")]);
        strange.metadata.annotations.as_mut().unwrap().insert("flywheel.prim.sh/allowed-servers".into(), "https://other.example".into());
        run.api.put(strange);
        run.api.edit(&format!("{OWN}/factories/prim"), |mut factory| {
            factory["spec"]["model"]["credentials"]["name"] = name.into();
            Some(factory)
        });
        run.apply_idea("jots", IDEA, &json!({}));
        run.step("jots").await;
        let message = run.says("jots", "DocumentWritten", "False", reason);
        assert!(message.contains("Factory prim") && message.contains("spec.model.credentials"), "{message}");
        run.factory_looks().await;
        let factory = run.api.object(&format!("{OWN}/factories/prim")).unwrap();
        let said = factory["status"]["conditions"].as_array().unwrap().iter().find(|c| c["type"] == "CredentialsReady").unwrap();
        assert_eq!((&said["status"], &said["reason"]), (&json!("False"), &json!(reason)));
        assert_eq!(run.asked(), 0);
    }

    // Whose name is another's needs no document.
    let mut run = with_model([says(&jots())]).await;
    run.world.change(|w| drop(w.dns.records.insert(("jots.prim.sh".into(), "A"), (60, vec!["198.51.100.7".into()]))));
    run.apply_idea("jots", IDEA, &json!({}));
    run.until("jots", "False", "Taken").await;
    run.world.change(|w| w.forge.outage = Some(Outage::Down));
    assert_eq!(run.asked(), 0);
}

/// Finds a word.
struct Word(&'static str);

#[async_trait]
impl Scan for Word {
    async fn scan(&self, files: &[(&str, &str)]) -> Result<Option<String>, PortError> {
        let found = files.iter().find(|(_, text)| text.contains(self.0));
        Ok(found.map(|(path, _)| format!("{path}: line 1 looks like a secret (test)")))
    }
}

#[tokio::test]
async fn what_looks_like_a_secret_is_neither_sent_nor_kept() {
    let scanning = |run: &mut Run| Arc::get_mut(&mut run.cx).unwrap().scanner = Arc::new(Word("hunter2"));
    let mut run = with_model([says(&jots())]).await;
    scanning(&mut run);
    run.apply_idea("jots", "Keep jots; the password is hunter2.", &json!({}));
    run.until("jots", "False", "SecretInFile").await;
    let message = run.says("jots", "Stalled", "True", "SecretInFile");
    assert!(message.starts_with("spec.idea: "), "{message}");
    assert_eq!(run.asked(), 0, "it is not sent to the model");

    // What a model says of it is no document, and stands nowhere.
    let mut leaky = jots();
    leaky["description"] = "Uses hunter2".into();
    let mut run = with_model([says(&leaky), says(&jots())]).await;
    scanning(&mut run);
    run.apply_idea("jots", IDEA, &json!({}));
    run.until("jots", "True", "Answering").await;
    assert_eq!(run.status("jots").idea.unwrap().rounds, 2);
    let written: String = run.api.take().iter().map(|request| request.body.clone()).collect();
    assert!(!written.contains("hunter2"), "it was written somewhere");
}

#[tokio::test]
async fn texts_that_would_like_to_be_code_stay_texts() {
    let nasty = "*/ process.exit(1); /* ${require('fs')} ` \" ' <script> {{ x }} # y";
    let mut hostile = jots();
    // Its name stays: what stands for its service here answers by that.
    for field in ["description", "ownership"] {
        hostile[field] = nasty.into();
    }
    for field in ["tips", "limits", "quick_start"] {
        hostile[field] = json!([nasty]);
    }
    hostile["routes_map"][0]["description"] = nasty.into();
    hostile["routes_map"][0]["errors"] = json!([{ "status": 400, "code": "invalid", "description": nasty }]);
    let mut names = jots();
    names["routes_map"][0]["operation_id"] = "x() { process.exit(1) } y".into();
    names["env"] = json!(["A; rm -rf /"]);
    names["name"] = "jots\n  - \u{202e}evil".into();
    let mut paths = jots();
    paths["id"] = "../../etc/passwd".into();
    // Names that are none go back; words that are words are what the package has.
    let mut run = with_model([says(&names), says(&paths), says(&hostile)]).await;
    run.apply_idea("jots", IDEA, &json!({}));
    run.until("jots", "True", "Answering").await;
    assert_eq!((run.status("jots").idea.unwrap().rounds, run.pulls()), (3, 1));
    let packages: Vec<_> = run.paths().into_iter().filter(|path| path.starts_with("packages/")).collect();
    assert!(!packages.is_empty() && packages.iter().all(|path| path.starts_with("packages/jots/")), "{packages:?}");
}

#[tokio::test]
async fn a_model_that_is_slow_holds_up_nobody_and_is_left_when_it_is_needed_no_more() {
    let mut run = with_model([Says::Held]).await;
    for n in 0..6 {
        run.apply_idea(&format!("slow{n}"), IDEA, &json!({}));
        run.pass(&format!("slow{n}")).await.unwrap();
        run.pass(&format!("slow{n}")).await.unwrap();
        run.breathe().await;
    }
    assert_eq!(run.world.read(|w| w.model.busy), 4, "no more at a time");
    run.pass("slow0").await.unwrap();
    run.says("slow0", "Ready", "False", "Asking");
    run.pass("slow5").await.unwrap();
    let message = run.says("slow5", "Ready", "False", "Queued");
    assert!(message.contains("as soon as"), "{message}");
    // Whoever needs no model goes on.
    run.apply(&document("notes"), &json!({}));
    run.until("notes", "True", "Answering").await;

    // Deleted: its conversation is given up, and the next has its turn.
    run.api.delete(&Run::path("slow0"));
    run.pass("slow0").await.unwrap();
    run.breathe().await;
    assert!(run.api.object(&Run::path("slow0")).is_none(), "nothing holds it");
    run.pass("slow4").await.unwrap();
    run.says("slow4", "Ready", "False", "Asking");

    // The end of the process gives up all.
    run.cx.ideas.stop();
    run.breathe().await;
    assert_eq!(run.world.read(|w| w.model.busy), 0);
    run.pass("slow5").await.unwrap();
    run.breathe().await;
    assert_eq!(run.world.read(|w| w.model.busy), 0, "and begins none");
}

#[tokio::test]
async fn paused_it_asks_nobody_and_keeps_what_it_was_told() {
    let mut run = with_model([says(&jots())]).await;
    run.apply_idea("jots", IDEA, &json!({ "paused": { "reason": "looking into it" } }));
    run.settle("jots").await;
    assert_eq!((run.says("jots", "Stalled", "True", "Paused"), run.asked()), ("looking into it".into(), 0));

    // Paused while it is asked: what comes is written down, and nothing is made of it.
    run.scripted([Says::Held]);
    run.apply_idea("jots", IDEA, &json!({}));
    run.pass("jots").await.unwrap();
    run.pass("jots").await.unwrap();
    run.breathe().await;
    run.apply_idea("jots", IDEA, &json!({ "paused": { "reason": "looking into it" } }));
    run.pass("jots").await.unwrap();
    run.scripted([says(&jots())]);
    run.world.read(|w| w.model.release.notify_one());
    run.breathe().await;
    run.settle("jots").await;
    run.says("jots", "Stalled", "True", "Paused");
    assert!(run.status("jots").document.is_some() && run.nothing_pushed());
    run.restart();
    run.apply_idea("jots", IDEA, &json!({}));
    run.until("jots", "True", "Answering").await;
    assert_eq!(run.asked(), 1);
}

#[tokio::test]
async fn deleted_and_made_anew_it_takes_up_what_the_base_branch_has() {
    let mut run = with_model([says(&jots())]).await;
    run.apply_idea("jots", IDEA, &json!({}));
    run.until("jots", "True", "Answering").await;
    run.api.delete(&Run::path("jots"));
    run.settle("jots").await;
    assert!(run.api.object(&Run::path("jots")).is_none());
    run.apply_idea("jots", IDEA, &json!({}));
    run.until("jots", "True", "Answering").await;
    assert!(run.says("jots", "DocumentWritten", "True", "Verified").contains("the base branch had the package"));
    assert_eq!((run.asked(), run.pulls()), (1, 1), "nobody is asked for what is there");
    // And a changed idea is asked for.
    let mut better = jots();
    better["description"] = "Keeps and finds jots".into();
    run.scripted([says(&better)]);
    run.apply_idea("jots", "Keep jots, and find them.", &json!({}));
    run.until("jots", "False", "Asking").await;
    run.until("jots", "True", "Answering").await;
    assert_eq!((run.asked(), run.pulls()), (2, 2));
}

#[tokio::test]
async fn the_example_comes_to_its_end() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests/examples/idea-jots.yaml");
    let example: Value = serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut run = with_model([says(&jots())]).await;
    run.apply_idea("jots", example["spec"]["idea"].as_str().unwrap(), &json!({ "stage": example["spec"]["stage"] }));
    run.until("jots", "True", "Answering").await;
}
