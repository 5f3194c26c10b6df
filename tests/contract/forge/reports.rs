//! Commit statuses, and the one comment.

use flywheel::{
    api::conditions::Reason,
    ports::{
        error::Class,
        forge::{CommitStatus, StatusState, Written},
    },
};

use super::{
    super::refused,
    Arrange, Who, main_head,
    pulls::{LABEL, label, opened},
};

pub async fn suite(arrange: &dyn Arrange) {
    arrange.reset().await;
    statuses(arrange).await;
    arrange.reset().await;
    comments(arrange).await;
}

fn status(context: &str, state: StatusState, description: &str) -> CommitStatus {
    CommitStatus { context: context.into(), state, description: description.into(), target_url: "https://gate.example/1".into() }
}

async fn statuses(arrange: &dyn Arrange) {
    let forge = arrange.forge(Who::Bot).await;
    let head = main_head(&*forge).await;
    assert_eq!(forge.statuses(&head).await.unwrap(), []);
    for state in [StatusState::Pending, StatusState::Error, StatusState::Failure, StatusState::Success] {
        let one = status("flywheel/gate", state, "why");
        assert_eq!(forge.set_status(&head, &one).await.unwrap(), Written::Written, "{state:?}");
        assert_eq!(forge.set_status(&head, &one).await.unwrap(), Written::Unchanged, "{state:?} again");
        assert_eq!(forge.statuses(&head).await.unwrap(), [one], "the newest alone counts");
    }
    let reworded = status("flywheel/gate", StatusState::Success, "other words");
    assert_eq!(forge.set_status(&head, &reworded).await.unwrap(), Written::Written);

    // More than a page of any forge that we know.
    let mut wanted = vec![reworded];
    for n in 0..53 {
        let one = status(&format!("other/{n:02}"), StatusState::Pending, "");
        forge.set_status(&head, &one).await.unwrap();
        wanted.push(one);
    }
    assert_eq!(forge.statuses(&head).await.unwrap(), wanted, "every page, by context");

    let strange = status("flywheel/gate", StatusState::Other, "");
    refused(forge.set_status(&head, &strange).await, Class::Invalid, Reason::Invalid, "a state that nobody can set");
    let nowhere = "0123456789abcdef0123456789abcdef01234567".parse().unwrap();
    refused(forge.statuses(&nowhere).await, Class::Conflict, Reason::Conflict, "statuses of no commit");
    refused(forge.set_status(&nowhere, &wanted[0]).await, Class::Conflict, Reason::Conflict, "a status of no commit");
    let reader = arrange.forge(Who::Reader).await;
    let new = status("reader", StatusState::Success, "");
    refused(reader.set_status(&head, &new).await, Class::Denied, Reason::PermissionMissing, "a status as Reader");
}

async fn comments(arrange: &dyn Arrange) {
    let forge = arrange.forge(Who::Bot).await;
    label(&*forge, LABEL).await;
    let number = opened(&*forge, "agent/search-1").await.number;
    // Anybody may write anything, our marker too.
    let other = arrange.forge(Who::Admin).await;
    other.upsert_comment(number, "flywheel", "somebody else's").await.unwrap();

    assert_eq!(forge.upsert_comment(number, "flywheel", "waiting").await.unwrap(), Written::Written);
    assert_eq!(forge.upsert_comment(number, "flywheel", "waiting").await.unwrap(), Written::Unchanged);
    let body = "| step | result |\n| --- | --- |\n| tests | **red** ü |\n";
    assert_eq!(forge.upsert_comment(number, "flywheel", body).await.unwrap(), Written::Written);
    assert_eq!(forge.upsert_comment(number, "flywheel", body).await.unwrap(), Written::Unchanged);
    assert_eq!(forge.upsert_comment(number, "another", "apart").await.unwrap(), Written::Written);
    let there = arrange.comments(number).await;
    let expected =
        ["<!-- flywheel -->\nsomebody else's".to_owned(), format!("<!-- flywheel -->\n{body}"), "<!-- another -->\napart".into()];
    assert_eq!(there, expected, "edited in place, and only ours");
    refused(forge.upsert_comment(number + 7, "flywheel", "x").await, Class::Conflict, Reason::Conflict, "a comment on no pull request");
}
