//! Passes in which something fails: Secrets, the API server, an action, the
//! object itself.

use std::{sync::Arc, time::Duration};

use axum::http::{Method, StatusCode};
use flywheel::{
    api::{conditions::Reason, factory::Factory},
    controller::{
        connections::allowed_forge,
        driver::{self, PassError},
    },
    ports::error::{Class, PortError},
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{core::DeserializeGuard, runtime::controller::Action as Requeue};
use serde_json::json;

use super::Run;
use crate::{fixtures, world};

fn class(result: Result<Requeue, PassError>) -> Class {
    match result.expect_err("the pass should have failed") {
        PassError::Port(error) => error.class,
        PassError::Unreadable(object) => panic!("unreadable: {}", object.error),
    }
}

#[tokio::test]
async fn a_missing_secret_is_waited_for() {
    let mut run = Run::new();
    run.api.remove(fixtures::SYSTEM, "prim-dns");
    let passed = run.pass().await;
    assert_eq!(passed.result.unwrap(), Requeue::requeue(Duration::from_secs(30)));
    run.says("Ready", "False", "SecretNotFound");
    run.says("Reconciling", "True", "SecretNotFound");
    run.says("CredentialsReady", "False", "SecretNotFound");
    run.says("DnsReady", "Unknown", "NotChecked");
    run.says("ForgeReady", "True", "Verified");
    let message = &run.condition("Ready").message;
    assert!(message.contains("flywheel-system/prim-dns") && message.contains("spec.dns.rfc2136.credentials"), "{message}");

    for secret in fixtures::secrets() {
        run.api.put(secret);
    }
    run.pass().await.result.unwrap();
    run.says("Ready", "True", "Verified");
}

#[tokio::test]
async fn a_secret_must_name_the_factory_unless_it_is_beside_it() {
    let mut run = Run::new();
    let [forge, ..] = &fixtures::secrets()[..] else { unreachable!() };
    for annotation in [None, Some("flywheel/primer"), Some("prim"), Some("")] {
        let mut theirs = forge.clone();
        let annotations = theirs.metadata.annotations.as_mut().unwrap();
        annotations.remove("flywheel.prim.sh/allowed-factories");
        annotations.extend(annotation.map(|names| ("flywheel.prim.sh/allowed-factories".to_owned(), names.to_owned())));
        run.api.put(theirs);
        run.pass().await.result.unwrap();
        run.says("CredentialsReady", "False", "SecretNotAllowed");
        run.says("Stalled", "True", "SecretNotAllowed");
        run.says("ForgeReady", "Unknown", "NotChecked");
        assert!(run.condition("Ready").message.contains("add flywheel/prim to its annotation"), "{annotation:?}");
    }

    let mut beside = forge.clone();
    beside.metadata.namespace = Some(fixtures::FACTORY.0.into());
    beside.metadata.annotations = None;
    run.api.put(beside);
    run.object.spec.repository.credentials.namespace = fixtures::FACTORY.0.into();
    run.pass().await.result.unwrap();
    run.says("Ready", "True", "Verified");
}

#[tokio::test]
async fn a_credential_goes_only_to_servers_that_its_secret_names() {
    // A Factory that was deleted and made anew, with a server of somebody else's.
    type Row = (&'static str, fn(&mut Run));
    let moved: [Row; 3] = [
        ("ForgeReady", |run| run.object.spec.repository.url = "https://forge.example.evil.example".into()),
        ("EdgeReady", |run| run.object.spec.deploy.edge.admin_url = "https://192.0.2.99:2021".into()),
        ("DnsReady", |run| run.object.spec.dns.rfc2136.as_mut().unwrap().server = "192.0.2.99:53".into()),
    ];
    for (part, change) in moved {
        let mut run = Run::new();
        change(&mut run);
        run.pass().await.result.unwrap();
        run.says("CredentialsReady", "False", "SecretNotAllowed");
        run.says(part, "Unknown", "NotChecked");
        let message = &run.condition("Ready").message;
        assert!(message.contains("to its annotation flywheel.prim.sh/allowed-servers"), "{message}");
    }
}

#[tokio::test]
async fn an_administrators_token_has_a_server_only_where_the_bots_has() {
    let mut run = Run::new();
    assert_eq!(allowed_forge(&run.object, &run.cx).await.unwrap(), "https://forge.example:443");
    run.object.spec.repository.url = "https://forge.example.evil.example".into();
    assert_eq!(allowed_forge(&run.object, &run.cx).await.unwrap_err().reason, Reason::SecretNotAllowed);
}

#[tokio::test]
async fn a_secret_beside_its_factory_may_but_need_not_name_servers() {
    let mut run = Run::new();
    run.object.spec.repository.credentials.namespace = fixtures::FACTORY.0.into();
    let mut beside = fixtures::secrets().remove(0);
    beside.metadata.namespace = Some(fixtures::FACTORY.0.into());
    for (servers, reason) in
        [(None, "Verified"), (Some("https://forge.example:443"), "Verified"), (Some("https://other.example"), "SecretNotAllowed")]
    {
        beside.metadata.annotations = servers.map(|servers| [("flywheel.prim.sh/allowed-servers".to_owned(), servers.to_owned())].into());
        run.api.put(beside.clone());
        run.pass().await.result.unwrap();
        assert_eq!(run.condition("CredentialsReady").reason, reason, "{servers:?}");
    }
}

#[tokio::test]
async fn a_part_is_left_alone_until_its_server_may_be_asked_again() {
    let mut run = Run::new();
    run.pass().await.result.unwrap();
    run.world.change(|w| w.forge.outage = Some(world::Outage::Limited(Duration::from_secs(3600))));
    run.pass().await.result.unwrap();
    run.says("ForgeReady", "False", "RateLimited");

    // It would answer, and nobody asks: neither the resync, nor a poke, nor a new spec.
    run.world.change(|w| w.forge.outage = None);
    run.world.wait(Duration::from_secs(3000));
    assert_eq!(run.quiet_pass().await.result.unwrap(), Requeue::requeue(Duration::from_secs(600)), "the other parts are due");
    run.object.metadata.generation = Some(2);
    run.world.wait(Duration::from_secs(590));
    assert_eq!(run.pass().await.result.unwrap(), Requeue::requeue(Duration::from_secs(10)));
    run.says("ForgeReady", "False", "RateLimited");

    run.world.wait(Duration::from_secs(10));
    run.pass().await.result.unwrap();
    run.says("Ready", "True", "Verified");
}

#[tokio::test]
async fn a_limit_is_of_one_account() {
    let mut run = Run::new();
    run.world.change(|w| w.forge.outage = Some(world::Outage::Limited(Duration::from_secs(3600))));
    run.pass().await.result.unwrap();
    run.world.change(|w| w.forge.outage = None);
    let mut renewed = fixtures::secrets().remove(0);
    renewed.metadata.resource_version = Some("2".into());
    run.api.put(renewed);
    run.pass().await.result.unwrap();
    run.says("Ready", "True", "Verified");
}

#[tokio::test]
async fn a_secret_that_may_not_be_read_names_the_charts_value() {
    let mut run = Run::new();
    run.api.refuse("/secrets/prim-edge", StatusCode::FORBIDDEN);
    run.pass().await.result.unwrap();
    run.says("CredentialsReady", "False", "PermissionMissing");
    run.says("EdgeReady", "Unknown", "NotChecked");
    assert!(run.condition("Ready").message.contains("controller.secrets"), "{}", run.condition("Ready").message);
}

#[tokio::test]
async fn a_secrets_key_must_be_there_be_text_and_not_be_empty() {
    let mut run = Run::new();
    let problems: [(&[(&str, &str)], &str); 3] = [
        (&[("token", "t")], "key webhookSecret is missing"),
        (&[("token", "t"), ("webhookSecret", " \n")], "key webhookSecret is empty"),
        (&[("webhookSecret", "s")], "key token is missing"),
    ];
    for (data, problem) in problems {
        run.api.put(fixtures::secret("prim-forge", data));
        run.pass().await.result.unwrap();
        run.says("CredentialsReady", "False", "SecretInvalid");
        assert!(run.condition("Ready").message.contains(problem), "{problem}: {}", run.condition("Ready").message);
    }
    let mut binary = fixtures::secret("prim-forge", &[("webhookSecret", "s")]);
    binary.data.as_mut().unwrap().insert("token".into(), k8s_openapi::ByteString(vec![0xff]));
    run.api.put(binary);
    run.pass().await.result.unwrap();
    assert!(run.condition("Ready").message.contains("key token is not text"), "{}", run.condition("Ready").message);
}

#[tokio::test]
async fn a_token_with_less_rights_than_its_account_is_found() {
    let mut run = Run::new();
    run.world.change(|w| w.forge.tokens.get_mut(world::forge::BOT.1).unwrap().writes = false);
    run.pass().await.result.unwrap();
    run.says("ForgeReady", "False", "PermissionMissing");
    run.says("Stalled", "True", "PermissionMissing");
    run.world.change(|w| w.forge.tokens.get_mut(world::forge::BOT.1).unwrap().writes = true);
    run.pass().await.result.unwrap();
    run.says("Ready", "True", "Verified");
}

#[tokio::test]
async fn several_failures_are_all_told_and_the_stuck_one_first() {
    let mut run = Run::new();
    run.world.change(|w| {
        w.forge.outage = Some(world::Outage::Limited(Duration::from_secs(77)));
        w.dns.grants.clear();
    });
    let passed = run.pass().await;
    assert_eq!(passed.result.unwrap(), Requeue::requeue(Duration::from_secs(77)), "the earliest of all waits");
    run.says("Ready", "False", "UpdateRefused");
    run.says("Stalled", "True", "UpdateRefused");
    assert!(run.find("Reconciling").is_none());
    assert!(run.condition("Ready").message.ends_with("(and 1 more condition is False)"), "{}", run.condition("Ready").message);
    run.says("ForgeReady", "False", "RateLimited");
}

#[tokio::test]
async fn an_objects_deletion_during_the_pass_is_no_failure() {
    let mut run = Run::new();
    run.api.refuse("/status", StatusCode::NOT_FOUND);
    run.pass().await.result.unwrap();
}

#[tokio::test]
async fn a_status_that_cant_be_written_fails_the_pass_by_its_class() {
    for (code, expected) in [
        (StatusCode::CONFLICT, Class::Conflict),
        (StatusCode::FORBIDDEN, Class::Denied),
        (StatusCode::UNPROCESSABLE_ENTITY, Class::Bug),
        (StatusCode::INTERNAL_SERVER_ERROR, Class::Transient),
    ] {
        let mut run = Run::new();
        run.api.refuse("/status", code);
        let passed = run.pass().await;
        assert_eq!(class(passed.result), expected, "{code}");
        assert!(passed.events.is_empty(), "nothing is announced that is not written");
        run.object.status = None;
        run.api.relent();
        run.pass().await.result.unwrap();
        run.says("Ready", "True", "Verified");
    }
}

#[tokio::test]
async fn an_event_that_cant_be_published_is_no_failure() {
    let mut run = Run::new();
    run.api.refuse("/events", StatusCode::FORBIDDEN);
    run.pass().await.result.unwrap();
    run.says("Ready", "True", "Verified");
}

#[tokio::test]
async fn a_failed_action_shows_in_ready_and_is_tried_again() {
    let mut run = Run::new();
    run.world.change(|w| w.forge.label_refusal = Some(world::Outage::Failing));
    let failed = run.pass().await;
    assert_eq!(class(failed.result), Class::Transient);
    assert_eq!((failed.statuses.len(), failed.events.len()), (1, 1));
    run.says("Ready", "False", "ServerError");
    run.says("Reconciling", "True", "ServerError");
    run.says("ForgeReady", "True", "Verified");
    assert_eq!(class(run.quiet_pass().await.result), Class::Transient);
    let metrics = run.cx.metrics.encode().unwrap();
    assert!(metrics.contains("flywheel_actions_total{action=\"create_label\",result=\"transient\"} 2"), "{metrics}");
    assert!(metrics.contains("flywheel_passes_total{kind=\"Factory\",result=\"transient\"} 2"), "{metrics}");

    run.world.change(|w| w.forge.label_refusal = None);
    run.pass().await.result.unwrap();
    run.says("Ready", "True", "Verified");
}

#[tokio::test]
async fn an_object_that_cant_be_read_is_told_so_once() {
    let run = Run::new();
    let stored = json!({
        "apiVersion": "flywheel.prim.sh/v1alpha1", "kind": "Factory",
        "metadata": { "name": "prim", "namespace": "flywheel", "uid": "u", "generation": 4 },
        "spec": { "repository": { "forge": "SourceSafe" } },
    });
    run.api.put_object("/apis/flywheel.prim.sh/v1alpha1/namespaces/flywheel/factories/prim", stored.clone());
    let guard = Arc::new(serde_json::from_value::<DeserializeGuard<Factory>>(stored).unwrap());
    let pass = || driver::pass::<Factory>(guard.clone(), run.cx.clone());
    let patches = || run.api.take().into_iter().filter(|r| r.method == Method::PATCH).collect::<Vec<_>>();

    let result = pass().await;
    let Err(error @ PassError::Unreadable(_)) = result else { panic!("{result:?}") };
    let written = patches();
    let [patch] = written.as_slice() else { panic!("{written:?}") };
    let status = &patch.json()["status"];
    assert_eq!(status["observedGeneration"], 4);
    let conditions = status["conditions"].as_array().unwrap();
    let kinds: Vec<_> = conditions.iter().map(|c| (c["type"].as_str().unwrap(), c["status"].as_str().unwrap())).collect();
    assert_eq!(kinds, [("Ready", "False"), ("Stalled", "True")]);
    assert_eq!(conditions[0]["reason"], "Invalid");
    assert!(conditions[0]["message"].as_str().unwrap().contains("SourceSafe"), "{}", conditions[0]);
    assert_eq!(driver::on_error(guard.clone(), &error, run.cx.clone()), Requeue::requeue(Duration::from_secs(300)));

    run.world.wait(Duration::from_secs(300));
    assert!(matches!(pass().await, Err(PassError::Unreadable(_))));
    assert!(patches().is_empty(), "only times would change");
}

#[tokio::test]
async fn a_failed_pass_comes_back_by_the_one_table() {
    let mut run = Run::new();
    run.world.change(|w| w.forge.outage = Some(world::Outage::Down));
    run.pass().await.result.unwrap();
    run.world.wait(Duration::from_secs(40));
    let mut object = run.object.clone();
    let conditions = &mut object.status.as_mut().unwrap().conditions;
    let ready = conditions.iter().find(|c| c.type_ == "Ready").unwrap().clone();
    conditions.push(Condition { type_: "Retrying".into(), status: "True".into(), ..ready });
    let guard = Arc::new(DeserializeGuard(Ok(object)));
    for (class, seconds) in [
        (Class::Transient, 20),
        (Class::RateLimited(Duration::from_secs(90)), 90),
        (Class::RateLimited(Duration::ZERO), 1),
        (Class::Conflict, 20),
        (Class::Waiting, 30),
        (Class::Invalid, 300),
        (Class::Denied, 300),
        (Class::Bug, 300),
    ] {
        let error = PassError::Port(PortError::new(class, Reason::Waiting, "x"));
        let wait = driver::on_error(guard.clone(), &error, run.cx.clone());
        assert_eq!(wait, Requeue::requeue(Duration::from_secs(seconds)), "{class:?}");
    }
}

#[tokio::test]
async fn crds_that_are_older_than_the_controller_are_told_with_a_remedy() {
    let mut run = Run::new();
    run.pass().await.result.unwrap();
    let known = run.status().clone();
    // A field that only newer CRDs have.
    run.world.change(|w| w.forge.outage = Some(world::Outage::Down));
    let words = "failed to create typed patch object: .status.packages: field not declared in schema";
    let status = |seen: &crate::apiserver::Seen| seen.path.ends_with("/status") && !seen.body.contains("CrdsOutdated");
    run.api.refuse_those(move |seen| status(seen).then_some((StatusCode::INTERNAL_SERVER_ERROR, words)));
    let passed = run.pass().await;
    assert_eq!(class(passed.result), Class::Denied);
    assert_eq!(passed.statuses.len(), 2);
    run.says("Ready", "False", "CrdsOutdated");
    run.says("Stalled", "True", "CrdsOutdated");
    assert!(run.condition("Ready").message.contains("kubectl apply --server-side -f crds/"));
    assert_eq!((&run.status().base_sha, &run.status().account), (&known.base_sha, &known.account), "what was known is kept");
    let again = run.pass().await;
    assert_eq!((class(again.result), again.statuses.len()), (Class::Denied, 1), "it is told once");

    run.api.relent();
    run.world.change(|w| w.forge.outage = None);
    run.pass().await.result.unwrap();
    run.says("Ready", "True", "Verified");
    assert!(run.find("Stalled").is_none());
}
