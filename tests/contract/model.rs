//! What every language model must do. A case puts the server into a state and asks
//! once: what is said back is not the port's matter.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use flywheel::{
    api::conditions::Reason,
    ports::{
        error::Class,
        model::{Message, Model, Role},
    },
};
use serde_json::{Value, json};

use super::refused;

/// What a server does when it is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Does {
    /// It says a text, which took so many tokens in and out.
    Says(&'static str, u64, u64),
    /// It declines: there is no text, and it took as many tokens.
    Declines(u64, u64),
    /// It asks to wait so many seconds.
    Limits(u64),
    /// An error of its own.
    Fails,
    /// It does not know the model's name.
    KnowsNone,
    /// Something else than its protocol.
    Babbles,
    /// An answer without an end.
    Floods,
    /// It begins an answer and says no more.
    Hangs,
}

/// Puts a model's server into a state.
#[async_trait]
pub trait Arrange: Send + Sync {
    /// What it does from now on.
    async fn does(&self, does: Does);
    /// A client with the right key or a wrong one, which waits for a second at most.
    async fn model(&self, right: bool) -> Arc<dyn Model>;
    /// A client of an address where nobody listens.
    async fn closed_port(&self) -> Arc<dyn Model>;
    /// What it was asked last: the roles and texts, and the schema.
    async fn asked(&self) -> (Vec<(String, String)>, Value);
}

/// Runs every case.
pub async fn suite(arrange: &dyn Arrange) {
    let schema = json!({ "type": "object", "required": ["id"] });
    let said = |role, text: &str| Message { role, text: text.into() };
    let talk =
        [said(Role::System, "You are brief."), said(Role::User, "An \"id\"?\n"), said(Role::Assistant, "{}"), said(Role::User, "ünd?")];
    arrange.does(Does::Says("{\"id\": \"é\"}\n", 1200, 34)).await;
    let model = arrange.model(true).await;
    let answered = model.answer(&talk, &schema).await.unwrap();
    assert_eq!((answered.text.as_str(), answered.input_tokens, answered.output_tokens), ("{\"id\": \"é\"}\n", 1200, 34));
    let (asked, format) = arrange.asked().await;
    let roles = [("system", "You are brief."), ("user", "An \"id\"?\n"), ("assistant", "{}"), ("user", "ünd?")];
    assert_eq!(asked, roles.map(|(role, text)| (role.to_owned(), text.to_owned())), "the whole conversation, in its order");
    assert_eq!(format, schema);

    arrange.does(Does::Declines(7, 1)).await;
    let declined = model.answer(&talk, &schema).await.unwrap();
    assert_eq!((declined.text.as_str(), declined.input_tokens, declined.output_tokens), ("", 7, 1), "an answer that was paid for");

    refused(arrange.model(false).await.answer(&talk, &schema).await, Class::Denied, Reason::TokenRejected, "a wrong key");
    refused(arrange.closed_port().await.answer(&talk, &schema).await, Class::Transient, Reason::Unreachable, "nobody listens");
    for (does, class, reason) in [
        (Does::Limits(77), Class::RateLimited(Duration::from_secs(77)), Reason::RateLimited),
        (Does::Fails, Class::Transient, Reason::ServerError),
        (Does::KnowsNone, Class::Invalid, Reason::Invalid),
        (Does::Babbles, Class::Invalid, Reason::UnexpectedAnswer),
        (Does::Floods, Class::Invalid, Reason::TooLarge),
        (Does::Hangs, Class::Transient, Reason::Unreachable),
    ] {
        arrange.does(does.clone()).await;
        refused(model.answer(&talk, &schema).await, class, reason, &format!("{does:?}"));
    }
    arrange.does(Does::Says("again", 1, 1)).await;
    assert_eq!(model.answer(&talk, &schema).await.unwrap().text, "again", "nothing of it stays");
}
