//! The whole contract of an entity.
//!
//! An entity is a pure decision: it takes its state and a command and says which events follow. It does
//! no I/O, reads no clock and draws no random number except through the [`Context`] that it is handed, so
//! that a service can be tested without a cluster. The runtime loads it, makes its decisions durable, runs
//! what is [outstanding](Entity::outstanding) and brings it back on another node when this one dies.

use std::fmt;

use serde::{Serialize, de::DeserializeOwned};

use crate::events::PublicEvent;
use crate::outstanding::Outstanding;
use crate::parts::PartSet;
use crate::reference::{Key, Kind};
use crate::time::Timestamp;

/// One kind of durable actor; an instance of it is named by a [`Key`].
pub trait Entity: Sized + Send + Sync + 'static {
    /// The service and the entity's name in it; also names its state table (`<entity>_state`).
    const KIND: Kind;
    /// Members of its state and events, wherever they stand in them, that are personal or secret: who looks at an
    /// entity from outside sees them masked unless there is a reason.
    const PERSONAL: &'static [&'static str] = &[];
    /// Those of [`PERSONAL`](Self::PERSONAL) that nobody is shown, for whatever reason: who knew them could act as
    /// somebody else.
    const SECRET: &'static [&'static str] = &[];

    /// Head and keyed parts, see [`EntityState`].
    type State: EntityState;
    /// What it can be asked to do. Self-describing: fields are kept by name, new ones take defaults.
    type Command: Serialize + DeserializeOwned + fmt::Debug + Send + 'static;
    /// What it answers.
    type Reply: Serialize + DeserializeOwned + fmt::Debug + Send + 'static;
    /// What happened; the journal keeps it for good.
    type Event: Event;
    /// Why it refused. A refusal changes nothing.
    type Rejection: Serialize + DeserializeOwned + std::error::Error + Send + Sync + 'static;

    /// Decides one command. Commands from other entities must be idempotent by business key.
    ///
    /// # Errors
    /// The entity's own rejection; then nothing has changed.
    fn decide(
        state: &Self::State,
        command: Self::Command,
        context: &mut Context,
    ) -> Result<Decision<Self::Event, Self::Reply>, Self::Rejection>;

    /// Applies an event that has been decided. Cannot fail.
    fn evolve(state: &mut Self::State, event: &Self::Event);

    /// What still has to happen elsewhere because of this state, and when the entity must next be awake.
    fn outstanding(_state: &Self::State) -> Outstanding<Self> {
        Outstanding::none()
    }

    /// What the outside is told of an event, as a function of key and event alone; nothing keeps it inside.
    fn publish(_key: &Key, _event: &Self::Event) -> Option<PublicEvent> {
        None
    }
}

/// An event of an entity: serialised with its field names, so that fields can be added later.
pub trait Event: Serialize + DeserializeOwned + fmt::Debug + Send + 'static {
    /// The public name, such as `order.confirmed`; it is the journal row's `type`.
    fn event_type(&self) -> &'static str;
}

/// What an entity remembers: a small head, and any number of keyed parts of which only the touched ones
/// are written.
///
/// The head is at most [`HEAD_BYTES_MAX`] as JSON. A state that derives indexes from its parts rebuilds
/// them in [`loaded`](EntityState::loaded).
pub trait EntityState: Default + Send + 'static {
    /// The head, one JSON document in the state row whose part is empty.
    type Head: Serialize + DeserializeOwned + Send;

    /// The columns that queries need, indexed by the service's schema; written with the head.
    const COLUMNS: &'static [Column] = &[];

    /// The head as it is.
    fn head(&self) -> &Self::Head;
    /// The head, to be replaced when the entity is loaded.
    fn head_mut(&mut self) -> &mut Self::Head;
    /// Every set of parts with its name, which is the first half of a part's name in the state table.
    fn parts(&mut self) -> Vec<(&'static str, &mut dyn PartSet)> {
        Vec::new()
    }
    /// The values of [`COLUMNS`](EntityState::COLUMNS), in the same order.
    fn columns(&self) -> Vec<ColumnValue> {
        Vec::new()
    }
    /// Called once after head and parts have been read from the store.
    fn loaded(&mut self) {}
    /// Whether what it was has been erased for good: then replies that are remembered for repeated edge commands
    /// go as well, for they may tell of it.
    fn is_erased(&self) -> bool {
        false
    }
}

/// The largest head, in bytes of JSON; a decision that would exceed it is refused.
pub const HEAD_BYTES_MAX: usize = 16 * 1024;

/// A column of a state table beside the fixed ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name in the schema.
    pub name: &'static str,
    /// Its type.
    pub kind: ColumnKind,
}

/// The type of a [`Column`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    /// `VARBINARY`, compared as bytes.
    Text,
    /// `BIGINT`.
    Integer,
}

/// The value of a [`Column`] in one row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ColumnValue {
    /// For [`ColumnKind::Text`].
    Text(String),
    /// For [`ColumnKind::Integer`].
    Integer(i64),
    /// Absent.
    Null,
}

/// What a command led to: the events to persist, in order, and the reply. No events means a read.
#[derive(Debug)]
pub struct Decision<Ev, R> {
    /// What happened.
    pub events: Vec<Ev>,
    /// What the caller is told, once everything that it rests on is durable.
    pub reply: R,
}

impl<Ev, R> Decision<Ev, R> {
    /// Answers without changing anything.
    pub fn reply(reply: R) -> Self {
        Self { events: Vec::new(), reply }
    }

    /// One event and its reply.
    pub fn event(event: Ev, reply: R) -> Self {
        Self { events: vec![event], reply }
    }

    /// Several events and their reply.
    pub fn events(events: Vec<Ev>, reply: R) -> Self {
        Self { events, reply }
    }
}

/// The only window to the world that a decision has.
#[derive(Debug)]
pub struct Context {
    /// The key of the entity that decides.
    pub key: Key,
    /// The time of the decision; it never goes back within a shard.
    pub now: Timestamp,
    /// How many events the entity has had.
    pub entity_version: u64,
    /// The feature level that every node of the cluster supports.
    pub feature_level: u16,
    random_state: u64,
}

impl Context {
    /// A context with a random sequence that follows from `seed`.
    pub fn new(key: Key, now: Timestamp, entity_version: u64, feature_level: u16, seed: u64) -> Self {
        Self { key, now, entity_version, feature_level, random_state: seed }
    }

    /// The next random number (SplitMix64, Steele et al. 2014). Not for secrets.
    pub fn random_u64(&mut self) -> u64 {
        self.random_state = self.random_state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.random_state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}
