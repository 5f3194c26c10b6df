//! Logs, metrics, error chains, and the one TLS provider of the process.

use std::error::Error;

use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{
        counter::Counter,
        family::Family,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};
use tracing_subscriber::{EnvFilter, fmt};

use crate::config::LogFormat;

/// Installs ring as the process's TLS provider. First thing in `main` and in
/// tests: with several providers in the graph, rustls would refuse to choose.
pub fn install_crypto_provider() {
    // An error means that one is installed already, and there is only this one.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Starts logging to standard error; `RUST_LOG` overrides the level.
pub fn install_logs(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,kube_runtime=warn"));
    let logs = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Json => logs.json().flatten_event(true).init(),
        LogFormat::Text => logs.init(),
    }
}

/// An error and its causes in one line. kube's errors repeat their source's text
/// at their own end; a cause that was said already is left out.
pub fn chain(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !line.ends_with(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        source = cause.source();
    }
    line
}

/// Labels of a pass: bounded sets both.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct PassLabels {
    /// The object's kind.
    pub kind: &'static str,
    /// `ok`, or the class of the failure.
    pub result: &'static str,
}

/// The kind of an object.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct KindLabel {
    /// The object's kind.
    pub kind: &'static str,
}

/// The name of an action.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct ActionLabels {
    /// The action.
    pub action: &'static str,
    /// `ok`, or the class of the failure.
    pub result: &'static str,
}

/// What became of a webhook delivery.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct DeliveryLabel {
    /// `accepted`, `duplicate`, `bad_signature` or `unknown_factory`.
    pub result: &'static str,
}

/// Whether people edited a change.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct EditedLabel {
    /// `true` or `false`.
    pub edited: &'static str,
}

/// A gate's layer, and what a run of it came to.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct GateLabels {
    /// `unit`, `contract`, …
    pub layer: &'static str,
    /// `Passed`, `Failed`, `Blocked` or `Error`.
    pub verdict: &'static str,
}

/// A phase of a primitive.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct PhaseLabel {
    /// `Phantom`, `Building`, `Testing`, `Live` or `Degraded`.
    pub phase: &'static str,
}

/// Every metric of the controller.
pub struct Metrics {
    registry: Registry,
    /// Passes over objects, by kind and result.
    pub passes: Family<PassLabels, Counter>,
    /// How long a pass took, in seconds.
    pub pass_seconds: Family<KindLabel, Histogram>,
    /// Statuses written to the API server.
    pub status_writes: Family<KindLabel, Counter>,
    /// Effects on the outside world.
    pub actions: Family<ActionLabels, Counter>,
    /// Webhook deliveries that came in.
    pub deliveries: Family<DeliveryLabel, Counter>,
    /// Verdicts of gates.
    pub gate_verdicts: Family<GateLabels, Counter>,
    /// From a primitive's document on the base branch to its answer, in seconds.
    pub merged_to_serving: Histogram,
    /// From a primitive's proposal to its answer, in seconds.
    pub spec_to_serving: Histogram,
    /// From the first passed gate of a primitive's proposal to its answer, in seconds.
    pub green_to_serving: Histogram,
    /// From a change's first look to its first passed gate, in seconds.
    pub spec_to_green: Histogram,
    /// From a change's first passed gate to its merge, in seconds.
    pub green_to_merged: Histogram,
    /// Changes that were merged, by whether people edited them.
    pub merged: Family<EditedLabel, Counter>,
    /// Gates that judged a tree in another way than the run before.
    pub verdict_flips: Counter,
    /// Runs of a primitive's gates that passed only when they were tried again.
    pub gate_flakes: Counter,
    /// Phases that primitives came to.
    pub phases: Family<PhaseLabel, Counter>,
}

