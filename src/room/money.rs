//! A room's money: it comes from an operator's wallet and goes back to it, by signatures
//! that a facilitator has settled. A room's wallet follows from that wallet's key and the
//! room's name, so that whoever has the key can empty it after a death at any point, and
//! nothing has to be kept for that.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::{
    sync::Mutex,
    task::{JoinError, JoinHandle},
    time::sleep,
};

use super::{Persistence, Purse};
use crate::{
    api::{
        conditions::Reason,
        gate_run::{RETURN, RoomLeft, Verdict},
    },
    gate::report::Step,
    ports::{
        clock::Clock,
        error::{Class, PortError},
        payments::{Declared, Ledger, Payer, Payment, Receipt, Settler, Terms, Token},
    },
    runner::budget::usd,
};

/// How often a payment is handed in, where it is not known what became of it, and a chain
/// is asked.
const TRIES: u32 = 3;
/// Longest pause for whoever asks for one: a room's end has seconds.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Who moves money, and who knows where it is.
#[derive(Clone)]
pub struct Bank {
    /// What is moved.
    pub token: Token,
    /// Who moves it.
    pub settler: Arc<dyn Settler>,
    /// Who says what is where; without it nobody knows what a dead room has left.
    pub ledger: Option<Arc<dyn Ledger>>,
    /// Before something is asked again.
    pub pause: Duration,
}

/// Why money did not move.
#[derive(Debug, thiserror::Error)]
pub enum Unmoved {
    /// It stays where it is.
    #[error("the facilitator refused the transfer: {0}")]
    Refused(String),
    /// It may have moved all the same.
    #[error("{0}")]
    Unknown(#[from] PortError),
    /// Nobody says what there is.
    #[error("no RPC of the chain is given (the Factory's policy.gates.cleanRoom.rpc), so that nobody knows what the wallet has")]
    Unseen,
}

/// What became of a wallet that was to be filled.
#[derive(Clone, Copy, Debug)]
struct Filled {
    /// What came.
    moved: u128,
    /// What it has since.
    has: u128,
}

impl Bank {
    /// What an address has; nothing where nobody can say.
    async fn balance(&self, address: &str) -> Result<Option<u128>, PortError> {
        let again = Persistence { tries: TRIES, pause: self.pause, most: LONGEST_PAUSE };
        match &self.ledger {
            Some(ledger) => again.ask(|| ledger.balance(&self.token, address)).await.map(Some),
            None => Ok(None),
        }
    }

    /// What an address has once it is so: a node may be some blocks behind. What it was
    /// said to have last, where that does not come.
    async fn once(&self, address: &str, is: impl Fn(u128) -> bool) -> Result<Option<u128>, PortError> {
        let mut tries = 1;
        loop {
            match self.balance(address).await? {
                Some(now) if !is(now) && tries < TRIES => sleep(self.pause).await,
                said => return Ok(said),
            }
            tries += 1;
        }
    }

    /// Whether the ledger shows what it is not known of whether it happened.
    async fn shows(&self, address: &str, is: impl Fn(u128) -> bool) -> bool {
        self.once(address, &is).await.ok().flatten().is_some_and(is)
    }

    /// Moves an amount once: it is signed once, however often it is handed in.
    async fn send(&self, from: &dyn Payer, to: &str, amount: u128) -> Result<(), Unmoved> {
        let (terms, declared) = self.token.transfer(to, amount);
        let payment = from.authorize(&terms, &declared).await?;
        let mut tries = 1;
        let mut lost = None;
        loop {
            match self.settler.settle(&terms, &payment).await {
                Ok(receipt) if receipt.success => return Ok(()),
                // It was sent to the chain, which alone knows what came of it.
                Ok(Receipt { transaction, error, .. }) if !transaction.is_empty() => {
                    let what = format!("the facilitator sent transaction {transaction}, and says of it: {error}");
                    return Err(PortError::new(Class::Transient, Reason::UnexpectedAnswer, what).into());
                }
                // After an answer that was lost it may be refused for having moved.
                Ok(receipt) => return Err(lost.map_or_else(|| Unmoved::Refused(receipt.error), Unmoved::Unknown)),
                Err(error) if tries == TRIES => return Err(error.into()),
                Err(error) => lost = Some(error),
            }
            sleep(self.pause).await;
            tries += 1;
        }
    }

