//! From a document to the files of its package, by nothing but the two: no
//! clock, no disk, no network, and the same bytes every time. It writes nothing
//! and knows no forge; an AgentPR carries a [`Manifest`] there. `factory/` is the
//! repository that packages live in, with the kit they stand on. Read `plan.rs`
//! next: what each route costs and what answers it.

mod able;
mod backend;
mod claims;
mod flows;
mod held;
mod kept;
mod making;
mod manifest;
mod merge;
mod native;
mod plan;
mod prices;
mod prose;
mod refusals;
mod render;
mod samples;
mod schema;
mod schemas;
mod service;
mod shapes;
mod text;
mod types;
mod values;
mod vendor;
mod workspace;

pub use kept::{Kept, altered, lost};
pub use manifest::{Example, File, Kind, Manifest, Mistyped, RouteSummary, Unimplemented, turned};
pub use merge::{Lines, Merged, merge};
pub use plan::{Backend, Options, manifest};
pub use prices::Prices;
pub use text::comment;
pub use workspace::{TEMPLATE, TemplateFile};
