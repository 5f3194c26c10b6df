//! Requests over HTTP to servers that nobody vouches for: answers are bounded in
//! their head, their size and their time; connections are kept for the next
//! request; redirects go nowhere unless asked to, and never to another host.

use std::{
    collections::{BTreeMap, HashMap},
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use reqwest::{
    Certificate, Client, Method,
    dns::{Addrs, Name, Resolve, Resolving},
    header::{HOST, HeaderMap, LOCATION},
    redirect,
};
use tokio::time::timeout;
use url::{Host, Url};

use crate::suite::Answer;

/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(10);
/// Most headers of an answer; together they have at most some 400 KiB (hyper's own bound).
const MAX_HEADERS: usize = 100;
/// Most redirects that are followed: what fetch follows.
const MAX_REDIRECTS: usize = 20;

/// A request.
#[derive(Clone, Debug)]
pub struct Call {
    /// The service that is asked: its base address may be another one.
    pub service: String,
    /// Method.
    pub method: String,
    /// Where it goes.
    pub url: Url,
    /// Headers, in order.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Option<Vec<u8>>,
    /// Whether redirects on the same host are followed.
    pub follow: bool,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoReply {
    /// None in time.
    #[error("no answer within {} ms", .0.as_millis())]
    Late(Duration),
    /// No connection, or not a whole answer.
    #[error("no answer: {0}")]
    Broken(String),
    /// A request that can't be sent.
    #[error("{0}")]
    Unsendable(String),
}

/// Whoever carries requests to their servers.
#[async_trait(?Send)]
pub trait Ask {
    /// Asks once, within this time.
    async fn ask(&self, call: &Call, patience: Duration) -> Result<Answer, NoReply>;
}

#[async_trait(?Send)]
impl Ask for Http {
    async fn ask(&self, call: &Call, patience: Duration) -> Result<Answer, NoReply> {
        self.send(call, patience).await
    }
}

/// Where and how servers are asked.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Other addresses of services, such as a local one.
    pub bases: BTreeMap<String, Url>,
    /// Certificates in PEM that are trusted instead of the system's.
    pub ca: Option<String>,
    /// Most bytes of a body that are read.
    pub body_limit: usize,
}

/// A client of many servers.
#[derive(Debug)]
pub struct Http {
    settings: Settings,
    addresses: Addresses,
    // Certificates are read for the first request that needs them: that takes longer
    // than a run on loopback.
    plain: OnceLock<Result<Client, String>>,
    secure: OnceLock<Result<Client, String>>,
}

impl Http {
    /// A client; nothing is opened yet.
    pub fn new(settings: Settings) -> Self {
        Self { settings, addresses: Addresses::default(), plain: OnceLock::new(), secure: OnceLock::new() }
    }

    /// Asks once, within this time.
    pub async fn send(&self, call: &Call, patience: Duration) -> Result<Answer, NoReply> {
        timeout(patience, self.exchange(call)).await.map_err(|_| NoReply::Late(patience))?
    }

    async fn exchange(&self, call: &Call) -> Result<Answer, NoReply> {
        let mut call = call.clone();
        for _ in 0..=MAX_REDIRECTS {
            let reply = self.once(&call).await?;
            let next = if call.follow { redirected(&call, &reply) } else { None };
            match next {
                None => return Ok(reply),
                Some(next) => call = next,
            }
        }
        Err(NoReply::Broken(format!("more than {MAX_REDIRECTS} redirects")))
    }

    async fn once(&self, call: &Call) -> Result<Answer, NoReply> {
        let (url, host) = self.place(call)?;
        let method =
            Method::from_bytes(call.method.as_bytes()).map_err(|_| NoReply::Unsendable(format!("{:?} is no method", call.method)))?;
        let mut head = self.client(url.scheme())?.request(method, url);
        if let Some(host) = host {
            head = head.header(HOST, host);
        }
        for (name, value) in &call.headers {
            head = head.header(name, value);
        }
        if let Some(body) = &call.body {
            head = head.body(body.clone());
        }
        let mut answer = head.send().await.map_err(broken)?;
        let mut reply = Answer { status: answer.status().as_u16(), headers: headers(answer.headers()), ..Answer::default() };
        while let Some(piece) = answer.chunk().await.map_err(broken)? {
            let room = self.settings.body_limit - reply.body.len();
            reply.body.extend_from_slice(&piece[..piece.len().min(room)]);
            if piece.len() > room {
                // The connection goes with the answer that nobody reads to its end.
                reply.cut = Some(format!("the body is longer than {} bytes, and no more are read", self.settings.body_limit));
                break;
            }
        }
        Ok(reply)
    }

    /// The URL to ask, and the Host header where it is not the URL's own.
    ///
    /// A base with a name is another place, with its own name. One with an address
    /// is the same service found elsewhere: it keeps its name, also in TLS.
    fn place(&self, call: &Call) -> Result<(Url, Option<String>), NoReply> {
        if !matches!(call.url.scheme(), "http" | "https") || !call.url.username().is_empty() || call.url.password().is_some() {
            return Err(NoReply::Unsendable(format!("{} is no address of http or https", without_user(&call.url))));
        }
        let name = &call.service;
        let base = self.settings.bases.get(name).or_else(|| self.settings.bases.get(name.strip_suffix(".sh")?));
        let Some(base) = base else { return Ok((call.url.clone(), None)) };
        let mut url = base.clone();
        url.set_path(&format!("{}{}", base.path().trim_end_matches('/'), call.url.path()));
        url.set_query(call.url.query());
        let name = call.url.host_str().unwrap_or_default();
        let address = match base.host() {
            Some(Host::Ipv4(address)) => IpAddr::V4(address),
            Some(Host::Ipv6(address)) => IpAddr::V6(address),
            Some(Host::Domain("localhost")) if base.scheme() == "http" => return Ok((url, Some(name.into()))),
            Some(Host::Domain(_)) | None => return Ok((url, None)),
        };
        if base.scheme() == "https" && call.url.domain().is_some() {
            self.addresses.put(name, address);
            url.set_host(Some(name)).map_err(|e| NoReply::Unsendable(format!("{name:?}: {e}")))?;
        }
        Ok((url, Some(name.into())))
    }

    fn client(&self, scheme: &str) -> Result<&Client, NoReply> {
        let client = if scheme == "https" {
            self.secure.get_or_init(|| match &self.settings.ca {
                None => self.build(|builder| builder),
                Some(pem) => {
                    let roots = Certificate::from_pem_bundle(pem.as_bytes()).ok().filter(|roots| !roots.is_empty());
                    let roots = roots.ok_or("--ca has no certificates in PEM")?;
                    self.build(|builder| builder.tls_certs_only(roots))
                }
            })
        } else {
            self.plain.get_or_init(|| self.build(|builder| builder.tls_certs_only([])))
        };
        client.as_ref().map_err(|problem| NoReply::Unsendable(problem.clone()))
    }

    fn build(&self, more: impl FnOnce(reqwest::ClientBuilder) -> reqwest::ClientBuilder) -> Result<Client, String> {
        let builder = Client::builder()
            .connect_timeout(CONNECT)
            .redirect(redirect::Policy::none())
            .http1_max_headers(MAX_HEADERS)
            .user_agent(concat!("flywheel/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(self.addresses.clone())
            .no_proxy();
        more(builder).build().map_err(|e| chain(&e))
    }
}

/// Where a redirect leads, if it leads to the same host, as fetch would go there.
fn redirected(call: &Call, reply: &Answer) -> Option<Call> {
    if !matches!(reply.status, 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let url = call.url.join(&reply.header(LOCATION.as_str())?).ok()?;
    let same = url.scheme() == call.url.scheme()
        && url.host() == call.url.host()
        && url.port_or_known_default() == call.url.port_or_known_default();
    if !same {
        return None;
    }
    let mut next = Call { url, ..call.clone() };
    let reads = matches!(call.method.as_str(), "GET" | "HEAD");
    if (reply.status == 303 && !reads) || (matches!(reply.status, 301 | 302) && call.method == "POST") {
        next.method = "GET".into();
        next.body = None;
    }
    Some(next)
}

fn headers(map: &HeaderMap) -> Vec<(String, String)> {
    map.iter().map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())).collect()
}

fn without_user(url: &Url) -> String {
    format!("{}://{}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
}

fn broken(error: reqwest::Error) -> NoReply {
    // Its URL goes: it may hold a secret, and the report has it already.
    let error = error.without_url();
    if error.is_builder() { NoReply::Unsendable(chain(&error)) } else { NoReply::Broken(chain(&error)) }
}

/// An error's causes in one line, the last one first told: that is what helps.
fn chain(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !line.contains(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        source = cause.source();
    }
    line
}

/// Names that are found at an address of our own, before anybody is asked.
#[derive(Clone, Debug, Default)]
struct Addresses(Arc<Mutex<HashMap<String, IpAddr>>>);

impl Addresses {
    fn put(&self, name: &str, address: IpAddr) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), address);
    }
}

impl Resolve for Addresses {
    fn resolve(&self, name: Name) -> Resolving {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(name.as_str()).copied();
        Box::pin(async move {
            let found: Vec<SocketAddr> = match known {
                Some(address) => vec![SocketAddr::new(address, 0)],
                None => tokio::net::lookup_host((name.as_str(), 0)).await?.collect(),
            };
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}
