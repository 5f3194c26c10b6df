//! Who makes a fresh place for a clean room, and takes it away again: a namespace of a
//! cluster, or a machine of its own. A room is made once under the name that its maker
//! chose, and is listed under that name until nothing is left of it, so that whoever
//! comes after a maker who died finds it.

use std::{collections::BTreeMap, fmt};

use async_trait::async_trait;
use jiff::Timestamp;
use secrecy::SecretString;

use super::error::PortError;

/// Note on a room: the wallet that it is filled from, and that gets back what is left.
pub const FUNDER: &str = "funder";
/// Note on a room: the chain that its money is on, by its CAIP-2 name.
pub const NETWORK: &str = "network";
/// Note on a room: the token that its money is of, by its contract's address.
pub const TOKEN: &str = "token";
/// Note on a room: whose it is, as the Factory's `NAMESPACE/NAME`.
pub const FACTORY: &str = "factory";

/// Note on a room that is stopped: until when money may still come to its wallet.
pub const SETTLES: &str = "settles";

/// A room to be made.
#[derive(Clone)]
pub struct Order {
    /// Its name: a DNS label, unique for ever.
    pub id: String,
    /// The runtime image, whose program runs there.
    pub image: String,
    /// Id of the primitive that is tested.
    pub primitive: String,
    /// What `flywheel gate room` is told, as JSON.
    pub plan: String,
    /// The command line, one file for Bun, where the service has one.
    pub cli: Option<String>,
    /// Key of the wallet that the room's own is filled from.
    pub wallet: Option<SecretString>,
    /// Key that the model's server takes.
    pub model_key: Option<SecretString>,
    /// It ends after so many seconds, whoever is still there.
    pub seconds: u32,
    /// Whoever finds it after this may take it away: its maker is gone.
    pub expires: Timestamp,
    /// What whoever finds it has to know of it.
    pub notes: BTreeMap<String, String>,
}

/// Keys are left out.
impl fmt::Debug for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Order").field("id", &self.id).field("image", &self.image).field("expires", &self.expires).finish_non_exhaustive()
    }
}

/// How a room is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It is being made, runs, or is being removed; what is known of that.
    Going(String),
    /// Its program came to an end, with these last words: the verdict.
    Ended(String),
    /// It ended without last words, and why.
    Broken(String),
    /// There is none of that name, and nothing left of one.
    Gone,
}

/// What is known of the end of what ran in a room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Stopped {
    /// Its program said this at its end.
    Said(String),
    /// It never began.
    Never,
    /// It may have begun, and nobody knows what it said.
    #[default]
    Unheard,
}

/// A room that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    /// Its name.
    pub id: String,
    /// When its maker counts as gone.
    pub expires: Timestamp,
    /// The order's notes.
    pub notes: BTreeMap<String, String>,
}

/// Makes rooms.
#[async_trait]
pub trait Provisioner: Send + Sync {
    /// Has a room made. The same order again is the same room; another order under a
    /// name that is taken is a `Conflict`, and changes nothing.
    async fn make(&self, order: &Order) -> Result<(), PortError>;

    /// How it is doing.
    async fn look(&self, id: &str) -> Result<State, PortError>;

    /// What its program printed: the report. Of one that has not ended, what there is.
    async fn report(&self, id: &str) -> Result<String, PortError>;

    /// Says that its maker is still there. One that is gone can't be kept: `Invalid`.
    async fn keep(&self, id: &str, until: Timestamp) -> Result<(), PortError>;

    /// Notes something more on a room, under a name of its own. One that is gone takes no
    /// note: `Invalid`.
    async fn note(&self, id: &str, name: &str, text: &str) -> Result<(), PortError>;

    /// Ends what runs in it and takes its keys away, and returns once neither is there. It
    /// stays listed. One that is gone is stopped.
    async fn stop(&self, id: &str) -> Result<Stopped, PortError>;

    /// Has it taken away, keys and all: it is when [`look`](Self::look) says `Gone`. One
    /// that is gone may be removed again.
    async fn remove(&self, id: &str) -> Result<(), PortError>;

    /// All rooms that this provisioner has made and not yet taken away.
    async fn list(&self) -> Result<Vec<Room>, PortError>;
}
