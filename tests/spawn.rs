//! Clean rooms from a terminal: whoever makes one takes it away, money first; whoever is
//! killed is cleared up after. The provisioner and the bank are in memory; what is signed
//! is signed.

mod cluster;

use std::{
    collections::BTreeMap,
    future::{pending, ready},
    sync::{Arc, Mutex},
    time::Duration,
};

use flywheel::{
    adapters::{clock::SystemClock, x402::Wallet},
    api::gate_run::Verdict,
    bank,
    gate::{
        bundle::digest,
        report::{Report, Step},
    },
    ports::{
        clock::Clock,
        payments::Payer,
        provisioner::{FACTORY, FUNDER, NETWORK, Order, Provisioner, State, Stopped, TOKEN},
    },
    room::Money,
    spawn::{Outcome, Pace, Spawner, Swept, Treasury, sweep},
};
use jiff::{SignedDuration, Timestamp};

use crate::{
    contract,
    world::{
        bank::{Bank, Fault, Said, quick},
        rooms::Rooms,
    },
};

const KEY: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
const ROOM: &str = "room-0123456789";
const DOLLAR: u128 = 1_000_000;
const FUND: u128 = 250_000;

struct Watch(Mutex<Timestamp>);

impl Clock for Watch {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

/// A provisioner, an operator's wallet, and what time it is.
struct Scene {
    rooms: Rooms,
    bank: Bank,
    clock: Watch,
    treasury: Option<Treasury>,
    told: Mutex<Vec<String>>,
}

fn wallet(key: &str) -> Wallet {
    Wallet::new(&key.into(), "the test", Arc::new(SystemClock)).unwrap()
}

fn treasury(bank: &Bank, key: &str, sees: bool) -> Treasury {
    let money = Money { facilitator: bank.facilitator.clone(), rpc: sees.then(|| bank.rpc.clone()), micros: 1, earlier: Vec::new() };
    let funder = wallet(key);
    let address = funder.address().to_owned();
    Treasury {
        bank: quick(bank::bank(&money, None).unwrap()),
        funder: address,
        wallet: Box::new(move |room| Ok(Arc::new(funder.derived(room)?) as Arc<dyn Payer>)),
    }
}

impl Scene {
    async fn new() -> Self {
        let bank = Bank::open().await;
        let treasury = Some(treasury(&bank, KEY, true));
        bank.put(wallet(KEY).address(), DOLLAR);
        Self { rooms: Rooms::default(), bank, clock: Watch(Mutex::new(SystemClock.now())), treasury, told: Mutex::default() }
    }

    fn order(&self) -> Order {
        let token = Bank::token();
        let funder = wallet(KEY).address().to_owned();
        let notes = [(FUNDER, funder), (NETWORK, token.network), (TOKEN, token.asset), (FACTORY, "flywheel/prim".into())];
        let notes = notes.map(|(key, value)| (key.to_owned(), value)).into();
        let expires = self.clock.now() + SignedDuration::from_secs(60);
        Order { notes, expires, ..contract::provisioner::order(ROOM, "image", "{}") }
    }

    /// The room got its money, and its program did not send it back.
    fn funded(&self) {
        self.bank.put(wallet(KEY).address(), DOLLAR - FUND);
        self.bank.put(wallet(KEY).derived(ROOM).unwrap().address(), FUND);
    }

    fn will_say(&self, steps: Vec<Step>) {
        let report = Report::new(ROOM, digest(b"{}"), steps);
        let log = report.to_log();
        self.rooms.will_end(ROOM, State::Ended(report.summary(&log).to_termination()), &format!("{log}\n"));
    }

