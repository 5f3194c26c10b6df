//! Waits that servers asked for, and that hold whatever else starts a pass: a
//! poke, a change of the spec, another part that is due.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;

use crate::{
    api::conditions::Reason,
    ports::{
        clock::Clock,
        error::{Class, PortError},
    },
};

/// Waits by [`AllowedSecret::account`](super::secrets::AllowedSecret::account): a
/// limit is one account's, and Factories may share it. In memory alone: after a
/// restart a server is asked once, and repeats itself.
#[derive(Default)]
pub struct Limits(Mutex<HashMap<String, Wait>>);

struct Wait {
    until: Timestamp,
    /// The same text all along, so that waiting writes no status.
    error: (Reason, String),
}

impl Limits {
    /// Does `look`, unless the server asked to be left alone until later.
    pub async fn obey<T>(
        &self,
        account: &str,
        clock: &dyn Clock,
        look: impl Future<Output = Result<T, PortError>>,
    ) -> Result<T, PortError> {
        if let Some(error) = self.waiting(account, clock.now()) {
            return Err(error);
        }
        let result = look.await;
        if let Err(PortError { class: Class::RateLimited(wait), reason, message, .. }) = &result {
            let now = clock.now();
            let wait = Wait { until: now.saturating_add(*wait).unwrap_or(now), error: (*reason, message.clone()) };
            self.lock().insert(account.into(), wait);
        }
        result
    }

    fn waiting(&self, account: &str, now: Timestamp) -> Option<PortError> {
        let mut waits = self.lock();
        waits.retain(|_, wait| wait.until > now);
        let Wait { until, error: (reason, message) } = waits.get(account)?;
        let left = until.duration_since(now).unsigned_abs();
        Some(PortError::new(Class::RateLimited(left), *reason, message.clone()))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Wait>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
