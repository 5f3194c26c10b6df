//! The HTTP provisioner against a small server that holds the fake, and against servers
//! that say what none should.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use flywheel::{
    adapters::provisioner::HttpProvisioner,
    api::conditions::Reason,
    ports::{
        error::Class,
        provisioner::{Order, Provisioner, State},
    },
};
use serde_json::json;
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::any};

use super::{provisioner_server as server, refused};
use crate::{
    address::reserved,
    contract::provisioner::{self as contract, Arrange, SECRETS},
    world::rooms::Rooms,
};

struct Served {
    rooms: Arc<Rooms>,
    url: String,
    count: AtomicUsize,
}

impl Served {
    async fn new() -> Self {
        let rooms = Arc::new(Rooms::default());
        Self { url: server::serve(rooms.clone()).await, rooms, count: AtomicUsize::default() }
    }
}

#[async_trait]
impl Arrange for Served {
    async fn provisioner(&self) -> Arc<dyn Provisioner> {
        Arc::new(HttpProvisioner::new(&self.url, server::KEY.into()).unwrap())
    }

    async fn stranger(&self) -> Option<Arc<dyn Provisioner>> {
        Some(Arc::new(HttpProvisioner::new(&self.url, "another".into()).unwrap()))
    }

    async fn closed_port(&self) -> Arc<dyn Provisioner> {
        Arc::new(HttpProvisioner::new(&format!("http://{}", reserved()), server::KEY.into()).unwrap())
    }

    fn order(&self, id: &str) -> Order {
        contract::order(id, "registry.example/runtime:1", "{}")
    }

    async fn end(&self, id: &str) {
        self.rooms.end(id, State::Ended("words".into()), "report\n");
    }

    async fn holds_keys(&self, id: &str) -> bool {
        self.rooms.holding_keys().iter().any(|holds| holds == id)
    }

    fn fresh(&self) -> String {
        format!("room-{}", self.count.fetch_add(1, Ordering::Relaxed))
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(10)
    }
}

#[tokio::test]
async fn the_http_provisioner_keeps_the_contract() {
    contract::suite(&Served::new().await).await;
}

#[tokio::test]
async fn answers_that_no_provisioner_gives_are_errors_without_a_key() {
    flywheel::telemetry::install_crypto_provider();
    let order = contract::order("room-1", "image", "{}");
    let secrets = [SECRETS[0], SECRETS[1], server::KEY];
    for (what, answer, class, reason, named) in [
        ("no JSON", ResponseTemplate::new(200).set_body_string("<html>"), Class::Transient, Reason::UnexpectedAnswer, "no JSON"),
        (
            "another state",
            ResponseTemplate::new(200).set_body_json(json!({ "state": "asleep" })),
            Class::Transient,
            Reason::UnexpectedAnswer,
            "asleep",
        ),
        (
            "a redirect",
            ResponseTemplate::new(302).insert_header("location", "http://192.0.2.1/"),
            Class::Transient,
            Reason::UnexpectedAnswer,
            "302",
        ),
        ("its own failure", ResponseTemplate::new(500), Class::Transient, Reason::ServerError, "500"),
        ("too much", ResponseTemplate::new(200).set_body_bytes(vec![b' '; 1 << 21]), Class::Invalid, Reason::TooLarge, "bytes"),
        (
            "a wait",
            ResponseTemplate::new(429).insert_header("retry-after", "7"),
            Class::RateLimited(Duration::from_secs(7)),
            Reason::RateLimited,
            "7 s",
        ),
    ] {
        let server = MockServer::start().await;
        Mock::given(any()).respond_with(answer).mount(&server).await;
        let rooms = HttpProvisioner::new(&server.uri(), server::KEY.into()).unwrap();
        eprintln!("{what}");
        refused(rooms.look("room-1").await, class, reason, named, &secrets);
        if matches!(reason, Reason::ServerError) {
            refused(rooms.make(&order).await, class, reason, named, &secrets);
        }
    }
    let nothing = MockServer::start().await;
    let rooms = HttpProvisioner::new(&nothing.uri(), server::KEY.into()).unwrap();
    refused(rooms.make(&order).await, Class::Transient, Reason::UnexpectedAnswer, "404", &secrets);
    refused(rooms.list().await, Class::Transient, Reason::UnexpectedAnswer, "404", &secrets);
}

#[tokio::test]
async fn keys_go_over_tls_or_nowhere() {
    for (url, named) in [
        ("http://rooms.example", "https"),
        ("ftp://rooms.example", "https"),
        ("https://user:hunter2@rooms.example", "password"),
        ("rooms.example", "provisioner"),
    ] {
        refused(HttpProvisioner::new(url, server::KEY.into()), Class::Invalid, Reason::Invalid, named, &[server::KEY, "hunter2"]);
    }
    let folder = crate::folder::Folder::new("provisioner-key");
    let file = |text: &str| PathBuf::from(folder.file("key", text));
    assert!(HttpProvisioner::with_key_file("https://rooms.example", &file("key\n")).is_ok());
    for text in ["", " \n", "two keys\n"] {
        refused(
            HttpProvisioner::with_key_file("https://rooms.example", &file(text)),
            Class::Waiting,
            Reason::SecretInvalid,
            "one key",
            &["two keys"],
        );
    }
    let missing = folder.0.join("nothing");
    refused(HttpProvisioner::with_key_file("https://rooms.example", &missing), Class::Waiting, Reason::SecretInvalid, "can't be read", &[]);
}
