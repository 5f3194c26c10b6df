//! The client of chat completions against a scripted model: a server that says what
//! the test wrote down, whatever it is asked.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use flywheel::{
    adapters::connect::RealServers,
    api::{conditions::Reason, factory::ModelSpec},
    ports::{
        Connect,
        error::Class,
        model::{Message, Model, Role},
    },
    telemetry,
};
use serde_json::{Value, json};
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers::any};

use super::refused;
use crate::contract::model::{Arrange, Does, suite};
use crate::world::model::endless;

const KEY: &str = "sk-hunter2";

/// The server, and what it does now.
struct Scripted {
    server: MockServer,
    does: Arc<Mutex<Does>>,
    /// Servers that never end an answer: one that floods, and one that hangs.
    flood: String,
    hang: String,
}

impl Scripted {
    async fn start() -> Self {
        telemetry::install_crypto_provider();
        let server = MockServer::start().await;
        let does = Arc::new(Mutex::new(Does::Fails));
        let script = does.clone();
        Mock::given(any()).respond_with(move |request: &Request| answer(&script.lock().unwrap(), request)).mount(&server).await;
        Self { server, does, flood: endless(Some(&[b'x'; 65536])), hang: endless(None) }
    }
}

fn spec(url: &str, timeout: i32) -> ModelSpec {
    serde_json::from_value(json!({ "url": url, "name": "scripted", "timeoutSeconds": timeout, "credentials": { "name": "prim-model" } }))
        .unwrap()
}

fn answer(does: &Does, request: &Request) -> ResponseTemplate {
    if request.headers.get("authorization").and_then(|v| v.to_str().ok()) != Some(&format!("Bearer {KEY}")) {
        return ResponseTemplate::new(401).set_body_string(format!("no such key as {KEY}"));
    }
    let completion = |content: Value, input: u64, output: u64| {
        let message = json!({ "role": "assistant", "content": content, "refusal": "no" });
        json!({ "choices": [{ "message": message }], "usage": { "prompt_tokens": input, "completion_tokens": output } })
    };
    match does {
        Does::Says(text, input, output) => ResponseTemplate::new(200).set_body_json(completion(json!(text), *input, *output)),
        Does::Declines(input, output) => ResponseTemplate::new(200).set_body_json(completion(Value::Null, *input, *output)),
        Does::Limits(seconds) => ResponseTemplate::new(429).insert_header("retry-after", seconds.to_string().as_str()),
        Does::Fails => ResponseTemplate::new(502),
        Does::KnowsNone => ResponseTemplate::new(404).set_body_json(json!({ "error": { "message": "no such model" } })),
        Does::Babbles => ResponseTemplate::new(200).set_body_string("<html>"),
        // By a server of its own: where the client goes is the address it has.
        Does::Floods | Does::Hangs => ResponseTemplate::new(307),
    }
}

/// A client that asks whichever server does what the script says.
struct Wherever {
    script: Arc<Mutex<Does>>,
    usual: Arc<dyn Model>,
    flood: Arc<dyn Model>,
    hang: Arc<dyn Model>,
}

#[async_trait]
impl Model for Wherever {
    async fn answer(
        &self,
        conversation: &[Message],
        schema: &Value,
    ) -> Result<flywheel::ports::model::Answered, flywheel::ports::error::PortError> {
        let does = self.script.lock().unwrap().clone();
        match does {
            Does::Floods => self.flood.answer(conversation, schema).await,
            Does::Hangs => self.hang.answer(conversation, schema).await,
            _ => self.usual.answer(conversation, schema).await,
        }
    }
}

#[async_trait]
impl Arrange for Scripted {
    async fn does(&self, does: Does) {
        *self.does.lock().unwrap() = does;
    }

    async fn model(&self, right: bool) -> Arc<dyn Model> {
        let key = if right { KEY } else { "sk-other" }.into();
        let client = |url: &str, timeout| RealServers::default().model(&spec(url, timeout), &key).unwrap();
        Arc::new(Wherever {
            script: self.does.clone(),
            usual: client(&format!("{}/v1/", self.server.uri()), 60),
            flood: client(&self.flood, 60),
            hang: client(&self.hang, 1),
        })
    }

    async fn closed_port(&self) -> Arc<dyn Model> {
        let url = format!("http://{}", crate::address::reserved());
        RealServers::default().model(&spec(&url, 60), &KEY.into()).unwrap()
    }

    async fn asked(&self) -> (Vec<(String, String)>, Value) {
        let request = self.server.received_requests().await.unwrap().pop().expect("a request");
        assert_eq!((request.method.as_str(), request.url.path()), ("POST", "/v1/chat/completions"));
        let body: Value = request.body_json().unwrap();
        assert_eq!((&body["model"], &body["response_format"]["type"]), (&json!("scripted"), &json!("json_schema")));
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let messages = body["messages"].as_array().unwrap().iter();
        (messages.map(|m| (text(&m["role"]), text(&m["content"]))).collect(), body["response_format"]["json_schema"]["schema"].clone())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn chat_completions_keep_the_contract() {
    suite(&Scripted::start().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_error_of_it_shows_the_key() {
    let scripted = Scripted::start().await;
    let talk = [Message { role: Role::User, text: "x".into() }];
    for (does, class, reason) in [
        (Does::Fails, Class::Transient, Reason::ServerError),
        (Does::KnowsNone, Class::Invalid, Reason::Invalid),
        (Does::Babbles, Class::Invalid, Reason::UnexpectedAnswer),
    ] {
        scripted.does(does).await;
        let result = scripted.model(true).await.answer(&talk, &json!({})).await;
        refused(result, class, reason, "the model's server", &[KEY]);
    }
    // A redirect would carry the key to somebody else.
    *scripted.does.lock().unwrap() = Does::Hangs;
    let usual = RealServers::default().model(&spec(&scripted.server.uri(), 60), &KEY.into()).unwrap();
    refused(usual.answer(&talk, &json!({})).await, Class::Invalid, Reason::UnexpectedAnswer, "307", &[KEY]);
}
