//! What commands that run a plan are told of its services: where they answer, who
//! calls them, and what may be paid to whom. `gate_cli.rs` and `canary_cli.rs` take it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    str::FromStr,
};

use anyhow::{Context as _, bail};
use url::Url;

use crate::{
    gate_cli::read,
    runner::{
        budget::{self, Budget},
        http::{Settings, certificates},
        progress::plain,
    },
    suite::{Mode, Payment, Plan},
};

/// The chain where neither plan nor flags say one: Base Sepolia, where money is none.
pub(crate) const NETWORK: &str = "eip155:84532";

/// Where services answer, who calls, and what it may cost.
#[derive(Debug, clap::Args)]
pub struct CallArgs {
    /// Sends a service's requests there; the service keeps its name where the address has none.
    #[arg(long, value_name = "SERVICE=URL")]
    base: Vec<Pair<Url>>,
    /// Certificates in PEM to trust instead of the system's.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Most that one request may cost, in USD.
    #[arg(long, value_name = "USD", default_value = "1.00", value_parser = budget::units)]
    max_payment: u128,
    /// Most that the run may cost, in USD.
    #[arg(long, value_name = "USD", default_value = "5.00", value_parser = budget::units)]
    budget: u128,
    /// The chain that is paid on; else the one that the plan names.
    #[arg(long, value_name = "CAIP-2", env = "PRIM_NETWORK")]
    network: Option<String>,
    /// The token that is paid with; else the chain's USDC.
    #[arg(long, value_name = "ADDRESS")]
    asset: Option<String>,
    /// Who is paid; else whomever a service names, unless a test says it.
    #[arg(long, value_name = "ADDRESS")]
    pay_to: Option<String>,
    /// The caller's address where there is no wallet.
    #[arg(long, value_name = "ADDRESS", env = "AGENT_ADDRESS")]
    agent_address: Option<String>,
    /// A variable of the plan.
    #[arg(long = "var", value_name = "NAME=VALUE")]
    vars: Vec<Pair<String>>,
}

impl CallArgs {
    /// How requests go out, with so many bytes of a body read. What the plan does not
    /// have can't be elsewhere, and nobody is paid at what is no address.
    pub(crate) fn settings(&self, plan: &Plan, body_limit: usize) -> anyhow::Result<Settings> {
        for (flag, address) in [("--asset", &self.asset), ("--pay-to", &self.pay_to)] {
            if let Some(given) = address.as_ref().filter(|given| !Payment::is_address(given)) {
                bail!("{flag}: {given:?} is no address: 0x and 40 hexadecimal digits");
            }
        }
        if let Some(given) = self.network().filter(|given| !Payment::is_chain(given)) {
            bail!("--network (or PRIM_NETWORK): {given:?} is no chain in CAIP-2 form, such as {NETWORK}");
        }
        named("--base", "service", self.base.iter().map(|Pair(service, _)| service.as_str()), &plan.services(), is_service)?;
        given_once("--var", self.vars.iter().map(|Pair(name, _)| name.as_str()))?;
        let mut bases = BTreeMap::new();
        for Pair(service, url) in &self.base {
            if !matches!(url.scheme(), "http" | "https") || url.query().is_some() {
                bail!("--base {service}={url} is no address of http or https");
            }
            bases.insert(service.clone(), url.clone());
        }
        let ca = self.ca.as_deref().map(|path| read(path).context("--ca")).transpose()?;
        if let (Some(path), Some(pem)) = (&self.ca, &ca) {
            certificates(pem).map_err(|problem| anyhow::anyhow!("--ca {} {problem}", path.display()))?;
        }
        Ok(Settings { bases, ca, body_limit, rate: None, wires: None })
    }

    /// What may be spent.
    pub(crate) fn budget(&self) -> Budget {
        Budget::new(self.max_payment, self.budget)
    }

    /// What is declared for tests that declare nothing themselves. prim.sh's rules
    /// declare no chain by themselves.
    pub(crate) fn declared(&self, plan: &Plan) -> Payment {
        let given = self.network().map(str::to_owned);
        let named = || plan.network.split(['(', ')', ' ', ',']).find(|word| word.starts_with("eip155:")).map(str::to_owned);
        let network = match plan.mode {
            Mode::Ours => given.or_else(named).or_else(|| Some(NETWORK.into())),
            Mode::Primsh => given,
        };
        Payment { max: None, amount: None, pay_to: self.pay_to.clone(), asset: self.asset.clone(), network }
    }

    /// The chain that is said. An empty variable of the environment is one that is not set.
    fn network(&self) -> Option<&str> {
        self.network.as_deref().filter(|network| !network.is_empty())
    }

    /// The caller's address where there is no wallet; an empty one is none.
    pub(crate) fn address(&self) -> Option<String> {
        self.agent_address.clone().filter(|address| !address.is_empty())
    }

    /// The plan's variables that are given by name.
    pub(crate) fn given(&self) -> impl Iterator<Item = (String, String)> {
        self.vars.iter().map(|Pair(name, value)| (name.clone(), value.clone()))
    }
}

/// Refuses names that nothing in the plan has.
pub(crate) fn named<'a>(
    flag: &str,
    what: &str,
    given: impl IntoIterator<Item = &'a str>,
    known: &BTreeSet<&str>,
    is: impl Fn(&str, &str) -> bool,
) -> anyhow::Result<()> {
    let given: Vec<_> = given.into_iter().collect();
    given_once(flag, given.iter().copied())?;
    for name in given {
        if !known.iter().any(|known| is(known, name)) {
            let there = if known.is_empty() { format!("it has no {what}s") } else { format!("there are {}", some(known)) };
            bail!("{flag}: the plan has no {what} {name:?}; {there}");
        }
    }
    Ok(())
}

/// Refuses what is given twice: one of them would be lost.
fn given_once<'a>(flag: &str, given: impl Iterator<Item = &'a str>) -> anyhow::Result<()> {
    let mut once = BTreeSet::new();
    for name in given {
        if !once.insert(name) {
            bail!("{flag}: {name:?} is given twice");
        }
    }
    Ok(())
}

/// The first of them, for people.
fn some(names: &BTreeSet<&str>) -> String {
    let shown = names.iter().take(20).map(|name| plain(name)).collect::<Vec<_>>().join(", ");
    if names.len() > 20 { format!("{shown} and {} more", names.len() - 20) } else { shown }
}

/// Whether a service is called so: by its name, or by its id.
pub(crate) fn is_service(service: &str, name: &str) -> bool {
    service == name || service.strip_suffix(".sh") == Some(name)
}

/// `NAME=VALUE` on the command line.
#[derive(Clone, Debug)]
pub(crate) struct Pair<T>(pub String, pub T);

impl<T: FromStr<Err: std::fmt::Display>> FromStr for Pair<T> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or("is not of the form NAME=VALUE")?;
        Ok(Self(name.to_owned(), value.parse().map_err(|e| format!("{value:?}: {e}"))?))
    }
}
