//! The vocabulary users read: condition types and reasons, both closed lists.
//! Every condition is a plain `metav1.Condition`; `Ready`, `Reconciling` and
//! `Stalled` follow kstatus, so that Argo CD and Flux read health unaided.
//! How conditions are merged into an object is `controller/status.rs`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// Kinds of statements an object makes about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ConditionType {
    /// Everything the object's spec asks for holds.
    Ready,
    /// Present and `True` only while Flywheel works towards `Ready` by itself.
    Reconciling,
    /// Present and `True` only while somebody else must act first.
    Stalled,
    /// Present and `True` only while something fails that is tried again by itself;
    /// its time is when that began, and waits grow with its age.
    Retrying,
    /// Every referenced Secret exists, may be used and has its keys.
    CredentialsReady,
    /// The forge answers, and the token may push branches and merge.
    ForgeReady,
    /// The base branch takes changes only through gated pull requests.
    BranchProtected,
    /// The forge's webhook deliveries arrive and carry a valid signature.
    WebhookReady,
    /// The DNS server serves the zone and takes the key's updates.
    DnsReady,
    /// The edge's admin API takes the client's certificate and has its route list.
    EdgeReady,
    /// Every package of the base branch has its Primitive. Advisory: `Ready` does
    /// not wait for it.
    PackagesAdopted,
    /// The base branch has what is derived from its packages as they make it.
    /// Advisory: `Ready` does not wait for it.
    CatalogueCurrent,
    /// The head's tree passed the gate.
    GatePassed,
    /// The model wrote a strict document for the idea.
    DocumentWritten,
    /// The document's package is on the base branch.
    Merged,
    /// The package on the base branch runs, all of it in its newest version.
    Deployed,
    /// The edge routes the host name to the workload.
    Routed,
    /// The host name's record is there and is this primitive's.
    NameReady,
    /// The host name answers over TLS as this primitive.
    Serving,
    /// What runs passed gate layer 2.
    ContractPassed,
    /// What runs passed gate layer 3.
    CanaryPassed,
    /// What runs passed gate layer 4.
    CleanRoomPassed,
    /// Something gives every environment variable that the document names.
    /// Advisory: `Ready` does not wait for it.
    EnvironmentComplete,
    /// Present and `True` only while the base branch has another document than the
    /// spec, and the spec was proposed before. Advisory.
    SpecOutdated,
}

impl ConditionType {
    /// The type as written in an object.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Reconciling => "Reconciling",
            Self::Stalled => "Stalled",
            Self::Retrying => "Retrying",
            Self::CredentialsReady => "CredentialsReady",
            Self::ForgeReady => "ForgeReady",
            Self::BranchProtected => "BranchProtected",
            Self::WebhookReady => "WebhookReady",
            Self::DnsReady => "DnsReady",
            Self::EdgeReady => "EdgeReady",
            Self::PackagesAdopted => "PackagesAdopted",
            Self::CatalogueCurrent => "CatalogueCurrent",
            Self::GatePassed => "GatePassed",
            Self::DocumentWritten => "DocumentWritten",
            Self::Merged => "Merged",
            Self::Deployed => "Deployed",
            Self::Routed => "Routed",
            Self::NameReady => "NameReady",
            Self::Serving => "Serving",
            Self::ContractPassed => "ContractPassed",
            Self::CanaryPassed => "CanaryPassed",
            Self::CleanRoomPassed => "CleanRoomPassed",
            Self::EnvironmentComplete => "EnvironmentComplete",
            Self::SpecOutdated => "SpecOutdated",
        }
    }
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident,)+) => {
        /// Why a condition has its status. One word a program can match on; the
        /// condition's message has the details.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason { $($(#[$doc])* $name,)+ }

        impl Reason {
            /// Every reason, in the order of this list.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The reason as written in an object.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)+ }
            }
        }
    };
}

