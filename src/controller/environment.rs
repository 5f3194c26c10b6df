//! What a primitive is given by Secrets: those in the keys' namespace that an
//! operator labelled for it and that let its Factory in, mirrored into one Secret
//! beside the workload. Which keys, the document says; which it may have, it does
//! not. A value goes from Secret to Secret and nowhere else.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{Api, ResourceExt, api::ListParams};
use serde_json::json;

use super::{
    connections,
    context::Context,
    objects::timely,
    workload::{self, ENVIRONMENT, PRIMITIVE_LABEL},
};
use crate::{
    api::{ALLOWED_FACTORIES_ANNOTATION, factory::Factory, primitive::Primitive},
    decide::Manifest,
    gate::{bundle::digest, layout},
    ports::error::PortError,
    prim::{Document, ProviderStatus},
};

/// What a primitive is given.
#[derive(Clone, Debug)]
pub struct Environment {
    /// The mirror. There is one even where nothing is granted, so that a grant that
    /// was withdrawn is emptied out of it.
    pub secret: Option<Manifest>,
    /// Which versions of which Secrets stand in it; nothing of their values.
    pub versions: String,
    /// Variables that the document names and nothing gives.
    pub missing: Vec<String>,
}

/// Beginnings of names that are the runtime's, the linker's, the cluster's or ours:
/// whoever sets one of them runs other code than was tested.
const OURS: [&str; 5] = ["BUN_", "KUBERNETES_", "LD_", "NODE_", "X402_"];

/// Name of the mirror of the workload `own`.
pub(super) fn secret_name(own: &str) -> String {
    format!("{own}-env")
}

/// What the primitive of `document` is given, by Secrets, by its Factory and by us.
pub async fn of(
    factory: &Factory,
    primitive: &Primitive,
    document: &Document,
    keeps_data: Option<&str>,
    cx: &Context,
) -> Result<Environment, PortError> {
    let table = &factory.spec.deploy.env;
    if let Some(name) = table.keys().find(|name| !is_variable(name)) {
        let problem = format!("{name:?} is no name of a variable: letters, digits and _ alone, and no digit first");
        return Err(connections::of_factory(factory, &PortError::invalid("spec.deploy.env", problem)));
    }
    let named = named(document);
    let wanted: BTreeSet<&str> =
        named.iter().copied().filter(|name| is_variable(name) && !is_ours(name) && keeps_data != Some(*name)).collect();
    let granted = if wanted.is_empty() { Vec::new() } else { granted(factory, document, cx).await? };
    let mirrored = Mirrored::of(&granted, &wanted, primitive)?;

    let given = |name: &&str| mirrored.has(name) || table.get(*name).is_some_and(|value| !value.is_empty()) || is_set(name, keeps_data);
    let mut missing: Vec<String> = named.iter().filter(|name| !given(name)).map(|name| (*name).to_owned()).collect();
    let is_table = |name: &str| table.get(name).is_some_and(|value| !value.is_empty());
    if is_table(layout::FACILITATOR) && !is_table(layout::PAY_TO) {
        // Without it no payment is taken, whatever the facilitator says.
        missing.push(layout::PAY_TO.into());
    }
    let versions = mirrored.versions();
    Ok(Environment { secret: Some(mirror(factory, document, &mirrored, &versions)), versions, missing })
}

/// The variables that a document names, each once.
fn named(document: &Document) -> Vec<&str> {
    let vendors = document.providers.iter().filter(|provider| provider.status == ProviderStatus::Active);
    let all = document.env.iter().chain(vendors.flat_map(|provider| &provider.env));
    let mut seen = BTreeSet::new();
    all.map(String::as_str).filter(|name| seen.insert(*name)).collect()
}

fn is_variable(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 253
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn is_ours(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    upper == "PORT" || OURS.iter().any(|ours| upper.starts_with(ours)) || layout::SETTINGS.iter().any(|(setting, _)| *setting == upper)
}

/// Whether every service gets it from us.
fn is_set(name: &str, keeps_data: Option<&str>) -> bool {
    let ours = ["NODE_ENV", "PORT", layout::NETWORK, layout::PAY_TO];
    keeps_data == Some(name) || ours.contains(&name) || layout::SETTINGS.iter().any(|(setting, _)| *setting == name)
}

/// The Secrets that an operator labelled for the primitive and that let its
/// Factory in, by name.
async fn granted(factory: &Factory, document: &Document, cx: &Context) -> Result<Vec<Secret>, PortError> {
    let api: Api<Secret> = Api::namespaced(cx.client.clone(), &cx.keys_namespace);
    let labelled = ListParams::default().labels(&format!("{PRIMITIVE_LABEL}={}", document.id));
    let mut secrets = timely(api.list(&labelled)).await?.items;
    let own = format!("{}/{}", factory.namespace().unwrap_or_default(), factory.name_any());
    secrets.retain(|secret| {
        let allowed = secret.annotations().get(ALLOWED_FACTORIES_ANNOTATION);
        secret.metadata.deletion_timestamp.is_none() && allowed.is_some_and(|list| list.split(',').any(|name| name.trim() == own))
    });
    secrets.sort_by_key(ResourceExt::name_any);
    Ok(secrets)
}

/// Values by variable, each with the Secret that it is from.
struct Mirrored<'a>(BTreeMap<&'a str, (&'a Secret, &'a ByteString)>);

impl<'a> Mirrored<'a> {
    fn of(secrets: &'a [Secret], wanted: &BTreeSet<&'a str>, primitive: &Primitive) -> Result<Self, PortError> {
        let mut values: BTreeMap<&str, (&Secret, &ByteString)> = BTreeMap::new();
        let invalid = |problem: String| Err(PortError::secret_invalid(problem));
        for secret in secrets {
            for (key, value) in secret.data.iter().flatten() {
                let Some(name) = wanted.get(key.as_str()) else { continue };
                if std::str::from_utf8(&value.0).is_ok_and(|text| !text.contains('\0')) {
                    if let Some((other, _)) = values.insert(name, (secret, value)) {
                        return invalid(format!(
                            "Secrets {} and {} both have the key {key}, and both are labelled for Primitive {}: take it out of one of them",
                            label(other),
                            label(secret),
                            primitive.name_any()
                        ));
                    }
                } else {
                    return invalid(format!("Secret {}: key {key} is no text, as a variable must be", label(secret)));
                }
            }
        }
        Ok(Self(values))
    }

    /// An empty variable is how Kubernetes and shells spell "not set".
    fn has(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|(_, value)| !value.0.is_empty())
    }

    /// Another after each change of a Secret or of what is taken from it.
    fn versions(&self) -> String {
        if self.0.is_empty() {
            return "none".into();
        }
        let lines = self.0.iter().map(|(name, (secret, _))| {
            let version = secret.resource_version().unwrap_or_default();
            format!("{name} {} {} {version}\n", label(secret), secret.uid().unwrap_or_default())
        });
        digest(lines.collect::<String>().as_bytes())
    }
}

fn label(secret: &Secret) -> String {
    format!("{}/{}", secret.namespace().unwrap_or_default(), secret.name_any())
}

fn mirror(factory: &Factory, document: &Document, mirrored: &Mirrored, versions: &str) -> Manifest {
    let data: BTreeMap<_, _> = mirrored.0.iter().map(|(name, (_, value))| (*name, *value)).collect();
    Manifest(json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": secret_name(&workload::name(&factory.name_any(), &document.id)),
            "namespace": factory.spec.deploy.namespace,
            "labels": workload::labels(factory, &document.id),
            "annotations": { ENVIRONMENT: versions }
        },
        "type": "Opaque",
        "data": data
    }))
}
