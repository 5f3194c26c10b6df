//! The contract suites, run on the fakes: a fake that lies is caught here, since
//! the same suites run on the real servers in `e2e/scenarios`.

use std::sync::Arc;

use async_trait::async_trait;
use flywheel::{
    api::names::{Branch, Sha},
    ports::{
        Connect,
        dns::{Dns, TsigKey},
        edge::{ClientIdentity, Edge},
        forge::{Forge, ForgeAdmin, Rule, Webhook},
    },
};

use crate::{
    contract, fixtures,
    world::{self, Fakes, World},
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
        self.world.change(|state| state.edge.routes.as_mut().unwrap().push(host.into()));
    }

    async fn remove_list(&self) -> bool {
        self.world.change(|state| state.edge.routes = None);
        true
    }
}