reasons! {
    /// Checked against the real thing in this generation, and good.
    Verified,
    /// Not looked at, because something it needs is not good yet.
    NotChecked,
    /// A field of the spec is wrong; the message has its path.
    Invalid,
    /// A referenced Secret is not there.
    SecretNotFound,
    /// A referenced Secret lacks a key, or the key's value is unusable.
    SecretInvalid,
    /// A referenced Secret in another namespace does not name this Factory.
    SecretNotAllowed,
    /// The server did not answer, or not in time.
    Unreachable,
    /// The server answered with an error of its own (5xx, SERVFAIL).
    ServerError,
    /// The server asks to wait before the next request.
    RateLimited,
    /// Somebody else changed the same thing first.
    Conflict,
    /// Waits for something outside Flywheel.
    Waiting,
    /// The server answered with something that Flywheel does not understand.
    UnexpectedAnswer,
    /// The forge does not know the token.
    TokenRejected,
    /// The token lacks a scope or role; the message has which.
    PermissionMissing,
    /// The repository does not exist, or the token may not see it.
    RepositoryNotFound,
    /// The base branch does not exist.
    BranchNotFound,
    /// The repository or its settings can't take Flywheel's merges.
    MergeUnavailable,
    /// The base branch has no protection rule.
    Unprotected,
    /// The protection rule lets changes past the gates.
    ProtectionIncomplete,
    /// Signed deliveries arrive.
    Delivering,
    /// No delivery has been due since the controller started.
    AwaitingDelivery,
    /// The repository changed and no delivery told so.
    DeliveryMissed,
    /// The server is not authoritative for the zone.
    ZoneNotServed,
    /// The DNS server does not know the key, or its secret differs.
    KeyRejected,
    /// The DNS server knows the key but refuses updates of the zone.
    UpdateRefused,
    /// The TLS handshake failed: wrong CA, name or client certificate.
    CertificateRejected,
    /// The edge's configuration has no route list for Flywheel.
    RouteListMissing,
    /// The gate's Job runs.
    Running,
    /// The gate passed.
    Passed,
    /// The gate refuted something that is required.
    Failed,
    /// The gate could not try something that is required.
    Blocked,
    /// The gate itself broke: crash, eviction, time-out.
    Broken,
    /// Held by `spec.paused`.
    Paused,
    /// As far as `spec.stage` lets it go.
    StageReached,
    /// What is needed for the wanted stage is not there yet.
    StageUnavailable,
    /// A language model is asked for the document.
    Asking,
    /// What the model wrote is no strict document, after all rounds.
    NotStrict,
    /// The branch or the pull request is being made.
    Proposing,
    /// Waits for its place: others come first, or a limit of the Factory is reached.
    Queued,
    /// The base branch moved on; its new commits are merged into the branch.
    Updating,
    /// Everything is green; the merge is being made.
    Merging,
    /// The forge does not let it be merged yet, or never; the message has why.
    MergeHeld,
    /// It is on the base branch.
    Merged,
    /// The change says what the base branch says already.
    NothingToChange,
    /// The change contradicts what the base branch says by now.
    MergeConflict,
    /// Somebody closed the pull request without merging it.
    Closed,
    /// What was merged is not what was tested.
    MergedUntested,
    /// A file holds something that looks like a secret.
    SecretInFile,
    /// The change is larger than a change may be.
    TooLarge,
    /// A later change of the spec took its place.
    Superseded,
    /// The new version starts; the old one serves until it is ready.
    RollingOut,
    /// The new version does not start; the message has why.
    RolloutFailed,
    /// The version ran, and does not now; the message has what its pods do.
    Down,
    /// Somebody else's name, route or id; the message names the owner.
    Taken,
    /// The outside probe does not get the answer it should.
    ProbeFailed,
    /// It answers, tested as far as its stage asks.
    Answering,
    /// It answers, and passed every gate that the Factory asks of what is in use.
    Live,
    /// It was live, and a later gate or probe is red; the message has which.
    Degraded,
    /// Nothing gives a value that the document asks for.
    NotProvided,
    /// The cluster's CRDs are older than the controller.
    CrdsOutdated,
    /// It is being taken down.
    Deleting,
    /// A promise Flywheel makes to itself was broken; please report it.
    InternalError,
}

/// The condition of a kind among those of an object.
pub fn find(conditions: &[Condition], kind: ConditionType) -> Option<&Condition> {
    conditions.iter().find(|c| c.type_ == kind.as_str())
}

/// Longest condition message in bytes. The API server takes 32,768.
pub const MESSAGE_LIMIT: usize = 1024;

/// Status of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Truth {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// Nobody can tell yet.
    Unknown,
}

impl Truth {
    /// The status as written in an object.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

/// One statement, before it has a time and a generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// What it is about.
    pub kind: ConditionType,
    /// Whether it holds.
    pub status: Truth,
    /// Why, as a word.
    pub reason: Reason,
    /// Why, as a sentence that says what to do.
    pub message: String,
}

impl Statement {
    /// A statement; an over-long message is cut at a character's boundary.
    pub fn new(kind: ConditionType, status: Truth, reason: Reason, message: impl Into<String>) -> Self {
        let mut message = message.into();
        if message.len() > MESSAGE_LIMIT {
            message.truncate(message.floor_char_boundary(MESSAGE_LIMIT - '…'.len_utf8()));
            message.push('…');
        }
        Self { kind, status, reason, message }
    }

    /// The Kubernetes form. The transition time is `now` unless `previous` says
    /// the same status, whose time is then kept.
    pub fn to_condition(&self, previous: Option<&Condition>, generation: Option<i64>, now: &Time) -> Condition {
        let last_transition_time = match previous {
            Some(p) if p.status == self.status.as_str() => p.last_transition_time.clone(),
            _ => now.clone(),
        };
        Condition {
            type_: self.kind.as_str().into(),
            status: self.status.as_str().into(),
            reason: self.reason.as_str().into(),
            message: self.message.clone(),
            observed_generation: generation,
            last_transition_time,
        }
    }
}
