//! Requests over HTTP to servers that nobody vouches for: answers are bounded in
//! their head, their size and their time; connections are kept for the next
//! request, which is sent once more where the server had closed its one; redirects go
//! nowhere unless asked to, and never to another host.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    error::Error,
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use hyper::http::Extensions;
use hyper_util::client::legacy::{self, connect::HttpInfo};
use reqwest::{
    Certificate, Client, Method, Request, RequestBuilder,
    dns::{Addrs, Name, Resolve, Resolving},
    header::{CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_LOCATION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, LOCATION},
    redirect,
};
use tokio::{
    runtime::Handle,
    task::JoinHandle,
    time::{Instant, timeout_at},
};
use url::{Host, Url};

use super::{decode::decoded, rate::Rate, tally::Tally};
use crate::suite::{Answer, Trouble};

/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(10);
/// Longest wait for an answer: what is longer, clocks may not be able to tell.
const PATIENCE: Duration = Duration::from_secs(365 * 24 * 3600);
/// Most headers of an answer; together they have at most some 400 KiB (hyper's own bound).
const MAX_HEADERS: usize = 100;
/// Most redirects that are followed: as many as Bun's fetch, with which prim.sh's runner
/// sends, and whose way alone follows any.
const MAX_REDIRECTS: usize = 126;
/// What is said of a body, which a redirect that drops the body drops too.
const OF_BODIES: [HeaderName; 4] = [CONTENT_TYPE, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LOCATION];

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
    /// Place in its plan of the test that it is of, where it is one's.
    pub test: Option<usize>,
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
    async fn ask(&self, call: &Call, patience: Duration) -> Sent;
}

#[async_trait(?Send)]
impl Ask for Http {
    async fn ask(&self, call: &Call, patience: Duration) -> Sent {
        self.send(call, patience).await
    }
}

/// Asks, and notes what it took where the try is counted.
pub(crate) async fn sent(ask: &dyn Ask, call: &Call, patience: Duration, tally: &Tally) -> Result<Answer, Trouble> {
    let Sent { answer, took } = ask.ask(call, patience).await;
    tally.answered(answer.as_ref().ok().map(|answer| answer.status), took);
    answer.map_err(|e| Trouble::Broken(e.to_string()))
}

/// Where and how servers are asked.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Other addresses of services, such as a local one.
    pub bases: BTreeMap<String, Url>,
    /// Certificates in PEM that are trusted instead of the system's.
    pub ca: Option<String>,
    /// Most bytes of a body that are read, as they come and decoded.
    pub body_limit: usize,
    /// Most requests a second to each host; no bound without.
    pub rate: Option<f64>,
    /// Where connections live, if not where answers are waited for: one that is flooded
    /// keeps whoever reads it busy, and no clock is looked at there meanwhile.
    pub wires: Option<Handle>,
}

/// What came of a request.
#[derive(Debug)]
pub struct Sent {
    /// The answer, or why there is none.
    pub answer: Result<Answer, NoReply>,
    /// How long it took, without waiting for the host's turn.
    pub took: Duration,
}

/// The time that a request and its redirects have. It stands still while the host's
/// turn is waited for.
struct Time {
    patience: Duration,
    until: Instant,
    waited: Duration,
}

/// A client of many servers.
#[derive(Debug)]
pub struct Http {
    settings: Settings,
    rate: Rate,
    addresses: Addresses,
    kept: Clients,
    anew: Clients,
    answered: Answered,
}

/// Clients by what they speak. Certificates are read for the first request that needs
/// them: that takes longer than a run on loopback.
#[derive(Debug, Default)]
struct Clients {
    plain: OnceLock<Result<Client, String>>,
    secure: OnceLock<Result<Client, String>>,
}

/// Whether a request goes over a connection that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wire {
    /// Over one that an answer came over, where there is one.
    Kept,
    /// Over one of its own.
    Anew,
}

impl Http {
    /// A client; nothing is opened yet.
    pub fn new(settings: Settings) -> Self {
        let rate = Rate::new(settings.rate);
        Self {
            settings,
            rate,
            addresses: Addresses::default(),
            kept: Clients::default(),
            anew: Clients::default(),
            answered: Answered::default(),
        }
    }

    /// Asks, and follows redirects if the call says so, within this time. Each of the
    /// requests counts for the rate of its host.
    pub async fn send(&self, call: &Call, patience: Duration) -> Sent {
        let began = Instant::now();
        let mut time = Time { patience, until: began + patience.min(PATIENCE), waited: Duration::ZERO };
        let answer = self.exchange(call, &mut time).await;
        Sent { answer, took: began.elapsed().saturating_sub(time.waited) }
    }

    async fn exchange(&self, call: &Call, time: &mut Time) -> Result<Answer, NoReply> {
        let mut call = call.clone();
        for _ in 0..=MAX_REDIRECTS {
            let reply = self.once(&call, time).await?;
            let next = if call.follow { redirected(&call, &reply)? } else { None };
            match next {
                None => return Ok(reply),
                Some(next) => call = next,
            }
        }
        Err(NoReply::Broken(format!("more than {MAX_REDIRECTS} redirects")))
    }

