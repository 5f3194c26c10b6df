//! The `prim.yaml` document: read leniently, as the documents in use are
//! written, into one type that is then right everywhere. Whatever was taken for
//! granted is an [`Assumption`], whatever can't be read is a [`Problem`], and
//! all of both are named at once. Nothing here does I/O or decides what becomes
//! of a document; `scaffold` does. Read `document.rs` next, then `read.rs`.

mod document;
mod fields;
mod names;
mod normal;
mod notes;
mod params;
mod path;
mod pricing;
mod providers;
mod read;
mod routes;

pub use crate::api::http::Method;
pub use document::{Body, DeclaredError, Document, Provider, ProviderStatus, QueryKind, QueryParam, Route};
pub use names::{camel, constant, singular, words};
pub use notes::{Assumption, Problem};
pub use path::{Path, Segment};
pub use pricing::{Price, PriceError, PricingRow, RoutePrice};
pub use read::{from_value, read, value};
