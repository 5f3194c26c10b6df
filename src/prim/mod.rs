//! The `prim.yaml` document: read leniently, as the documents in use are
//! written, into one type that is then right everywhere. Whatever was taken for
//! granted is an [`Assumption`], whatever can't be read is a [`Problem`], and
//! all of both are named at once. The strict checker goes further: each
//! [`Finding`] is something that the format does not have. Nothing here does I/O
//! or decides what becomes of a document; `scaffold` does. Read `document.rs`
//! next, then `read.rs`; the strict form is `form.rs`.

mod backtrack;
mod check;
mod code;
mod document;
mod expression;
mod extensions;
mod fields;
mod form;
mod names;
mod normal;
mod notes;
mod params;
mod path;
mod patterns;
mod pricing;
mod programs;
mod providers;
mod quick;
mod read;
mod registry;
mod routes;
mod schema;
mod shape;
mod status;
mod text;
mod types;

pub use crate::api::http::Method;
pub use check::{Checked, check, check_shape, check_text};
pub use code::Code;
pub use document::{
    Auth, BackendPattern, Body, DeclaredError, Document, PathParam, Provider, ProviderStatus, QueryKind, QueryParam, Route, RouteBackend,
};
pub use expression::Expression;
pub use form::schema;
pub use names::{camel, constant, singular, words};
pub use notes::{Assumption, Finding, Position, Problem};
pub use path::{Path, Segment};
pub use pricing::{Price, PriceError, PricingRow, RoutePrice};
pub use read::{from_value, read, value};
pub use registry::{Entry, Registry, merge};
pub use status::phase;
pub use text::LARGEST;
pub use types::{INHERITED, Type, TypeCheck, referred, standalone};
