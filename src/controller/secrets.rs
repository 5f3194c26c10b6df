//! Reads the Secrets that a Factory refers to. Only `get`, by name: the
//! controller's Role names each Secret it may read, so none can be listed.

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, ResourceExt};
use secrecy::SecretString;

use super::{
    context::Context,
    status::{API_TIMEOUT, api_error},
};
use crate::{
    api::{ALLOWED_FACTORIES_ANNOTATION, conditions::Reason, references::SecretReference},
    ports::error::{Class, PortError},
};

/// A Secret that the Factory `namespace/factory` may use.
pub struct AllowedSecret {
    label: String,
    secret: Secret,
}

/// Reads the Secret at `reference`, which field `path` of the Factory names.
pub async fn read(
    path: &str,
    reference: &SecretReference,
    (namespace, factory): (&str, &str),
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
    let wanted = format!("{namespace}/{factory}");
    let allowed = secret.namespace().as_deref() == Some(namespace)
        || secret.annotations().get(ALLOWED_FACTORIES_ANNOTATION).is_some_and(|names| names.split(',').any(|n| n.trim() == wanted));
    if !allowed {
        return Err(PortError::new(
            Class::Denied,
            Reason::SecretNotAllowed,
            format!("{label} does not allow this Factory: add {wanted} to its annotation {ALLOWED_FACTORIES_ANNOTATION}"),
        ));
    }
    Ok(AllowedSecret { label, secret })
}

impl AllowedSecret {
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
