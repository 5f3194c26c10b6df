//! What all HTTP adapters share: time-outs, and the meaning of failures that do
//! not depend on the server.

use std::{error::Error, time::Duration};

use http_body_util::{BodyExt, Collected, Limited};
use hyper::body::Bytes;
use reqwest::{Client, ClientBuilder, Response, StatusCode, header::RETRY_AFTER, redirect};

use crate::{
    api::conditions::Reason,
    ports::error::{Class, PortError},
};

/// Longest wait for a connection.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest wait for a whole answer.
pub const TIMEOUT: Duration = Duration::from_secs(15);

/// Longest wait that a server may ask for. One that asks for more is asked again
/// then, and may repeat itself.
pub const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// A client builder with our time-outs. No redirect is followed: a credential
/// sent to one server must not reach another.
pub fn client() -> ClientBuilder {
    Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(TIMEOUT)
        .redirect(redirect::Policy::none())
        .user_agent(concat!("flywheel/", env!("CARGO_PKG_VERSION")))
        .no_proxy()
}

/// A request that got no answer.
pub fn no_answer(server: &str, error: reqwest::Error) -> PortError {
    // The URL goes: it is in the spec already, and may carry a query.
    let error = error.without_url();
    if tls_problem(&error).is_some() {
        return PortError::new(
            Class::Invalid,
            Reason::CertificateRejected,
            format!("{server}: the TLS handshake failed: check the CA bundle, the server name and the client certificate"),
        )
        .because(error);
    }
    PortError::unreachable(server).because(error)
}

/// Most bytes that are read of one answer.
pub const MAX_BODY: usize = 16 * 1024 * 1024;

fn too_large(server: &str, limit: usize) -> PortError {
    let what = format!("{server} answered with more than {limit} bytes, and no more are read of one answer: look at what it sends");
    PortError::new(Class::Invalid, Reason::TooLarge, what)
}

/// An answer's body with its trailers, if it has at most `limit` bytes.
pub async fn limited(server: &str, response: Response, limit: usize) -> Result<Collected<Bytes>, PortError> {
    Limited::new(reqwest::Body::from(response), limit).collect().await.map_err(|error| match error.downcast::<reqwest::Error>() {
        Ok(error) => no_answer(server, *error),
        Err(_) => too_large(server, limit),
    })
}

/// An answer's body, if it has at most `limit` bytes.
pub async fn body(server: &str, mut response: Response, limit: usize) -> Result<Vec<u8>, PortError> {
    let mut body = Vec::new();
    let announced = response.content_length().and_then(|length| usize::try_from(length).ok()).unwrap_or_default();
    let too_large = || too_large(server, limit);
    if announced > limit {
        return Err(too_large());
    }
    while let Some(chunk) = response.chunk().await.map_err(|e| no_answer(server, e))? {
        if body.len() + chunk.len() > limit {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Whether an answer came whole and was not the JSON it should be; otherwise it
/// did not come whole.
pub fn is_garbage(error: &reqwest::Error) -> bool {
    error.source().is_some_and(|cause| cause.is::<serde_json::Error>())
}

/// What went wrong in the TLS handshake, where that is why there is no answer.
pub fn tls_problem(error: &reqwest::Error) -> Option<&rustls::Error> {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(problem) = tls(cause) {
            return Some(problem);
        }
        source = cause.source();
    }
    None
}

/// An I/O error hides what it wraps from `source`, and may wrap another.
fn tls<'a>(cause: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    if let Some(problem) = cause.downcast_ref::<rustls::Error>() {
        return Some(problem);
    }
    let inner = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref)?;
    tls(inner)
}

/// An answer whose status means the same whichever server sent it; `None` where
/// the caller knows better.
pub fn common_failure(server: &str, response: &Response) -> Option<PortError> {
    let status = response.status();
    if status == StatusCode::TOO_MANY_REQUESTS {
        let wait = response.headers().get(RETRY_AFTER).and_then(|v| v.to_str().ok()?.parse().ok()).unwrap_or(60);
        let wait = LONGEST_WAIT.as_secs().min(wait);
        return Some(PortError::new(
            Class::RateLimited(Duration::from_secs(wait)),
            Reason::RateLimited,
            format!("{server} asks to wait {wait} s"),
        ));
    }
    status.is_server_error().then(|| {
        PortError::new(
            Class::Transient,
            Reason::ServerError,
            format!("{server} answered {status}: look at its log (tried again by itself)"),
        )
    })
}

#[cfg(test)]
mod tests {
    use futures::stream;
    use http_body_util::StreamBody;
    use hyper::body::{Bytes, Frame};

    use super::*;

    fn answer(body: impl Into<reqwest::Body>) -> Response {
        hyper::Response::new(body.into()).into()
    }

    #[tokio::test]
    async fn no_more_of_an_answer_is_read_than_it_may_have() {
        assert_eq!(body("it", answer("0123456789"), 10).await.unwrap(), b"0123456789");
        let error = body("it", answer("0123456789x"), 10).await.unwrap_err();
        assert_eq!((error.class, error.reason), (Class::Invalid, Reason::TooLarge));
        assert!(error.message.contains("more than 10 bytes"), "{}", error.message);

        // Its length is not announced, and it never ends.
        let frames = stream::repeat_with(|| Ok::<_, std::io::Error>(Frame::data(Bytes::from_static(b"abcd"))));
        let error = body("it", answer(reqwest::Body::wrap(StreamBody::new(frames))), 1000).await.unwrap_err();
        assert_eq!(error.reason, Reason::TooLarge);
    }

    #[tokio::test]
    async fn what_comes_with_trailers_is_bounded_too() {
        assert_eq!(limited("it", answer("0123456789"), 10).await.unwrap().to_bytes(), "0123456789");
        let error = limited("it", answer("0123456789x"), 10).await.unwrap_err();
        assert_eq!((error.class, error.reason), (Class::Invalid, Reason::TooLarge));
    }
}
