//! How a running primitive is reached: the edge's route, the zone's record, and
//! whether the name then answers as this primitive. What is another's is named and
//! left alone.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    deployment::short,
    draft::{Draft, Hold, SOON},
    seen::{Naming, Probed},
};
use crate::{
    api::{
        conditions::{ConditionType, Reason},
        names::Fqdn,
        primitive::Version,
    },
    decide::Action,
    ports::{
        dns::{AddressRecord, Holder, NameState},
        edge::Route,
    },
};

/// First and longest wait between two probes of a name that does not answer.
const PROBES: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(60));
/// How soon to look again at what another holds.
const HELD: Duration = Duration::from_secs(60);

/// Where a host answers.
pub fn url(host: &Fqdn) -> String {
    format!("https://{host}")
}

/// Whether the edge routes as it should.
pub fn routed(routes: &[Route], wanted: &Route) -> bool {
    routes.iter().any(|route| route == wanted)
}

/// Whether the name is as it should be.
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
    if let Some(holder) = another(state, record) {
        let message = format!("the name {} is held by {holder}: choose another id, or have it given up", record.name);
        draft.bad(ConditionType::NameReady, Hold::stalled(Reason::Taken, message, HELD));
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
    probe(draft, naming, runs)
}

/// Who else holds the name.
fn another<'a>(state: &'a NameState, wanted: &AddressRecord) -> Option<&'a Holder> {
    state.holder.as_ref().filter(|holder| **holder != Holder::Marked(wanted.owner.clone()))
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
        draft.good(kind, Reason::Verified, format!("{} is {}", wanted.name, wanted.address));
        return true;
    }
    let message = match route {
        // Not before the edge answers for it: whoever asks too early keeps the answer.
        Step::Impossible => format!("the record of {} waits for the edge's route", wanted.name),
        Step::There | Step::BeingSet => {
            draft.actions.push(Action::SetAddress(wanted.clone()));
            draft.effect("DnsRecord", wanted.name.as_str());
            format!("the record of {} is being set", wanted.name)
        }
    };
    draft.bad(kind, Hold::going(Reason::RollingOut, message, SOON));
    false
}

fn probe(draft: &mut Draft<'_>, naming: &Naming, runs: bool) -> bool {
    let (kind, url) = (ConditionType::Serving, url(&naming.route.host));
    let problem = match &naming.probed {
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
    let again = retry(draft.since_false(kind), draft.now.at);
    let commit = draft.status.commit.as_deref().map(short).unwrap_or_default().to_owned();
    draft.bad(kind, Hold::going(Reason::ProbeFailed, format!("{url} {problem} (commit {commit} runs)"), again));
    false
}

/// Longer waits the longer it lasts, so that none is counted.
fn retry(since: Option<Timestamp>, now: Timestamp) -> Duration {
    let age = since.map_or(0, |since| now.duration_since(since).as_secs().max(0));
    Duration::from_secs(age.unsigned_abs() / 8).clamp(PROBES.0, PROBES.1)
}
