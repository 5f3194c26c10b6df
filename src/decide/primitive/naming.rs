//! How a running primitive is reached: the edge's route, the zone's record, and
//! whether the name then answers as this primitive. What is another's is named and
//! left alone.

use super::{
    deployment::short,
    draft::{Draft, Hold},
    seen::{Naming, Probed},
};
use crate::{
    api::{
        conditions::{ConditionType, Reason},
        names::Fqdn,
        primitive::Version,
    },
    decide::{
        Action,
        waits::{HELD, PROBES, SOON, growing},
    },
    ports::{
        dns::{AddressRecord, Holder, NameState, Owner},
        edge::Route,
    },
};

/// Where a host answers.
pub fn url(host: &Fqdn) -> String {
    format!("https://{host}")
}

/// Whether the edge routes as it should.
pub fn routed(routes: &[Route], wanted: &Route) -> bool {
    routes.iter().any(|route| route == wanted)
}

/// Whether the name leads where it should and is ours. How long others may keep
/// that is no part of it: it is mended while the name leads there.
pub fn named(state: &NameState, wanted: &AddressRecord) -> bool {
    state.addresses == [wanted.address] && state.holder == Some(Holder::Marked(wanted.owner.clone()))
}

/// Says how far the name is, and does what is next. Whether it answers.
pub(super) fn judge(draft: &mut Draft<'_>, naming: &Naming, version: &Version) -> bool {
    let (record, state) = match (&naming.record, &naming.name) {
        (Err(error), _) | (_, Err(error)) => {
            draft.error(Some(ConditionType::NameReady), error);
            return false;
        }
        (Ok(record), Ok(state)) => (record, state),
    };
    // A route to a name that leads elsewhere would be of no use.
    if let Some(holder) = another(state, &record.owner) {
        taken(draft, &record.name, holder);
        return false;
    }
    let step = route(draft, naming);
    let named = name(draft, state, record, step);
    if step != Step::There || !named {
        return false;
    }
    draft.status.url = Some(url(&naming.route.host));
    // While another version starts, the name leads to the one before.
    let runs = draft.status.tree.as_ref() == Some(&version.tree);
    if runs {
        draft.reach("Named");
    }
    probe(draft, &naming.probed, &url(&naming.route.host), runs)
}

/// Who else holds the name.
pub fn another<'a>(state: &'a NameState, owner: &Owner) -> Option<&'a Holder> {
    state.holder.as_ref().filter(|holder| **holder != Holder::Marked(owner.clone()))
}

/// Somebody else holds the name.
pub(super) fn taken(draft: &mut Draft<'_>, name: &Fqdn, holder: &Holder) {
    let message = format!("the name {name} is held by {holder}: choose another id, or have it given up");
    draft.bad(ConditionType::NameReady, Hold::stalled(Reason::Taken, message, HELD));
}

/// How far a route is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    There,
    BeingSet,
    Impossible,
}

fn route(draft: &mut Draft<'_>, naming: &Naming) -> Step {
    let (kind, wanted) = (ConditionType::Routed, &naming.route);
    let routes = match &naming.routes {
        Ok(routes) => routes,
        Err(error) => {
            draft.error(Some(kind), error);
            return Step::Impossible;
        }
    };
    if let Some(other) = routes.iter().find(|other| other.host == wanted.host && other.id != wanted.id) {
        let message = format!("the edge's route {} has the host {}: choose another id, or remove that route", other.id, wanted.host);
        draft.bad(kind, Hold::stalled(Reason::Taken, message, HELD));
        return Step::Impossible;
    }
    // Of a Factory of the same name in another namespace.
    if let Some(other) = routes.iter().find(|other| other.id == wanted.id && other.host != wanted.host) {
        let message = format!("the edge's route {} is that of {}: give one of the two Factories another name", other.id, other.host);
        draft.bad(kind, Hold::stalled(Reason::Taken, message, HELD));
        return Step::Impossible;
    }
    if naming.host_taken {
        let message = format!("somebody else's route of the edge has the host {}: choose another id, or remove that route", wanted.host);
        draft.bad(kind, Hold::stalled(Reason::Taken, message, HELD));
        return Step::Impossible;
    }
    draft.effect("Route", &wanted.id);
    if routed(routes, wanted) {
        draft.good(kind, Reason::Verified, format!("the edge routes {} to the workload", wanted.host));
        return Step::There;
    }
    draft.actions.push(Action::SetRoute(wanted.clone()));
    draft.bad(kind, Hold::going(Reason::RollingOut, format!("the edge's route of {} is being set", wanted.host), SOON));
    Step::BeingSet
}

fn name(draft: &mut Draft<'_>, state: &NameState, wanted: &AddressRecord, route: Step) -> bool {
    let kind = ConditionType::NameReady;
    if named(state, wanted) {
        draft.effect("DnsRecord", wanted.name.as_str());
        if route == Step::There && state.ttl != Some(wanted.ttl) {
            draft.actions.push(Action::SetAddress(wanted.clone()));
        }
        draft.good(kind, Reason::Verified, format!("{} is {}", wanted.name, wanted.address));
        return true;
    }
    let (message, again) = match route {
        // Not before the edge answers for it: whoever asks too early keeps the answer.
        // How long that takes is the route's to say.
        Step::Impossible => (format!("the record of {} waits for the edge's route", wanted.name), draft.now.resync),
        Step::There | Step::BeingSet => {
            draft.actions.push(Action::SetAddress(wanted.clone()));
            draft.effect("DnsRecord", wanted.name.as_str());
            (format!("the record of {} is being set", wanted.name), SOON)
        }
    };
    draft.bad(kind, Hold::going(Reason::RollingOut, message, again));
    false
}

/// Says what answers at `url`. Whether that is this primitive.
pub(super) fn probe(draft: &mut Draft<'_>, probed: &Probed, url: &str, runs: bool) -> bool {
    let kind = ConditionType::Serving;
    let problem = match probed {
        Probed::Answered { right: true, .. } => {
            if runs {
                draft.reach("Serving");
            }
            draft.good(kind, Reason::Verified, format!("{url} answers as this service"));
            return true;
        }
        Probed::NotTried => {
            draft.unknown(kind, Hold::going(Reason::NotChecked, format!("{url} is asked next"), SOON));
            return false;
        }
        Probed::Answered { status, service, .. } => match service {
            Some(service) => format!("answers {status} as service {service:?}, which is another"),
            None => format!("answers {status} without the service's name"),
        },
        Probed::Failed(error) => format!("does not answer: {}", error.message),
    };
    let again = growing(draft.since_false(kind), draft.now.at, PROBES);
    let commit = draft.status.commit.as_deref().map(short).unwrap_or_default().to_owned();
    draft.bad(kind, Hold::going(Reason::ProbeFailed, format!("{url} {problem} (commit {commit} runs)"), again));
    false
}
