//! One controller acts at a time: the one that holds a Lease. It is taken, renewed
//! and given up by writes that name the version they follow, so that of two
//! claimants one fails. A Lease is expired once it was *seen* unchanged for as long
//! as it says, by our own clock: other machines' clocks are never compared with it.
//! What leading permits is asked of `leadership.rs`.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    sync::Arc,
    time::Duration,
};

use anyhow::{anyhow, bail};
use jiff::Timestamp;
use k8s_openapi::{api::coordination::v1::Lease, apimachinery::pkg::apis::meta::v1::MicroTime};
use kube::{
    Api, Client, ResourceExt,
    api::{ObjectMeta, PostParams},
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, sleep_until, timeout, timeout_at},
};

use super::context::Context;
use crate::{ports::clock::Clock, telemetry::chain};

/// Name of the Lease.
pub const NAME: &str = "flywheel-controller";
/// How long a Lease that is not renewed keeps others out.
pub const DURATION: Duration = Duration::from_secs(15);
/// Time between two renewals, and so between two writes of a controller at rest.
pub const RENEWAL: Duration = Duration::from_secs(5);
/// Time between two looks at a Lease that somebody else holds.
pub const LOOK: Duration = Duration::from_secs(2);
/// Time between two attempts to renew, where the first failed.
const RETRY: Duration = Duration::from_secs(1);
/// How long before a Lease's end nothing irreversible is begun any more.
const MARGIN: Duration = Duration::from_secs(5);
/// Longest wait for one answer: several attempts must fit into a Lease.
const PATIENCE: Duration = Duration::from_secs(3);

/// A process that wants the Lease, or has it.
#[derive(Clone)]
pub struct Claimant {
    api: Api<Lease>,
    namespace: String,
    identity: String,
    clock: Arc<dyn Clock>,
}

/// The Lease, as this process wrote it last.
pub struct Held {
    lease: Lease,
    /// When that write was begun, which is before it took effect.
    since: Instant,
    wall: Timestamp,
}

/// Somebody else's Lease, and since when it is known as it is.
struct Sighting {
    holder: String,
    renewed: Option<MicroTime>,
    lasts: Duration,
    since: Instant,
}

/// What one attempt came to.
enum Attempt {
    Held(Box<Held>),
    Foreign(Sighting),
    /// Another claimant wrote first; look again.
    Overtaken,
}

/// A process's name among claimants: where it runs, and something that no other
/// process there has, nor this one after a restart.
pub fn identity(host: &str) -> String {
    format!("{host}-{:016x}", RandomState::new().build_hasher().finish())
}

/// Does `work` while the Lease is held, and fails when it is lost: whoever holds it
/// next must be alone. Ends without having worked where `shutdown` comes first.
pub async fn lead(
    claimant: Claimant,
    cx: Arc<Context>,
    shutdown: impl Future<Output = ()>,
    work: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let held = tokio::select! {
        held = claimant.acquire() => held,
        () = shutdown => {
            // An answer that said it was ours may have been on its way.
            claimant.vacate().await;
            return Ok(());
        }
    };
    cx.leadership.hold(Some(held.until()));
    // A task of its own: a pass that computes for long must not hold it up.
    let mut keeper = JoinSet::new();
    keeper.spawn(claimant.clone().keep(held, cx.clone()));
    tokio::select! {
        Some(lost) = keeper.join_next() => {
            cx.leadership.hold(None);
            return Err(lost.unwrap_or_else(|panic| anyhow!(panic).context("the Lease's keeper failed")));
        }
        () = work => {}
    }
    keeper.shutdown().await;
    cx.leadership.hold(None);
    claimant.vacate().await;
    Ok(())
}

impl Held {
    /// Until when it may be acted on.
    fn until(&self) -> Timestamp {
        self.wall.saturating_add(DURATION.saturating_sub(MARGIN)).unwrap_or(self.wall)
    }
}

impl Claimant {
    /// A claimant of the Lease in `namespace`.
    pub fn new(client: Client, namespace: &str, identity: String, clock: Arc<dyn Clock>) -> Self {
        Self { api: Api::namespaced(client, namespace), namespace: namespace.into(), identity, clock }
    }

    /// Waits until the Lease is ours.
    pub async fn acquire(&self) -> Held {
        let mut seen: Option<Sighting> = None;
        let mut complaint = None;
        loop {
            match self.attempt(seen.as_ref()).await {
                Ok(Attempt::Held(held)) => {
                    tracing::info!(lease = NAME, namespace = self.namespace, identity = self.identity, "this process leads");
                    return *held;
                }
                Ok(Attempt::Overtaken) => {}
                Ok(Attempt::Foreign(now)) => {
                    if seen.as_ref().is_none_or(|before| before.holder != now.holder) {
                        let (namespace, holder, lasts) = (&self.namespace, &now.holder, now.lasts.as_secs());
                        tracing::info!(lease = NAME, namespace, holder, lasts, "waiting: another process leads");
                    }
                    seen = Some(now);
                    complaint = None;
                }
                Err(error) => {
                    let error = chain(error.as_ref());
                    if complaint.as_ref() != Some(&error) {
                        tracing::warn!(lease = NAME, namespace = self.namespace, error, "the Lease can't be taken; tried again by itself");
                    }
                    complaint = Some(error);
                }
            }
            sleep(LOOK).await;
        }
    }