    async fn once(&self, call: &Call, time: &mut Time) -> Result<Answer, NoReply> {
        let (url, host) = self.place(call)?;
        let method =
            Method::from_bytes(call.method.as_bytes()).map_err(|_| NoReply::Unsendable(format!("{:?} is no method", call.method)))?;
        let mut head = self.client(url.scheme(), Wire::Kept)?.request(method, url);
        if let Some(host) = host {
            head = head.header(HOST, host);
        }
        for (name, value) in &call.headers {
            head = head.header(name, value);
        }
        match &call.body {
            Some(body) => head = head.body(body.clone()),
            // Servers may refuse such a request that says nothing of a body (RFC 9110, 8.6).
            None if says_length(call) => head = head.header(CONTENT_LENGTH, "0"),
            None => {}
        }
        let request = head.build().map_err(broken)?;
        let again = request.try_clone();
        let mut came = self.waited(request, Wire::Kept, call, time).await;
        // A server may close a connection that it keeps whenever it likes: it has not
        // answered this request, and a payment in it can be settled but once.
        let closed = came.as_ref().is_err_and(|nothing| nothing.closed);
        if let Some(again) = again.filter(|_| closed) {
            came = self.waited(again, Wire::Anew, call, time).await;
        }
        came.map(|reply| decoded(reply, self.settings.body_limit)).map_err(|nothing| nothing.why)
    }

    /// Waits for an answer, and takes what there is of it when the time is over.
    async fn waited(&self, request: Request, wire: Wire, call: &Call, time: &mut Time) -> Result<Answer, Nothing> {
        let client = self.client(request.url().scheme(), wire)?.clone();
        time.turn(&self.rate, call.url.authority()).await;
        let so_far = Arc::new(Mutex::new(None));
        let head = RequestBuilder::from_parts(client, request);
        let receiving = received(head, self.settings.body_limit, self.answered.clone(), so_far.clone());
        let mut receiving = Aborted(self.settings.wires.clone().unwrap_or_else(Handle::current).spawn(receiving));
        let ended = timeout_at(time.until, &mut receiving.0).await;
        let reply = so_far.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (ended, reply) {
            (Ok(Ok(Err(none))), _) => Err(none),
            (Ok(Err(broke)), _) => Err(NoReply::Broken(broke.to_string()).into()),
            (_, None) => Err(NoReply::Late(time.patience).into()),
            (Ok(Ok(Ok(()))), Some(reply)) => Ok(reply),
            (Err(_), Some(reply)) => {
                let cut = format!("it had no end within {} ms", time.patience.as_millis());
                Ok(Answer { cut: reply.cut.or(Some(cut)), ..reply })
            }
        }
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

    fn client(&self, scheme: &str, wire: Wire) -> Result<&Client, NoReply> {
        let (clients, idle) = match wire {
            Wire::Kept => (&self.kept, usize::MAX),
            Wire::Anew => (&self.anew, 0),
        };
        let client = if scheme == "https" {
            clients.secure.get_or_init(|| match &self.settings.ca {
                None => self.build(idle, |builder| builder),
                Some(pem) => {
                    let roots = certificates(pem)?;
                    self.build(idle, |builder| builder.tls_certs_only(roots))
                }
            })
        } else {
            clients.plain.get_or_init(|| self.build(idle, |builder| builder.tls_certs_only([])))
        };
        client.as_ref().map_err(|problem| NoReply::Unsendable(problem.clone()))
    }

    fn build(&self, idle: usize, more: impl FnOnce(reqwest::ClientBuilder) -> reqwest::ClientBuilder) -> Result<Client, String> {
        let builder = Client::builder()
            .connect_timeout(CONNECT)
            .pool_max_idle_per_host(idle)
            .redirect(redirect::Policy::none())
            .http1_max_headers(MAX_HEADERS)
            .user_agent(concat!("flywheel/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(self.addresses.clone())
            .no_proxy();
        more(builder).build().map_err(|e| chain(&e))
    }
}

/// Receives an answer into `so_far`. Once its head is there, there is an answer,
/// whatever becomes of its body.
async fn received(head: RequestBuilder, limit: usize, answered: Answered, so_far: Arc<Mutex<Option<Answer>>>) -> Result<(), Nothing> {
    let mut answer = head.send().await.map_err(|error| Nothing { closed: answered.ended(&error), why: broken(error) })?;
    if let Some(info) = answer.extensions().get() {
        answered.note(info);
    }
    let note = |change: &mut dyn FnMut(&mut Answer)| {
        change(so_far.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default());
    };
    note(&mut |reply| (reply.status, reply.headers) = (answer.status().as_u16(), headers(answer.headers())));
    let mut size = 0;
    loop {
        match answer.chunk().await {
            Ok(Some(piece)) => {
                let room = limit - size;
                size += piece.len().min(room);
                note(&mut |reply| reply.body.extend_from_slice(&piece[..piece.len().min(room)]));
                if piece.len() > room {
                    // The connection goes with the answer that nobody reads to its end.
                    note(&mut |reply| reply.cut = Some(too_long(limit)));
                    return Ok(());
                }
            }
            Ok(None) => return Ok(()),
            Err(error) => {
                let why = format!("it broke off after {size} bytes: {}", chain(&error.without_url()));
                note(&mut |reply| reply.cut = Some(why.clone()));
                return Ok(());
            }
        }
    }
}

/// Why there is no answer, and whether that is since the server had closed a connection
/// that it had kept.
#[derive(Debug)]
struct Nothing {
    why: NoReply,
    closed: bool,
}

impl From<NoReply> for Nothing {
    fn from(why: NoReply) -> Self {
        Self { why, closed: false }
    }
}

/// Both ends of each connection that an answer came over.
#[derive(Clone, Debug, Default)]
struct Answered(Arc<Mutex<HashSet<(SocketAddr, SocketAddr)>>>);

impl Answered {
    fn note(&self, info: &HttpInfo) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert((info.local_addr(), info.remote_addr()));
    }

    /// Whether such a connection ended before a request over it had an answer.
    fn ended(&self, error: &reqwest::Error) -> bool {
        let Some(error) = causes(error).find_map(|cause| cause.downcast_ref::<legacy::Error>()) else { return false };
        let mut extras = Extensions::new();
        error.connect_info().inspect(|connected| connected.get_extras(&mut extras));
        let Some(info) = extras.get::<HttpInfo>() else { return false };
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&(info.local_addr(), info.remote_addr()));
        known && causes(error).any(is_end)
    }
}

/// Whether a connection ended, and nothing else is wrong with what came over it.
fn is_end(cause: &(dyn Error + 'static)) -> bool {
    const ENDS: [io::ErrorKind; 4] =
        [io::ErrorKind::ConnectionReset, io::ErrorKind::ConnectionAborted, io::ErrorKind::BrokenPipe, io::ErrorKind::UnexpectedEof];
    cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_incomplete_message)
        || cause.downcast_ref::<io::Error>().is_some_and(|error| ENDS.contains(&error.kind()))
}

/// An error and its causes.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let error = next?;
        next = error.source();
        Some(error)
    })
}

