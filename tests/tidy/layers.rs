//! Who may name whom. One package stays as clean as several only if somebody
//! looks; `docs/architecture.md` has the reasons.

use super::{files, none, read, uses};

/// A folder of `src`, and what it may name.
struct Layer {
    folder: &'static str,
    /// Folders and files of this crate that it may name, beside its own.
    own: &'static [&'static str],
    /// Crates it must not name, and paths such as `kube::Client`.
    not: &'static [&'static str],
    /// Exceptions: file and path.
    but: &'static [(&'static str, &'static str)],
}

/// Libraries of one protocol each, which only adapters may name.
const SDKS: [&str; 6] = ["reqwest", "hickory_proto", "rustls", "alloy_primitives", "alloy_sol_types", "k256"];
/// Folders of pure functions.
const PURE: [&str; 6] = ["api", "decide", "outputs", "prim", "scaffold", "suite"];
/// What waits, or asks the machine; pure folders may not name it.
const IMPURE: [&str; 10] = [
    "tokio",
    "futures",
    "std::fs",
    "std::net",
    "std::env",
    "std::thread",
    "std::process",
    "std::time::Instant",
    "std::time::SystemTime",
    "Timestamp::now",
];
/// kube beyond the types of its resources.
const KUBE_SHELL: [&str; 5] = ["kube::Client", "kube::Api", "kube::api", "kube::client", "kube::runtime"];

const LAYERS: &[Layer] = &[
    Layer { folder: "api", own: &[], not: &["async_trait", "secrecy", "tracing"], but: &[] },
    Layer { folder: "ports", own: &["api"], not: &["kube", "k8s_openapi", "tokio", "tracing"], but: &[] },
    Layer {
        folder: "decide",
        own: &["api", "ports"],
        not: &["kube", "async_trait", "secrecy", "tracing"],
        but: &[
            ("src/decide/primitive/change.rs", "crate::scaffold::merge"),
            ("src/decide/primitive/change.rs", "crate::scaffold::turned"),
            ("src/decide/primitive/change.rs", "crate::scaffold::lost"),
            ("src/decide/primitive/change.rs", "crate::scaffold::altered"),
            ("src/decide/primitive/seen.rs", "crate::scaffold::Kept"),
        ],
    },
    Layer { folder: "prim", own: &["api"], not: &["kube", "k8s_openapi", "async_trait", "tracing"], but: &[] },
    Layer { folder: "scaffold", own: &["api", "prim"], not: &["kube", "k8s_openapi", "async_trait", "tracing"], but: &[] },
    Layer { folder: "outputs", own: &["api", "prim", "scaffold"], not: &["kube", "k8s_openapi", "async_trait", "tracing"], but: &[] },
    Layer { folder: "suite", own: &[], not: &["kube", "k8s_openapi", "async_trait", "tracing"], but: &[] },
    Layer { folder: "author", own: &["api", "ports", "prim"], not: &["kube", "k8s_openapi", "tokio"], but: &[] },
    Layer { folder: "adapters", own: &["api", "ports"], not: &["kube", "k8s_openapi"], but: &[] },
    Layer {
        folder: "controller",
        own: &["api", "ports", "decide", "gate", "outputs", "prim", "scaffold", "config", "telemetry"],
        not: &[],
        but: &[
            ("src/controller/context.rs", "crate::adapters::connect::RealServers"),
            ("src/controller/context.rs", "crate::adapters::clock::SystemClock"),
            // What a model says of an idea is checked in one place, for both who ask.
            ("src/controller/ideas.rs", "crate::author"),
            // The gates' plan is appended to what is there, if that is a plan.
            ("src/controller/catalogue.rs", "crate::suite"),
            // Schemas are served where they say that they are.
            ("src/controller/health.rs", "crate::suite"),
            // Its tests ask whether what it makes is one.
            ("src/controller/gate_plan/suite.rs", "crate::suite"),
        ],
    },
    // It says what passed in the words of gates' reports, and asks by the runner.
    Layer { folder: "canary", own: &["api", "ports", "suite", "runner", "gate"], not: &["kube", "k8s_openapi"], but: &[] },
    // It has the sandbox's orders from the gate, and the conversation from the canary.
    Layer { folder: "room", own: &["api", "ports", "suite", "runner", "gate", "canary"], not: &["kube", "k8s_openapi"], but: &[] },
    // The program inside a gate's Job has no controller around it whose adapters it
    // could use: it asks a deployed service itself, over TLS, in one file.
    Layer { folder: "gate", own: &["api"], not: &["kube"], but: &[("src/gate/https.rs", "reqwest")] },
    // It asks whatever servers a plan names, within limits that no adapter has, in
    // one file: as the gate does.
    Layer { folder: "runner", own: &["api", "ports", "suite"], not: &["kube", "k8s_openapi"], but: &[("src/runner/http.rs", "reqwest")] },
    // A room that is a namespace is made and judged as a gate's Job is.
    Layer { folder: "spawn", own: &["api", "ports", "decide", "gate", "room", "controller"], not: &[], but: &[] },
    Layer {
        folder: "doctor",
        own: &["api", "ports", "decide", "controller", "probe", "telemetry"],
        not: &[],
        but: &[("src/doctor/forge.rs", "crate::adapters::connect::RealServers")],
    },
];

