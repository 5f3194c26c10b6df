//! With what status and code something is refused: as the route declares it, else
//! as the kit does.

use super::{
    native::{Collection, Native, Op},
    text::{key, string},
};
use crate::prim::{DeclaredError, Route};

/// Why something is refused, in the kit's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    Missing,
    Foreign,
    Ended,
    Taken,
    Again,
    Closed,
    State,
    Full,
    Filled,
    Early,
    Unproven,
    Unknown,
    Unset,
}

impl Why {
    /// Its name and what the kit answers.
    fn usual(self) -> (&'static str, u16, &'static str) {
        match self {
            Self::Missing => ("missing", 404, "not_found"),
            Self::Foreign => ("foreign", 403, "forbidden"),
            Self::Ended => ("ended", 404, "not_found"),
            Self::Taken => ("taken", 409, "conflict"),
            Self::Again => ("again", 409, "conflict"),
            Self::Closed => ("closed", 409, "conflict"),
            Self::State => ("state", 409, "conflict"),
            Self::Full => ("full", 403, "limit_exceeded"),
            Self::Filled => ("filled", 409, "not_empty"),
            Self::Early => ("early", 429, "rate_limited"),
            Self::Unproven => ("unproven", 403, "forbidden"),
            Self::Unknown => ("unknown", 400, "invalid_code"),
            Self::Unset => ("unset", 501, "not_configured"),
        }
    }
}

/// What may be refused in what is done to a collection.
pub(super) fn of(native: &Native, collections: &[Collection]) -> Vec<Why> {
    let collection = collections.get(native.collection);
    let mut whys = match &native.op {
        Op::Create { .. } | Op::Batch => vec![Why::Taken, Why::Again, Why::Closed, Why::Full],
        Op::Upload => vec![Why::Again, Why::Closed, Why::Full],
        Op::Put { once: true, .. } => vec![Why::Taken, Why::Full],
        Op::Put { .. } | Op::Step { makes: true, .. } => vec![Why::Full],
        Op::Become { .. } | Op::Switch { .. } | Op::Step { .. } | Op::Flip { .. } => vec![Why::State],
        Op::Edge { .. } | Op::Take { .. } => vec![Why::Missing],
        Op::Remove { emptied: true, .. } => vec![Why::Filled],
        _ => Vec::new(),
    };
    whys.retain(|why| match why {
        Why::Taken => collection.is_some_and(|c| c.key.is_some()),
        Why::Again => collection.is_some_and(|c| c.joined && c.key.is_none()),
        Why::Closed => collection.is_some_and(|c| c.within.is_some()),
        Why::Full => collection.is_some_and(|c| c.most.is_some()),
        _ => true,
    });
    if native.param.is_some() || native.sent.is_some() || collection.is_some_and(|c| c.within.is_some()) {
        whys.retain(|why| *why != Why::Missing);
        whys.extend([Why::Missing, Why::Foreign]);
        if collection.is_some_and(|c| c.ends || c.status.is_some()) {
            whys.push(Why::Ended);
        }
    }
    whys
}

/// Fields that a body may have and that a code says to be taken: `title_taken`, `slug_exists`.
const UNIQUE: [&str; 16] = [
    "title", "slug", "name", "email", "username", "handle", "label", "url", "domain", "address", "key", "code", "phone", "path", "alias",
    "id",
];

/// The field that a conflict is about, by its code's words.
fn about(error: &DeclaredError) -> Option<String> {
    let words = crate::prim::words(&error.code);
    let ends: [&[&str]; 7] =
        [&["already", "exists"], &["already", "taken"], &["in", "use"], &["taken"], &["exists"], &["conflict"], &["not", "unique"]];
    let before = ends.iter().find_map(|end| {
        let (before, last) = words.split_at_checked(words.len().checked_sub(end.len())?)?;
        (last == *end).then_some(before)
    });
    let field = before.or_else(|| words.strip_prefix(&["duplicate".to_owned()][..]))?;
    (!field.is_empty()).then(|| field.join("_"))
}

/// The same by its description, where the code says nothing: "Vault name already taken".
fn described(error: &DeclaredError) -> Option<String> {
    let mut said = crate::prim::words(&error.description);
    let at = said.iter().position(|word| word == "already")?;
    said.truncate(at);
    said.retain(|word| word != "is");
    let field = said.pop()?;
    UNIQUE.contains(&field.as_str()).then_some(field)
}

/// Conflicts that a route declares of fields of their own, beside the one that names items.
/// `known`: whether the body has a field, where that is known.
pub(super) fn unique<'a>(route: &'a Route, key: Option<&str>, known: impl Fn(&str) -> Option<bool>) -> Vec<(String, &'a DeclaredError)> {
    let conflicts = route.errors.iter().filter(|error| error.status == 409);
    // `queue_name_taken` is of a queue's name, and `display_name_taken` of what is called so.
    let is_noun = |word: &str| route.path.nouns().any(|noun| crate::prim::singular(noun) == word);
    let field = |said: String| match said.rsplit_once('_') {
        Some((noun, last)) if known(&said) != Some(true) && UNIQUE.contains(&last) && is_noun(noun) => last.to_owned(),
        _ => said,
    };
    let fields = conflicts.filter_map(|error| Some((about(error).map(field).or_else(|| described(error))?, error)));
    fields.filter(|(field, _)| Some(field.as_str()) != key && known(field).unwrap_or_else(|| UNIQUE.contains(&field.as_str()))).collect()
}

