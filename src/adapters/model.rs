//! Servers with OpenAI's chat completions: `POST /chat/completions` with a JSON
//! Schema as response format (<https://platform.openai.com/docs/guides/structured-outputs>),
//! or with tools (<https://platform.openai.com/docs/guides/function-calling>).

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
        model::{Agent, Answered, Message, Model, Role, Spoken, Tool, ToolCall, Turn},
    },
};

/// Longest answer of the server, in bytes: a document has a mebibyte at most, and
/// its text is escaped within JSON.
const LONGEST: usize = 4 << 20;

/// Most tokens that one turn with tools may write: some calls and a few sentences.
const MOST_TOKENS: u32 = 2048;
/// How much a model may vary its turns: hardly, or two runs would show two things.
const TEMPERATURE: f64 = 0.1;

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
    tool_calls: Option<Vec<Called>>,
}

#[derive(Deserialize)]
struct Called {
    #[serde(default)]
    id: Option<String>,
    function: Function,
}

#[derive(Deserialize)]
struct Function {
    name: String,
    /// A text of JSON; some servers send the object itself.
    #[serde(default)]
    arguments: Value,
}

#[derive(Default, Deserialize)]
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
        let (said, usage) = self.complete(&asked).await?;
        // None where it declines: that is an answer, and was paid for.
        let text = said.content.unwrap_or_default();
        Ok(Answered { text, input_tokens: usage.prompt_tokens, output_tokens: usage.completion_tokens })
    }
}

#[async_trait]
impl Agent for ChatCompletions {
    async fn next(&self, conversation: &[Turn], tools: &[Tool]) -> Result<Spoken, PortError> {
        let messages: Vec<_> = conversation.iter().map(message).collect();
        let function = |tool: &Tool| json!({ "name": tool.name, "description": tool.description, "parameters": tool.parameters });
        let tools: Vec<_> = tools.iter().map(|tool| json!({ "type": "function", "function": function(tool) })).collect();
        let asked = json!({
            "model": self.model, "messages": messages, "tools": tools, "tool_choice": "auto",
            "max_tokens": MOST_TOKENS, "temperature": TEMPERATURE,
        });
        let (said, usage) = self.complete(&asked).await?;
        let call = |called: Called| ToolCall {
            id: called.id.unwrap_or_default(),
            name: called.function.name,
            arguments: match called.function.arguments {
                Value::String(text) => text,
                other => other.to_string(),
            },
        };
        let calls = said.tool_calls.unwrap_or_default().into_iter().map(call).collect();
        let (input_tokens, output_tokens) = (usage.prompt_tokens, usage.completion_tokens);
        Ok(Spoken { text: said.content.unwrap_or_default(), calls, input_tokens, output_tokens })
    }
}

impl ChatCompletions {
    /// The first choice of what the server answers.
    async fn complete(&self, asked: &Value) -> Result<(Said, Usage), PortError> {
        let mut request = self.http.post(self.url.clone()).json(asked);
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
        let said = read.choices.into_iter().next().ok_or_else(|| odd("answers a completion without a choice"))?.message;
        Ok((said, read.usage.unwrap_or_default()))
    }
}

fn message(turn: &Turn) -> Value {
    match turn {
        Turn::Said(said) => json!({ "role": role(said.role), "content": said.text }),
        Turn::Called { text, calls } => {
            let function = |call: &ToolCall| json!({ "name": call.name, "arguments": call.arguments });
            let calls: Vec<_> = calls.iter().map(|call| json!({ "id": call.id, "type": "function", "function": function(call) })).collect();
            json!({ "role": "assistant", "content": text, "tool_calls": calls })
        }
        Turn::Result { call, text } => json!({ "role": "tool", "tool_call_id": call, "content": text }),
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
