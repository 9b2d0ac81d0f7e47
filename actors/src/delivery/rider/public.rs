//! What the outside is told of riders' work lists: nothing. What a rider does is told by the delivery.

use nakku_cluster::Key;
use nakku_cluster::events::PublicEvent;

use super::event::Event;

/// Nothing.
pub fn publish(_key: &Key, _event: &Event) -> Option<PublicEvent> {
    None
}
