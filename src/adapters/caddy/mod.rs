//! Caddy 2 through its remote admin API: mutual TLS, and routes in a list that
//! carries the id [`ROUTE_LIST`]. This file is the connection and what an answer
//! means; the list is read and changed in `routes.rs`. Caddy itself refuses nothing
//! that is well formed, so what must not happen twice is checked there.

mod routes;

use std::net::{IpAddr, SocketAddr};

use reqwest::{Certificate, Client, Identity, Response, StatusCode, Url};
use secrecy::ExposeSecret;
use serde::Deserialize;

use super::http;
use crate::{
    api::{conditions::Reason, factory::EdgeSpec},
    ports::{
        edge::ClientIdentity,
        error::{Class, PortError},
    },
};

/// `@id` of the subroute in Caddy's configuration whose routes are Flywheel's.
pub const ROUTE_LIST: &str = "flywheel-routes";

/// One Caddy.
pub struct Caddy {
    client: Client,
    server: String,
    list: Url,
}

impl Caddy {
    /// A client for the edge of `spec`, showing `identity`.
    pub fn new(spec: &EdgeSpec, identity: &ClientIdentity) -> Result<Self, PortError> {
        let admin: Url = spec.admin_url.parse().map_err(|e| PortError::invalid("spec.deploy.edge.adminUrl", e))?;
        // A text without any certificate in it is no error to the parser.
        let roots = Certificate::from_pem_bundle(spec.admin_ca_bundle.as_bytes())
            .ok()
            .filter(|roots| !roots.is_empty())
            .ok_or_else(|| PortError::invalid("spec.deploy.edge.adminCaBundle", "is not a list of PEM certificates"))?;
        let bad_identity = || {
            PortError::secret_invalid(
                "the edge's client certificate can't be used: tls.crt and tls.key must be a PEM certificate and its key",
            )
        };
        let pem = format!("{}\n{}", identity.key.expose_secret(), identity.certificate);
        let identity = Identity::from_pem(pem.as_bytes()).map_err(|_| bad_identity())?;
        // Each change replaces Caddy's sockets, so no connection outlives its request.
        let mut builder = http::client().tls_certs_only(roots).identity(identity).pool_max_idle_per_host(0);
        // The address and the name in the certificate may differ: connect to the
        // one, ask for the other.
        let mut url = admin.clone();
        if let Some(name) = &spec.admin_server_name {
            // No look-up of a name: it would block.
            let address = ip_address(&admin)
                .ok_or_else(|| PortError::invalid("spec.deploy.edge.adminUrl", "must name an IP address when adminServerName is given"))?;
            builder = builder.resolve(name, address);
            url.set_host(Some(name)).map_err(|e| PortError::invalid("spec.deploy.edge.adminServerName", e))?;
        }
        let client = builder.build().map_err(|_| bad_identity())?;
        let list = url.join(&format!("id/{ROUTE_LIST}")).map_err(|e| PortError::invalid("spec.deploy.edge.adminUrl", e))?;
        Ok(Self { client, server: format!("the edge's admin API at {}", spec.admin_url.trim_end_matches('/')), list })
    }
}

impl Caddy {
    fn missing(&self) -> PortError {
        PortError::new(
            Class::Invalid,
            Reason::RouteListMissing,
            format!("{} has nothing with @id {ROUTE_LIST}: give the configuration a subroute of that id", self.server),
        )
    }

    /// The failure that an answer is. `refused` is what a 500 with a reason means.
    async fn failure(&self, response: Response, refused: impl FnOnce(&str) -> PortError) -> PortError {
        let status = response.status();
        match status {
            StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => PortError::new(
                Class::Denied,
                Reason::PermissionMissing,
                format!("{} refused the client certificate: allow its public key in admin.remote.access_control", self.server),
            ),
            StatusCode::NOT_FOUND => self.missing(),
            _ => {
                let failure = http::common_failure(&self.server, &response).unwrap_or_else(|| unexpected(&self.server, status));
                if status != StatusCode::INTERNAL_SERVER_ERROR {
                    return failure;
                }
                // Caddy 2.6 answers 500 for an id it does not know, and for what
                // it can't load.
                let body = http::body(&self.server, response, http::MAX_BODY).await.unwrap_or_default();
                match serde_json::from_slice::<Refusal>(&body).map(|refusal| refusal.error) {
                    Ok(said) if said.contains("unknown object ID") => self.missing(),
                    Ok(said) if said.contains("loading") => refused(&said),
                    _ => failure,
                }
            }
        }
    }
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
}

fn ip_address(url: &Url) -> Option<SocketAddr> {
    let ip: IpAddr = url.host_str()?.trim_matches(['[', ']']).parse().ok()?;
    Some(SocketAddr::new(ip, url.port_or_known_default()?))
}

fn unexpected(server: &str, status: StatusCode) -> PortError {
    PortError::new(Class::Bug, Reason::UnexpectedAnswer, format!("{server} answered {status}; is it a Caddy 2.6 or later?"))
}
