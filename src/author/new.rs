//! `flywheel new`: a document from flags, and from answers where a terminal can
//! give them. What comes out is strict, or is not written.

use std::{
    fs,
    io::{self, IsTerminal},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::{Context, bail};
use serde_json::{Map, Value, json};

use super::ask::Asker;
use crate::prim::{self, Method, words};

/// What `flywheel new` is told.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct NewConfig {
    /// The primitive's id, such as search.
    #[arg(long)]
    pub id: Option<String>,
    /// What its health check calls it; <id>.sh unless given.
    #[arg(long)]
    pub name: Option<String>,
    /// One line about it.
    #[arg(long)]
    pub description: Option<String>,
    /// What kind of thing it is, in a word.
    #[arg(long = "type")]
    pub kind: Option<String>,
    /// Where catalogues list it.
    #[arg(long)]
    pub category: Option<String>,
    /// The port that it has on a developer's machine.
    #[arg(long)]
    pub port: Option<u16>,
    /// All of it is free.
    #[arg(long)]
    pub free: bool,
    /// An environment variable that it needs; may be repeated.
    #[arg(long)]
    pub env: Vec<String>,
    /// A route: "POST /v1/search", or a YAML mapping of its keys; may be repeated.
    #[arg(long)]
    pub route: Vec<String>,
    /// A provider: its name, or a YAML mapping of its keys; may be repeated.
    #[arg(long)]
    pub provider: Vec<String>,
    /// Where to write it; <id>.prim.yaml unless given, `-` for standard output.
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// Overwrites a file that is there.
    #[arg(long)]
    pub force: bool,
    /// Asks nothing, even on a terminal.
    #[arg(long, short)]
    pub yes: bool,
}

pub(super) fn run(config: &NewConfig) -> anyhow::Result<ExitCode> {
    let (mut input, mut output) = (io::stdin().lock(), io::stderr().lock());
    let asks = !config.yes && io::stdin().is_terminal();
    let mut asker = asks.then(|| Asker::new(&mut input, &mut output));
    let Some(yaml) = draft(config, asker.as_mut())? else { return Ok(ExitCode::FAILURE) };
    let id = prim::read(&yaml).map(|document| document.id.to_string()).unwrap_or_default();
    let file = config.out.clone().unwrap_or_else(|| format!("{id}.prim.yaml").into());
    if file.as_os_str() == "-" {
        io::Write::write_all(&mut io::stdout(), yaml.as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    }
    if file.exists() && !config.force {
        bail!("{} is there: name another file with --out, or say --force", file.display());
    }
    fs::write(&file, yaml).with_context(|| format!("{}", file.display()))?;
    eprintln!("{} written: try flywheel scaffold {} --out DIR", file.display(), file.display());
    Ok(ExitCode::SUCCESS)
}

/// A strict document as YAML; none where whoever was asked did not want it.
/// Problems that answers can't have any more, since each was looked at, are
/// those of flags.
pub fn draft(config: &NewConfig, mut asker: Option<&mut Asker<'_>>) -> anyhow::Result<Option<String>> {
    let mut document = Map::new();
    top(config, &mut document, asker.as_deref_mut())?;
    let mut routes: Vec<Value> = Vec::new();
    for given in &config.route {
        routes.push(finished(keyed(given, "route")?, config.free || document.contains_key("factory")));
    }
    let mut providers = Vec::new();
    for given in &config.provider {
        let mut provider = keyed(given, "name")?;
        provider.entry("status").or_insert(json!("active"));
        providers.push(Value::Object(provider));
    }
    if let Some(asker) = asker.as_deref_mut() {
        let free = document.contains_key("factory");
        if routes.is_empty() {
            ask_routes(&mut routes, free, asker)?;
        }
        if providers.is_empty() {
            ask_providers(&mut providers, asker)?;
        }
    }
    let mut env: Vec<Value> = config.env.iter().map(|name| json!(name)).collect();
    for name in providers.iter().filter_map(|provider| provider.get("env")?.as_array()).flatten() {
        if !env.contains(name) {
            env.push(name.clone());
        }
    }
    if let [Value::Object(only)] = &mut providers[..] {
        only.entry("default").or_insert(json!(true));
    }
    document.insert("env".into(), env.into());
    document.insert("providers".into(), providers.into());
    document.insert("routes_map".into(), routes.into());
    let value = Value::Object(document);
    let findings = prim::check(&value);
    if !findings.is_empty() {
        let all: Vec<_> = findings.iter().map(|finding| format!("\n  {finding}")).collect();
        bail!("that is no document yet:{}", all.concat());
    }
    let yaml = match prim::from_value(value) {
        Ok(document) => document.to_yaml(),
        Err(problems) => bail!("{problems:?}"),
    };
    match asker {
        Some(asker) => {
            asker.say(&format!("\n{yaml}"))?;
            Ok(asker.yes("Write it?", true)?.then_some(yaml))
        }
        None => Ok(Some(yaml)),
    }
}

/// A mapping in YAML, or the one key that is enough.
fn keyed(given: &str, key: &str) -> anyhow::Result<Map<String, Value>> {
    match prim::value(given) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(Value::String(_)) => Ok(Map::from_iter([(key.to_owned(), json!(given.trim()))])),
        _ => bail!(
            "--{}: {given:?} is neither a {key} nor a YAML mapping such as '{{{key}: …}}'",
            if key == "name" { "provider" } else { key }
        ),
    }
}

