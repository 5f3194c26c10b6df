//! `flywheel mcp`: services as tools for a client of the Model Context Protocol
//! (<https://modelcontextprotocol.io/specification/2025-06-18>), over standard input
//! and output, one message to a line. The tools are the lists that `flywheel
//! generate mcp` writes. Who pays is the client: a payment in a call's `_meta`
//! goes along, and terms come back, as x402's MCP transport has it.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, Write},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context, bail};
use base64::{Engine, engine::general_purpose::STANDARD};
use reqwest::{Client, Method, Response, Url, redirect};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// Versions of the protocol that are spoken, the newest first.
const VERSIONS: [&str; 3] = ["2025-06-18", "2025-03-26", "2024-11-05"];
/// Longest message, and longest answer of a service.
const LONGEST: usize = 4 << 20;
/// How long a service may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// What `flywheel mcp` is told.
#[derive(Debug, clap::Args)]
pub struct McpConfig {
    /// Lists of tools, as `flywheel generate mcp` writes them.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Where the services are instead, such as `http://127.0.0.1:3000`.
    #[arg(long)]
    url: Option<Url>,
}

#[derive(Deserialize)]
struct List {
    tools: Vec<Value>,
}

/// How a tool is carried out.
#[derive(Deserialize)]
struct Request {
    method: String,
    url: String,
    #[serde(default)]
    query: Vec<String>,
    /// What the service calls those of the query that are called otherwise here.
    #[serde(default)]
    names: BTreeMap<String, String>,
    #[serde(default)]
    rest: Option<String>,
    body: Option<String>,
}

/// What a call becomes.
enum Answer {
    Result(Value),
    Error(i32, String),
}

struct Server {
    tools: Vec<Value>,
    requests: BTreeMap<String, Request>,
    base: Option<Url>,
    http: Client,
}

/// Serves until its input ends.
pub async fn run(config: McpConfig) -> anyhow::Result<ExitCode> {
    let server = Server::new(&config)?;
    let (mut input, mut output) = (std::io::stdin().lock(), std::io::stdout());
    loop {
        let mut line = Vec::new();
        let read = std::io::Read::take(&mut input, LONGEST as u64).read_until(b'\n', &mut line)?;
        if read == 0 {
            return Ok(ExitCode::SUCCESS);
        }
        if read == LONGEST {
            bail!("a message has more than {LONGEST} bytes");
        }
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        if let Some(answer) = server.answer(&line).await {
            writeln!(output, "{answer}")?;
            output.flush()?;
        }
    }
}

impl Server {
    fn new(config: &McpConfig) -> anyhow::Result<Self> {
        let (mut tools, mut requests) = (Vec::new(), BTreeMap::new());
        for file in &config.files {
            let said = || format!("{}", file.display());
            let text = fs::read_to_string(file).with_context(said)?;
            let list: List = serde_json::from_str(&text).with_context(|| format!("{}: is no list of tools", file.display()))?;
            for tool in list.tools {
                let name = tool["name"].as_str().unwrap_or_default().to_owned();
                let request: Request = serde_json::from_value(tool["_meta"]["request"].clone())
                    .with_context(|| format!("{}: the tool {name:?} does not say how it is carried out", file.display()))?;
                if requests.insert(name.clone(), request).is_some() {
                    bail!("{}: another tool is called {name} already", file.display());
                }
                tools.push(tool);
            }
        }
        // A redirect would carry a payment elsewhere.
        let http = Client::builder().redirect(redirect::Policy::none()).timeout(TIMEOUT).build()?;
        Ok(Self { tools, requests, base: config.url.clone(), http })
    }

