//! `flywheel scaffold`: documents from files to packages on disk, in a workspace
//! that has all they need, or as JSON. `flywheel provider new`: one vendor more
//! behind a package that is there.

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, bail};
use clap::Subcommand;
use serde_json::{Value, json};

use crate::{
    prim::{self, Document, Price, Problem},
    scaffold::{self, Kind, Manifest, Options, Prices, TEMPLATE, merge},
};

/// What `flywheel scaffold` is told.
#[derive(Debug, clap::Args)]
pub struct ScaffoldConfig {
    /// Documents: prim.yaml files, or Primitive objects that hold one.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Folder to write to: packages go to packages/<id> in it. Where it has no
    /// package.json, the factory's kit, configuration and lockfile are written too.
    #[arg(long, required_unless_present = "json")]
    out: Option<PathBuf>,
    /// Writes nothing, and prints each document's files and routes, as a line of JSON.
    #[arg(long, conflicts_with = "out")]
    json: bool,
    /// What a route of a paid document costs where it has no price of its own.
    #[arg(long, default_value = USUAL)]
    default_price: Price,
    /// YAML or JSON file of such routes' prices: `search: {"POST /v1/search": "$0.005"}`.
    #[arg(long)]
    prices: Option<PathBuf>,
}

/// What `flywheel provider` does.
#[derive(Debug, Subcommand)]
pub enum ProviderCommand {
    /// Adds a vendor to a package's document, and the file for its client.
    New(ProviderConfig),
}

/// What `flywheel provider new` is told.
#[derive(Debug, clap::Args)]
pub struct ProviderConfig {
    /// The primitive's id.
    primitive: String,
    /// The vendor's name.
    vendor: String,
    /// Checkout of the factory repository.
    #[arg(long, default_value = ".")]
    repo: PathBuf,
    /// A variable that its client needs, once for each: VENDOR_API_KEY and VENDOR_BASE_URL unless given.
    #[arg(long = "env")]
    env: Vec<String>,
    /// It answers where a route names no other.
    #[arg(long)]
    default: bool,
    #[command(flatten)]
    prices: PriceConfig,
}

/// What routes of a package that is there cost: what it charges, unless something else
/// is said.
#[derive(Debug, clap::Args)]
pub struct PriceConfig {
    /// What a route of a paid document costs where it has no price of its own; what the
    /// package charges unless this or --prices is given.
    #[arg(long)]
    default_price: Option<Price>,
    /// YAML or JSON file of such routes' prices, in place of what packages charge:
    /// `search: {"POST /v1/search": "$0.005"}`.
    #[arg(long)]
    prices: Option<PathBuf>,
}

impl PriceConfig {
    /// What was said; nothing where the package's own code says it.
    pub fn said(&self) -> anyhow::Result<Option<Options>> {
        if self.default_price.is_none() && self.prices.is_none() {
            return Ok(None);
        }
        let prices = self.prices.as_deref().map_or_else(|| Ok(Prices::default()), prices)?;
        Ok(Some(Options { default_price: self.default_price.map_or_else(usual, Ok)?, prices }))
    }
}

/// What a route costs where nobody says anything.
const USUAL: &str = "$0.01";

fn usual() -> anyhow::Result<Price> {
    USUAL.parse().map_err(anyhow::Error::msg)
}

/// What a package charges for a document's routes.
pub fn charged(package: &Path, document: &Document) -> anyhow::Result<Options> {
    let index = fs::read_to_string(package.join("src/index.ts")).unwrap_or_default();
    Ok(Options { default_price: usual()?, prices: Prices::written(document, &index) })
}

