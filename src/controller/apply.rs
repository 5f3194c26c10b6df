//! Carries out a decision's actions through the ports: one match, in order, up to
//! the first failure. It chooses nothing.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    connections::Connection,
    context::Context,
    gate_run,
    ideas::{Author, Means},
    objects,
};
use crate::{
    api::conditions::Reason,
    decide::{Action, ObjectName, Receipt, retry},
    ports::{
        dns::{AddressSet, Dns},
        edge::{Edge, RouteSet},
        error::{Class, PortError},
        forge::Forge,
    },
    telemetry::{ActionLabels, chain},
};
use kube::runtime::reflector::ObjectRef;
use serde_json::json;

/// The connections that observing an object made, for acting on it.
#[derive(Default)]
pub struct Hands {
    /// The object itself, for letting it go.
    pub object: Option<Own>,
    /// The Factory, by namespace and name.
    pub factory: Option<(String, String)>,
    /// The factory's forge, where it could be connected to.
    pub forge: Option<Arc<dyn Forge>>,
    /// The factory's zone, where it could be connected to.
    pub dns: Option<Arc<dyn Dns>>,
    /// The factory's edge, where it could be connected to.
    pub edge: Option<Arc<dyn Edge>>,
    /// Who writes the object's document, where somebody is to be asked for it.
    pub author: Option<Author>,
}

/// The object a pass is about.
pub struct Own {
    /// Which.
    pub name: ObjectName,
    /// Its uid.
    pub uid: String,
    /// Our finalizer, where the kind has one.
    pub finalizer: Option<&'static str>,
}

impl Hands {
    /// A connection's client, where its settings could be used.
    pub fn client<C: ?Sized>(connection: &Result<Connection<C>, PortError>) -> Option<Arc<C>> {
        connection.as_ref().ok().and_then(Connection::client)
    }
}

