//! The contract suites, run on the fakes: a fake that lies is caught here, since
//! the same suites run on the real servers in `e2e/scenarios`.

use std::sync::Arc;

use async_trait::async_trait;
use flywheel::{
    api::{
        conditions::Reason,
        factory::ModelSpec,
        names::{Branch, Sha},
    },
    ports::{
        Connect,
        dns::{Dns, TsigKey},
        edge::{ClientIdentity, Edge},
        forge::{Change, Committed, Forge, ForgeAdmin, NewCommit, NewPull, Opened, Rule, Webhook},
        model::{Message, Model},
        provisioner::{Order, Provisioner, State},
    },
};

use crate::{
    contract, fixtures,
    world::{self, Fakes, Outage, World, faults::When},
};

struct Fake {
    world: Arc<World>,
    connect: Fakes,
}

impl Fake {
    fn new() -> Self {
        let world = World::good();
        Self { connect: Fakes(world.clone()), world }
    }

    /// What a case changed is forgotten.
    fn reset(&self) {
        let good = World::good();
        good.read(|good| {
            self.world.change(|state| std::mem::swap(state, good));
        });
        self.world.change(|state| {
            for (token, account, scoped, writes) in [
                ("reader", "reader", true, true),
                ("unscoped", world::forge::BOT.0, false, false),
                ("read-scoped", world::forge::BOT.0, true, false),
            ] {
                state.forge.tokens.insert(token.into(), world::forge::Token { account: account.into(), scoped, writes });
            }
            state.forge.repo.readers.insert("reader".into());
        });
    }
}

#[tokio::test]
async fn the_fake_forge_keeps_the_contract() {
    contract::forge::suite(&Fake::new()).await;
}

#[tokio::test]
async fn the_fake_dns_server_keeps_the_contract() {
    contract::dns::suite(&Fake::new()).await;
}

#[tokio::test]
async fn the_fake_edge_keeps_the_contract() {
    contract::edge::suite(&Fake::new()).await;
}

// What its time-out is worth is turned, and waited for by nobody.
#[tokio::test(start_paused = true)]
async fn the_fake_model_keeps_the_contract() {
    contract::model::suite(&Fake::new()).await;
}

/// What every crash test stands on: an effect whose answer is lost has happened,
/// and asking again finds it.
#[tokio::test]
async fn an_answer_can_be_lost_after_its_effect() {
    let fake = Fake::new();
    let forge = contract::forge::Arrange::forge(&fake, contract::forge::Who::Bot).await;
    let new = NewCommit {
        branch: "agent/search-1".parse().unwrap(),
        onto: world::forge::sha(1),
        message: "Add search".into(),
        date: jiff::Timestamp::UNIX_EPOCH,
        changes: vec![Change { path: "a.txt".into(), content: Some(b"a".to_vec()) }],
    };
    fake.world.change(|state| {
        state.forge.faults.fail("commit_files", When::Before, Outage::Down);
        state.forge.faults.fail("commit_files", When::After, Outage::Failing);
        state.forge.faults.fail("open_pull", When::After, Outage::Down);
    });
    assert_eq!(forge.commit_files(&new).await.unwrap_err().reason, Reason::Unreachable);
    assert_eq!(forge.branch(&new.branch).await.unwrap_err().reason, Reason::BranchNotFound, "nothing happened");
    assert_eq!(forge.commit_files(&new).await.unwrap_err().reason, Reason::ServerError);
    assert!(matches!(forge.commit_files(&new).await.unwrap(), Committed::Unchanged(_)), "it had happened");
    let pull = NewPull { base: "main".parse().unwrap(), head: new.branch, title: "x".into(), body: "why".into(), labels: vec![] };
    assert_eq!(forge.open_pull(&pull).await.unwrap_err().reason, Reason::Unreachable);
    assert!(matches!(forge.open_pull(&pull).await.unwrap(), Opened::There(_)), "it had happened");
    fake.world.read(|state| {
        assert_eq!(state.forge.repo.pulls[0].body, "why");
        assert_eq!((state.forge.faults.calls("commit_files"), state.forge.faults.all_calls()), (3, 6));
    });
}

#[async_trait]
impl contract::model::Arrange for Fake {
    async fn does(&self, does: contract::model::Does) {
        use contract::model::Does;
        use world::model::Says;
        let says = match does {
            Does::Says(text, input, output) => Says::Text(text.into(), input, output),
            Does::Declines(input, output) => Says::Declines(input, output),
            Does::Limits(seconds) => Says::Limited(std::time::Duration::from_secs(seconds)),
            Does::Fails => Says::Failing,
            Does::KnowsNone => Says::Unknown,
            Does::Babbles => Says::Nonsense,
            Does::Floods => Says::Endless,
            Does::Hangs => Says::Silent,
        };
        self.world.change(|state| state.model.script = [says].into());
    }

