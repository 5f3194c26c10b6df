//! Servers with OpenAI's chat completions: `POST /chat/completions` with a JSON
//! Schema as response format (<https://platform.openai.com/docs/guides/structured-outputs>).

use std::time::Duration;

use async_trait::async_trait;
use reqwest::{Client, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};

use super::http;
use crate::{
    api::conditions::Reason,
    ports::{
        error::{Class, PortError},
        model::{Answered, Message, Model, Role},
    },
};

/// Longest answer of the server, in bytes: a document has a mebibyte at most, and
/// its text is escaped within JSON.
const LONGEST: usize = 4 << 20;

/// What it is called in errors.
const SERVER: &str = "the model's server";

/// A model behind such a server.
pub struct ChatCompletions {
    http: Client,
    url: Url,
    model: String,
    key: Option<SecretString>,
}

#[derive(Deserialize)]
struct Completion {
    choices: Vec<Choice>,
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Choice {
    message: Said,
}

#[derive(Deserialize)]
struct Said {
    content: Option<String>,
}

#[derive(Deserialize)]
struct Usage {
    #[serde(default)]
    prompt_tokens: u64,
    #[serde(default)]
    completion_tokens: u64,
}

impl ChatCompletions {
    /// The model of that name at a base address such as `https://api.openai.com/v1`.
    /// An answer that takes longer than `timeout`, to its last byte, is none.
    pub fn new(base: &Url, model: &str, key: Option<SecretString>, timeout: Duration) -> Result<Self, PortError> {
        let mut url = base.clone();
        url.path_segments_mut()
            .map_err(|()| PortError::invalid("model-url", "must be an http or https URL"))?
            .pop_if_empty()
            .extend(["chat", "completions"]);
        let http = http::client().timeout(timeout).build().map_err(|e| PortError::invalid("model-url", e))?;
        Ok(Self { http, url, model: model.into(), key })
    }
}

#[async_trait]
impl Model for ChatCompletions {
    async fn answer(&self, conversation: &[Message], schema: &Value) -> Result<Answered, PortError> {
        let messages: Vec<_> = conversation.iter().map(|message| json!({ "role": role(message.role), "content": message.text })).collect();
        let format = json!({ "type": "json_schema", "json_schema": { "name": "prim", "strict": false, "schema": schema } });
        let asked = json!({ "model": self.model, "messages": messages, "response_format": format });
        let mut request = self.http.post(self.url.clone()).json(&asked);
        if let Some(key) = &self.key {
            request = request.bearer_auth(key.expose_secret());
        }
        let response = request.send().await.map_err(|error| http::no_answer(SERVER, error))?;
        if let Some(failure) = http::common_failure(SERVER, &response) {
            return Err(failure);
        }
        let status = response.status();
        if !status.is_success() {
            return Err(refused(status));
        }
        let bytes = http::limited(SERVER, response, LONGEST).await?.to_bytes();
        let read: Completion = serde_json::from_slice(&bytes).map_err(|_| odd("answers no chat completion"))?;
        let choice = read.choices.into_iter().next().ok_or_else(|| odd("answers a completion without a choice"))?;
        // None where it declines: that is an answer, and was paid for.
        let text = choice.message.content.unwrap_or_default();
        let usage = read.usage.unwrap_or(Usage { prompt_tokens: 0, completion_tokens: 0 });
        Ok(Answered { text, input_tokens: usage.prompt_tokens, output_tokens: usage.completion_tokens })
    }
}

fn role(role: Role) -> &'static str {
    match role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
    }
}

fn refused(status: StatusCode) -> PortError {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            PortError::new(Class::Denied, Reason::TokenRejected, format!("{SERVER} refuses the key: give it another"))
        }
        StatusCode::REQUEST_TIMEOUT => PortError::unreachable(SERVER),
        status if status.is_client_error() => PortError::new(
            Class::Invalid,
            Reason::Invalid,
            format!("{SERVER} refuses the request with {status}: look at its address and the model's name"),
        ),
        status => odd(&format!("answers {status}")),
    }
}

fn odd(what: &str) -> PortError {
    PortError::new(Class::Invalid, Reason::UnexpectedAnswer, format!("{SERVER} {what}: look at its address"))
}
