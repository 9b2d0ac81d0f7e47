//! A service that publishes, and one that sums what it hears and notices what comes twice, late or never.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use nakku_cluster::entity::EntityState;
use nakku_cluster::events::intake::Gathered;
use nakku_cluster::events::{Consumer, PublicEvent, SealedEnvelope};
use nakku_cluster::{Context, Decision, Entity, Event, Key, Kind, Migration, PartSet, Parts, Service};
use serde::{Deserialize, Serialize};

/// Refused by the consumer.
pub const REFUSED: i64 = -1_000;
/// Makes the consumer panic.
pub const PANICS: i64 = -2_000;
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

/// How often something was raised for all to know, and by how much in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Total {
    pub count: i64,
    pub sum: i64,
    /// What came twice, late or never; always 0 at the source.
    #[serde(default)]
    pub wrong: i64,
}

pub struct Tally;

#[derive(Debug, Serialize, Deserialize)]
pub enum Ask {
    Raise(i64),
    /// Without telling anyone, and by nothing.
    RaiseQuietly,
    Read,
}

#[derive(Debug, Serialize, Deserialize)]
pub enum Raised {
    Told(Said),
    Quietly,
}

/// What the consumer hears.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Said {
    number: i64,
    by: i64,
}

impl Event for Raised {
    fn event_type(&self) -> &'static str {
        "tally.raised"
    }
}

#[derive(Debug, Default)]
pub struct State(Total);

impl EntityState for State {
    type Head = Total;
    fn head(&self) -> &Total {
        &self.0
    }
    fn head_mut(&mut self) -> &mut Total {
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
    type Command = Ask;
    type Reply = Total;
    type Event = Raised;
    type Rejection = Never;

    fn decide(state: &State, command: Ask, _: &mut Context) -> Result<Decision<Raised, Total>, Never> {
        Ok(match command {
            Ask::Raise(by) => Decision::event(Raised::Told(Said { number: state.0.count + 1, by }), state.0),
            Ask::RaiseQuietly => Decision::event(Raised::Quietly, state.0),
            Ask::Read => Decision::reply(state.0),
        })
    }

    fn evolve(state: &mut State, event: &Raised) {
        if let Raised::Told(said) = event {
            state.0.count = said.number;
            state.0.sum += said.by;
        }
    }

    fn publish(_: &Key, event: &Raised) -> Option<PublicEvent> {
        match event {
            Raised::Told(said) => Some(PublicEvent::new("tally.raised", said)),
            Raised::Quietly => None,
        }
    }
}

pub struct Sums;

#[derive(Debug, Serialize, Deserialize)]
pub struct Added {
    subject: String,
    said: Said,
}

#[derive(Debug, Default)]
pub struct BySubject(Parts<String, Total>);

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
    type Reply = Total;

    fn consume(event: &SealedEnvelope) -> Result<Vec<Added>, String> {
        let said: Said = event.data()?;
        if !FORGIVING.load(Ordering::SeqCst) {
            assert_ne!(said.by, PANICS, "told to");
            if said.by == REFUSED {
                return Err("told to".into());
            }
        }
        Ok(vec![Added { subject: event.subject.clone(), said }])
    }

    fn decide(state: &BySubject, subject: String, _: &mut Context) -> Decision<Added, Total> {
        Decision::reply(state.0.get(&subject).copied().unwrap_or_default())
    }

    fn evolve(state: &mut BySubject, Added { subject, said }: &Added) {
        let mut total = state.0.get(subject).copied().unwrap_or_default();
        total.wrong += i64::from(said.number != total.count + 1);
        total.count = said.number;
        total.sum += said.by;
        state.0.insert(subject.clone(), total);
    }
}
