//! Pure decisions: from what was observed, and the time, to what is done and
//! said. Nothing here waits, reads a clock, or names a client; a retry of the
//! same observation decides the same. Read `factory.rs` next, then `audit.rs`
//! for the invariants that hold over every decision.

pub mod audit;
pub mod factory;
pub mod gate_run;
pub mod retry;

use std::time::Duration;

use k8s_openapi::api::{batch::v1::Job, core::v1::ConfigMap};

use crate::{api::conditions::Statement, ports::forge::Label};

/// What a pass comes to.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision<S> {
    /// What is done, in this order. At most one of them can't be undone or
    /// repeated, and that one is last.
    pub actions: Vec<Action>,
    /// The kind's own status fields. Conditions and generation are the driver's.
    pub status: S,
    /// The object's conditions, complete: one that is missing here is removed.
    pub statements: Vec<Statement>,
    /// Look again after this long, if nothing happens before.
    pub again: Duration,
}

/// One effect on the outside world, with every name it needs.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Makes a label in the factory repository.
    CreateLabel(Label),
    /// Makes a gate's Job and its inputs.
    CreateGate(Box<GateObjects>),
}

/// A gate's Job, and the ConfigMap that it reads.
#[derive(Clone, Debug, PartialEq)]
pub struct GateObjects {
    /// The inputs.
    pub config: ConfigMap,
    /// The run.
    pub job: Job,
}

impl Action {
    /// Whether it can neither be undone nor harmlessly repeated.
    pub fn irreversible(&self) -> bool {
        match self {
            Self::CreateLabel(_) | Self::CreateGate(_) => false,
        }
    }

    /// A bounded name for logs and metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::CreateLabel(_) => "create_label",
            Self::CreateGate(_) => "create_gate",
        }
    }
}
