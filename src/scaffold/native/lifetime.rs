//! Whether what a collection holds comes to an end by itself.

use super::{
    super::{prose, types},
    makers::verb,
    members::{self, Member},
    verbs::{self, Deed},
};
use crate::prim::{Document, Route, Type};

/// Items end where a word, a status, a parameter or a field of theirs says so. `first`
/// makes them, `routes` are all of the collection, `shapes` what they answer and take.
pub(super) fn ends(document: &Document, first: &Route, routes: &[&Route], members: &[(usize, Member)], shapes: &[&Type]) -> bool {
    let gone = routes.iter().any(|route| route.error(410).is_some());
    // How long a DNS server's answer may be kept is no end of the record.
    if gone || members::of_dns(first) {
        return gone;
    }
    // What is held is let go of in the end, and what is renewed would end.
    let mut words = verb(first).into_iter().chain(first.path.nouns().last().map(str::to_owned));
    let held = words.any(|word| verbs::deed(&word) == Some(Deed::Hold));
    let renewed = members.iter().any(|(_, member)| matches!(member, Member::Renew));
    held || renewed
        || routes.iter().any(|route| route.prose().any(prose::says_ttl))
        || routes.iter().any(|route| route.query.iter().any(|param| types::SPANS.contains(&param.name.as_str())))
        || routes.iter().filter_map(|route| types::taken(document, route)).any(|kind| types::ends(document, kind))
        || prose::example_fields(document, first).any(|field| prose::says_ttl(&field))
        || shapes.iter().any(|kind| types::lives(document, kind))
}
