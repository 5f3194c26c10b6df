//! A server that makes machines for clean rooms, over HTTP: `docs/rooms.md` says what it
//! is asked and has to answer. Orders carry keys, so that it is asked over TLS, or on
//! this machine.

use std::{collections::BTreeMap, fmt, path::Path, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::http;
use crate::{
    api::conditions::Reason,
    ports::{
        error::{Class, PortError},
        provisioner::{Order, Provisioner, Room, State, Stopped},
    },
};

/// What it is called in errors.
const SERVER: &str = "the provisioner";
/// Longest wait for an answer: a machine is stopped in that time.
const TIMEOUT: Duration = Duration::from_secs(90);
/// Longest report, in bytes: what a gate writes at most, and a line's end.
const LONGEST: usize = 1024 * 1024 + 1;
/// Longest key file, in bytes.
const MAX_KEY: usize = 4096;

/// Such a server.
pub struct HttpProvisioner {
    http: Client,
    url: Url,
    key: SecretString,
}

impl fmt::Debug for HttpProvisioner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpProvisioner").field("url", &self.url.as_str()).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Seen {
    state: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    last_words: String,
}

/// What a server may say of a room that it stopped.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Ended {
    last_words: Option<String>,
    began: Option<bool>,
}

#[derive(Deserialize)]
struct Listing {
    rooms: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    id: String,
    expires: Timestamp,
    #[serde(default)]
    notes: BTreeMap<String, String>,
}

impl HttpProvisioner {
    /// The server at this base URL, which takes the key.
    pub fn new(url: &str, key: SecretString) -> Result<Self, PortError> {
        let wrong = |problem: String| PortError::invalid("provisioner", problem);
        let url: Url = url.parse().map_err(|e| wrong(format!("{e}")))?;
        let here = matches!(url.host_str(), Some("127.0.0.1" | "[::1]" | "localhost"));
        if url.scheme() != "https" && !(url.scheme() == "http" && here) {
            return Err(wrong("must be an https URL: orders carry keys".into()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("has a name or password in it: the key is a file of its own".into()));
        }
        let http = http::client().timeout(TIMEOUT).build().map_err(|e| wrong(format!("{e}")))?;
        Ok(Self { http, url, key })
    }

    /// The same with the key that is all that a file holds.
    pub fn with_key_file(url: &str, file: &Path) -> Result<Self, PortError> {
        let whence = format!("the provisioner's key file {}", file.display());
        let key = std::fs::read_to_string(file).map_err(|e| PortError::secret_invalid(format!("{whence} can't be read")).because(e))?;
        let key = SecretString::from(key);
        let trimmed = key.expose_secret().trim();
        if trimmed.is_empty() || trimmed.len() > MAX_KEY || !trimmed.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(PortError::secret_invalid(format!("{whence} must hold one key of at most {MAX_KEY} printable characters")));
        }
        Self::new(url, trimmed.to_owned().into())
    }

    fn ask(&self, method: Method, path: &[&str]) -> Result<RequestBuilder, PortError> {
        let mut url = self.url.clone();
        url.path_segments_mut()
            .map_err(|()| PortError::invalid("provisioner", "must be an https URL"))?
            .pop_if_empty()
            .push("rooms")
            .extend(path);
        Ok(self.http.request(method, url).bearer_auth(self.key.expose_secret()))
    }

    /// An answer, unless it says what it would of anything. 404 and 409 mean something.
    async fn send(request: RequestBuilder) -> Result<Response, PortError> {
        let response = request.send().await.map_err(|e| http::no_answer(SERVER, e))?;
        if let Some(failure) = http::common_failure(SERVER, &response) {
            return Err(failure);
        }
        match response.status() {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(PortError::new(Class::Denied, Reason::TokenRejected, format!("{SERVER} does not take the key of the key file")))
            }
            status if status.is_success() || matches!(status, StatusCode::NOT_FOUND | StatusCode::CONFLICT) => Ok(response),
            status => Err(unexpected(&format!("answered {status}"))),
        }
    }

    async fn change(&self, id: &str, what: &Value) -> Result<(), PortError> {
        let response = Self::send(self.ask(Method::PATCH, &[id])?.json(what)).await?;
        if response.status() == StatusCode::NOT_FOUND { Err(gone(id)) } else { Ok(()) }
    }

    /// An answer's JSON; nothing where there is no such room.
    async fn json<T: DeserializeOwned>(request: RequestBuilder) -> Result<Option<T>, PortError> {
        let response = Self::send(request).await?;
        match response.status() {
            StatusCode::NOT_FOUND => Ok(None),
            StatusCode::CONFLICT => Err(unexpected("answered 409 to a question")),
            _ => {
                let body = http::body(SERVER, response, LONGEST).await?;
                serde_json::from_slice(&body).map(Some).map_err(|e| unexpected("answered no JSON of the kind").because(e))
            }
        }
    }
}