    /// Fills a room's wallet up to an amount. What it has already counts.
    async fn fill(&self, funder: &dyn Payer, room: &str, amount: u128) -> Result<Filled, Unmoved> {
        let there = self.balance(room).await?.unwrap_or_default();
        let filled = Filled { moved: amount.saturating_sub(there), has: there.max(amount) };
        if filled.moved == 0 {
            return Ok(filled);
        }
        match self.send(funder, room, filled.moved).await {
            Ok(()) => Ok(filled),
            Err(Unmoved::Unknown(_)) if self.shows(room, |now| now >= amount).await => Ok(filled),
            Err(error) => Err(error),
        }
    }

    /// Sends all that a room's wallet has back, and says how much that was.
    pub async fn empty(&self, room: &dyn Payer, funder: &str) -> Result<u128, Unmoved> {
        let left = self.balance(room.address()).await?.ok_or(Unmoved::Unseen)?;
        self.give_all(room, funder, left).await
    }

    /// Sends all back that the ledger saw. Where that is refused a node may not know yet
    /// what has gone since: it is asked again, and what it says then is tried once.
    async fn give_all(&self, room: &dyn Payer, funder: &str, seen: u128) -> Result<u128, Unmoved> {
        match self.give(room, funder, seen, seen).await {
            Err(Unmoved::Refused(why)) => match self.once(room.address(), |now| now < seen).await {
                Ok(Some(now)) if now < seen => self.give(room, funder, now, now).await,
                _ => Err(Unmoved::Refused(why)),
            },
            other => other,
        }
    }

    /// Sends an amount back, of so much that the ledger saw.
    async fn give(&self, room: &dyn Payer, funder: &str, amount: u128, seen: u128) -> Result<u128, Unmoved> {
        if amount == 0 {
            return Ok(0);
        }
        match self.send(room, funder, amount).await {
            Ok(()) => Ok(amount),
            // What the ledger never saw it can't show to be gone.
            Err(Unmoved::Unknown(_)) if seen >= amount && self.shows(room.address(), |now| now <= seen - amount).await => Ok(amount),
            Err(error) => Err(error),
        }
    }
}

/// A wallet that notes what it signed away.
struct Counting {
    wallet: Arc<dyn Payer>,
    signed: AtomicU64,
}

#[async_trait]
impl Payer for Counting {
    fn address(&self) -> &str {
        self.wallet.address()
    }

    async fn authorize(&self, terms: &Terms, declared: &Declared) -> Result<Payment, PortError> {
        let payment = self.wallet.authorize(terms, declared).await?;
        self.signed.fetch_add(u64::try_from(payment.amount).unwrap_or(u64::MAX), Ordering::Relaxed);
        Ok(payment)
    }

    async fn sign_message(&self, text: &str) -> Result<String, PortError> {
        self.wallet.sign_message(text).await
    }
}

/// A room's own wallet, filled from an operator's.
pub struct RoomPurse {
    name: String,
    bank: Bank,
    funder: Arc<dyn Payer>,
    room: Arc<Counting>,
    amount: u128,
    /// Rooms before it that ended without a word, and their wallets.
    earlier: Vec<(RoomLeft, Arc<dyn Payer>)>,
    /// What time it is for those: money may still come to them, or not any more.
    clock: Option<Arc<dyn Clock>>,
    /// The transfer that fills it: it goes on where a room is ended meanwhile, and what
    /// comes in is not missed by who brings it back.
    filling: Mutex<Option<JoinHandle<Result<Filled, Unmoved>>>>,
    /// What its wallet had once it was filled, by receipts.
    funded: AtomicU64,
    /// What fills it may have been taken and not settled yet.
    is_doubtful: AtomicBool,
}

impl RoomPurse {
    /// The purse of a room of this name. `room` is the wallet that is derived of the name.
    pub fn new(name: &str, bank: Bank, funder: Arc<dyn Payer>, room: Arc<dyn Payer>, micros: u64) -> Self {
        let room = Arc::new(Counting { wallet: room, signed: AtomicU64::new(0) });
        Self {
            name: name.into(),
            bank,
            funder,
            room,
            amount: micros.into(),
            earlier: Vec::new(),
            clock: None,
            filling: Mutex::default(),
            funded: AtomicU64::default(),
            is_doubtful: AtomicBool::new(false),
        }
    }

