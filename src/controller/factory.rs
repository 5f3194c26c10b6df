//! Observes a Factory: its Secrets, its forge, its zone, its edge. All reads; what
//! they come to is `decide/factory.rs`.

use std::sync::Arc;

use async_trait::async_trait;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;
use secrecy::{ExposeSecret, SecretString};

use super::{
    apply::Hands,
    context::Context,
    driver::{Kind, StatusFields},
    secrets::{self, AllowedSecret, Server},
};
use crate::{
    api::{
        factory::{Factory, FactorySpec, FactoryStatus},
        names::Branch,
    },
    decide::{
        self, Decision,
        factory::{ForgeSeen, Now, Part, Seen},
    },
    ports::{
        dns::{Dns, TsigKey},
        edge::{ClientIdentity, Edge},
        error::{Class, PortError},
        forge::Forge,
    },
};

#[async_trait]
impl Kind for Factory {
    type Seen = Seen;
    type Status = FactoryStatus;
    const NAME: &'static str = "Factory";

    async fn observe(&self, cx: &Context, now: Now) -> Result<(Seen, Hands), PortError> {
        let namespace = self.namespace().unwrap_or_default();
        let name = self.name_any();
        let mut credentials = Vec::new();
        let credentials_of = Credentials { spec: &self.spec, factory: (&namespace, &name), cx };

        let forge_client = match credentials_of.forge().await {
            Ok((account, token, webhook_secret)) => {
                cx.deliveries.expect(&namespace, &name, webhook_secret);
                Some((account, cx.connect.forge(&self.spec.repository, &token)))
            }
            Err(error) => {
                // While the API server does not answer, nothing was withdrawn.
                if error.class != Class::Transient {
                    cx.deliveries.withdraw(&namespace, &name);
                }
                note(&mut credentials, error)
            }
        };
        let dns_client = match credentials_of.dns().await {
            Ok((account, key)) => Some((account, cx.connect.dns(&self.spec.dns, &key))),
            Err(error) => note(&mut credentials, error),
        };
        let edge_client = match credentials_of.edge().await {
            Ok((account, identity)) => Some((account, cx.connect.edge(&self.spec.deploy.edge, &identity))),
            Err(error) => note(&mut credentials, error),
        };

        let hands = Hands { forge: forge_client.as_ref().and_then(|(_, made)| made.as_ref().ok().cloned()) };
        let (forge, dns, edge) = futures::join!(
            part(forge_client, cx, |client| see_forge(client, &self.spec)),
            part(dns_client, cx, see_dns),
            part(edge_client, cx, see_edge),
        );
        let head = match &forge {
            Part::Seen(forge) => Some(&forge.base.head),
            Part::Failed(_) | Part::NotChecked => None,
        };
        let webhook = cx.deliveries.observe(&namespace, &name, head, now.at);
        let previous = self.status.clone().unwrap_or_default();
        Ok((Seen { spec: self.spec.clone(), previous, credentials, forge, dns, edge, webhook }, hands))
    }

    fn decide(seen: &Seen, now: Now) -> Decision<FactoryStatus> {
        decide::factory::decide(seen, now)
    }

    fn status(&self) -> Option<&FactoryStatus> {
        self.status.as_ref()
    }

    fn gone(namespace: &str, name: &str, cx: &Context) {
        cx.deliveries.forget(namespace, name);
    }
}

impl StatusFields for FactoryStatus {
    fn conditions(&self) -> &[Condition] {
        &self.conditions
    }

    fn set(&mut self, conditions: Vec<Condition>, generation: Option<i64>) {
        self.conditions = conditions;
        self.observed_generation = generation;
    }
}

fn note<T>(failures: &mut Vec<PortError>, error: PortError) -> Option<T> {
    failures.push(error);
    None
}

