//! What a run may spend: so much for one request, so much in all. Money is reserved
//! before a payment is signed, so that tests that run at once can't overspend.
//!
//! A payment that was signed and sent is money that whoever has it can take, until
//! it lapses. Without a receipt it therefore stays reserved until then, whatever
//! the answer says, and is given back afterwards.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A run's money, in the token's units.
#[derive(Clone, Debug)]
pub struct Budget {
    per_request: u128,
    in_all: u128,
    book: Arc<Mutex<Book>>,
}

#[derive(Debug, Default)]
struct Book {
    /// Reserved now, and by payments that may still be taken.
    held: u128,
    /// Spent, by receipts.
    spent: u128,
    /// Payments that are out without a receipt: when each lapses, and its amount.
    out: Vec<(u64, u128)>,
}

/// Why a payment may not be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OverBudget {
    /// More than one request may cost.
    #[error("Payment of {} USDC exceeds maxPayment cap of {} USDC; raise --max-payment", usd(*.amount), usd(*.cap))]
    Request {
        /// What it would cost.
        amount: u128,
        /// What it may cost.
        cap: u128,
    },
    /// More than is left.
    #[error("a payment of {} USDC exceeds what is left of the run's budget: {} of {} USDC; raise --budget", usd(*.amount), usd(*.left), usd(*.cap))]
    Run {
        /// What it would cost.
        amount: u128,
        /// What is left.
        left: u128,
        /// What the run may cost.
        cap: u128,
    },
}

/// What became of a run's money.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spending {
    /// Spent, by receipts.
    pub spent: u128,
    /// Signed and sent, without a receipt: it may still be taken.
    pub outstanding: u128,
}

impl Budget {
    /// A budget of the token's units.
    pub fn new(per_request: u128, in_all: u128) -> Self {
        Self { per_request, in_all, book: Arc::default() }
    }

    /// The most that one request may cost.
    pub fn per_request(&self) -> u128 {
        self.per_request
    }

    /// Takes money aside; `now` in seconds since 1970.
    pub fn reserve(&self, amount: u128, now: u64) -> Result<Reservation, OverBudget> {
        if amount > self.per_request {
            return Err(OverBudget::Request { amount, cap: self.per_request });
        }
        let mut book = self.book();
        book.give_back(now);
        let left = self.in_all.saturating_sub(book.spent.saturating_add(book.held));
        if amount > left {
            return Err(OverBudget::Run { amount, left, cap: self.in_all });
        }
        book.held += amount;
        Ok(Reservation { book: self.book.clone(), amount, until: None })
    }

    /// What became of it so far.
    pub fn spending(&self) -> Spending {
        let book = self.book();
        Spending { spent: book.spent, outstanding: book.out.iter().map(|(_, amount)| amount).sum() }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    fn give_back(&mut self, now: u64) {
        let (lapsed, out): (Vec<_>, Vec<_>) = self.out.drain(..).partition(|(until, _)| *until < now);
        self.out = out;
        self.held -= lapsed.iter().map(|(_, amount)| amount).sum::<u128>();
    }
}

/// Money taken aside for one payment. Dropped before the payment was sent, it is
/// there again at once.
#[derive(Debug)]
#[must_use]
pub struct Reservation {
    book: Arc<Mutex<Book>>,
    amount: u128,
    until: Option<u64>,
}

impl Reservation {
    /// The payment goes out now, and lapses then (seconds since 1970).
    pub fn sent(&mut self, valid_before: u64) {
        self.until = Some(valid_before);
    }

    /// There is a receipt: it is spent.
    pub fn spent(mut self) {
        let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        book.held -= self.amount;
        book.spent += self.amount;
        self.amount = 0;
        self.until = None;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.amount == 0 {
            return;
        }
        let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        match self.until {
            Some(until) => book.out.push((until, self.amount)),
            None => book.held -= self.amount,
        }
    }
}

/// An amount of a token with six decimals, as dollars: no more digits than it has.
pub fn usd(units: u128) -> String {
    let (whole, part) = (units / 1_000_000, units % 1_000_000);
    if part == 0 { whole.to_string() } else { format!("{whole}.{part:06}").trim_end_matches('0').to_owned() }
}

/// Dollars as units of a token with six decimals.
pub fn units(usd: &str) -> Result<u128, String> {
    let text = usd.strip_prefix('$').unwrap_or(usd);
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || whole.len() > 12 || part.len() > 6 || !digits(whole) || !digits(part) {
        return Err(format!("{usd:?} is no amount of dollars, such as 0.25 (at most six decimals)"));
    }
    format!("{whole}{part:0<6}").parse().map_err(|e| format!("{usd:?}: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_are_read_and_written() {
        for (text, amount) in [("1", 1_000_000), ("$0.01", 10_000), ("0.000001", 1), ("12.5", 12_500_000), ("0", 0)] {
            assert_eq!(units(text), Ok(amount));
            assert_eq!(usd(amount), text.trim_start_matches('$'));
        }
        for bad in ["", "$", "-1", "1e3", "0.0000001", ".5", "1,5", "1.2.3", "99999999999999"] {
            assert!(units(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn money_is_reserved_spent_and_given_back() {
        let budget = Budget::new(60, 100);
        assert_eq!(budget.reserve(61, 0).unwrap_err(), OverBudget::Request { amount: 61, cap: 60 });
        let first = budget.reserve(60, 0).unwrap();
        assert_eq!(budget.reserve(60, 0).unwrap_err(), OverBudget::Run { amount: 60, left: 40, cap: 100 });
        // Never sent.
        drop(first);
        let mut second = budget.reserve(60, 0).unwrap();
        second.sent(10);
        drop(second);
        assert_eq!(budget.spending(), Spending { spent: 0, outstanding: 60 });
        assert!(budget.reserve(60, 10).is_err(), "it can still be taken");
        let mut third = budget.reserve(60, 11).unwrap();
        third.sent(20);
        third.spent();
        assert_eq!(budget.spending(), Spending { spent: 60, outstanding: 0 });
        assert!(budget.reserve(41, 99).is_err());
        assert!(budget.reserve(40, 99).is_ok());
    }

    #[test]
    fn many_at_once_do_not_overspend() {
        let budget = Budget::new(10, 1000);
        let won: usize = std::thread::scope(|scope| {
            let each = || (0..100).filter(|_| budget.reserve(10, 0).map(Reservation::spent).is_ok()).count();
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(each)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!((won, budget.spending().spent), (100, 1000));
    }
}
