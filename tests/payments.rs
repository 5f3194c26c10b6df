//! Payments on a real chain, by a real facilitator: our wallet pays a generated
//! package under Bun (x402 version 2) and a service of version 1, and what the wallets
//! have moves by the price and no more. `make test-payments` starts the chain and says
//! by variables where it is; where they are not set, nothing is tried, loudly.

mod chain;
mod rooms;
mod shop;

use std::sync::{Arc, atomic::Ordering};

use flywheel::{
    adapters::{clock::SystemClock, x402::Wallet},
    ports::{
        error::Class,
        payments::{Challenge, Declared, Payer, Payment, Price, Receipt, Version},
    },
};
use secrecy::ExposeSecret;

use chain::{Chain, Facilitator};
use shop::{Answer, Shop};

/// What each wallet begins with: a dollar.
const PURSE: u128 = 1_000_000;

/// A wallet of its own, a shop with another, and the chain under both.
struct Scene {
    chain: Chain,
    wallet: Wallet,
    shop: Shop,
}

impl Scene {
    async fn new(version: Version, facilitator: &str, chain: &Chain) -> Self {
        let wallet = chain.wallet(PURSE).await;
        let shop = Shop::open(version, facilitator).await;
        Self { chain: chain.clone(), wallet, shop }
    }

    /// What is declared of the shop's route.
    fn declared(&self) -> Declared {
        Declared {
            network: chain::NETWORK.into(),
            asset: None,
            domain: None,
            pay_to: Some(self.shop.pay_to.clone()),
            price: Price::Exactly(shop::PRICE),
        }
    }

    /// The terms of an unpaid request, and a payment of them.
    async fn authorize(&self, declared: &Declared) -> Result<Payment, flywheel::ports::error::PortError> {
        let unpaid = self.shop.ask(None).await;
        assert_eq!(unpaid.status, 402, "{}", unpaid.body);
        let challenge = Challenge::read(unpaid.required.as_deref(), unpaid.body.as_bytes()).unwrap();
        assert_eq!(challenge.version, self.shop.version);
        self.wallet.authorize(&challenge.accepts[0], declared).await
    }

    async fn send(&self, payment: &Payment) -> Answer {
        self.shop.ask(Some((payment.header, payment.value.expose_secret()))).await
    }

    /// Asserts how many payments moved from the wallet to the shop.
    #[track_caller]
    fn moved(&self, payments: u128) -> impl Future<Output = ()> {
        let at = std::panic::Location::caller();
        async move {
            let (left, earned) = (self.chain.balance(self.wallet.address()).await, self.chain.balance(&self.shop.pay_to).await);
            assert_eq!((left, earned), (PURSE - payments * shop::PRICE, payments * shop::PRICE), "at {at}");
        }
    }
}

#[tokio::test]
async fn both_versions_are_paid_by_exactly_the_price_and_once() {
    let Some(chain) = Chain::from_environment() else { return };
    for version in [Version::V2, Version::V1] {
        let scene = Scene::new(version, &chain.facilitator, &chain).await;
        let payment = scene.authorize(&scene.declared()).await.unwrap();
        scene.moved(0).await;
        let paid = scene.send(&payment).await;
        assert_eq!(paid.status, scene.shop.success, "{version:?}: {}", paid.body);
        let receipt = Receipt::read(paid.receipt.as_deref().unwrap()).unwrap();
        assert!(receipt.success && receipt.transaction.len() == 66, "{receipt:?}");
        assert!(receipt.payer.eq_ignore_ascii_case(scene.wallet.address()), "{receipt:?}");
        scene.moved(1).await;

        let again = scene.send(&payment).await;
        assert_eq!(again.status, 402, "{version:?}: {}", again.body);
        assert!(!again.settlement_failed(), "a replay is not to be paid anew");
        scene.moved(1).await;
        let next = scene.authorize(&scene.declared()).await.unwrap();
        assert_eq!(scene.send(&next).await.status, scene.shop.success);
        scene.moved(2).await;
    }
}

#[tokio::test]
async fn what_was_not_declared_is_refused_before_it_is_signed() {
    let Some(chain) = Chain::from_environment() else { return };
    let usdc_on_base = "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913";
    for version in [Version::V2, Version::V1] {
        let scene = Scene::new(version, &chain.facilitator, &chain).await;
        for (declared, says) in [
            (Declared { network: "eip155:8453".into(), ..scene.declared() }, "network"),
            (Declared { asset: Some(usdc_on_base.into()), ..scene.declared() }, "token"),
            (Declared { pay_to: Some(usdc_on_base.into()), ..scene.declared() }, "pay"),
            (Declared { price: Price::Exactly(shop::PRICE - 1), ..scene.declared() }, "units"),
            (Declared { price: Price::AtMost(shop::PRICE - 1), ..scene.declared() }, "may be spent"),
        ] {
            let refused = scene.authorize(&declared).await.unwrap_err();
            assert_eq!(refused.class, Class::Invalid);
            assert!(refused.message.contains(says), "{says:?} is not in {:?}", refused.message);
        }
        scene.moved(0).await;
    }
}

#[tokio::test]
async fn a_settlement_that_failed_is_paid_anew_and_moves_once() {
    let Some(chain) = Chain::from_environment() else { return };
    for version in [Version::V2, Version::V1] {
        let between = Facilitator::failing(1, &chain.facilitator).await;
        let scene = Scene::new(version, &between.url, &chain).await;
        let first = scene.authorize(&scene.declared()).await.unwrap();
        let failed = scene.send(&first).await;
        assert_eq!(failed.status, 402, "{version:?}: {}", failed.body);
        assert!(failed.settlement_failed(), "{version:?}: {failed:?}");
        scene.moved(0).await;
        let second = scene.authorize(&scene.declared()).await.unwrap();
        assert_ne!(second.nonce, first.nonce);
        let paid = scene.send(&second).await;
        assert_eq!(paid.status, scene.shop.success, "{version:?}: {}", paid.body);
        assert_eq!(between.settled.load(Ordering::Relaxed), 1);
        scene.moved(1).await;
    }
}

/// A wallet that is no file's and no variable's.
fn wallet(key: &str) -> Wallet {
    Wallet::new(&key.into(), "the test", Arc::new(SystemClock)).unwrap()
}
