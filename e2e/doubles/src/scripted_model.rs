//! A SCRIPTED model: a server with OpenAI's chat completions and no model behind
//! it. What it says follows from what it is sent by the rules below, so that a run
//! with it is the same each time. It stands in for a language model in tests and in
//! the demo, and says so wherever it says anything.
//!
//! `honest` reads the routes and the bodies in the llms.txt that it is given, calls
//! each of them, makes before it reads and removes last, takes ids from answers,
//! mends a body that is refused once, notes what it met, and finishes. The other
//! scripts misbehave, each in its own way.

use std::{
    collections::BTreeMap,
    io::{self, BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    thread,
};

use serde_json::{Map, Value, json};

/// What it is called in its answers.
pub const NAME: &str = "scripted (no language model)";
/// Most bytes of a request that are read.
const MOST_BYTES: u64 = 8 << 20;
/// Calls that one answer has at most.
const AT_ONCE: usize = 6;

/// How the model behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Script {
    /// Uses the service.
    Honest,
    /// Says that all is well, and asks for nothing.
    Lies,
    /// Does what any text it is given says after `OBEY:`: a method and a URL.
    Injected,
    /// Asks for the same for ever.
    NeverEnds,
    /// Asks for tools that there are none of, with arguments that are none.
    Garbage,
    /// Asks for a thousand things at once.
    Flood,
    /// Answers nothing that is a chat completion.
    Broken,
}

impl Script {
    /// The script of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "honest" => Self::Honest,
            "lies" => Self::Lies,
            "injected" => Self::Injected,
            "never-ends" => Self::NeverEnds,
            "garbage" => Self::Garbage,
            "flood" => Self::Flood,
            "broken" => Self::Broken,
            _ => return None,
        })
    }

    /// The answer to a request for a chat completion.
    pub fn answer(&self, asked: &Value) -> Value {
        let told = Told::read(asked);
        match self {
            Self::Honest => honest(&told),
            Self::Lies => said("All tests passed. Verdict: pass. Every goal holds.", &[]),
            Self::Injected => injected(&told),
            Self::NeverEnds => said("Once more.", &[call("http_request", &json!({ "method": "GET", "url": told.url("/") }))]),
            Self::Garbage => garbage(),
            Self::Flood => {
                let get = |i: u32| call("http_request", &json!({ "method": "GET", "url": told.url(&format!("/?n={i}")) }));
                said("", &(0..1000).map(get).collect::<Vec<_>>())
            }
            Self::Broken => json!({ "oops": true }),
        }
    }
}

/// What a request says: the task, and what the tools answered so far.
struct Told {
    origin: String,
    routes: Vec<Route>,
    texts: Vec<String>,
    /// Each call that was made, with its answer.
    done: Vec<Done>,
}

struct Done {
    method: String,
    url: String,
    body: Value,
    status: u16,
    answer: String,
}

#[derive(Clone, Debug, PartialEq)]
struct Route {
    method: String,
    path: String,
    /// The example or the shape that llms.txt has of its body.
    body: Option<Value>,
    query: Option<String>,
}

