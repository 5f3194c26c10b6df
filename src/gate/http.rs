//! Requests to the service under test, each on a connection of its own. Answers
//! are bounded in headers, size and time; a redirect is an answer like any other.

use std::{net::Ipv4Addr, time::Duration};

use http_body_util::{BodyExt, Full};
use hyper::{
    Method,
    body::Bytes,
    client::conn::http1,
    header::{CONNECTION, CONTENT_TYPE, HOST},
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, task::AbortHandle, time::timeout};

use super::{
    chain,
    checks::{Answer, Request},
    payment,
};

/// Most bytes of a body.
pub(super) const MAX_BODY: usize = 256 * 1024;
/// Most bytes of an answer's head.
const MAX_HEAD: usize = 64 * 1024;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum HttpError {
    /// No answer, or none in time.
    #[error("no answer: {0}")]
    None(String),
    /// An answer that does not end where it should.
    #[error("the answer's body is longer than {MAX_BODY} bytes")]
    TooLarge,
}

/// A client of one service on loopback.
pub(super) struct Client {
    port: u16,
    patience: Duration,
}

impl Client {
    pub(super) fn new(port: u16, patience: Duration) -> Self {
        Self { port, patience }
    }

    pub(super) async fn send(&self, request: &Request) -> Result<Answer, HttpError> {
        let late = |_| HttpError::None(format!("none within {} s", self.patience.as_secs()));
        timeout(self.patience, self.exchange(request)).await.map_err(late)?
    }

    async fn exchange(&self, request: &Request) -> Result<Answer, HttpError> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await.map_err(none)?;
        let (mut sender, connection) = http1::Builder::new().max_buf_size(MAX_HEAD).handshake(TokioIo::new(stream)).await.map_err(none)?;
        // Ends with this call, whatever the other side does.
        let _connection = Aborted(tokio::spawn(connection).abort_handle());
        let mut answer = sender.send_request(self.head(request)?).await.map_err(none)?;
        let payment_required = answer.headers().get(payment::REQUIRED).and_then(|v| v.to_str().ok()).map(str::to_owned);
        let mut read = Answer { status: answer.status().as_u16(), payment_required, body: Vec::new() };
        while let Some(frame) = answer.frame().await {
            // Trailers are no part of the body.
            let Ok(data) = frame.map_err(none)?.into_data() else { continue };
            if read.body.len() + data.len() > MAX_BODY {
                return Err(HttpError::TooLarge);
            }
            read.body.extend_from_slice(&data);
        }
        Ok(read)
    }

    fn head(&self, request: &Request) -> Result<hyper::Request<Full<Bytes>>, HttpError> {
        let method = Method::from_bytes(request.method.as_bytes()).map_err(none)?;
        let mut head = hyper::Request::builder()
            .method(method)
            .uri(&request.target)
            .header(HOST, format!("localhost:{}", self.port))
            .header(CONNECTION, "close");
        for (name, value) in &request.headers {
            head = head.header(name, value);
        }
        if request.body.is_some() {
            head = head.header(CONTENT_TYPE, "application/json");
        }
        head.body(Full::from(request.body.clone().unwrap_or_default())).map_err(none)
    }
}

fn none(error: impl std::error::Error + Send + Sync + 'static) -> HttpError {
    HttpError::None(chain(error))
}

struct Aborted(AbortHandle);

impl Drop for Aborted {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    /// What a server that says `answer`, piece after piece, is seen to say.
    async fn ask(pieces: Vec<String>, patience: Duration) -> Result<Answer, HttpError> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 1024]).await;
            for piece in pieces {
                let _ = stream.write_all(piece.as_bytes()).await;
            }
            // Held open: whoever waits for the end has to lose patience.
            std::future::pending::<()>().await;
        });
        let answer = Client::new(port, patience).send(&Request::get("/")).await;
        server.abort();
        answer
    }

    const PATIENCE: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn a_redirect_is_an_answer() {
        let text = "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\npayment-required: x\r\ncontent-length: 2\r\n\r\nok";
        let answer = ask(vec![text.into()], PATIENCE).await.unwrap();
        assert_eq!(answer, Answer { status: 302, payment_required: Some("x".into()), body: b"ok".into() });
    }

    #[tokio::test]
    async fn answers_without_an_end_have_one() {
        let endless = ["HTTP/1.1 200 OK\r\n\r\n".into(), "x".repeat(MAX_BODY + 1)];
        assert!(matches!(ask(endless.into(), PATIENCE).await, Err(HttpError::TooLarge)));
        let headers = [format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "x".repeat(2 * MAX_HEAD))];
        assert!(matches!(ask(headers.into(), PATIENCE).await, Err(HttpError::None(_))));
        let silent = ask(vec!["HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nx".into()], Duration::from_millis(50)).await.unwrap_err();
        assert!(silent.to_string().contains("none within"), "{silent}");
        assert!(matches!(ask(vec!["no HTTP\r\n\r\n".into()], PATIENCE).await, Err(HttpError::None(_))));
    }
}