/// From a quarter of a second to an hour and more.
fn stages() -> Histogram {
    Histogram::new(exponential_buckets(0.25, 2.0, 15))
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("flywheel");
        let passes = Family::default();
        let pass_seconds = Family::<KindLabel, Histogram>::new_with_constructor(|| Histogram::new(exponential_buckets(0.005, 2.0, 12)));
        let status_writes = Family::default();
        let actions = Family::default();
        let deliveries = Family::default();
        let gate_verdicts = Family::default();
        registry.register("passes", "Passes over objects, by kind and result", passes.clone());
        registry.register_with_unit("pass_duration", "How long a pass took", Unit::Seconds, pass_seconds.clone());
        registry.register("status_writes", "Statuses written to the API server, by kind", status_writes.clone());
        registry.register("actions", "Effects on the outside world, by action and result", actions.clone());
        registry.register("webhook_deliveries", "Webhook deliveries, by what became of them", deliveries.clone());
        // From a second to most of a day.
        let long = || Histogram::new(exponential_buckets(1.0, 2.0, 16));
        let (merged_to_serving, spec_to_serving) = (long(), long());
        let help = "From a primitive's document on the base branch to its answer";
        registry.register_with_unit("merged_to_serving", help, Unit::Seconds, merged_to_serving.clone());
        registry.register_with_unit("spec_to_serving", "From a primitive's proposal to its answer", Unit::Seconds, spec_to_serving.clone());
        let green_to_serving = long();
        let help = "From the first passed gate of a primitive's proposal to its answer";
        registry.register_with_unit("green_to_serving", help, Unit::Seconds, green_to_serving.clone());
        let (spec_to_green, green_to_merged) = (stages(), stages());
        let merged = Family::default();
        let verdict_flips = Counter::default();
        let gate_flakes = Counter::default();
        let phases = Family::default();
        registry.register_with_unit(
            "spec_to_green",
            "From a change's first look to its first passed gate",
            Unit::Seconds,
            spec_to_green.clone(),
        );
        registry.register_with_unit(
            "green_to_merged",
            "From a change's first passed gate to its merge",
            Unit::Seconds,
            green_to_merged.clone(),
        );
        registry.register("changes_merged", "Changes that were merged, by whether people edited them", merged.clone());
        registry.register("gate_verdict_flips", "Gates that judged a tree in another way than the run before", verdict_flips.clone());
        registry.register("gate_flakes", "Runs of gates that passed only when they were tried again", gate_flakes.clone());
        registry.register("primitive_phases", "Phases that primitives came to", phases.clone());
        registry.register("gate_verdicts", "Verdicts of gates, by layer", gate_verdicts.clone());
        Self {
            registry,
            passes,
            pass_seconds,
            status_writes,
            actions,
            deliveries,
            gate_verdicts,
            spec_to_green,
            green_to_merged,
            merged,
            verdict_flips,
            gate_flakes,
            phases,
            merged_to_serving,
            spec_to_serving,
            green_to_serving,
        }
    }
}

impl Metrics {
    /// Everything in OpenMetrics text.
    pub fn encode(&self) -> Result<String, std::fmt::Error> {
        let mut out = String::new();
        text::encode(&mut out, &self.registry)?;
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer: inner")]
    struct Repeats(#[source] Inner);

    #[derive(Debug, thiserror::Error)]
    #[error("inner")]
    struct Inner;

    #[test]
    fn a_cause_said_already_is_not_said_twice() {
        assert_eq!(chain(&Repeats(Inner)), "outer: inner");
    }

    #[test]
    fn metrics_encode_with_their_prefix_and_unit() {
        let metrics = Metrics::default();
        metrics.passes.get_or_create(&PassLabels { kind: "Factory", result: "ok" }).inc();
        // A family shows once it has a value.
        metrics.pass_seconds.get_or_create(&KindLabel { kind: "Factory" }).observe(0.1);
        let text = metrics.encode().unwrap();
        assert!(text.contains("flywheel_passes_total{kind=\"Factory\",result=\"ok\"} 1"), "{text}");
        assert!(text.contains("flywheel_pass_duration_seconds_count{kind=\"Factory\"} 1"), "{text}");
    }
}