/// The lines `unique: {…},`; none where there are none.
pub(super) fn unique_lines(unique: &[(String, &DeclaredError)], indent: usize) -> Vec<String> {
    let space = " ".repeat(indent);
    let line = |(field, error): &(String, &DeclaredError)| format!("{space}  {}: [409, {}],", key(field), string(&error.code));
    let lines: Vec<_> = unique.iter().map(line).collect();
    if lines.is_empty() { lines } else { [vec![format!("{space}unique: {{")], lines, vec![format!("{space}}},")]].concat() }
}

/// The lines `codes: {…},`; none where all is as usual.
pub(super) fn codes(route: &Route, whys: &[Why], indent: usize) -> Vec<String> {
    let space = " ".repeat(indent);
    let line = |why: &Why| {
        let (name, status, code) = why.usual();
        // What is looked at only where a route has a word for it is told by that word.
        let asked = matches!(why, Why::Again | Why::Closed);
        let declared = declared(route, *why).filter(|found| asked || *found != (status, code))?;
        Some(format!("{space}  {name}: [{}, {}],", declared.0, string(declared.1)))
    };
    let lines: Vec<_> = whys.iter().filter_map(line).collect();
    if lines.is_empty() { lines } else { [vec![format!("{space}codes: {{")], lines, vec![format!("{space}}},")]].concat() }
}

/// What a route answers while a setting is missing: what it declares for that, or
/// that somebody failed it.
pub(super) fn unset(route: &Route) -> Option<(u16, &str)> {
    declared(route, Why::Unset).or_else(|| route.error(502).map(pair))
}

fn pair(error: &DeclaredError) -> (u16, &str) {
    (error.status, &error.code)
}

fn declared(route: &Route, why: Why) -> Option<(u16, &str)> {
    let first = |status: u16| route.error(status).map(pair);
    let find = |test: &dyn Fn(&DeclaredError) -> bool| route.errors.iter().find(|error| test(error)).map(pair);
    match why {
        Why::Missing => first(404),
        // Without a word for it, what is another's is not there.
        Why::Foreign => find(&is_foreign).or_else(|| first(404)),
        Why::Ended => first(410).or_else(|| first(404)),
        // A field's own conflict is the name's where there is no other.
        Why::Taken => find(&|error| error.status == 409 && about(error).is_none() && !closes(error)).or_else(|| first(409)),
        Why::Again => find(&|error| error.status == 409 && repeats(error)),
        Why::Closed => find(&closes),
        Why::State | Why::Filled => first(409),
        Why::Full => find(&|error| [400, 403, 409, 429].contains(&error.status) && limits(error)),
        Why::Early => first(429),
        Why::Unproven => first(403).or_else(|| first(401)),
        Why::Unknown => find(&|error| error.status == 400 && says(error, &["recognized", "unknown", "no such", "invalid_code"])),
        Why::Unset => {
            find(&|error| error.status >= 500 && says(error, &["not configured", "not_configured", "not set"])).or_else(|| first(501))
        }
    }
}

/// A refusal that a route declares of what no store can tell: whether money, stock or room
/// is left, whose turn it is, whether two times meet. `limited`: how many a wallet may have
/// is known.
pub(super) fn untold(route: &Route, limited: bool) -> Option<&DeclaredError> {
    const RULES: [&str; 18] = [
        "insufficient",
        "unavailable",
        "overlap",
        "overlaps",
        "overlapping",
        "illegal",
        "turn",
        "occupied",
        "stock",
        "sold",
        "funds",
        "balance",
        "outbid",
        "low",
        "high",
        "full",
        "capacity",
        "inventory",
    ];
    let is_untold = |error: &&DeclaredError| {
        let words = crate::prim::words(&error.code);
        let ruled = words.iter().any(|word| RULES.contains(&word.as_str()));
        // Of a name it says that it is taken, and of a limit that is known, that it is reached.
        let known = words.first().is_some_and(|word| UNIQUE.contains(&word.as_str())) || (limited && limits(error));
        [400, 403, 409, 422].contains(&error.status) && ruled && !known
    };
    route.errors.iter().find(is_untold)
}

/// Whether a route has a word for what is another wallet's.
pub(super) fn foreign(route: &Route) -> bool {
    route.errors.iter().any(is_foreign)
}

fn is_foreign(error: &DeclaredError) -> bool {
    error.status == 403 && !limits(error) && !closes(error)
}

/// Whether an error is of what takes no more by now: `poll_closed`, `deadline_passed`.
fn closes(error: &DeclaredError) -> bool {
    const OVER: [&str; 7] = ["closed", "ended", "expired", "over", "finished", "deadline", "passed"];
    [403, 409, 410].contains(&error.status) && crate::prim::words(&error.code).iter().any(|word| OVER.contains(&word.as_str()))
}

/// Whether it is of a wallet that did the same before: `already_voted`, `duplicate_vote`.
fn repeats(error: &DeclaredError) -> bool {
    let named = about(error).is_some_and(|field| UNIQUE.contains(&field.as_str()));
    !named && !closes(error) && says(error, &["already", "duplicate", "twice"])
}

fn limits(error: &DeclaredError) -> bool {
    says(error, &["limit", "exceed", "maximum", "quota", "too many"]) && !says(error, &["rate"])
}

fn says(error: &DeclaredError, words: &[&str]) -> bool {
    let text = format!("{} {}", error.code, error.description).to_ascii_lowercase();
    words.iter().any(|word| text.contains(word))
}
