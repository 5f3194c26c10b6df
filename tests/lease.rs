//! Claimants of the Lease, on an API server in memory. The clock stands still
//! unless everybody waits, so that fifteen seconds pass at once and exactly.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::http::{Method, StatusCode};
use flywheel::{
    controller::{
        context::Context,
        leadership::Leadership,
        lease::{self, Claimant, DURATION, LOOK, RENEWAL},
    },
    ports::clock::Clock,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::{Instant, timeout},
};

use crate::{
    apiserver::ApiServer,
    world::{Fakes, World},
};

const PATH: &str = "/apis/coordination.k8s.io/v1/namespaces/flywheel-system/leases/flywheel-controller";
/// Two claimants never look at the very same time.
const INSTANT: Duration = Duration::from_millis(10);

/// Lets time pass. Nobody waits: the paused clock jumps.
async fn elapse(span: Duration) {
    let _ = timeout(span, std::future::pending::<()>()).await;
}

/// A machine's clock, which is wrong by some time.
struct Machine(Instant, SignedDuration);

impl Clock for Machine {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap() + SignedDuration::try_from(self.0.elapsed()).unwrap() + self.1
    }
}

/// Who works, and how many ever did at once.
#[derive(Default)]
struct Shop {
    names: Mutex<Vec<&'static str>>,
    most: AtomicUsize,
}

impl Shop {
    fn names(&self) -> Vec<&'static str> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn enter(self: &Arc<Self>, name: &'static str) -> Inside {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.push(name);
        self.most.fetch_max(names.len(), Ordering::SeqCst);
        Inside(self.clone(), name)
    }
}

struct Inside(Arc<Shop>, &'static str);

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.names.lock().unwrap_or_else(PoisonError::into_inner).retain(|name| *name != self.1);
    }
}

struct Bed {
    api: ApiServer,
    shop: Arc<Shop>,
    start: Instant,
}

/// A controller: it works from when it leads until it is told to end.
struct Process {
    cx: Arc<Context>,
    end: Option<oneshot::Sender<()>>,
    led: JoinHandle<anyhow::Result<()>>,
}

impl Bed {
    fn new() -> Self {
        Self { api: ApiServer::default(), shop: Arc::default(), start: Instant::now() }
    }

    fn start(&self, name: &'static str, wrong: SignedDuration) -> Process {
        let clock = Arc::new(Machine(self.start, wrong));
        let (pokes, _) = mpsc::channel(1);
        let mut cx = Context::with_world(self.api.client(), Arc::new(Fakes(World::good())), clock.clone(), pokes, Duration::from_secs(600));
        cx.leadership = Leadership::none();
        let cx = Arc::new(cx);
        let (end, ended) = oneshot::channel::<()>();
        let ended = futures::FutureExt::shared(async { ended.await.unwrap_or_default() });
        let claimant = Claimant::new(self.api.client(), "flywheel-system", name.into(), clock);
        let (shop, working) = (self.shop.clone(), ended.clone());
        let work = async move {
            let _inside = shop.enter(name);
            working.await;
            // What is begun is ended first.
            elapse(Duration::from_secs(7)).await;
        };
        let led = tokio::spawn(lease::lead(claimant, cx.clone(), ended, work));
        Process { cx, end: Some(end), led }
    }

    /// Lets time pass until `names` work, and returns how much did.
    async fn until(&self, names: &[&str]) -> Duration {
        let started = Instant::now();
        let waiting = async {
            while self.shop.names() != names {
                elapse(INSTANT).await;
            }
        };
        timeout(Duration::from_secs(120), waiting).await.unwrap_or_else(|_| panic!("never {names:?}, but {:?}", self.shop.names()));
        started.elapsed()
    }

    fn lease(&self) -> Value {
        self.api.object(PATH).expect("the Lease")["spec"].clone()
    }
}

impl Process {
    fn leads(&self) -> bool {
        self.cx.leadership.prove(self.cx.clock.now()).is_ok()
    }

    fn tell_to_end(&mut self) {
        drop(self.end.take());
    }

    /// How it ends by itself.
    async fn lost(self) -> String {
        timeout(Duration::from_secs(60), self.led).await.expect("it went on").unwrap().expect_err("it ended well").to_string()
    }
}

const RIGHT: SignedDuration = SignedDuration::ZERO;

#[tokio::test(start_paused = true)]
async fn a_free_lease_is_taken_at_once_and_a_renewal_is_one_write() {
    let bed = Bed::new();
    let first = bed.start("first", RIGHT);
    assert!(bed.until(&["first"]).await <= 2 * INSTANT);
    assert!(first.leads());
    let lease = bed.lease();
    assert_eq!((lease["holderIdentity"].as_str(), lease["leaseDurationSeconds"].as_i64()), (Some("first"), Some(15)));
    assert_eq!((lease["leaseTransitions"].as_i64(), &lease["acquireTime"]), (Some(0), &lease["renewTime"]));

    bed.api.take();
    elapse(12 * RENEWAL + INSTANT).await;
    let requests = bed.api.take();
    assert_eq!(requests.len(), 12, "{requests:?}");
    assert!(requests.iter().all(|r| r.method == Method::PUT && r.path == PATH), "{requests:?}");
    assert_ne!(bed.lease()["renewTime"], lease["renewTime"]);
    assert_eq!(bed.lease()["acquireTime"], lease["acquireTime"]);
    assert!(first.leads());
}

