//! What a gate's runner and Hurl are measured against, and the same 80 tests in the
//! form of each: sixteen chains of five, each making a thing, reading, listing,
//! changing and removing it. Two servers say back what they were asked, one at once
//! and one 20 ms later. Prints their ports as JSON and serves until its input ends.
//! `e2e/scripts/bench-gate.sh` runs it.

use std::{
    convert::Infallible,
    fmt::Write as _,
    fs,
    io::{Read as _, Write as _},
    path::Path,
    time::Duration,
};

use anyhow::Context;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Request, Response, body::Bytes, body::Incoming, header::CONTENT_TYPE, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// Chains of tests, and the tests of each.
const CHAINS: usize = 16;
const STEPS: [&str; 5] = ["POST", "GET", "GET", "PUT", "DELETE"];
/// How much later the slow server answers.
const LATENCY: Duration = Duration::from_millis(20);

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let folder = std::env::args_os().nth(1).context("name the folder that the tests are written to")?;
    let mut ports = serde_json::Map::new();
    for (name, latency) in [("fast", Duration::ZERO), ("slow", LATENCY)] {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        write(Path::new(&folder), name, port)?;
        ports.insert(name.into(), port.into());
        tokio::spawn(serve(listener, latency));
    }
    let ready = json!({"ports": ports, "tests": CHAINS * STEPS.len(), "critical_path": STEPS.len(), "latency_ms": LATENCY.as_millis()});
    let mut out = std::io::stdout().lock();
    writeln!(out, "{ready}")?;
    out.flush()?;
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    Ok(())
}

async fn serve(listener: TcpListener, latency: Duration) {
    while let Ok((stream, _)) = listener.accept().await {
        // Answers are small: they must not wait for one another.
        let _ = stream.set_nodelay(true);
        let service = service_fn(move |request| echo(request, latency));
        // A connection's error is its own.
        tokio::spawn(async move { _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await });
    }
}

async fn echo(request: Request<Incoming>, latency: Duration) -> Result<Response<Full<Bytes>>, Infallible> {
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
    let body = Limited::new(request.into_body(), 1 << 16).collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let sent: Value = serde_json::from_slice(&body).unwrap_or_default();
    let id = sent["name"].as_str().or(path.rsplit('/').next()).unwrap_or_default();
    let said = json!({"id": id, "method": method, "path": path, "sent": sent, "items": [{"id": id}], "total": 1});
    let mut answer = Response::new(Full::from(said.to_string()));
    answer.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static("application/json"));
    Ok(answer)
}

/// The tests as a plan, as one file of Hurl and as a file of Hurl for each chain.
fn write(folder: &Path, name: &str, port: u16) -> anyhow::Result<()> {
    let base = format!("http://127.0.0.1:{port}/v1/things");
    let (mut tests, mut all) = (Vec::new(), String::new());
    let chains = folder.join(name);
    fs::create_dir_all(&chains)?;
    for chain in 0..CHAINS {
        let mut entries = String::new();
        for (step, method) in STEPS.iter().enumerate() {
            let id = |step: usize| format!("T{chain}-{step}");
            let url = match step {
                0 => base.clone(),
                2 => format!("{base}?of={{{{id_{chain}}}}}"),
                _ => format!("{base}/{{{{id_{chain}}}}}"),
            };
            let input = match *method {
                "POST" | "PUT" => json!({"name": format!("thing-{chain}"), "size": step}),
                _ => Value::Null,
            };
            let expected = json!({"id": "string", "method": method, "items": "array (non-empty)", "total": "number >= 1"});
            let captures = if step == 0 { json!({(format!("id_{chain}")): "$.id"}) } else { json!({}) };
            let needs = step.checked_sub(1).map(id);
            tests.push(json!({
                "id": id(step), "service": "things.sh", "test": format!("{method} a thing"), "method": method, "endpoint": url,
                "input": input, "expected": {"status": 200, "body": expected}, "depends_on": needs.as_slice(), "captures": captures, "notes": null
            }));
            writeln!(entries, "{method} {url}")?;
            if !input.is_null() {
                writeln!(entries, "{input}")?;
            }
            writeln!(entries, "HTTP 200")?;
            if step == 0 {
                writeln!(entries, "[Captures]\nid_{chain}: jsonpath \"$.id\"")?;
            }
            writeln!(
                entries,
                "[Asserts]\njsonpath \"$.id\" isString\njsonpath \"$.method\" == \"{method}\"\njsonpath \"$.items\" count > 0\njsonpath \"$.total\" >= 1\n"
            )?;
        }
        fs::write(chains.join(format!("{chain:02}.hurl")), &entries)?;
        all += &entries;
    }
    let ids: Vec<_> = tests.iter().map(|test| test["id"].clone()).collect();
    let group = json!({"id": "things", "name": "Things", "prompt": "Use all of it.", "tests": ids});
    let plan = json!({"plan": "80 tests on loopback", "version": 1, "network": "none", "context": "", "groups": [group], "tests": tests});
    fs::write(folder.join(format!("{name}.json")), plan.to_string())?;
    fs::write(folder.join(format!("{name}.hurl")), all)?;
    Ok(())
}
