//! Merges, and what holds them.

use flywheel::{
    api::{conditions::Reason, names::Sha},
    ports::{
        error::Class,
        forge::{CommitStatus, Forge, Hold, MergeOutcome, MergeRequest, PullState, Removed, Rule, StatusState, Updated, Written},
    },
};

use super::{
    super::refused,
    Arrange, Who, branch, draft, good_rule, main_branch, main_head,
    pulls::{LABEL, clean, into_main, label, opened},
};

pub async fn suite(arrange: &dyn Arrange) {
    arrange.reset().await;
    held_then_merged(arrange).await;
    arrange.reset().await;
    merged_before(arrange).await;
    arrange.reset().await;
    refusals(arrange).await;
    arrange.reset().await;
    conflicting(arrange).await;
}

fn request(head: &Sha) -> MergeRequest {
    MergeRequest { head: head.clone(), title: "Add search (#1)".into(), message: "Gated-Tree: abc".into() }
}

async fn green(forge: &dyn Forge, head: &Sha) {
    let status = CommitStatus {
        context: "flywheel/gate".into(),
        state: StatusState::Success,
        description: "good".into(),
        target_url: String::new(),
    };
    assert_eq!(forge.set_status(head, &status).await.unwrap(), Written::Written);
}

/// Merges, asking again while the forge itself is not ready.
async fn merged(forge: &dyn Forge, number: u64, head: &Sha) -> MergeOutcome {
    let asked = async {
        loop {
            match forge.merge(number, &request(head)).await.unwrap() {
                MergeOutcome::NotReady(Hold::Forge, said) => assert!(!said.is_empty()),
                other => return other,
            }
        }
    };
    tokio::time::timeout(super::PATIENCE, asked).await.expect("an answer in time")
}

fn held(outcome: &MergeOutcome) -> Option<Hold> {
    match outcome {
        MergeOutcome::NotReady(hold, said) => {
            assert!(!said.is_empty(), "{hold:?} without a word");
            Some(*hold)
        }
        _ => None,
    }
}

async fn held_then_merged(arrange: &dyn Arrange) {
    let forge = arrange.forge(Who::Bot).await;
    label(&*forge, LABEL).await;
    let pull = opened(&*forge, "agent/search-1").await;
    let (number, first) = (pull.number, pull.head.expect("its head"));

    let outcome = merged(&*forge, number, &first).await;
    assert_eq!(held(&outcome), Some(Hold::Checks), "no status yet: {outcome:?}");
    green(&*forge, &first).await;
    let base = into_main(arrange, "packages/store/prim.yaml", "id: store\n").await;
    let outcome = merged(&*forge, number, &first).await;
    assert_eq!(held(&outcome), Some(Hold::Outdated), "the base has moved: {outcome:?}");

    let Updated::Updated(head) = forge.update_branch(number, &first).await.unwrap() else { panic!("not updated") };
    assert_eq!(merged(&*forge, number, &first).await, MergeOutcome::HeadMoved(Some(head.clone())), "the head that was tested is another");
    let outcome = merged(&*forge, number, &head).await;
    assert_eq!(held(&outcome), Some(Hold::Checks), "the new head has no status: {outcome:?}");
    green(&*forge, &head).await;
    clean(&*forge, number).await;
    assert_eq!(merged(&*forge, number, &base).await, MergeOutcome::HeadMoved(Some(head.clone())), "a head of nobody's");

    let MergeOutcome::Merged(merge) = merged(&*forge, number, &head).await else { panic!("not merged") };
    let commit = forge.commit(&merge).await.unwrap().expect("the merge");
    assert_eq!(commit.parents, [base], "squashed into one commit on the base");
    assert_eq!(commit.tree, forge.commit(&head).await.unwrap().unwrap().tree, "what was tested is what is merged");
    assert_eq!(main_head(&*forge).await, merge);

    for _ in 0..2 {
        assert_eq!(merged(&*forge, number, &head).await, MergeOutcome::AlreadyMerged(merge.clone()), "as after a lost answer");
    }
    assert_eq!(forge.close_pull(number).await.unwrap(), PullState::Merged(merge.clone()), "merged stays merged");
    assert_eq!(forge.update_branch(number, &head).await.unwrap(), Updated::NotOpen(PullState::Merged(merge.clone())));

    let name = branch("agent/search-1");
    assert_eq!(forge.delete_branch(&name, &head).await.unwrap(), Removed::Removed);
    let after = forge.find_pull(&main_branch(), &name).await.unwrap().expect("found without its branch");
    assert_eq!((after.number, after.state, after.head_branch.as_str()), (number, PullState::Merged(merge), "agent/search-1"));
}

