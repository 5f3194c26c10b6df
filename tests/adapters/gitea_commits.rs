//! Committing files: what was interrupted is taken up, what is somebody else's is
//! left alone, and nothing is committed to another commit than the one named.

use flywheel::{
    adapters::git::Format,
    api::{
        conditions::Reason,
        names::{Branch, Sha},
    },
    ports::{
        error::{Class, PortError},
        forge::{Change, Code, Committed, EntryKind, Forge, NewCommit, Removed},
    },
};
use serde_json::{Value, json};
use std::time::Duration;

use super::{
    gitea::TOKEN,
    gitea_script::{Line, Script, good, limited, on, said},
    refused,
};
use crate::world::forge::sha;

const README: &[u8] = b"# factory\n";
const DOCUMENT: &[u8] = b"id: search\n";
const BRANCH: &str = "/branches/agent%2Fsearch-1";

fn new_commit() -> NewCommit {
    NewCommit {
        branch: "agent/search-1".parse::<Branch>().unwrap(),
        onto: sha(1),
        message: "Add search".into(),
        date: jiff::Timestamp::from_second(1_800_000_000).unwrap(),
        changes: vec![Change { path: "packages/search/prim.yaml".into(), content: Some(DOCUMENT.to_vec()) }],
    }
}

/// The ids of: the package, all packages, the root before and after.
fn trees() -> [Sha; 4] {
    let file = |path: &str, content: &[u8]| (path.to_owned(), (EntryKind::File, Format::Sha1.blob(content)));
    let tree = |files: &[(String, (EntryKind, Sha))]| Format::Sha1.tree(&files.iter().cloned().collect());
    let readme = file("README.md", README);
    [
        tree(&[file("prim.yaml", DOCUMENT)]),
        tree(&[file("search/prim.yaml", DOCUMENT)]),
        tree(std::slice::from_ref(&readme)),
        tree(&[readme, file("packages/search/prim.yaml", DOCUMENT)]),
    ]
}

fn listing(entries: &[Value]) -> Value {
    json!({ "tree": entries, "truncated": false })
}

fn readme() -> Value {
    json!({ "path": "README.md", "mode": "100644", "sha": Format::Sha1.blob(README).as_str(), "size": README.len() })
}

/// What the root holds after the commit.
fn after() -> Value {
    listing(&[readme(), json!({ "path": "packages", "mode": "040000", "sha": trees()[1].as_str(), "size": 0 })])
}

fn commit(id: &Sha, parents: &[Sha]) -> Value {
    json!({ "sha": id.as_str(), "parents": parents.iter().map(|p| json!({ "sha": p.as_str() })).collect::<Vec<_>>() })
}

fn head(id: &Sha) -> Value {
    json!({ "commit": { "id": id.as_str() } })
}

/// What `POST contents` answers.
fn made(id: &Sha, parent: &Sha, tree: &Sha) -> Value {
    let mut commit = commit(id, std::slice::from_ref(parent));
    commit["tree"] = json!({ "sha": tree.as_str() });
    json!({ "commit": commit })
}

/// Reads of the commit that is built on, and of two that may be the branch's: 2 is
/// what the call makes, 3 is somebody else's.
fn commits() -> Vec<Line> {
    let tree = |id: &str| format!("/git/trees/{id}");
    vec![
        on("GET", format!("/git/commits/{}", sha(1)), [good(&commit(&sha(1), &[]))]),
        on("GET", tree(sha(1).as_str()), [good(&listing(&[readme()]))]),
        on("GET", tree(trees()[2].as_str()), [good(&listing(&[readme()]))]),
        on("GET", format!("/git/commits/{}", sha(2)), [good(&commit(&sha(2), &[sha(1)]))]),
        on("GET", tree(sha(2).as_str()), [good(&after())]),
        on("GET", format!("/git/commits/{}", sha(3)), [good(&commit(&sha(3), &[sha(1)]))]),
        on("GET", tree(sha(3).as_str()), [good(&listing(&[]))]),
        // The same files on another commit.
        on("GET", format!("/git/commits/{}", sha(4)), [good(&commit(&sha(4), &[sha(9)]))]),
        on("GET", tree(sha(4).as_str()), [good(&after())]),
    ]
}

async fn commit_by(lines: Vec<Line>, new: &NewCommit) -> (Result<Committed, PortError>, Script) {
    let script = Script::start(lines.into_iter().chain(commits())).await;
    (script.gitea.commit_files(new).await, script)
}

const REFS: &str = "/git/refs/heads/agent/search-1";
const BRANCHES: &str = "POST /branches";
const CONTENTS: &str = "POST /contents";

