//! A clean room's money on the real chain: balances move exactly, and come back whatever
//! died in between.

use std::sync::Arc;

use flywheel::{
    adapters::x402::Wallet,
    api::gate_run::Verdict,
    bank,
    gate::plan::Terms,
    ports::payments::{Challenge, Declared, Payer, Price, Version},
    room::{Money, Purse, RoomPurse},
};
use secrecy::ExposeSecret;

use super::{
    PURSE,
    chain::{self, Chain},
    shop::{self, Shop},
};

const FUND: u64 = 100_000;

/// An operator's wallet, and rooms that are filled from it.
struct Scene {
    chain: Chain,
    funder: Arc<Wallet>,
    room: Wallet,
    name: String,
}

impl Scene {
    async fn new(chain: Chain) -> Self {
        let funder = Arc::new(chain.wallet(PURSE).await);
        let name = "room-0123456789".to_owned();
        Self { chain, room: funder.derived(&name).unwrap(), name, funder }
    }

    fn bank(&self) -> flywheel::room::Bank {
        let terms = Terms { network: chain::NETWORK.into(), pay_to: String::new(), asset: None };
        let money =
            Money { facilitator: self.chain.facilitator.clone(), rpc: Some(self.chain.rpc.clone()), micros: FUND, earlier: Vec::new() };
        bank::bank(&money, Some(&terms)).unwrap()
    }

    /// The purse as a room's program makes it, as often as one is started.
    fn purse(&self) -> RoomPurse {
        RoomPurse::new(&self.name, self.bank(), self.funder.clone(), Arc::new(self.funder.derived(&self.name).unwrap()), FUND)
    }

    /// What the operator and the room have.
    async fn balances(&self) -> (u128, u128) {
        (self.chain.balance(self.funder.address()).await, self.chain.balance(self.room.address()).await)
    }
}

#[tokio::test]
async fn a_room_is_filled_pays_and_is_emptied_to_the_last_unit() {
    let Some(chain) = Chain::from_environment() else { return };
    let scene = Scene::new(chain).await;
    let purse = scene.purse();
    let steps = purse.fund().await;
    assert!(steps.iter().all(|step| step.verdict == Verdict::Passed), "{steps:?}");
    assert_eq!(scene.balances().await, (PURSE - u128::from(FUND), FUND.into()));

    let shop = Shop::open(Version::V2, &scene.chain.facilitator).await;
    let unpaid = shop.ask(None).await;
    let challenge = Challenge::read(unpaid.required.as_deref(), unpaid.body.as_bytes()).unwrap();
    let price = Price::Exactly(shop::PRICE);
    let declared = Declared { network: chain::NETWORK.into(), asset: None, domain: None, pay_to: Some(shop.pay_to.clone()), price };
    let payment = purse.payer().authorize(&challenge.accepts[0], &declared).await.unwrap();
    let paid = shop.ask(Some((payment.header, payment.value.expose_secret()))).await;
    assert_eq!(paid.status, shop.success, "{}", paid.body);
    assert_eq!(scene.balances().await, (PURSE - u128::from(FUND), u128::from(FUND) - shop::PRICE));

    let back = purse.bring_back().await;
    assert_eq!(back.verdict, Verdict::Passed, "{back:?}");
    assert_eq!(scene.balances().await, (PURSE - shop::PRICE, 0));
}

#[tokio::test]
async fn a_room_that_died_is_followed_or_swept_and_nothing_is_lost() {
    let Some(chain) = Chain::from_environment() else { return };
    let scene = Scene::new(chain).await;
    // Killed between fund and return: all that was in memory is gone.
    drop(scene.purse().fund().await);
    assert_eq!(scene.balances().await, (PURSE - u128::from(FUND), FUND.into()));
    // The next try finds it,
    let steps = scene.purse().fund().await;
    assert!(steps[1].message.as_ref().is_some_and(|said| said.contains("already")), "{steps:?}");
    assert_eq!(scene.balances().await, (PURSE - u128::from(FUND), FUND.into()));
    // or whoever sweeps, with nothing but the key and the room's name.
    let swept = scene.bank().empty(&scene.room, scene.funder.address()).await.unwrap();
    assert_eq!((swept, scene.balances().await), (FUND.into(), (PURSE, 0)));
}

#[tokio::test]
async fn an_operator_without_money_fills_nothing() {
    let Some(chain) = Chain::from_environment() else { return };
    let mut scene = Scene::new(chain).await;
    scene.funder = Arc::new(scene.chain.wallet(0).await);
    scene.room = scene.funder.derived(&scene.name).unwrap();
    let steps = scene.purse().fund().await;
    assert_eq!(steps[1].verdict, Verdict::Blocked, "{steps:?}");
    assert_eq!(scene.balances().await, (0, 0));
}