    async fn model(&self, right: bool) -> Arc<dyn Model> {
        let key = if right { world::model::KEY } else { "another" };
        self.connect.model(&fixtures::model_spec(), &key.into()).unwrap()
    }

    async fn closed_port(&self) -> Arc<dyn Model> {
        let spec = ModelSpec { url: "https://nobody.example/v1".into(), ..fixtures::model_spec() };
        self.connect.model(&spec, &world::model::KEY.into()).unwrap()
    }

    async fn asked(&self) -> (Vec<(String, String)>, serde_json::Value) {
        let (talk, schema) = self.world.read(|state| state.model.asked.last().cloned().expect("it was asked"));
        let said = |message: Message| (format!("{:?}", message.role).to_lowercase(), message.text);
        (talk.into_iter().map(said).collect(), schema)
    }
}

#[async_trait]
impl contract::forge::Arrange for Fake {
    async fn reset(&self) {
        self.reset();
    }

    async fn forge(&self, who: contract::forge::Who) -> Arc<dyn Forge> {
        self.connect.forge(&fixtures::spec().repository, &token(who).into()).unwrap()
    }

    async fn admin(&self, who: contract::forge::Who) -> Arc<dyn ForgeAdmin> {
        self.connect.forge_admin(&fixtures::spec().repository, &token(who).into()).unwrap()
    }

    async fn missing_repository(&self) -> Arc<dyn Forge> {
        let mut spec = fixtures::spec().repository;
        spec.name = "nothing-here".into();
        self.connect.forge(&spec, &world::forge::BOT.1.into()).unwrap()
    }

    async fn closed_port(&self) -> Arc<dyn Forge> {
        let mut spec = fixtures::spec().repository;
        spec.url = "https://nobody.example".into();
        self.connect.forge(&spec, &world::forge::BOT.1.into()).unwrap()
    }

    fn bot(&self) -> String {
        world::forge::BOT.0.into()
    }

    async fn commit(&self, branch: &Branch) -> Sha {
        self.world.read(|state| state.forge.commit(branch.as_str()))
    }

    async fn branch_at(&self, branch: &Branch, at: &Sha) {
        self.world.change(|state| state.forge.repo.push(branch.as_str(), at));
    }

    async fn comments(&self, number: u64) -> Vec<String> {
        self.world.read(|state| state.forge.repo.comments.iter().filter(|c| c.pull == number).map(|c| c.body.clone()).collect())
    }

    async fn protect(&self, rule: Option<Rule>) {
        self.world.change(|state| state.forge.repo.branches.get_mut("main").unwrap().1 = rule);
    }

    async fn archive(&self, archived: bool) {
        self.world.change(|state| state.forge.repo.archived = archived);
    }

    async fn allow_squash(&self, allowed: bool) {
        self.world.change(|state| state.forge.repo.squash = allowed);
    }

    async fn add_webhook(&self, hook: Webhook) {
        self.world.change(|state| state.forge.repo.hooks.push(hook));
    }
}

fn token(who: contract::forge::Who) -> &'static str {
    use contract::forge::Who;
    match who {
        Who::Bot => world::forge::BOT.1,
        Who::Admin => world::forge::ADMIN.1,
        Who::ReadScoped => "read-scoped",
        Who::Reader => "reader",
        Who::Unscoped => "unscoped",
        Who::Nobody => "never-given-out",
    }
}

#[async_trait]
impl contract::dns::Arrange for Fake {
    async fn dns(&self, key: contract::dns::Key) -> Arc<dyn Dns> {
        use contract::dns::Key;
        self.world.change(|state| {
            state.dns.keys.insert("other.".into(), (world::dns::ALGORITHM.into(), "b3RoZXI=".into()));
        });
        let (name, algorithm, secret) = match key {
            Key::Granted => (world::dns::KEY.0, world::dns::ALGORITHM, world::dns::KEY.1),
            Key::Ungranted => ("other.", world::dns::ALGORITHM, "b3RoZXI="),
            Key::WrongSecret => (world::dns::KEY.0, world::dns::ALGORITHM, "d3Jvbmc="),
            Key::WrongAlgorithm => (world::dns::KEY.0, "hmac-sha512", world::dns::KEY.1),
            Key::Unknown => ("unknown.", world::dns::ALGORITHM, world::dns::KEY.1),
        };
        let key = TsigKey { name: name.into(), algorithm: algorithm.into(), secret: secret.into() };
        self.connect.dns(&fixtures::spec().dns, &key).unwrap()
    }

