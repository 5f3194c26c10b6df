//! A folder of a test's own, in which the program is run as its users run it.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Output},
};

/// A folder that goes away with the test.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("flywheel-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    pub fn file(&self, name: &str, content: &str) -> String {
        let path = self.0.join(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().into()
    }

    pub fn read(&self, name: &str) -> String {
        let path = self.0.join(name);
        fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    /// Runs the program in this folder.
    pub fn flywheel(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_flywheel")).args(arguments).current_dir(&self.0).output().unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Nothing is lost if a file stays in the temporary folder.
        let _ = fs::remove_dir_all(&self.0);
    }
}
