//! Passes over a good world and one that changes.

use std::time::Duration;

use flywheel::decide::factory::PULL_REQUEST_LABEL;
use kube::runtime::controller::Action as Requeue;

use super::{RESYNC, Run};
use crate::{fixtures, world};

#[tokio::test]
async fn the_first_pass_writes_status_and_event_once_and_the_second_nothing() {
    let mut run = Run::new();
    let first = run.pass().await;
    assert_eq!(first.result.unwrap(), Requeue::requeue(RESYNC));
    assert_eq!((first.statuses.len(), first.events.len()), (1, 1));

    let patch = &first.statuses[0];
    assert_eq!(patch.path, "/apis/flywheel.prim.sh/v1alpha1/namespaces/flywheel/factories/prim/status");
    assert!(patch.query.contains("fieldManager=flywheel-controller") && patch.query.contains("force=true"), "{}", patch.query);
    assert_eq!(patch.content_type, "application/apply-patch+yaml");
    let body = patch.json();
    assert_eq!(body["metadata"]["uid"], run.object.metadata.uid.clone().unwrap(), "so that an object made anew is left alone");
    assert!(body.get("spec").is_none(), "a status patch must not own the spec");

    for (kind, status, reason) in [
        ("Ready", "True", "Verified"),
        ("CredentialsReady", "True", "Verified"),
        ("ForgeReady", "True", "Verified"),
        ("BranchProtected", "True", "Verified"),
        ("DnsReady", "True", "Verified"),
        ("EdgeReady", "True", "Verified"),
        ("WebhookReady", "Unknown", "AwaitingDelivery"),
    ] {
        run.says(kind, status, reason);
        assert_eq!(run.condition(kind).observed_generation, Some(1), "{kind}");
    }
    assert!(run.find("Reconciling").is_none() && run.find("Stalled").is_none());
    let status = run.status();
    assert_eq!(status.observed_generation, Some(1));
    assert_eq!(status.repository.as_deref(), Some("prim/factory"));
    assert_eq!(status.account.as_deref(), Some(world::forge::BOT.0));
    assert_eq!(status.base_sha.as_deref(), Some(world::forge::sha(1).as_str()));

    let event = first.events[0].json();
    assert_eq!((event["type"].as_str(), event["reason"].as_str()), (Some("Normal"), Some("Verified")));
    assert_eq!(event["regarding"]["kind"], "Factory");
    assert_eq!(event["regarding"]["name"], "prim");
    assert_eq!(event["note"], run.condition("Ready").message);

    run.world.wait(Duration::from_secs(60));
    assert_eq!(run.quiet_pass().await.result.unwrap(), Requeue::requeue(RESYNC));
    let metrics = run.cx.metrics.encode().unwrap();
    assert!(metrics.contains("flywheel_passes_total{kind=\"Factory\",result=\"ok\"} 2"), "{metrics}");
    assert!(metrics.contains("flywheel_status_writes_total{kind=\"Factory\"} 1"), "{metrics}");
}

#[tokio::test]
async fn the_pull_request_label_is_made_once() {
    let mut run = Run::new();
    let names = |run: &Run| run.world.read(|w| w.forge.repo.labels.iter().map(|l| l.name.clone()).collect::<Vec<_>>());
    run.pass().await.result.unwrap();
    assert_eq!(names(&run), [PULL_REQUEST_LABEL]);
    run.pass().await.result.unwrap();
    assert_eq!(names(&run), [PULL_REQUEST_LABEL]);
    let metrics = run.cx.metrics.encode().unwrap();
    assert!(metrics.contains("flywheel_actions_total{action=\"create_label\",result=\"ok\"} 1"), "{metrics}");
}

