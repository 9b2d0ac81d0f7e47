//! A service that publishes, and one that sums what it hears.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use nakku_cluster::entity::EntityState;
use nakku_cluster::events::intake::Gathered;
use nakku_cluster::events::{Consumer, Envelope, PublicEvent};
use nakku_cluster::{Context, Decision, Entity, Event, Key, Kind, Migration, PartSet, Parts, Service};
use serde::{Deserialize, Serialize};

/// Refused by the consumer.
pub const REFUSED: i64 = 1_000;
/// Makes the consumer panic.
pub const PANICS: i64 = 2_000;
/// The consumer takes everything.
pub static FORGIVING: AtomicBool = AtomicBool::new(false);

const fn table(sql: &'static str) -> [Migration; 1] {
    [Migration { version: 1, name: "initial", sql }]
}

static SOURCE: [Migration; 1] = table(
    "CREATE TABLE {prefix}tally_state (shard INTEGER NOT NULL, entity VARBINARY(128) NOT NULL, \
     part VARBINARY(192) NOT NULL, version BIGINT NOT NULL, seq BIGINT NOT NULL, data LONGBLOB NOT NULL, \
     wake_at BIGINT NULL, PRIMARY KEY (shard, entity, part));\n\
     CREATE INDEX source_tally_wake ON {prefix}tally_state (wake_at);\n",
);
static SUMS: [Migration; 1] = table(
    "CREATE TABLE {prefix}intake_state (shard INTEGER NOT NULL, entity VARBINARY(128) NOT NULL, \
     part VARBINARY(192) NOT NULL, version BIGINT NOT NULL, seq BIGINT NOT NULL, data LONGBLOB NOT NULL, \
     wake_at BIGINT NULL, PRIMARY KEY (shard, entity, part));\n\
     CREATE INDEX sums_intake_wake ON {prefix}intake_state (wake_at);\n",
);

pub fn services() -> Vec<Service> {
    vec![Service::new("source", 9998, &SOURCE).entity::<Tally>(), Service::new("sums", 9999, &SUMS).consumer::<Sums>()]
}

pub struct Tally;

#[derive(Debug, Serialize, Deserialize)]
pub enum Raise {
    By(i64),
    /// Without telling anyone.
    Quietly,
}

#[derive(Debug, Serialize, Deserialize)]
pub enum Raised {
    By(i64),
    Quietly,
}

impl Event for Raised {
    fn event_type(&self) -> &'static str {
        "tally.raised"
    }
}

#[derive(Debug, Default)]
pub struct State(i64);

impl EntityState for State {
    type Head = i64;
    fn head(&self) -> &i64 {
        &self.0
    }
    fn head_mut(&mut self) -> &mut i64 {
        &mut self.0
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub enum Never {}

impl fmt::Display for Never {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {}
    }
}

impl std::error::Error for Never {}

impl Entity for Tally {
    const KIND: Kind = Kind { service: "source", entity: "tally" };
    type State = State;
    type Command = Raise;
    type Reply = ();
    type Event = Raised;
    type Rejection = Never;

    fn decide(_: &State, command: Raise, _: &mut Context) -> Result<Decision<Raised, ()>, Never> {
        Ok(Decision::event(
            match command {
                Raise::By(by) => Raised::By(by),
                Raise::Quietly => Raised::Quietly,
            },
            (),
        ))
    }

    fn evolve(state: &mut State, event: &Raised) {
        if let Raised::By(by) = event {
            state.0 += by;
        }
    }

    fn publish(_: &Key, event: &Raised) -> Option<PublicEvent> {
        match event {
            Raised::By(by) => Some(PublicEvent::new("tally.raised", &Said { by: *by })),
            Raised::Quietly => None,
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Said {
    by: i64,
}

pub struct Sums;

#[derive(Debug, Serialize, Deserialize)]
pub struct Added {
    subject: String,
    by: i64,
}

#[derive(Debug, Default)]
pub struct BySubject(Parts<String, i64>);

impl Gathered for BySubject {
    fn parts(&mut self) -> Vec<(&'static str, &mut dyn PartSet)> {
        vec![("sum", &mut self.0)]
    }
}

impl Consumer for Sums {
    const KIND: Kind = Kind { service: "sums", entity: "intake" };
    const GROUP: &'static str = "nakku-sums";
    const SOURCES: &'static [&'static str] = &["source"];
    type State = BySubject;
    type Event = Added;
    type Command = String;
    type Reply = i64;

    fn consume(event: &Envelope) -> Result<Vec<Added>, String> {
        let Said { by } = event.data()?;
        if !FORGIVING.load(Ordering::SeqCst) {
            assert_ne!(by, PANICS, "told to");
            if by == REFUSED {
                return Err("told to".into());
            }
        }
        Ok(vec![Added { subject: event.subject.clone(), by }])
    }

    fn decide(state: &BySubject, subject: String, _: &mut Context) -> Decision<Added, i64> {
        Decision::reply(state.0.get(&subject).copied().unwrap_or(0))
    }

    fn evolve(state: &mut BySubject, Added { subject, by }: &Added) {
        let sum = state.0.get(subject).copied().unwrap_or(0);
        state.0.insert(subject.clone(), sum + by);
    }
}
