//! What the outside is told of e-mails: nothing. Whose one is, is the user's own affair.

use nakku_cluster::Key;
use nakku_cluster::events::PublicEvent;

use super::event::Event;

/// Nothing.
pub fn publish(_key: &Key, _event: &Event) -> Option<PublicEvent> {
    None
}
