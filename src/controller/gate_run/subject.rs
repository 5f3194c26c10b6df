//! What a GateRun tests, and the Job that tests it. A change's content comes from
//! the forge by commit, or from a manifest's ConfigMap by digest; what is wrong
//! with a change is a verdict, and what is wrong with anything else a condition.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::{api::core::v1::ConfigMap, apimachinery::pkg::apis::meta::v1::Time};
use kube::{Api, ResourceExt, api::ListParams, core::DeserializeGuard};

use super::{NAME_LABEL, NAMESPACE_LABEL, job as job_objects};
use crate::{
    api::{
        AGGREGATES,
        agent_pr::{AgentPR, ManifestReference},
        conditions::Reason,
        factory::Factory,
        gate_run::{AgentPRTarget, GateRun, Layer, RoomLeft, Target, Tested, Verdict},
        names::Sha,
        primitive::{Phase, Primitive},
    },
    controller::{
        catalogue,
        code::{Package, Source},
        connections::{self, Connection},
        context::Context,
        gate_plan::{self, At, Deployed, Written},
        manifest,
        objects::{find, get, timely},
    },
    decide::{
        GateObjects,
        gate_run::{Outcome, Queue, Subject, is_queued, judge, judge_derived, room_left, rooms_emptied},
    },
    gate::{
        bundle::{Bundle, SourceFile},
        job::{self, Frame, GateJob, RoomJob, ServiceJob, ServicePlan},
        plan::{Contract, Plan},
    },
    ports::{
        error::{Class, PortError},
        forge::{Commit, Forge},
        payments::LATEST_SECONDS,
    },
};

/// Rooms without a verdict whose money the next one looks after, at most.
const LOOKED_AFTER: usize = 5;

/// A run, and what all its parts are made from.
struct Scene<'a> {
    run: &'a GateRun,
    job: &'a str,
    namespace: String,
    factory: Factory,
    cx: &'a Context,
}

/// Where a service runs, and of which version.
struct Place<'a> {
    url: &'a str,
    primitive: &'a str,
    commit: &'a str,
    tree: &'a str,
}

/// What the run is about, and its place among others.
pub(super) async fn look(run: &GateRun, job: &str, cx: &Context) -> (Result<Subject, PortError>, Queue) {
    let namespace = run.namespace().unwrap_or_default();
    let factories: Api<Factory> = Api::namespaced(cx.client.clone(), &namespace);
    let factory = match get(&factories, &run.spec.factory_ref.name, "spec.factoryRef.name: Factory").await {
        Ok(factory) => factory,
        Err(error) => return (Err(error), Queue::default()),
    };
    let scene = Scene { run, job, namespace, factory, cx };
    let queue = match scene.queue().await {
        Ok(queue) => queue,
        Err(error) => return (Err(error), Queue::default()),
    };
    // It was looked at when it began to wait, so that what is wrong is said at once.
    if queue.waits() && is_queued(run) {
        return (Ok(Subject::NotLooked), queue);
    }
    (scene.subject().await, queue)
}

/// Whether the run's Factory has a wallet for gates. One that can't be asked may have.
pub(super) async fn pays(run: &GateRun, cx: &Context) -> bool {
    let factories: Api<Factory> = Api::namespaced(cx.client.clone(), &run.namespace().unwrap_or_default());
    let factory = find(&factories, &run.spec.factory_ref.name).await;
    factory.ok().flatten().is_none_or(|factory| factory.spec.policy.gates.contract.wallet.is_some())
}