/// What the checker says of one path of a document.
fn objection(document: &Value, path: &str) -> Option<String> {
    let mut findings = prim::check(document).into_iter();
    findings
        .find(|finding| finding.path == path || finding.path.starts_with(&format!("{path}[")))
        .map(|f| format!("{}: {}", f.text, f.remedy))
}

fn top(config: &NewConfig, document: &mut Map<String, Value>, mut asker: Option<&mut Asker<'_>>) -> anyhow::Result<()> {
    let questions = [
        ("id", "Id (a-z, 0-9, '-')", &config.id),
        ("name", "Name", &config.name),
        ("description", "One line about it", &config.description),
        ("type", "What kind of thing it is, in a word (may stay empty)", &config.kind),
        ("category", "Category (may stay empty)", &config.category),
    ];
    for (key, question, given) in questions {
        let answer = match (given, asker.as_deref_mut()) {
            (Some(given), _) => Some(given.clone()),
            (None, None) => None,
            (None, Some(asker)) => {
                let id = document.get("id").and_then(Value::as_str).unwrap_or_default();
                let default = (key == "name").then(|| format!("{id}.sh"));
                loop {
                    let answer = asker.ask(question, default.as_deref(), |answer| objection(&json!({key: answer}), key))?;
                    if answer.is_some() || !["id", "description"].contains(&key) {
                        break answer;
                    }
                    asker.say("  it needs one")?;
                }
            }
        };
        if let Some(answer) = answer {
            document.insert(key.into(), json!(answer));
        }
    }
    let port = match (config.port, asker.as_deref_mut()) {
        (Some(port), _) => Some(json!(port)),
        (None, None) => None,
        (None, Some(asker)) => {
            let number = |answer: &str| answer.parse::<u16>().map_or_else(|_| json!(answer), |port| json!(port));
            let question = "Port on a developer's machine (may stay empty)";
            let answer = asker.ask(question, None, |answer| objection(&json!({"port": number(answer)}), "port"))?;
            answer.map(|answer| number(&answer))
        }
    };
    document.extend(port.map(|port| ("port".to_owned(), port)));
    let free = match asker {
        Some(asker) if !config.free && config.route.is_empty() => asker.yes("Is all of it free?", false)?,
        _ => config.free,
    };
    if free {
        document.insert("factory".into(), json!({"free_service": true}));
    }
    Ok(())
}

