//! Observes a Factory: its Secrets, its forge, its zone, its edge. All reads; what
//! they come to is `decide/factory.rs`.

use std::sync::Arc;

use async_trait::async_trait;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;

use super::{
    apply::Hands,
    catalogue,
    connections::{self, Connection},
    context::Context,
    driver::{Kind, StatusFields},
    packages,
};
use crate::{
    api::{
        API_VERSION,
        factory::{Factory, FactorySpec, FactoryStatus},
        names::Branch,
    },
    decide::{
        self, Action, Decision, Now, ObjectName, Receipt,
        factory::{ForgeSeen, Part, Seen},
    },
    ports::{
        dns::Dns,
        edge::Edge,
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

        let forge_client = match connections::forge_with_secret(self, cx).await {
            Ok((connection, webhook_secret)) => {
                cx.deliveries.expect(&namespace, &name, webhook_secret);
                Some(connection)
            }
            Err(error) => {
                // While the API server does not answer, nothing was withdrawn.
                if error.class != Class::Transient {
                    cx.deliveries.withdraw(&namespace, &name);
                }
                note(&mut credentials, error)
            }
        };
        let dns_client = connections::dns(self, cx).await.map_or_else(|error| note(&mut credentials, error), Some);
        let edge_client = connections::edge(self, cx).await.map_or_else(|error| note(&mut credentials, error), Some);

        if let Some(spec) = &self.spec.model
            && let Err(error) = connections::model(self, spec, cx).await
        {
            credentials.push(error);
        }

        // Before the branch is looked at, see there.
        let primitives = packages::primitives(self, cx).await;
        let hands = Hands { forge: forge_client.as_ref().and_then(Connection::client), ..Hands::default() };
        let (forge, dns, edge) = futures::join!(
            part(forge_client.as_ref(), cx, |client| see_forge(client, &self.spec)),
            part(dns_client.as_ref(), cx, see_dns),
            part(edge_client.as_ref(), cx, see_edge),
        );
        let head = match &forge {
            Part::Seen(forge) => Some(&forge.base.head),
            Part::Failed(_) | Part::NotChecked => None,
        };
        let packages = match (forge_client.as_ref().zip(head), primitives) {
            (None, _) => Part::NotChecked,
            (Some(_), Err(error)) => Part::Failed(error),
            (Some((connection, head)), Ok(primitives)) => {
                packages::see(self, head, connection, primitives, cx).await.map_or_else(Part::Failed, Part::Seen)
            }
        };
        let catalogue = match forge_client.as_ref().zip(head).filter(|_| self.spec.policy.aggregates) {
            None => Part::NotChecked,
            Some((connection, head)) => catalogue::see(self, head, connection, cx).await.map_or_else(Part::Failed, Part::Seen),
        };
        let webhook = cx.deliveries.observe(&namespace, &name, head, now.at);
        let previous = self.status.clone().unwrap_or_default();
        let factory = ObjectName { api_version: API_VERSION, kind: Self::NAME, namespace, name };
        Ok((Seen { factory, spec: self.spec.clone(), previous, credentials, forge, dns, edge, packages, catalogue, webhook }, hands))
    }

    fn decide(seen: &Seen, now: Now) -> Decision<FactoryStatus> {
        decide::factory::decide(seen, now)
    }

    fn refused(seen: &Seen, now: Now, decision: &mut Decision<FactoryStatus>, done: &[(&Action, Receipt)]) {
        decide::factory::refused(seen, now, decision, done);
    }

    fn status(&self) -> Option<&FactoryStatus> {
        self.status.as_ref()
    }

    fn gone(namespace: &str, name: &str, cx: &Context) {
        cx.deliveries.forget(namespace, name);
        cx.catalogues.forget(namespace, name);
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
async fn part<C, T, F>(connection: Option<&Connection<C>>, cx: &Context, look: impl FnOnce(Arc<C>) -> F) -> Part<T>
where
    C: ?Sized,
    F: Future<Output = Result<T, PortError>>,
{
    match connection {
        None => Part::NotChecked,
        Some(connection) => connection.ask(cx, look).await.map_or_else(Part::Failed, Part::Seen),
    }
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
