//! A document that was read: everything in it has its type, and names in it are
//! fit to be used in code and paths.

use std::fmt;

use serde_json::Value;

use super::{
    notes::Assumption,
    path::Path,
    pricing::{PricingRow, RoutePrice},
    types::Type,
};
use crate::api::{http::Method, names::PrimitiveId};

/// One primitive's document.
#[derive(Clone, Debug)]
pub struct Document {
    /// Its id: directory, host name and object name.
    pub id: PrimitiveId,
    /// What its health check calls it: `<id>.sh` unless given.
    pub name: String,
    /// One line about it.
    pub description: String,
    /// The version that its health check reports.
    pub version: String,
    /// Its host name.
    pub endpoint: String,
    /// The document's own `status`: information, never authority.
    pub status: Option<String>,
    /// Environment variables that it wants, in the document's order.
    pub env: Vec<String>,
    /// Whether all of it is free, by its own word.
    pub free: bool,
    /// Its price list, for people.
    pub pricing: Vec<PricingRow>,
    /// The types of bodies that it defines, each after those that it refers to.
    pub types: Vec<Type>,
    /// Its routes, in the document's order.
    pub routes: Vec<Route>,
    /// The vendors behind it.
    pub providers: Vec<Provider>,
    /// Lines on how to start using it.
    pub quick_start: Vec<String>,
    /// Lines worth knowing.
    pub tips: Vec<String>,
    /// Limits, in prose.
    pub limits: Vec<String>,
    /// Who owns what is made, in prose.
    pub ownership: Option<String>,
    /// What was taken for granted in reading it.
    pub assumptions: Vec<Assumption>,
    /// The document as it was given, with its keys in one order.
    pub(super) given: Value,
}

impl Document {
    /// The type of that name, where the document defines it.
    pub fn kind(&self, name: &str) -> Option<&Type> {
        self.types.iter().find(|kind| kind.name == name)
    }
}

/// One route.
#[derive(Clone, Debug)]
pub struct Route {
    /// Where it stands in the document: `routes_map[3]`.
    pub place: String,
    /// Its method.
    pub method: Method,
    /// Its path.
    pub path: Path,
    /// Its operation id, or one made from method and path.
    pub operation: String,
    /// An identifier made from that, unique within the document.
    pub name: String,
    /// One line about it.
    pub description: String,
    /// More about it, in prose.
    pub notes: Option<String>,
    /// Status of a success: 200, 201, 202 or 204, or of a redirect.
    pub status: u16,
    /// What it takes.
    pub request: Body,
    /// What it answers.
    pub response: Body,
    /// Its query parameters.
    pub query: Vec<QueryParam>,
    /// Errors it declares; a status may stand there more than once.
    pub errors: Vec<DeclaredError>,
    /// Its own price, where it has one.
    pub price: Option<RoutePrice>,
    /// What its path parameters are, as far as the document says; others are texts.
    pub params: Vec<PathParam>,
    /// Who may call it, where the document says so.
    pub auth: Option<Auth>,
    /// Whether a repeated call changes nothing more, where the document says so.
    pub idempotent: Option<bool>,
    /// What implements it, where the document says so.
    pub backend: Option<RouteBackend>,
}

/// A path parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathParam {
    /// Its name in the path.
    pub name: String,
    /// [`QueryKind::Text`] or [`QueryKind::Integer`].
    pub kind: QueryKind,
    /// About it, in prose.
    pub description: String,
    /// The least number it may be.
    pub min: Option<i64>,
    /// The greatest.
    pub max: Option<i64>,
}

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    /// Anyone.
    None,
    /// A wallet that is known: whoever paid.
    Wallet,
    /// Who has the internal key.
    Internal,
}

/// What implements a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteBackend {
    /// The pattern.
    pub pattern: BackendPattern,
    /// The provider that answers, one of the document's; its default where absent.
    pub provider: Option<String>,
    /// The provider's operation, or the method of its SDK.
    pub operation: Option<String>,
    /// The program and its arguments, which no shell reads.
    pub command: Vec<String>,
}

/// Patterns of implementations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackendPattern {
    /// The service's own store.
    Native,
    /// A provider's HTTP interface.
    RestJson,
    /// A program.
    Cli,
    /// A provider's library.
    Sdk,
}

impl Route {
    /// The first error declared for a status.
    pub fn error(&self, status: u16) -> Option<&DeclaredError> {
        self.errors.iter().find(|error| error.status == status)
    }

    /// Everything the document says about it in prose.
    pub fn prose(&self) -> impl Iterator<Item = &str> {
        let errors = self.errors.iter().map(|error| error.description.as_str());
        [self.description.as_str()].into_iter().chain(self.notes.as_deref()).chain(errors)
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

/// What a request or an answer carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Nothing.
    None,
    /// JSON, of a type with this name where the document gives one. What the type
    /// is, [`Document::types`] may say.
    Json(Option<String>),
    /// Bytes as they are.
    Bytes,
}

/// One query parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryParam {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: QueryKind,
    /// About it, in prose.
    pub description: String,
    /// Whether a request must have it.
    pub required: bool,
    /// The least number it may be.
    pub min: Option<i64>,
    /// The greatest.
    pub max: Option<i64>,
    /// What it is where a request leaves it out.
    pub default: Option<i64>,
}

/// What a query parameter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryKind {
    /// Any text.
    Text,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// `true` or `false`.
    Flag,
}

/// An error that a route declares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeclaredError {
    /// Its HTTP status.
    pub status: u16,
    /// Its stable code.
    pub code: String,
    /// When it happens.
    pub description: String,
}

/// A vendor behind a primitive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provider {
    /// Where it stands in the document: `providers[0]`.
    pub place: String,
    /// Its name in the registry of providers.
    pub name: String,
    /// Environment variables that its client needs.
    pub env: Vec<String>,
    /// Whether it is used.
    pub status: ProviderStatus,
    /// Whether it is the one among several.
    pub default: bool,
}

/// Whether a provider is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProviderStatus {
    /// It is.
    Active,
    /// Not yet, or no more.
    Other,
}
