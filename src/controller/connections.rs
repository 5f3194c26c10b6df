//! Connections to a Factory's forge, zone, edge and model, with the credentials that its
//! Secrets hold and may be used for it. Making one asks nobody but the API server.

use std::sync::Arc;

use kube::ResourceExt;
use secrecy::{ExposeSecret, SecretString};

use super::{
    context::Context,
    secrets::{self, AllowedSecret, Server},
};
use crate::{
    api::factory::{Factory, ModelSpec},
    ports::{
        dns::{Dns, TsigKey},
        edge::{ClientIdentity, Edge},
        error::{Class, PortError},
        forge::Forge,
        model::Model,
    },
};

/// A client, and the account that its server's limits are about.
pub struct Connection<C: ?Sized> {
    account: String,
    client: Result<Arc<C>, PortError>,
}

impl<C: ?Sized> Connection<C> {
    /// The client; none where the Factory's settings can't be used.
    pub fn client(&self) -> Option<Arc<C>> {
        self.client.as_ref().ok().cloned()
    }

    /// The account at its server, for what is remembered of it.
    pub fn account(&self) -> &str {
        &self.account
    }

    /// Asks, unless the server wants to be left alone until later.
    pub async fn ask<T, F>(&self, cx: &Context, look: impl FnOnce(Arc<C>) -> F) -> Result<T, PortError>
    where
        F: Future<Output = Result<T, PortError>>,
    {
        match &self.client {
            Ok(client) => cx.limits.obey(&self.account, &*cx.clock, look(client.clone())).await,
            Err(error) => Err(PortError::new(error.class, error.reason, error.message.clone())),
        }
    }
}

/// The factory's repository, as the bot.
pub async fn forge(factory: &Factory, cx: &Context) -> Result<Connection<dyn Forge>, PortError> {
    Ok(forge_with_secret(factory, cx).await?.0)
}

/// [`forge`], and what its deliveries are signed with.
pub async fn forge_with_secret(factory: &Factory, cx: &Context) -> Result<(Connection<dyn Forge>, SecretString), PortError> {
    let secret = forge_secret(factory, cx).await?;
    let token = secret.value("token")?;
    let connection = Connection { account: secret.account(), client: cx.connect.forge(&factory.spec.repository, &token) };
    Ok((connection, secret.value("webhookSecret")?))
}

/// The factory's zone.
pub async fn dns(factory: &Factory, cx: &Context) -> Result<Connection<dyn Dns>, PortError> {
    let zone = &factory.spec.dns;
    let spec = zone.rfc2136.as_ref().ok_or_else(|| PortError::invalid("spec.dns.rfc2136", "is required with provider Rfc2136"))?;
    let server = Server::of_dns("spec.dns.rfc2136.server", &spec.server)?;
    let secret = read("spec.dns.rfc2136.credentials", &spec.credentials, server, factory, cx).await?;
    let key = TsigKey {
        name: secret.value("keyName")?.expose_secret().into(),
        algorithm: secret.value("algorithm")?.expose_secret().into(),
        secret: secret.value("secret")?,
    };
    Ok(Connection { account: secret.account(), client: cx.connect.dns(zone, &key) })
}

/// The factory's edge.
pub async fn edge(factory: &Factory, cx: &Context) -> Result<Connection<dyn Edge>, PortError> {
    let spec = &factory.spec.deploy.edge;
    let server = Server::of_url("spec.deploy.edge.adminUrl", &spec.admin_url)?;
    let secret = read("spec.deploy.edge.credentials", &spec.credentials, server, factory, cx).await?;
    let identity = ClientIdentity { certificate: secret.value("tls.crt")?.expose_secret().into(), key: secret.value("tls.key")? };
    Ok(Connection { account: secret.account(), client: cx.connect.edge(spec, &identity) })
}

/// The factory's language model.
pub async fn model(factory: &Factory, spec: &ModelSpec, cx: &Context) -> Result<Connection<dyn Model>, PortError> {
    let server = Server::of_url("spec.model.url", &spec.url)?;
    let secret = read("spec.model.credentials", &spec.credentials, server, factory, cx).await?;
    Ok(Connection { account: secret.account(), client: cx.connect.model(spec, &secret.value("key")?) })
}

/// The server that the forge's credentials Secret lets this Factory use.
pub async fn allowed_forge(factory: &Factory, cx: &Context) -> Result<String, PortError> {
    Ok(forge_secret(factory, cx).await?.server().to_owned())
}

/// The error of another object's connection, as its dependants tell it: they wait
/// for the Factory, whoever must act there.
pub fn of_factory(factory: &Factory, error: &PortError) -> PortError {
    let class = match error.class {
        Class::Invalid | Class::Denied => Class::Waiting,
        other => other,
    };
    PortError::new(class, error.reason, format!("Factory {}: {}", factory.name_any(), error.message))
}

async fn forge_secret(factory: &Factory, cx: &Context) -> Result<AllowedSecret, PortError> {
    let spec = &factory.spec.repository;
    let server = Server::of_url("spec.repository.url", &spec.url)?;
    read("spec.repository.credentials", &spec.credentials, server, factory, cx).await
}

async fn read(
    path: &str,
    reference: &crate::api::references::SecretReference,
    server: Server,
    factory: &Factory,
    cx: &Context,
) -> Result<AllowedSecret, PortError> {
    let (namespace, name) = (factory.namespace().unwrap_or_default(), factory.name_any());
    secrets::read(path, reference, server, (&namespace, &name), cx).await
}
