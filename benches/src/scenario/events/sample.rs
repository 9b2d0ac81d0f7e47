//! A service whose events are of an order's size, and one that consumes them.

use nakku_cluster::entity::EntityState;
use nakku_cluster::events::intake::Gathered;
use nakku_cluster::events::{Consumer, PublicEvent, SealedEnvelope};
use nakku_cluster::{Context, Decision, Entity, Event, Key, Kind, Migration, PartSet, Parts, Service};
use serde::{Deserialize, Serialize};

/// The service that publishes.
pub const SOURCE: &str = "benchsource";
/// The service that consumes.
pub const SINK: &str = "benchsink";
/// The public name of the events.
const EVENT_TYPE: &str = "bench.order.changed";

const fn table(sql: &'static str) -> [Migration; 1] {
    [Migration { version: 1, name: "initial", sql }]
}

static SOURCE_SCHEMA: [Migration; 1] = table(
    "CREATE TABLE {prefix}emitter_state (shard INTEGER NOT NULL, entity VARBINARY(128) NOT NULL, \
     part VARBINARY(192) NOT NULL, version BIGINT NOT NULL, seq BIGINT NOT NULL, data LONGBLOB NOT NULL, \
     wake_at BIGINT NULL, PRIMARY KEY (shard, entity, part));\n\
     CREATE INDEX benchsource_emitter_wake ON {prefix}emitter_state (wake_at);\n",
);
static SINK_SCHEMA: [Migration; 1] = table(
    "CREATE TABLE {prefix}intake_state (shard INTEGER NOT NULL, entity VARBINARY(128) NOT NULL, \
     part VARBINARY(192) NOT NULL, version BIGINT NOT NULL, seq BIGINT NOT NULL, data LONGBLOB NOT NULL, \
     wake_at BIGINT NULL, PRIMARY KEY (shard, entity, part));\n\
     CREATE INDEX benchsink_intake_wake ON {prefix}intake_state (wake_at);\n",
);

/// Both services.
pub fn services() -> Vec<Service> {
    vec![
        Service::new(SOURCE, 8099, &SOURCE_SCHEMA).entity::<Emitter>(),
        Service::new(SINK, 8100, &SINK_SCHEMA).consumer::<Sums>(),
    ]
}

/// An entity to which happens what it is told.
#[derive(Debug)]
pub struct Emitter;

/// What it is told.
#[derive(Debug, Serialize, Deserialize)]
pub struct Emit {
    /// So many events, all by one command.
    pub events: u32,
}

/// How many events it has had.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Count {
    /// All of them.
    pub count: u64,
}

/// What is told of an order that was placed, about.
#[derive(Debug, Serialize, Deserialize)]
pub struct Changed {
    number: u64,
    order: String,
    user: String,
    store: String,
    currency: String,
    total_minor: i64,
    placed_at_ms: i64,
    lines: Vec<Line>,
}

/// One of its lines.
#[derive(Debug, Serialize, Deserialize)]
pub struct Line {
    sku: String,
    quantity: u32,
    price_minor: i64,
    tax_minor: i64,
}

impl Changed {
    fn new(number: u64, key: &Key, at: i64) -> Self {
        let line = |sku: &str, quantity| Line { sku: sku.into(), quantity, price_minor: 6_200, tax_minor: 295 };
        Self {
            number,
            order: format!("{key}.o-{number:016x}"),
            user: format!("u-{number:012x}"),
            store: "s-koramangala".into(),
            currency: "INR".into(),
            total_minor: 21_100,
            placed_at_ms: at,
            lines: vec![line("amul-butter-500g", 1), line("milk-toned-1l", 2), line("bread-whole-wheat-400g", 1)],
        }
    }
}

impl Event for Changed {
    fn event_type(&self) -> &'static str {
        EVENT_TYPE
    }
}

/// What an emitter remembers.
#[derive(Debug, Default)]
pub struct Emitted(Count);

impl EntityState for Emitted {
    type Head = Count;

    fn head(&self) -> &Count {
        &self.0
    }

    fn head_mut(&mut self) -> &mut Count {
        &mut self.0
    }
}

/// It never refuses.
#[derive(Debug, Serialize, Deserialize, thiserror::Error)]
#[error("refused")]
pub struct Refused {}

impl Entity for Emitter {
    const KIND: Kind = Kind { service: SOURCE, entity: "emitter" };
    type State = Emitted;
    type Command = Emit;
    type Reply = Count;
    type Event = Changed;
    type Rejection = Refused;

    fn decide(
        state: &Emitted,
        Emit { events }: Emit,
        context: &mut Context,
    ) -> Result<Decision<Changed, Count>, Refused> {
        let first = state.0.count + 1;
        let last = state.0.count + u64::from(events);
        let events = (first..=last).map(|number| Changed::new(number, &context.key, context.now.0)).collect();
        Ok(Decision::events(events, Count { count: last }))
    }

    fn evolve(state: &mut Emitted, event: &Changed) {
        state.0.count = event.number;
    }

    fn publish(_: &Key, event: &Changed) -> Option<PublicEvent> {
        Some(PublicEvent::new(EVENT_TYPE, event))
    }
}

/// Sums up by store, as analytics does.
#[derive(Debug)]
pub struct Sums;

/// What an event adds.
#[derive(Debug, Serialize, Deserialize)]
pub struct Added {
    number: u64,
    store: String,
    total_minor: i64,
}

/// What was summed up of a store, from one source shard.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Sum {
    /// Events that came.
    pub count: u64,
    /// Events that came twice or out of turn.
    pub wrong: u64,
    total_minor: i64,
}

/// By store.
#[derive(Debug, Default)]
pub struct ByStore(Parts<String, Sum>);

impl Gathered for ByStore {
    fn parts(&mut self) -> Vec<(&'static str, &mut dyn PartSet)> {
        vec![("sum", &mut self.0)]
    }
}

/// The question for all of it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Seen {}

impl Consumer for Sums {
    const KIND: Kind = Kind { service: SINK, entity: "intake" };
    const GROUP: &'static str = "nakku-benchsink";
    const SOURCES: &'static [&'static str] = &[SOURCE];
    type State = ByStore;
    type Event = Added;
    type Command = Seen;
    type Reply = Sum;

    fn consume(event: &SealedEnvelope) -> Result<Vec<Added>, String> {
        let Changed { number, store, total_minor, .. } = event.data()?;
        Ok(vec![Added { number, store, total_minor }])
    }

    fn decide(state: &ByStore, Seen {}: Seen, _: &mut Context) -> Decision<Added, Sum> {
        let mut all = Sum::default();
        for (_, sum) in state.0.iter() {
            all.count += sum.count;
            all.wrong += sum.wrong;
            all.total_minor += sum.total_minor;
        }
        Decision::reply(all)
    }

    fn evolve(state: &mut ByStore, Added { number, store, total_minor }: &Added) {
        if let Some(sum) = state.0.get_mut(store) {
            sum.wrong += u64::from(*number != sum.count + 1);
            sum.count += 1;
            sum.total_minor += total_minor;
        } else {
            let sum = Sum { count: 1, wrong: u64::from(*number != 1), total_minor: *total_minor };
            state.0.insert(store.clone(), sum);
        }
    }
}
