//! Machines for clean rooms, in memory: made, kept, ended, stopped and removed.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use async_trait::async_trait;
use flywheel::{
    api::conditions::Reason,
    ports::{
        error::{Class, PortError},
        provisioner::{Order, Provisioner, Room, State, Stopped},
    },
};
use jiff::Timestamp;
use secrecy::ExposeSecret;

/// One room.
struct There {
    /// Everything that makes another order of it, keys too.
    order: String,
    room: Room,
    state: State,
    report: String,
    /// Whether its keys are still there.
    holds_keys: bool,
    /// How often it must be looked at until it is gone; absent where nobody removed it.
    leaving: Option<u32>,
}

/// What becomes of rooms.
#[derive(Default)]
pub struct Rooms {
    rooms: Mutex<BTreeMap<String, There>>,
    /// What was asked, in order: `make room-1`.
    calls: Mutex<Vec<String>>,
    /// Calls that fail, once each.
    failing: Mutex<Vec<&'static str>>,
    /// What is known of the end of those that are stopped while they run.
    stopped: Mutex<BTreeMap<String, Stopped>>,
    /// How rooms end by themselves once they were looked at.
    planned: Mutex<BTreeMap<String, (State, String)>>,
}

impl Rooms {
    fn with<T>(&self, effect: impl FnOnce(&mut BTreeMap<String, There>) -> T) -> T {
        effect(&mut self.rooms.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn call(&self, doing: &'static str, id: &str) -> Result<(), PortError> {
        self.calls.lock().unwrap().push(format!("{doing} {id}").trim_end().to_owned());
        let mut failing = self.failing.lock().unwrap();
        match failing.iter().position(|fails| *fails == doing) {
            None => Ok(()),
            Some(at) => {
                failing.remove(at);
                Err(PortError::unreachable("the provisioner"))
            }
        }
    }

    /// The next call of this name fails.
    pub fn fails(&self, doing: &'static str) {
        self.failing.lock().unwrap().push(doing);
    }

    pub fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }

    /// Brings a room's program to its end.
    pub fn end(&self, id: &str, state: State, report: &str) {
        self.with(|rooms| {
            let there = rooms.get_mut(id).expect("the room");
            (there.state, there.report) = (state, report.into());
        });
    }

    /// The room of this name will end so, once it was seen to run.
    pub fn will_end(&self, id: &str, state: State, report: &str) {
        self.planned.lock().unwrap().insert(id.into(), (state, report.into()));
    }

    /// The room of this name will say so when it is stopped.
    pub fn will_be_stopped(&self, id: &str, stopped: Stopped) {
        self.stopped.lock().unwrap().insert(id.into(), stopped);
    }

    /// Rooms in which keys lie.
    pub fn holding_keys(&self) -> Vec<String> {
        self.with(|rooms| rooms.iter().filter(|(_, there)| there.holds_keys).map(|(id, _)| id.clone()).collect())
    }

    pub fn ids(&self) -> Vec<String> {
        self.with(|rooms| rooms.keys().cloned().collect())
    }
}

#[async_trait]
impl Provisioner for Rooms {
    async fn make(&self, order: &Order) -> Result<(), PortError> {
        self.call("make", &order.id)?;
        let secret = |key: &Option<secrecy::SecretString>| key.as_ref().map(|key| key.expose_secret().to_owned());
        let text = format!(
            "{:?}",
            (
                &order.image,
                &order.primitive,
                &order.plan,
                &order.cli,
                secret(&order.wallet),
                secret(&order.model_key),
                order.seconds,
                &order.notes
            )
        );
        let room = Room { id: order.id.clone(), expires: order.expires, notes: order.notes.clone() };
        self.with(|rooms| match rooms.get(&order.id) {
            Some(there) if there.order == text && there.leaving.is_none() => Ok(()),
            Some(_) => Err(PortError::new(Class::Conflict, Reason::Taken, format!("room {} is another's", order.id))),
            None => {
                let holds_keys = order.wallet.is_some() || order.model_key.is_some();
                let state = State::Going("it starts".into());
                let there = There { order: text, room, state, report: String::new(), holds_keys, leaving: None };
                rooms.insert(order.id.clone(), there);
                Ok(())
            }
        })
    }

    async fn look(&self, id: &str) -> Result<State, PortError> {
        self.call("look", id)?;
        self.with(|rooms| {
            let Some(there) = rooms.get_mut(id) else { return Ok(State::Gone) };
            match there.leaving {
                None => {
                    let now = there.state.clone();
                    if let (State::Going(_), Some((state, report))) = (&now, self.planned.lock().unwrap().remove(id)) {
                        (there.state, there.report) = (state, report);
                    }
                    Ok(now)
                }
                Some(0) => {
                    rooms.remove(id);
                    Ok(State::Gone)
                }
                Some(left) => {
                    there.leaving = Some(left - 1);
                    Ok(State::Going("it is being removed".into()))
                }
            }
        })
    }

    async fn report(&self, id: &str) -> Result<String, PortError> {
        self.call("report", id)?;
        self.with(|rooms| rooms.get(id).map(|there| there.report.clone()).ok_or_else(|| gone(id)))
    }

    async fn keep(&self, id: &str, until: Timestamp) -> Result<(), PortError> {
        self.call("keep", id)?;
        self.with(|rooms| rooms.get_mut(id).map(|there| there.room.expires = until).ok_or_else(|| gone(id)))
    }

    async fn note(&self, id: &str, name: &str, text: &str) -> Result<(), PortError> {
        self.call("note", id)?;
        self.with(|rooms| {
            let there = rooms.get_mut(id).ok_or_else(|| gone(id))?;
            there.room.notes.insert(name.into(), text.into());
            Ok(())
        })
    }

    async fn stop(&self, id: &str) -> Result<Stopped, PortError> {
        self.call("stop", id)?;
        Ok(self.with(|rooms| {
            let Some(there) = rooms.get_mut(id) else { return Stopped::Unheard };
            there.holds_keys = false;
            match &there.state {
                State::Going(_) => {
                    there.state = State::Broken("it was stopped".into());
                    self.stopped.lock().unwrap().remove(id).unwrap_or_default()
                }
                State::Ended(words) => Stopped::Said(words.clone()),
                State::Broken(_) | State::Gone => Stopped::Unheard,
            }
        }))
    }

    async fn remove(&self, id: &str) -> Result<(), PortError> {
        self.call("remove", id)?;
        self.with(|rooms| {
            if let Some(there) = rooms.get_mut(id) {
                there.leaving.get_or_insert(1);
            }
        });
        Ok(())
    }

    async fn list(&self) -> Result<Vec<Room>, PortError> {
        self.call("list", "")?;
        Ok(self.with(|rooms| rooms.values().map(|there| there.room.clone()).collect()))
    }
}

fn gone(id: &str) -> PortError {
    PortError::new(Class::Invalid, Reason::Invalid, format!("there is no room {id}"))
}
