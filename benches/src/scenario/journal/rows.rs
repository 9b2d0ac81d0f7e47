//! What a command writes: a journal row and a state row of about a reservation's size.

use nakku_cluster::journal::NewRow;
use nakku_cluster::reference::{Key, Kind, ShardId};
use nakku_cluster::service::Migration;
use nakku_cluster::store::{StateRow, StateTable, StateWrite};
use nakku_cluster::time::Timestamp;

/// The kind that writes.
pub const KIND: Kind = Kind { service: "bench", entity: "thing" };
/// Its table, without further columns.
pub const TABLE: StateTable = StateTable { kind: KIND, columns: &[] };
/// Its schema.
pub const SCHEMA: &[Migration] = &[Migration {
    version: 1,
    name: "initial",
    sql: "CREATE TABLE {prefix}thing_state (shard INTEGER NOT NULL, entity VARBINARY(128) NOT NULL, \
          part VARBINARY(192) NOT NULL, version BIGINT NOT NULL, seq BIGINT NOT NULL, data LONGBLOB NOT NULL, \
          wake_at BIGINT NULL, PRIMARY KEY (shard, entity, part));",
}];
/// Shards that each session writes.
pub const SHARDS_PER_LANE: usize = 16;
/// Entities that each session writes.
pub const ENTITIES_PER_LANE: usize = 8192;
/// The row's type.
pub const EVENT_TYPE: &str = "thing.changed";
/// The trace that a row carries.
pub const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// One entity and how far it is.
pub struct Entity {
    /// Its key.
    pub key: Key,
    /// Its shard's number.
    pub shard: u32,
    /// How many events it has had.
    pub version: u64,
}

/// A shard of [`KIND`].
pub fn shard(number: usize) -> ShardId {
    ShardId { service: KIND.service, number: number as u32 }
}

impl Entity {
    /// The entity of this number on one of so many lanes; a shard's number fixes its lane.
    pub fn new(number: usize, lane: usize, lanes: usize) -> Self {
        let shard = (number % SHARDS_PER_LANE) * lanes + lane;
        let key = Key::new(format!("u-{lane:02}{number:08}.thing")).expect("letters, digits and a dot");
        Self { key, shard: shard as u32, version: 0 }
    }

    /// What its next command writes.
    pub fn next(&mut self) -> (NewRow, StateWrite) {
        self.version += 1;
        let version = self.version;
        let row = NewRow {
            entity_version: version,
            command_id: format!("{}-reserve-{version}", self.key),
            event_type: EVENT_TYPE,
            payload: format!(
                "{{\"event\":\"reserved\",\"order\":\"u-0000001.o-{version:016x}\",\"lines\":[{{\"sku\":\"butter-500g\",\
                 \"quantity\":1}},{{\"sku\":\"milk-1l\",\"quantity\":2}}],\"deadline\":1790000000000}}"
            )
            .into_bytes(),
            occurred_at: Timestamp(1_790_000_000_000),
            traceparent: TRACEPARENT.to_owned(),
        };
        let data = format!(
            "{{\"store\":\"s-1\",\"sku\":\"butter-500g\",\"on_hand\":100000,\"available\":{version},\"reserved\":17,\
             \"sold\":{version},\"supplied\":100000,\"updated\":1790000000000,\"version\":{version}}}"
        )
        .into_bytes();
        let head = StateRow { version, seq: version, data, wake_at: None, columns: Vec::new() };
        let (entity, part) = (self.key.clone(), String::new());
        (row, StateWrite { table: TABLE, shard: self.shard, entity, part, row: Some(head) })
    }
}

/// The sizes, for the report.
pub fn describe() -> String {
    let (row, state) = Entity::new(1, 0, 1).next();
    let state_bytes = state.row.map_or(0, |row| row.data.len());
    format!("one journal row ({} bytes of event) and one state row ({state_bytes} bytes)", row.payload.len())
}
