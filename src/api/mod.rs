//! What users declare and what Flywheel reports: the custom resources of group
//! `flywheel.prim.sh`, their conditions and the parsed names they use.
//! No logic and no I/O live here; what a shape can't say is decided in `decide`.
//! Read `factory.rs` next, then `conditions.rs`.

pub mod agent_pr;
pub mod conditions;
pub mod factory;
pub mod gate_run;
pub mod http;
pub mod names;
pub mod package;
pub mod policy;
pub mod primitive;
pub mod references;

/// The API group of every Flywheel resource.
pub const GROUP: &str = "flywheel.prim.sh";
/// The only served version.
pub const VERSION: &str = "v1alpha1";
/// Group and version, as objects name them.
pub const API_VERSION: &str = "flywheel.prim.sh/v1alpha1";

/// Annotation on a Secret: comma-separated `<namespace>/<factory>` names that
/// may use it. A Secret in another namespace than the Factory must carry it, so
/// that nobody can point a Factory of theirs at somebody else's credentials.
pub const ALLOWED_FACTORIES_ANNOTATION: &str = "flywheel.prim.sh/allowed-factories";

/// Annotation on a Secret: comma-separated `scheme://host[:port]` of the servers
/// that its credential may be sent to (`dns://` for a DNS server). A Secret in
/// another namespace than the Factory must carry it, so that nobody can have
/// somebody else's credential sent to a server of their own.
pub const ALLOWED_SERVERS_ANNOTATION: &str = "flywheel.prim.sh/allowed-servers";

/// Server-side-apply field manager of the controller, and its Events' reporter.
pub const FIELD_MANAGER: &str = "flywheel-controller";

/// What an AgentPR has as its primitive that brings what is derived from all packages
/// up to date: an id that no package can have.
pub const AGGREGATES: &str = "flywheel";

/// Label on what is made for a Primitive: its name; on a Secret in the keys'
/// namespace, whom it is for.
pub const PRIMITIVE_LABEL: &str = "flywheel.prim.sh/primitive";

/// Label on what is made for a Primitive in another namespace: its own namespace.
pub const NAMESPACE_LABEL: &str = "flywheel.prim.sh/namespace";
