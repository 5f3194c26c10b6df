//! The template of a factory repository: kit, configuration and lockfile, in which
//! packages are built and tested.

/// A file of the template, by its path from the repository's root.
pub struct TemplateFile {
    /// Its path.
    pub path: &'static str,
    /// Its content.
    pub content: &'static str,
}

impl TemplateFile {
    /// Whether it is a program.
    pub fn is_program(&self) -> bool {
        self.content.starts_with("#!")
    }
}

macro_rules! template {
    ($($path:literal,)*) => {
        /// Every file of the template, by path.
        pub const TEMPLATE: &[TemplateFile] = &[$(TemplateFile { path: $path, content: include_str!(concat!("factory/", $path)) },)*];
    };
}

template! {
    ".github/audit.sh",
    ".github/gate/comment.ts",
    ".github/gate/gate.ts",
    ".github/gate/select.ts",
    ".github/gate/serve.ts",
    ".github/workflows/ci.yml",
    ".github/workflows/gate.yml",
    ".gitignore",
    "CODEOWNERS",
    "README.md",
    "biome.json",
    "bun.lock",
    "bunfig.toml",
    "kit/package.json",
    "kit/src/about.ts",
    "kit/src/command.ts",
    "kit/src/config.ts",
    "kit/src/deeds.ts",
    "kit/src/envelope.ts",
    "kit/src/fields.ts",
    "kit/src/index.ts",
    "kit/src/items.ts",
    "kit/src/observe.ts",
    "kit/src/payment.ts",
    "kit/src/ports.ts",
    "kit/src/provider.ts",
    "kit/src/redirect.ts",
    "kit/src/refusals.ts",
    "kit/src/repeats.ts",
    "kit/src/rows.ts",
    "kit/src/schema.ts",
    "kit/src/selection.ts",
    "kit/src/server.ts",
    "kit/src/service.ts",
    "kit/src/shape.ts",
    "kit/src/signature.ts",
    "kit/src/store.ts",
    "kit/src/table.ts",
    "kit/src/testing.ts",
    "kit/src/types.ts",
    "kit/src/undo.ts",
    "kit/test/audit.test.ts",
    "kit/test/changed.test.ts",
    "kit/test/command.test.ts",
    "kit/test/deeds.test.ts",
    "kit/test/fields.test.ts",
    "kit/test/fixture.ts",
    "kit/test/gate.test.ts",
    "kit/test/names.test.ts",
    "kit/test/observe.test.ts",
    "kit/test/payment.test.ts",
    "kit/test/ports.test.ts",
    "kit/test/provider.test.ts",
    "kit/test/redirect.test.ts",
    "kit/test/refusal.ts",
    "kit/test/repeats.test.ts",
    "kit/test/schema.test.ts",
    "kit/test/server.test.ts",
    "kit/test/service.test.ts",
    "kit/test/shape.test.ts",
    "kit/test/signature.test.ts",
    "kit/test/status.test.ts",
    "kit/test/store.test.ts",
    "kit/test/types.test.ts",
    "kit/test/undo.test.ts",
    "package.json",
    "packages/README.md",
    "tsconfig.json",
}
