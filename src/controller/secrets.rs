//! Reads the Secrets that a Factory refers to. Only `get`, by name: the
//! controller's Role names each Secret it may read, so none can be listed.

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, ResourceExt};
use secrecy::SecretString;
use url::Url;

use super::{
    context::Context,
    status::{API_TIMEOUT, api_error},
};
use crate::{
    api::{ALLOWED_FACTORIES_ANNOTATION, ALLOWED_SERVERS_ANNOTATION, conditions::Reason, references::SecretReference},
    ports::error::{Class, PortError},
};

/// A Secret that a Factory may use with one server.
pub struct AllowedSecret {
    label: String,
    server: String,
    secret: Secret,
}

/// Where a credential is sent to.
pub struct Server(String);

impl Server {
    /// The server of a URL that field `path` of the Factory has.
    pub fn of_url(path: &str, url: &str) -> Result<Self, PortError> {
        origin(url).map(Self).ok_or_else(|| PortError::invalid(path, "is not a URL with a host"))
    }

    /// The DNS server at an `IP:port` that field `path` of the Factory has.
    pub fn of_dns(path: &str, address: &str) -> Result<Self, PortError> {
        origin(&format!("dns://{address}")).map(Self).ok_or_else(|| PortError::invalid(path, "is not IP:port"))
    }
}

/// `scheme://host:port`, so that two ways to write one server are the same.
fn origin(url: &str) -> Option<String> {
    let url = Url::parse(url).ok()?;
    let port = url.port_or_known_default().or_else(|| (url.scheme() == "dns").then_some(53))?;
    Some(format!("{}://{}:{port}", url.scheme(), url.host_str().filter(|host| !host.is_empty())?.to_ascii_lowercase()))
}

/// Reads the Secret at `reference`, which field `path` of the Factory names, for
/// use with `server`.
pub async fn read(
    path: &str,
    reference: &SecretReference,
    Server(server): Server,
    factory: (&str, &str),
    cx: &Context,
) -> Result<AllowedSecret, PortError> {
    let label = format!("Secret {}/{} ({path})", reference.namespace, reference.name);
    let api: Api<Secret> = Api::namespaced(cx.client.clone(), &reference.namespace);
    let secret = match tokio::time::timeout(API_TIMEOUT, api.get(&reference.name)).await {
        Ok(Ok(secret)) => secret,
        Ok(Err(kube::Error::Api(answer))) if answer.is_not_found() => {
            return Err(PortError::new(
                Class::Waiting,
                Reason::SecretNotFound,
                format!("{label} does not exist: create it (looked for again by itself)"),
            ));
        }
        Ok(Err(kube::Error::Api(answer))) if answer.is_forbidden() => {
            return Err(PortError::new(
                Class::Denied,
                Reason::PermissionMissing,
                format!("the controller may not read {label}: name it in the chart's value controller.secrets"),
            ));
        }
        Ok(Err(error)) => return Err(api_error(error)),
        Err(_) => return Err(PortError::unreachable("the API server")),
    };
    check(&secret, factory, &server)
        .map_err(|problem| PortError::new(Class::Denied, Reason::SecretNotAllowed, format!("{label} {problem}")))?;
    Ok(AllowedSecret { label, server, secret })
}

/// Whether the Secret's own annotations let it be used so. Whoever may write
/// Factories may name any Secret and any server: only the Secret's owner can say
/// that the one may go to the other.
fn check(secret: &Secret, (namespace, factory): (&str, &str), server: &str) -> Result<(), String> {
    let beside = secret.namespace().as_deref() == Some(namespace);
    let listed = |annotation: &str| secret.annotations().get(annotation).map(|list| list.split(',').map(str::trim).collect::<Vec<_>>());

    let wanted = format!("{namespace}/{factory}");
    if !beside && !listed(ALLOWED_FACTORIES_ANNOTATION).is_some_and(|names| names.contains(&wanted.as_str())) {
        return Err(format!("does not allow this Factory: add {wanted} to its annotation {ALLOWED_FACTORIES_ANNOTATION}"));
    }
    let servers = listed(ALLOWED_SERVERS_ANNOTATION);
    let reached = match &servers {
        Some(servers) => servers.iter().any(|s| origin(s).as_deref() == Some(server)),
        None => beside,
    };
    if !reached {
        return Err(format!(
            "does not allow the server {server}: if its credential should go there, add {server} to its annotation {ALLOWED_SERVERS_ANNOTATION}"
        ));
    }
    Ok(())
}

impl AllowedSecret {
    /// The server, as `scheme://host:port`.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// The server, and whom it takes us for: another after a change of the Secret.
    pub fn account(&self) -> String {
        let version = self.secret.resource_version().unwrap_or_default();
        format!("{} as {}/{}@{version}", self.server, self.secret.namespace().unwrap_or_default(), self.secret.name_any())
    }

    /// The value under `key`, which must be there, be text, and not be empty.
    pub fn value(&self, key: &str) -> Result<SecretString, PortError> {
        let invalid = |problem: &str| PortError::secret_invalid(format!("{}: key {key} {problem}", self.label));
        let bytes = self.secret.data.as_ref().and_then(|data| data.get(key)).ok_or_else(|| invalid("is missing"))?;
        let text = std::str::from_utf8(&bytes.0).map_err(|_| invalid("is not text"))?.trim();
        if text.is_empty() {
            return Err(invalid("is empty"));
        }
        Ok(text.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_server_may_be_written_in_many_ways_and_others_are_others() {
        let same = |a: &str, b: &str| origin(a) == origin(b) && origin(a).is_some();
        for (a, b) in [
            ("https://git.example", "https://GIT.example:443/"),
            ("http://git.example/forge", "http://git.example:80"),
            ("dns://192.0.2.53", "dns://192.0.2.53:53"),
            ("dns://[2001:db8::53]:53", "dns://[2001:DB8:0::53]"),
        ] {
            assert!(same(a, b), "{a} {b}: {:?} {:?}", origin(a), origin(b));
        }
        for (a, b) in [
            ("https://git.example", "http://git.example"),
            ("https://git.example", "https://git.example:8443"),
            ("https://git.example", "https://git.example.evil.example"),
            ("https://git.example", "https://git.example@evil.example"),
            ("dns://192.0.2.53", "dns://192.0.2.54"),
        ] {
            assert!(!same(a, b), "{a} {b}");
        }
        for nothing in ["", "*", "git.example", "https://", "dns://", "file:///etc/passwd"] {
            assert_eq!(origin(nothing), None, "{nothing}");
        }
    }
}