    async fn with<T>(&self, act: impl AsyncFnOnce(&Spawner<'_>) -> T) -> T {
        let tell = |line: &str| self.told.lock().unwrap().push(line.to_owned());
        let pace = Pace { look: Duration::from_millis(1), lease: Duration::from_secs(60), patience: Duration::from_secs(10) };
        act(&Spawner { rooms: &self.rooms, treasury: self.treasury.as_ref(), clock: &self.clock, pace, tell: &tell }).await
    }

    async fn run(&self, interrupted: impl Future<Output = ()>) -> Outcome {
        self.with(async |spawner| spawner.run(&self.order(), interrupted).await).await
    }

    async fn sweep(&self) -> Vec<Swept> {
        self.with(async |spawner| sweep(spawner).await.unwrap()).await
    }

    fn wait(&self, seconds: i64) {
        let mut now = self.clock.0.lock().unwrap();
        *now += SignedDuration::from_secs(seconds);
    }

    #[track_caller]
    fn nothing_is_left(&self) {
        assert_eq!((self.rooms.ids(), self.bank.has(wallet(KEY).address())), (vec![], DOLLAR));
    }
}

#[tokio::test]
async fn a_room_is_made_watched_emptied_and_taken_away() {
    for verdict in [Verdict::Passed, Verdict::Failed] {
        let scene = Scene::new().await;
        scene.funded();
        let step = if verdict == Verdict::Passed { Step::passed("tests") } else { Step::not("tests", verdict, "no") };
        scene.will_say(vec![step]);
        let outcome = scene.run(pending()).await;
        assert_eq!(outcome.verdict.as_ref().map(|summary| summary.verdict), Ok(verdict), "{outcome:?}");
        assert_eq!(outcome.left, None);
        assert!(Report::parse_log(&outcome.report.unwrap()).is_ok());
        scene.nothing_is_left();
        let calls = scene.rooms.calls();
        let at = |call: &str| calls.iter().position(|made| made.starts_with(call)).unwrap_or_else(|| panic!("{call} is not in {calls:?}"));
        assert!(
            at("make") < at("keep") && at("keep") < at("report") && at("report") < at("stop") && at("stop") < at("remove"),
            "{calls:?}"
        );
    }
}

#[tokio::test]
async fn whoever_interrupts_leaves_nothing() {
    let scene = Scene::new().await;
    scene.funded();
    let outcome = scene.run(ready(())).await;
    assert_eq!(outcome.verdict.unwrap_err(), "interrupted");
    scene.nothing_is_left();

    // While it runs.
    let scene = Scene::new().await;
    scene.funded();
    let runs = async {
        while scene.rooms.calls().iter().filter(|call| call.starts_with("keep")).count() < 3 {
            tokio::task::yield_now().await;
        }
    };
    let outcome = scene.run(runs).await;
    assert!(outcome.left.is_none() && outcome.report.is_none(), "{outcome:?}");
    scene.nothing_is_left();
}

/// A room of that name that another order made is nobody's to end.
#[tokio::test]
async fn a_room_of_another_order_is_left_alone() {
    let scene = Scene::new().await;
    scene.rooms.make(&Order { plan: "[]".into(), ..scene.order() }).await.unwrap();
    let outcome = scene.run(pending()).await;
    assert!(outcome.verdict.is_err() && outcome.left.is_none(), "{outcome:?}");
    assert_eq!(scene.rooms.ids(), [ROOM]);
    assert!(!scene.rooms.calls().iter().any(|call| call.starts_with("stop") || call.starts_with("remove")), "{:?}", scene.rooms.calls());
}

/// Whatever a room says at its end, or does not say, it is taken away.
#[tokio::test]
async fn a_room_that_says_nothing_of_this_order_has_no_verdict() {
    let forged = |job: &str, plan: &[u8]| {
        let report = Report::new(job, digest(plan), vec![Step::passed("all")]);
        State::Ended(report.summary("").to_termination())
    };
    for (what, state, named) in [
        ("another room's words", forged("room-9999999999", b"{}"), "room-9999999999"),
        ("words of another plan", forged(ROOM, b"[]"), "files"),
        ("no words", State::Ended(String::new()), "wrote nothing"),
        ("nonsense", State::Ended("passed!".into()), "none of its own"),
        ("a break", State::Broken("its node is gone".into()), "its node is gone"),
    ] {
        let scene = Scene::new().await;
        scene.funded();
        scene.rooms.will_end(ROOM, state, "");
        let outcome = scene.run(pending()).await;
        let said = outcome.verdict.unwrap_err();
        assert!(said.contains(named), "{what}: {named:?} is not in {said:?}");
        scene.nothing_is_left();
    }
    let scene = Scene::new().await;
    scene.will_say(vec![Step::passed("all")]);
    let report = Report::new(ROOM, digest(b"{}"), vec![Step::passed("all")]);
    let words = report.summary(&report.to_log()).to_termination();
    scene.rooms.will_end(ROOM, State::Ended(words), "another text");
    let outcome = scene.run(pending()).await;
    assert!(outcome.verdict.is_ok() && outcome.report.is_none(), "a report that the verdict does not name is none: {outcome:?}");
}

#[tokio::test]
async fn a_provisioner_that_hiccups_is_asked_again_and_one_that_is_away_is_given_up() {
    for call in ["make", "look", "keep", "report", "stop", "remove"] {
        let scene = Scene::new().await;
        scene.will_say(vec![Step::passed("all")]);
        scene.rooms.fails(call);
        let outcome = scene.run(pending()).await;
        assert!(outcome.verdict.is_ok() && outcome.left.is_none() && outcome.report.is_some(), "{call}: {outcome:?}");
        scene.nothing_is_left();
    }
    let scene = Scene::new().await;
    scene.funded();
    (0..5).for_each(|_| scene.rooms.fails("stop"));
    scene.will_say(vec![Step::passed("all")]);
    let outcome = scene.run(pending()).await;
    assert!(outcome.left.unwrap().contains("could not be stopped"));
    assert_eq!((scene.rooms.ids(), scene.bank.moved().len()), (vec![ROOM.to_owned()], 0), "what may still run keeps its money");
}

/// Its name is all that leads to its wallet, so that it stays until that is empty.
#[tokio::test]
async fn a_room_whose_money_does_not_come_back_stays_until_it_does() {
    let scene = Scene::new().await;
    scene.funded();
    scene.bank.fails(&[Fault::Refused]);
    scene.will_say(vec![Step::passed("all")]);
    let outcome = scene.run(pending()).await;
    let left = outcome.left.unwrap();
    assert!(left.contains(ROOM) && left.contains("emptied"), "{left}");
    assert_eq!(scene.rooms.ids(), [ROOM]);
    assert_eq!(scene.sweep().await, [], "its maker may still be there");
    scene.wait(61);
    assert_eq!(scene.sweep().await, [Swept { id: ROOM.into(), brought: Ok(FUND) }]);
    scene.nothing_is_left();
    assert_eq!(scene.sweep().await, []);
}

/// On another chain its wallet has nothing, which says nothing of its money.
#[tokio::test]
async fn a_room_of_another_chain_or_token_is_left_to_its_own_factory() {
    for (note, other) in [(NETWORK, "eip155:8453"), (TOKEN, "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913")] {
        let scene = Scene::new().await;
        let mut order = scene.order();
        order.notes.insert(note.into(), other.into());
        scene.rooms.make(&order).await.unwrap();
        scene.wait(61);
        let swept = scene.sweep().await;
        let [Swept { brought: Err(problem), .. }] = &swept[..] else { panic!("{note}: {swept:?}") };
        assert!(problem.contains(other) && problem.contains("Factory flywheel/prim"), "{problem}");
        assert_eq!((scene.rooms.ids(), scene.rooms.holding_keys()), (vec![ROOM.to_owned()], vec![]), "{note}");
    }
}

/// A node that is behind shows nothing of what a room does not know to be back: it is
/// looked at again, and its name stays until then.
#[tokio::test]
async fn a_room_that_is_not_sure_of_its_money_is_looked_at_again() {
    let scene = Scene::new().await;
    scene.funded();
    scene.bank.says(&[Said::Nothing]);
    scene.will_say(vec![Step::passed("all"), Step { advisory: true, ..Step::not("return", Verdict::Error, "the RPC is behind") }]);
    let outcome = scene.run(pending()).await;
    assert!(outcome.left.unwrap().contains("money may come to it until"));
    assert_eq!((scene.rooms.ids(), scene.rooms.holding_keys()), (vec![ROOM.to_owned()], vec![]));
    scene.wait(361);
    assert_eq!(scene.sweep().await, [Swept { id: ROOM.into(), brought: Ok(FUND) }]);
    scene.nothing_is_left();
}

/// What fills a room was signed and not settled when its maker looked: it may come as long
/// as the signature holds, and the name leads there until then.
#[tokio::test]
async fn a_transfer_that_settles_late_is_brought_back() {
    for (what, maker_dies, comes) in [
        ("interrupted, and it comes", false, true),
        ("interrupted, and it never comes", false, false),
        ("killed, and it comes", true, true),
        ("killed, and it never comes", true, false),
    ] {
        let scene = Scene::new().await;
        if maker_dies {
            scene.rooms.make(&scene.order()).await.unwrap();
            scene.wait(61);
            let swept = scene.sweep().await;
            let [Swept { brought: Err(left), .. }] = &swept[..] else { panic!("{what}: {swept:?}") };
            assert!(left.contains(ROOM) && left.contains("until"), "{what}: {left}");
        } else {
            let left = scene.run(ready(())).await.left.unwrap();
            assert!(left.contains(ROOM) && left.contains("its wallet is empty, and money may come to it until"), "{what}: {left}");
        }
        assert_eq!((scene.rooms.ids(), scene.rooms.holding_keys()), (vec![ROOM.to_owned()], vec![]), "{what}: a name alone");
        scene.wait(359);
        assert_eq!(scene.sweep().await, [], "{what}: it is not over");
        if comes {
            scene.funded();
        }
        scene.wait(2);
        assert_eq!(scene.sweep().await, [Swept { id: ROOM.into(), brought: Ok(if comes { FUND } else { 0 }) }], "{what}");
        scene.nothing_is_left();
    }
}

/// A room that is stopped sends its money back itself, and its last words say so: nobody
/// has to wait. Neither has who stops one that never began.
#[tokio::test]
async fn a_room_whose_last_words_are_heard_is_taken_away_at_once() {
    let words =
        |step: Step| Report::new(ROOM, digest(b"{}"), vec![Step::not("end", Verdict::Error, "ended"), step]).summary("").to_termination();
    let returned = words(Step::passed("return"));
    let doubtful = words(Step { advisory: true, ..Step::not("return", Verdict::Error, "nobody knows") });
    let others = Report::new("room-9999999999", "", vec![Step::passed("return")]).summary("").to_termination();
    for (what, stopped, at_once) in [
        ("it sent it back", Stopped::Said(returned), true),
        ("it never began", Stopped::Never, true),
        ("it does not know", Stopped::Said(doubtful), false),
        ("another's words", Stopped::Said(others), false),
        ("nonsense", Stopped::Said("passed!".into()), false),
        ("nothing was heard", Stopped::Unheard, false),
    ] {
        for sees in [true, false] {
            let mut scene = Scene::new().await;
            scene.treasury = Some(treasury(&scene.bank, KEY, sees));
            scene.rooms.will_be_stopped(ROOM, stopped.clone());
            let outcome = scene.run(ready(())).await;
            assert_eq!(outcome.left.is_none(), at_once, "{what}, seen {sees}: {:?}", outcome.left);
            assert_eq!(scene.rooms.ids().is_empty(), at_once, "{what}, seen {sees}");
        }
    }
}

/// Nobody sees what its wallet has: its name stays, and no key.
#[tokio::test]
async fn a_room_that_nobody_sees_into_keeps_its_name_and_no_key() {
    let mut scene = Scene::new().await;
    scene.treasury = Some(treasury(&scene.bank, KEY, false));
    scene.funded();
    let outcome = scene.run(ready(())).await;
    let left = outcome.left.unwrap();
    assert!(left.contains("cleanRoom.rpc") && left.contains(ROOM), "{left}");
    assert_eq!((scene.rooms.ids(), scene.rooms.holding_keys()), (vec![ROOM.to_owned()], vec![]));
    // Whoever can see takes it away.
    scene.treasury = Some(treasury(&scene.bank, KEY, true));
    scene.wait(61);
    assert_eq!(scene.sweep().await, [Swept { id: ROOM.into(), brought: Ok(FUND) }]);
    scene.nothing_is_left();
}

/// A death without a last word, wherever it strikes.
#[tokio::test]
async fn whoever_is_killed_is_cleared_up_after() {
    let after = ["make", "look", "keep"];
    for call in after {
        let scene = Scene::new().await;
        scene.funded();
        {
            let order = scene.order();
            let spawned = scene.with(async |spawner| {
                tokio::select! {
                    biased;
                    () = async {
                        while !scene.rooms.calls().iter().any(|made| made.starts_with(call)) {
                            tokio::task::yield_now().await;
                        }
                    } => {}
                    outcome = spawner.run(&order, pending()) => panic!("{outcome:?}"),
                }
            });
            spawned.await;
        }
        assert_eq!(scene.rooms.ids(), [ROOM], "after {call}");
        assert_eq!(scene.sweep().await, [], "after {call}: too early to tell");
        scene.wait(61);
        assert_eq!(scene.sweep().await, [Swept { id: ROOM.into(), brought: Ok(FUND) }], "after {call}");
        scene.nothing_is_left();
    }
}

#[tokio::test]
async fn whose_money_it_is_not_leaves_it_alone() {
    let other = format!("0x{}", "11".repeat(32));
    for (what, key, sees, named) in [
        ("no key", None, true, "--wallet-file"),
        ("another's key", Some(other.as_str()), true, "and the key that is given is of"),
        ("nobody sees what there is", Some(KEY), false, "no RPC"),
    ] {
        let mut scene = Scene::new().await;
        scene.funded();
        scene.rooms.make(&scene.order()).await.unwrap();
        scene.treasury = key.map(|key| treasury(&scene.bank, key, sees));
        scene.wait(61);
        let swept = scene.sweep().await;
        let [Swept { brought: Err(problem), .. }] = &swept[..] else { panic!("{what}: {swept:?}") };
        assert!(problem.contains(named), "{what}: {problem}");
        assert_eq!((scene.rooms.ids(), scene.bank.moved().len()), (vec![ROOM.to_owned()], 0), "{what}");
        assert!(matches!(scene.rooms.look(ROOM).await.unwrap(), State::Broken(_)), "{what}: it runs no longer");
        assert_eq!(scene.rooms.holding_keys(), Vec::<String>::new(), "{what}: no key stays");
    }
    // A room without money needs nobody's key.
    let mut scene = Scene::new().await;
    scene.treasury = None;
    scene.rooms.make(&Order { notes: BTreeMap::new(), ..scene.order() }).await.unwrap();
    scene.wait(61);
    assert_eq!(scene.sweep().await, [Swept { id: ROOM.into(), brought: Ok(0) }]);
    scene.nothing_is_left();
}
