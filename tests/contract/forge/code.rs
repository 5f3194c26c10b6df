//! Commits, trees, files and branches.

use flywheel::{
    api::{conditions::Reason, names::Sha},
    ports::{
        error::Class,
        forge::{Commit, Committed, EntryKind, Removed},
    },
};

use super::{super::refused, Arrange, Who, branch, change, draft, main_branch, main_head, removal};

/// No repository has a commit of this id.
fn nowhere() -> Sha {
    "0123456789abcdef0123456789abcdef01234567".parse().unwrap()
}

pub async fn suite(arrange: &dyn Arrange) {
    arrange.reset().await;
    written_and_read(arrange).await;
    arrange.reset().await;
    repeated(arrange).await;
    arrange.reset().await;
    changed_and_removed(arrange).await;
    arrange.reset().await;
    refusals(arrange).await;
    arrange.reset().await;
    branches_removed(arrange).await;
}

/// The head that a call made.
#[track_caller]
pub fn made(outcome: Committed) -> Sha {
    match outcome {
        Committed::Made(sha) => sha,
        other => panic!("expected a new commit: {other:?}"),
    }
}

async fn written_and_read(arrange: &dyn Arrange) {
    let forge = arrange.forge(Who::Bot).await;
    let onto = main_head(&*forge).await;
    let odd = "packages/search/a b/50% ü#?.txt";
    let mut new = draft("agent/search-1", &onto);
    new.changes = vec![
        change("packages/search/prim.yaml", "hello\n"),
        change("packages/search/src/index.ts", "export {};\n"),
        change(odd, ""),
        change("packages/store/prim.yaml", "id: store\n"),
    ];
    let head = made(forge.commit_files(&new).await.unwrap());
    assert_eq!(forge.branch(&new.branch).await.unwrap().head, head);
    assert_eq!(main_head(&*forge).await, onto, "main stays where it was");

    let commit = forge.commit(&head).await.unwrap().expect("the commit");
    assert_eq!(commit, Commit { sha: head.clone(), tree: commit.tree.clone(), parents: vec![onto.clone()] });
    assert_ne!(forge.commit(&onto).await.unwrap().expect("the base").tree, commit.tree);
    assert_eq!(forge.commit(&nowhere()).await.unwrap(), None);

    let root = forge.tree(&head, "").await.unwrap().expect("the root");
    assert_eq!(root.sha, commit.tree, "the root is the commit's tree");
    let package = forge.tree(&head, "packages/search").await.unwrap().expect("the package");
    let listed: Vec<_> = package.entries.iter().map(|e| (e.path.as_str(), e.kind, e.size)).collect();
    let mut expected = vec![
        ("a b", EntryKind::Directory, 0),
        ("a b/50% ü#?.txt", EntryKind::File, 0),
        ("prim.yaml", EntryKind::File, 6),
        ("src", EntryKind::Directory, 0),
        ("src/index.ts", EntryKind::File, 11),
    ];
    let mut sorted = listed.clone();
    sorted.sort_by_key(|entry| entry.0);
    expected.sort_by_key(|entry| entry.0);
    assert_eq!(sorted, expected);
    let hello = package.entries.iter().find(|e| e.path == "prim.yaml").unwrap();
    assert_eq!(hello.sha.as_str(), "ce013625030ba8dba906f756967f9e9ca394464a", "as git names it");
    let in_root = root.entries.iter().find(|e| e.path == "packages/search").unwrap();
    assert_eq!(in_root.sha, package.sha, "a directory has one id wherever it is asked for");

    for path in ["packages/none", "none", "packages/search/prim.yaml", "packages/search/prim.yaml/x", ".."] {
        assert_eq!(forge.tree(&head, path).await.unwrap(), None, "{path} is no directory");
    }
    assert_eq!(forge.tree(&onto, "packages/search").await.unwrap(), None, "not in the base");
    assert_eq!(forge.file(&head, "packages/search/prim.yaml", 6).await.unwrap().as_deref(), Some(&b"hello\n"[..]));
    assert_eq!(forge.file(&head, odd, 0).await.unwrap().as_deref(), Some(&b""[..]));
    assert_eq!(forge.blob(&hello.sha, 6).await.unwrap(), b"hello\n");
    for path in ["packages/search", "packages/search/none", "packages/search/../search/prim.yaml"] {
        assert_eq!(forge.file(&head, path, 100).await.unwrap(), None, "{path} is no file");
    }
    refused(forge.file(&head, "packages/search/prim.yaml", 5).await, Class::Invalid, Reason::Invalid, "a file above the limit");
    refused(forge.blob(&hello.sha, 5).await, Class::Invalid, Reason::Invalid, "content above the limit");
    refused(forge.blob(&nowhere(), 5).await, Class::Conflict, Reason::Conflict, "content that is not there");
    refused(forge.tree(&nowhere(), "").await, Class::Conflict, Reason::Conflict, "a tree of no commit");
    refused(forge.file(&nowhere(), "x", 9).await, Class::Conflict, Reason::Conflict, "a file of no commit");
}