/// Adds the vendor; nothing is written where the document would not be strict in it.
pub fn provider(ProviderCommand::New(config): &ProviderCommand) -> anyhow::Result<ExitCode> {
    let path = config.repo.join(format!("packages/{}/prim.yaml", config.primitive));
    let before = text(&path)?;
    let mut value = prim::value(&before).map_err(|problem| anyhow::anyhow!("{}: {problem}", path.display()))?;
    let prefix = prim::constant(&config.vendor);
    let usual = [format!("{prefix}_API_KEY"), format!("{prefix}_BASE_URL")];
    let env = if config.env.is_empty() { usual.to_vec() } else { config.env.clone() };
    let providers = entries(&mut value, "providers")?;
    if providers.iter().any(|provider| provider["name"] == config.vendor.as_str()) {
        bail!("{}: {} is among the providers already", path.display(), config.vendor);
    }
    let alone = providers.iter().all(|provider| provider["status"] != "active");
    if config.default {
        providers.iter_mut().filter_map(Value::as_object_mut).for_each(|provider| drop(provider.shift_remove("default")));
    }
    providers.push(json!({ "name": config.vendor, "env": env, "status": "active" }));
    if let Some(added) = providers.last_mut().filter(|_| alone || config.default) {
        added["default"] = true.into();
    }
    let names = entries(&mut value, "env")?;
    for name in env {
        if !names.iter().any(|there| *there == name.as_str()) {
            names.push(name.into());
        }
    }
    let old: Vec<_> = prim::check_text(&before).findings.into_iter().map(|finding| finding.to_string()).collect();
    let new: Vec<_> = prim::check(&value).into_iter().map(|finding| finding.to_string()).filter(|finding| !old.contains(finding)).collect();
    if !new.is_empty() {
        bail!("{}: {}", path.display(), new.join("; "));
    }
    let all = |problems: Vec<Problem>| anyhow::anyhow!(problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "));
    let document = prim::from_value(value).map_err(all)?;
    let options = match config.prices.said()? {
        Some(said) => said,
        None => charged(&config.repo.join(format!("packages/{}", document.id)), &document)?,
    };
    let manifest = scaffold::manifest(&document, &options).map_err(all)?;
    let written = write(&config.repo, &document, &manifest, &options)?;
    report(&document, &manifest);
    written.tell();
    Ok(if written.contradicted.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A document's list, as its own now.
fn entries<'a>(value: &'a mut Value, key: &str) -> anyhow::Result<&'a mut Vec<Value>> {
    if value[key].is_null() {
        value[key] = json!([]);
    }
    value[key].as_array_mut().with_context(|| format!("{key}: must be a list"))
}

/// Makes a package of each file; a file with problems has none, and the exit code
/// says so.
pub fn run(config: &ScaffoldConfig) -> anyhow::Result<ExitCode> {
    let prices = config.prices.as_deref().map_or_else(|| Ok(Prices::default()), prices)?;
    let options = Options { default_price: config.default_price, prices };
    let mut code = ExitCode::SUCCESS;
    for file in &config.files {
        let text = match fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) => {
                code = ExitCode::FAILURE;
                eprintln!("{}: can't be read: {error}", file.display());
                continue;
            }
        };
        let made = document(&text).and_then(|document| Ok((scaffold::manifest(&document, &options)?, document)));
        match (made, &config.out) {
            (Ok((manifest, _)), None) => writeln!(std::io::stdout(), "{}", serde_json::to_string(&manifest)?)?,
            (Ok((manifest, document)), Some(out)) => {
                workspace(out)?;
                let written = write(out, &document, &manifest, &options)?;
                report(&document, &manifest);
                written.tell();
                if !written.contradicted.is_empty() {
                    code = ExitCode::FAILURE;
                }
            }
            (Err(problems), _) => {
                code = ExitCode::FAILURE;
                problems.iter().for_each(|problem| eprintln!("{}: {problem}", file.display()));
            }
        }
    }
    Ok(code)
}

fn prices(path: &Path) -> anyhow::Result<Prices> {
    let text = fs::read_to_string(path).with_context(|| format!("{}", path.display()))?;
    let read = prim::value(&text).and_then(Prices::read);
    read.map_err(|problem| anyhow::anyhow!("{}: {problem}", path.display()))
}

/// A document, or the one inside a Primitive.
fn document(text: &str) -> Result<Document, Vec<Problem>> {
    let mut value = prim::value(text).map_err(|problem| vec![problem])?;
    if value["kind"] == "Primitive" {
        // A Primitive without one is refused as a document that is none.
        value = value.pointer_mut("/spec/document").map(Value::take).unwrap_or_default();
    }
    prim::from_value(value)
}

/// Lays out the factory repository's template, where there is no repository yet.
fn workspace(out: &Path) -> anyhow::Result<()> {
    if out.join("package.json").exists() {
        return Ok(());
    }
    for file in TEMPLATE {
        let path = out.join(file.path);
        // Whatever is there is somebody's.
        if !path.exists() {
            put(&path, file.content)?;
            if file.is_program() {
                fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).with_context(|| format!("{}", path.display()))?;
            }
        }
    }
    eprintln!("{}: kit, configuration and lockfile are written: run bun install there", out.display());
    Ok(())
}

/// What writing a package came to.
struct Written {
    /// Where its document contradicts what people wrote in seeded files.
    contradicted: Vec<String>,
    /// What its service keeps of before and finds no more.
    lost: Vec<String>,
    /// What it finds otherwise than before.
    altered: Vec<String>,
}