fn ask_routes(routes: &mut Vec<Value>, free: bool, asker: &mut Asker<'_>) -> anyhow::Result<()> {
    loop {
        let alone = |key: &str, value: Value, route: &str| {
            objection(&json!({"id": "x", "routes_map": [{"route": route, key: value}]}), &format!("routes_map[0].{key}"))
        };
        let there = routes.clone();
        let line = asker.ask("Route, such as POST /v1/search (empty: no more)", None, |answer| {
            let mut all = there.clone();
            all.push(json!({"route": answer}));
            objection(&json!({"id": "x", "routes_map": all}), &format!("routes_map[{}].route", there.len()))
        })?;
        let Some(line) = line else { return Ok(()) };
        let mut route = Map::from_iter([("route".to_owned(), json!(line))]);
        let made = finished(route.clone(), free);
        let known = |key: &str| made.get(key).and_then(Value::as_str).map(str::to_owned);
        let mut questions = vec![("description", "  One line about it", None), ("operation_id", "  Operation id", known("operation_id"))];
        if !free {
            questions.push(("price", "  Price, such as $0.01, or free (empty: the Factory's)", None));
        }
        if known("request").is_some() {
            questions.push(("request", "  Request: a type's name, json, or bytes", known("request")));
        }
        questions.push(("response", "  Response: a type's name, json, or bytes", known("response")));
        for (key, question, default) in questions {
            let answer = asker.ask(question, default.as_deref(), |answer| alone(key, json!(answer), &line))?;
            route.extend(answer.map(|answer| (key.to_owned(), json!(answer))));
        }
        routes.push(finished(route, free));
    }
}

fn ask_providers(providers: &mut Vec<Value>, asker: &mut Asker<'_>) -> anyhow::Result<()> {
    loop {
        let alone = |key: &str, value: Value| {
            let provider = json!({"name": "x", "status": "active", key: value});
            objection(&json!({"id": "x", "providers": [provider]}), &format!("providers[0].{key}"))
        };
        let names: Vec<String> = providers.iter().filter_map(|p| p.get("name")?.as_str().map(str::to_owned)).collect();
        let vendor = asker.ask("Vendor behind it (empty: no more)", None, |answer| {
            if names.iter().any(|name| name == answer) {
                return Some("is there already".into());
            }
            alone("name", json!(answer))
        })?;
        let Some(vendor) = vendor else { break };
        // Checked against a list of them, as if all were declared.
        let variables = |answer: &str| answer.split([' ', ',']).filter(|name| !name.is_empty()).map(str::to_owned).collect::<Vec<_>>();
        let env =
            asker.ask("  Its environment variables, by spaces", None, |answer| objection(&json!({"env": variables(answer)}), "env"))?;
        let url = asker.ask("  Where it is described, an URL (may stay empty)", None, |answer| alone("url", json!(answer)))?;
        let mut provider = json!({"name": vendor, "env": variables(&env.unwrap_or_default()), "status": "active"});
        if let Some(url) = url {
            provider["url"] = json!(url);
        }
        providers.push(provider);
    }
    // The first is the one that is used, until somebody says otherwise.
    for (i, provider) in providers.iter_mut().enumerate() {
        provider["default"] = json!(i == 0);
    }
    Ok(())
}

/// A route with what it leaves open filled in.
fn finished(mut route: Map<String, Value>, free: bool) -> Value {
    let line = route.get("route").and_then(Value::as_str).unwrap_or_default().to_owned();
    let (method, path) = line.split_once(' ').unwrap_or((&line, ""));
    let writes = Method::parse(method).is_some_and(Method::has_body);
    let mut name = vec![method.to_ascii_lowercase()];
    name.extend(path.split('/').filter(|part| !part.starts_with("v1")).flat_map(words));
    let mut operation = name.join("_");
    operation.truncate(48);
    route.entry("operation_id").or_insert_with(|| json!(operation.trim_end_matches('_')));
    route.entry("status").or_insert(json!(200));
    route.entry("description").or_insert_with(|| json!(line));
    if writes {
        route.entry("request").or_insert(json!("json"));
    }
    route.entry("response").or_insert(json!("json"));
    let mut errors = Vec::new();
    if writes {
        errors.push(json!({"status": 400, "code": "invalid_request", "description": "The request is not as it should be"}));
    }
    if !free && route.get("price").and_then(Value::as_str) != Some("free") {
        errors.push(json!({"status": 402, "code": "payment_required", "description": "It has to be paid for"}));
    }
    route.entry("errors").or_insert(errors.into());
    Value::Object(route)
}
