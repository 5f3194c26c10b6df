//! A language model: asked for a document, or to do something with tools, and
//! believed in nothing.

use async_trait::async_trait;
use serde_json::Value;

use super::error::PortError;

/// Answers conversations.
#[async_trait]
pub trait Model: Send + Sync {
    /// The next answer, which should be JSON of the schema. Whoever asks checks it:
    /// it may be anything.
    async fn answer(&self, conversation: &[Message], schema: &Value) -> Result<Answered, PortError>;
}

/// One side's part of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Who says it.
    pub role: Role,
    /// What is said.
    pub text: String,
}

/// Who says something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// What holds for the whole conversation.
    System,
    /// Whoever asks.
    User,
    /// The model.
    Assistant,
}

/// What a model said, and what it took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The text.
    pub text: String,
    /// Tokens that it read, by the server's count; 0 where it does not say.
    pub input_tokens: u64,
    /// Tokens that it wrote.
    pub output_tokens: u64,
}

/// Carries conversations on, in which the model may ask for tools to be used.
#[async_trait]
pub trait Agent: Send + Sync {
    /// What the model says next. It may be anything: any text, tools that there are
    /// none of, arguments of any size and form.
    async fn next(&self, conversation: &[Turn], tools: &[Tool]) -> Result<Spoken, PortError>;
}

/// A tool that the model may ask for.
#[derive(Clone, Debug, PartialEq)]
pub struct Tool {
    /// Its name: letters, digits and `_`.
    pub name: &'static str,
    /// What it does.
    pub description: String,
    /// JSON Schema of its arguments.
    pub parameters: Value,
}

/// A part of a conversation with tools.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Somebody says something.
    Said(Message),
    /// The model asks for tools.
    Called {
        /// What it says beside that.
        text: String,
        /// What it asks for.
        calls: Vec<ToolCall>,
    },
    /// What a tool did.
    Result {
        /// The call's id.
        call: String,
        /// What came of it.
        text: String,
    },
}

/// A tool that the model asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolCall {
    /// Tells it from others of the conversation, if the model is honest.
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// Its arguments: JSON, if the model is honest.
    pub arguments: String,
}

/// What a model said, what it asks for, and what it took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spoken {
    /// The text; empty where there is none.
    pub text: String,
    /// The tools it asks for.
    pub calls: Vec<ToolCall>,
    /// Tokens that it read, by the server's count; 0 where it does not say.
    pub input_tokens: u64,
    /// Tokens that it wrote.
    pub output_tokens: u64,
}
