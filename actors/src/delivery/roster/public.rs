//! What the outside is told of rosters: nothing. Who brings what is told by the delivery.

use nakku_cluster::Key;
use nakku_cluster::events::PublicEvent;

use super::event::Event;

/// Nothing.
pub fn publish(_key: &Key, _event: &Event) -> Option<PublicEvent> {
    None
}
