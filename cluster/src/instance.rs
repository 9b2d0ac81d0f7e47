//! An entity without its type: what the runtime loads, asks and writes.
//!
//! [`TypeOf`] bridges from the typed [`Entity`] to bytes, so that shards, journal and links are written
//! once and not once per entity.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use serde::{Deserialize, Serialize};

use crate::ask::Once;
use crate::entity::{Context, Entity, EntityState, Event, HEAD_BYTES_MAX};
use crate::error::Failure;
use crate::events::PublicEvent;
use crate::outstanding::{Answer, Call, Outstanding};
use crate::parts::{PartSet, Parts};
use crate::reference::{Key, Kind};
use crate::store::{StateRow, StateTable, StoredEntity};
use crate::time::Timestamp;

/// How many edge commands an entity remembers at most; beyond it further ones are refused until some expire.
pub const REMEMBERED_MAX: usize = 512;
/// The part set in which they are kept.
const REMEMBERED: &str = "~once";

/// One kind of entity.
pub trait EntityType: Send + Sync {
    /// Its name.
    fn kind(&self) -> Kind;
    /// Its state table.
    fn table(&self) -> StateTable;
    /// Members of states and events, wherever they stand, that are personal or secret.
    fn personal(&self) -> &'static [&'static str];
    /// Those of them that are secret.
    fn secret(&self) -> &'static [&'static str];
    /// A fresh instance.
    fn create(&self) -> Box<dyn Instance>;
    /// An instance as it was stored.
    fn restore(&self, stored: &StoredEntity) -> Result<Box<dyn Instance>, String>;
    /// What the outside is told of an event (JSON, as the journal has it).
    fn publish(&self, key: &Key, event: &[u8]) -> Result<Option<PublicEvent>, String>;
}

/// One loaded entity.
pub trait Instance: Send {
    /// Decides a command and applies its events.
    fn decide(&mut self, command: &[u8], once: Option<&Once>, context: &mut Context) -> Decided;
    /// What is outstanding now.
    fn outstanding(&self) -> Pending;
    /// The head's row without version, seq and time to wake.
    fn head_row(&self) -> StateRow;
    /// The parts touched since the last call: name (`set/key`) and JSON, or nothing when gone.
    fn take_touched(&mut self) -> Vec<(String, Option<Vec<u8>>)>;
    /// The whole state, for inspection.
    fn to_json(&mut self) -> serde_json::Value;
    /// Applies an event of the journal (JSON) without deciding anything, to see a state of the past.
    fn replay(&mut self, event: &[u8]) -> Result<(), String>;
}

/// The outcome of a decision.
#[derive(Debug)]
pub enum Decided {
    /// Accepted. Without events it was a read.
    Accepted {
        /// Type and JSON of each event.
        events: Vec<(&'static str, Vec<u8>)>,
        /// The reply as JSON.
        reply: Vec<u8>,
    },
    /// Refused by the entity: its rejection as JSON.
    Rejected(Vec<u8>),
    /// Not decided at all.
    Failed(Failure),
}

/// What is outstanding, without types.
#[derive(Default)]
pub struct Pending {
    /// Effects to run.
    pub effects: Vec<PendingEffect>,
    /// When to wake, and the command (JSON) to give then.
    pub wake: Option<(Timestamp, Vec<u8>)>,
}

/// One effect.
pub struct PendingEffect {
    /// Step and ordinal.
    pub id: EffectId,
    /// Its calls.
    pub calls: Vec<Call>,
    /// From the answers to a command (JSON).
    pub then: Box<dyn FnOnce(Vec<Answer>) -> Vec<u8> + Send>,
    /// After how many failed attempts to give up, and the command (JSON) for it.
    pub give_up: Option<(u32, Vec<u8>)>,
}

/// Names an effect within its entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EffectId {
    /// The step.
    pub step: &'static str,
    /// Its repeat.
    pub ordinal: u64,
}

/// The [`EntityType`] of an [`Entity`].
pub struct TypeOf<E>(PhantomData<fn() -> E>);

impl<E: Entity> TypeOf<E> {
    /// It holds nothing.
    pub fn new() -> Self {
        Self(PhantomData)
    }
}

impl<E: Entity> Default for TypeOf<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E: Entity> EntityType for TypeOf<E> {
    fn kind(&self) -> Kind {
        E::KIND
    }

    fn table(&self) -> StateTable {
        StateTable { kind: E::KIND, columns: E::State::COLUMNS }
    }

    fn personal(&self) -> &'static [&'static str] {
        E::PERSONAL
    }

    fn secret(&self) -> &'static [&'static str] {
        E::SECRET
    }

    fn create(&self) -> Box<dyn Instance> {
        Box::new(Loaded::<E> { state: E::State::default(), remembered: None })
    }

    fn restore(&self, stored: &StoredEntity) -> Result<Box<dyn Instance>, String> {
        let mut state = E::State::default();
        *state.head_mut() = serde_json::from_slice(&stored.head).map_err(|error| format!("head: {error}"))?;
        let mut remembered = Parts::default();
        for (name, data) in &stored.parts {
            let (set, key) = name.split_once('/').ok_or_else(|| format!("part {name:?} names no set"))?;
            if set == REMEMBERED {
                remembered.restore(key, data)?;
            } else if let Some((_, parts)) = state.parts().into_iter().find(|(known, _)| *known == set) {
                parts.restore(key, data)?;
            } else {
                return Err(format!("part set {set:?} is unknown to this version"));
            }
        }
        state.loaded();
        let remembered = (!remembered.is_empty()).then(|| Box::new(remembered));
        Ok(Box::new(Loaded::<E> { state, remembered }))
    }

    fn publish(&self, key: &Key, event: &[u8]) -> Result<Option<PublicEvent>, String> {
        let event: E::Event = serde_json::from_slice(event).map_err(|error| format!("{}: {error}", E::KIND))?;
        Ok(E::publish(key, &event))
    }
}

