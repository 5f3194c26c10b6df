//! A server that speaks HTTP as its test wants, byte by byte, and counts.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// What a server has seen and said.
#[derive(Debug, Default)]
pub struct Seen {
    pub connections: AtomicUsize,
    pub requests: AtomicUsize,
    pub written: AtomicUsize,
}

/// A server on a port of its own that ends with its test.
pub struct Server {
    pub url: String,
    pub seen: Arc<Seen>,
    accepting: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Server {
    /// One that has `talk` with each connection.
    pub async fn new<F, T>(talk: F) -> Self
    where
        F: Fn(TcpStream, Arc<Seen>) -> T + Send + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Seen::default());
        let ours = seen.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                ours.connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(talk(stream, ours.clone()));
            }
        });
        Self { url, seen, accepting }
    }

    /// One that answers each request with what `answer` makes of its head and body,
    /// and keeps the connection.
    pub async fn answering(answer: impl Fn(&str, &str) -> String + Clone + Send + Sync + 'static) -> Self {
        Self::new(move |mut stream, seen| {
            let answer = answer.clone();
            async move {
                while let Some((head, body)) = request(&mut stream).await {
                    seen.requests.fetch_add(1, Ordering::SeqCst);
                    if stream.write_all(answer(&head, &body).as_bytes()).await.is_err() {
                        return;
                    }
                }
            }
        })
        .await
    }

    pub fn requests(&self) -> usize {
        self.seen.requests.load(Ordering::SeqCst)
    }
}

/// A request's head and body; nothing where the connection ended.
pub async fn request(stream: &mut TcpStream) -> Option<(String, String)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length:").and_then(|n| n.trim().parse().ok()));
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).await.ok()?;
    Some((head, String::from_utf8(body).unwrap()))
}

/// An answer with a JSON body.
pub fn json(status: u16, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
}

/// Writes until nobody takes more, and counts.
pub async fn pour(stream: &mut TcpStream, seen: &Seen, piece: &[u8], most: usize) {
    let mut left = most;
    while left > 0 && stream.write_all(piece).await.is_ok() {
        seen.written.fetch_add(piece.len(), Ordering::SeqCst);
        left = left.saturating_sub(piece.len());
    }
}