impl Written {
    fn tell(&self) {
        let by_hand = "left as it is, though the document asks for other code there: change it by hand";
        self.lost.iter().for_each(|kept| eprintln!("  no longer found: {kept}"));
        self.altered.iter().for_each(|kept| eprintln!("  found otherwise: {kept}"));
        self.contradicted.iter().for_each(|place| eprintln!("  {place}: {by_hand}"));
    }
}

/// Writes a package, and removes what only its former document generated.
fn write(out: &Path, document: &Document, manifest: &Manifest, options: &Options) -> anyhow::Result<Written> {
    let there = former(out, document, options);
    let former = files(there.as_ref());
    let mut contradicted = Vec::new();
    let mut contents = Vec::new();
    for file in &manifest.files {
        let path = out.join(&file.path);
        let present = if file.kind == Kind::Seeded && path.exists() { Some(text(&path)?) } else { None };
        let content = match (&present, former.get(&file.path)) {
            (None, _) => file.content.clone(),
            // Where nobody knows what it came from, it is whoever's works on it.
            (Some(present), None) => present.clone(),
            (Some(present), Some((_, former))) => {
                let merged = merge(former, present, &file.content);
                contradicted.extend((!merged.contradicted.is_empty()).then(|| merged.told(&file.path)));
                merged.text
            }
        };
        if present.as_ref() != Some(&content) {
            contents.push((path, content));
        }
    }
    // A handler for who pays would stay behind a route that nobody pays for.
    let changed = there.as_ref().map(|there| scaffold::turned(&there.paid(), &manifest.paid())).unwrap_or_default();
    let lost = there.as_ref().map(|there| scaffold::lost(&there.kept, &manifest.kept)).unwrap_or_default();
    let altered = there.as_ref().map(|there| scaffold::altered(&there.kept, &manifest.kept)).unwrap_or_default();
    if !contradicted.is_empty() && !changed.is_empty() {
        bail!(
            "{}: nothing is written: {} would be free or paid other than before, and {} was changed by hand where that matters: \
             leave the price, or change the document by hand first",
            document.id,
            changed.join(", "),
            contradicted.join("; ")
        );
    }
    for (path, content) in contents {
        put(&path, &content)?;
    }
    let kept = |path: &String| manifest.files.iter().any(|file| file.path == *path);
    for (path, _) in former.iter().filter(|(path, (kind, _))| *kind == Kind::Generated && !kept(path)) {
        let path = out.join(path);
        if path.exists() {
            fs::remove_file(&path).with_context(|| format!("{}", path.display()))?;
        }
    }
    Ok(Written { contradicted, lost, altered })
}

/// What the document that is there became, where it can be read: for the prices that
/// stand in its package, whatever they are to be now.
fn former(out: &Path, document: &Document, options: &Options) -> Option<Manifest> {
    let package = out.join(format!("packages/{}", document.id));
    let document = prim::read(&fs::read_to_string(package.join("prim.yaml")).ok()?).ok()?;
    let options = Options { default_price: options.default_price, ..charged(&package, &document).ok()? };
    scaffold::manifest(&document, &options).ok()
}

/// A package's files by their paths.
fn files(manifest: Option<&Manifest>) -> BTreeMap<String, (Kind, String)> {
    let files = manifest.into_iter().flat_map(|manifest| &manifest.files);
    files.map(|file| (file.path.clone(), (file.kind, file.content.clone()))).collect()
}

fn text(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("{}", path.display()))
}

fn put(path: &Path, content: &str) -> anyhow::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("{}", folder.display()))?;
    }
    fs::write(path, content).with_context(|| format!("{}", path.display()))
}

fn report(document: &Document, manifest: &Manifest) {
    let count = |backend: &str| manifest.routes.iter().filter(|route| route.backend == backend).count();
    let implied = match manifest.routes.iter().filter(|route| route.implied).count() {
        0 => String::new(),
        all => format!(" ({all} of them implied)"),
    };
    eprintln!(
        "{}: {} files, routes: {} native, {} provider{implied}, {} cli, {} not implemented",
        document.id,
        manifest.files.len(),
        count("native"),
        count("provider"),
        count("cli"),
        count("missing"),
    );
    manifest.assumptions.iter().for_each(|assumption| eprintln!("  assumed: {assumption}"));
    manifest.unimplemented.iter().for_each(|route| eprintln!("  501: {} ({}): {}", route.route, route.operation, route.reason));
}
