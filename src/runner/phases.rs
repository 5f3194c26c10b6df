//! The services' phases from whoever serves them, such as the controller's `/phases`:
//! asked once, within a time and a size, and believed only where they are what a file
//! of them would be.

use std::time::Duration;

use serde::de::IgnoredAny;
use url::Url;

use super::http::{Call, Http};
use crate::suite::{Answer, Phases};

/// Longest wait for them.
const PATIENCE: Duration = Duration::from_secs(10);
/// Most bytes of them that are read, as they come and decoded.
pub const MOST: usize = 1024 * 1024;

/// Asks for them. What may be wrong is said with the address, without its query, in which
/// there may be a key.
pub async fn ask(http: &Http, url: &Url) -> Result<Phases, String> {
    let call = Call {
        service: String::new(),
        method: "GET".into(),
        url: url.clone(),
        headers: vec![("accept".into(), "application/json".into())],
        body: None,
        follow: false,
        test: None,
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err(format!("no phases from {}: the address has a user in it, and none is sent", place(url)));
    }
    let answer = http.send(&call, PATIENCE).await.answer.map_err(|error| error.to_string());
    answer.and_then(|answer| read(&answer)).map_err(|problem| format!("no phases from {}: {problem}", place(url)))
}

fn read(answer: &Answer) -> Result<Phases, String> {
    if answer.status != 200 {
        return Err(format!("it answers {}", answer.status));
    }
    if let Some(cut) = &answer.cut {
        return Err(cut.clone());
    }
    let text = std::str::from_utf8(&answer.body).map_err(|_| "the answer is no text".to_owned())?;
    // A file may be YAML; of a server that would take many an error page.
    serde_json::from_str::<IgnoredAny>(text).map_err(|error| format!("the answer is no JSON: {error}"))?;
    Phases::read(text)
}

/// Where it is, without what may be secret in an address.
fn place(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    // Neither fails for an address of http or https.
    let _ = url.set_password(None);
    let _ = url.set_username("");
    url.into()
}