    async fn missing_zone(&self) -> Arc<dyn Dns> {
        let mut spec = fixtures::spec().dns;
        spec.zone = "elsewhere.test".into();
        self.connect.dns(&spec, &granted()).unwrap()
    }

    async fn closed_port(&self) -> Arc<dyn Dns> {
        let mut spec = fixtures::spec().dns;
        spec.rfc2136.as_mut().unwrap().server = "192.0.2.99:53".into();
        self.connect.dns(&spec, &granted()).unwrap()
    }

    async fn change_a_record(&self) {
        self.world.change(|state| *state.dns.zones.get_mut(world::dns::ZONE).unwrap() += 1);
    }

    async fn add(&self, name: &str, kind: &'static str, data: &str) {
        self.world.change(|state| state.dns.records.entry((name.into(), kind)).or_insert_with(|| (60, Vec::new())).1.push(data.into()));
    }

    async fn clear(&self, names: &[&str]) {
        self.world.change(|state| state.dns.records.retain(|(name, _), _| !names.contains(&name.as_str())));
    }

    async fn data(&self, name: &str, kind: &'static str) -> Vec<String> {
        self.world.read(|state| state.dns.data(name, kind))
    }
}

fn granted() -> TsigKey {
    TsigKey { name: world::dns::KEY.0.into(), algorithm: world::dns::ALGORITHM.into(), secret: world::dns::KEY.1.into() }
}

#[async_trait]
impl contract::edge::Arrange for Fake {
    async fn reset(&self) {
        self.reset();
    }

    async fn edge(&self, hand: contract::edge::Hand) -> Arc<dyn Edge> {
        use contract::edge::Hand;
        let mut spec = fixtures::spec().deploy.edge;
        let mut certificate = world::edge::CLIENT.0;
        match hand {
            Hand::Right => {}
            Hand::WrongCertificate => certificate = "somebody else's",
            Hand::WrongAuthority => spec.admin_ca_bundle = "another".into(),
        }
        self.connect.edge(&spec, &ClientIdentity { certificate: certificate.into(), key: world::edge::CLIENT.1.into() }).unwrap()
    }

    async fn closed_port(&self) -> Arc<dyn Edge> {
        let mut spec = fixtures::spec().deploy.edge;
        spec.admin_url = "https://192.0.2.99:2021".into();
        self.connect.edge(&spec, &ClientIdentity { certificate: world::edge::CLIENT.0.into(), key: world::edge::CLIENT.1.into() }).unwrap()
    }

    async fn add_route(&self, host: &str) {
        self.world.change(|state| state.edge.routes.as_mut().unwrap().push(world::edge::Listed::Other(host.into())));
    }

    async fn remove_list(&self) -> bool {
        self.world.change(|state| state.edge.routes = None);
        true
    }
}

/// Rooms in memory, which their test ends.
#[derive(Default)]
struct FakeRooms {
    rooms: Arc<world::rooms::Rooms>,
    count: std::sync::atomic::AtomicUsize,
}

#[async_trait]
impl contract::provisioner::Arrange for FakeRooms {
    async fn provisioner(&self) -> Arc<dyn Provisioner> {
        self.rooms.clone()
    }

    async fn stranger(&self) -> Option<Arc<dyn Provisioner>> {
        None
    }

    async fn closed_port(&self) -> Arc<dyn Provisioner> {
        let nobody = world::rooms::Rooms::default();
        nobody.fails("list");
        Arc::new(nobody)
    }

    fn order(&self, id: &str) -> Order {
        contract::provisioner::order(id, "registry.example/runtime:1", "{}")
    }

    async fn end(&self, id: &str) {
        self.rooms.end(id, State::Ended("words".into()), "report");
    }

    async fn holds_keys(&self, id: &str) -> bool {
        self.rooms.holding_keys().iter().any(|holds| holds == id)
    }

    fn fresh(&self) -> String {
        format!("room-{}", self.count.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
    }

    fn patience(&self) -> std::time::Duration {
        std::time::Duration::from_secs(10)
    }
}

#[tokio::test]
async fn the_fake_provisioner_keeps_the_contract() {
    contract::provisioner::suite(&FakeRooms::default()).await;
}
