//! The Job of a run over a deployed service, layers 2 and 3: one trusted container and
//! no agent's code, so that it may have what layer 1 must not, names, a way to the
//! edge, and operators' keys. What lets it out is a NetworkPolicy for its layer's
//! label.

use k8s_openapi::api::{batch::v1::Job, core::v1::ConfigMap};
use serde_json::{Value, json};

use super::{Frame, GATE, Given, TRUSTED_USER, bare, command, container, limited, resources, text};
use crate::{
    api::gate_run::Layer,
    gate::{bundle::digest, plan::Contract},
};

/// Everything that a run over a deployed service depends on.
#[derive(Clone, Debug)]
pub struct ServiceJob {
    /// What all layers have; nothing here is confined, since all of it is ours.
    pub frame: Frame,
    /// What is to be shown, and by whom.
    pub plan: ServicePlan,
    /// Secret with the wallet that it pays from.
    pub wallet: Option<String>,
}

/// What a run over a deployed service shows.
#[derive(Clone, Debug)]
pub enum ServicePlan {
    /// Layer 2: its answers.
    Contract(Box<Contract>),
    /// Layer 3: that a model can use it.
    Canary {
        /// Id of the primitive.
        primitive: String,
        /// What `gate agent` is told.
        plan: Value,
        /// Secret with the key that the model takes.
        key: Option<String>,
    },
}

/// Makes the ConfigMap and the Job, as [`super::build`] does.
pub fn build_service(job: &ServiceJob) -> (ConfigMap, Job) {
    let (layer, part, plan, primitive, key) = match &job.plan {
        ServicePlan::Contract(contract) => {
            let inside = Contract { plan: limited(&contract.plan, job.frame.timeout_seconds), ..Contract::clone(contract) };
            (Layer::Contract, "contract", text(&inside), &contract.plan.primitive, None)
        }
        ServicePlan::Canary { primitive, plan, key } => (Layer::Canary, "agent", plan.to_string(), primitive, key.as_deref()),
    };
    let digest = digest(plan.as_bytes());
    let Frame { name, image, .. } = &job.frame;
    let Given { arguments, mounts, volumes, reader } = Given::new(name, job.wallet.as_deref(), key);
    let run = command(&[part, "--plan", "/inputs/plan.json"], &[&["--digest", &digest, "--job", name], &arguments]);
    let mut pod = bare(json!({
        "terminationGracePeriodSeconds": 1,
        // The service is asked by its name, as everybody asks it.
        "dnsPolicy": "ClusterFirst",
        "containers": [container(image, GATE, &run, TRUSTED_USER, &mounts.into(), &resources("20m", "500m", "32Mi", "128Mi"))],
        "volumes": volumes
    }));
    if let Some(group) = reader {
        pod["securityContext"]["fsGroup"] = group.into();
    }
    job.frame.objects(primitive, layer, (plan, None), &pod)
}
