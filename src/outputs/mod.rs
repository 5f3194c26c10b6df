//! What is derived from documents for those who call their services: descriptions
//! and lists, from the same decisions as the services themselves. Pure: `generate.rs`
//! reads and writes the files. Read `openapi.rs` next.

mod catalogue;
mod gate;
mod openapi;
mod pages;
mod programs;
mod sdk;
mod tools;

use std::collections::BTreeMap;

use clap::ValueEnum;
use serde_json::Value;

use crate::{
    prim::{Document, Route},
    scaffold::Manifest,
};

pub use gate::{Appended, append as append_gate, asks_for, of_service as gate_plan};
pub use programs::{CommandLine, command_line};

/// Folder of what is derived, in a factory repository.
pub const FOLDER: &str = "generated";
/// The gates' plan, in a factory repository.
pub const PLAN: &str = "gates/plan.json";

/// A kind of what is derived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// An OpenAPI 3.1 description of each service.
    Openapi,
    /// What is there and what it costs: llms.txt, pricing.json, .well-known/x402.json.
    Catalogue,
    /// Tools of the Model Context Protocol, a list for each service.
    Mcp,
    /// Functions for models that call such, a list for each service.
    Functions,
    /// A TypeScript client of each service.
    Sdk,
    /// A page about each service in Markdown.
    Docs,
    /// A command line for each service: one file for Bun.
    Cli,
    /// Smoke tests of each service where it runs, for `bun test`.
    Tests,
    /// A Primitive for each service, for GitOps tools and kubectl.
    Deploy,
    /// A gate's plan, gates/plan.json beside generated/: what it lacks of a test for
    /// each route is appended, and nothing in it is changed.
    #[value(alias = "gates")]
    Gate,
}

/// A document, and what it becomes.
#[derive(Clone, Debug)]
pub struct Service {
    /// The document.
    pub document: Document,
    /// Its package.
    pub manifest: Manifest,
}

impl Service {
    /// Whether the document wants this interface: it says so where it does not.
    fn offers(&self, interface: &str) -> bool {
        self.document.given().pointer(&format!("/interfaces/{interface}")) != Some(&Value::Bool(false))
    }
}

impl Output {
    /// Folders and files below [`FOLDER`] that are this output's alone.
    pub fn owns(self, path: &str) -> bool {
        match self {
            Self::Openapi => path.starts_with("openapi/"),
            Self::Catalogue => ["llms.txt", "pricing.json", ".well-known/x402.json"].contains(&path),
            Self::Mcp => path.starts_with("mcp/"),
            Self::Functions => path.starts_with("functions/"),
            Self::Sdk => path.starts_with("sdk/"),
            Self::Docs => path.starts_with("docs/"),
            Self::Cli => path.starts_with("cli/"),
            Self::Tests => path.starts_with("tests/"),
            Self::Deploy => path.starts_with("deploy/"),
            // Where plans stood that were written anew each time.
            Self::Gate => path.starts_with("gates/"),
        }
    }

    /// The files, by their path below [`FOLDER`]. Services come in the order of their ids.
    pub fn files(self, services: &[Service], owner: &Owner) -> BTreeMap<String, String> {
        let mut services: Vec<_> = services.iter().collect();
        services.sort_by_key(|service| service.document.id.as_str());
        let all = |folder: &str, end: &str, interface: &str, make: &dyn Fn(&Service) -> String| {
            let wanted = services.iter().filter(|service| service.offers(interface));
            wanted.map(|service| (format!("{folder}/{}.{end}", service.document.id), make(service))).collect()
        };
        let each = |folder, interface, make: &dyn Fn(&Service) -> Value| all(folder, "json", interface, &|service| json(&make(service)));
        match self {
            Self::Openapi => each("openapi", "rest", &openapi::describe),
            Self::Catalogue => catalogue::files(&services),
            Self::Mcp => each("mcp", "mcp", &tools::mcp),
            Self::Functions => each("functions", "tools", &tools::functions),
            Self::Sdk => all("sdk", "ts", "sdk", &sdk::module),
            Self::Docs => services.iter().map(|service| (format!("docs/{}.md", service.document.id), pages::page(service))).collect(),
            Self::Cli => all("cli", "ts", "cli", &programs::cli),
            Self::Tests => all("tests", "test.ts", "", &programs::smoke),
            Self::Deploy => each("deploy", "", &|service| primitive(service, owner)),
            // It is appended to what is there: `append_gate`.
            Self::Gate => BTreeMap::new(),
        }
    }
}

/// Which Factory deploys a repository's services.
#[derive(Clone, Debug)]
pub struct Owner {
    /// Its name.
    pub factory: String,
    /// Its namespace.
    pub namespace: String,
}

impl Default for Owner {
    fn default() -> Self {
        Self { factory: "prim".into(), namespace: "flywheel".into() }
    }
}

/// The object that a cluster deploys a service by.
fn primitive(service: &Service, owner: &Owner) -> Value {
    serde_json::json!({
        "apiVersion": crate::api::API_VERSION, "kind": "Primitive",
        "metadata": { "name": service.document.id, "namespace": owner.namespace },
        "spec": { "factoryRef": { "name": owner.factory }, "document": service.document.given() },
    })
}

fn json(value: &Value) -> String {
    format!("{value:#}\n")
}

/// What a route is called: as its document does, or as the service's own code where
/// that is the name of several.
fn operation<'a>(document: &'a Document, route: &'a Route) -> &'a str {
    let same = document.routes.iter().filter(|other| other.operation == route.operation).count();
    if same > 1 { &route.name } else { &route.operation }
}

/// A text as one line of it.
fn line(text: &str) -> String {
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}