#[tokio::test]
async fn a_changed_world_is_written_once_and_so_is_its_return() {
    let mut run = Run::new();
    run.pass().await.result.unwrap();
    let good_since = run.condition("ForgeReady").last_transition_time.clone();

    run.world.wait(Duration::from_secs(60));
    run.world.change(|w| w.forge.repo.branches.get_mut("main").unwrap().1 = None);
    let changed = run.pass().await;
    assert_eq!(changed.result.unwrap(), Requeue::requeue(Duration::from_secs(300)), "somebody must act first");
    assert_eq!((changed.statuses.len(), changed.events.len()), (1, 1));
    assert_eq!(changed.events[0].json()["type"], "Warning");
    run.says("Ready", "False", "Unprotected");
    run.says("Stalled", "True", "Unprotected");
    run.says("BranchProtected", "False", "Unprotected");
    assert_eq!(run.condition("ForgeReady").last_transition_time, good_since, "what did not change keeps its time");
    assert_eq!(run.condition("Ready").last_transition_time.0, run.world.read(|w| w.now));

    run.world.wait(Duration::from_secs(60));
    run.quiet_pass().await.result.unwrap();

    run.world.change(|w| w.forge.repo.branches.get_mut("main").unwrap().1 = Some(world::forge::good_rule()));
    let back = run.pass().await;
    assert_eq!((back.statuses.len(), back.events.len()), (1, 1));
    run.says("Ready", "True", "Verified");
    assert!(run.find("Stalled").is_none(), "server-side apply removes what is not sent");
}

#[tokio::test]
async fn a_new_commit_is_noted_without_an_event() {
    let mut run = Run::new();
    run.pass().await.result.unwrap();
    let head = run.world.read(|w| w.forge.commit("main"));
    let passed = run.pass().await;
    assert_eq!((passed.statuses.len(), passed.events.len()), (1, 0));
    assert_eq!(run.status().base_sha.as_deref(), Some(head.as_str()));
}

#[tokio::test]
async fn a_new_generation_is_written_even_where_nothing_else_changed() {
    let mut run = Run::new();
    run.pass().await.result.unwrap();
    run.object.metadata.generation = Some(2);
    let passed = run.pass().await;
    assert_eq!((passed.statuses.len(), passed.events.len()), (1, 0));
    assert_eq!(run.status().observed_generation, Some(2));
    assert!(run.status().conditions.iter().all(|c| c.observed_generation == Some(2)));
}

#[tokio::test]
async fn what_was_known_of_the_forge_stays_while_it_is_down() {
    let mut run = Run::new();
    run.pass().await.result.unwrap();
    run.world.change(|w| w.forge.outage = Some(world::Outage::Down));
    let passed = run.pass().await;
    assert_eq!(passed.result.unwrap(), Requeue::requeue(Duration::from_secs(5)));
    run.says("Ready", "False", "Unreachable");
    run.says("Reconciling", "True", "Unreachable");
    run.says("ForgeReady", "False", "Unreachable");
    run.says("BranchProtected", "Unknown", "NotChecked");
    run.says("DnsReady", "True", "Verified");
    assert_eq!(run.status().account.as_deref(), Some(world::forge::BOT.0));
    assert_eq!(run.status().base_sha.as_deref(), Some(world::forge::sha(1).as_str()));

    run.world.wait(Duration::from_secs(100));
    let still = run.quiet_pass().await;
    assert_eq!(still.result.unwrap(), Requeue::requeue(Duration::from_secs(50)), "the wait grows with the outage");
}

#[tokio::test]
async fn no_secret_leaves_the_process_whatever_fails() {
    let mut run = Run::new();
    let mut seen = Vec::new();
    let mut said = Vec::new();
    run.world.change(|w| w.forge.label_refusal = Some(world::Outage::Failing));
    for step in 0..8 {
        match step {
            0 => {}
            1 => run.world.change(|w| w.forge.tokens.clear()),
            2 => run.world.change(|w| w.dns.keys.clear()),
            3 => run.world.change(|w| w.edge.clients.clear()),
            4 => run.world.change(|w| w.forge.outage = Some(world::Outage::Nonsense)),
            5 => run.api.put(fixtures::secret("prim-forge", &[("token", world::forge::BOT.1), ("webhookSecret", "")])),
            6 => run.api.put(fixtures::secret("prim-dns", &[("keyName", world::dns::KEY.0), ("secret", world::dns::KEY.1)])),
            _ => run.api.remove(fixtures::SYSTEM, "prim-edge"),
        }
        let passed = run.pass().await;
        seen.extend(passed.requests);
        said.push(format!("{:?}", passed.result));
    }
    assert!(seen.len() > 30, "the passes made requests");
    for secret in fixtures::secret_values() {
        assert!(!seen.iter().any(|r| format!("{r:?}").contains(secret)), "{secret} is in a request to the API server");
        assert!(!said.iter().any(|text| text.contains(secret)), "{secret} is in a result");
    }
}