async fn repeated(arrange: &dyn Arrange) {
    let forge = arrange.forge(Who::Bot).await;
    let onto = main_head(&*forge).await;
    let new = draft("agent/search-1", &onto);
    let head = made(forge.commit_files(&new).await.unwrap());
    assert_eq!(forge.commit_files(&new).await.unwrap(), Committed::Unchanged(head.clone()), "asked twice, made once");

    let mut other = new.clone();
    other.changes = vec![change("packages/search/prim.yaml", "id: other\n")];
    assert_eq!(forge.commit_files(&other).await.unwrap(), Committed::HeadMoved(head.clone()), "the branch holds something else");
    assert_eq!(forge.branch(&new.branch).await.unwrap().head, head, "and is left alone");

    // What a crash between the branch and its commit leaves.
    let interrupted = draft("agent/search-2", &onto);
    arrange.branch_at(&interrupted.branch, &onto).await;
    let again = made(forge.commit_files(&interrupted).await.unwrap());
    assert_eq!(again, head, "equal commits have one id");

    let further = arrange.commit(&new.branch).await;
    assert_eq!(forge.commit_files(&new).await.unwrap(), Committed::HeadMoved(further), "somebody pushed on top of it");
}

async fn changed_and_removed(arrange: &dyn Arrange) {
    let forge = arrange.forge(Who::Bot).await;
    let onto = main_head(&*forge).await;
    let first = made(forge.commit_files(&draft("agent/first", &onto)).await.unwrap());

    let mut same = draft("agent/same", &first);
    same.changes.push(removal("packages/none.txt"));
    assert_eq!(forge.commit_files(&same).await.unwrap(), Committed::Empty);
    refused(forge.branch(&same.branch).await, Class::Invalid, Reason::BranchNotFound, "nothing to commit makes no branch");

    // Onto a commit that is no branch's head any more.
    arrange.commit(&branch("agent/first")).await;
    let mut second = draft("agent/second", &first);
    second.changes = vec![
        change("packages/search/prim.yaml", "id: changed\n"),
        removal("packages/search/src/index.ts"),
        change("packages/search/src/main.ts", "export const x = 1;\n"),
        removal("packages/search/src/none.ts"),
    ];
    let head = made(forge.commit_files(&second).await.unwrap());
    assert_eq!(forge.commit(&head).await.unwrap().unwrap().parents, [first]);
    let there: Vec<_> = forge.tree(&head, "packages/search").await.unwrap().unwrap().entries.into_iter().map(|e| e.path).collect();
    assert_eq!(there, ["prim.yaml", "src", "src/main.ts"]);
    assert_eq!(forge.commit_files(&second).await.unwrap(), Committed::Unchanged(head));
}

async fn refusals(arrange: &dyn Arrange) {
    let forge = arrange.forge(Who::Bot).await;
    let onto = main_head(&*forge).await;
    refused(forge.commit_files(&draft("agent/x", &nowhere())).await, Class::Conflict, Reason::Conflict, "onto no commit");
    for path in ["../x", "/x", "a//b", "a/./b", "x/", ""] {
        let mut new = draft("agent/x", &onto);
        new.changes.push(change(path, "x"));
        refused(forge.commit_files(&new).await, Class::Invalid, Reason::Invalid, &format!("the path {path:?}"));
    }
    refused(forge.branch(&branch("agent/x")).await, Class::Invalid, Reason::BranchNotFound, "nothing was begun");

    let mut into_main = draft("main", &onto);
    into_main.changes = vec![change("x.txt", "x")];
    refused(forge.commit_files(&into_main).await, Class::Denied, Reason::PermissionMissing, "a push to the protected branch");

    let reader = arrange.forge(Who::Reader).await;
    refused(reader.commit_files(&draft("agent/x", &onto)).await, Class::Denied, Reason::PermissionMissing, "a commit as Reader");
    arrange.archive(true).await;
    refused(forge.commit_files(&draft("agent/x", &onto)).await, Class::Denied, Reason::MergeUnavailable, "a commit to an archive");
    arrange.archive(false).await;

    // Nothing is proven about a repository that can't be seen.
    let missing = arrange.missing_repository().await;
    refused(missing.commit(&onto).await, Class::Invalid, Reason::RepositoryNotFound, "a commit of no repository");
    refused(missing.tree(&onto, "packages").await, Class::Invalid, Reason::RepositoryNotFound, "a tree of no repository");
    refused(missing.file(&onto, "x", 1).await, Class::Invalid, Reason::RepositoryNotFound, "a file of no repository");
    refused(missing.find_pull(&main_branch(), &branch("x")).await, Class::Invalid, Reason::RepositoryNotFound, "its pull requests");
    refused(missing.delete_branch(&branch("x"), &onto).await, Class::Invalid, Reason::RepositoryNotFound, "its branches");
}

async fn branches_removed(arrange: &dyn Arrange) {
    let forge = arrange.forge(Who::Bot).await;
    let onto = main_head(&*forge).await;
    let name = branch("agent/search-1");
    let head = made(forge.commit_files(&draft(name.as_str(), &onto)).await.unwrap());
    assert_eq!(forge.delete_branch(&name, &onto).await.unwrap(), Removed::HeadMoved(head.clone()));
    assert_eq!(forge.delete_branch(&name, &head).await.unwrap(), Removed::Removed);
    assert_eq!(forge.delete_branch(&name, &head).await.unwrap(), Removed::Absent);
    refused(forge.branch(&name).await, Class::Invalid, Reason::BranchNotFound, "the branch is gone");
    refused(forge.delete_branch(&main_branch(), &onto).await, Class::Denied, Reason::PermissionMissing, "removing the base branch");
}
