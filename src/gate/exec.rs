//! Runs a trusted tool on texts that are not: no shell, an environment of its
//! own, bounded output, and an end.

use std::{
    collections::BTreeMap,
    io,
    path::PathBuf,
    process::Stdio,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    process::Command,
    time::timeout,
};

/// Most bytes of output that are kept; a tool that prints more is cut, not ended.
const MAX_OUTPUT: usize = 1024 * 1024;

/// A tool and what it works on.
#[derive(Clone, Debug, Default)]
pub struct Tool {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Its whole environment.
    pub env: BTreeMap<String, String>,
    /// Its working directory.
    pub directory: PathBuf,
    /// What it reads.
    pub input: Vec<u8>,
}

/// What a tool said.
#[derive(Clone, Debug, Default)]
pub struct Output {
    /// Exit code; absent if a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// How long it took.
    pub milliseconds: i64,
}

/// Why a tool said nothing.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// It can't be run.
    #[error("{program} can't be run: the image is not whole")]
    Start {
        /// The program.
        program: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It found no end.
    #[error("{program} found no end within {seconds} s")]
    Late {
        /// The program.
        program: PathBuf,
        /// The limit.
        seconds: u64,
    },
}

impl Tool {
    /// Runs it to its end, or kills it.
    pub async fn run(self, patience: Duration) -> Result<Output, ToolError> {
        let began = Instant::now();
        let program = self.program.clone();
        let failed = |source| ToolError::Start { program: program.clone(), source };
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .env_clear()
            .envs(&self.env)
            .current_dir(&self.directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let (mut stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let write = async move {
            if let Some(stdin) = &mut stdin {
                // A tool that closes its input early says so by its exit code.
                let _ = stdin.write_all(&self.input).await;
            }
            drop(stdin);
        };
        let all = async { tokio::join!(write, keep(stdout), keep(stderr), child.wait()) };
        let ((), stdout, stderr, status) =
            timeout(patience, all).await.map_err(|_| ToolError::Late { program: program.clone(), seconds: patience.as_secs() })?;
        let milliseconds = i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX);
        Ok(Output { code: status.map_err(failed)?.code(), stdout, stderr, milliseconds })
    }
}

async fn keep(pipe: Option<impl AsyncRead + Unpin>) -> String {
    let mut kept = Vec::new();
    let mut piece = [0; 8192];
    if let Some(mut pipe) = pipe {
        while let Ok(read @ 1..) = pipe.read(&mut piece).await {
            let room = MAX_OUTPUT - kept.len();
            kept.extend_from_slice(&piece[..read.min(room)]);
        }
    }
    String::from_utf8_lossy(&kept).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, input: &str) -> Tool {
        Tool {
            program: "/bin/sh".into(),
            arguments: vec!["-c".into(), script.into()],
            directory: "/".into(),
            input: input.into(),
            ..Tool::default()
        }
    }

    #[tokio::test]
    async fn output_and_code_come_back_and_the_environment_is_empty() {
        let output = shell("/bin/cat; echo \"$HOME\" >&2; exit 3", "text").run(Duration::from_secs(10)).await.unwrap();
        assert_eq!((output.code, output.stdout.as_str(), output.stderr.as_str()), (Some(3), "text", "\n"));
    }

    #[tokio::test]
    async fn what_is_too_much_is_dropped_and_what_is_too_long_is_killed() {
        let output = shell("/usr/bin/head -c 5000000 /dev/zero", "").run(Duration::from_secs(10)).await.unwrap();
        assert_eq!((output.code, output.stdout.len()), (Some(0), MAX_OUTPUT));
        let error = shell("while :; do :; done", "").run(Duration::from_millis(100)).await.unwrap_err();
        assert!(matches!(error, ToolError::Late { .. }), "{error}");
        let error = Tool { program: "/nonexistent".into(), directory: "/".into(), ..Tool::default() }
            .run(Duration::from_secs(1))
            .await
            .unwrap_err();
        assert!(matches!(error, ToolError::Start { .. }), "{error}");
    }
}