    /// The answer to a message; none to a notification.
    async fn answer(&self, line: &[u8]) -> Option<Value> {
        let message: Value = match serde_json::from_slice(line) {
            Ok(message) => message,
            Err(error) => return Some(failed(&Value::Null, -32700, &format!("the message is no JSON: {error}"))),
        };
        let id = message.get("id")?;
        // An answer to nothing that was asked.
        let method = message.get("method")?.as_str()?;
        let answer = match method {
            "initialize" => Answer::Result(initialized(&message["params"])),
            "ping" => Answer::Result(json!({})),
            "tools/list" => Answer::Result(json!({ "tools": self.tools })),
            "tools/call" => self.call(&message["params"]).await,
            other => Answer::Error(-32601, format!("{other} is no method of this server")),
        };
        Some(match answer {
            Answer::Result(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
            Answer::Error(code, text) => failed(id, code, &text),
        })
    }

    async fn call(&self, params: &Value) -> Answer {
        let name = params["name"].as_str().unwrap_or_default();
        let Some(request) = self.requests.get(name) else { return Answer::Error(-32602, format!("there is no tool {name:?}")) };
        let none = Map::new();
        let arguments = params["arguments"].as_object().unwrap_or(&none);
        let response = match self.send(request, arguments, &params["_meta"]["x402/payment"]).await {
            Ok(response) => response,
            Err(error) => return Answer::Result(refused(&format!("{error:#}"))),
        };
        match result(response).await {
            Ok(result) => Answer::Result(result),
            Err(error) => Answer::Result(refused(&format!("{error:#}"))),
        }
    }

    async fn send(&self, request: &Request, arguments: &Map<String, Value>, payment: &Value) -> anyhow::Result<Response> {
        let mut url = Url::parse(&request.url).context("the tool's address is none")?;
        let mut path = Vec::new();
        for part in url.path().split('/').skip(1) {
            // Braces are escaped in what was parsed.
            let name = part.strip_prefix("%7B").and_then(|part| part.strip_suffix("%7D"));
            let Some(name) = name else {
                path.push(part.to_owned());
                continue;
            };
            let value = arguments.get(name).map(plain).with_context(|| format!("{name}: is missing"))?;
            let parts: Vec<_> = if request.rest.as_deref() == Some(name) { value.split('/').collect() } else { vec![&*value] };
            // These would be another route's path.
            if parts.iter().any(|part| ["", ".", ".."].contains(part)) {
                bail!("{name}: {value:?} can't stand in a path");
            }
            path.extend(parts.into_iter().map(str::to_owned));
        }
        if let Some(base) = &self.base {
            url = base.clone();
        }
        url.path_segments_mut().map_err(|()| anyhow::anyhow!("the tool's address has no path"))?.clear().extend(&path);
        let own = |name| request.names.get(name).unwrap_or(name);
        let query: Vec<_> = request.query.iter().filter_map(|name| Some((own(name), plain(arguments.get(name)?)))).collect();
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut sent = self.http.request(request.method.parse::<Method>()?, url);
        if let Some(body) = arguments.get("body").filter(|_| request.body.is_some()) {
            sent = match request.body.as_deref() {
                Some("bytes") => {
                    let bytes = STANDARD.decode(body.as_str().unwrap_or_default()).context("body: must be bytes in base64")?;
                    sent.header("content-type", "application/octet-stream").body(bytes)
                }
                _ => sent.json(body),
            };
        }
        if !payment.is_null() {
            sent = sent.header("PAYMENT-SIGNATURE", STANDARD.encode(payment.to_string()));
        }
        // Neither the address with its values nor anything of the payment.
        sent.send().await.map_err(|error| anyhow::anyhow!("the service does not answer: {}", error.without_url()))
    }
}

/// The version that the client asks for, if it is spoken.
fn initialized(params: &Value) -> Value {
    let asked = params["protocolVersion"].as_str().and_then(|asked| VERSIONS.into_iter().find(|version| *version == asked));
    json!({
        "protocolVersion": asked.unwrap_or(VERSIONS[0]),
        "capabilities": { "tools": {} },
        "serverInfo": { "name": "flywheel", "version": env!("CARGO_PKG_VERSION") },
    })
}

/// What a service answered, as a tool's result.
async fn result(mut response: Response) -> anyhow::Result<Value> {
    let status = response.status();
    let header = |name: &str| {
        let text = response.headers().get(name)?.to_str().ok()?;
        serde_json::from_slice::<Value>(&STANDARD.decode(text).ok()?).ok()
    };
    let (terms, receipt) = (header("PAYMENT-REQUIRED"), header("PAYMENT-RESPONSE"));
    let mut bytes = Vec::new();
    while let Some(part) = response.chunk().await.map_err(reqwest::Error::without_url)? {
        bytes.extend_from_slice(&part);
        if bytes.len() > LONGEST {
            bail!("the service answers more than {LONGEST} bytes");
        }
    }
    let known = terms.filter(|_| status == 402).or_else(|| serde_json::from_slice(&bytes).ok());
    let text = match (&known, String::from_utf8(bytes)) {
        (Some(known), _) => known.to_string(),
        (None, Ok(text)) => text,
        (None, Err(bytes)) => STANDARD.encode(bytes.as_bytes()),
    };
    let mut result = json!({ "content": [{ "type": "text", "text": text }], "isError": !status.is_success() });
    // It holds objects alone.
    if let Some(known) = known.filter(Value::is_object) {
        result["structuredContent"] = known;
    }
    if let Some(receipt) = receipt {
        result["_meta"] = json!({ "x402/payment-response": receipt });
    }
    Ok(result)
}

fn refused(text: &str) -> Value {
    json!({ "content": [{ "type": "text", "text": text }], "isError": true })
}

fn failed(id: &Value, code: i32, text: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": text } })
}

/// A value as it stands in a path or a query.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
