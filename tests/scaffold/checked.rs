//! Every package passes the factory repository's own checks: in one copy of it
//! with all packages at once, so that this takes seconds. Needs Bun, and the
//! kit's dependencies from npm or Bun's cache; with `FLYWHEEL_REQUIRE_BUN` set,
//! their absence is a failure and not a skip.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use super::{given, load, manifest, own, root};

/// The newest Bun in the cache that the test bed fills.
fn bun() -> Option<PathBuf> {
    let home = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let cache = home("FLYWHEEL_CACHE")
        .or_else(|| home("XDG_CACHE_HOME").map(|cache| cache.join("flywheel")))
        .or_else(|| home("HOME").map(|home| home.join(".cache/flywheel")))?;
    let tools = fs::read_dir(cache.join("tools")).into_iter().flatten().flatten();
    let folders = tools.map(|entry| entry.path()).filter(|path| path.file_name().is_some_and(|n| n.to_string_lossy().starts_with("bun-")));
    folders.map(|folder| folder.join("bun")).filter(|bun| bun.exists()).max()
}

fn skip(why: &str) {
    assert!(std::env::var_os("FLYWHEEL_REQUIRE_BUN").is_none(), "{why}");
    eprintln!("SKIPPED: {why}");
}

/// A copy of the factory repository that goes away with the test.
struct Copy(PathBuf);

impl Drop for Copy {
    fn drop(&mut self) {
        // Nothing is lost if a file stays in the temporary folder.
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Copy {
    fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("flywheel-scaffold-{}", std::process::id()));
        let copied = Command::new("cp").arg("-r").arg(root().join("src/scaffold/factory")).arg(&folder).status().unwrap();
        assert!(copied.success());
        Self(folder)
    }

    /// Runs `bun` with these arguments; what it printed, and whether it was content.
    fn bun(&self, bun: &Path, arguments: &[&str]) -> (bool, String) {
        let path = format!("{}:{}", bun.parent().unwrap().display(), std::env::var_os("PATH").unwrap_or_default().to_string_lossy());
        let output = Command::new(bun).args(arguments).current_dir(&self.0).env("PATH", path).env("NO_COLOR", "1").output().unwrap();
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        (output.status.success(), text)
    }
}

#[test]
fn every_package_lints_typechecks_and_passes_its_tests() {
    let Some(bun) = bun() else { return skip("no Bun in the cache: `make programs` fetches it") };
    let copy = Copy::new();
    let (installed, text) = copy.bun(&bun, &["install", "--frozen-lockfile", "--ignore-scripts"]);
    if !installed {
        return skip(&format!("the kit's dependencies can't be installed:\n{text}"));
    }
    let mut rows: BTreeMap<String, String> = BTreeMap::new();
    for path in own().into_iter().chain(given()) {
        let document = load(&path).unwrap();
        let made = manifest(&document);
        for file in &made.files {
            let path = copy.0.join(&file.path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, &file.content).unwrap();
        }
        let count = |backend: &str| made.routes.iter().filter(|route| route.backend == backend).count();
        let counts = [made.routes.len(), count("native"), count("provider"), count("missing")].map(|n| format!("{n:>8}"));
        rows.insert(document.id.to_string(), format!("{:>5} {}", made.files.len(), counts.join(" ")));
    }

    let checks = [
        ("lint", &["--bun", "run", "biome", "ci", "--error-on-warnings", "--max-diagnostics=50", "."][..]),
        ("types", &["--bun", "run", "tsc", "--noEmit"]),
        ("tests", &["test", "packages"]),
    ];
    let mut problems = Vec::new();
    let mut results = Vec::new();
    for (name, arguments) in checks {
        let began = Instant::now();
        let (passed, text) = copy.bun(&bun, arguments);
        eprintln!("{name}: {} in {} ms", if passed { "passed" } else { "failed" }, began.elapsed().as_millis());
        if !passed {
            problems.push(format!("{name}:\n{text}"));
        }
        results.push((passed, text));
    }
    eprintln!("{:<16} {:>5} {:>8} {:>8} {:>8} {:>8}  lint  types five checks", "document", "files", "routes", "native", "provider", "501");
    for (id, row) in &rows {
        // One run judges all packages: a red one is named by the paths in its words.
        let verdicts =
            results.iter().map(|(passed, text)| if *passed || !text.contains(&format!("packages/{id}/")) { "ok" } else { "RED" });
        eprintln!("{id:<16} {row}  {}", verdicts.map(|v| format!("{v:<5}")).collect::<Vec<_>>().join(" "));
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}
