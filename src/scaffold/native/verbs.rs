//! What the first word of an operation says. Words whose effect is outside of a
//! store (send, pay, deploy, search) are in no list.

/// First words of operations that add something.
const MAKES: [&str; 67] = [
    "create",
    "submit",
    "add",
    "register",
    "record",
    "report",
    "leave",
    "post",
    "insert",
    "new",
    "save",
    "store",
    "upload",
    "publish",
    "log",
    "schedule",
    "book",
    "subscribe",
    "put",
    "write",
    "open",
    "append",
    "import",
    "define",
    "enroll",
    "join",
    "reserve",
    "propose",
    "request",
    "invite",
    "file",
    "set",
    "make",
    "enqueue",
    "push",
    "follow",
    "watch",
    "bookmark",
    "track",
    "cast",
    "vote",
    "rate",
    "review",
    "comment",
    "upsert",
    "emit",
    "ingest",
    "grant",
    "issue",
    "draft",
    "announce",
    "remember",
    "queue",
    "shorten",
    "favorite",
    "favourite",
    "like",
    "nominate",
    "endorse",
    "pledge",
    "contribute",
    "declare",
    "plan",
    "rsvp",
    "place",
    "raise",
    "host",
];
/// The same where they are also what it is: `POST /v1/notes/:id/tags` by `tag_note`. Elsewhere
/// they do something to what is there.
const NAMED: [&str; 18] = [
    "tag",
    "reply",
    "react",
    "bid",
    "pin",
    "star",
    "label",
    "answer",
    "link",
    "offer",
    "flag",
    "mark",
    "highlight",
    "block",
    "mute",
    "heart",
    "upvote",
    "note",
];
/// Words that are one with the word after them: `check_in`, `sign_up`.
const IN_TWO: [(&str, &str); 4] = [("check", "in"), ("clock", "in"), ("sign", "up"), ("opt", "in")];

/// Whether an operation adds something. `thing`: the last word of its path, in the singular.
pub(super) fn makes(operation: &[String], thing: &str) -> bool {
    let Some(verb) = operation.first() else { return false };
    let in_two = IN_TWO.iter().any(|(first, second)| verb == first && operation.get(1).is_some_and(|word| word == second));
    let named = verb == thing && NAMED.contains(&verb.as_str());
    is_made(verb) || in_two || named
}

/// Whether a word alone says that something is added.
pub(super) fn is_made(verb: &str) -> bool {
    MAKES.contains(&verb)
}

/// What gives one item the fields that are sent along.
pub(super) const GIVES: [&str; 15] = [
    "assign",
    "reassign",
    "rename",
    "label",
    "move",
    "rate",
    "prioritize",
    "reprioritize",
    "snooze",
    "postpone",
    "reschedule",
    "annotate",
    "edit",
    "update",
    "configure",
];
/// First words of operations that list.
pub(super) const LISTS: [&str; 8] = ["list", "get", "read", "browse", "search", "find", "query", "fetch"];
/// First words of operations that let something live on.
pub(super) const RENEWS: [&str; 6] = ["renew", "extend", "touch", "refresh", "keepalive", "heartbeat"];
/// First words of operations that remove; others that take DELETE end something
/// for good and leave its name taken.
pub(super) const REMOVES: [&str; 13] =
    ["delete", "remove", "drop", "destroy", "clear", "purge", "erase", "unset", "forget", "release", "unlock", "ack", "acknowledge"];

/// What is done to one item that no field is sent for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    /// Adds to its number, takes from it, or sets it back to nothing.
    Step(i8),
    /// Turns its switch over.
    Flip,
    /// Takes its name while nobody else has it.
    Hold,
    /// Gives it back.
    Release,
}

impl Deed {
    /// Whether it makes what was not there.
    pub(super) fn makes(self) -> bool {
        matches!(self, Self::Step(1) | Self::Hold)
    }
}

/// The deed that a verb is.
pub(super) fn deed(verb: &str) -> Option<Deed> {
    match verb {
        "increment" | "incr" | "increase" | "bump" => Some(Deed::Step(1)),
        "decrement" | "decr" | "decrease" => Some(Deed::Step(-1)),
        "reset" | "zero" => Some(Deed::Step(0)),
        "toggle" | "flip" => Some(Deed::Flip),
        "acquire" | "lock" => Some(Deed::Hold),
        "release" | "unlock" => Some(Deed::Release),
        _ => None,
    }
}

/// A status that an operation gives an item.
pub(super) struct Turn {
    pub to: &'static str,
    /// Whether it decides about something that waits for it.
    pub decides: bool,
}

