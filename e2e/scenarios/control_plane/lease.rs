//! Two claimants of one Lease on a real API server, which alone decides who was
//! first.

use std::{sync::Arc, time::Duration};

use flywheel::{
    adapters::clock::SystemClock,
    controller::{
        context::Context,
        leadership::Leadership,
        lease::{self, Claimant, DURATION, LOOK, RENEWAL},
    },
    ports::clock::Clock,
};
use futures::FutureExt;
use k8s_openapi::api::{coordination::v1::Lease, core::v1::Namespace};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, PostParams},
};
use serde_json::json;
use tokio::{sync::oneshot, task::JoinHandle, time::timeout};

use super::installed;
use crate::support::until;

/// A claimant that works from when it leads until it is told to end.
struct Process {
    cx: Arc<Context>,
    began: Option<oneshot::Receiver<()>>,
    end: Option<oneshot::Sender<()>>,
    led: JoinHandle<anyhow::Result<()>>,
}

impl Process {
    fn start(client: &Client, namespace: &str, name: &str) -> Self {
        let mut cx = Context::for_one_look(client.clone());
        cx.leadership = Leadership::none();
        let cx = Arc::new(cx);
        let claimant = Claimant::new(client.clone(), namespace, name.into(), Arc::new(SystemClock));
        let (begin, began) = oneshot::channel();
        let (end, ended) = oneshot::channel::<()>();
        let ended = async { ended.await.unwrap_or_default() }.shared();
        let working = ended.clone();
        let work = async move {
            begin.send(()).expect("somebody listens");
            working.await;
        };
        let led = tokio::spawn(lease::lead(claimant, cx.clone(), ended, work));
        Self { cx, began: Some(began), end: Some(end), led }
    }

    /// Waits until it leads.
    async fn began(&mut self, patience: Duration) -> bool {
        let began = self.began.as_mut().expect("it did not begin yet");
        let began = timeout(patience, began).await.is_ok_and(|sent| sent.is_ok());
        if began {
            self.began = None;
        }
        began
    }

    fn leads(&self) -> bool {
        self.cx.leadership.prove(SystemClock.now()).is_ok()
    }

    async fn end(mut self) {
        drop(self.end.take());
        self.led.await.expect("no panic").expect("a good end");
    }
}

#[tokio::test]
async fn one_leads_and_the_next_follows_its_end_or_its_death() {
    let client = installed().await;
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let namespace = serde_json::from_value(json!({ "metadata": { "generateName": "lease-" } })).expect("namespace");
    let namespace = namespaces.create(&PostParams::default(), &namespace).await.expect("namespace").name_any();
    let leases: Api<Lease> = Api::namespaced(client.clone(), &namespace);
    let holder = |lease: &Lease| lease.spec.as_ref().and_then(|s| s.holder_identity.clone());

    let mut first = Process::start(&client, &namespace, "first");
    assert!(first.began(LOOK).await, "a free Lease is taken at once");
    let taken = leases.get(lease::NAME).await.expect("the Lease");
    assert_eq!(holder(&taken).as_deref(), Some("first"));

    let mut second = Process::start(&client, &namespace, "second");
    let renewed = until(leases.clone(), lease::NAME, "renewed", |l| l.resource_version() != taken.resource_version()).await;
    assert_eq!(holder(&renewed).as_deref(), Some("first"));
    assert!(!second.began(RENEWAL).await && first.leads() && !second.leads());

    // Given up: nobody waits for its end.
    first.end().await;
    assert!(second.began(2 * LOOK).await, "a Lease that was given up is free");

    // Dead: nobody renews it any more.
    let mut third = Process::start(&client, &namespace, "third");
    second.led.abort();
    assert!(!third.began(DURATION - RENEWAL - LOOK).await, "a dead holder's Lease is held to its end");
    assert!(third.began(2 * DURATION).await);
    let taken = leases.get(lease::NAME).await.expect("the Lease");
    assert_eq!((holder(&taken).as_deref(), taken.spec.and_then(|s| s.lease_transitions)), (Some("third"), Some(2)));
    third.end().await;
    assert_eq!(holder(&leases.get(lease::NAME).await.expect("the Lease")), None);
    namespaces.delete(&namespace, &DeleteParams::default()).await.expect("delete");
}
