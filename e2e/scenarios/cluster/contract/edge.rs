//! Caddy.

use std::sync::Arc;

use async_trait::async_trait;
use flywheel::{
    adapters::caddy::Caddy,
    api::{factory::EdgeSpec, references::SecretReference},
    ports::edge::{ClientIdentity, Edge},
};
use reqwest::{Certificate, Client, Identity, Method};
use serde_json::{Value, json};

use super::{
    address::reserved,
    suites::edge::{Arrange, Hand, suite},
};
use crate::{
    cluster::bed::ready,
    support::{file_at, variable},
};

struct RealCaddy {
    before: Value,
}

fn spec(admin_url: &str, ca: &str) -> EdgeSpec {
    EdgeSpec {
        admin_url: admin_url.into(),
        admin_server_name: Some("edge.prim.sh".into()),
        admin_ca_bundle: ca.into(),
        credentials: SecretReference { name: "x".into(), namespace: "x".into() },
        address: variable("EDGE_ADDRESS"),
        ca_bundle: None,
    }
}

fn identity() -> ClientIdentity {
    ClientIdentity { certificate: file_at("EDGE_ADMIN_CERT_FILE"), key: file_at("EDGE_ADMIN_KEY_FILE").into() }
}

/// A certificate that nobody trusts, and its key.
fn strangers() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(["stranger.test".to_owned()]).expect("certificate");
    (made.cert.pem(), made.signing_key.serialize_pem())
}

/// A call of the admin API below the route list.
pub(crate) async fn admin(method: Method, body: Option<Value>) -> Value {
    let pem = format!("{}\n{}", file_at("EDGE_ADMIN_KEY_FILE"), file_at("EDGE_ADMIN_CERT_FILE"));
    let client = Client::builder()
        .tls_certs_only([Certificate::from_pem(file_at("EDGE_ADMIN_CA_FILE").as_bytes()).expect("CA")])
        .identity(Identity::from_pem(pem.as_bytes()).expect("identity"))
        .build()
        .expect("client");
    let url = format!("{}/id/flywheel-routes/routes", variable("EDGE_ADMIN_URL"));
    let mut request = client.request(method, url);
    if let Some(body) = body {
        request = request.json(&body);
    }
    let response = request.send().await.expect("the admin API").error_for_status().expect("the admin API");
    let text = response.text().await.expect("answer");
    serde_json::from_str(&text).unwrap_or(Value::Null)
}

#[async_trait]
impl Arrange for RealCaddy {
    async fn reset(&self) {
        admin(Method::PATCH, Some(json!([]))).await;
    }

    async fn edge(&self, hand: Hand) -> Arc<dyn Edge> {
        let (url, ca) = (variable("EDGE_ADMIN_URL"), file_at("EDGE_ADMIN_CA_FILE"));
        let stranger = strangers();
        let made = match hand {
            Hand::Right => Caddy::new(&spec(&url, &ca), &identity()),
            Hand::WrongCertificate => Caddy::new(&spec(&url, &ca), &ClientIdentity { certificate: stranger.0, key: stranger.1.into() }),
            Hand::WrongAuthority => Caddy::new(&spec(&url, &stranger.0), &identity()),
        };
        Arc::new(made.expect("client"))
    }

    async fn closed_port(&self) -> Arc<dyn Edge> {
        let url = format!("https://{}", reserved());
        Arc::new(Caddy::new(&spec(&url, &file_at("EDGE_ADMIN_CA_FILE")), &identity()).expect("client"))
    }

    async fn add_route(&self, host: &str) {
        let route =
            json!({ "match": [{ "host": [host] }], "handle": [{ "handler": "static_response", "status_code": 204 }], "terminal": true });
        admin(Method::POST, Some(route)).await;
    }

    async fn remove_list(&self) -> bool {
        // The bed's Caddy lets this client change the list and not remove it.
        false
    }
}

#[tokio::test]
async fn caddy_keeps_the_contract() {
    ready().await;
    let caddy = RealCaddy { before: admin(Method::GET, None).await };
    suite(&caddy).await;
    admin(Method::PATCH, Some(caddy.before)).await;
}
