//! Who may act: the proof that this process leads, asked before whatever can't be
//! undone. The Lease itself is `lease.rs`.

use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

use crate::{
    api::conditions::Reason,
    ports::error::{Class, PortError},
};

/// Until when this process leads.
#[derive(Debug)]
pub struct Leadership(Mutex<Option<Timestamp>>);

impl Leadership {
    /// Of a process that never asks for a Lease: it always leads.
    pub fn alone() -> Self {
        Self(Mutex::new(Some(Timestamp::MAX)))
    }

    /// Of a process that has no Lease yet.
    pub fn none() -> Self {
        Self(Mutex::new(None))
    }

    /// Notes a Lease that is held until then.
    pub fn hold(&self, until: Option<Timestamp>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = until;
    }

    /// Fails where another process may lead by now.
    pub fn prove(&self, now: Timestamp) -> Result<(), PortError> {
        let until = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if until.is_some_and(|until| now < until) {
            return Ok(());
        }
        Err(PortError::new(Class::Conflict, Reason::Conflict, "another controller may have taken over; this one acts no more"))
    }
}
