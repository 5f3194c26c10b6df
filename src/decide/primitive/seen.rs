//! Everything a decision about a Primitive looks at.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::{
    api::{
        conditions::Reason,
        gate_run::{Layer, RoomLeft, Tested, Verdict},
        names::{Fqdn, PrimitiveId, Sha},
        policy::GatesSpec,
        primitive::{Document, PrimitiveSpec, PrimitiveStatus, Stage, Version},
    },
    decide::{Manifest, ObjectName},
    ports::{
        dns::{AddressRecord, Holder, NameState, Owner},
        edge::Route,
        error::PortError,
    },
    scaffold::Kept,
};

/// What was seen of a Primitive and of all it depends on.
#[derive(Debug)]
pub struct Seen {
    /// Which object it is.
    pub own: Own,
    /// What the user wants.
    pub spec: PrimitiveSpec,
    /// What was said last time.
    pub previous: PrimitiveStatus,
    /// The spec is the one that was said last time.
    pub unchanged: bool,
    /// The object is being deleted.
    pub deleting: bool,
    /// The spec's document, or that of its idea, and the files it becomes.
    pub document: Result<Wanted, PortError>,
    /// The idea, where there is one.
    pub idea: Option<IdeaSeen>,
    /// Its Factory, if there is one.
    pub factory: Option<FactorySeen>,
    /// What the base branch has of it.
    pub base: Result<Base, PortError>,
    /// The AgentPR that the status names, if it is there.
    pub current: Option<Change>,
    /// The AgentPR that would be made now, if it is there.
    pub planned: Option<Change>,
    /// Its name and who else holds it, where that was looked at before a first
    /// proposal.
    pub claimed: Option<(Fqdn, Holder)>,
    /// What runs, and how it is reached.
    pub outside: Outside,
}

/// An idea instead of a document.
#[derive(Debug)]
pub struct IdeaSeen {
    /// Hash of its text.
    pub hash: String,
    /// Who can be asked, or why nobody can.
    pub model: Result<ModelSeen, PortError>,
    /// What the model was asked, and said.
    pub asked: Asked,
    /// Nothing was ever noted or proposed from this object.
    pub fresh: bool,
    /// The document that the base branch has already, where this object is fresh.
    pub there: Option<Document>,
}

/// A model that can be asked.
#[derive(Clone, Debug)]
pub struct ModelSeen {
    /// Its name.
    pub name: String,
    /// Its server, and whom it takes us for.
    pub account: String,
    /// How often it may answer for one idea.
    pub rounds: u32,
    /// Millionths of a dollar for a million tokens that it reads.
    pub input_price: Option<u64>,
    /// The same for what it writes.
    pub output_price: Option<u64>,
}

/// Where a conversation about an idea is.
#[derive(Debug)]
pub enum Asked {
    /// There is none: nobody was asked, or a process before this one.
    Nothing,
    /// Other ideas come before it.
    Queued,
    /// It goes on.
    Going,
    /// It came to an end.
    Ended(Box<Told>),
}

/// What a model came to, in all that it was asked for one idea.
#[derive(Debug)]
pub struct Told {
    /// The strict document.
    pub document: Option<Document>,
    /// The problems of its last answer.
    pub problems: Vec<String>,
    /// Answers.
    pub rounds: i64,
    /// Tokens that it read.
    pub input_tokens: i64,
    /// Tokens that it wrote.
    pub output_tokens: i64,
    /// When.
    pub at: Timestamp,
    /// Who was asked, at which prices.
    pub model: ModelSeen,
    /// Why it was not asked on.
    pub failed: Option<PortError>,
}

/// Which object a pass is about.
#[derive(Clone, Debug)]
pub struct Own {
    /// Its namespace.
    pub namespace: String,
    /// Its name, which is the document's id.
    pub id: PrimitiveId,
    /// Its uid, for what it owns.
    pub uid: String,
}

/// What is looked at of a Factory.
#[derive(Clone, Debug)]
pub struct FactorySeen {
    /// Which.
    pub name: ObjectName,
    /// How far a primitive goes that names no stage.
    pub default_stage: Stage,
    /// Its policy on gates.
    pub gates: GatesSpec,
    /// Why its forge can't be used now, if it can't.
    pub forge_hold: Option<String>,
}

