//! What every provisioner of clean rooms must do.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use flywheel::{
    adapters::clock::SystemClock,
    api::conditions::Reason,
    ports::{
        clock::Clock,
        error::Class,
        provisioner::{Order, Provisioner, Room, State},
    },
};
use jiff::SignedDuration;

use super::refused;

/// Puts a provisioner into a state.
#[async_trait]
pub trait Arrange: Send + Sync {
    /// A client that may make rooms.
    async fn provisioner(&self) -> Arc<dyn Provisioner>;
    /// A client that may not; nothing where the port's server tells nobody apart.
    async fn stranger(&self) -> Option<Arc<dyn Provisioner>>;
    /// A client of an address where nobody listens.
    async fn closed_port(&self) -> Arc<dyn Provisioner>;
    /// An order of that name, with keys, which can be made here and runs until it is
    /// stopped or has ended.
    fn order(&self, id: &str) -> Order;
    /// Has a room's program come to its end, with last words.
    async fn end(&self, id: &str);
    /// Whether keys lie in a room.
    async fn holds_keys(&self, id: &str) -> bool;
    /// A name that nobody had.
    fn fresh(&self) -> String;
    /// How long something may take here.
    fn patience(&self) -> Duration;
}

/// What a wallet's key and a model's are in all orders: nothing else may say them.
pub const SECRETS: [&str; 2] = ["0x00000000000000000000000000000000000000000000000000000000000000a1", "key-of-the-model"];

/// Runs every case.
pub async fn suite(arrange: &dyn Arrange) {
    let rooms = arrange.provisioner().await;
    let before: Vec<_> = ids(rooms.as_ref()).await;
    making(arrange, rooms.as_ref()).await;
    ending(arrange, rooms.as_ref()).await;
    if let Some(stranger) = arrange.stranger().await {
        let id = arrange.fresh();
        refused(stranger.make(&arrange.order(&id)).await, Class::Denied, Reason::TokenRejected, "a wrong key");
        refused(stranger.list().await, Class::Denied, Reason::TokenRejected, "a wrong key lists nothing");
        assert_eq!(rooms.look(&id).await.unwrap(), State::Gone);
    }
    let closed = arrange.closed_port().await;
    refused(closed.list().await, Class::Transient, Reason::Unreachable, "nobody listens");
    assert_eq!(ids(rooms.as_ref()).await, before, "nothing is left");
}

async fn making(arrange: &dyn Arrange, rooms: &dyn Provisioner) {
    let id = arrange.fresh();
    assert_eq!(rooms.look(&id).await.unwrap(), State::Gone);
    let soon = SystemClock.now() + SignedDuration::from_secs(600);
    refused(rooms.keep(&id, soon).await, Class::Invalid, Reason::Invalid, "what is not there can't be kept");
    refused(rooms.note(&id, "settles", "then").await, Class::Invalid, Reason::Invalid, "what is not there takes no note");
    rooms.stop(&id).await.expect("what is not there is stopped");
    rooms.remove(&id).await.expect("what is not there is removed");

    let order = arrange.order(&id);
    rooms.make(&order).await.unwrap();
    rooms.make(&order).await.expect("the same order is the same room");
    assert_eq!(ids(rooms).await.iter().filter(|there| **there == id).count(), 1);
    let other = Order { plan: format!("{} ", order.plan), ..order.clone() };
    refused(rooms.make(&other).await, Class::Conflict, Reason::Taken, "another order of the same name");

    let room = find(rooms, &id).await;
    assert_eq!((room.expires.as_second(), &room.notes), (order.expires.as_second(), &order.notes));
    let text = format!("{:?} {room:?} {:?}", order, rooms.look(&id).await.unwrap());
    assert!(SECRETS.iter().all(|secret| !text.contains(secret)), "a key is in {text}");
    rooms.keep(&id, soon).await.unwrap();
    let kept = find(rooms, &id).await;
    assert_eq!((kept.expires.as_second(), &kept.notes), (soon.as_second(), &order.notes));

    rooms.note(&id, "settles", "then").await.unwrap();
    let noted = find(rooms, &id).await;
    let notes = order.notes.clone().into_iter().chain([("settles".to_owned(), "then".to_owned())]).collect();
    assert_eq!((noted.expires.as_second(), &noted.notes), (soon.as_second(), &notes));
    rooms.make(&order).await.expect("it is that order's all the same");

    // Stopped, it is there, runs nothing and has no key; nobody reads a verdict that there
    // is not.
    assert!(arrange.holds_keys(&id).await);
    rooms.stop(&id).await.unwrap();
    assert!(!arrange.holds_keys(&id).await, "keys go with what ran");
    rooms.stop(&id).await.expect("twice");
    assert!(!matches!(rooms.look(&id).await.unwrap(), State::Ended(_) | State::Gone));
    find(rooms, &id).await;
    remove(arrange, rooms, &id).await;
    refused(rooms.keep(&id, soon).await, Class::Invalid, Reason::Invalid, "what is gone can't be kept");
}

async fn ending(arrange: &dyn Arrange, rooms: &dyn Provisioner) {
    let (id, beside) = (arrange.fresh(), arrange.fresh());
    rooms.make(&arrange.order(&id)).await.unwrap();
    rooms.make(&arrange.order(&beside)).await.unwrap();
    arrange.end(&id).await;
    let words = until(arrange, rooms, &id, |state| match state {
        State::Ended(words) => Some(words),
        State::Going(_) => None,
        other => panic!("{other:?}"),
    })
    .await;
    let report = rooms.report(&id).await.unwrap();
    assert!(!words.is_empty() && SECRETS.iter().all(|secret| !words.contains(secret) && !report.contains(secret)), "{words} {report}");
    remove(arrange, rooms, &id).await;
    assert!(ids(rooms).await.contains(&beside), "the one beside it stays");
    remove(arrange, rooms, &beside).await;
}

async fn ids(rooms: &dyn Provisioner) -> Vec<String> {
    let mut ids: Vec<_> = rooms.list().await.unwrap().into_iter().map(|room| room.id).collect();
    ids.sort();
    ids
}

async fn find(rooms: &dyn Provisioner, id: &str) -> Room {
    rooms.list().await.unwrap().into_iter().find(|room| room.id == id).expect("it is listed")
}

async fn remove(arrange: &dyn Arrange, rooms: &dyn Provisioner, id: &str) {
    rooms.remove(id).await.unwrap();
    until(arrange, rooms, id, |state| (state == State::Gone).then_some(())).await;
    rooms.remove(id).await.expect("twice");
    assert!(!ids(rooms).await.contains(&id.to_owned()), "what is gone is not listed");
}

/// Looks until something is so. A provisioner has no events to wait for.
async fn until<T>(arrange: &dyn Arrange, rooms: &dyn Provisioner, id: &str, mut is: impl FnMut(State) -> Option<T>) -> T {
    let looked = async {
        loop {
            if let Some(found) = is(rooms.look(id).await.unwrap()) {
                return found;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(arrange.patience(), looked).await.unwrap_or_else(|_| panic!("{id} does not come to that"))
}

/// An order as most are.
pub fn order(id: &str, image: &str, plan: &str) -> Order {
    Order {
        id: id.into(),
        image: image.into(),
        primitive: "notes".into(),
        plan: plan.into(),
        cli: Some("#!/usr/bin/env bun\n".into()),
        wallet: Some(SECRETS[0].into()),
        model_key: Some(SECRETS[1].into()),
        seconds: 300,
        expires: SystemClock.now() + SignedDuration::from_secs(60),
        notes: BTreeMap::from([("funder".to_owned(), "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266".to_owned())]),
    }
}
