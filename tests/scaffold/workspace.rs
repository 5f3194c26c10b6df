//! The factory repository's template, laid out to put packages into, and Bun to run its
//! tools with. Needs Bun, and the kit's dependencies from npm or Bun's cache;
//! with `FLYWHEEL_REQUIRE_BUN` set, their absence is a failure and not a skip.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use flywheel::scaffold::{Manifest, TEMPLATE};

use super::root;

/// The newest Bun in the cache that the test bed fills, where it is needed.
pub fn needed() -> Option<PathBuf> {
    let found = bun();
    if found.is_none() {
        skip("no Bun in the cache: `make programs` fetches it");
    }
    found
}

fn bun() -> Option<PathBuf> {
    let home = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let cache = home("FLYWHEEL_CACHE")
        .or_else(|| home("XDG_CACHE_HOME").map(|cache| cache.join("flywheel")))
        .or_else(|| home("HOME").map(|home| home.join(".cache/flywheel")))?;
    let tools = fs::read_dir(cache.join("tools")).into_iter().flatten().flatten();
    let folders = tools.map(|entry| entry.path()).filter(|path| path.file_name().is_some_and(|n| n.to_string_lossy().starts_with("bun-")));
    folders.map(|folder| folder.join("bun")).filter(|bun| bun.exists()).max()
}

fn skip(why: &str) -> Option<Workspace> {
    assert!(std::env::var_os("FLYWHEEL_REQUIRE_BUN").is_none(), "{why}");
    eprintln!("SKIPPED: {why}");
    None
}

/// A factory repository that goes away with the test.
pub struct Workspace {
    folder: PathBuf,
    bun: PathBuf,
}

impl Drop for Workspace {
    fn drop(&mut self) {
        // Nothing is lost if a file stays in the temporary folder.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Workspace {
    /// One with its dependencies, and beside it what asks its packages over
    /// HTTP; none where something for it is not there.
    pub fn new(name: &str) -> Option<Self> {
        let bun = needed()?;
        let folder = std::env::temp_dir().join(format!("flywheel-{name}-{}", std::process::id()));
        let made = Self { folder, bun };
        TEMPLATE.iter().for_each(|file| made.write(file.path, file.content));
        let copied = Command::new("cp").arg("-r").arg(root().join("tests/scaffold/http")).arg(made.folder.join("http")).status().unwrap();
        assert!(copied.success());
        let (installed, text) = made.bun(&["install", "--frozen-lockfile", "--ignore-scripts"]);
        if installed { Some(made) } else { skip(&format!("the kit's dependencies can't be installed:\n{text}")) }
    }

    /// Writes a package's files.
    pub fn add(&self, made: &Manifest) {
        for file in &made.files {
            self.write(&file.path, &file.content);
        }
    }

    /// Writes a file.
    pub fn write(&self, path: &str, content: &str) {
        let path = self.folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Whether there is such a file.
    pub fn has(&self, path: &str) -> bool {
        self.folder.join(path).exists()
    }

    /// Removes a folder.
    pub fn remove(&self, path: &str) {
        fs::remove_dir_all(self.folder.join(path)).unwrap();
    }

    /// Runs the program in the repository; whether it was content, and what it printed.
    pub fn flywheel(&self, arguments: &[&str]) -> (bool, String) {
        told(&Command::new(env!("CARGO_BIN_EXE_flywheel")).args(arguments).current_dir(&self.folder).output().unwrap())
    }

    /// Lays a folder beside the packages whose dependencies are its own, and installs them.
    pub fn install(&self, folder: &str) {
        let copied = Command::new("cp").arg("-r").arg(root().join("tests/scaffold").join(folder)).arg(&self.folder).status().unwrap();
        assert!(copied.success());
        let (installed, text) = self.bun(&["install", "--cwd", folder, "--frozen-lockfile", "--ignore-scripts"]);
        assert!(installed, "{text}");
    }

    /// `bun` with these arguments, in the repository.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let paths = std::env::var_os("PATH").unwrap_or_default();
        let folder = self.bun.parent().map(Path::to_path_buf);
        let path = std::env::join_paths(folder.into_iter().chain(std::env::split_paths(&paths))).unwrap();
        let mut command = Command::new(&self.bun);
        command
            .args(arguments)
            .current_dir(&self.folder)
            .env("PATH", path)
            .env("TMPDIR", &self.folder)
            .env("NO_COLOR", "1")
            .env("FLYWHEEL", env!("CARGO_BIN_EXE_flywheel"));
        command
    }

    /// Runs `bun` with these arguments; whether it was content, and what it printed.
    pub fn bun(&self, arguments: &[&str]) -> (bool, String) {
        let mut command = self.command(arguments);
        if arguments.first() == Some(&"test") {
            // Programs that tests start take their time on a busy machine.
            command.arg("--timeout=60000");
        }
        told(&command.output().unwrap())
    }
}

fn told(output: &Output) -> (bool, String) {
    let text = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).concat();
    (output.status.success(), text)
}