/// A document that was read, and the files it becomes.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Hash of its normal form.
    pub hash: String,
    /// Hash of the files: the same document makes others with other prices, and by a
    /// later scaffolder.
    pub made: String,
    /// The service's name.
    pub name: String,
    /// One line about it.
    pub description: String,
    /// The files.
    pub files: Vec<WantedFile>,
    /// What was taken for granted, for people.
    pub assumptions: Vec<String>,
    /// How many routes it has.
    pub routes: usize,
    /// How many of them are a vendor's to answer.
    pub provider: usize,
    /// Those that answer 501 until somebody writes them, with the reason.
    pub unwritten: Vec<String>,
    /// All by method and path, and whether each is paid for.
    pub paid: BTreeMap<String, bool>,
    /// What the service keeps, by where it lies.
    pub kept: Vec<Kept>,
}

/// A file that a document becomes.
#[derive(Clone, Debug)]
pub struct WantedFile {
    /// Path from the repository's root.
    pub path: String,
    /// Its text.
    pub content: String,
    /// Whether it is the document's alone, and overwritten.
    pub generated: bool,
}

/// The base branch, as the Factory saw it last; as it is now where the package is
/// to go.
#[derive(Debug)]
pub struct Base {
    /// Its newest commit.
    pub commit: Sha,
    /// The primitive's package, if it has one.
    pub package: Option<Package>,
}

/// A package in the base branch.
#[derive(Debug)]
pub struct Package {
    /// The id of everything in it.
    pub tree: Sha,
    /// Paths of its files.
    pub paths: Vec<String>,
    /// What they hold.
    pub content: Result<Content, PortError>,
}

/// What a package's files hold.
#[derive(Clone, Debug, Default)]
pub struct Content {
    /// Hash of its document's normal form; none where it can't be read.
    pub hash: Option<String>,
    /// The files.
    pub files: Vec<PackageFile>,
    /// Paths that its own document generates.
    pub generated: Vec<String>,
    /// Files that its own document seeds, as they would be written for what it charges.
    pub seeded: BTreeMap<String, String>,
    /// Its routes by method and path, and whether each is paid for.
    pub paid: BTreeMap<String, bool>,
    /// What its service keeps, by where it lies.
    pub kept: Vec<Kept>,
}

/// A file of a package.
#[derive(Clone, Debug)]
pub struct PackageFile {
    /// Path from the repository's root.
    pub path: String,
    /// Its text; of a symbolic link, its target.
    pub content: String,
    /// git's mode, so that a link is refused as what it is where the package is laid out.
    pub mode: String,
}

/// An AgentPR that is there.
#[derive(Clone, Debug)]
pub struct Change {
    /// Its name.
    pub name: String,
    /// Why it is not this Primitive's, if it is not.
    pub foreign: Option<String>,
    /// It is being deleted.
    pub going: bool,
    /// The commit that its merge made on the base branch.
    pub merged: Option<String>,
    /// The base branch's commit that it was merged onto.
    pub base: Option<String>,
    /// When that was known, or that there was nothing to change.
    pub settled_at: Option<Timestamp>,
    /// When its gate passed first.
    pub green: Option<Timestamp>,
    /// Its branch, while it is there.
    pub branch: Option<String>,
    /// Address of its pull request.
    pub url: Option<String>,
    /// Whether its `Ready` is True, why, and in which words.
    pub ready: Option<(bool, Reason, String)>,
    /// Somebody must act on it.
    pub stalled: bool,
}

impl Change {
    /// Nothing more comes of it by itself: it is merged, or there was nothing to
    /// change.
    pub fn settled(&self) -> bool {
        self.merged.is_some() || self.ready.as_ref().is_some_and(|(ready, ..)| *ready)
    }

    /// It is merged, and the Factory saw the base branch last before that.
    pub fn ahead_of(&self, base: &Base) -> bool {
        self.merged.as_deref().is_some_and(|merge| merge != base.commit.as_str()) && self.base.as_deref() == Some(base.commit.as_str())
    }
}

