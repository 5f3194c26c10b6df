//! The probe against a server of HTTPS that does what real ones do on bad days.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Router,
    http::{HeaderMap, StatusCode},
    response::IntoResponse,
    serve::Listener as _,
};
use flywheel::{
    adapters::probe::HttpsProbe,
    api::{conditions::Reason, names::Fqdn},
    ports::{
        error::{Class, PortError},
        probe::{Answered, Probe},
    },
    telemetry,
};
use rustls::{ServerConfig, pki_types::PrivateKeyDer};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

use super::refused;
use crate::{
    address::reserved,
    tls::{Authority, Tls},
};

const HOST: &str = "search.prim.sh";

/// A server; it ends with this value.
struct Server {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Answers every request alike, with a certificate for `name`.
async fn serve(authority: &Authority, name: &str, answer: (StatusCode, HeaderMap, String)) -> Server {
    let tls = Tls::listen(authority, name, None).await;
    let address = tls.local_addr().unwrap();
    let router = Router::new().fallback(move || async move { answer.into_response() });
    let task = tokio::spawn(async move { axum::serve(tls, router).await.unwrap() });
    Server { address, task }
}

fn acceptor(authority: &Authority, name: &str) -> TlsAcceptor {
    telemetry::install_crypto_provider();
    let (certificate, key) = authority.leaf(name);
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

fn text(code: StatusCode, body: &str) -> (StatusCode, HeaderMap, String) {
    (code, HeaderMap::new(), body.to_owned())
}

async fn ask(authority: &Authority, address: SocketAddr) -> Result<Answered, PortError> {
    telemetry::install_crypto_provider();
    HttpsProbe::at(Some(&authority.pem), vec![address]).unwrap().get(&host(HOST)).await
}

fn host(name: &str) -> Fqdn {
    name.parse().unwrap()
}

#[tokio::test]
async fn any_answer_is_one() {
    let authority = Authority::new("primitives");
    let long = format!("{:?}", "x".repeat(100 * 1024));
    let mut elsewhere = HeaderMap::new();
    elsewhere.insert("location", "https://192.0.2.1/".parse().unwrap());
    for (answer, status, body) in [
        (text(StatusCode::OK, r#"{"service":"search"}"#), 200, json!({ "service": "search" })),
        (text(StatusCode::OK, "<html>"), 200, Value::Null),
        (text(StatusCode::OK, ""), 200, Value::Null),
        (text(StatusCode::OK, &long), 200, Value::Null),
        (text(StatusCode::BAD_GATEWAY, ""), 502, Value::Null),
        (text(StatusCode::TOO_MANY_REQUESTS, "{}"), 429, json!({})),
        ((StatusCode::FOUND, elsewhere, String::new()), 302, Value::Null),
    ] {
        let server = serve(&authority, HOST, answer).await;
        assert_eq!(ask(&authority, server.address).await.unwrap(), Answered { status, body });
    }
}

#[tokio::test]
async fn a_body_without_end_is_cut_off() {
    let authority = Authority::new("primitives");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = acceptor(&authority, HOST);
    let sent = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = acceptor.accept(stream).await.unwrap();
        let mut request = [0; 4096];
        let read = stream.read(&mut request).await.unwrap();
        assert!(request[..read].starts_with(b"GET / HTTP/1.1\r\n") && request[..read].windows(HOST.len()).any(|w| w == HOST.as_bytes()));
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000000\r\n\r\n").await.unwrap();
        // Ends when nobody reads any more.
        while stream.write_all(&[b' '; 16 * 1024]).await.is_ok() {}
    });
    assert_eq!(ask(&authority, address).await.unwrap(), Answered { status: 200, body: Value::Null });
    sent.await.unwrap();
}

#[tokio::test]
async fn every_call_connects_anew() {
    let authority = Authority::new("primitives");
    let server = serve(&authority, HOST, text(StatusCode::OK, "{}")).await;
    let probe = HttpsProbe::at(Some(&authority.pem), vec![server.address]).unwrap();
    probe.get(&host(HOST)).await.unwrap();
    let address = server.address;
    drop(server);
    // Another server at the address: what the first one kept open says nothing.
    let listener = loop {
        match TcpListener::bind(address).await {
            Ok(listener) => break listener,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    drop(listener);
    refused(probe.get(&host(HOST)).await, Class::Transient, Reason::Unreachable, "refuses connections", &[]);
}

#[tokio::test]
async fn what_stands_in_the_way_is_told_apart() {
    let (authority, other) = (Authority::new("primitives"), Authority::new("other"));
    telemetry::install_crypto_provider();

    let server = serve(&authority, HOST, text(StatusCode::OK, "{}")).await;
    refused(ask(&other, server.address).await, Class::Waiting, Reason::CertificateRejected, "spec.deploy.edge.caBundle", &[]);
    let server = serve(&authority, "lookup.prim.sh", text(StatusCode::OK, "{}")).await;
    refused(ask(&authority, server.address).await, Class::Waiting, Reason::CertificateRejected, "is for another name", &[]);

    let closed = reserved();
    refused(ask(&authority, closed).await, Class::Transient, Reason::Unreachable, "refuses connections", &[]);

    let probe = HttpsProbe::at(Some(&authority.pem), Vec::new()).unwrap();
    refused(probe.get(&host(HOST)).await, Class::Transient, Reason::ProbeFailed, "does not resolve", &[]);

    // No TLS at all, or an end in the middle of it.
    for said in [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], b""] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut hello = [0; 4096];
            let _ = stream.read(&mut hello).await;
            stream.write_all(said).await.unwrap();
        });
        refused(ask(&authority, address).await, Class::Transient, Reason::ProbeFailed, HOST, &[]);
        task.await.unwrap();
    }
}

#[tokio::test]
async fn silence_ends_after_seconds() {
    let authority = Authority::new("primitives");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = tokio::spawn(async move { ask(&authority, address).await });
    let _held = listener.accept().await.unwrap();
    tokio::time::pause();
    refused(asked.await.unwrap(), Class::Transient, Reason::Unreachable, "within 5 s", &[]);
}

#[test]
fn a_bundle_that_cant_be_used_is_told_by_its_path() {
    telemetry::install_crypto_provider();
    for bundle in ["", "no certificate", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"] {
        let made = HttpsProbe::new(Some(bundle)).map(|_| ());
        refused(made, Class::Invalid, Reason::Invalid, "spec.deploy.edge.caBundle", &[]);
    }
    HttpsProbe::new(Some(&Authority::new("primitives").pem)).unwrap();
}
