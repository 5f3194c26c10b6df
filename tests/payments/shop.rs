//! Services that are paid: a generated package under Bun for version 2, x402-axum for
//! version 1. Each has a wallet of its own, and one route that costs something.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::Duration,
};

use alloy_primitives::Address;
use flywheel::{
    ports::payments::{RECEIPT_HEADERS, REQUIRED_HEADERS, Version, settlement_failed},
    prim,
    scaffold::{self, Options},
};

use crate::scaffold::workspace::Workspace;

/// What the route costs, in the dollar's units.
pub const PRICE: u128 = 2500;

/// A package whose one paid route keeps what it is told.
const DOCUMENT: &str = r#"
id: guestbook
description: Keeps names.
env: [GUESTBOOK_DB_PATH]
quick_start: ['POST /v1/guests {"name": "ann"} → a guest']
routes_map:
- {route: POST /v1/guests, operation_id: create_guest, status: 201, price: "$0.0025", response: Guest, description: Keep a name}
- {route: GET /v1/guests, operation_id: list_guests, price: "$0.001", response: Guests, description: List names}
"#;

/// Serves a package on loopback, and says on which port.
const SERVE: &str = r#"
const { default: service } = await import(`${process.cwd()}/packages/guestbook/src/index.ts`);
const app = service.build({});
console.log(Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: app.fetch }).port);
"#;

/// A service that runs until it is dropped.
pub struct Shop {
    pub version: Version,
    /// Its wallet.
    pub pay_to: String,
    /// Status of an answer that was paid for.
    pub success: u16,
    url: String,
    http: reqwest::Client,
    process: Child,
    _workspace: Option<Workspace>,
}

impl Drop for Shop {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is gone.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: String,
    /// The header with the terms.
    pub required: Option<String>,
    /// The header with the receipt.
    pub receipt: Option<String>,
}

impl Answer {
    /// Whether it says that the payment was good and could not be settled.
    pub fn settlement_failed(&self) -> bool {
        settlement_failed(self.required.as_deref(), self.receipt.as_deref(), self.body.as_bytes())
    }
}

impl Shop {
    /// Opens one that has its payments settled there.
    pub async fn open(version: Version, facilitator: &str) -> Self {
        let pay_to = Address::random().to_string();
        let (mut command, workspace) = match version {
            Version::V1 => (paid_v1(facilitator, &pay_to), None),
            Version::V2 => {
                let (command, workspace) = package(facilitator, &pay_to);
                (command, Some(workspace))
            }
        };
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().rsplit([':', ' ']).next().unwrap().to_owned();
        let (path, success) = match version {
            Version::V1 => ("v1/paid", 200),
            Version::V2 => ("v1/guests", 201),
        };
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(60)).build().unwrap();
        Self { version, pay_to, success, url: format!("http://127.0.0.1:{port}/{path}"), http, process, _workspace: workspace }
    }

    /// Asks for the route, with a payment's header where there is one.
    pub async fn ask(&self, payment: Option<(&str, &str)>) -> Answer {
        let request = match self.version {
            Version::V1 => self.http.get(&self.url),
            Version::V2 => self.http.post(&self.url).json(&serde_json::json!({ "name": "ann" })),
        };
        let request = payment.into_iter().fold(request, |request, (name, value)| request.header(name, value));
        let answer = request.send().await.unwrap();
        let header = |names: &[&str]| names.iter().find_map(|name| Some(answer.headers().get(*name)?.to_str().unwrap().to_owned()));
        let (required, receipt) = (header(&REQUIRED_HEADERS), header(&RECEIPT_HEADERS));
        Answer { status: answer.status().as_u16(), required, receipt, body: answer.text().await.unwrap() }
    }
}

fn paid_v1(facilitator: &str, pay_to: &str) -> Command {
    let mut command = Command::new(std::env::var_os("PAID_V1_PROGRAM").expect("PAID_V1_PROGRAM is not set"));
    command.args(["127.0.0.1:0", facilitator, pay_to, &PRICE.to_string()]);
    command
}

fn package(facilitator: &str, pay_to: &str) -> (Command, Workspace) {
    let workspace = Workspace::new(&format!("shop-{}", &pay_to[2..10])).expect("Bun and the kit's dependencies");
    let document = prim::read(DOCUMENT).unwrap();
    workspace.add(&scaffold::manifest(&document, &Options::at("$0.01".parse().unwrap())).unwrap());
    workspace.write("serve.ts", SERVE);
    let mut command = workspace.command(&["serve.ts"]);
    command
        .env("X402_NETWORK", super::chain::NETWORK)
        .env("X402_PAY_TO", pay_to)
        .env("X402_FACILITATOR_URL", facilitator)
        .env("GUESTBOOK_DB_PATH", ":memory:");
    (command, workspace)
}
