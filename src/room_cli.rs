//! `flywheel gate room`: layer 4 in its pod. Files are read and the verdict is written
//! here; what is done and judged is `src/room`'s.

use std::path::PathBuf;

use crate::gate::LastWords;

/// What a clean room's pod is told.
#[derive(Debug, clap::Args)]
pub struct RoomArgs {
    /// File with the plan.
    #[arg(long)]
    plan: PathBuf,
    /// The plan's digest: the verdict is about that.
    #[arg(long)]
    digest: String,
    /// File with the command line, read-only at the same place in the sandbox.
    #[arg(long, default_value = crate::gate::layout::CLI)]
    cli: PathBuf,
    /// File with the private key of the wallet that funds the room; without it nothing is
    /// paid.
    #[arg(long)]
    wallet_file: Option<PathBuf>,
    /// File with the key of the model's server; without it none is sent.
    #[arg(long)]
    model_key_file: Option<PathBuf>,
    /// Where the sandbox finds programs.
    #[arg(long, default_value = "/usr/local/bin")]
    sandbox_path: String,
    /// Where the sandbox may write.
    #[arg(long, default_value = "/tmp")]
    sandbox_home: PathBuf,
    /// Loopback port on which the sandbox reports.
    #[arg(long, default_value_t = crate::gate::CONTROL_PORT)]
    control_port: u16,
    /// The room's name is the Job's.
    #[command(flatten)]
    last_words: LastWords,
}