impl Scene<'_> {
    async fn queue(&self) -> Result<Queue, PortError> {
        let runs: Api<DeserializeGuard<GateRun>> = Api::namespaced(self.cx.client.clone(), &self.namespace);
        let all = timely(runs.list(&ListParams::default())).await?;
        // Of a run that can't be read nothing is known, and nothing runs.
        let readable: Vec<_> = all.items.iter().filter_map(|run| run.0.as_ref().ok()).collect();
        let queue = Queue::of(self.run, readable.iter().copied(), self.factory.spec.policy.max_running_gates);
        let orphans = job_objects::orphans(&self.namespace, &readable, self.cx).await?;
        Ok(queue.behind(orphans))
    }

    async fn subject(&self) -> Result<Subject, PortError> {
        match (self.run.spec.layer, &self.run.spec.target) {
            (Layer::Unit, Target { agent_pr: Some(target), .. }) => self.change(target).await,
            (Layer::Unit, Target { manifest_ref: Some(reference), .. }) => self.manifest(reference).await,
            (
                layer @ (Layer::Contract | Layer::Canary | Layer::CleanRoom),
                Target { url: Some(url), primitive: Some(primitive), commit: Some(commit), .. },
            ) => self.service(layer, url, primitive, commit).await,
            (Layer::Unit, _) => Err(PortError::invalid("spec.target", "layer Unit tests an agentPR or a manifestRef")),
            (layer, _) => {
                Err(PortError::invalid("spec.target", format!("layer {} tests a url with its primitive and commit", layer.name())))
            }
        }
    }

    /// A file manifest that no branch has yet.
    async fn manifest(&self, reference: &ManifestReference) -> Result<Subject, PortError> {
        let path = "spec.target.manifestRef";
        let configs: Api<ConfigMap> = Api::namespaced(self.cx.client.clone(), &self.namespace);
        let config = get(&configs, &reference.name, &format!("{path}.name: ConfigMap")).await?;
        let files = manifest::unpack(path, &config, reference)?;
        let (bundle, plan) = self.planned(&files).map_err(|problem| PortError::invalid(path, problem))?;
        Ok(self.unit("", bundle, plan))
    }

    /// A change, at exactly its commits.
    async fn change(&self, target: &AgentPRTarget) -> Result<Subject, PortError> {
        let primitive = self.primitive_of(&target.name).await?;
        let connection = self.forge().await?;
        let source = Source::new(&self.factory, &connection, self.cx);
        let revision = &target.revision;
        let (at_base, at_head) = ("spec.target.agentPR.revision.base", "spec.target.agentPR.revision.head");
        let Some(base) = self.commit(&source, at_base, &revision.base).await? else {
            return Ok(Subject::Told(missing(at_base, &revision.base)));
        };
        let Some(head) = self.commit(&source, at_head, &revision.head).await? else {
            return Ok(Subject::Told(missing(at_head, &revision.head)));
        };
        let before = source.entries(&base.sha).await.map_err(|e| self.of_factory(&e))?;
        let after = source.entries(&head.sha).await.map_err(|e| self.of_factory(&e))?;
        if primitive == AGGREGATES {
            let derived = catalogue::judged(&self.factory, &head.sha, &connection, self.cx).await.map_err(|e| self.of_factory(&e))?;
            return Ok(Subject::Told(judge_derived(revision, &head.tree, &before, &after, &derived)));
        }
        if let Some(outcome) = judge(&primitive, revision, &head.tree, &before, &after) {
            return Ok(Subject::Told(outcome));
        }
        let Some(package) = self.package(&source, &primitive, &head.sha).await? else {
            return Ok(Subject::Told(Outcome::broken(format!(
                "commit {} has files in packages/{primitive} and no such directory",
                head.sha
            ))));
        };
        // From here on what is wrong is the change's own content.
        let files = match source.files(&package).await {
            Ok(files) => files,
            Err(error) if error.class == Class::Invalid && matches!(error.reason, Reason::Invalid | Reason::TooLarge) => {
                return Ok(Subject::Told(Outcome::told("files", Verdict::Failed, error.message)));
            }
            Err(error) => return Err(self.of_factory(&error)),
        };
        let live = self.is_live(&primitive).await?;
        let planned = Bundle::pack(files.to_vec()).map_err(|e| e.to_string());
        let written = catalogue::written(&source, &base.sha).await.map_err(|e| self.of_factory(&e))?;
        let planned = planned.and_then(|bundle| Ok((bundle, gate_plan::with_preview(&files, &self.factory, live, &written)?)));
        Ok(match planned {
            Ok((bundle, plan)) => self.unit(&revision.tree, bundle, plan),
            Err(problem) => Subject::Told(Outcome::told("files", Verdict::Failed, problem)),
        })
    }

    /// A running service, by the document of its commit.
    async fn service(&self, layer: Layer, url: &str, primitive: &str, commit: &str) -> Result<Subject, PortError> {
        let connection = self.forge().await?;
        let source = Source::new(&self.factory, &connection, self.cx);
        let path = "spec.target.commit";
        let Some(found) = self.commit(&source, path, commit).await? else {
            return Ok(Subject::Told(missing(path, commit)));
        };
        let package = self.package(&source, primitive, &found.sha).await?;
        let package =
            package.ok_or_else(|| PortError::invalid("spec.target.primitive", format!("commit {commit} has no packages/{primitive}")))?;
        let files = source.files(&package).await.map_err(|e| self.of_factory(&e))?;
        let written = self.written(&source, &found.sha).await?;
        let deployed = gate_plan::deployed(&files, &self.factory, &written).map_err(|problem| PortError::invalid(path, problem))?;
        let place = Place { url, primitive, commit, tree: package.tree.as_str() };
        match layer {
            Layer::CleanRoom => self.room(&deployed, &place).await,
            _ => self.asked(layer, deployed.contract, &place),
        }
    }

    /// Layers 2 and 3 over it.
    fn asked(&self, layer: Layer, contract: Contract, place: &Place<'_>) -> Result<Subject, PortError> {
        let gates = &self.factory.spec.policy.gates;
        let (plan, tested) = match (layer, &gates.canary) {
            (Layer::Canary, None) => {
                return Err(lacking("layer Canary needs a model: set the Factory's policy.gates.canary.model (url, name, secret)"));
            }
            (Layer::Canary, Some(policy)) => {
                let plan = gate_plan::canary(&contract, policy).map_err(lacking)?;
                let tested = gate_plan::tested(place.tree, &plan, &self.factory);
                let plan = gate_plan::canary_at(plan, place.url, place.commit, self.seconds());
                (ServicePlan::Canary { primitive: place.primitive.into(), plan, key: policy.model.secret.clone() }, tested)
            }
            _ => {
                let tested = gate_plan::tested(place.tree, &contract, &self.factory);
                let contract = Contract { url: place.url.into(), commit: place.commit.into(), ..contract };
                (ServicePlan::Contract(Box::new(contract)), tested)
            }
        };
        let (config, job) = job::build_service(&ServiceJob { frame: self.frame(), plan, wallet: gates.contract.wallet.clone() });
        Ok(Subject::Job(Box::new(GateObjects { config, job }), tested))
    }

    /// Layer 4: its command line in a room of its own.
    async fn room(&self, deployed: &Deployed, place: &Place<'_>) -> Result<Subject, PortError> {
        let gates = &self.factory.spec.policy.gates;
        let Some(policy) = &gates.clean_room else {
            return Err(lacking("layer CleanRoom is not set up: set the Factory's policy.gates.cleanRoom, {} where its defaults do"));
        };
        let room = gate_plan::room(deployed, &self.factory, policy).map_err(lacking)?;
        let tested = gate_plan::tested(place.tree, &room.plan, &self.factory);
        let (earlier, frame) = (self.broken_rooms().await?, self.frame());
        let confined_by = gate_plan::confined_by(frame.runtime_class.as_deref());
        let at =
            At { url: place.url, commit: place.commit, seconds: self.seconds(), earlier: &earlier, confined_by: confined_by.as_deref() };
        let room = gate_plan::room_at(room, at);
        let tested = Tested { confined_by, ..tested };
        let (config, job) = job::build_room(&RoomJob {
            frame,
            primitive: place.primitive.into(),
            plan: room.plan,
            cli: room.cli,
            wallet: gates.contract.wallet.clone(),
            key: gates.canary.as_ref().and_then(|canary| canary.model.secret.clone()),
            notes: gate_plan::notes(&self.factory),
        });
        Ok(Subject::Job(Box::new(GateObjects { config, job }), tested))
    }

    /// The Factory's rooms that ended without a verdict, or without all of their money back,
    /// by their Jobs' names, the newest first.
    async fn broken_rooms(&self) -> Result<Vec<RoomLeft>, PortError> {
        let runs: Api<DeserializeGuard<GateRun>> = Api::namespaced(self.cx.client.clone(), &self.namespace);
        let all = timely(runs.list(&ListParams::default())).await?.items;
        let ours = |run: &GateRun| run.spec.layer == Layer::CleanRoom && run.spec.factory_ref == self.run.spec.factory_ref;
        let mut runs: Vec<_> = all.into_iter().filter_map(|run| run.0.ok()).filter(ours).collect();
        runs.sort_by_key(|run| std::cmp::Reverse(run.creation_timestamp().map(|at| at.0)));
        let runs: Vec<_> = runs.into_iter().filter_map(|run| run.status).collect();
        let emptied: BTreeSet<_> = runs.iter().flat_map(rooms_emptied).collect();
        // What runs that are gone had left, their Primitives know.
        let primitives: Api<DeserializeGuard<Primitive>> = Api::namespaced(self.cx.client.clone(), &self.namespace);
        let primitives = timely(primitives.list(&ListParams::default())).await?.items;
        let ours = |found: &Primitive| found.spec.factory_ref == self.run.spec.factory_ref;
        let known = primitives.into_iter().filter_map(|found| found.0.ok()).filter(ours).filter_map(|found| found.status);
        let left = runs.iter().filter_map(|status| room_left(Layer::CleanRoom, status)).chain(known.flat_map(|status| status.rooms));
        let left = left.chain(self.noted_rooms());
        let mut once = BTreeSet::new();
        let left = left.filter(|room| !emptied.contains(room.name.as_str()) && once.insert(room.name.clone()));
        Ok(left.take(LOOKED_AFTER).collect())
    }

    /// Rooms of the Factory's own list whose time is over: of runs that are gone, whoever
    /// made those.
    fn noted_rooms(&self) -> impl Iterator<Item = RoomLeft> {
        let now = self.cx.now().at;
        let is_over = move |until: &Time| until.0.duration_since(now).as_secs() <= LATEST_SECONDS;
        let rooms = self.factory.status.iter().flat_map(|status| &status.rooms).filter(move |(_, until)| is_over(until));
        rooms.map(|(name, until)| RoomLeft { name: name.clone(), until: Some(until.clone()) })
    }

    /// Whether somebody uses what the change changes: then it must pass layer 2 before
    /// it is merged.
    async fn is_live(&self, primitive: &str) -> Result<bool, PortError> {
        let primitives: Api<Primitive> = Api::namespaced(self.cx.client.clone(), &self.namespace);
        let found = find(&primitives, primitive).await?.filter(|found| found.spec.factory_ref == self.run.spec.factory_ref);
        let phase = found.and_then(|found| found.status?.phase);
        Ok(matches!(phase, Some(Phase::Live | Phase::Degraded)))
    }

    /// The primitive whose package the AgentPR changes.
    async fn primitive_of(&self, name: &str) -> Result<String, PortError> {
        let changes: Api<AgentPR> = Api::namespaced(self.cx.client.clone(), &self.namespace);
        let change = get(&changes, name, "spec.target.agentPR.name: AgentPR").await?;
        if change.spec.factory_ref != self.run.spec.factory_ref {
            let problem =
                format!("AgentPR {name} is of Factory {}, and this run of {}", change.spec.factory_ref.name, self.factory.name_any());
            return Err(PortError::invalid("spec.target.agentPR.name", problem));
        }
        Ok(change.spec.primitive)
    }

    /// The forge, if it may be asked: what it is asked later may come from memory.
    async fn forge(&self) -> Result<Connection<dyn Forge>, PortError> {
        let connection = connections::forge(&self.factory, self.cx).await.map_err(|e| self.of_factory(&e))?;
        connection.ask(self.cx, |_| async { Ok(()) }).await.map_err(|e| self.of_factory(&e))?;
        Ok(connection)
    }

    async fn commit(&self, source: &Source<'_>, path: &str, id: &str) -> Result<Option<Commit>, PortError> {
        let sha: Sha = id.parse().map_err(|e| PortError::invalid(path, e))?;
        source.commit(&sha).await.map_err(|e| self.of_factory(&e))
    }

    /// What people wrote of the gates' plan: as the base branch has it now, whichever
    /// commit is tested.
    async fn written(&self, source: &Source<'_>, tested: &Sha) -> Result<Written, PortError> {
        let newest = self.factory.status.as_ref().and_then(|status| status.base_sha.as_ref()?.parse().ok());
        catalogue::written(source, newest.as_ref().unwrap_or(tested)).await.map_err(|e| self.of_factory(&e))
    }

    async fn package(&self, source: &Source<'_>, primitive: &str, commit: &Sha) -> Result<Option<Package>, PortError> {
        let mut packages = source.packages(commit).await.map_err(|e| self.of_factory(&e))?;
        Ok(packages.remove(primitive))
    }

    fn of_factory(&self, error: &PortError) -> PortError {
        connections::of_factory(&self.factory, error)
    }

    fn planned(&self, files: &[SourceFile]) -> Result<(Bundle, Plan), String> {
        let bundle = Bundle::pack(files.to_vec()).map_err(|e| e.to_string())?;
        Ok((bundle, gate_plan::plan(files, &self.factory)?))
    }

    fn unit(&self, tree: &str, bundle: Bundle, plan: Plan) -> Subject {
        let tested = gate_plan::tested(tree, &plan, &self.factory);
        let (config, job) = job::build(&GateJob { frame: self.frame(), bundle, plan });
        Subject::Job(Box::new(GateObjects { config, job }), tested)
    }

    fn frame(&self) -> Frame {
        Frame {
            name: self.job.into(),
            namespace: self.cx.gates_namespace.clone(),
            image: self.factory.spec.deploy.image.clone(),
            runtime_class: self.factory.spec.deploy.runtime_class.clone(),
            timeout_seconds: self.timeout(),
            sealed_from: job::API_SERVER.into(),
            labels: self.labels(),
        }
    }

    fn timeout(&self) -> u32 {
        u32::try_from(self.run.spec.timeout_seconds).unwrap_or(1)
    }

    /// Those that are the program's own.
    fn seconds(&self) -> u64 {
        u64::from(self.timeout()).saturating_sub(job::OVERHEAD_SECONDS).max(1)
    }

    fn labels(&self) -> BTreeMap<String, String> {
        // A label's value is shorter than a name may be; a run of a longer name is
        // found by polling alone.
        let name = Some(self.run.name_any()).filter(|name| name.len() <= 63).unwrap_or_default();
        [(NAMESPACE_LABEL.to_owned(), self.namespace.clone()), (NAME_LABEL.to_owned(), name)].into()
    }
}

/// What the layer can't be run without.
fn lacking(problem: impl std::fmt::Display) -> PortError {
    PortError::invalid("spec.layer", problem)
}

/// What was to be tested is not there any more, or never was.
fn missing(path: &str, commit: &str) -> Outcome {
    Outcome::broken(format!("{path}: the repository has no commit {commit}"))
}
