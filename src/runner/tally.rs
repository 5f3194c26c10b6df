//! What a try has come to so far: whoever ends it half-way still knows what was paid.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::suite::{Receipt, Spent};

/// What one try took so far.
#[derive(Debug, Default)]
pub struct Tally(Mutex<Spent>);

impl Tally {
    /// All of it.
    pub fn spent(&self) -> Spent {
        self.book().clone()
    }

    /// An answer came, or none, after so long.
    pub(super) fn answered(&self, status: Option<u16>, took: Duration) {
        let mut spent = self.book();
        spent.status = status.or(spent.status);
        spent.duration_ms = spent.duration_ms.saturating_add(u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
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
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