/// An edge command that has been executed.
#[derive(Serialize, Deserialize)]
struct Remembered {
    expires_at: Timestamp,
    accepted: bool,
    #[serde(with = "as_text")]
    reply: Vec<u8>,
}

struct Loaded<E: Entity> {
    state: E::State,
    /// Boxed: most entities never take a command that must be remembered.
    remembered: Option<Box<Parts<String, Remembered>>>,
}

impl<E: Entity> Loaded<E> {
    /// The answer to a command that has been executed before, or why it can't be executed now.
    fn recall(&self, once: &Once, now: Timestamp) -> Option<Decided> {
        let known = self.remembered.as_ref().and_then(|all| all.get(&once.id));
        if let Some(known) = known {
            let reply = known.reply.clone();
            return Some(if known.accepted {
                Decided::Accepted { events: Vec::new(), reply }
            } else {
                Decided::Rejected(reply)
            });
        }
        if once.expires_at <= now {
            return Some(Decided::Failed(Failure::Expired));
        }
        let live = self.remembered.as_ref().map_or(0, |all| all.values().filter(|one| one.expires_at > now).count());
        (live >= REMEMBERED_MAX)
            .then(|| Decided::Failed(Failure::Overloaded { queue: "remembered commands".into(), retry_after_ms: 1000 }))
    }

    fn remember(&mut self, once: &Once, reply: &[u8], now: Timestamp) {
        let all = self.remembered.get_or_insert_default();
        let expired: Vec<String> =
            all.iter().filter(|(_, one)| one.expires_at <= now).map(|(id, _)| id.clone()).collect();
        for id in expired {
            all.remove(&id);
        }
        all.insert(once.id.clone(), Remembered { expires_at: once.expires_at, accepted: true, reply: reply.to_vec() });
    }
}

impl<E: Entity> Instance for Loaded<E> {
    fn decide(&mut self, command: &[u8], once: Option<&Once>, context: &mut Context) -> Decided {
        if let Some(recalled) = once.and_then(|once| self.recall(once, context.now)) {
            return recalled;
        }
        let command: E::Command = match serde_json::from_slice(command) {
            Ok(command) => command,
            Err(error) => {
                let reason = format!("not a command of {}: {error}", E::KIND);
                return Decided::Failed(Failure::Invalid { reason });
            }
        };
        match E::decide(&self.state, command, context) {
            Ok(decision) => {
                let reply = to_json(&decision.reply);
                let events: Vec<_> = decision.events.iter().map(|event| (event.event_type(), to_json(event))).collect();
                for event in &decision.events {
                    E::evolve(&mut self.state, event);
                }
                if let Some(remembered) = self.remembered.as_mut().filter(|_| self.state.is_erased()) {
                    remembered.clear();
                }
                if let Some(once) = once.filter(|_| !events.is_empty()) {
                    self.remember(once, &reply, context.now);
                }
                Decided::Accepted { events, reply }
            }
            Err(rejection) => Decided::Rejected(to_json(&rejection)),
        }
    }

    fn outstanding(&self) -> Pending {
        let Outstanding { effects, wake } = E::outstanding(&self.state);
        Pending {
            effects: effects
                .into_iter()
                .map(|effect| {
                    let then = effect.then;
                    PendingEffect {
                        id: EffectId { step: effect.step, ordinal: effect.ordinal },
                        calls: effect.calls,
                        then: Box::new(move |answers| to_json(&then(answers))),
                        give_up: effect.give_up.map(|end| (end.attempts, to_json(&end.command))),
                    }
                })
                .collect(),
            wake: wake.map(|wake| (wake.at, to_json(&wake.command))),
        }
    }

    fn head_row(&self) -> StateRow {
        StateRow { version: 0, seq: 0, data: to_json(self.state.head()), wake_at: None, columns: self.state.columns() }
    }

    fn take_touched(&mut self) -> Vec<(String, Option<Vec<u8>>)> {
        let mut touched = Vec::new();
        for (set, parts) in self.state.parts() {
            touched.extend(parts.take_touched().into_iter().map(|part| (format!("{set}/{}", part.key), part.data)));
        }
        if let Some(remembered) = &mut self.remembered {
            let parts = remembered.take_touched();
            touched.extend(parts.into_iter().map(|part| (format!("{REMEMBERED}/{}", part.key), part.data)));
        }
        touched
    }

    fn replay(&mut self, event: &[u8]) -> Result<(), String> {
        let event: E::Event = serde_json::from_slice(event).map_err(|error| format!("{}: {error}", E::KIND))?;
        E::evolve(&mut self.state, &event);
        Ok(())
    }

    fn to_json(&mut self) -> serde_json::Value {
        let parts: BTreeMap<_, _> = self.state.parts().into_iter().map(|(set, parts)| (set, parts.to_json())).collect();
        serde_json::json!({ "head": self.state.head(), "parts": parts })
    }
}

impl StateRow {
    /// Whether the head is within its bound.
    pub fn fits(&self) -> bool {
        self.data.len() <= HEAD_BYTES_MAX
    }
}

fn to_json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("commands, replies and events have string keys and serialise")
}

/// JSON bytes as a JSON string, which keeps the row readable.
mod as_text {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(std::str::from_utf8(bytes).unwrap_or_default())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        String::deserialize(deserializer).map(String::into_bytes).map_err(D::Error::custom)
    }
}