    /// The same after rooms that may have left something behind.
    #[must_use]
    pub fn after(self, earlier: Vec<(RoomLeft, Arc<dyn Payer>)>, clock: Arc<dyn Clock>) -> Self {
        Self { earlier, clock: Some(clock), ..self }
    }

    /// Until when money may come to a room before it, if that is not over.
    fn open(&self, left: &RoomLeft) -> Option<Timestamp> {
        let (until, clock) = (left.until.as_ref()?.0, self.clock.as_ref()?);
        (clock.now() < until).then_some(until)
    }

    async fn filled(&self) -> Result<Filled, Unmoved> {
        let (bank, funder, room, amount) = (self.bank.clone(), self.funder.clone(), self.room.clone(), self.amount);
        let mut filling = self.filling.lock().await;
        let task = filling.insert(tokio::spawn(async move { bank.fill(funder.as_ref(), room.address(), amount).await }));
        let filled = task.await;
        *filling = None;
        let filled = filled.unwrap_or_else(|error| Err(broken(error)));
        self.note(&filled);
        filled
    }

    /// What of a transfer that fills it is known from now on.
    fn note(&self, filled: &Result<Filled, Unmoved>) {
        if let Ok(filled) = filled {
            self.funded.store(u64::try_from(filled.has).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
        self.is_doubtful.store(matches!(filled, Err(Unmoved::Unknown(_))), Ordering::Relaxed);
    }

    /// What it signed away counts as gone: who has it may still have it settled.
    fn signed(&self) -> u128 {
        self.room.signed.load(Ordering::Relaxed).into()
    }

    /// What its wallet has at least, by what came to it and what it signed.
    fn sure(&self) -> u128 {
        u128::from(self.funded.load(Ordering::Relaxed)).saturating_sub(self.signed())
    }

    /// A step by which money went back.
    fn back(&self, step: &str, moved: u128) -> Step {
        Step { message: Some(format!("{} USDC to {}", usd(moved), self.funder.address())), ..Step::passed(step) }
    }

    async fn returned(&self) -> Result<u128, Stays> {
        if let Some(filling) = self.filling.lock().await.take() {
            self.note(&filling.await.unwrap_or_else(|error| Err(broken(error))));
        }
        let (room, funder) = (self.room.wallet.as_ref(), self.funder.address());
        let sure = self.sure();
        if self.bank.ledger.is_none() {
            // What may have come is tried: what is not there is refused.
            let doubtful = self.is_doubtful.load(Ordering::Relaxed);
            let amount = if doubtful { self.amount.saturating_sub(self.signed()) } else { sure };
            return Ok(self.bank.give(room, funder, amount, 0).await?);
        }
        let said = self.bank.once(room.address(), |now| now >= sure).await.map_err(Unmoved::from)?.unwrap_or_default();
        if said >= sure {
            match self.bank.give_all(room, funder, said).await {
                // It goes on knowing of more than is there.
                Err(Unmoved::Refused(_)) if said > sure && sure > 0 => {}
                moved => return Ok(moved?),
            }
        }
        // The facilitator asks the chain itself.
        Err(Stays::Unseen { said, moved: self.bank.give(room, funder, sure, said).await })
    }
}

/// Why not all of a room's money is known to be back.
enum Stays {
    /// It did not move.
    Unmoved(Unmoved),
    /// The ledger says other than came and was not signed away, and what was tried then.
    Unseen { said: u128, moved: Result<u128, Unmoved> },
}

impl From<Unmoved> for Stays {
    fn from(unmoved: Unmoved) -> Self {
        Self::Unmoved(unmoved)
    }
}

#[async_trait(?Send)]
impl Purse for RoomPurse {
    fn payer(&self) -> Arc<dyn Payer> {
        self.room.clone()
    }

    async fn fund(&self) -> Vec<Step> {
        let address = self.room.address();
        let wallet = Step { message: Some(address.to_owned()), ..Step::passed("wallet") };
        let funded = match self.filled().await {
            Ok(Filled { moved: 0, .. }) => {
                Step { message: Some(format!("it has {} USDC already", usd(self.amount))), ..Step::passed("fund") }
            }
            Ok(Filled { moved, .. }) => {
                Step { message: Some(format!("{} USDC from {}", usd(moved), self.funder.address())), ..Step::passed("fund") }
            }
            Err(Unmoved::Refused(why)) => {
                let what = format!("{} did not give {} USDC: {why}; does it have that?", self.funder.address(), usd(self.amount));
                Step::not("fund", Verdict::Blocked, what)
            }
            Err(error) => Step::not("fund", Verdict::Error, error.to_string()),
        };
        vec![wallet, funded]
    }

    async fn bring_back(&self) -> Step {
        let returned = self.returned().await;
        let (name, wallet) = (&self.name, self.room.address());
        match returned {
            Ok(0) if self.is_doubtful.load(Ordering::Relaxed) => warned(format!(
                "up to {} USDC may still come to the wallet {wallet} of room {name}, by a transfer of which nobody knows",
                usd(self.amount)
            )),
            Ok(moved) => self.back(RETURN, moved),
            Err(Stays::Unmoved(error)) => {
                let left = self.bank.balance(wallet).await.ok().flatten().map(|left| usd(left.max(self.sure())));
                let left = left.unwrap_or_else(|| format!("at most {}", usd(self.amount)));
                warned(format!("{left} USDC stay in room {name}, in the wallet {wallet}: {error}"))
            }
            Err(Stays::Unseen { said, moved }) => {
                let came = match moved {
                    Ok(moved) => format!("the facilitator says that it moved {} to {}", usd(moved), self.funder.address()),
                    Err(error) => error.to_string(),
                };
                warned(format!(
                    "the wallet {wallet} of room {name} had {} USDC and signed {} away, and the chain's RPC says that it has {}: it is behind, or the facilitator's word was not true; {came}",
                    usd(self.funded.load(Ordering::Relaxed).into()),
                    usd(self.signed()),
                    usd(said)
                ))
            }
        }
    }

    async fn gather(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        for (left, room) in &self.earlier {
            let step = format!("{RETURN} {}", left.name);
            // Before the wallet is looked at: what is open then may come after that.
            let open = self.open(left);
            steps.push(match (self.bank.empty(room.as_ref(), self.funder.address()).await, open) {
                (Ok(0), Some(until)) => {
                    let what = format!("nothing is there yet, and money may come to it until {until}: a later room looks again");
                    Step { advisory: true, ..Step::not(step, Verdict::Error, what) }
                }
                (Ok(0), None) => Step { message: Some("nothing was left there".into()), ..Step::passed(step) },
                // One transfer filled it, and that came.
                (Ok(moved), _) => self.back(&step, moved),
                // The next one is told of it, too.
                (Err(error), _) => Step { advisory: true, ..Step::not(step, Verdict::Error, error.to_string()) },
            });
        }
        steps
    }
}

/// The end of a room of which nobody knows that all of its money is back.
fn warned(what: String) -> Step {
    Step { advisory: true, ..Step::not(RETURN, Verdict::Error, what) }
}

fn broken(error: JoinError) -> Unmoved {
    PortError::new(Class::Bug, Reason::InternalError, "the transfer broke off").because(error).into()
}
