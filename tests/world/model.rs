//! A language model in memory, scripted: it says what a test wrote down, whatever it
//! is asked.

use std::{
    collections::VecDeque,
    io::{Read, Write},
    net::TcpListener,
    sync::Arc,
    thread,
    time::Duration,
};

use async_trait::async_trait;
use flywheel::{
    api::{conditions::Reason, factory::ModelSpec},
    ports::{
        error::{Class, PortError},
        model::{Answered, Message, Model},
    },
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tokio::sync::Notify;

use super::World;

/// Where it answers.
pub const URL: &str = "https://model.example/v1";
/// The key that it takes.
pub const KEY: &str = "model-key-93ab";
/// Its name.
pub const NAME: &str = "scripted";

/// One answer of a scripted model, or what comes instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Says {
    /// A text, with its tokens in and out.
    Text(String, u64, u64),
    /// It declines, which costs as much.
    Declines(u64, u64),
    /// It asks to wait.
    Limited(Duration),
    /// It answers with an error of its own.
    Failing,
    /// It does not know the model.
    Unknown,
    /// Something that is no completion.
    Nonsense,
    /// It begins, and goes on for ever.
    Endless,
    /// It begins, and says no more.
    Silent,
    /// Nothing before the test lets it.
    Held,
}

/// The server.
pub struct ModelState {
    /// Where it answers.
    pub url: String,
    /// The key that it takes.
    pub key: String,
    /// What it says, one after the other, and the last of it for ever.
    pub script: VecDeque<Says>,
    /// What it was asked.
    pub asked: Vec<(Vec<Message>, Value)>,
    /// Answers that are worked on.
    pub busy: usize,
    /// Lets what is held go on.
    pub release: Arc<Notify>,
}

impl ModelState {
    pub(super) fn good() -> Self {
        Self { url: URL.into(), key: KEY.into(), script: VecDeque::new(), asked: Vec::new(), busy: 0, release: Arc::default() }
    }
}

/// A client.
pub struct Client {
    world: Arc<World>,
    url: String,
    key: SecretString,
    timeout: Duration,
}

impl Client {
    pub(super) fn new(world: &Arc<World>, spec: &ModelSpec, key: &SecretString) -> Self {
        let timeout = Duration::from_secs(spec.timeout_seconds.unsigned_abs().into());
        Self { world: world.clone(), url: spec.url.clone(), key: key.clone(), timeout }
    }

    /// What it says next, once it is asked rightly.
    fn next(&self, conversation: &[Message], schema: &Value) -> Result<(Says, Arc<Notify>), PortError> {
        self.world.read(|world| {
            let model = &mut world.model;
            if model.url != self.url {
                return Err(PortError::unreachable("the model's server"));
            }
            if model.key != self.key.expose_secret() {
                return Err(PortError::new(Class::Denied, Reason::TokenRejected, "the model's server refuses the key"));
            }
            model.asked.push((conversation.to_vec(), schema.clone()));
            let last = model.script.len() == 1;
            let says = if last { model.script.front().cloned() } else { model.script.pop_front() };
            Ok((says.expect("the test wrote down what the model says"), model.release.clone()))
        })
    }
}

#[async_trait]
impl Model for Client {
    async fn answer(&self, conversation: &[Message], schema: &Value) -> Result<Answered, PortError> {
        let failed = |class, reason, what: &str| Err(PortError::new(class, reason, format!("the model's server {what}")));
        let (mut says, release) = self.next(conversation, schema)?;
        let _busy = Busy::new(&self.world);
        if says == Says::Held {
            release.notified().await;
            // It was replaced meanwhile.
            says = self.world.read(|world| world.model.script.front().cloned()).unwrap_or(Says::Silent);
        }
        match says {
            Says::Text(text, input_tokens, output_tokens) => Ok(Answered { text, input_tokens, output_tokens }),
            Says::Declines(input_tokens, output_tokens) => Ok(Answered { text: String::new(), input_tokens, output_tokens }),
            Says::Limited(wait) => failed(Class::RateLimited(wait), Reason::RateLimited, "asks to wait"),
            Says::Failing => failed(Class::Transient, Reason::ServerError, "answered 502"),
            Says::Unknown => failed(Class::Invalid, Reason::Invalid, "refuses the request with 404"),
            Says::Nonsense => failed(Class::Invalid, Reason::UnexpectedAnswer, "answers no chat completion"),
            Says::Endless => failed(Class::Invalid, Reason::TooLarge, "answered with more than is read"),
            // What the adapter's own time-out comes to. Tests turn the clock.
            Says::Silent | Says::Held => {
                let _ = tokio::time::timeout(self.timeout, std::future::pending::<()>()).await;
                Err(PortError::unreachable("the model's server"))
            }
        }
    }
}

/// Counts who is being answered.
struct Busy(Arc<World>);

impl Busy {
    fn new(world: &Arc<World>) -> Self {
        world.change(|world| world.model.busy += 1);
        Self(world.clone())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.change(|world| world.model.busy -= 1);
    }
}

/// A server that begins an answer and goes on with it for as long as anybody listens,
/// or says no more and never ends it.
pub fn endless(part: Option<&'static [u8]>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 65536]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{\"choices\": \"");
            match part {
                Some(part) => while stream.write_all(part).is_ok() {},
                // Until the other side closes.
                None => drop(stream.read(&mut [0; 16])),
            }
        }
    });
    format!("http://{address}")
}
