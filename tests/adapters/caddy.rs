//! The Caddy adapter against an admin API over mutual TLS.

use axum::http::StatusCode;
use flywheel::{
    adapters::caddy::Caddy,
    api::{conditions::Reason, factory::EdgeSpec},
    ports::{
        edge::{ClientIdentity, Edge},
        error::Class,
    },
    telemetry,
};
use secrecy::ExposeSecret;

use super::{
    caddy_server::{AdminApi, Authority},
    refused,
};
use crate::{address::reserved, fixtures};

const ROUTES: &str = r#"{
    "@id": "flywheel-routes", "handler": "subroute",
    "routes": [
        { "match": [{ "host": ["search.prim.sh", "find.prim.sh"] }, { "host": ["look.prim.sh"] }], "handle": [] },
        { "match": [{ "path": ["/health"] }] },
        { "handle": [] }
    ]
}"#;

fn spec(url: &str, authority: &Authority) -> EdgeSpec {
    EdgeSpec { admin_url: url.to_string(), admin_ca_bundle: authority.pem.clone(), ..fixtures::spec().deploy.edge }
}

fn client(spec: &EdgeSpec, identity: &ClientIdentity) -> Caddy {
    telemetry::install_crypto_provider();
    Caddy::new(spec, identity).unwrap()
}

/// A PEM key's inner lines.
fn key_lines(identity: &ClientIdentity) -> Vec<&str> {
    identity.key.expose_secret().lines().filter(|line| !line.starts_with("-----")).collect()
}

#[tokio::test]
async fn hosts_are_read_from_every_route_that_has_some() {
    let authority = Authority::new("edge");
    let server = AdminApi::start(&authority, "127.0.0.1", &authority, StatusCode::OK, ROUTES).await;
    let identity = authority.client();
    for slash in ["", "/"] {
        let client = client(&spec(&format!("https://{}{slash}", server.address), &authority), &identity);
        assert_eq!(client.hosts().await.unwrap(), ["search.prim.sh", "find.prim.sh", "look.prim.sh"]);
    }
}

