//! A room's money: it comes from an operator's wallet and goes back to it, by signatures
//! that a facilitator has settled. A room's wallet follows from that wallet's key and the
//! room's name, so that whoever has the key can empty it after a death at any point, and
//! nothing has to be kept for that.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use async_trait::async_trait;
use tokio::{
    sync::Mutex,
    task::{JoinError, JoinHandle},
};

use super::Purse;
use crate::{
    api::{conditions::Reason, gate_run::Verdict},
    gate::report::Step,
    ports::{
        error::{Class, PortError},
        payments::{Declared, Ledger, Payer, Payment, Settler, Terms, Token},
    },
    runner::budget::usd,
};

/// How often a payment is handed in, where it is not known what became of it.
const TRIES: usize = 3;

/// Who moves money, and who knows where it is.
#[derive(Clone)]
pub struct Bank {
    /// What is moved.
    pub token: Token,
    /// Who moves it.
    pub settler: Arc<dyn Settler>,
    /// Who says what is where; without it nobody knows what a dead room has left.
    pub ledger: Option<Arc<dyn Ledger>>,
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
    #[error("no RPC of the chain is given, so that nobody knows what the wallet has")]
    Unseen,
}

impl Bank {
    /// What an address has; nothing where nobody can say.
    async fn balance(&self, address: &str) -> Result<Option<u128>, PortError> {
        match &self.ledger {
            Some(ledger) => ledger.balance(&self.token, address).await.map(Some),
            None => Ok(None),
        }
    }

    /// Moves an amount once: it is signed once, however often it is handed in.
    async fn send(&self, from: &dyn Payer, to: &str, amount: u128) -> Result<(), Unmoved> {
        let (terms, declared) = self.token.transfer(to, amount);
        let payment = from.authorize(&terms, &declared).await?;
        let mut lost = None;
        for _ in 0..TRIES {
            match self.settler.settle(&terms, &payment).await {
                Ok(receipt) if receipt.success => return Ok(()),
                // After an answer that was lost it may be refused for having moved.
                Ok(receipt) => return Err(lost.map_or_else(|| Unmoved::Refused(receipt.error), Unmoved::Unknown)),
                Err(error) => lost = Some(error),
            }
        }
        lost.map_or(Ok(()), |error| Err(error.into()))
    }

    /// Fills a room's wallet up to an amount. What it has already counts.
    async fn fill(&self, funder: &dyn Payer, room: &str, amount: u128) -> Result<u128, Unmoved> {
        let there = self.balance(room).await?.unwrap_or_default();
        let lacking = amount.saturating_sub(there);
        if lacking == 0 {
            return Ok(0);
        }
        match self.send(funder, room, lacking).await {
            Ok(()) => Ok(lacking),
            Err(Unmoved::Unknown(_)) if self.balance(room).await?.is_some_and(|now| now >= amount) => Ok(lacking),
            Err(error) => Err(error),
        }
    }

    /// Sends all that a room's wallet has back, and says how much that was.
    pub async fn empty(&self, room: &dyn Payer, funder: &str) -> Result<u128, Unmoved> {
        let left = self.balance(room.address()).await?.ok_or(Unmoved::Unseen)?;
        self.give(room, funder, left).await
    }

    async fn give(&self, room: &dyn Payer, funder: &str, amount: u128) -> Result<u128, Unmoved> {
        if amount == 0 {
            return Ok(0);
        }
        match self.send(room, funder, amount).await {
            Ok(()) => Ok(amount),
            Err(Unmoved::Unknown(_)) if self.balance(room.address()).await? == Some(0) => Ok(amount),
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
    /// Wallets of rooms before it that ended without a word.
    earlier: Vec<Arc<dyn Payer>>,
    /// The transfer that fills it: it goes on where a room is ended meanwhile, and what
    /// comes in is not missed by who brings it back.
    filling: Mutex<Option<JoinHandle<Result<u128, Unmoved>>>>,
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
            filling: Mutex::default(),
            is_doubtful: AtomicBool::new(false),
        }
    }