/// What a merge has pushed, and its forge has not noted, is noted and not made again.
async fn merged_before(arrange: &dyn Arrange) {
    let forge = arrange.forge(Who::Bot).await;
    label(&*forge, LABEL).await;
    let pull = opened(&*forge, "agent/search-1").await;
    let (number, first) = (pull.number, pull.head.expect("its head"));
    for file in draft("agent/search-1", &first).changes {
        into_main(arrange, &file.path, std::str::from_utf8(&file.content.expect("content")).expect("text")).await;
    }
    let base = main_head(&*forge).await;
    let Updated::Updated(head) = forge.update_branch(number, &first).await.unwrap() else { panic!("not updated") };
    green(&*forge, &head).await;
    clean(&*forge, number).await;
    assert_eq!(merged(&*forge, number, &head).await, MergeOutcome::Merged(base.clone()));
    assert_eq!(main_head(&*forge).await, base, "nothing is committed");
    assert_eq!(merged(&*forge, number, &head).await, MergeOutcome::AlreadyMerged(base));
}

async fn refusals(arrange: &dyn Arrange) {
    let forge = arrange.forge(Who::Bot).await;
    label(&*forge, LABEL).await;
    let pull = opened(&*forge, "agent/search-1").await;
    let (number, head) = (pull.number, pull.head.expect("its head"));
    green(&*forge, &head).await;
    clean(&*forge, number).await;

    let reader = arrange.forge(Who::Reader).await;
    refused(reader.merge(number, &request(&head)).await, Class::Denied, Reason::PermissionMissing, "a merge as Reader");
    arrange.protect(Some(Rule { merge_whitelist: Some(vec![]), ..good_rule(&arrange.bot()) })).await;
    refused(forge.merge(number, &request(&head)).await, Class::Denied, Reason::PermissionMissing, "a merge by somebody not listed");
    arrange.protect(Some(good_rule(&arrange.bot()))).await;

    arrange.allow_squash(false).await;
    let outcome = merged(&*forge, number, &head).await;
    assert!(matches!(&outcome, MergeOutcome::Refused(said) if !said.is_empty()), "squash is not allowed: {outcome:?}");
    arrange.allow_squash(true).await;

    forge.close_pull(number).await.unwrap();
    let outcome = merged(&*forge, number, &head).await;
    assert!(matches!(&outcome, MergeOutcome::Refused(said) if !said.is_empty()), "it is closed: {outcome:?}");
    refused(forge.merge(number + 7, &request(&head)).await, Class::Conflict, Reason::Conflict, "merging no pull request");
}

async fn conflicting(arrange: &dyn Arrange) {
    let forge = arrange.forge(Who::Bot).await;
    label(&*forge, LABEL).await;
    let pull = opened(&*forge, "agent/search-1").await;
    let (number, head) = (pull.number, pull.head.expect("its head"));
    green(&*forge, &head).await;
    let base = into_main(arrange, "packages/search/prim.yaml", "id: somebody-else\n").await;
    assert_eq!(forge.update_branch(number, &head).await.unwrap(), Updated::Conflict);
    let outcome = forge.merge(number, &request(&head)).await.unwrap();
    // Which of them, forges differ in; that it is not merged, they agree on.
    assert!(matches!(held(&outcome), Some(Hold::Forge | Hold::Outdated | Hold::Conflict)), "{outcome:?}");
    assert_eq!(main_head(&*forge).await, base);
}
