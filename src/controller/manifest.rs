//! File manifests that objects refer to: immutable ConfigMaps, named by digest.

use k8s_openapi::api::core::v1::ConfigMap;

use crate::{
    api::agent_pr::ManifestReference,
    gate::bundle::{self, SourceFile},
    ports::error::PortError,
};

/// Key of a manifest in its ConfigMap.
pub const BUNDLE_KEY: &str = "bundle.json.gz";

/// The files in a manifest that the field at `path` refers to.
pub fn unpack(path: &str, config: &ConfigMap, reference: &ManifestReference) -> Result<Vec<SourceFile>, PortError> {
    let packed = config
        .binary_data
        .as_ref()
        .and_then(|data| data.get(BUNDLE_KEY))
        .ok_or_else(|| PortError::invalid(path, format!("ConfigMap {} has no binaryData key {BUNDLE_KEY}", reference.name)))?;
    bundle::files(&packed.0, &reference.digest).map_err(|e| PortError::invalid(path, e))
}