/// Looks at one part: not without credentials, not with settings that can't be
/// used, not while its server asks to wait.
async fn part<C, T, F>(client: Option<(String, Result<C, PortError>)>, cx: &Context, look: impl FnOnce(C) -> F) -> Part<T>
where
    F: Future<Output = Result<T, PortError>>,
{
    let seen = match client {
        None => return Part::NotChecked,
        Some((account, Ok(client))) => cx.limits.obey(&account, &*cx.clock, look(client)).await,
        Some((_, Err(error))) => Err(error),
    };
    seen.map_or_else(Part::Failed, Part::Seen)
}

/// Also what `flywheel doctor` asks of a forge.
pub async fn see_forge(forge: Arc<dyn Forge>, spec: &FactorySpec) -> Result<ForgeSeen, PortError> {
    let base: Branch = spec.repository.base_branch.parse().map_err(|e| PortError::invalid("spec.repository.baseBranch", e))?;
    let seen = ForgeSeen {
        account: forge.account().await?,
        repository: forge.repository().await?,
        base: forge.branch(&base).await?,
        labels: forge.labels().await?,
    };
    // What the account lacks is told by its own message, which says where to give it.
    if seen.repository.may_push && !seen.repository.archived {
        forge.prove_push(&base).await?;
    }
    Ok(seen)
}

/// Also what `flywheel doctor` asks of a DNS server.
pub async fn see_dns(dns: Arc<dyn Dns>) -> Result<u32, PortError> {
    let serial = dns.serial().await?;
    dns.prove_update().await?;
    Ok(serial)
}

async fn see_edge(edge: Arc<dyn Edge>) -> Result<Vec<String>, PortError> {
    edge.hosts().await
}

/// The server that the forge's credentials Secret lets this Factory use.
pub async fn allowed_forge(factory: &Factory, cx: &Context) -> Result<String, PortError> {
    let (namespace, name) = (factory.namespace().unwrap_or_default(), factory.name_any());
    let credentials = Credentials { spec: &factory.spec, factory: (&namespace, &name), cx };
    Ok(credentials.forge_secret().await?.server().to_owned())
}

/// Each gives the account too that its server's limits are about.
struct Credentials<'a> {
    spec: &'a FactorySpec,
    factory: (&'a str, &'a str),
    cx: &'a Context,
}

impl Credentials<'_> {
    async fn forge_secret(&self) -> Result<AllowedSecret, PortError> {
        let spec = &self.spec.repository;
        let server = Server::of_url("spec.repository.url", &spec.url)?;
        secrets::read("spec.repository.credentials", &spec.credentials, server, self.factory, self.cx).await
    }

    /// The bot's token, and what deliveries are signed with.
    async fn forge(&self) -> Result<(String, SecretString, SecretString), PortError> {
        let secret = self.forge_secret().await?;
        Ok((secret.account(), secret.value("token")?, secret.value("webhookSecret")?))
    }

    async fn dns(&self) -> Result<(String, TsigKey), PortError> {
        let spec =
            self.spec.dns.rfc2136.as_ref().ok_or_else(|| PortError::invalid("spec.dns.rfc2136", "is required with provider Rfc2136"))?;
        let server = Server::of_dns("spec.dns.rfc2136.server", &spec.server)?;
        let secret = secrets::read("spec.dns.rfc2136.credentials", &spec.credentials, server, self.factory, self.cx).await?;
        let key = TsigKey {
            name: secret.value("keyName")?.expose_secret().into(),
            algorithm: secret.value("algorithm")?.expose_secret().into(),
            secret: secret.value("secret")?,
        };
        Ok((secret.account(), key))
    }

    async fn edge(&self) -> Result<(String, ClientIdentity), PortError> {
        let spec = &self.spec.deploy.edge;
        let server = Server::of_url("spec.deploy.edge.adminUrl", &spec.admin_url)?;
        let secret = secrets::read("spec.deploy.edge.credentials", &spec.credentials, server, self.factory, self.cx).await?;
        let identity = ClientIdentity { certificate: secret.value("tls.crt")?.expose_secret().into(), key: secret.value("tls.key")? };
        Ok((secret.account(), identity))
    }
}
