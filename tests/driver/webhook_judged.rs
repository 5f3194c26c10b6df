//! The webhook, judged by its deliveries: silence, grace, a wrong secret, a
//! restart, and the way back.

use std::time::Duration;

use flywheel::{
    api::factory::Factory,
    controller::{
        deliveries::{Sent, Verdict},
        driver::Kind,
    },
};
use kube::runtime::controller::Action as Requeue;

use super::{RESYNC, Run};
use crate::{fixtures::FACTORY, webhook::sign, world};

impl Run {
    fn deliver(&self, secret: &str) -> Verdict {
        let now = self.world.read(|w| w.now);
        self.cx.deliveries.deliver(FACTORY.0, FACTORY.1, &Sent { id: None, body: b"{}", signature: &sign(secret, b"{}") }, now)
    }

    fn commit(&self) {
        self.world.change(|w| {
            w.forge.commit("main");
        });
    }

    /// The same Factory, seen by a process that has just started.
    fn restarted(self) -> Self {
        let mut fresh = Self::new();
        self.world.read(|old| fresh.world.change(|new| std::mem::swap(old, new)));
        fresh.object = self.object;
        fresh
    }
}

#[tokio::test]
async fn a_silent_move_has_its_grace_then_shows_and_a_delivery_heals_it() {
    let mut run = Run::new();
    run.pass().await.result.unwrap();
    run.commit();
    assert_eq!(run.pass().await.result.unwrap(), Requeue::requeue(Duration::from_secs(30)), "looked at again when the grace is over");
    run.says("WebhookReady", "Unknown", "AwaitingDelivery");

    run.world.wait(Duration::from_secs(10));
    assert_eq!(run.quiet_pass().await.result.unwrap(), Requeue::requeue(Duration::from_secs(20)));

    run.world.wait(Duration::from_secs(20));
    let missed = run.pass().await;
    assert_eq!(missed.result.unwrap(), Requeue::requeue(RESYNC));
    assert_eq!((missed.statuses.len(), missed.events.len()), (1, 0), "the webhook is no part of Ready");
    run.says("WebhookReady", "False", "DeliveryMissed");
    run.says("Ready", "True", "Verified");
    assert!(run.condition("WebhookReady").message.contains("main moved"), "{}", run.condition("WebhookReady").message);

    assert_eq!(run.deliver(world::forge::WEBHOOK_SECRET), Verdict::Accepted);
    run.world.wait(Duration::from_secs(1));
    run.pass().await.result.unwrap();
    run.says("WebhookReady", "True", "Delivering");

    run.world.wait(Duration::from_secs(60));
    run.commit();
    run.pass().await.result.unwrap();
    run.says("WebhookReady", "True", "Delivering");
    run.world.wait(Duration::from_secs(30));
    run.pass().await.result.unwrap();
    run.says("WebhookReady", "False", "DeliveryMissed");
}

#[tokio::test]
async fn deliveries_with_a_wrong_secret_are_named() {
    let mut run = Run::new();
    run.pass().await.result.unwrap();
    run.commit();
    assert_eq!(run.deliver("another"), Verdict::BadSignature);
    assert_eq!(run.deliver("another"), Verdict::BadSignature);
    run.pass().await.result.unwrap();
    run.world.wait(Duration::from_secs(31));
    run.pass().await.result.unwrap();
    let message = &run.condition("WebhookReady").message;
    assert!(message.contains("deliveries with a wrong signature were refused"), "{message}");
    assert_eq!(run.deliver("another"), Verdict::BadSignature);
    run.quiet_pass().await.result.unwrap();
}

#[tokio::test]
async fn a_restart_forgets_nothing_that_was_said() {
    let mut run = Run::new();
    run.pass().await.result.unwrap();
    run.deliver(world::forge::WEBHOOK_SECRET);
    run.pass().await.result.unwrap();
    run.says("WebhookReady", "True", "Delivering");
    let mut run = run.restarted();
    run.quiet_pass().await.result.unwrap();

    run.commit();
    run.pass().await.result.unwrap();
    run.world.wait(Duration::from_secs(30));
    run.pass().await.result.unwrap();
    run.says("WebhookReady", "False", "DeliveryMissed");
    let mut run = run.restarted();
    run.quiet_pass().await.result.unwrap();
    run.says("WebhookReady", "False", "DeliveryMissed");

    run.deliver(world::forge::WEBHOOK_SECRET);
    run.pass().await.result.unwrap();
    run.says("WebhookReady", "True", "Delivering");
}

#[tokio::test]
async fn a_withdrawn_secret_and_a_deleted_factory_take_no_more_deliveries() {
    let mut run = Run::new();
    run.pass().await.result.unwrap();
    run.api.refuse("/secrets/prim-forge", axum::http::StatusCode::INTERNAL_SERVER_ERROR);
    run.pass().await.result.unwrap();
    assert_eq!(run.deliver(world::forge::WEBHOOK_SECRET), Verdict::Accepted, "an API server that is down withdraws nothing");
    run.api.relent();
    run.api.remove(crate::fixtures::SYSTEM, "prim-forge");
    run.pass().await.result.unwrap();
    assert_eq!(run.deliver(world::forge::WEBHOOK_SECRET), Verdict::BadSignature);

    let mut run = Run::new();
    run.pass().await.result.unwrap();
    <Factory as Kind>::gone(FACTORY.0, FACTORY.1, &run.cx);
    assert_eq!(run.deliver(world::forge::WEBHOOK_SECRET), Verdict::UnknownFactory);
}

#[tokio::test]
async fn the_secret_in_use_is_the_newest_one() {
    let mut run = Run::new();
    run.pass().await.result.unwrap();
    run.api.put(crate::fixtures::secret("prim-forge", &[("token", world::forge::BOT.1), ("webhookSecret", "renewed")]));
    run.pass().await.result.unwrap();
    assert_eq!(run.deliver(world::forge::WEBHOOK_SECRET), Verdict::BadSignature);
    assert_eq!(run.deliver("renewed"), Verdict::Accepted);
}
