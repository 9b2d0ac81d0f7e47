//! What the outside is told of the directory of webhooks: nothing.

use nakku_cluster::Key;
use nakku_cluster::events::PublicEvent;

use super::event::Event;

/// Nothing.
pub fn publish(_key: &Key, _event: &Event) -> Option<PublicEvent> {
    None
}
