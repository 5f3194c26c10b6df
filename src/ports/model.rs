//! A language model: asked for a document, believed in nothing.

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
