//! What a change's two commits say before any of its code runs: that the head is
//! the tree that is meant, and that it changes nothing but its own package.
//! Workflows, the root's configuration, the kit and other packages are therefore
//! always the base's.

use std::collections::BTreeMap;

use super::Outcome;
use crate::{
    api::{agent_pr::Revision, gate_run::Verdict, names::Sha},
    ports::forge::{Entry, EntryKind},
};

/// Most paths that a message names.
const NAMED: usize = 10;

/// A commit's files as they count: by path, with content and mode.
type Files<'a> = BTreeMap<&'a str, (&'a Sha, EntryKind)>;

/// The verdict over the change from `base` to `head`, whose tree is `tree`; nothing
/// where its package has to be run.
pub fn judge(primitive: &str, revision: &Revision, tree: &Sha, base: &[Entry], head: &[Entry]) -> Option<Outcome> {
    if let Some(other) = other_tree(revision, tree) {
        return Some(other);
    }
    let (base, head) = (files(base), files(head));
    let package = format!("packages/{primitive}/");
    let outside = differences(&base, &head).filter(|(path, _)| !path.starts_with(&package)).collect::<Vec<_>>();
    if !outside.is_empty() {
        return Some(Outcome::told(
            "files",
            Verdict::Failed,
            format!("a change has files of {package} alone, and this one has {}", list(&outside)),
        ));
    }
    let has = |files: &Files<'_>| files.keys().any(|path| path.starts_with(&package));
    match (has(&base), has(&head)) {
        (_, true) => None,
        (true, false) => Some(Outcome::told("removal", Verdict::Passed, format!("{package} is removed, and nothing else changes"))),
        (false, false) => Some(Outcome::told("files", Verdict::Failed, format!("neither the base nor the head has {package}"))),
    }
}

fn other_tree(revision: &Revision, tree: &Sha) -> Option<Outcome> {
    let problem = || format!("head is another tree: commit {} has tree {tree}, and {} was to be tested", revision.head, revision.tree);
    (tree.as_str() != revision.tree).then(|| Outcome::told("tree", Verdict::Failed, problem()))
}

/// What is derived from a head's packages.
#[derive(Clone, Debug)]
pub struct Derived {
    /// The files, by path with their ids; or why there are none.
    pub wanted: Result<BTreeMap<String, Sha>, String>,
    /// Whether a path is of a file that is derived, and nobody else's.
    pub is_derived: fn(&str) -> bool,
}

/// The verdict over a change of what is derived: it changes nothing else, and all of
/// it is what the head's own packages make. Nothing has to be run for that.
pub fn judge_derived(revision: &Revision, tree: &Sha, base: &[Entry], head: &[Entry], derived: &Derived) -> Outcome {
    if let Some(other) = other_tree(revision, tree) {
        return other;
    }
    let (base, head) = (files(base), files(head));
    let failed = |what: String| Outcome::told("derived", Verdict::Failed, what);
    let outside = differences(&base, &head).filter(|(path, _)| !(derived.is_derived)(path)).collect::<Vec<_>>();
    if !outside.is_empty() {
        return failed(format!("a change of what is derived has such files alone, and this one has {}", list(&outside)));
    }
    let wanted = match &derived.wanted {
        Ok(wanted) => wanted.iter().map(|(path, sha)| (path.as_str(), (sha, EntryKind::File))).collect::<Files<'_>>(),
        Err(problem) => return failed(format!("nothing can be derived: {problem}")),
    };
    // Whether it can be run says nothing of what it is, and no change of ours could mend it.
    let plain = |kind| if kind == EntryKind::Executable { EntryKind::File } else { kind };
    let there = head.into_iter().filter(|(path, _)| (derived.is_derived)(path));
    let there: Files<'_> = there.map(|(path, (sha, kind))| (path, (sha, plain(kind)))).collect();
    let other = differences(&wanted, &there).collect::<Vec<_>>();
    if !other.is_empty() {
        return failed(format!("these are not as the packages make them: {}", list(&other)));
    }
    Outcome::told("derived", Verdict::Passed, format!("{} files are what the packages make them, and nothing else changes", wanted.len()))
}

fn files(entries: &[Entry]) -> Files<'_> {
    entries.iter().filter(|e| e.kind != EntryKind::Directory).map(|e| (e.path.as_str(), (&e.sha, e.kind))).collect()
}

/// Every path that is not the same in both, and what became of it.
fn differences<'a>(base: &'a Files<'a>, head: &'a Files<'a>) -> impl Iterator<Item = (&'a str, &'static str)> {
    let gone = base.keys().filter(|path| !head.contains_key(*path)).map(|path| (*path, "removed"));
    let other = head.iter().filter_map(|(path, file)| match base.get(path) {
        None => Some((*path, "added")),
        Some(before) if before != file => Some((*path, "changed")),
        Some(_) => None,
    });
    other.chain(gone)
}

