//! A caller of primitives: HTTPS to the real name, with nothing kept between two
//! calls, so that each sees name, certificate and service as they are now.

use std::{error::Error, io, net::SocketAddr, time::Duration};

use async_trait::async_trait;
use reqwest::{
    Certificate, Client, Response,
    dns::{Addrs, Name, Resolve, Resolving},
};
use rustls::CertificateError;
use serde_json::Value;

use super::http;
use crate::{
    api::{conditions::Reason, names::Fqdn},
    ports::{
        error::{Class, PortError},
        probe::{Answered, Probe},
    },
};

/// Longest wait for a whole answer.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Most bytes of a body that are read.
const MAX_BODY: usize = 64 * 1024;

/// Asks over HTTPS.
pub struct HttpsProbe {
    client: Client,
}

impl HttpsProbe {
    /// A probe that takes certificates which `ca_bundle` signs, or the public
    /// roots. The name is looked up as the machine is told to.
    pub fn new(ca_bundle: Option<&str>) -> Result<Self, PortError> {
        Self::build(ca_bundle, None)
    }

    /// A probe for which every name resolves to these addresses; certificate and
    /// request still are about the name.
    pub fn at(ca_bundle: Option<&str>, addresses: Vec<SocketAddr>) -> Result<Self, PortError> {
        Self::build(ca_bundle, Some(addresses))
    }

    fn build(ca_bundle: Option<&str>, addresses: Option<Vec<SocketAddr>>) -> Result<Self, PortError> {
        let mut builder = http::client().timeout(TIMEOUT).connect_timeout(TIMEOUT).https_only(true).pool_max_idle_per_host(0);
        if let Some(bundle) = ca_bundle {
            // A text without any certificate in it is no error to the parser.
            let roots = Certificate::from_pem_bundle(bundle.as_bytes())
                .ok()
                .filter(|roots| !roots.is_empty())
                .ok_or_else(|| PortError::invalid("spec.deploy.edge.caBundle", "is not a list of PEM certificates"))?;
            builder = builder.tls_certs_only(roots);
        }
        if let Some(addresses) = addresses {
            builder = builder.dns_resolver(Fixed(addresses));
        }
        let client = builder.build().map_err(|e| {
            PortError::invalid("spec.deploy.edge.caBundle", "can't be used, or where it is absent, this machine has no public roots")
                .because(e)
        })?;
        Ok(Self { client })
    }
}

#[async_trait]
impl Probe for HttpsProbe {
    async fn get(&self, host: &Fqdn) -> Result<Answered, PortError> {
        let response = self.client.get(format!("https://{host}/")).send().await.map_err(|e| failure(host, e))?;
        let status = response.status().as_u16();
        let body = body(response).await.map_err(|e| failure(host, e))?;
        Ok(Answered { status, body: serde_json::from_slice(&body).unwrap_or(Value::Null) })
    }
}

/// The beginning of a body: who answers may be anybody.
async fn body(mut response: Response) -> Result<Vec<u8>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await? {
        let room = MAX_BODY - body.len();
        body.extend_from_slice(&piece[..piece.len().min(room)]);
        if piece.len() >= room {
            break;
        }
    }
    Ok(body)
}

/// Why there was no answer. Nothing here stalls: a name spreads, a certificate is
/// issued and a service starts while this looks again.
fn failure(host: &Fqdn, error: reqwest::Error) -> PortError {
    // The URL says nothing that the message does not.
    let error = error.without_url();
    let transient = |reason, message: String| PortError::new(Class::Transient, reason, message);
    let failure = if let Some(problem) = http::tls_problem(&error) {
        handshake(host, problem)
    } else if error.is_dns() {
        let message = format!(
            "the name {host} does not resolve where the controller runs: check that its DNS server knows the zone, or wait until it has forgotten that there was no such name (tried again by itself)"
        );
        transient(Reason::ProbeFailed, message)
    } else if error.is_timeout() {
        let message = format!(
            "https://{host}/ did not answer within {} s: check that the controller may reach the edge's address and that the workload answers (tried again by itself)",
            TIMEOUT.as_secs()
        );
        transient(Reason::Unreachable, message)
    } else if is_refused(&error) {
        let message =
            format!("https://{host}/ refuses connections: check that the edge runs and listens on port 443 (tried again by itself)");
        transient(Reason::Unreachable, message)
    } else {
        let message =
            format!("https://{host}/ broke the connection off before it had answered: look at the edge's log (tried again by itself)");
        transient(Reason::ProbeFailed, message)
    };
    failure.because(error)
}

fn handshake(host: &Fqdn, problem: &rustls::Error) -> PortError {
    let rustls::Error::InvalidCertificate(certificate) = problem else {
        let message = format!(
            "the TLS handshake with {host} failed: the edge has no certificate for that name yet, or can't get one; look at its log (tried again by itself)"
        );
        return PortError::new(Class::Transient, Reason::ProbeFailed, message);
    };
    let why = match certificate {
        CertificateError::UnknownIssuer => {
            "is signed by none of the authorities in spec.deploy.edge.caBundle of the Factory, nor where that is absent by a public one"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => "is for another name",
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "has expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => "is not valid yet: compare the clocks",
        _ => "can't be used",
    };
    // Waiting: an edge that gets its certificates by itself may be about to.
    PortError::new(Class::Waiting, Reason::CertificateRejected, format!("the certificate that {host} shows {why}"))
}

fn is_refused(error: &reqwest::Error) -> bool {
    let mut source = error.source();
    while let Some(cause) = source {
        if cause.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::ConnectionRefused) {
            return true;
        }
        source = cause.source();
    }
    false
}

/// The same addresses for every name; where there are none, no name resolves.
struct Fixed(Vec<SocketAddr>);

impl Resolve for Fixed {
    fn resolve(&self, _: Name) -> Resolving {
        let addresses = self.0.clone();
        Box::pin(async move {
            if addresses.is_empty() {
                return Err("no such name".into());
            }
            let addresses: Addrs = Box::new(addresses.into_iter());
            Ok(addresses)
        })
    }
}
