//! Pull requests, up to their merge.

use flywheel::{
    api::{
        conditions::Reason,
        names::{Branch, Sha},
    },
    ports::{
        error::Class,
        forge::{Committed, Forge, Mergeable, NewPull, Opened, Pull, PullState, Updated},
    },
};

use super::{super::refused, Arrange, Who, branch, change, code::made, draft, good_rule, main_branch, main_head};

/// The label that the suite gives.
pub const LABEL: &str = "agent-pr";

pub async fn suite(arrange: &dyn Arrange) {
    arrange.reset().await;
    opened_once(arrange).await;
    arrange.reset().await;
    arrange.reset().await;
    closed(arrange).await;
    arrange.reset().await;
    updated_from_the_base(arrange).await;
}

pub fn request(head: &str) -> NewPull {
    NewPull {
        base: main_branch(),
        head: branch(head),
        title: "Add search".into(),
        body: "Made by a test".into(),
        labels: vec![LABEL.into()],
    }
}

/// A branch with one commit on main's head, and its pull request.
pub async fn opened(forge: &dyn Forge, head: &str) -> Pull {
    let onto = main_head(forge).await;
    made(forge.commit_files(&draft(head, &onto)).await.unwrap());
    match forge.open_pull(&request(head)).await.unwrap() {
        Opened::Made(pull) => pull,
        Opened::There(pull) => panic!("it was there already: {pull:?}"),
    }
}

pub async fn label(forge: &dyn Forge, name: &str) {
    let label = flywheel::ports::forge::Label { name: name.into(), color: "1d76db".into(), description: String::new() };
    forge.create_label(&label).await.unwrap();
}

/// Puts a commit with one file straight onto main, past its protection.
pub async fn into_main(arrange: &dyn Arrange, path: &str, content: &str) -> Sha {
    arrange.protect(None).await;
    let forge = arrange.forge(Who::Bot).await;
    let mut new = draft("main", &main_head(&*forge).await);
    new.changes = vec![change(path, content)];
    let head = match forge.commit_files(&new).await.unwrap() {
        Committed::Made(sha) => sha,
        other => panic!("{other:?}"),
    };
    arrange.protect(Some(good_rule(&arrange.bot()))).await;
    head
}

/// Asks until the forge has computed whether a pull request can be merged.
pub async fn clean(forge: &dyn Forge, number: u64) -> Pull {
    let asked = async {
        loop {
            let pull = forge.pull(number).await.unwrap().expect("the pull request");
            if pull.mergeable == Mergeable::Clean {
                return pull;
            }
        }
    };
    tokio::time::timeout(super::PATIENCE, asked).await.expect("mergeable in time")
}

async fn opened_once(arrange: &dyn Arrange) {
    let forge = arrange.forge(Who::Bot).await;
    let head_branch = branch("agent/search-1763913600");
    assert_eq!(forge.find_pull(&main_branch(), &head_branch).await.unwrap(), None);
    refused(forge.open_pull(&request(head_branch.as_str())).await, Class::Waiting, Reason::Waiting, "a label that is not there yet");
    label(&*forge, LABEL).await;
    refused(forge.open_pull(&request(head_branch.as_str())).await, Class::Conflict, Reason::Conflict, "a branch that is not there");

    let pull = opened(&*forge, head_branch.as_str()).await;
    let head = forge.branch(&head_branch).await.unwrap().head;
    assert_eq!(pull.state, PullState::Open);
    assert_eq!(pull.head.as_ref(), Some(&head));
    assert_eq!((pull.head_branch.as_str(), pull.base.as_str(), pull.own_branch), (head_branch.as_str(), "main", true));
    assert_eq!((pull.labels.as_slice(), pull.title.as_str(), &pull.author), (&[LABEL.to_owned()][..], "Add search", &arrange.bot()));
    assert!(pull.url.ends_with(&format!("/pulls/{}", pull.number)), "{}", pull.url);

    let settled = clean(&*forge, pull.number).await;
    assert_eq!(settled, Pull { mergeable: Mergeable::Clean, ..pull.clone() });
    assert_eq!(forge.find_pull(&main_branch(), &head_branch).await.unwrap(), Some(settled.clone()));
    assert_eq!(forge.find_pull(&main_branch(), &branch("agent/other")).await.unwrap(), None);
    assert_eq!(forge.find_pull(&branch("other"), &head_branch).await.unwrap(), None);
    assert_eq!(forge.open_pull(&request(head_branch.as_str())).await.unwrap(), Opened::There(settled), "asked twice, opened once");
    assert_eq!(forge.pull(pull.number + 7).await.unwrap(), None);
}

async fn closed(arrange: &dyn Arrange) {
    let forge = arrange.forge(Who::Bot).await;
    label(&*forge, LABEL).await;
    let number = opened(&*forge, "agent/search-1").await.number;
    for _ in 0..2 {
        assert_eq!(forge.close_pull(number).await.unwrap(), PullState::Closed);
    }
    assert_eq!(forge.pull(number).await.unwrap().unwrap().state, PullState::Closed);
    match forge.open_pull(&request("agent/search-1")).await.unwrap() {
        Opened::There(pull) => assert_eq!((pull.number, pull.state), (number, PullState::Closed), "it stays closed"),
        Opened::Made(pull) => panic!("a second one: {pull:?}"),
    }
    let head = forge.pull(number).await.unwrap().unwrap().head.expect("its head");
    assert_eq!(forge.update_branch(number, &head).await.unwrap(), Updated::NotOpen(PullState::Closed));
    refused(forge.close_pull(number + 7).await, Class::Conflict, Reason::Conflict, "closing no pull request");
    refused(forge.update_branch(number + 7, &head).await, Class::Conflict, Reason::Conflict, "updating no pull request");
}

async fn updated_from_the_base(arrange: &dyn Arrange) {
    let forge = arrange.forge(Who::Bot).await;
    label(&*forge, LABEL).await;
    let pull = opened(&*forge, "agent/search-1").await;
    let old = pull.head.expect("its head");
    assert_eq!(forge.update_branch(pull.number, &old).await.unwrap(), Updated::UpToDate);

    let base = into_main(arrange, "packages/store/prim.yaml", "id: store\n").await;
    assert_eq!(forge.update_branch(pull.number, &base).await.unwrap(), Updated::HeadMoved(old.clone()), "another head was expected");
    let head = match forge.update_branch(pull.number, &old).await.unwrap() {
        Updated::Updated(head) => head,
        other => panic!("{other:?}"),
    };
    assert_eq!(forge.commit(&head).await.unwrap().unwrap().parents, [old.clone(), base]);
    assert_eq!(forge.pull(pull.number).await.unwrap().unwrap().head, Some(head.clone()));
    assert!(forge.tree(&head, "packages/store").await.unwrap().is_some(), "it has what the base got");
    assert!(forge.tree(&head, "packages/search").await.unwrap().is_some(), "and keeps its own");
    assert_eq!(forge.update_branch(pull.number, &head).await.unwrap(), Updated::UpToDate);
    assert_eq!(
        forge.update_branch(pull.number, &old).await.unwrap(),
        Updated::HeadMoved(head.clone()),
        "asked again, as after a lost answer"
    );

    into_main(arrange, "packages/search/prim.yaml", "id: somebody-else\n").await;
    assert_eq!(forge.update_branch(pull.number, &head).await.unwrap(), Updated::Conflict);
    assert_eq!(head_of(&*forge, &branch("agent/search-1")).await, head, "a conflict changes nothing");
}

async fn head_of(forge: &dyn Forge, name: &Branch) -> Sha {
    forge.branch(name).await.unwrap().head
}
