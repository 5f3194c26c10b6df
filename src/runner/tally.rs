//! What a try has come to so far: whoever ends it half-way still knows what was paid.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::suite::{Receipt, Spent};

/// What one try took so far.
#[derive(Debug)]
pub struct Tally {
    began: Instant,
    spent: Mutex<Spent>,
}

impl Default for Tally {
    fn default() -> Self {
        Self { began: Instant::now(), spent: Mutex::default() }
    }
}

impl Tally {
    /// All of it.
    pub fn spent(&self) -> Spent {
        self.book().clone()
    }

    /// The same of a try that is under way: whom it waits for has taken the time since it
    /// began.
    pub(super) fn so_far(&self) -> Spent {
        let spent = self.spent();
        Spent { duration_ms: spent.duration_ms.max(ms(self.began.elapsed())), ..spent }
    }

    /// An answer came, or none, after so long.
    pub(super) fn answered(&self, status: Option<u16>, took: Duration) {
        let mut spent = self.book();
        spent.status = status.or(spent.status);
        spent.duration_ms = spent.duration_ms.saturating_add(ms(took));
    }

    /// A payment goes out now.
    pub(super) fn paying(&self, receipt: Receipt) {
        self.book().receipts.push(receipt);
    }

    /// What the service says became of the last payment.
    pub(super) fn paid(&self, settled: bool, transaction: Option<String>) {
        if let Some(last) = self.book().receipts.last_mut() {
            last.settled = settled;
            last.transaction = transaction;
        }
    }

    /// Why the service did not take the last payment.
    pub(super) fn refused(&self, why: Option<String>) {
        if let Some(last) = self.book().receipts.last_mut() {
            last.refused = why;
        }
    }

    fn book(&self) -> MutexGuard<'_, Spent> {
        self.spent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