fn list(paths: &[(&str, &str)]) -> String {
    let named = paths.iter().take(NAMED).map(|(path, what)| format!("{path:?} ({what})")).collect::<Vec<_>>().join(", ");
    match paths.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sha(digit: char) -> Sha {
        digit.to_string().repeat(40).parse().expect("a sha")
    }

    fn entry(path: &str, content: char, kind: EntryKind) -> Entry {
        Entry { path: path.into(), sha: sha(content), size: 1, kind }
    }

    fn base() -> Vec<Entry> {
        vec![
            entry(".github/workflows/ci.yml", '1', EntryKind::File),
            entry("biome.json", '1', EntryKind::File),
            entry("kit/src/index.ts", '1', EntryKind::File),
            entry("packages", '1', EntryKind::Directory),
            entry("packages/notes/prim.yaml", '1', EntryKind::File),
            entry("packages/notes/src/index.ts", '1', EntryKind::File),
            entry("packages/search/prim.yaml", '1', EntryKind::File),
            entry("run.sh", '1', EntryKind::Executable),
        ]
    }

    fn revision() -> Revision {
        Revision { base: sha('a').to_string(), head: sha('b').to_string(), tree: sha('c').to_string() }
    }

    fn judged(head: &[Entry]) -> Option<Outcome> {
        judge("notes", &revision(), &sha('c'), &base(), head)
    }

    fn with(entries: &[Entry]) -> Vec<Entry> {
        let mut all = base();
        for entry in entries {
            all.retain(|e| e.path != entry.path);
            all.push(entry.clone());
        }
        all
    }

    fn without(paths: &[&str]) -> Vec<Entry> {
        base().into_iter().filter(|e| !paths.iter().any(|p| e.path == *p)).collect()
    }

    #[test]
    fn a_package_may_change_in_every_way_and_is_then_run() {
        use EntryKind::{Directory, File, Symlink};
        for (what, head) in [
            ("nothing", base()),
            ("another file", with(&[entry("packages/notes/src/more.ts", '2', File)])),
            ("other content", with(&[entry("packages/notes/prim.yaml", '2', File)])),
            ("a file less", without(&["packages/notes/src/index.ts"])),
            // Judged by the gate, which sees its mode.
            ("a link", with(&[entry("packages/notes/src/link", '2', Symlink)])),
            ("directories' ids follow", with(&[entry("packages", '2', Directory), entry("packages/notes/prim.yaml", '2', File)])),
        ] {
            assert_eq!(judged(&head), None, "{what}");
        }
    }

    /// Of what is derived: the head's packages make `generated/a` with content 3.
    fn derived(head: &[Entry]) -> Outcome {
        let wanted = Ok([("generated/a".to_owned(), sha('3'))].into());
        judge_derived(&revision(), &sha('c'), &base(), head, &Derived { wanted, is_derived: |path| path.starts_with("generated/") })
    }

    #[test]
    fn what_is_derived_is_what_the_packages_make_and_nothing_else_changes() {
        use EntryKind::{Directory, Executable, File, Symlink};
        let right = entry("generated/a", '3', File);
        for (what, head, named) in [
            ("exactly that", with(std::slice::from_ref(&right)), None),
            ("with its directory", with(&[entry("generated", '1', Directory), right.clone()]), None),
            ("nothing", base(), Some("\"generated/a\" (removed)")),
            ("other content", with(&[entry("generated/a", '4', File)]), Some("\"generated/a\" (changed)")),
            ("a link of that content", with(&[entry("generated/a", '3', Symlink)]), Some("\"generated/a\" (changed)")),
            ("a program of that content", with(&[entry("generated/a", '3', Executable)]), None),
            ("a file more", with(&[right.clone(), entry("generated/b", '3', File)]), Some("\"generated/b\" (added)")),
            ("a package beside it", with(&[right.clone(), entry("packages/notes/prim.yaml", '2', File)]), Some("packages/notes/prim.yaml")),
            ("a workflow beside it", with(&[right, entry(".github/workflows/ci.yml", '2', File)]), Some(".github/workflows/ci.yml")),
        ] {
            let outcome = derived(&head);
            let verdict = if named.is_some() { Verdict::Failed } else { Verdict::Passed };
            assert_eq!(outcome.verdict, verdict, "{what}: {}", outcome.message);
            assert!(outcome.message.contains(named.unwrap_or("1 files")), "{what}: {}", outcome.message);
        }
        let other = judge_derived(&revision(), &sha('d'), &base(), &base(), &Derived { wanted: Err("x".into()), is_derived: |_| true });
        assert_eq!((other.verdict, other.results[0].name.as_str()), (Verdict::Failed, "tree"));
        let none =
            judge_derived(&revision(), &sha('c'), &base(), &base(), &Derived { wanted: Err("no document".into()), is_derived: |_| false });
        assert!(none.verdict == Verdict::Failed && none.message.contains("no document"), "{}", none.message);
    }

    #[test]
    fn whatever_lies_outside_its_package_fails_by_name() {
        use EntryKind::{Executable, File, Submodule, Symlink};
        for (what, head, named) in [
            ("a workflow", with(&[entry(".github/workflows/evil.yml", '2', File)]), "\".github/workflows/evil.yml\" (added)"),
            ("a changed workflow", with(&[entry(".github/workflows/ci.yml", '2', File)]), "\".github/workflows/ci.yml\" (changed)"),
            ("a workflow of another forge", with(&[entry(".gitea/workflows/x.yml", '2', File)]), ".gitea/workflows/x.yml"),
            ("the linter's configuration", with(&[entry("biome.json", '2', File)]), "\"biome.json\" (changed)"),
            ("the lockfile", with(&[entry("bun.lock", '2', File)]), "\"bun.lock\" (added)"),
            ("less configuration", without(&["biome.json"]), "\"biome.json\" (removed)"),
            ("the kit", with(&[entry("kit/src/index.ts", '2', File)]), "kit/src/index.ts"),
            ("another package", with(&[entry("packages/search/prim.yaml", '2', File)]), "packages/search/prim.yaml"),
            ("another package's end", without(&["packages/search/prim.yaml"]), "\"packages/search/prim.yaml\" (removed)"),
            ("a name that begins alike", with(&[entry("packages/notes2/prim.yaml", '2', File)]), "packages/notes2/prim.yaml"),
            ("the name in capitals", with(&[entry("packages/Notes/prim.yaml", '2', File)]), "packages/Notes/prim.yaml"),
            ("a path that leaves the package", with(&[entry("packages/../biome.json", '2', File)]), "packages/../biome.json"),
            ("what is derived", with(&[entry("generated/llms.txt", '2', File)]), "\"generated/llms.txt\" (added)"),
            ("the gates' plan", with(&[entry("gates/plan.json", '2', File)]), "\"gates/plan.json\" (added)"),
            ("a link to configuration", with(&[entry("biome.json", '1', Symlink)]), "\"biome.json\" (changed)"),
            ("a mode alone", with(&[entry("biome.json", '1', Executable)]), "\"biome.json\" (changed)"),
            ("a mode less", with(&[entry("run.sh", '1', File)]), "\"run.sh\" (changed)"),
            ("a submodule", with(&[entry("vendor", '2', Submodule)]), "\"vendor\" (added)"),
            (
                "a link in the package's place",
                {
                    let mut head = without(&["packages/notes/prim.yaml", "packages/notes/src/index.ts"]);
                    head.push(entry("packages/notes", '2', Symlink));
                    head
                },
                "\"packages/notes\" (added)",
            ),
            ("a right change as a cover", with(&[entry("packages/notes/prim.yaml", '2', File), entry("a", '2', File)]), "\"a\" (added)"),
        ] {
            let outcome = judged(&head).unwrap_or_else(|| panic!("{what} is let through"));
            assert_eq!((outcome.verdict, outcome.results[0].name.as_str()), (Verdict::Failed, "files"), "{what}");
            assert!(outcome.message.contains(named), "{what}: {named} is not in {}", outcome.message);
        }
    }

    #[test]
    fn only_some_of_many_paths_are_named() {
        let many: Vec<_> = (0..100).map(|i| entry(&format!("file-{i:03}"), '2', EntryKind::File)).collect();
        assert!(judged(&with(&many)).unwrap().message.ends_with("\"file-009\" (added) and 90 more"));
    }

    #[test]
    fn a_removal_passes_when_it_removes_its_package_alone() {
        let package = ["packages/notes/prim.yaml", "packages/notes/src/index.ts"];
        let outcome = judged(&without(&package)).unwrap();
        assert_eq!(outcome.verdict, Verdict::Passed);
        assert_eq!(outcome.results.iter().map(|r| (r.name.as_str(), r.verdict)).collect::<Vec<_>>(), [("removal", Verdict::Passed)]);

        let more = without(&[&package[..], &["biome.json"]].concat());
        assert_eq!(judged(&more).unwrap().verdict, Verdict::Failed);
        let nothing = judge("absent", &revision(), &sha('c'), &base(), &base()).unwrap();
        assert_eq!(nothing.verdict, Verdict::Failed, "nothing was removed: {}", nothing.message);
    }

    #[test]
    fn a_head_of_another_tree_fails_whatever_is_in_it() {
        let outcome = judge("notes", &revision(), &sha('d'), &base(), &base()).unwrap();
        assert_eq!(outcome.verdict, Verdict::Failed);
        assert!(outcome.message.starts_with("head is another tree"), "{}", outcome.message);
    }
}
