//! Each view as a table: what came back, in rows.
//!
//! - `nodes`, `shards`, `moves`: the cluster
//! - `types`: kinds of entities and their commands
//! - `top`, `tail`: what stands out, what happens
//! - `path`: the hops of one request
//! - `entity`: one entity, now or as of a version
//! - `infrastructure`: what works behind the shards

pub mod entity;
pub mod infrastructure;
mod moves;
mod nodes;
pub mod path;
mod shards;
mod tail;
mod top;
mod types;

use super::answers::Content;
use super::place::Place;
use super::table::Table;

/// The table of a page, whatever came back for it so far.
pub fn table(place: &Place, content: Option<&Content>, panel: usize, now_at_ms: i64) -> Table {
    match (place, content) {
        (Place::Nodes, Some(Content::Nodes(listed))) => nodes::table(listed),
        (Place::Shards { service, node }, Some(Content::Shards(listed))) => {
            shards::table(listed, service.as_deref(), node.as_deref())
        }
        (Place::Types, Some(Content::Types(listed))) => types::kinds(listed),
        (Place::Commands { kind }, Some(Content::Types(listed))) => types::commands(listed, kind),
        (Place::Top { by, kind }, Some(Content::Top(listed))) => top::table(listed, *by, kind.as_deref()),
        (Place::Moves { shard }, Some(Content::Moves(listed))) => moves::table(listed, shard.as_deref(), now_at_ms),
        (Place::Infrastructure, Some(Content::Infrastructure(listed))) => {
            infrastructure::table(listed, panel, now_at_ms)
        }
        (Place::Path { .. }, Some(Content::Path(traced))) => path::table(traced),
        (Place::Path { .. }, Some(Content::NoPath(_))) => Table { empty: "its path is not known", ..Table::default() },
        (Place::Tail(_), Some(Content::Tail(tail))) => tail::table(tail),
        (Place::Entity { entity, .. }, Some(Content::Entity(looked))) => {
            entity::table(entity, looked, panel, now_at_ms)
        }
        (Place::Entity { .. }, Some(Content::NoEntity(_))) => {
            Table { empty: "there is no such entity", ..Table::default() }
        }
        (Place::NoEntity, _) => Table { empty: "press e and type KIND KEY, such as user.user u-1", ..Table::default() },
        (Place::Tail(_), None) => Table { empty: "waiting for commands", ..Table::default() },
        _ => Table { empty: "asking", ..Table::default() },
    }
}
