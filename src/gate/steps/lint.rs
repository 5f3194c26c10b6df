//! Biome, by the base branch's configuration. A second configuration anywhere in
//! the tree would be an error to it, not an addition.

use super::{Place, environment, judged};
use crate::gate::{exec::Tool, report::Step};

/// The step.
pub async fn step(primitive: &str, place: &Place) -> Step {
    let tool = Tool {
        program: place.tools.join("biome"),
        arguments: vec![
            "ci".into(),
            "--config-path=biome.json".into(),
            "--vcs-enabled=false".into(),
            "--colors=off".into(),
            "--max-diagnostics=50".into(),
            format!("packages/{primitive}"),
        ],
        env: environment(),
        directory: place.work.clone(),
        input: Vec::new(),
    };
    judged("lint", tool.run(place.patience).await, "run `bun run format` in the repository, and mend what `bun run lint` says")
}
