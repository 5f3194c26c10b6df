//! Programs for those who have a terminal: a command line of a service, and smoke
//! tests of one that runs. Each is one file for Bun, with what it is about as data.

use serde_json::{Value, json};

use super::{Service, tools};

/// What every command line has.
const CLI: &str = include_str!("cli.ts");
/// What all smoke tests have.
const SMOKE: &str = include_str!("smoke.ts");

/// A service's command line as those take it who install and run it.
#[derive(Clone, Debug)]
pub struct CommandLine {
    /// The program: one file for Bun.
    pub program: String,
    /// Its commands: each a name, a JSON Schema of its options, and the request it makes.
    pub commands: Vec<Value>,
}

/// The command line of a service, where its document wants one.
pub fn command_line(service: &Service) -> Option<CommandLine> {
    service.offers("cli").then(|| CommandLine { program: cli(service), commands: tools::commands(service) })
}

/// A command for each route.
pub(super) fn cli(service: &Service) -> String {
    let id = &service.document.id;
    let commands: Vec<_> = tools::commands(service);
    format!(
        "#!/usr/bin/env bun\n// Derived from the document of {id} by `flywheel generate cli`; don't edit.\n\nconst PROGRAM = {};\nconst COMMANDS: Command[] = {};\n\n{CLI}",
        json!(id),
        literal(&commands.into())
    )
}

/// What a running service must answer, without a payment and without a trace.
pub(super) fn smoke(service: &Service) -> String {
    let document = &service.document;
    let routes = service.manifest.routes.iter().map(
        |route| json!({ "method": route.method, "path": route.sample, "price": route.price, "json": route.json, "answers": route.answers }),
    );
    let about = json!({
        "id": document.id, "names": [document.name, document.id.as_str()],
        "url": format!("https://{}", document.endpoint), "routes": routes.collect::<Vec<_>>(),
    });
    format!(
        "// Derived from the document of {} by `flywheel generate tests`; don't edit.\nimport {{ expect, test }} from \"bun:test\";\n\nconst SERVICE: About = {};\n\n{SMOKE}",
        document.id,
        literal(&about)
    )
}

/// JSON as an expression: it is one but for two characters that end lines.
fn literal(value: &Value) -> String {
    format!("{value:#}").replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029").replace("\"__proto__\":", "[\"__proto__\"]:")
}