/// Does `actions` in order, up to the first that fails. Returns what came of those
/// that were done.
pub async fn all<'a>(actions: &'a [Action], hands: &Hands, cx: &Context) -> (Vec<(&'a Action, Receipt)>, Option<PortError>) {
    let mut done = Vec::new();
    for action in actions {
        cx.failpoints.reach(action.name(), "before");
        let result = one(action, hands, cx).await;
        let label = match &result {
            Ok(Receipt::Refused { class, .. }) => class.as_str(),
            Ok(_) => "ok",
            Err(error) => error.class.as_str(),
        };
        cx.metrics.actions.get_or_create(&ActionLabels { action: action.name(), result: label }).inc();
        match result {
            Ok(receipt) => {
                match &receipt {
                    Receipt::Refused { message, .. } => tracing::warn!(action = action.name(), message, "refused"),
                    _ => tracing::info!(action = action.name(), ?receipt, "done"),
                }
                done.push((action, receipt));
            }
            Err(error) => return (done, Some(error)),
        }
        cx.failpoints.reach(action.name(), "after");
    }
    (done, None)
}

async fn one(action: &Action, hands: &Hands, cx: &Context) -> Result<Receipt, PortError> {
    if action.irreversible() {
        cx.leadership.prove(cx.clock.now())?;
    }
    match action {
        Action::CreateLabel(label) => forge(hands)?.create_label(label).await?,
        Action::CreateGate(objects) => gate_run::create(objects, &cx.client).await?,
        Action::CommitFiles(new) => return forge(hands)?.commit_files(new).await.map(Receipt::Committed),
        Action::OpenPull(new) => return forge(hands)?.open_pull(new).await.map(Receipt::Opened),
        Action::UpdateBranch(number, head) => return forge(hands)?.update_branch(*number, head).await.map(Receipt::Updated),
        Action::SetStatus(sha, status) => forge(hands)?.set_status(sha, status).await.map(drop)?,
        Action::Comment { number, marker, body } => match forge(hands)?.upsert_comment(*number, marker, body).await {
            // Whoever writes so much below a pull request must not keep it from being merged.
            Err(error) if error.reason == Reason::TooLarge => {
                tracing::warn!(error = chain(&error), "a comment was not written");
                return Ok(Receipt::Unkept(Some(error.message)));
            }
            other => other.map(drop)?,
        },
        Action::ClosePull(number) => forge(hands)?.close_pull(*number).await.map(drop)?,
        Action::DeleteBranch(branch, head) => return forge(hands)?.delete_branch(branch, head).await.map(Receipt::Removed),
        Action::Merge(number, request) => return forge(hands)?.merge(*number, request).await.map(Receipt::Merged),
        Action::SetAddress(record) => match hand(hands.dns.as_ref())?.set_address(record).await? {
            AddressSet::Set | AddressSet::Unchanged => {}
            AddressSet::OwnedBy(holder) => return Err(taken(&format!("the name {} is held by {holder}", record.name))),
        },
        Action::RemoveName(name, owner) => hand(hands.dns.as_ref())?.remove(name, owner).await.map(drop)?,
        Action::SetRoute(route) => match hand(hands.edge.as_ref())?.set_route(route).await? {
            RouteSet::Set | RouteSet::Unchanged => {}
            RouteSet::HostTaken(other) => return Err(taken(&format!("the edge routes {} by {other}", route.host))),
        },
        Action::RemoveRoute(id) => hand(hands.edge.as_ref())?.remove_route(id).await.map(drop)?,
        Action::CreateObject(manifest) => objects::create(manifest, &cx.client).await?,
        Action::Adopt(manifest) => match objects::create(manifest, &cx.client).await {
            // Whoever does not answer at all is asked for no other either.
            Err(PortError { class, reason, message, .. }) if reason != Reason::Unreachable => {
                return Ok(Receipt::Refused { class, reason, message });
            }
            other => other?,
        },
        Action::KeepReport(manifest, _) => {
            if let Err(error) = objects::create(manifest, &cx.client).await {
                tracing::warn!(error = chain(&error), "a gate's report was not kept");
                return Ok(Receipt::Unkept(retry::stalls(error.class).then_some(error.message)));
            }
        }
        Action::ApplyObject(manifest) => objects::apply(manifest, &cx.client).await?,
        Action::RemoveObject(name) => objects::remove(name, &cx.client).await?,
        Action::PokeFactory => {
            let (namespace, name) = hands.factory.as_ref().ok_or_else(no_hand)?;
            cx.poke(ObjectRef::new(name).within(namespace));
        }
        Action::AskModel(question) => {
            let (own, author) = (hands.object.as_ref().ok_or_else(no_hand)?, hand(hands.author.clone())?);
            let means = Means { scanner: cx.scanner.clone(), clock: cx.clock.clone(), limits: cx.limits.clone() };
            cx.ideas.ask((own.name.namespace.clone(), own.name.name.clone(), own.uid.clone()), question, author, means);
        }
        // By merge: no server-side apply of ours drops what another manager wrote.
        Action::DropRetained { factory, ids } => {
            let retained: BTreeMap<_, ()> = ids.iter().map(|id| (id, ())).collect();
            objects::merge_status(factory, &json!({ "status": { "retained": retained } }), &cx.client).await?;
        }
        Action::NoteRoom { factory, name, until } => {
            objects::merge_status(factory, &json!({ "status": { "rooms": { name: until } } }), &cx.client).await?;
        }
        Action::DropRooms { factory, names } => {
            let rooms: BTreeMap<_, ()> = names.iter().map(|name| (name, ())).collect();
            if let Err(error) = objects::merge_status(factory, &json!({ "status": { "rooms": rooms } }), &cx.client).await {
                tracing::warn!(error = chain(&error), rooms = names.join(" "), "rooms stay on the Factory's list");
            }
        }
        Action::Retain { factory, id, tree } => {
            let retained = json!({ id.as_str(): tree });
            objects::merge_status(factory, &json!({ "status": { "retained": retained } }), &cx.client).await?;
        }
        Action::Release => {
            let own = hands.object.as_ref().ok_or_else(no_hand)?;
            let finalizer = own.finalizer.ok_or_else(no_hand)?;
            objects::release(&own.name, finalizer, &cx.client).await?;
        }
    }
    Ok(Receipt::Done)
}

fn forge(hands: &Hands) -> Result<&Arc<dyn Forge>, PortError> {
    hand(hands.forge.as_ref())
}

fn hand<T>(hand: Option<T>) -> Result<T, PortError> {
    hand.ok_or_else(no_hand)
}

/// Somebody took it between the look and the deed.
fn taken(what: &str) -> PortError {
    PortError::new(Class::Invalid, Reason::Taken, format!("{what}, which is not this object's: choose another id, or have it given up"))
}

fn no_hand() -> PortError {
    PortError::new(Class::Bug, Reason::InternalError, "an action needs a connection that observing did not make")
}
