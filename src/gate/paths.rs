//! What a package may consist of. Everything that would configure a tool, add a
//! dependency or lie outside the package is refused, and never laid out where a
//! tool could find it: but for what is the same in every package.

use std::collections::BTreeMap;

use super::bundle::{REGULAR, SourceFile};
use crate::api::package::configuration;

/// Longest path.
const MAX_PATH: usize = 255;

/// Names that tools take as configuration, at any depth, in lower case.
const CONFIGURATION: [&str; 16] = [
    "package.json",
    "bun.lock",
    "bun.lockb",
    "package-lock.json",
    "npm-shrinkwrap.json",
    "yarn.lock",
    "pnpm-lock.yaml",
    "pnpm-workspace.yaml",
    "bunfig.toml",
    "biome.json",
    "biome.jsonc",
    "gitleaks.toml",
    "deno.json",
    "deno.jsonc",
    "codeowners",
    "node_modules",
];

/// A file that no package may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The file's path, as it came.
    pub path: String,
    /// Why, and what to do.
    pub reason: String,
}

/// Sorts a package's files into those it may have and those it may not.
pub fn judge(primitive: &str, files: Vec<SourceFile>) -> (Vec<SourceFile>, Vec<Refusal>) {
    let mut refused = Vec::new();
    let mut good: BTreeMap<String, SourceFile> = BTreeMap::new();
    for file in files {
        let key = file.path.to_ascii_lowercase();
        let reason = refusal(primitive, &file).or_else(|| {
            // A file system that ignores case would keep one of the two.
            good.contains_key(&key).then(|| "another file has the same path but for case: rename one".into())
        });
        match reason {
            Some(reason) => refused.push(Refusal { path: file.path, reason }),
            None => drop(good.insert(key, file)),
        }
    }
    let shadowed: Vec<_> = good.keys().filter(|path| parents(path).any(|parent| good.contains_key(parent))).cloned().collect();
    for path in shadowed {
        if let Some(file) = good.remove(&path) {
            refused.push(Refusal { path: file.path, reason: "a part of its path is a file: rename one".into() });
        }
    }
    (good.into_values().collect(), refused)
}

fn parents(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(end, _)| &path[..end])
}

fn refusal(primitive: &str, file: &SourceFile) -> Option<String> {
    let path = file.path.as_str();
    if file.mode != REGULAR {
        let what = match file.mode.as_str() {
            "120000" => "a symbolic link",
            "160000" => "a submodule",
            "100755" => "an executable file",
            _ => "no ordinary file",
        };
        return Some(format!("it is {what} (mode {}): a package has ordinary files alone", file.mode));
    }
    if path.len() > MAX_PATH || !path.split('/').all(is_plain) {
        return Some("a path is parts of A-Z a-z 0-9 _ . @ - joined by /, none of them . or .., 255 characters at most".into());
    }
    let Some(inside) = path.strip_prefix("packages/").and_then(|p| p.strip_prefix(primitive)).and_then(|p| p.strip_prefix('/')) else {
        return Some(format!("it lies outside packages/{primitive}/: a change has files of its own package alone"));
    };
    if let Some(hidden) = inside.split('/').find(|part| part.starts_with('.')) {
        return Some(format!("{hidden} is hidden: hidden files configure tools, and tools are configured in the repository's root"));
    }
    // To the byte what the scaffolder makes of the id: nobody's own words.
    if configuration(primitive, inside).is_some_and(|own| own == file.content) {
        return None;
    }
    inside.split('/').find(|part| is_configuration(&part.to_ascii_lowercase())).map(|part| {
        format!("{part} configures a tool or adds a dependency: both come from the repository's root, which a package can't change")
    })
}

fn is_plain(part: &str) -> bool {
    !part.is_empty() && part != "." && part != ".." && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.@-".contains(&b))
}

fn is_configuration(name: &str) -> bool {
    let compiler = (name.starts_with("tsconfig") || name.starts_with("jsconfig")) && name.ends_with(".json");
    compiler || CONFIGURATION.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(path: &str) -> Option<String> {
        judge("echo", vec![SourceFile::new(path, "")]).1.pop().map(|r| r.reason)
    }

    #[test]
    fn sources_tests_and_documents_are_taken() {
        for path in ["prim.yaml", "src/index.ts", "test/a.test.ts", "README.md", "llms.txt", "src/deep/er/x.tsx", "src/data.json"] {
            assert_eq!(refused(&format!("packages/echo/{path}")), None);
        }
    }

    #[test]
    fn configuration_is_taken_as_it_is_scaffolded_and_no_other() {
        for name in crate::api::package::CONFIGURATION {
            let own = configuration("echo", name).expect("one of them");
            let refused = |path: String, content: &str| judge("echo", vec![SourceFile::new(path, content)]).1.len();
            assert_eq!(refused(format!("packages/echo/{name}"), &own), 0, "{name}");
            assert_eq!(refused(format!("packages/echo/{name}"), &own.replace('}', " }")), 1, "{name}");
            assert_eq!(refused(format!("packages/echo/src/{name}"), &own), 1, "{name}");
        }
        let other = configuration("other", "package.json").expect("one of them");
        assert_eq!(judge("echo", vec![SourceFile::new("packages/echo/package.json", other)]).1.len(), 1);
    }

    #[test]
    fn what_configures_leaves_or_links_is_refused() {
        for path in [
            "packages/echo/biome.json",
            "packages/echo/src/BIOME.jsonc",
            "packages/echo/tsconfig.json",
            "packages/echo/src/tsconfig.test.json",
            "packages/echo/package.json",
            "packages/echo/bunfig.toml",
            "packages/echo/bun.lock",
            "packages/echo/.gitleaksignore",
            "packages/echo/.env.production",
            "packages/echo/node_modules/hono/index.ts",
            "packages/echo/.github/workflows/ci.yml",
            ".github/workflows/ci.yml",
            "kit/src/index.ts",
            "packages/echoes/src/index.ts",
            "packages/echo",
            "packages/echo/",
            "packages/echo/../other/src/index.ts",
            "packages/echo/./src/index.ts",
            "packages/echo//src/index.ts",
            "/packages/echo/src/index.ts",
            "../packages/echo/src/index.ts",
            "packages/echo/src\\..\\index.ts",
            "packages/echo/src/index.ts\0.txt",
            "packages/echo/src/\u{202e}st.xedni",
        ] {
            assert!(refused(path).is_some(), "{path:?} is taken");
        }
        for mode in ["120000", "160000", "100755", "040000", ""] {
            let file = SourceFile { mode: mode.into(), ..SourceFile::new("packages/echo/src/index.ts", "/etc/passwd") };
            assert_eq!(judge("echo", vec![file]).1.len(), 1, "{mode}");
        }
    }

    #[test]
    fn no_two_files_share_a_place() {
        let files = ["a.ts", "A.ts", "b", "b/c.ts"].map(|p| SourceFile::new(format!("packages/echo/{p}"), ""));
        let (good, refused) = judge("echo", files.to_vec());
        let names = |paths: Vec<String>| paths.into_iter().map(|p| p.replace("packages/echo/", "")).collect::<Vec<_>>();
        assert_eq!(names(good.into_iter().map(|f| f.path).collect()), ["a.ts", "b"]);
        assert_eq!(names(refused.into_iter().map(|r| r.path).collect()), ["A.ts", "b/c.ts"]);
    }
}
