//! Files that each package has for tools outside the factory, such as editors: what is
//! in them follows from its id alone, so that whoever judges a package knows them to
//! the byte. Nothing of ours reads them, and no other configuration is taken.

/// The file of that name in the package with this id, where it is one of them.
pub fn configuration(id: &str, name: &str) -> Option<String> {
    match name {
        "package.json" => Some(format!("{{\n  \"name\": \"{id}\",\n  \"private\": true,\n  \"type\": \"module\"\n}}\n")),
        "tsconfig.json" => Some("{\n  \"extends\": \"../../tsconfig.json\",\n  \"include\": [\"src\", \"test\"]\n}\n".into()),
        _ => None,
    }
}

/// Their names.
pub const CONFIGURATION: [&str; 2] = ["package.json", "tsconfig.json"];