#[tokio::test(start_paused = true)]
async fn of_two_that_find_it_free_one_leads() {
    let bed = Bed::new();
    let [first, second] = [bed.start("first", RIGHT), bed.start("second", RIGHT)];
    elapse(4 * DURATION).await;
    assert_eq!(bed.shop.names().len(), 1);
    assert_ne!(first.leads(), second.leads());
    assert_eq!(bed.shop.most.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn who_is_told_to_end_ends_its_work_first_and_gives_the_lease_up() {
    let bed = Bed::new();
    let mut first = bed.start("first", RIGHT);
    bed.until(&["first"]).await;
    let mut second = bed.start("second", RIGHT);
    let mut third = bed.start("third", RIGHT);
    elapse(3 * DURATION).await;
    assert_eq!(bed.shop.names(), ["first"]);

    // One that only waits ends at once, and leaves the Lease alone.
    third.tell_to_end();
    timeout(INSTANT, third.led).await.unwrap().unwrap().unwrap();
    first.tell_to_end();
    bed.until(&[]).await;
    assert!(bed.until(&["second"]).await <= LOOK + INSTANT, "nobody waits for the end of a Lease that was given up");
    first.led.await.unwrap().unwrap();
    assert!(second.leads());
    assert_eq!(bed.lease()["leaseTransitions"], 1);
    assert_eq!(bed.shop.most.load(Ordering::SeqCst), 1);
    second.tell_to_end();
    second.led.await.unwrap().unwrap();
    assert_eq!(bed.lease().get("holderIdentity"), None);
}

#[tokio::test(start_paused = true)]
async fn a_dead_holders_lease_ends_by_our_own_clock() {
    for wrong in [RIGHT, SignedDuration::from_hours(1), SignedDuration::from_hours(-1)] {
        let bed = Bed::new();
        let first = bed.start("first", RIGHT);
        bed.until(&["first"]).await;
        let second = bed.start("second", wrong);
        // Just before a renewal: the Lease is as old as it gets.
        elapse(4 * RENEWAL - 2 * INSTANT).await;
        assert_eq!(bed.shop.names(), ["first"], "wrong by {wrong}");
        first.led.abort();
        let took = bed.until(&["second"]).await;
        assert!(took >= DURATION - RENEWAL && took <= DURATION + 2 * LOOK, "wrong by {wrong}: {took:?}");
        assert!(second.leads());
    }
}

#[tokio::test(start_paused = true)]
async fn without_an_api_server_nothing_irreversible_is_begun_and_then_the_process_ends() {
    let bed = Bed::new();
    let first = bed.start("first", RIGHT);
    bed.until(&["first"]).await;
    elapse(RENEWAL + INSTANT).await;
    bed.api.refuse("leases/flywheel-controller", StatusCode::INTERNAL_SERVER_ERROR);
    elapse(Duration::from_secs(9)).await;
    assert!(first.leads());
    elapse(Duration::from_secs(1)).await;
    assert!(!first.leads(), "10 s after the last renewal");
    assert_eq!(bed.shop.names(), ["first"], "what can be repeated goes on");
    let error = first.lost().await;
    assert!(error.contains("could not be renewed for 15 s"), "{error}");
    assert!(bed.start.elapsed() <= RENEWAL + DURATION + 4 * INSTANT);
    assert!(bed.shop.names().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_short_trouble_is_survived() {
    let bed = Bed::new();
    let first = bed.start("first", RIGHT);
    bed.until(&["first"]).await;
    for seconds in [6, 9] {
        bed.api.refuse("leases/flywheel-controller", StatusCode::SERVICE_UNAVAILABLE);
        elapse(Duration::from_secs(seconds)).await;
        bed.api.relent();
        elapse(RENEWAL).await;
        assert!(first.leads(), "{seconds} s of silence");
    }
    // Somebody's note on it makes another version; a Lease that is removed is made again.
    bed.api.edit(PATH, |mut lease| {
        lease["metadata"]["annotations"] = json!({ "note": "hello" });
        Some(lease)
    });
    elapse(RENEWAL + LOOK).await;
    assert!(first.leads());
    assert_eq!(bed.api.object(PATH).unwrap()["metadata"]["annotations"]["note"], "hello");
    bed.api.edit(PATH, |_| None);
    elapse(RENEWAL + LOOK).await;
    assert!(first.leads());
    assert_eq!(bed.lease()["holderIdentity"], "first");
}

#[tokio::test(start_paused = true)]
async fn who_finds_another_holder_ends() {
    let bed = Bed::new();
    let first = bed.start("first", RIGHT);
    bed.until(&["first"]).await;
    bed.api.edit(PATH, |mut lease| {
        lease["spec"]["holderIdentity"] = json!("usurper");
        Some(lease)
    });
    let error = first.lost().await;
    assert!(error.contains("another's by now") && error.contains("usurper"), "{error}");
    assert!(bed.start.elapsed() <= RENEWAL + Duration::from_secs(1));
    assert_eq!(bed.lease()["holderIdentity"], "usurper", "another's is not given up");
}

#[tokio::test(start_paused = true)]
async fn who_may_not_have_it_waits_until_it_may() {
    let bed = Bed::new();
    bed.api.refuse("leases", StatusCode::FORBIDDEN);
    let first = bed.start("first", RIGHT);
    elapse(DURATION).await;
    assert!(bed.shop.names().is_empty() && !first.leads());
    bed.api.relent();
    assert!(bed.until(&["first"]).await <= LOOK + INSTANT);
}

#[test]
fn no_two_processes_of_one_host_have_one_name() {
    assert_ne!(lease::identity("host"), lease::identity("host"));
    assert!(lease::identity("host").starts_with("host-"));
}