    /// Takes the Lease if it is free, ours, or was seen unchanged for too long.
    async fn attempt(&self, seen: Option<&Sighting>) -> anyhow::Result<Attempt> {
        let there = timely(self.api.get_opt(NAME)).await?;
        if let Some(lease) = &there
            && let Some(now) = sighting(lease, seen)
            && now.holder != self.identity
            && now.since.elapsed() < now.lasts
        {
            return Ok(Attempt::Foreign(now));
        }
        Ok(self.write(there).await?.map_or(Attempt::Overtaken, |held| Attempt::Held(Box::new(held))))
    }

    /// Writes the Lease as ours, over `before` and nothing newer; nothing where
    /// somebody else was first.
    async fn write(&self, before: Option<Lease>) -> anyhow::Result<Option<Held>> {
        let (since, wall) = (Instant::now(), self.clock.now());
        let mut lease = before.unwrap_or_else(|| Lease {
            metadata: ObjectMeta { name: Some(NAME.into()), namespace: Some(self.namespace.clone()), ..ObjectMeta::default() },
            ..Lease::default()
        });
        let spec = lease.spec.get_or_insert_default();
        if spec.holder_identity.as_ref() != Some(&self.identity) {
            spec.lease_transitions = Some(spec.lease_transitions.map_or(0, |times| times.saturating_add(1)));
            spec.acquire_time = Some(MicroTime(wall));
            spec.holder_identity = Some(self.identity.clone());
        }
        spec.lease_duration_seconds = Some(i32::try_from(DURATION.as_secs())?);
        spec.renew_time = Some(MicroTime(wall));
        Ok(self.put(&lease).await?.map(|lease| Held { lease, since, wall }))
    }

    /// Makes or replaces it; nothing where somebody else wrote or removed it first.
    async fn put(&self, lease: &Lease) -> anyhow::Result<Option<Lease>> {
        let params = PostParams::default();
        let written = async {
            Ok(match lease.resource_version() {
                Some(_) => self.api.replace(NAME, &params, lease).await,
                None => self.api.create(&params, lease).await,
            })
        };
        match timely(written).await? {
            Ok(lease) => Ok(Some(lease)),
            Err(kube::Error::Api(answer)) if answer.is_conflict() || answer.is_already_exists() || answer.is_not_found() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Renews the Lease until it is lost, and says how.
    async fn keep(self, mut held: Held, cx: Arc<Context>) -> anyhow::Error {
        loop {
            sleep_until(held.since + RENEWAL).await;
            match self.renew(held).await {
                Ok(renewed) => {
                    cx.leadership.hold(Some(renewed.until()));
                    held = renewed;
                }
                Err(lost) => return lost,
            }
        }
    }

    /// Renews it, as often as it takes and for as long as nobody else may have it.
    async fn renew(&self, held: Held) -> anyhow::Result<Held> {
        let end = held.since + DURATION;
        let mut before = Some(held.lease);
        let trying = async {
            loop {
                match self.write(before.clone()).await {
                    Ok(Some(held)) => return Ok(held),
                    Ok(None) => match timely(self.api.get_opt(NAME)).await {
                        Ok(now) => {
                            let holder = now.as_ref().map(holder);
                            if holder.is_some_and(|holder| holder != self.identity) {
                                return Err(anyhow!("the Lease {}/{NAME} is another's by now: {holder:?}", self.namespace));
                            }
                            // Somebody edited it, or removed it, or an answer to us was lost.
                            before = now;
                        }
                        Err(error) => self.warn(&error),
                    },
                    Err(error) => self.warn(&error),
                }
                sleep(RETRY).await;
            }
        };
        timeout_at(end, trying).await.unwrap_or_else(|_| {
            Err(anyhow!("the Lease {}/{NAME} could not be renewed for {} s: another may lead by now", self.namespace, DURATION.as_secs()))
        })
    }

    fn warn(&self, error: &anyhow::Error) {
        tracing::warn!(lease = NAME, namespace = self.namespace, error = chain(error.as_ref()), "the Lease was not renewed; tried again");
    }

    /// Gives the Lease up if it is ours, so that nobody waits for its end.
    pub async fn vacate(&self) {
        let given_up = async {
            let Some(mut lease) = timely(self.api.get_opt(NAME)).await? else { return Ok(()) };
            if holder(&lease) == self.identity {
                lease.spec.get_or_insert_default().holder_identity = None;
                self.put(&lease).await?;
            }
            anyhow::Ok(())
        };
        if let Err(error) = given_up.await {
            tracing::warn!(lease = NAME, error = chain(error.as_ref()), "the Lease was not given up: the next one waits for its end");
        }
    }
}

fn holder(lease: &Lease) -> &str {
    lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref()).unwrap_or_default()
}

/// A held Lease as it is seen now; nothing where it is free.
fn sighting(lease: &Lease, before: Option<&Sighting>) -> Option<Sighting> {
    let holder = holder(lease);
    let spec = lease.spec.as_ref().filter(|_| !holder.is_empty())?;
    let unchanged = before.filter(|before| before.holder == holder && before.renewed == spec.renew_time);
    Some(Sighting {
        holder: holder.into(),
        renewed: spec.renew_time.clone(),
        lasts: spec.lease_duration_seconds.and_then(|s| u64::try_from(s).ok()).map_or(DURATION, Duration::from_secs),
        since: unchanged.map_or_else(Instant::now, |before| before.since),
    })
}

async fn timely<T>(call: impl Future<Output = Result<T, kube::Error>>) -> anyhow::Result<T> {
    match timeout(PATIENCE, call).await {
        Ok(answer) => Ok(answer?),
        Err(_) => bail!("the API server did not answer within {} s", PATIENCE.as_secs()),
    }
}