#[tokio::test]
async fn a_commit_is_made_on_what_was_named_or_taken_up_where_it_was_left() {
    let tree = &trees()[3];
    let there = |answers: &[&Sha]| -> Line { ("GET", BRANCH.into(), answers.iter().map(|id| good(&head(id))).collect()) };
    let nothing_there = || on("GET", BRANCH, [said(404, "no such branch")]);
    let makes = || on("POST", "/contents", [good(&made(&sha(2), &sha(1), tree))]);
    let refuses = |code| on("POST", "/contents", [said(code, "sha does not match")]);
    let ours = Committed::Unchanged(sha(2));
    type Row = (&'static str, Vec<Line>, Committed, &'static [&'static str]);
    let rows: Vec<Row> = vec![
        (
            "nothing there",
            vec![nothing_there(), on("POST", "/branches", [good(&json!({}))]), makes()],
            Committed::Made(sha(2)),
            &[BRANCHES, CONTENTS],
        ),
        ("the branch alone is there", vec![there(&[&sha(1)]), makes()], Committed::Made(sha(2)), &[CONTENTS]),
        ("all is there, and the answer was lost", vec![there(&[&sha(2)])], ours.clone(), &[]),
        ("somebody else's commit is there", vec![there(&[&sha(3)])], Committed::HeadMoved(sha(3)), &[]),
        ("the same files on another commit are there", vec![there(&[&sha(4)])], Committed::HeadMoved(sha(4)), &[]),
        (
            "somebody makes the branch first",
            vec![on("GET", BRANCH, [said(404, ""), good(&head(&sha(3)))]), on("POST", "/branches", [said(409, "branch exists")])],
            Committed::HeadMoved(sha(3)),
            &[BRANCHES],
        ),
        ("our own commit is faster than its answer", vec![there(&[&sha(1), &sha(2)]), refuses(422)], ours.clone(), &[CONTENTS]),
        ("the same, told as a conflict", vec![there(&[&sha(1), &sha(2)]), refuses(409)], ours, &[CONTENTS]),
        ("somebody is faster", vec![there(&[&sha(1), &sha(3)]), refuses(404)], Committed::HeadMoved(sha(3)), &[CONTENTS]),
        (
            "somebody pushed, and the commit went on top of that",
            vec![there(&[&sha(1)]), on("POST", "/contents", [good(&made(&sha(5), &sha(3), tree))])],
            Committed::HeadMoved(sha(5)),
            &[CONTENTS],
        ),
    ];
    for (what, lines, expected, wrote) in rows {
        let (result, script) = commit_by(lines, &new_commit()).await;
        assert_eq!(result.unwrap_or_else(|e| panic!("{what}: {e}")), expected, "{what}");
        assert_eq!(script.wrote().await, wrote, "{what}");
    }
}

#[tokio::test]
async fn a_commit_that_fails_has_its_class() {
    let there = || on("GET", BRANCH, [good(&head(&sha(1)))]);
    let answer = |answer| vec![there(), on("POST", "/contents", [answer])];
    let rows = [
        (answer(said(500, "git failed")), Class::Transient, Reason::ServerError, "500"),
        (answer(limited()), Class::RateLimited(Duration::from_secs(7)), Reason::RateLimited, "7 s"),
        (answer(said(403, "required=[write:repository]")), Class::Denied, Reason::PermissionMissing, "write:repository"),
        (answer(said(423, "archived")), Class::Denied, Reason::MergeUnavailable, "unarchive"),
        (answer(said(422, "bad path")), Class::Invalid, Reason::Invalid, "refused the commit"),
        (
            vec![on("GET", BRANCH, [good(&head(&sha(1))), said(404, "")]), on("POST", "/contents", [said(404, "")])],
            Class::Conflict,
            Reason::Conflict,
            "removed meanwhile",
        ),
        (
            vec![
                on("GET", BRANCH, [said(404, "")]),
                on("POST", "/branches", [said(409, "agent is a branch")]),
                on("GET", REFS, [said(404, "")]),
            ],
            Class::Invalid,
            Reason::Invalid,
            "can't be a branch's name",
        ),
        // As a filter in .gitattributes does it.
        (answer(good(&made(&sha(2), &sha(1), &sha(8)))), Class::Bug, Reason::UnexpectedAnswer, "of other content than was sent"),
        (vec![on("GET", format!("/git/commits/{}", sha(1)), [said(404, "")])], Class::Conflict, Reason::Conflict, "has no commit"),
    ];
    for (lines, class, reason, names) in rows {
        refused(commit_by(lines, &new_commit()).await.0, class, reason, names, &[TOKEN]);
    }
}

/// A branch that git has and Gitea does not know, as Gitea 1.26 leaves one whose maker
/// died in the middle of its request.
#[tokio::test]
async fn a_branch_that_was_half_made_is_made_anew() {
    let refs = |name: &str, at: &Sha| json!([{ "ref": format!("refs/heads/{name}"), "object": { "sha": at.as_str() } }]);
    let tree = &trees()[3];
    let lines = |found: &Value| {
        vec![
            on("GET", BRANCH, [said(404, "")]),
            on("POST", "/branches", [said(409, "The branch already exists."), good(&json!({}))]),
            on("GET", REFS, [good(found)]),
            on("DELETE", BRANCH, [good(&json!({}))]),
            on("POST", "/contents", [good(&made(&sha(2), &sha(1), tree))]),
        ]
    };
    let (first, script) = commit_by(lines(&refs("agent/search-1", &sha(1))), &new_commit()).await;
    refused(first, Class::Conflict, Reason::Conflict, "half made", &[TOKEN]);
    assert_eq!(script.gitea.commit_files(&new_commit()).await.unwrap(), Committed::Made(sha(2)));
    assert_eq!(script.wrote().await, [BRANCHES, &format!("DELETE {BRANCH}"), BRANCHES, CONTENTS]);

    // Somebody's work, and another's branch of a longer name.
    for others in [refs("agent/search-1", &sha(3)), refs("agent/search-12", &sha(1))] {
        let (result, script) = commit_by(lines(&others), &new_commit()).await;
        refused(result, Class::Invalid, Reason::Invalid, "can't be a branch's name", &[TOKEN]);
        assert_eq!(script.wrote().await, [BRANCHES]);
    }
}

/// The other half: Gitea 1.26 answers so where git has the branch no more.
#[tokio::test]
async fn a_branch_whose_removal_was_cut_off_is_not_there() {
    let broken = || on("GET", BRANCH, [said(500, "object does not exist [id: refs/heads/agent/search-1, rel_path: ]")]);
    let longer = json!([{ "ref": "refs/heads/agent/search-12", "object": { "sha": sha(1).as_str() } }]);
    for refs in [said(404, ""), good(&longer)] {
        let script = Script::start(vec![broken(), on("GET", REFS, [refs])]).await;
        let name = new_commit().branch;
        refused(script.gitea.branch(&name).await, Class::Invalid, Reason::BranchNotFound, "no branch agent/search-1", &[TOKEN]);
        assert_eq!(script.gitea.delete_branch(&name, &sha(1)).await.unwrap(), Removed::Absent);
    }
    // Where git has it, or can't say, the forge is what fails.
    let there = json!([{ "ref": "refs/heads/agent/search-1", "object": { "sha": sha(1).as_str() } }]);
    for refs in [good(&there), said(500, "")] {
        let script = Script::start(vec![broken(), on("GET", REFS, [refs])]).await;
        refused(script.gitea.branch(&new_commit().branch).await, Class::Transient, Reason::ServerError, "500", &[TOKEN]);
    }
}

#[tokio::test]
async fn what_is_sent_is_the_whole_change_and_no_more() {
    let mut new = new_commit();
    new.changes.extend([Change { path: "README.md".into(), content: None }, Change { path: "gone.md".into(), content: None }]);
    let lines = vec![on("GET", BRANCH, [good(&head(&sha(1)))]), on("POST", "/contents", [said(500, "")])];
    let (_, script) = commit_by(lines, &new).await;
    let expected = json!({
        "branch": "agent/search-1", "message": "Add search",
        "dates": { "author": "2027-01-15T08:00:00Z", "committer": "2027-01-15T08:00:00Z" },
        "files": [
            { "operation": "create", "path": "packages/search/prim.yaml", "content": "aWQ6IHNlYXJjaAo=" },
            { "operation": "delete", "path": "README.md", "sha": Format::Sha1.blob(README).as_str() },
        ],
    });
    assert_eq!(script.writes().await, [(CONTENTS.to_owned(), expected)]);

    let mut nothing = new_commit();
    nothing.changes = vec![Change { path: "README.md".into(), content: Some(README.to_vec()) }];
    let (result, script) = commit_by(vec![], &nothing).await;
    assert_eq!((result.unwrap(), script.wrote().await.is_empty()), (Committed::Empty, true));

    let mut bad = new_commit();
    bad.changes[0].path = "packages/../x".into();
    let (result, script) = commit_by(vec![], &bad).await;
    refused(result, Class::Invalid, Reason::Invalid, "packages/../x", &[TOKEN]);
    assert!(script.wrote().await.is_empty());
}