/// The status that a verb gives.
pub(super) fn turn(verb: &str) -> Option<Turn> {
    let decides = |to| Some(Turn { to, decides: true });
    let turns = |to| Some(Turn { to, decides: false });
    match verb {
        "approve" => decides("approved"),
        "accept" => decides("accepted"),
        "confirm" => decides("confirmed"),
        "deny" => decides("denied"),
        "reject" => decides("rejected"),
        "decline" => decides("declined"),
        "cancel" | "abort" => decides("cancelled"),
        "complete" | "finish" => decides("completed"),
        "dismiss" => decides("dismissed"),
        "withdraw" => decides("withdrawn"),
        "resume" | "activate" | "reactivate" | "enable" | "restore" | "reopen" | "unpause" | "unlock" | "unfreeze" | "unarchive"
        | "unsuspend" | "unblock" | "unmute" | "unhide" | "unpin" | "unstar" | "unflag" => turns("active"),
        "pause" => turns("paused"),
        "suspend" => turns("suspended"),
        "deactivate" => turns("deactivated"),
        "disable" => turns("disabled"),
        "archive" => turns("archived"),
        "close" => turns("closed"),
        "lock" => turns("locked"),
        "freeze" => turns("frozen"),
        "block" => turns("blocked"),
        "mute" => turns("muted"),
        "hide" => turns("hidden"),
        "start" => turns("started"),
        "stop" => turns("stopped"),
        "resolve" => turns("resolved"),
        "acknowledge" | "ack" => turns("acknowledged"),
        "publish" => turns("published"),
        "unpublish" => turns("unpublished"),
        "revoke" => turns("revoked"),
        "retire" => turns("retired"),
        "expire" => turns("expired"),
        "release" => turns("released"),
        "claim" => turns("claimed"),
        "flag" => turns("flagged"),
        "pin" => turns("pinned"),
        "star" => turns("starred"),
        "read" => turns("read"),
        "unread" => turns("unread"),
        "done" => turns("done"),
        "fail" => turns("failed"),
        "skip" => turns("skipped"),
        "void" => turns("voided"),
        "end" => turns("ended"),
        "begin" => turns("started"),
        "requeue" | "retry" => turns("queued"),
        "escalate" => turns("escalated"),
        "ban" => turns("banned"),
        "unban" => turns("active"),
        "trash" => turns("trashed"),
        "ignore" => turns("ignored"),
        "finalize" => turns("finalized"),
        "unsubscribe" => turns("unsubscribed"),
        _ => None,
    }
}

/// Other words that a type may have for a status, the likeliest first.
pub(super) fn synonyms(to: &str) -> &'static [&'static str] {
    match to {
        "completed" => &["complete", "done", "finished", "succeeded", "success"],
        "done" => &["completed", "complete", "finished"],
        "failed" => &["failure", "error", "errored"],
        "started" => &["in_progress", "running", "active", "processing"],
        "claimed" => &["leased", "reserved", "taken", "in_progress", "processing", "running", "started", "assigned", "active"],
        "queued" => &["pending", "waiting", "ready", "open", "new"],
        "closed" => &["resolved", "ended"],
        "ended" => &["closed", "finished", "completed"],
        "resolved" => &["closed", "fixed"],
        _ => &[],
    }
}

/// What an operation's word says of a switch: the words that a type may have for it, each
/// with what it is afterwards.
pub(super) fn switches(verb: &str) -> Vec<(String, bool)> {
    let words: &[(&str, bool)] = match verb {
        "enable" | "activate" | "reactivate" => &[("enabled", true), ("active", true), ("disabled", false), ("on", true)],
        "disable" | "deactivate" => &[("enabled", false), ("active", false), ("disabled", true), ("on", false)],
        "pause" => &[("paused", true), ("active", false), ("enabled", false)],
        "resume" | "unpause" => &[("paused", false), ("active", true), ("enabled", true)],
        "complete" | "finish" | "done" => &[("completed", true), ("complete", true), ("done", true), ("finished", true)],
        "reopen" => &[("completed", false), ("complete", false), ("done", false), ("closed", false), ("resolved", false)],
        "restore" => &[("archived", false), ("deleted", false)],
        "unread" => &[("read", false), ("unread", true)],
        "read" => &[("read", true), ("unread", false)],
        _ => &[],
    };
    if !words.is_empty() {
        return words.iter().map(|(word, on)| ((*word).to_owned(), *on)).collect();
    }
    let undone = verb.strip_prefix("un").and_then(|verb| Some((turn(verb)?.to.to_owned(), false)));
    undone.or_else(|| Some((turn(verb)?.to.to_owned(), true))).into_iter().collect()
}

/// The status that an item ends with where DELETE does more than remove it.
pub(super) fn retired(verb: &str) -> Option<&'static str> {
    if REMOVES.contains(&verb) { None } else { turn(verb).map(|turn| turn.to) }
}