    /// The same after rooms that may have left something behind.
    #[must_use]
    pub fn after(self, earlier: Vec<Arc<dyn Payer>>) -> Self {
        Self { earlier, ..self }
    }

    /// Brings back what rooms before it have left. Whatever fails is left to the next.
    async fn gathered(&self) -> u128 {
        let mut gathered = 0;
        for room in &self.earlier {
            gathered += self.bank.empty(room.as_ref(), self.funder.address()).await.unwrap_or_default();
        }
        gathered
    }

    async fn filled(&self) -> Result<u128, Unmoved> {
        let (bank, funder, room, amount) = (self.bank.clone(), self.funder.clone(), self.room.clone(), self.amount);
        let mut filling = self.filling.lock().await;
        let task = filling.insert(tokio::spawn(async move { bank.fill(funder.as_ref(), room.address(), amount).await }));
        let filled = task.await;
        *filling = None;
        let filled = filled.unwrap_or_else(|error| Err(broken(error)));
        self.is_doubtful.store(matches!(filled, Err(Unmoved::Unknown(_))), Ordering::Relaxed);
        filled
    }

    async fn returned(&self) -> Result<u128, Unmoved> {
        if let Some(filling) = self.filling.lock().await.take() {
            // What came of it the balance says, unless nobody knows.
            let known = matches!(filling.await, Ok(Ok(_) | Err(Unmoved::Refused(_) | Unmoved::Unseen)));
            self.is_doubtful.store(!known, Ordering::Relaxed);
        }
        let (room, funder) = (self.room.wallet.as_ref(), self.funder.address());
        if self.bank.ledger.is_some() {
            return self.bank.empty(room, funder).await;
        }
        // What it signed away counts as gone: who has it may still have it settled.
        let signed = u128::from(self.room.signed.load(Ordering::Relaxed));
        self.bank.give(room, funder, self.amount.saturating_sub(signed)).await
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
            Ok(0) => Step { message: Some(format!("it has {} USDC already", usd(self.amount))), ..Step::passed("fund") },
            Ok(moved) => Step { message: Some(format!("{} USDC from {}", usd(moved), self.funder.address())), ..Step::passed("fund") },
            Err(Unmoved::Refused(why)) => {
                let what = format!("{} did not give {} USDC: {why}; does it have that?", self.funder.address(), usd(self.amount));
                Step::not("fund", Verdict::Blocked, what)
            }
            Err(error) => Step::not("fund", Verdict::Error, error.to_string()),
        };
        vec![wallet, funded]
    }

    async fn bring_back(&self) -> Step {
        // Its own first: there is little time.
        let returned = self.returned().await;
        let gathered = self.gathered().await;
        let more = if gathered > 0 { format!(", and {} that rooms before it had left", usd(gathered)) } else { String::new() };
        match returned {
            Ok(0) if self.is_doubtful.load(Ordering::Relaxed) => {
                let what = format!(
                    "up to {} USDC may still come to the wallet {} of room {}, by a transfer of which nobody knows",
                    usd(self.amount),
                    self.room.address(),
                    self.name
                );
                Step { advisory: true, ..Step::not("return", Verdict::Error, what) }
            }
            Ok(moved) => {
                Step { message: Some(format!("{} USDC to {}{more}", usd(moved), self.funder.address())), ..Step::passed("return") }
            }
            Err(error) => {
                let left = self.bank.balance(self.room.address()).await.ok().flatten();
                let left = left.map_or_else(|| format!("at most {}", usd(self.amount)), usd);
                let warning = format!("{left} USDC stay in room {}, in the wallet {}: {error}", self.name, self.room.address());
                Step { advisory: true, ..Step::not("return", Verdict::Error, warning) }
            }
        }
    }
}

fn broken(error: JoinError) -> Unmoved {
    PortError::new(Class::Bug, Reason::InternalError, "the transfer broke off").because(error).into()
}