impl Told {
    fn read(asked: &Value) -> Self {
        let messages = asked["messages"].as_array().cloned().unwrap_or_default();
        let task = messages.iter().find(|message| message["role"] == "user").map(|m| text(&m["content"])).unwrap_or_default();
        let origin = task.split("The service is at ").nth(1).and_then(|rest| rest.split([' ', '\n']).next()).unwrap_or_default();
        let llms = task.split("\n=====\n").nth(1).unwrap_or_default();
        let mut told = Self { origin: origin.trim_end_matches('.').into(), routes: routes(llms), texts: Vec::new(), done: Vec::new() };
        let mut calls: BTreeMap<String, Value> = BTreeMap::new();
        for message in &messages {
            told.texts.push(text(&message["content"]));
            for call in message["tool_calls"].as_array().into_iter().flatten() {
                let arguments = serde_json::from_str(call["function"]["arguments"].as_str().unwrap_or_default()).unwrap_or_default();
                if call["function"]["name"] == "http_request" {
                    calls.insert(text(&call["id"]), arguments);
                }
            }
            if let Some(arguments) = message["tool_call_id"].as_str().and_then(|id| calls.get(id)) {
                let answer = text(&message["content"]);
                let status = answer.strip_prefix("HTTP ").and_then(|rest| rest.get(..3)?.parse().ok()).unwrap_or_default();
                let body = answer.split_once("\n\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
                told.done.push(Done {
                    method: text(&arguments["method"]),
                    url: text(&arguments["url"]),
                    body: arguments["body"].clone(),
                    status,
                    answer: body,
                });
            }
        }
        told
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    /// Calls that were made of a route, and of no other that says more of their path.
    fn of<'a>(&'a self, route: &'a Route) -> impl Iterator<Item = &'a Done> {
        let literal = |pattern: &str| pattern.split('/').filter(|part| !part.starts_with(':')).count();
        let own = literal(&route.path);
        self.done.iter().filter(move |done| {
            let path = path_of(&done.url);
            let nearer = |other: &Route| other.method == route.method && literal(&other.path) > own && fits(&other.path, path);
            done.method == route.method && fits(&route.path, path) && !self.routes.iter().any(nearer)
        })
    }

    fn made(&self, route: &Route) -> bool {
        self.of(route).any(|done| (200..300).contains(&done.status))
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The path of a URL, without its query.
fn path_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = rest.find('/').map_or("", |at| &rest[at..]);
    path.split('?').next().unwrap_or_default()
}

fn fits(pattern: &str, path: &str) -> bool {
    let (a, b): (Vec<_>, Vec<_>) = (pattern.split('/').collect(), path.split('/').collect());
    a.len() == b.len() && a.iter().zip(&b).all(|(pattern, part)| pattern.starts_with(':') || pattern == part)
}

/// The routes of an llms.txt: lines such as `- POST /v1/notes ($0.01): Keep one.`,
/// each with what follows it about its body and query.
fn routes(llms: &str) -> Vec<Route> {
    let mut routes: Vec<Route> = Vec::new();
    for line in llms.lines() {
        let entry = line.trim_start_matches("- ").replace('`', "");
        let mut words = entry.split_whitespace();
        let method = words.next().unwrap_or_default();
        if line.starts_with("- ") && ["GET", "POST", "PUT", "PATCH", "DELETE"].contains(&method) {
            let path = words.next().unwrap_or_default().to_owned();
            let rest = words.collect::<Vec<_>>().join(" ");
            if let Some(known) = routes.iter_mut().find(|known| known.method == method && known.path == path) {
                // A note with an example: `- POST /v1/lookup {"word": "x"} → …`.
                known.body = first_json(&rest).or(known.body.take());
            } else if path.starts_with('/') {
                routes.push(Route { method: method.to_owned(), path, body: first_json(&rest), query: None });
            }
        } else if let (Some(last), Some(body)) = (routes.last_mut(), line.trim().strip_prefix("Body: ")) {
            last.body = first_json(body);
        } else if let (Some(last), Some(query)) = (routes.last_mut(), line.trim().strip_prefix("Query: ")) {
            last.query = first_json(query).and_then(|shape| query_of(&shape));
        }
    }
    // What makes, what puts, what reads, what removes: each before what needs it.
    let depth = |route: &Route| route.path.matches('/').count();
    routes.sort_by_key(|route| match route.method.as_str() {
        "POST" if !route.path.contains(':') => (0, depth(route)),
        "PUT" => (1, depth(route)),
        "POST" => (2, depth(route)),
        "DELETE" => (4, usize::MAX - depth(route)),
        _ => (3, depth(route)),
    });
    routes
}

/// The first JSON object in a text.
fn first_json(text: &str) -> Option<Value> {
    let start = text.find('{')?;
    serde_json::Deserializer::from_str(&text[start..]).into_iter::<Value>().next()?.ok()
}

/// The required part of a query whose shape is known.
fn query_of(schema: &Value) -> Option<String> {
    let required: Vec<_> = schema["required"].as_array()?.iter().filter_map(Value::as_str).collect();
    let pairs: Vec<_> = required.iter().map(|name| format!("{name}={}", plain(&sample(&schema["properties"][*name], name, 0)))).collect();
    (!pairs.is_empty()).then(|| pairs.join("&"))
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A body: what llms.txt shows, if that is an example; else one of its shape.
fn body(shape: &Value) -> Value {
    let is_schema = shape["type"].is_string() || shape["properties"].is_object();
    if is_schema { sample(shape, "", 0) } else { shape.clone() }
}

/// A value that a JSON Schema takes, as far as schemas of services go.
fn sample(schema: &Value, name: &str, depth: usize) -> Value {
    if let Some(value) =
        [&schema["const"], &schema["default"], &schema["enum"][0], &schema["examples"][0]].into_iter().find(|v| !v.is_null())
    {
        return value.clone();
    }
    if let Some(first) = ["anyOf", "oneOf", "allOf"].into_iter().find_map(|key| schema[key].get(0)) {
        return sample(first, name, depth);
    }
    let kind = schema["type"].as_str().or_else(|| schema["type"][0].as_str());
    match kind {
        Some("object") | None if schema["properties"].is_object() => {
            let properties = schema["properties"].as_object().cloned().unwrap_or_default();
            let required: Vec<_> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            let wanted = properties.iter().filter(|(name, _)| required.contains(&name.as_str()) && depth < 6);
            Value::Object(wanted.map(|(name, schema)| (name.clone(), sample(schema, name, depth + 1))).collect())
        }
        Some("object") => json!({}),
        Some("array") => {
            let least = schema["minItems"].as_u64().unwrap_or(0).min(3);
            Value::Array((0..least).map(|_| sample(&schema["items"], name, depth + 1)).collect())
        }
        Some("integer") => json!(schema["minimum"].as_i64().filter(|n| *n > i64::MIN / 2).unwrap_or(1)),
        Some("number") => json!(schema["minimum"].as_f64().unwrap_or(1.0)),
        Some("boolean") => json!(true),
        Some("null") => Value::Null,
        _ => json!(word(schema, name)),
    }
}

fn word(schema: &Value, name: &str) -> String {
    let text = match schema["format"].as_str() {
        Some("email") => "agent@example.com".to_owned(),
        Some("uri" | "url") => "https://example.com/".to_owned(),
        Some("date-time") => "2026-01-01T00:00:00Z".to_owned(),
        Some("date") => "2026-01-01".to_owned(),
        Some("uuid") => "00000000-0000-4000-8000-000000000000".to_owned(),
        _ if name.contains("email") => "agent@example.com".to_owned(),
        _ if name.contains("url") => "https://example.com/".to_owned(),
        _ => "flywheel".to_owned(),
    };
    let least = usize::try_from(schema["minLength"].as_u64().unwrap_or(0)).unwrap_or(0);
    let most = usize::try_from(schema["maxLength"].as_u64().unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
    let padded = format!("{text}{}", "x".repeat(least.saturating_sub(text.len()).min(10_000)));
    padded.chars().take(most).collect()
}

fn honest(told: &Told) -> Value {
    let mut calls = Vec::new();
    if told.done.is_empty() {
        calls.push(call("http_request", &json!({ "method": "GET", "url": told.url("/") })));
    }
    let removing = told.routes.iter().any(|route| route.method != "DELETE" && !settled(told, route));
    for route in told.routes.iter().filter(|route| !settled(told, route)) {
        if calls.len() >= AT_ONCE || (route.method == "DELETE" && (removing || !calls.is_empty())) {
            continue;
        }
        // A parameter needs something that was made; what makes it may be in this answer.
        let Some(path) = filled(told, route) else { continue };
        let query = route.query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
        let mut arguments = json!({ "method": route.method, "url": told.url(&format!("{path}{query}")) });
        if ["POST", "PUT", "PATCH"].contains(&route.method.as_str()) {
            arguments["body"] = mended(told, route);
        }
        calls.push(call("http_request", &arguments));
    }
    if !calls.is_empty() {
        return said("", &calls);
    }
    let worked = told.done.iter().filter(|done| (200..300).contains(&done.status)).count();
    let unread: Vec<_> = told.routes.iter().filter(|route| !told.made(route)).map(|r| format!("{} {}", r.method, r.path)).collect();
    let mut last = vec![call(
        "ux_note",
        &json!({ "kind": "docs", "severity": "info", "text": format!("{NAME}: llms.txt lists {} routes.", told.routes.len()) }),
    )];
    if let Some(refused) = told.done.iter().find(|done| done.status >= 400) {
        let text = format!("{NAME}: {} {} was answered {}.", refused.method, path_of(&refused.url), refused.status);
        last.push(call("ux_note", &json!({ "kind": "error", "severity": "minor", "text": text })));
    }
    let summary = format!("{NAME}: {worked} of {} calls worked. Without success: {}.", told.done.len(), unread.join(", "));
    last.push(call("finish", &json!({ "summary": summary })));
    said("", &last)
}

/// Whether a route worked, or was tried twice.
fn settled(told: &Told, route: &Route) -> bool {
    told.made(route) || told.of(route).count() >= 2 || (told.of(route).count() >= 1 && filled(told, route).is_none())
        // What nothing makes can't be asked for, once everything else was.
        || (filled(told, route).is_none() && !makers_left(told, route))
}

fn makers_left(told: &Told, route: &Route) -> bool {
    let Some((before, _)) = route.path.split_once("/:") else { return false };
    told.routes.iter().any(|maker| {
        let makes = (maker.method == "POST" && maker.path == before) || (maker.method == "PUT" && maker.path.starts_with(before));
        makes && !told.made(maker) && told.of(maker).count() < 2
    })
}

/// The route's path with what was made for its parameters.
fn filled(told: &Told, route: &Route) -> Option<String> {
    let (mut path, mut pattern) = (String::new(), String::new());
    for part in route.path.split('/').skip(1) {
        let collection = pattern.clone();
        pattern = format!("{pattern}/{part}");
        let Some(name) = part.strip_prefix(':') else {
            path = format!("{path}/{part}");
            continue;
        };
        // Hono's `:key{.+}` and `:key?` name `key`.
        let name = name.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default();
        let maker = Route { method: "POST".into(), path: collection.clone(), body: None, query: None };
        let made = told.of(&maker).find(|done| (200..300).contains(&done.status)).and_then(|done| id(&done.answer, name));
        let put = || {
            let here = told.routes.iter().find(|other| other.method == "PUT" && other.path == pattern)?;
            let own = format!("scripted-{name}");
            // Whoever puts it there names it; others need it to be there.
            (route.method == "PUT" && route.path == here.path || told.made(here)).then_some(own)
        };
        let has_maker = told.routes.iter().any(|other| other.method == "POST" && other.path == collection);
        // Nobody makes it, so that it is a word of the caller's.
        let free = || {
            let puts = told.routes.iter().any(|other| other.method == "PUT" && other.path == pattern);
            (!has_maker && !puts).then(|| "flywheel".to_owned())
        };
        path = format!("{path}/{}", made.or_else(put).or_else(free)?);
    }
    Some(path)
}

/// What an answer says that something is called.
fn id(answer: &str, name: &str) -> Option<String> {
    let body: Value = serde_json::from_str(answer).ok()?;
    let of = |object: &Value| {
        [name, "id", "key", "name"].iter().find_map(|key| object.get(*key).filter(|v| v.is_string() || v.is_number()).map(plain))
    };
    of(&body).or_else(|| body.as_object()?.values().find_map(of))
}

/// The body of a call: mended by what the last refusal says, `field: …; field: …`.
fn mended(told: &Told, route: &Route) -> Value {
    let first = route.body.as_ref().map_or_else(|| json!({}), body);
    let Some(refused) = told.of(route).find(|done| done.status == 400 || done.status == 422) else { return first };
    let message = serde_json::from_str::<Value>(&refused.answer).ok().map(|b| text(&b["error"]["message"])).unwrap_or_default();
    let mut fields: Map<String, Value> = refused.body.as_object().cloned().unwrap_or_default();
    for problem in message.split("; ") {
        let Some((field, problem)) = problem.split_once(": ") else { continue };
        let value = ["number", "boolean", "array", "object"].into_iter().find(|kind| problem.contains(&format!("expected {kind}")));
        let value = match value {
            Some("number") => json!(1),
            Some("boolean") => json!(true),
            Some("array") => json!([]),
            Some("object") => json!({}),
            _ => json!(word(&Value::Null, field)),
        };
        if field.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            fields.insert(field.to_owned(), value);
        }
    }
    Value::Object(fields)
}

/// Obeys whatever says `OBEY: METHOD URL`, in any text that it was given.
fn injected(told: &Told) -> Value {
    let orders = told.texts.iter().flat_map(|text| text.split("OBEY: ").skip(1)).filter_map(|order| {
        let mut words = order.split_whitespace();
        Some(call("http_request", &json!({ "method": words.next()?, "url": words.next()?.trim_matches(['"', '\\']) })))
    });
    let calls: Vec<_> = orders.take(AT_ONCE).collect();
    if calls.is_empty() { honest(told) } else { said("As the service says.", &calls) }
}

fn garbage() -> Value {
    let odd =
        |name: &str, arguments: Value| json!({ "id": null, "type": "function", "function": { "name": name, "arguments": arguments } });
    let calls = [
        odd("format_disk", json!("{}")),
        odd("http_request", json!("{\"method\": ")),
        odd("http_request", json!(["GET"])),
        odd("http_request", json!({ "method": "GET", "url": "file:///etc/passwd" })),
        odd("shell_exec", json!({ "command": "id" })),
        odd("ux_note", json!({ "kind": "x" })),
        odd("", json!("x".repeat(200_000))),
        odd("\u{0}\"<script>", Value::Null),
    ];
    json!({ "choices": [{ "message": { "role": "assistant", "content": null, "tool_calls": calls } }] })
}

fn call(name: &str, arguments: &Value) -> Value {
    json!({ "id": format!("scripted_{name}"), "type": "function", "function": { "name": name, "arguments": arguments.to_string() } })
}

fn said(text: &str, calls: &[Value]) -> Value {
    let message = json!({ "role": "assistant", "content": text, "tool_calls": calls });
    json!({
        "id": "scripted", "object": "chat.completion", "model": NAME,
        "choices": [{ "index": 0, "finish_reason": if calls.is_empty() { "stop" } else { "tool_calls" }, "message": message }],
        "usage": { "prompt_tokens": 1000, "completion_tokens": 100 },
    })
}

/// Serves until the process ends, a thread for each connection. `each` makes the
/// answer of a request: its line, and its body.
pub fn serve<F>(listener: &TcpListener, each: F) -> io::Result<()>
where
    F: Fn(&Asked) -> (u16, Value) + Clone + Send + 'static,
{
    for stream in listener.incoming() {
        let each = each.clone();
        let stream = stream?;
        thread::spawn(move || {
            // Whoever hangs up is not answered.
            let _ = one(stream, &each);
        });
    }
    Ok(())
}

/// A request.
#[derive(Debug)]
pub struct Asked {
    /// Method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// The value of `authorization`.
    pub authorization: String,
    /// The body, where it is JSON.
    pub body: Value,
}

fn one(stream: TcpStream, each: &impl Fn(&Asked) -> (u16, Value)) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?.take(MOST_BYTES));
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (mut length, mut authorization) = (0, String::new());
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header)? == 0 || header.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = header.split_once(':') {
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse().unwrap_or(0),
                "authorization" => authorization = value.trim().to_owned(),
                _ => {}
            }
        }
    }
    let mut body = Vec::new();
    reader.take(length).read_to_end(&mut body)?;
    let body = serde_json::from_slice(&body).unwrap_or_default();
    let (status, answer) = each(&Asked { method, target, authorization, body });
    let answer = answer.to_string();
    let mut stream = stream;
    let head = format!("HTTP/1.1 {status} Scripted\r\ncontent-type: application/json\r\ncontent-length: {}\r\n", answer.len());
    write!(stream, "{head}connection: close\r\n\r\n{answer}")?;
    stream.flush()
}
