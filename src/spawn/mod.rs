//! Clean rooms from a terminal: one is ordered, watched to its verdict, emptied of its
//! money and taken away, whatever happened in it. It may not decide what a room shows or
//! what its program says: that is `room`'s. What a maker who died left behind is
//! `sweep.rs`; `cluster.rs` makes rooms that are namespaces,
//! `ending.rs` reads what the pod of one says last.

mod cluster;
mod ending;
mod objects;
mod sweep;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use tokio::time::sleep;

pub use cluster::Cluster;
pub use objects::Ways;
pub use sweep::{Swept, sweep};

use crate::{
    api::gate_run::RETURN,
    gate::{
        bundle::digest,
        report::{Report, Summary},
    },
    ports::{
        clock::Clock,
        error::{Class, PortError},
        payments::{LATEST_SECONDS, Payer},
        provisioner::{FACTORY, FUNDER, NETWORK, Order, Provisioner, SETTLES, State, Stopped, TOKEN},
    },
    room::{Bank, Persistence},
};

/// How often something is asked that fails by itself.
const TRIES: u32 = 5;
/// Seconds that a room may take beyond its own to start and to end.
const GRACE: i64 = 120;
/// Longest wait for a provisioner that asks to wait: a room's maker is to be heard of.
const MOST_WAIT: Duration = Duration::from_secs(20);
/// Why there is no verdict.
const INTERRUPTED: &str = "interrupted";

/// Makes the wallet of a room of that name.
pub type Derive = Box<dyn Fn(&str) -> Result<Arc<dyn Payer>, PortError> + Send + Sync>;

/// An operator's wallet, and the rooms' that follow from it.
pub struct Treasury {
    /// Who moves money.
    pub bank: Bank,
    /// The address that it comes from.
    pub funder: String,
    /// The wallet of a room of that name.
    pub wallet: Derive,
}

impl Treasury {
    /// What a room's wallet still has goes back, wherever the room is. How much that was.
    pub async fn empty(&self, room: &str) -> Result<u128, String> {
        let wallet = (self.wallet)(room).map_err(|error| error.to_string())?;
        self.bank.empty(wallet.as_ref(), &self.funder).await.map_err(|error| error.to_string())
    }
}

/// How often a room is looked at, and how long things may take.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Between two looks.
    pub look: Duration,
    /// For how long a room's maker counts as there after it said so.
    pub lease: Duration,
    /// How long a room may take to be gone.
    pub patience: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { look: Duration::from_secs(2), lease: Duration::from_secs(60), patience: Duration::from_secs(180) }
    }
}

/// Everything that making and ending rooms takes.
pub struct Spawner<'a> {
    /// Who makes them.
    pub rooms: &'a dyn Provisioner,
    /// Where their money comes from.
    pub treasury: Option<&'a Treasury>,
    /// What time it is.
    pub clock: &'a dyn Clock,
    /// How often, how long.
    pub pace: Pace,
    /// Is told what goes on, a line each.
    pub tell: &'a (dyn Fn(&str) + Sync),
}

/// How a room's money is looked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Looks {
    /// Not at all, where nobody can: it sent it back itself, or never had any.
    Nowhere,
    /// What its wallet shows now is all.
    Once,
    /// Nobody knows that all came that may come: an empty wallet is looked at again, once
    /// nothing can come any more.
    Twice,
}

/// What became of a room.
#[derive(Debug)]
pub struct Outcome {
    /// Its verdict, or why there is none.
    pub verdict: Result<Summary, String>,
    /// Its report, where it printed one.
    pub report: Option<String>,
    /// What of it is left, and why; nothing where it is gone and its money back.
    pub left: Option<String>,
}

