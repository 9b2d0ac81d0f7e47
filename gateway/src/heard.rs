//! What a gateway does about events that it hears of: it forgets what they have made old.
//!
//! The gateway that made a change knows at once; the others would learn of it when a page's or a note's time is
//! over. What is missed here (the gateway was too slow, a node went away) ends with that time as well.

use std::sync::{Arc, Weak};

use nakku_actors::public::PublicData;
use nakku_actors::{inventory, location, product, user};
use nakku_cluster::Key;
use nakku_cluster::events::{Envelope, Live, Watch};
use tokio::sync::broadcast::error::RecvError;

use crate::auth;
use crate::edge::Edge;
use crate::shared::Subject;

/// Whose events make something old; see [`old`].
const SERVICES: &[&str] = &["product", "inventory", "location", "user"];

/// Listens for as long as the gateway is there.
pub(crate) fn start(edge: &Arc<Edge>) {
    tokio::spawn(listen(Arc::downgrade(edge), edge.cluster.live_of(SERVICES)));
}

/// What an event makes old.
#[derive(Debug, PartialEq, Eq)]
enum Old {
    /// Pages that rest on this.
    Pages(Subject),
    /// What is known of a user's sessions.
    Sessions,
}

async fn listen(edge: Weak<Edge>, mut live: Watch) {
    loop {
        let received = live.recv().await;
        let Some(edge) = edge.upgrade() else { return };
        match received {
            Ok(Live::Event(event)) => match old(&event) {
                Some(Old::Pages(subject)) => edge.shared.pages.invalidate(subject, &event.subject).await,
                Some(Old::Sessions) => {
                    if let Ok(user) = Key::new(event.subject.as_str()) {
                        auth::sessions_ended(&edge, &user).await;
                    }
                }
                None => {}
            },
            Ok(Live::Signal(_) | Live::Listening) => {}
            Err(RecvError::Lagged(count)) => tracing::debug!(count, "too slow for events; pages stay for their time"),
            Err(RecvError::Closed) => return,
        }
    }
}

/// Stock itself is on no page that is kept, so that a sale makes none old; goods that come in may make a store of
/// what was none.
fn old(event: &Envelope) -> Option<Old> {
    match &*event.event_type {
        product::public::Created::TYPE
        | product::public::Updated::TYPE
        | product::public::PriceChanged::TYPE
        | product::public::Archived::TYPE => Some(Old::Pages(Subject::Product)),
        inventory::public::Updated::TYPE => {
            let data: inventory::public::Updated = event.data().ok()?;
            (data.cause == inventory::public::Cause::Supplied).then_some(Old::Pages(Subject::Store))
        }
        location::public::StoreChanged::TYPE => Some(Old::Pages(Subject::Store)),
        user::public::Erased::TYPE => Some(Old::Sessions),
        // A new password and a role taken away end sessions too.
        user::public::Updated::TYPE => {
            let data: user::public::Updated = event.data().ok()?;
            (data.changed != user::public::Changed::Addresses).then_some(Old::Sessions)
        }
        _ => None,
    }
}
