//! A room's money, against a facilitator and a chain in memory that take what was really
//! signed: it comes once, and goes back whole, wherever somebody dies or says nothing.
//! `payments/rooms.rs` is the same on a real chain.

use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use flywheel::{
    adapters::{clock::SystemClock, x402::Wallet},
    api::gate_run::{RoomLeft, Verdict},
    bank,
    gate::plan::Terms,
    ports::{
        clock::Clock,
        payments::{LATEST_SECONDS, Payer},
    },
    room::{Money, Purse, RoomPurse},
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::world::bank::{Bank, Fault, Said, quick};

const KEY: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
const DOLLAR: u128 = 1_000_000;

fn funder() -> Wallet {
    Wallet::new(&KEY.into(), "the test", Arc::new(SystemClock)).unwrap()
}

fn room(name: &str) -> Wallet {
    funder().derived(name).unwrap()
}

fn terms() -> Terms {
    Terms { network: "eip155:84532".into(), pay_to: "0x01".into(), asset: None }
}

fn purse(name: &str, bank: &Bank, sees: bool) -> RoomPurse {
    let money = Money { facilitator: bank.facilitator.clone(), rpc: sees.then(|| bank.rpc.clone()), micros: 250_000, earlier: Vec::new() };
    let opened = quick(bank::bank(&money, Some(&terms())).unwrap());
    RoomPurse::new(name, opened, Arc::new(funder()), Arc::new(room(name)), money.micros)
}

async fn opened() -> Bank {
    let bank = Bank::open().await;
    bank.put(funder().address(), DOLLAR);
    bank
}

/// Spends from a room's wallet, as one of its commands would.
async fn spend(purse: &RoomPurse, bank: &Bank, amount: u128) {
    let shop = room("the shop").address().to_owned();
    let (terms, declared) = Bank::token().transfer(&shop, amount);
    let payment = purse.payer().authorize(&terms, &declared).await.unwrap();
    let money = Money { facilitator: bank.facilitator.clone(), rpc: None, micros: 0, earlier: Vec::new() };
    let settled = bank::bank(&money, None).unwrap().settler.settle(&terms, &payment).await.unwrap();
    assert!(settled.success, "{settled:?}");
}

#[test]
fn a_rooms_wallet_follows_from_the_key_and_the_name() {
    let address = |name: &str| room(name).address().to_owned();
    assert_eq!(address("room-1"), address("room-1"));
    let other = Wallet::new(&format!("0x{}", "11".repeat(32)).into(), "the test", Arc::new(SystemClock)).unwrap();
    let all = [address("room-1"), address("room-2"), other.derived("room-1").unwrap().address().to_owned(), funder().address().to_owned()];
    let different: std::collections::BTreeSet<_> = all.iter().collect();
    assert_eq!(different.len(), all.len(), "{all:?}");
    assert!(!format!("{:?}", room("room-1")).contains("ac0974"), "no key is shown");
}

#[tokio::test]
async fn it_comes_once_and_what_is_left_goes_back() {
    for sees in [true, false] {
        let bank = opened().await;
        let purse = purse("room-1", &bank, sees);
        let steps = purse.fund().await;
        assert!(
            steps.iter().map(|s| s.name.as_str()).eq(["wallet", "fund"]) && steps.iter().all(|s| s.verdict == Verdict::Passed),
            "{steps:?}"
        );
        assert!(
            steps[0].message.as_deref() == Some(purse.payer().address()) && steps[1].message.as_ref().unwrap().contains("0.25"),
            "{steps:?}"
        );
        let text = format!("{steps:?}");
        assert!(!text.contains(KEY.trim_start_matches("0x")), "no key is in a report");
        spend(&purse, &bank, 10_000).await;
        let back = purse.bring_back().await;
        assert_eq!((back.verdict, back.name.as_str()), (Verdict::Passed, "return"), "{back:?}");
        assert_eq!((bank.has(funder().address()), bank.has(purse.payer().address())), (DOLLAR - 10_000, 0), "sees {sees}");
    }
}

/// Whoever died between the two is followed by another of the same name, or by somebody
/// who sweeps.
#[tokio::test]
async fn a_death_in_between_costs_nothing() {
    let bank = opened().await;
    purse("room-1", &bank, true).fund().await;
    let next = purse("room-1", &bank, true);
    let steps = next.fund().await;
    assert!(steps[1].message.as_ref().unwrap().contains("already"), "{steps:?}");
    assert_eq!(bank.has(funder().address()), DOLLAR - 250_000, "what was there counts");
    let money = Money { facilitator: bank.facilitator.clone(), rpc: Some(bank.rpc.clone()), micros: 1, earlier: Vec::new() };
    let swept = bank::bank(&money, None).unwrap().empty(&room("room-1"), funder().address()).await.unwrap();
    assert_eq!((swept, bank.has(funder().address())), (250_000, DOLLAR));
    let again = bank::bank(&money, None).unwrap().empty(&room("room-1"), funder().address()).await.unwrap();
    assert_eq!((again, bank.moved().len()), (0, 2), "nothing is left, and nothing is moved");
}

/// A GateRun's next try has another name, and is told of the one before.
#[tokio::test]
async fn a_room_looks_after_those_that_broke_before_it() {
    let bank = opened().await;
    purse("room-1", &bank, true).fund().await;
    let left = |name: &str| RoomLeft { name: name.into(), until: None };
    let earlier = ["room-0", "room-1"].map(left).to_vec();
    let money = Money { facilitator: bank.facilitator.clone(), rpc: Some(bank.rpc.clone()), micros: 250_000, earlier };
    let next = bank::purse("room-2", &money, Some(&terms()), funder(), Arc::new(SystemClock)).unwrap();
    next.fund().await;
    assert_eq!(next.bring_back().await.verdict, Verdict::Passed);
    let gathered = next.gather().await;
    let said: Vec<_> = gathered.iter().map(|step| (step.name.as_str(), step.verdict, step.message.clone().unwrap())).collect();
    let back = format!("0.25 USDC to {}", funder().address());
    assert_eq!(said, [("return room-0", Verdict::Passed, "nothing was left there".to_owned()), ("return room-1", Verdict::Passed, back)]);
    assert_eq!(bank.has(funder().address()), DOLLAR);
}

struct Watch(Mutex<Timestamp>);

impl Clock for Watch {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

/// A transfer that was signed may be settled as long as it holds, whoever has looked by then.
#[tokio::test]
async fn a_room_that_is_empty_too_early_is_looked_at_again() {
    let bank = opened().await;
    let ended = Timestamp::from_second(1_800_000_000).unwrap();
    let until = ended + SignedDuration::from_secs(360);
    let clock = Arc::new(Watch(Mutex::new(ended)));
    let purse = |clock: Arc<Watch>| {
        let earlier = vec![RoomLeft { name: "room-1".into(), until: Some(Time(until)) }];
        let money = Money { facilitator: bank.facilitator.clone(), rpc: Some(bank.rpc.clone()), micros: 250_000, earlier };
        bank::purse("room-2", &money, Some(&terms()), funder(), clock).unwrap()
    };
    let gathered = async |seconds: i64| {
        *clock.0.lock().unwrap() = ended + SignedDuration::from_secs(seconds);
        let steps = purse(clock.clone()).gather().await;
        let [step] = &steps[..] else { panic!("{steps:?}") };
        assert_eq!(step.name, "return room-1");
        (step.verdict == Verdict::Passed, step.advisory, step.message.clone().unwrap())
    };
    for seconds in [0, 359] {
        let (forgotten, advisory, said) = gathered(seconds).await;
        assert!(!forgotten && advisory && said.contains(&format!("until {until}")), "after {seconds} s: {said}");
    }
    assert_eq!(gathered(360).await, (true, false, "nothing was left there".into()), "nothing comes any more");

    // What comes late is brought back, and then nothing else can come.
    bank.put(room("room-1").address(), 250_000);
    assert!(gathered(100).await.0);
    assert_eq!((bank.has(room("room-1").address()), bank.has(funder().address())), (0, DOLLAR + 250_000));
}

/// What a room can still get after its end is over when its name is forgotten.
#[tokio::test]
async fn a_transfers_time_is_over_when_a_room_is_forgotten() {
    let (terms, declared) = Bank::token().transfer(room("room-1").address(), 1);
    let before = SystemClock.now().as_second();
    let payment = funder().authorize(&terms, &declared).await.unwrap();
    let after = SystemClock.now().as_second();
    let latest = u64::try_from(before + LATEST_SECONDS).unwrap();
    assert!(
        payment.valid_before + 30 <= latest && payment.valid_before > u64::try_from(after).unwrap(),
        "{} {latest}",
        payment.valid_before
    );
}

#[tokio::test]
async fn an_answer_that_is_lost_moves_nothing_twice() {
    for (what, faults) in
        [("lost", vec![Fault::Lost]), ("down, then lost", vec![Fault::Down, Fault::Lost]), ("down twice", vec![Fault::Down, Fault::Down])]
    {
        let bank = opened().await;
        let purse = purse("room-1", &bank, true);
        bank.fails(&faults);
        let steps = purse.fund().await;
        assert_eq!(steps[1].verdict, Verdict::Passed, "{what}: {steps:?}");
        bank.fails(&faults);
        let back = purse.bring_back().await;
        assert_eq!(back.verdict, Verdict::Passed, "{what}: {back:?}");
        assert_eq!((bank.has(funder().address()), bank.moved().len()), (DOLLAR, 2), "{what}");
    }
}

/// A room that is ended while its money is on the way misses none of it.
#[tokio::test]
async fn what_comes_in_meanwhile_goes_back_too() {
    let bank = opened().await;
    let purse = purse("room-1", &bank, true);
    // Dropped as soon as it waits for the first time.
    assert!(futures::poll!(std::pin::pin!(purse.fund())).is_pending());
    let back = purse.bring_back().await;
    assert_eq!((back.verdict, bank.moved().len(), bank.has(funder().address())), (Verdict::Passed, 2, DOLLAR), "{back:?}");
}

#[tokio::test]
async fn money_that_does_not_come_or_does_not_go_back_is_said() {
    let bank = Bank::open().await;
    let purse = purse("room-1", &bank, true);
    let steps = purse.fund().await;
    let said = steps[1].message.as_ref().unwrap();
    assert_eq!(steps[1].verdict, Verdict::Blocked, "{steps:?}");
    assert!(said.contains("insufficient_funds") && said.contains(funder().address()), "{said}");

    bank.fails(&[Fault::Down; 3]);
    let steps = purse.fund().await;
    assert_eq!((steps[1].verdict, bank.asked()), (Verdict::Error, 4), "{steps:?}");
    let back = purse.bring_back().await;
    assert!(
        back.advisory && back.message.as_ref().is_some_and(|said| said.contains("may still come") && said.contains("room-1")),
        "{back:?}"
    );

    bank.put(funder().address(), DOLLAR);
    purse.fund().await;
    bank.fails(&[Fault::Refused]);
    let back = purse.bring_back().await;
    assert!(back.advisory && back.verdict == Verdict::Error, "it refutes nothing of the service: {back:?}");
    let said = back.message.unwrap();
    assert!(said.contains("0.25 USDC") && said.contains("room-1") && said.contains(purse.payer().address()), "{said}");

    let blind = Money { facilitator: bank.facilitator.clone(), rpc: None, micros: 1, earlier: Vec::new() };
    let unseen = bank::bank(&blind, None).unwrap().empty(&room("room-1"), funder().address()).await.unwrap_err();
    assert!(unseen.to_string().contains("no RPC"), "{unseen}");
}

#[tokio::test]
async fn what_is_no_such_chain_or_no_server_of_the_kind_is_said() {
    let bank = opened().await;
    let at =
        |facilitator: &str, rpc: &str| Money { facilitator: facilitator.into(), rpc: Some(rpc.into()), micros: 1, earlier: Vec::new() };
    let other = Terms { network: "eip155:1".into(), ..terms() };
    assert!(bank::bank(&at(&bank.facilitator, &bank.rpc), Some(&other)).err().unwrap().to_string().contains("eip155:1"));
    let token = Terms { asset: Some(format!("0x{}", "2".repeat(40))), ..terms() };
    assert!(bank::bank(&at(&bank.facilitator, &bank.rpc), Some(&token)).err().unwrap().to_string().contains("no other token"));
    assert!(bank::bank(&at("mailto:x", &bank.rpc), None).is_err());
    // A chain that knows no such token answers nothing, which is no balance of zero.
    let bank = quick(bank::bank(&at(&bank.facilitator, &format!("{}/settle", bank.facilitator)), None).unwrap());
    let said = bank.empty(&room("room-1"), funder().address()).await.unwrap_err().to_string();
    assert!(said.contains("RPC"), "{said}");
    assert!(Wallet::from_file(Path::new("/nowhere/key"), Arc::new(SystemClock)).is_err());
}

fn seeing(bank: &Bank) -> flywheel::room::Bank {
    let money = Money { facilitator: bank.facilitator.clone(), rpc: Some(bank.rpc.clone()), micros: 1, earlier: Vec::new() };
    quick(bank::bank(&money, None).unwrap())
}

/// A node that is behind says so, and is asked again; one that goes on so is quoted.
#[tokio::test]
async fn an_rpc_that_refuses_is_asked_again_and_then_quoted() {
    let bank = opened().await;
    bank.put(room("room-1").address(), 250_000);
    bank.says(&[Said::Busy, Said::Busy]);
    assert_eq!(seeing(&bank).empty(&room("room-1"), funder().address()).await.unwrap(), 250_000);

    bank.says(&[Said::Busy; 3]);
    let said = seeing(&bank).empty(&room("room-1"), funder().address()).await.unwrap_err().to_string();
    assert!(said.contains("error -32000: header not found") && said.len() < 300 && !said.contains(char::is_control), "{said}");
}

#[tokio::test]
async fn an_rpc_of_another_chain_is_no_ledger() {
    let bank = opened().await;
    bank.put(room("room-1").address(), 250_000);
    bank.is_elsewhere(1);
    let said = seeing(&bank).empty(&room("room-1"), funder().address()).await.unwrap_err().to_string();
    assert!(said.contains("eip155:1,") && said.contains("eip155:84532"), "{said}");
    let purse = purse("room-1", &bank, true);
    let back = purse.bring_back().await;
    assert!(back.verdict == Verdict::Error && back.message.unwrap().contains("eip155:1,"));
    // It calls itself the right one, and has no dollar.
    bank.is_elsewhere(84532);
    let said = seeing(&bank).empty(&room("room-1"), funder().address()).await.unwrap_err().to_string();
    assert!(said.contains("no contract at 0x036CbD53842c5426634e7929541eC2318f3dCF7e"), "{said}");
    assert_eq!(bank.moved().len(), 0);
}

/// What was sent to the chain and is said to have failed is looked for there.
#[tokio::test]
async fn a_transfer_that_was_broadcast_is_looked_for_before_it_is_said_not_to_have_moved() {
    let bank = opened().await;
    let purse = purse("room-1", &bank, true);
    bank.fails(&[Fault::Broadcast]);
    let steps = purse.fund().await;
    assert_eq!(steps[1].verdict, Verdict::Passed, "{steps:?}");
    bank.fails(&[Fault::Broadcast]);
    let back = purse.bring_back().await;
    assert_eq!((back.verdict, bank.has(funder().address()), bank.moved().len()), (Verdict::Passed, DOLLAR, 2), "{back:?}");

    // A block that comes a moment later is waited for.
    bank.fails(&[Fault::Broadcast]);
    bank.says(&[Said::Nothing; 2]);
    let steps = purse.fund().await;
    assert_eq!(steps[1].verdict, Verdict::Passed, "{steps:?}");
    // Nothing shows it: it may come all the same.
    bank.fails(&[Fault::Reverted]);
    let back = purse.bring_back().await;
    let said = back.message.unwrap();
    assert!(back.advisory && said.contains("0.25 USDC stay") && said.contains("0xabc"), "{said}");
}

/// What came and was not signed away is there, whatever an RPC says that is behind.
#[tokio::test]
async fn an_rpc_that_knows_of_less_than_came_is_not_believed() {
    let bank = opened().await;
    let purse = purse("room-1", &bank, true);
    purse.fund().await;
    bank.says(&[Said::Nothing; 2]);
    let back = purse.bring_back().await;
    assert_eq!((back.verdict, bank.has(funder().address())), (Verdict::Passed, DOLLAR), "it was asked again: {back:?}");

    for (fault, left, named) in [(None, 0, "moved 0.25 to"), (Some(Fault::Refused), 250_000, "refused")] {
        purse.fund().await;
        bank.says(&[Said::Nothing; 3]);
        bank.fails(fault.as_slice());
        let back = purse.bring_back().await;
        let said = back.message.clone().unwrap();
        assert!(back.advisory && back.verdict == Verdict::Error && !said.contains("stay"), "{back:?}");
        let payer = purse.payer();
        let all = ["had 0.25 USDC", "signed 0 away", "says that it has 0", "room-1", payer.address(), named];
        assert!(all.iter().all(|part| said.contains(part)), "{said}");
        assert_eq!(bank.has(purse.payer().address()), left, "{said}");
    }
}

/// Who can't see into a wallet goes by receipts: what never came is not said to stay.
#[tokio::test]
async fn without_an_rpc_what_is_sure_goes_back_and_what_is_in_doubt_is_tried() {
    let bank = Bank::open().await;
    let (never, refused) = (purse("room-1", &bank, false), purse("room-2", &bank, false));
    assert_eq!(refused.fund().await[1].verdict, Verdict::Blocked, "nobody has anything");
    for purse in [never, refused] {
        let back = purse.bring_back().await;
        assert_eq!((back.verdict, back.advisory, bank.asked()), (Verdict::Passed, false, 1), "{back:?}");
    }

    for (fault, came) in [(Fault::Lost, true), (Fault::Down, false)] {
        let bank = opened().await;
        let purse = purse("room-3", &bank, false);
        bank.fails(&[fault; 3]);
        assert_eq!(purse.fund().await[1].verdict, Verdict::Error);
        let back = purse.bring_back().await;
        let said = back.message.clone().unwrap_or_default();
        assert_eq!((back.verdict == Verdict::Passed, said.contains("at most 0.25 USDC stay")), (came, !came), "{back:?}");
        assert_eq!((bank.has(funder().address()), bank.has(purse.payer().address())), (DOLLAR, 0), "{fault:?}");
    }
}

/// A node that does not know yet what was spent says too much, and that is refused.
#[tokio::test]
async fn an_rpc_that_knows_of_more_than_is_there_is_asked_again() {
    for (lies, verdict, said) in [(1, Verdict::Passed, "0.24 USDC to"), (4, Verdict::Error, "says that it has 0.25")] {
        let bank = opened().await;
        let purse = purse("room-1", &bank, true);
        purse.fund().await;
        spend(&purse, &bank, 10_000).await;
        bank.says(&[Said::Has(250_000); 4][..lies]);
        let back = purse.bring_back().await;
        assert!(back.verdict == verdict && back.message.as_ref().is_some_and(|what| what.contains(said)), "{back:?}");
        assert_eq!((bank.has(funder().address()), bank.has(purse.payer().address())), (DOLLAR - 10_000, 0), "{back:?}");
    }

    // One of whom nobody knows what came.
    let bank = opened().await;
    bank.put(room("room-1").address(), 240_000);
    bank.says(&[Said::Has(250_000)]);
    assert_eq!(seeing(&bank).empty(&room("room-1"), funder().address()).await.unwrap(), 240_000);
    bank.says(&[Said::Has(250_000); 4]);
    let said = seeing(&bank).empty(&room("room-1"), funder().address()).await.unwrap_err().to_string();
    assert!(said.contains("insufficient_funds"), "{said}");
}
