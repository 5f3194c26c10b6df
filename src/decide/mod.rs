//! Pure decisions: from what was observed, and the time, to what is done and
//! said. Nothing here waits, reads a clock, or names a client; a retry of the
//! same observation decides the same. Read `factory.rs` next, then `audit.rs`
//! for the invariants that hold over every decision.

pub mod agent_pr;
pub mod audit;
pub mod factory;
pub mod gate_run;
pub mod primitive;
pub mod retry;
mod waits;

use std::{fmt, time::Duration};

use jiff::Timestamp;
use k8s_openapi::api::{batch::v1::Job, core::v1::ConfigMap};

use crate::{
    api::{
        conditions::{Reason, Statement},
        gate_run::ReportReference,
        names::{Branch, Fqdn, PrimitiveId, Sha},
    },
    ports::{
        dns::{AddressRecord, Owner},
        edge::Route,
        error::Class,
        forge::{CommitStatus, Committed, Label, MergeOutcome, MergeRequest, NewCommit, NewPull, Opened, Removed, Updated},
    },
};

/// The time, and how often to look when all is well.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// The time.
    pub at: Timestamp,
    /// Time between two looks when nothing happens.
    pub resync: Duration,
}

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

/// One effect on the outside world, with every name it needs. Each may be repeated:
/// what is there already is adopted.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Makes a label in the factory repository.
    CreateLabel(Label),
    /// Makes a gate's Job and its inputs.
    CreateGate(Box<GateObjects>),
    /// Makes a branch with one commit.
    CommitFiles(Box<NewCommit>),
    /// Opens a pull request.
    OpenPull(Box<NewPull>),
    /// Merges the base into a pull request's branch, if that is at this commit.
    UpdateBranch(u64, Sha),
    /// Says something about a commit.
    SetStatus(Sha, CommitStatus),
    /// Keeps one comment of a pull request, found by its marker, at a text.
    Comment {
        /// The pull request.
        number: u64,
        /// What the comment is found by.
        marker: String,
        /// The text.
        body: String,
    },
    /// Closes a pull request.
    ClosePull(u64),
    /// Removes a branch, if it is at this commit.
    DeleteBranch(Branch, Sha),
    /// Squashes a pull request into the base. Irreversible.
    Merge(u64, MergeRequest),
    /// Points a name at an address.
    SetAddress(AddressRecord),
    /// Removes a name.
    RemoveName(Fqdn, Owner),
    /// Makes or changes a route of the edge.
    SetRoute(Route),
    /// Removes a route of the edge.
    RemoveRoute(String),
    /// Makes a Kubernetes object; one of that name that is there is left alone.
    CreateObject(Manifest),
    /// Makes a package's Primitive. One that the API server refuses is told, and
    /// holds up no other.
    Adopt(Manifest),
    /// Keeps a gate's report in a ConfigMap. Its failure is no failure of the pass.
    KeepReport(Manifest, ReportReference),
    /// Makes a Kubernetes object as it is here (server-side apply).
    ApplyObject(Manifest),
    /// Removes a Kubernetes object. Of a claim, irreversible.
    RemoveObject(ObjectName),
    /// Has the Factory looked at: its repository changed.
    PokeFactory,
    /// Begins to ask the Factory's model for an idea's document. The answer is seen in
    /// a later pass.
    AskModel(Box<Question>),
    /// Takes packages off the Factory's list of retained ones.
    DropRetained {
        /// The Factory.
        factory: ObjectName,
        /// The packages.
        ids: Vec<String>,
    },
    /// Notes a clean room on the Factory before it gets any money.
    NoteRoom {
        /// The Factory.
        factory: ObjectName,
        /// The room.
        name: String,
        /// Until when money may come to it.
        until: Timestamp,
    },
    /// Takes rooms off the Factory's list whose money is back. Its failure is no failure
    /// of the pass: who looks after them finds nothing, and takes them off.
    DropRooms {
        /// The Factory.
        factory: ObjectName,
        /// The rooms.
        names: Vec<String>,
    },
    /// Notes on the Factory that a package was left as it is at this tree, so that
    /// it is not adopted again before it changes.
    Retain {
        /// The Factory.
        factory: ObjectName,
        /// The package.
        id: PrimitiveId,
        /// What it was left at.
        tree: Sha,
    },
    /// Lets the object itself go: takes our finalizer away. Irreversible.
    Release,
}

