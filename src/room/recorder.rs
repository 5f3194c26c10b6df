//! The recorder: a server of the judge's own, which is all that the sandbox knows of the
//! service. It hands requests on while a command that the judge ordered runs, at an
//! address that is that order's alone. What comes at any other time or place is nobody's.

use std::{
    convert::Infallible,
    fs::File,
    io::{self, Read as _},
    time::Duration,
};

use async_trait::async_trait;
use futures::{StreamExt, stream::FuturesUnordered};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Response, StatusCode,
    body::{Bytes, Incoming},
    header::{HeaderName, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};

use crate::suite::Answer;

/// Most connections at once.
const MOST_CONNECTIONS: usize = 8;
/// Most bytes of a request's head, and of its body.
const MOST_HEAD: usize = 64 * 1024;
const MOST_BODY: usize = 256 * 1024;
/// How long a request may take to come whole.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pause after a connection that could not be taken.
const PAUSE: Duration = Duration::from_millis(20);
/// Headers of an answer that are about its connection or its form there.
const HOP: [&str; 8] =
    ["connection", "keep-alive", "transfer-encoding", "content-length", "content-encoding", "upgrade", "trailer", "proxy-authenticate"];

/// A request of the sandbox.
#[derive(Clone, Debug)]
pub struct Received {
    /// Method.
    pub method: String,
    /// Path and query, from the service's root on.
    pub target: String,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
}

/// Who decides what becomes of a request.
#[async_trait(?Send)]
pub trait Relay {
    /// The service's answer; else why there is none.
    async fn relay(&self, request: Received) -> Result<Answer, String>;
}

/// The server.
#[derive(Debug)]
pub struct Recorder {
    listener: TcpListener,
    port: u16,
}

/// The address of one order.
#[derive(Clone, Debug)]
pub struct Place {
    token: String,
    port: u16,
}

impl Place {
    /// What the sandbox takes for the service's address.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/{}", self.port, self.token)
    }
}

impl Recorder {
    /// Takes a port; nothing is answered before [`Recorder::during`].
    pub async fn open() -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        Ok(Self { port: listener.local_addr()?.port(), listener })
    }

    /// A place that nobody knows yet.
    pub fn place(&self) -> io::Result<Place> {
        let mut bytes = [0; 16];
        File::open("/dev/urandom")?.read_exact(&mut bytes)?;
        Ok(Place { token: bytes.iter().map(|byte| format!("{byte:02x}")).collect(), port: self.port })
    }

    /// Answers at a place while something is done, and not a moment longer.
    pub async fn during<T>(&self, place: &Place, relay: &dyn Relay, work: impl Future<Output = T>) -> T {
        tokio::pin!(work);
        let mut open = FuturesUnordered::new();
        loop {
            tokio::select! {
                done = &mut work => return done,
                accepted = self.listener.accept(), if open.len() < MOST_CONNECTIONS => match accepted {
                    Ok((stream, _)) => open.push(serve(stream, place, relay)),
                    Err(_) => sleep(PAUSE).await,
                },
                Some(()) = open.next(), if !open.is_empty() => {}
            }
        }
    }
}

async fn serve(stream: TcpStream, place: &Place, relay: &dyn Relay) {
    let service = service_fn(|request| answered(request, place, relay));
    // An error of a connection is its own: the sandbox may do what it likes with it.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(MOST_HEAD)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answered(request: hyper::Request<Incoming>, place: &Place, relay: &dyn Relay) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let target = head.uri.path_and_query().map_or("", |target| target.as_str());
    let target = target.strip_prefix('/').and_then(|rest| rest.strip_prefix(&place.token)).filter(|rest| rest.starts_with('/'));
    let Some(target) = target else { return Ok(said(StatusCode::NOT_FOUND, "this is no order's place")) };
    let body = match timeout(PATIENCE, Limited::new(body, MOST_BODY).collect()).await {
        Ok(Ok(body)) => body.to_bytes().to_vec(),
        _ => return Ok(said(StatusCode::PAYLOAD_TOO_LARGE, "the body is too long, or did not come whole")),
    };
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = head.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
    let received = Received { method: head.method.as_str().into(), target: target.into(), headers, body };
    Ok(match relay.relay(received).await {
        Ok(answer) => response(answer),
        Err(why) => said(StatusCode::BAD_GATEWAY, &why),
    })
}

/// An answer as the service gave it, but for how it is sent here.
fn response(answer: Answer) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::BAD_GATEWAY);
    for (name, value) in answer.headers.iter().filter(|(name, _)| !HOP.contains(&name.as_str())) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().append(name, value);
        }
    }
    response
}

fn said(status: StatusCode, why: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(why.to_owned()));
    *response.status_mut() = status;
    response
}