/// Files at the top that wire things together, and so may name every folder.
const TOP: [&str; 20] = [
    "main.rs",
    "lib.rs",
    "bank.rs",
    "call_args.rs",
    "canary_cli.rs",
    "check.rs",
    "cli.rs",
    "config.rs",
    "contract_cli.rs",
    "create.rs",
    "gate_cli.rs",
    "telemetry.rs",
    "generate.rs",
    "mcp.rs",
    "package.rs",
    "probe.rs",
    "report_files.rs",
    "room_cli.rs",
    "spawn_cli.rs",
    "build.rs",
];

fn below(path: &str, root: &str) -> bool {
    path == root || path.strip_prefix(root).is_some_and(|rest| rest.starts_with("::"))
}

impl Layer {
    fn problem(&self, file: &str, path: &str) -> Option<String> {
        if self.but.iter().any(|(f, p)| *f == file && below(path, p)) {
            return None;
        }
        if let Some(own) = path.strip_prefix("crate::") {
            let folder = own.split("::").next().unwrap_or_default();
            let allowed = folder == self.folder || self.own.contains(&folder);
            return (!allowed).then(|| format!("{file} names {path}; src/{} may name of this crate only {:?}", self.folder, self.own));
        }
        let sdk = SDKS.iter().filter(|_| self.folder != "adapters");
        let impure = IMPURE.iter().filter(|_| PURE.contains(&self.folder));
        let shell = KUBE_SHELL.iter().filter(|_| self.folder == "api");
        let forbidden = self.not.iter().chain(sdk).chain(impure).chain(shell).find(|not| below(path, not))?;
        Some(format!("{file} names {path}; src/{} may not name {forbidden}", self.folder))
    }
}

#[test]
fn every_layer_names_only_what_it_may() {
    let mut problems = Vec::new();
    for layer in LAYERS {
        for file in files(&format!("src/{}", layer.folder), "rs") {
            let module: Vec<_> = file.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod").split('/').collect();
            for path in uses::paths(&read(&file), &module) {
                problems.extend(layer.problem(&file, &path));
            }
        }
    }
    problems.sort();
    problems.dedup();
    none(&problems, "a layer names what it may not: move the code to where it belongs (docs/architecture.md, \"Layers\")");
}

#[test]
fn every_folder_of_rust_has_a_layer() {
    let mut problems = Vec::new();
    for file in files("src", "rs") {
        let inner = file.trim_start_matches("src/");
        let known = match inner.split_once('/') {
            Some((folder, _)) => LAYERS.iter().any(|layer| layer.folder == folder),
            None => TOP.contains(&inner),
        };
        if !known {
            problems.push(file);
        }
    }
    none(&problems, "no layer holds for these files: say in LAYERS of tests/tidy/layers.rs what their folder may name");
}

#[test]
fn protocol_libraries_are_named_by_adapters_alone() {
    let problems: Vec<_> = files("src", "rs")
        .into_iter()
        .filter(|file| !file.starts_with("src/adapters/"))
        .flat_map(|file| uses::paths(&read(&file), &[]).into_iter().map(move |path| (file.clone(), path)))
        // The process's one TLS provider is installed by telemetry.rs.
        .filter(|(file, path)| !(file == "src/telemetry.rs" && below(path, "rustls")))
        // A command that asks whatever address it is given: nobody decides behind it.
        .filter(|(file, path)| !(file == "src/mcp.rs" && below(path, "reqwest")))
        // What LAYERS excepts, it justifies.
        .filter(|(file, path)| !LAYERS.iter().any(|layer| layer.but.iter().any(|(f, p)| f == file && below(path, p))))
        .filter(|(_, path)| SDKS.iter().any(|sdk| below(path, sdk)))
        .map(|(file, path)| format!("{file} names {path}"))
        .collect();
    none(&problems, "only src/adapters may name a protocol's library: put the call behind a port");
}

#[test]
fn the_layers_refuse_what_they_should() {
    let refuses = |folder: &str, path: &str| {
        let layer = LAYERS.iter().find(|l| l.folder == folder).unwrap();
        layer.problem(&format!("src/{folder}/x.rs"), path).is_some()
    };
    for (folder, path) in [
        ("api", "crate::decide::Decision"),
        ("api", "kube::Client"),
        ("api", "reqwest::Client"),
        ("decide", "tokio::time::sleep"),
        ("decide", "Timestamp::now"),
        ("decide", "kube::Client"),
        ("decide", "crate::controller::context"),
        ("prim", "std::fs::read"),
        ("ports", "kube::Api"),
        ("ports", "reqwest::Url"),
        ("ports", "alloy_primitives::Address"),
        ("adapters", "kube::Client"),
        ("adapters", "crate::decide::factory"),
        ("adapters", "crate::controller"),
        ("controller", "reqwest::Client"),
        ("gate", "reqwest::Client"),
        ("gate", "kube::Client"),
        ("controller", "hickory_proto::rr::Name"),
        ("controller", "crate::adapters::gitea::Gitea"),
        ("controller", "crate::adapters::connect::RealServers"),
    ] {
        assert!(refuses(folder, path), "src/{folder} may name {path}?");
    }
    for (folder, path) in [("api", "kube::CustomResource"), ("decide", "crate::ports::error::Class"), ("adapters", "reqwest::Client")] {
        assert!(!refuses(folder, path), "src/{folder} may not name {path}?");
    }
}
