//! gitleaks, run before anything is pushed: the same that the gate runs later.

use std::{path::PathBuf, time::Duration};

use async_trait::async_trait;

use crate::{
    api::conditions::Reason,
    gate::{bundle::SourceFile, steps::secrets},
    ports::{
        error::{Class, PortError},
        scan::Scan,
    },
};

/// Longest run over a change's files, which takes about 50 ms.
const PATIENCE: Duration = Duration::from_secs(20);

/// The gitleaks at a path.
pub struct Gitleaks(pub PathBuf);

#[async_trait]
impl Scan for Gitleaks {
    async fn scan(&self, files: &[(&str, &str)]) -> Result<Option<String>, PortError> {
        let files: Vec<_> = files.iter().map(|(path, text)| SourceFile::new(*path, *text)).collect();
        let findings = secrets::scan(&files, &self.0, PATIENCE).await.map_err(|error| {
            let what =
                format!("files can't be looked through for secrets, so that nothing is pushed: {} does not do its work", self.0.display());
            PortError::new(Class::Transient, Reason::NotChecked, what).because(error)
        })?;
        Ok((!findings.is_empty()).then(|| secrets::message(&findings)))
    }
}
