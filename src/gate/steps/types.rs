//! The TypeScript compiler, by the base branch's configuration. It reads types
//! and runs nothing: plug-ins belong to its editor service, not to it.

use super::{Place, environment, judged};
use crate::gate::{exec::Tool, report::Step};

/// The step.
pub async fn step(place: &Place) -> Step {
    let tool = Tool {
        program: place.tools.join("tsc"),
        arguments: ["--noEmit", "--pretty", "false", "--project", "tsconfig.json"].map(String::from).into(),
        env: environment(),
        directory: place.work.clone(),
        input: Vec::new(),
    };
    judged("types", tool.run(place.patience).await, "mend what `bun run typecheck` says")
}