/// What runs, and how it is reached.
#[derive(Debug)]
pub enum Outside {
    /// Not looked at, because something it needs is not there.
    Unseen,
    /// It should run.
    Wanted(Box<Deployment>),
    /// It should not run.
    Unwanted(Remains),
    /// The base branch can't be read now, so that nobody knows what should run: what
    /// answers at the name of what was Ready, where it has one.
    Unread(Option<Probed>),
    /// It could not be looked at.
    Failed(PortError),
}

/// A version that should run.
#[derive(Debug)]
pub struct Deployment {
    /// Which.
    pub version: Version,
    /// Its objects, in the order to make them.
    pub manifests: Vec<Manifest>,
    /// Environment variables that nothing provides.
    pub missing: Vec<String>,
    /// What runs now.
    pub running: Running,
    /// Objects of earlier versions.
    pub old: Vec<ObjectName>,
    /// How it is reached; not looked at before anything could answer.
    pub naming: Option<Naming>,
    /// What each gate layer would test of it, as the digest of its plan; of those whose
    /// plan is known.
    pub plans: BTreeMap<Layer, String>,
    /// The image whose program would test it.
    pub tool: String,
    /// The primitive's runs of gates, of whatever version and layer; looked at where a
    /// layer has no verdict yet or is due again.
    pub runs: Vec<Gate>,
}

/// What runs of a primitive.
#[derive(Clone, Debug)]
pub struct Running {
    /// Tree of the newest version that runs: while another starts, the old one's.
    pub tree: Option<String>,
    /// How the newest one does.
    pub rollout: Rollout,
    /// Something differs from the objects that are wanted.
    pub differs: bool,
}

/// How a rollout does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rollout {
    /// There is none.
    Absent,
    /// It has not ended; with what it does.
    Going(String),
    /// It does not get on by itself; with why.
    Stuck(String),
    /// It had ended well, and some of it does not run now; with what it does.
    Down(String),
    /// All of it runs.
    Ready,
}

/// How a primitive is reached.
#[derive(Debug)]
pub struct Naming {
    /// The route it should have.
    pub route: Route,
    /// The record it should have.
    pub record: Result<AddressRecord, PortError>,
    /// The edge's routes.
    pub routes: Result<Vec<Route>, PortError>,
    /// A route of somebody else's form has the host.
    pub host_taken: bool,
    /// What its name is.
    pub name: Result<NameState, PortError>,
    /// What answers at its name.
    pub probed: Probed,
}

/// What answers at a name.
#[derive(Debug)]
pub enum Probed {
    /// Nobody asked, since the name does not lead there yet.
    NotTried,
    /// This.
    Answered {
        /// HTTP status.
        status: u16,
        /// The service that it says it is.
        service: Option<String>,
        /// Whether that is this primitive.
        right: bool,
    },
    /// Nobody, or not well.
    Failed(PortError),
}

/// One run of a gate.
#[derive(Clone, Debug)]
pub struct Gate {
    /// Name of the GateRun.
    pub name: String,
    /// Its layer.
    pub layer: Layer,
    /// Whether it is this Primitive's, and asks it by its name.
    pub ours: bool,
    /// When it was made.
    pub created: Timestamp,
    /// What it came to.
    pub verdict: Option<Verdict>,
    /// When.
    pub at: Option<Timestamp>,
    /// Why.
    pub message: String,
    /// How many of its tests were not tried.
    pub untried: Option<i64>,
    /// It is blocked by nothing but that its model did not do it.
    pub missed: bool,
    /// What it tested, and by what.
    pub tested: Option<Tested>,
    /// Runs that go before it, while it waits for its turn.
    pub before: Option<i64>,
    /// The room that may still have money after it.
    pub room_left: Option<RoomLeft>,
    /// Rooms before it that it emptied.
    pub rooms_emptied: Vec<String>,
}

/// What is left of something that should not be there.
#[derive(Debug)]
pub struct Remains {
    /// The record's name and its state; none where it was never looked at.
    pub name: Option<(Owner, Fqdn, Result<NameState, PortError>)>,
    /// The route's id, and whether it is there.
    pub route: Option<(String, Result<bool, PortError>)>,
    /// Kubernetes objects.
    pub objects: Vec<ObjectName>,
}
