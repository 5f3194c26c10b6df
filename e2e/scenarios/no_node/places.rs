//! Where the controller dies: on both sides of every action that there is.

use std::fmt;

use flywheel::{controller::failpoints::SIDES, decide::Action};

/// Actions that no journey reaches, and why.
const UNREACHED: [(&str, &str); 4] = [
    ("keep_report", "a scripted node keeps no logs, so that there is no report"),
    ("note_room", "no journey has a clean room: tests/gate/rooms.rs cuts passes off around it"),
    ("drop_rooms", "no journey has a clean room: its failure changes nothing, which tests/gate/rooms.rs tries"),
    ("ask_model", "no journey has an idea: tests/primitive/idea.rs ends the process at each step of one"),
];

/// One side of an action, the nth time that it is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub action: &'static str,
    pub side: &'static str,
    pub times: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.action, self.side, self.times)
    }
}

/// Every place that a journey reaches. What is new among the actions is here by
/// itself.
pub(super) fn all() -> Vec<Place> {
    for (name, _) in UNREACHED {
        assert!(Action::NAMES.contains(&name), "there is no action {name}");
    }
    let reached = Action::NAMES.iter().filter(|name| !UNREACHED.iter().any(|(unreached, _)| unreached == *name));
    reached.flat_map(|&action| SIDES.map(|side| Place { action, side, times: 1 })).collect()
}
