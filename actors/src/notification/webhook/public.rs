//! What the outside is told of a webhook: nothing. It is between the operator and an integrator, and it holds a
//! secret.

use nakku_cluster::Key;
use nakku_cluster::events::PublicEvent;

use super::event::Event;

/// Nothing.
pub fn publish(_key: &Key, _event: &Event) -> Option<PublicEvent> {
    None
}
