//! A factory repository with all that is derived from its documents, which is kept
//! there: its own checks are about its packages, and stay as they were.

use clap::ValueEnum;
use flywheel::outputs::Output;

use super::{load, manifest, own, root, workspace::Workspace};

/// The commands that `ci.yml` runs one after the other, and `bun run check` too.
const COMMANDS: [&str; 3] = ["bun run lint", "bun run typecheck", "bun test"];

#[test]
fn what_is_derived_is_left_alone_by_the_factorys_own_checks() {
    let Some(workspace) = Workspace::new("derived") else { return };
    workspace.remove("http");
    // The kit's own are `make test-kit`'s.
    workspace.remove("kit/test");
    for path in own() {
        workspace.add(&manifest(&load(&path).unwrap()));
    }
    for output in Output::value_variants() {
        let name = output.to_possible_value().unwrap().get_name().to_owned();
        let (made, text) = workspace.flywheel(&["generate", &name, "--repo", "."]);
        assert!(made, "{name}: {text}");
        let (fresh, text) = workspace.flywheel(&["generate", &name, "--check", "--repo", "."]);
        assert!(fresh, "{name}: {text}");
    }
    for there in ["generated/tests/notes.test.ts", "generated/sdk/notes.ts", "gates/plan.json"] {
        assert!(workspace.has(there), "{there}");
    }

    let ci = std::fs::read_to_string(root().join("src/scaffold/factory/.github/workflows/ci.yml")).unwrap();
    for command in COMMANDS {
        assert!(ci.contains(&format!("run: {command}\n")), "ci.yml runs {command}");
        let (passed, text) = workspace.bun(&command.split(' ').skip(1).collect::<Vec<_>>());
        assert!(passed, "{command}: {text}");
        assert!(!text.contains("generated/"), "{command}: {text}");
    }
    let package = std::fs::read_to_string(root().join("src/scaffold/factory/package.json")).unwrap();
    assert!(package.contains(&format!("\"check\": \"{}\"", COMMANDS.join(" && "))), "{package}");

    // They are left alone where they are derived, and nowhere else.
    let bad = "import { test } from \"bun:test\";\n\ntest(\"fails\", () => {\n  throw new Error(  \"no\");\n});\n";
    for (path, reds) in [("generated/tests/bad.test.ts", 0), ("packages/notes/generated/bad.test.ts", 2)] {
        workspace.write(path, bad);
        let red = [&["run", "lint"][..], &["test"]].into_iter().filter(|command| !workspace.bun(command).0).count();
        assert_eq!(red, reds, "{path}");
    }
    let (ran, text) = workspace.bun(&["run", "smoke", "bad"]);
    assert!(!ran && text.contains("bad.test.ts"), "{text}");
    assert!(text.contains("across 1 file."), "the services are not asked: {text}");
}