#[tokio::test]
async fn every_answer_has_its_class() {
    let authority = Authority::new("edge");
    let identity = authority.client();
    let rows = [
        (StatusCode::OK, "7", Class::Invalid, Reason::RouteListMissing),
        (StatusCode::OK, "null", Class::Invalid, Reason::RouteListMissing),
        (StatusCode::OK, "<html>", Class::Invalid, Reason::RouteListMissing),
        (StatusCode::NOT_FOUND, r#"{"error":"unknown object ID 'flywheel-routes'"}"#, Class::Invalid, Reason::RouteListMissing),
        (StatusCode::INTERNAL_SERVER_ERROR, r#"{"error":"unknown object ID 'flywheel-routes'"}"#, Class::Invalid, Reason::RouteListMissing),
        (StatusCode::INTERNAL_SERVER_ERROR, r#"{"error":"out of memory"}"#, Class::Transient, Reason::ServerError),
        (StatusCode::SERVICE_UNAVAILABLE, "", Class::Transient, Reason::ServerError),
        (StatusCode::FORBIDDEN, "", Class::Denied, Reason::PermissionMissing),
        (StatusCode::UNAUTHORIZED, "", Class::Denied, Reason::PermissionMissing),
        (StatusCode::TOO_MANY_REQUESTS, "", Class::RateLimited(std::time::Duration::from_secs(60)), Reason::RateLimited),
        (StatusCode::IM_A_TEAPOT, "", Class::Bug, Reason::UnexpectedAnswer),
        (StatusCode::FOUND, "", Class::Bug, Reason::UnexpectedAnswer),
    ];
    for (code, body, class, reason) in rows {
        let server = AdminApi::start(&authority, "127.0.0.1", &authority, code, body).await;
        let result = client(&spec(&format!("https://{}", server.address), &authority), &identity).hosts().await;
        refused(result, class, reason, &server.address.to_string(), &key_lines(&identity));
    }
}

#[tokio::test]
async fn certificates_must_fit_on_both_sides() {
    let (edge, other) = (Authority::new("edge"), Authority::new("other"));
    let server = AdminApi::start(&edge, "127.0.0.1", &edge, StatusCode::OK, ROUTES).await;
    let url = format!("https://{}", server.address);
    for (what, spec, identity) in [
        ("another CA than the edge's", spec(&url, &other), edge.client()),
        ("a client certificate of another CA", spec(&url, &edge), other.client()),
        (
            "another name than the certificate's",
            EdgeSpec { admin_server_name: Some("edge.test".into()), ..spec(&url, &edge) },
            edge.client(),
        ),
    ] {
        let result = client(&spec, &identity).hosts().await;
        assert!(result.is_err(), "{what} was let in");
        refused(result, Class::Invalid, Reason::CertificateRejected, "TLS handshake failed", &key_lines(&identity));
    }
}

#[tokio::test]
async fn the_address_and_the_certificates_name_may_differ() {
    let authority = Authority::new("edge");
    let server = AdminApi::start(&authority, "admin.edge.test", &authority, StatusCode::OK, ROUTES).await;
    let identity = authority.client();
    let mut spec = spec(&format!("https://{}", server.address), &authority);
    refused(client(&spec, &identity).hosts().await, Class::Invalid, Reason::CertificateRejected, "server name", &[]);
    spec.admin_server_name = Some("admin.edge.test".into());
    assert_eq!(client(&spec, &identity).hosts().await.unwrap().len(), 3);
}

#[tokio::test]
async fn nobody_there_is_unreachable_and_so_is_silence() {
    let authority = Authority::new("edge");
    let identity = authority.client();
    let closed = client(&spec(&format!("https://{}", reserved()), &authority), &identity);
    refused(closed.hosts().await, Class::Transient, Reason::Unreachable, "does not answer", &key_lines(&identity));

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = client(&spec(&format!("https://{}", listener.local_addr().unwrap()), &authority), &identity);
    let asked = tokio::spawn(async move { silent.hosts().await });
    let _held = listener.accept().await.unwrap();
    tokio::time::pause();
    refused(asked.await.unwrap(), Class::Transient, Reason::Unreachable, "does not answer", &[]);
}

#[test]
fn settings_that_cant_be_used_are_told_by_their_path() {
    telemetry::install_crypto_provider();
    let authority = Authority::new("edge");
    let identity = authority.client();
    let good = spec("https://192.0.2.1:2021", &authority);
    let made = |spec: &EdgeSpec, identity: &ClientIdentity| Caddy::new(spec, identity).map(|_| ());
    made(&good, &identity).unwrap();

    let wrong = EdgeSpec { admin_url: "not a url".into(), ..good.clone() };
    refused(made(&wrong, &identity), Class::Invalid, Reason::Invalid, "spec.deploy.edge.adminUrl", &[]);
    for bundle in ["no certificate", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"] {
        let wrong = EdgeSpec { admin_ca_bundle: bundle.into(), ..good.clone() };
        refused(made(&wrong, &identity), Class::Invalid, Reason::Invalid, "spec.deploy.edge.adminCaBundle", &[]);
    }
    // A name would have to be looked up, which making a client must not do.
    let wrong = EdgeSpec { admin_url: "https://localhost:2021".into(), admin_server_name: Some("edge.test".into()), ..good.clone() };
    refused(made(&wrong, &identity), Class::Invalid, Reason::Invalid, "must name an IP address", &[]);
    let six = EdgeSpec { admin_url: "https://[::1]:2021".into(), admin_server_name: Some("edge.test".into()), ..good.clone() };
    made(&six, &identity).unwrap();

    let other = authority.client();
    let swapped = ClientIdentity { certificate: identity.certificate.clone(), key: other.key.clone() };
    let garbage = ClientIdentity { certificate: "x".into(), key: "secret-key-0c1d".into() };
    refused(made(&good, &swapped), Class::Waiting, Reason::SecretInvalid, "tls.crt and tls.key", &key_lines(&other));
    refused(made(&good, &garbage), Class::Waiting, Reason::SecretInvalid, "tls.crt and tls.key", &["secret-key-0c1d"]);
    assert!(!format!("{identity:?}").contains(key_lines(&identity)[0]), "Debug shows the key");
}