/// What a model is asked for an idea.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Hash of the idea.
    pub hash: String,
    /// Answers that it may still give.
    pub rounds: u32,
    /// Answers that it gave before, and tokens that it read and wrote for them.
    pub before: (i64, i64, i64),
    /// What was wrong with the last of those.
    pub problems: Vec<String>,
}

/// A Kubernetes object as it is sent.
#[derive(Clone, PartialEq)]
pub struct Manifest(pub serde_json::Value);

/// Only which object it is: it may be a Secret.
impl fmt::Debug for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |pointer| self.0.pointer(pointer).and_then(serde_json::Value::as_str).unwrap_or_default();
        write!(f, "Manifest({} {}/{})", text("/kind"), text("/metadata/namespace"), text("/metadata/name"))
    }
}

/// Which Kubernetes object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectName {
    /// `v1`, `apps/v1`, …
    pub api_version: &'static str,
    /// `Deployment`, …
    pub kind: &'static str,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// What came of an action, where the next pass could not see it.
#[derive(Clone, Debug, PartialEq)]
pub enum Receipt {
    /// Of [`Action::CommitFiles`].
    Committed(Committed),
    /// Of [`Action::OpenPull`].
    Opened(Opened),
    /// Of [`Action::UpdateBranch`].
    Updated(Updated),
    /// Of [`Action::Merge`].
    Merged(MergeOutcome),
    /// Of [`Action::Adopt`], where the API server did not take it.
    Refused {
        /// Who must act.
        class: Class,
        /// Why, as a condition's reason.
        reason: Reason,
        /// Why, in words.
        message: String,
    },
    /// Of [`Action::DeleteBranch`].
    Removed(Removed),
    /// Of [`Action::KeepReport`] and [`Action::Comment`] where it failed; why, where
    /// another try is in vain.
    Unkept(Option<String>),
    /// Of all others: it was done.
    Done,
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
            Self::Merge(..) | Self::Release => true,
            // It holds somebody's data.
            Self::RemoveObject(object) => object.kind == "PersistentVolumeClaim",
            Self::CreateLabel(_)
            | Self::CreateGate(_)
            | Self::CommitFiles(_)
            | Self::OpenPull(_)
            | Self::UpdateBranch(..)
            | Self::SetStatus(..)
            | Self::Comment { .. }
            | Self::ClosePull(_)
            | Self::DeleteBranch(..)
            | Self::SetAddress(_)
            | Self::RemoveName(..)
            | Self::SetRoute(_)
            | Self::RemoveRoute(_)
            | Self::CreateObject(_)
            | Self::Adopt(_)
            | Self::KeepReport(..)
            | Self::ApplyObject(_)
            | Self::PokeFactory
            | Self::AskModel(_)
            | Self::DropRetained { .. }
            | Self::NoteRoom { .. }
            | Self::DropRooms { .. }
            | Self::Retain { .. } => false,
        }
    }
}

/// Names of all actions. An action without one does not compile, so that the list
/// has every one that there is.
macro_rules! names {
    ($($action:pat => $name:literal,)*) => {
        impl Action {
            /// Every name that an action has.
            pub const NAMES: &[&str] = &[$($name),*];

            /// A bounded name for logs, metrics and failpoints.
            pub fn name(&self) -> &'static str {
                match self {
                    $($action => $name,)*
                }
            }
        }
    };
}

names! {
    Action::CreateLabel(_) => "create_label",
    Action::CreateGate(_) => "create_gate",
    Action::CommitFiles(_) => "commit_files",
    Action::OpenPull(_) => "open_pull",
    Action::UpdateBranch(..) => "update_branch",
    Action::SetStatus(..) => "set_status",
    Action::Comment { .. } => "comment",
    Action::ClosePull(_) => "close_pull",
    Action::DeleteBranch(..) => "delete_branch",
    Action::Merge(..) => "merge",
    Action::SetAddress(_) => "set_address",
    Action::RemoveName(..) => "remove_name",
    Action::SetRoute(_) => "set_route",
    Action::RemoveRoute(_) => "remove_route",
    Action::CreateObject(_) => "create_object",
    Action::KeepReport(..) => "keep_report",
    Action::Adopt(_) => "adopt",
    Action::ApplyObject(_) => "apply_object",
    Action::RemoveObject(_) => "remove_object",
    Action::PokeFactory => "poke_factory",
    Action::AskModel(_) => "ask_model",
    Action::DropRetained { .. } => "drop_retained",
    Action::NoteRoom { .. } => "note_room",
    Action::DropRooms { .. } => "drop_rooms",
    Action::Retain { .. } => "retain",
    Action::Release => "release",
}
