//! A way past every boundary of the loop: two primitives are made side by side, one of
//! them to be live, a third is taken back before its merge, one is retained and taken up again, one is
//! merged by somebody else, and at last all go.

use std::time::Duration;

use flywheel::api::{factory::Factory, primitive::Primitive};
use kube::api::{DeleteParams, PostParams};
use serde_json::json;

use super::{Bed, end};
use crate::{
    cluster::{
        bed::NAME,
        journey::{answering, by_hand, changes, declare, document, gone, live, packaged, patch, primitives},
    },
    support::until_within,
};

/// Longest way between two places where the journey waits: many deaths lie between.
const PATIENCE: Duration = Duration::from_secs(180);

/// Goes there and back. The primitives' ids begin with `name`.
pub(super) async fn journey(bed: &Bed, name: &str) {
    let client = &bed.client;
    let [first, second, early, adopted] = ["a", "b", "c", "d"].map(|letter| format!("{name}{letter}"));
    let before = end::Before::look(bed, [&first, &second, &early, &adopted]).await;

    // Both have their pull requests before either is merged: the second is outdated then.
    for (id, stage) in [(&first, "Live"), (&second, "Testing")] {
        bed.node.hold_gates(id);
        declare(client, document(id, "Survives."), json!({ "stage": stage })).await;
    }
    proposed(bed, &first).await;
    proposed(bed, &second).await;
    bed.node.end_gates(&first);
    bed.node.end_gates(&second);
    for primitive in [live(client, &first).await, answering(client, &second).await] {
        before.made(bed, &primitive).await;
    }

    // Taken back before its merge.
    bed.node.hold_gates(&early);
    declare(client, document(&early, "Is not to be."), json!({})).await;
    proposed(bed, &early).await;
    // As Argo CD prunes: the garbage collector's own finalizer goes beside ours.
    primitives(client).delete(&early, &DeleteParams::foreground()).await.expect("delete");
    gone(client, &early).await;
    before.taken_back(bed, &early).await;
    // Its gate goes on without it, and has a place among those that run until it ends.
    bed.node.end_gates(&early);

    // Let go, and taken up again.
    patch(client, &second, json!({ "deletionPolicy": "Retain" })).await;
    delete(bed, &second).await;
    retained(bed, &second, true).await;
    end::runs(bed, &second).await;
    declare(client, document(&second, "Survives."), json!({})).await;
    let again = answering(client, &second).await;
    before.made(bed, &again).await;

    // Merged by somebody, and taken up: what is on the base branch has its Primitive.
    let files = packaged(document(&adopted, "Is adopted."));
    let change = by_hand(&format!("{adopted}-by-hand"), &adopted, &files);
    changes(client).create(&PostParams::default(), &change).await.expect("AgentPR");
    let taken_up = answering(client, &adopted).await;
    before.made(bed, &taken_up).await;
    patch(client, &adopted, json!({ "deletionPolicy": "Delete" })).await;

    for id in [&first, &second, &adopted] {
        primitives(client).delete(id, &DeleteParams::default()).await.expect("delete");
    }
    for id in [&first, &second, &adopted] {
        gone(client, id).await;
        before.removed(bed, id).await;
    }
    retained(bed, &second, false).await;
}

async fn delete(bed: &Bed, id: &str) {
    primitives(&bed.client).delete(id, &DeleteParams::default()).await.expect("delete");
    gone(&bed.client, id).await;
}

/// Waits until the Primitive's newest AgentPR has its pull request.
async fn proposed(bed: &Bed, id: &str) {
    let name = until_within(PATIENCE, primitives(&bed.client), id, "proposed", |p| proposal(p).is_some()).await;
    let name = proposal(&name).expect("an AgentPR");
    until_within(PATIENCE, changes(&bed.client), &name, "open", |c| c.status.as_ref().is_some_and(|s| s.number.is_some())).await;
}

fn proposal(primitive: &Primitive) -> Option<String> {
    primitive.status.as_ref()?.agent_pr.clone()
}

/// Waits until the Factory has noted that a package was left, or no longer has.
async fn retained(bed: &Bed, id: &str, noted: bool) {
    let has = |f: &Factory| f.status.as_ref().is_some_and(|s| s.retained.contains_key(id));
    until_within(PATIENCE, bed.factories(), NAME, "noting what is retained", |f| has(f) == noted).await;
}
