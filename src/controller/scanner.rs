//! gitleaks, run before anything is pushed: the same that the gate runs later.

use std::{
    collections::{HashMap, VecDeque},
    path::PathBuf,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio::sync::Semaphore;

use crate::{
    api::conditions::Reason,
    gate::{
        bundle::{SourceFile, digest},
        steps::secrets,
    },
    ports::{
        error::{Class, PortError},
        scan::Scan,
    },
};

/// Longest run over a change's files, which takes about 50 ms.
const PATIENCE: Duration = Duration::from_secs(20);
/// Runs at a time: each takes a core, and some 100 MB.
const AT_A_TIME: usize = 2;
/// Verdicts that are remembered.
const REMEMBERED: usize = 256;

/// The gitleaks at a path. Its rules are its own, so that what it said of the same
/// files stands for as long as the process runs.
pub struct Gitleaks {
    program: PathBuf,
    turns: Semaphore,
    known: Mutex<Known>,
}

/// Verdicts by digest, the oldest first.
#[derive(Default)]
struct Known {
    verdicts: HashMap<String, Option<String>>,
    order: VecDeque<String>,
}

impl Gitleaks {
    /// The one at a path.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self { program: program.into(), turns: Semaphore::new(AT_A_TIME), known: Mutex::default() }
    }

    fn known(&self, digest: &str) -> Option<Option<String>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).verdicts.get(digest).cloned()
    }

    fn remember(&self, digest: String, verdict: Option<String>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.verdicts.insert(digest.clone(), verdict).is_none() {
            known.order.push_back(digest);
        }
        if known.order.len() > REMEMBERED
            && let Some(oldest) = known.order.pop_front()
        {
            known.verdicts.remove(&oldest);
        }
    }
}

#[async_trait]
impl Scan for Gitleaks {
    async fn scan(&self, files: &[(&str, &str)]) -> Result<Option<String>, PortError> {
        // Lists of texts always have a JSON form.
        let digest = digest(&serde_json::to_vec(files).unwrap_or_default());
        if let Some(verdict) = self.known(&digest) {
            return Ok(verdict);
        }
        let failed = || {
            let what = format!(
                "files can't be looked through for secrets, so that nothing is pushed: {} does not do its work",
                self.program.display()
            );
            PortError::new(Class::Transient, Reason::NotChecked, what)
        };
        let _turn = self.turns.acquire().await.map_err(|error| failed().because(error))?;
        let files: Vec<_> = files.iter().map(|(path, text)| SourceFile::new(*path, *text)).collect();
        let findings = secrets::scan(&files, &self.program, PATIENCE).await.map_err(|error| failed().because(error))?;
        let verdict = (!findings.is_empty()).then(|| secrets::message(&findings));
        self.remember(digest, verdict.clone());
        Ok(verdict)
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path, process::Command};

    use super::*;

    /// A gitleaks that notes that it ran, and how many ran beside it.
    fn program(directory: &Path, end: &str) -> Gitleaks {
        let path = directory.join("gitleaks");
        let here = directory.display();
        // Each waits until a second one runs, or it is known that none will.
        let script = format!(
            "#!/bin/sh\ncat >/dev/null\nmkdir {here}/run.$$\nfor i in 1 2 3 4 5 6 7 8 9 10; do n=$(ls -d {here}/run.* | wc -l); [ $n -gt 1 ] && break; sleep 0.02; done\nn=$(ls -d {here}/run.* | wc -l)\necho $n >>{here}/ran\nrmdir {here}/run.$$\n{end}\n"
        );
        // Written by another process: whoever is started meanwhile would inherit it
        // open for writing, and nobody could run it.
        let write = ["-c", "printf '%s' \"$1\" >\"$0\" && chmod 755 \"$0\""];
        let written = Command::new("sh").args(write).arg(&path).arg(script).status().expect("sh");
        assert!(written.success());
        Gitleaks::new(path)
    }

    fn ran(directory: &Path) -> Vec<usize> {
        let text = fs::read_to_string(directory.join("ran")).unwrap_or_default();
        text.lines().map(|line| line.trim().parse().expect("a number")).collect()
    }

    fn directory(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("flywheel-scanner-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("a directory");
        path
    }

    #[tokio::test]
    async fn the_same_files_are_looked_through_once_and_a_failure_is_no_verdict() {
        let here = directory("once");
        let gitleaks = program(&here, "echo '[]'");
        for _ in 0..3 {
            assert_eq!(gitleaks.scan(&[("a.ts", "1")]).await.unwrap(), None);
        }
        assert_eq!(ran(&here).len(), 1);
        assert_eq!(gitleaks.scan(&[("a.ts", "2")]).await.unwrap(), None);
        assert_eq!(ran(&here).len(), 2, "other files are");
        let gitleaks = program(&here, "exit 3");
        for _ in 0..2 {
            assert_eq!(gitleaks.scan(&[("a.ts", "1")]).await.unwrap_err().class, Class::Transient);
        }
        assert_eq!(ran(&here).len(), 4, "after a failure they are looked at again");
        fs::remove_dir_all(here).expect("removed");
    }

    #[tokio::test]
    async fn no_more_than_two_run_at_a_time() {
        let here = directory("turns");
        let gitleaks = program(&here, "echo '[]'");
        let texts: Vec<_> = (0..8).map(|i| i.to_string()).collect();
        let files: Vec<_> = texts.iter().map(|text| [("a.ts", text.as_str())]).collect();
        futures::future::join_all(files.iter().map(|files| gitleaks.scan(files)))
            .await
            .into_iter()
            .for_each(|r| assert_eq!(r.unwrap(), None));
        let ran = ran(&here);
        assert_eq!((ran.len(), ran.iter().max()), (8, Some(&2)), "{ran:?}");
        fs::remove_dir_all(here).expect("removed");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let gitleaks = Gitleaks::new("/nonexistent");
        for i in 0..REMEMBERED + 5 {
            gitleaks.remember(i.to_string(), None);
        }
        assert_eq!((gitleaks.known("4"), gitleaks.known("5")), (None, Some(None)));
        assert_eq!(gitleaks.known.lock().unwrap().verdicts.len(), REMEMBERED);
    }
}