/// A task that ends when nobody waits for it any more.
struct Aborted<T>(JoinHandle<T>);

impl<T> Drop for Aborted<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Time {
    async fn turn(&mut self, rate: &Rate, host: &str) {
        let waited = rate.turn(host).await;
        self.waited += waited;
        self.until += waited;
    }
}

/// The certificates of a text in PEM, of which there has to be one.
pub fn certificates(pem: &str) -> Result<Vec<Certificate>, String> {
    let found = Certificate::from_pem_bundle(pem.as_bytes()).map_err(|e| format!("is no certificates in PEM: {}", chain(&e)))?;
    if found.is_empty() { Err("has no certificates in PEM".into()) } else { Ok(found) }
}

/// What is said of a body that is longer than any that is read.
pub(super) fn too_long(limit: usize) -> String {
    format!("the body is longer than {limit} bytes, and no more are read")
}

/// Where a redirect leads, if it leads to the same host, as fetch would go there. What
/// fetch takes for no answer is none.
fn redirected(call: &Call, reply: &Answer) -> Result<Option<Call>, NoReply> {
    if reply.status == 101 {
        return Err(NoReply::Broken("it answers 101, and nobody asked for another protocol".into()));
    }
    let location = if matches!(reply.status, 301 | 302 | 303 | 307 | 308) { reply.header(LOCATION.as_str()) } else { None };
    let Some(location) = location.filter(|location| !location.is_empty()) else { return Ok(None) };
    let url = call.url.join(&location);
    let url = url.map_err(|problem| NoReply::Broken(format!("it answers {}, and leads to what is no URL: {problem}", reply.status)))?;
    let same = url.scheme() == call.url.scheme()
        && url.host() == call.url.host()
        && url.port_or_known_default() == call.url.port_or_known_default();
    if !same {
        return Ok(None);
    }
    let mut next = Call { url, ..call.clone() };
    let reads = matches!(call.method.as_str(), "GET" | "HEAD");
    if (reply.status == 303 && !reads) || (matches!(reply.status, 301 | 302) && call.method == "POST") {
        next.method = "GET".into();
        next.body = None;
        next.headers.retain(|(name, _)| OF_BODIES.iter().all(|of| !name.eq_ignore_ascii_case(of.as_str())));
    }
    Ok(Some(next))
}

/// Whether a request says of its body that there is none: what only reads never has one,
/// and a length that is given is the test's own.
fn says_length(call: &Call) -> bool {
    let given = call.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(CONTENT_LENGTH.as_str()));
    !given && !matches!(call.method.as_str(), "GET" | "HEAD")
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
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut line = String::new();
    for text in causes(error).map(ToString::to_string) {
        if line.is_empty() {
            line = text;
        } else if !line.contains(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
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
