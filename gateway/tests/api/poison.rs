//! What publishes an event that nobody can read, under a name that consumers believe to know.

use nakku_actors::order;
use nakku_cluster::entity::EntityState;
use nakku_cluster::events::PublicEvent;
use nakku_cluster::{Context, Decision, Entity, Event, Key, Kind, Migration, Service};
use serde::{Deserialize, Serialize};

/// What the event calls itself.
pub const EVENT_TYPE: &str = "order.confirmed";

/// The service of orders with the poison in it.
pub fn within(orders: Service) -> Service {
    assert_eq!(orders.name, Poison::KIND.service);
    let table = Migration {
        version: order::MIGRATIONS.last().map_or(1, |last| last.version + 1),
        name: "poison",
        sql: "CREATE TABLE {prefix}poison_state (shard INTEGER NOT NULL, entity VARBINARY(128) NOT NULL, \
              part VARBINARY(192) NOT NULL, version BIGINT NOT NULL, seq BIGINT NOT NULL, data LONGBLOB NOT NULL, \
              wake_at BIGINT NULL, PRIMARY KEY (shard, entity, part));\n\
              CREATE INDEX order_poison_wake ON {prefix}poison_state (wake_at);\n",
    };
    let migrations = Vec::leak([order::MIGRATIONS, &[table][..]].concat());
    Service { migrations, ..orders }.entity::<Poison>()
}

/// Publishes it whenever it is told to.
pub struct Poison;

#[derive(Debug, Serialize, Deserialize)]
pub struct Publish;

#[derive(Debug, Serialize, Deserialize)]
pub struct Published;

impl Event for Published {
    fn event_type(&self) -> &'static str {
        "poison.published"
    }
}

#[derive(Debug, Default)]
pub struct State(());

impl EntityState for State {
    type Head = ();

    fn head(&self) -> &() {
        &self.0
    }

    fn head_mut(&mut self) -> &mut () {
        &mut self.0
    }
}

#[derive(Debug, Serialize, Deserialize, thiserror::Error)]
pub enum Never {}

impl Entity for Poison {
    const KIND: Kind = Kind { service: "order", entity: "poison" };
    type State = State;
    type Command = Publish;
    type Reply = ();
    type Event = Published;
    type Rejection = Never;

    fn decide(_: &State, _: Publish, _: &mut Context) -> Result<Decision<Published, ()>, Never> {
        Ok(Decision::event(Published, ()))
    }

    fn evolve(_: &mut State, _: &Published) {}

    fn publish(_: &Key, _: &Published) -> Option<PublicEvent> {
        Some(PublicEvent::new(EVENT_TYPE, &serde_json::json!({ "total_minor": "a lot" })))
    }
}
