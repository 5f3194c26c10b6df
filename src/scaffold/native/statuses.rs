//! Statuses of items: the one that they begin with, and those that routes give them, by
//! the words that their type has.

use super::{super::types::Words, members::Member, verbs};

/// The status that items begin with, of those that their type names: its default, the
/// usual one, or the first that no route gives.
pub(super) fn begins(statuses: &Words, usual: &str, members: &[(usize, Member)]) -> String {
    let given = |status: &&String| {
        let gives = |(_, member): &(usize, Member)| match member {
            // What is put back waits as it did at first.
            Member::Become { to: "queued", .. } => false,
            Member::Become { to, .. } => alike(status, to) || verbs::synonyms(to).contains(&status.as_str()),
            Member::Claim => *status == "claimed" || verbs::synonyms("claimed").contains(&status.as_str()),
            _ => false,
        };
        members.iter().any(gives)
    };
    let all = || statuses.all.iter();
    let found = statuses.usual.as_ref().or_else(|| all().find(|status| *status == usual)).or_else(|| all().find(|status| !given(status)));
    found.or_else(|| all().next()).map_or_else(|| usual.into(), Clone::clone)
}

/// A status as the type has it that names some: `cancelled` may be `canceled` there.
pub(super) fn becomes(statuses: Option<&Words>, to: &str) -> Option<String> {
    let Some(Words { all, .. }) = statuses else { return Some(to.into()) };
    let exact = all.iter().find(|status| *status == to);
    let other = || verbs::synonyms(to).iter().find_map(|other| all.iter().find(|status| status == other));
    exact.or_else(|| all.iter().find(|status| alike(status, to))).or_else(other).cloned()
}

/// Whether two words differ in their ends alone.
fn alike(a: &str, b: &str) -> bool {
    let common = a.bytes().zip(b.bytes()).take_while(|(a, b)| a.eq_ignore_ascii_case(b)).count();
    common >= 4 && common + 2 >= a.len().min(b.len())
}
