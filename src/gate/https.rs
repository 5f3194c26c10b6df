//! Requests to a deployed service, by its name and over TLS. Answers are bounded
//! in size and time; a redirect is an answer like any other.

use std::time::Duration;

use reqwest::{Certificate, Method, Url, header::CONTENT_TYPE, redirect};
use tokio::time::timeout;

use super::{
    chain,
    checks::{Answer, Request},
    http::{HttpError, MAX_BODY},
    payment,
};

/// A client of one service.
pub(super) struct Client {
    http: reqwest::Client,
    base: String,
    patience: Duration,
}

impl Client {
    /// A client of the service at `url`, whose certificate one of `ca_bundle` signs.
    pub(super) fn new(url: &str, ca_bundle: Option<&str>, patience: Duration) -> Result<Self, String> {
        let parsed: Url = url.parse().map_err(|e| format!("{url:?} is no URL: {e}"))?;
        if parsed.path() != "/" || parsed.query().is_some() {
            return Err(format!("{url:?} has more than a scheme and a host"));
        }
        // No connection outlives its request: each may find another server.
        let mut builder =
            reqwest::Client::builder().redirect(redirect::Policy::none()).no_proxy().pool_max_idle_per_host(0).https_only(true);
        if let Some(bundle) = ca_bundle {
            let roots = Certificate::from_pem_bundle(bundle.as_bytes()).ok().filter(|roots| !roots.is_empty());
            builder = builder.tls_certs_only(roots.ok_or("the edge's caBundle is not a list of PEM certificates")?);
        }
        let http = builder.build().map_err(chain)?;
        Ok(Self { http, base: url.trim_end_matches('/').into(), patience })
    }

    pub(super) async fn send(&self, request: &Request) -> Result<Answer, HttpError> {
        let late = |_| HttpError::None(format!("none within {} s", self.patience.as_secs()));
        timeout(self.patience, self.exchange(request)).await.map_err(late)?
    }

    async fn exchange(&self, request: &Request) -> Result<Answer, HttpError> {
        let method = Method::from_bytes(request.method.as_bytes()).map_err(|e| HttpError::None(chain(e)))?;
        // Put together as texts: a target such as //name must not become another host.
        let mut head = self.http.request(method, format!("{}{}", self.base, request.target));
        for (name, value) in &request.headers {
            head = head.header(name, value);
        }
        if let Some(body) = &request.body {
            head = head.header(CONTENT_TYPE, "application/json").body(body.clone());
        }
        let mut answer = head.send().await.map_err(none)?;
        let payment_required = answer.headers().get(payment::REQUIRED).and_then(|v| v.to_str().ok()).map(str::to_owned);
        let mut read = Answer { status: answer.status().as_u16(), payment_required, body: Vec::new() };
        while let Some(piece) = answer.chunk().await.map_err(none)? {
            if read.body.len() + piece.len() > MAX_BODY {
                return Err(HttpError::TooLarge);
            }
            read.body.extend_from_slice(&piece);
        }
        Ok(read)
    }
}

fn none(error: reqwest::Error) -> HttpError {
    HttpError::None(chain(error))
}