#[async_trait]
impl Provisioner for HttpProvisioner {
    async fn make(&self, order: &Order) -> Result<(), PortError> {
        let secret = |key: &Option<SecretString>| key.as_ref().map_or(Value::Null, |key| key.expose_secret().into());
        let body = json!({
            "id": order.id, "image": order.image, "primitive": order.primitive, "plan": order.plan, "cli": order.cli,
            "wallet": secret(&order.wallet), "modelKey": secret(&order.model_key), "seconds": order.seconds,
            "expires": order.expires, "notes": order.notes,
        });
        let response = Self::send(self.ask(Method::POST, &[])?.header("idempotency-key", &order.id).json(&body)).await?;
        match response.status() {
            StatusCode::CONFLICT => Err(taken(&order.id)),
            StatusCode::NOT_FOUND => Err(unexpected("makes no rooms at that URL (404)")),
            _ => Ok(()),
        }
    }

    async fn look(&self, id: &str) -> Result<State, PortError> {
        let Some(seen) = Self::json::<Seen>(self.ask(Method::GET, &[id])?).await? else { return Ok(State::Gone) };
        Ok(match seen.state.as_str() {
            "going" => State::Going(seen.message),
            "ended" => State::Ended(seen.last_words),
            "broken" => State::Broken(seen.message),
            other => return Err(unexpected(&format!("says that room {id} is {other:?}, and going, ended and broken are known"))),
        })
    }

    async fn report(&self, id: &str) -> Result<String, PortError> {
        let response = Self::send(self.ask(Method::GET, &[id, "report"])?).await?;
        if response.status() == StatusCode::NOT_FOUND {
            return Err(gone(id));
        }
        let body = http::body(SERVER, response, LONGEST).await?;
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    async fn keep(&self, id: &str, until: Timestamp) -> Result<(), PortError> {
        self.change(id, &json!({ "expires": until })).await
    }

    async fn note(&self, id: &str, name: &str, text: &str) -> Result<(), PortError> {
        self.change(id, &json!({ "notes": { name: text } })).await
    }

    async fn stop(&self, id: &str) -> Result<Stopped, PortError> {
        let response = Self::send(self.ask(Method::POST, &[id, "stop"])?).await?;
        // It need not say anything.
        let said = http::body(SERVER, response, LONGEST).await?;
        Ok(match serde_json::from_slice(&said).unwrap_or_default() {
            Ended { last_words: Some(words), .. } => Stopped::Said(words),
            Ended { began: Some(false), .. } => Stopped::Never,
            Ended { .. } => Stopped::Unheard,
        })
    }

    async fn remove(&self, id: &str) -> Result<(), PortError> {
        Self::send(self.ask(Method::DELETE, &[id])?).await.map(drop)
    }

    async fn list(&self) -> Result<Vec<Room>, PortError> {
        let listing = Self::json::<Listing>(self.ask(Method::GET, &[])?).await?;
        let listing = listing.ok_or_else(|| unexpected("makes no rooms at that URL (404)"))?;
        Ok(listing.rooms.into_iter().map(|room| Room { id: room.id, expires: room.expires, notes: room.notes }).collect())
    }
}

fn unexpected(problem: &str) -> PortError {
    PortError::new(Class::Transient, Reason::UnexpectedAnswer, format!("{SERVER} {problem}"))
}

fn taken(id: &str) -> PortError {
    PortError::new(Class::Conflict, Reason::Taken, format!("room {id} is there already, and was made by another order"))
}

fn gone(id: &str) -> PortError {
    PortError::new(Class::Invalid, Reason::Invalid, format!("there is no room {id} any more"))
}
