//! What a change costs: how often its forge is asked, from files to merge.

use std::sync::Arc;

use flywheel::{api::gate_run::GateRun, controller::driver};
use kube::core::DeserializeGuard;

use super::Run;

impl Run {
    /// A pass over each run that has no verdict, as the gate's controller has it.
    async fn gate_passes(&self) {
        for gate in self.gates().into_iter().filter(|gate| gate["status"]["verdict"].is_null()) {
            let object: GateRun = serde_json::from_value(gate).unwrap();
            driver::pass::<GateRun>(Arc::new(DeserializeGuard(Ok(object))), self.cx.clone()).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_change_asks_its_forge_no_more_than_it_must() {
    let run = Run::new();
    run.add("notes-1", "notes", 0);
    run.settle("notes-1").await;
    run.gate_passes().await;
    assert_eq!(run.api.objects("/apis/batch/v1/namespaces/flywheel-gates/jobs").len(), 1, "the gate has read what it tests");
    run.judge("Passed");
    run.settle("notes-1").await;
    run.says("notes-1", "Ready", "True", "Merged");
    let all = run.world.read(|w| w.forge.faults.all_calls());
    let of = |operation| run.calls(operation);
    // Its own files come back from nowhere: their contents are known by their ids.
    assert_eq!(of("blob"), 0);
    assert_eq!((of("commit"), of("tree")), (3, 2), "each commit is read once: base, head, merge");
    assert_eq!((of("account"), of("labels")), (0, 0));
    // Calls of the port: some are several requests of a real forge.
    assert!(all <= 33, "{all} calls: {:?}", run.world.read(|w| format!("{:?}", w.forge.faults)));
}