impl Spawner<'_> {
    /// Makes a room, and takes it away again once it has ended or somebody interrupts.
    pub async fn run(&self, order: &Order, interrupted: impl Future<Output = ()>) -> Outcome {
        tokio::pin!(interrupted);
        let mut stopped = false;
        (self.tell)(&format!("room {} is ordered", order.id));
        // What is made half-way is made to its end: nobody would know what there is.
        let made = {
            let make = self.persist(|| self.rooms.make(order));
            tokio::pin!(make);
            tokio::select! {
                made = &mut make => made,
                () = &mut interrupted => {
                    stopped = true;
                    make.await
                }
            }
        };
        let ended = match made {
            // Another order's room is not ours to take away.
            Err(error) if error.class == Class::Conflict => return Outcome { verdict: Err(error.to_string()), report: None, left: None },
            Err(error) => Err(error.to_string()),
            Ok(()) if stopped => Err(INTERRUPTED.to_owned()),
            Ok(()) => tokio::select! {
                ended = self.watch(order) => ended,
                () = interrupted => Err(INTERRUPTED.to_owned()),
            },
        };
        let verdict = ended.and_then(|words| {
            let said = Summary::parse_termination(&words).and_then(|said| said.about(&order.id, &digest(order.plan.as_bytes())));
            said.map_err(|error| error.to_string())
        });
        let report = match &verdict {
            Ok(summary) => self.report(&order.id, summary).await,
            Err(_) => None,
        };
        let left = self.clear(&order.id, &order.notes, verdict.as_ref().ok()).await.err();
        Outcome { verdict, report, left }
    }

    /// How much looking a room's own last word of its money leaves.
    fn looks(&self, stopped: &Stopped, said: Option<&Summary>) -> Looks {
        match said.map(|said| said.steps.iter().find(|step| step.name == RETURN)) {
            Some(Some(step)) if step.advisory => Looks::Twice,
            // What a room sent back itself needs nobody to look where nobody can.
            Some(Some(_)) if self.is_blind() => Looks::Nowhere,
            Some(_) => Looks::Once,
            // It never had any but what somebody else may have sent there.
            None if *stopped == Stopped::Never && self.is_blind() => Looks::Nowhere,
            None if *stopped == Stopped::Never => Looks::Once,
            None => Looks::Twice,
        }
    }

    /// Whether nobody says what wallets have.
    fn is_blind(&self) -> bool {
        self.treasury.is_none_or(|treasury| treasury.bank.ledger.is_none())
    }

    /// The last words of a room that runs to its end.
    async fn watch(&self, order: &Order) -> Result<String, String> {
        let end = later(self.clock.now(), i64::from(order.seconds) + GRACE);
        let mut said = String::new();
        loop {
            match self.persist(|| self.rooms.look(&order.id)).await.map_err(|error| error.to_string())? {
                State::Ended(words) => return Ok(words),
                State::Broken(why) => return Err(why),
                State::Gone => return Err("somebody took it away".into()),
                State::Going(now) if now != said => {
                    (self.tell)(&now);
                    said = now;
                }
                State::Going(_) => {}
            }
            let now = self.clock.now();
            if now > end {
                return Err(format!("it came to no end within {} s", i64::from(order.seconds) + GRACE));
            }
            let until = self.lease(now);
            self.persist(|| self.rooms.keep(&order.id, until)).await.map_err(|error| error.to_string())?;
            sleep(self.pace.look).await;
        }
    }

    /// Until when a maker that is there now counts as there.
    pub fn lease(&self, now: Timestamp) -> Timestamp {
        later(now, i64::try_from(self.pace.lease.as_secs()).unwrap_or(i64::MAX))
    }

    /// The report that a verdict names.
    async fn report(&self, id: &str, summary: &Summary) -> Option<String> {
        let text = self.persist(|| self.rooms.report(id)).await.ok()?;
        let text = text.trim_end_matches('\n');
        let named = summary.report.as_deref() == Some(digest(text.as_bytes()).as_str());
        (named && Report::parse_log(text).is_ok()).then(|| text.to_owned())
    }

    /// Ends what runs in a room, brings its money back, and takes it away; whatever of it
    /// fails is tried again by whoever sweeps. Money goes first, since without the room
    /// nobody knows its wallet, though not if there is nothing to look for. `said` is its
    /// verdict, where it came to one before. How much came back.
    async fn clear(&self, id: &str, notes: &BTreeMap<String, String>, said: Option<&Summary>) -> Result<u128, String> {
        let failed = |doing: &str, error: &dyn std::fmt::Display| format!("room {id} could not be {doing}: {error}");
        let stopped = self.persist(|| self.rooms.stop(id)).await.map_err(|error| failed("stopped", &error))?;
        // One that is ended sends its money back itself, in the time that it has for that.
        let last = match &stopped {
            Stopped::Said(words) => Summary::parse_termination(words).ok().filter(|last| last.job == id),
            Stopped::Never | Stopped::Unheard => None,
        };
        let looks = self.looks(&stopped, said.or(last.as_ref()));
        let funder = notes.get(FUNDER).filter(|_| looks != Looks::Nowhere);
        let brought = match funder {
            Some(funder) => self.empty(id, funder, notes).await.map_err(|problem| failed("emptied", &problem))?,
            None => 0,
        };
        // One transfer fills it: what came, came by that, and no other will.
        if funder.is_some() && brought == 0 && looks == Looks::Twice {
            self.settled(id, notes).await.map_err(|problem| failed("removed", &problem))?;
        }
        self.gone(id, &failed).await?;
        Ok(brought)
    }

    /// Nothing can come to an empty wallet any more; otherwise the room's name is kept for
    /// whoever looks after that, and why is said.
    async fn settled(&self, id: &str, notes: &BTreeMap<String, String>) -> Result<(), String> {
        let now = self.clock.now();
        let noted = notes.get(SETTLES).and_then(|text| text.parse().ok());
        let until: Timestamp = noted.unwrap_or_else(|| later(now, LATEST_SECONDS));
        if until <= now {
            return Ok(());
        }
        let kept = async {
            if noted.is_none() {
                let text = until.to_string();
                self.persist(|| self.rooms.note(id, SETTLES, &text)).await?;
            }
            self.persist(|| self.rooms.keep(id, until)).await
        };
        let unkept = kept.await.map_or_else(|error| format!(", which could not be noted: {error}"), |()| String::new());
        Err(format!("its wallet is empty, and money may come to it until {until}{unkept}"))
    }

    /// Takes away what is empty.
    async fn gone(&self, id: &str, failed: &impl Fn(&str, &dyn std::fmt::Display) -> String) -> Result<(), String> {
        self.persist(|| self.rooms.remove(id)).await.map_err(|error| failed("removed", &error))?;
        let gone = async {
            while self.persist(|| self.rooms.look(id)).await? != State::Gone {
                sleep(self.pace.look).await;
            }
            Ok::<_, PortError>(())
        };
        match tokio::time::timeout(self.pace.patience, gone).await {
            Ok(gone) => gone.map_err(|error| failed("seen to be gone", &error))?,
            Err(_) => return Err(failed("removed", &format!("it is still there after {} s", self.pace.patience.as_secs()))),
        }
        Ok(())
    }

    async fn empty(&self, id: &str, funder: &str, notes: &BTreeMap<String, String>) -> Result<u128, String> {
        let of = notes.get(FACTORY).map(|factory| format!(" of Factory {factory}")).unwrap_or_default();
        let treasury = self.treasury.ok_or_else(|| format!("its money is {funder}'s{of}, whose key is not given (--wallet-file)"))?;
        if !treasury.funder.eq_ignore_ascii_case(funder) {
            return Err(format!("its money is {funder}'s{of}, and the key that is given is of {}", treasury.funder));
        }
        let ours = &treasury.bank.token;
        for (note, ours) in [(NETWORK, &ours.network), (TOKEN, &ours.asset)] {
            if let Some(its) = notes.get(note).filter(|its| !its.eq_ignore_ascii_case(ours)) {
                return Err(format!("its money{of} is on {note} {its}, and is looked for on {ours}: name that Factory"));
            }
        }
        treasury.empty(id).await
    }

    /// Asks again where a failure passes by itself.
    async fn persist<T, F: Future<Output = Result<T, PortError>>>(&self, call: impl Fn() -> F) -> Result<T, PortError> {
        Persistence { tries: TRIES, pause: self.pace.look, most: MOST_WAIT }.ask(call).await
    }
}

fn later(now: Timestamp, seconds: i64) -> Timestamp {
    now.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
}
