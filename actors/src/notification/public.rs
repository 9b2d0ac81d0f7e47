//! What the outside is told of notifications: that a user was told of something by e-mail, or could not be.

use nakku_cluster::events::PublicEvent;
use nakku_cluster::{Key, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::event::Event;
use super::template::Template;
use crate::public::{EventType, KeySchema, PublicData};

/// The public event of an inbox's own.
pub fn publish(key: &Key, event: &Event) -> Option<PublicEvent> {
    let user = key.clone();
    Some(match event.clone() {
        Event::Sent { cause, template, at, .. } => {
            Sent { user, cause, template, channel: Channel::Email, sent_at_ms: at }.event()
        }
        Event::Failed { cause, template, at, reason, .. } => {
            Failed { user, cause, template, channel: Channel::Email, reason, failed_at_ms: at }.event()
        }
        Event::Delivered { cause, template, at, .. } => {
            Sent { user, cause, template, channel: Channel::Inbox, sent_at_ms: at }.event()
        }
        Event::Reached { .. } | Event::Read { .. } | Event::Preferred { .. } | Event::Erased { .. } => return None,
    })
}

/// Every public event of the service.
pub fn events() -> Vec<EventType> {
    vec![EventType::of::<Sent>("notification"), EventType::of::<Failed>("notification")]
}

/// A user was told something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Sent {
    /// Who.
    #[schema(value_type = KeySchema)]
    pub user: Key,
    /// The id of the event that it tells of.
    pub cause: String,
    /// What was said.
    pub template: Template,
    /// How.
    pub channel: Channel,
    /// When the channel took it, in milliseconds since the Unix epoch; for the inbox, when the cause happened.
    #[schema(value_type = i64)]
    pub sent_at_ms: Timestamp,
}

/// A user could not be told something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Failed {
    /// Who.
    #[schema(value_type = KeySchema)]
    pub user: Key,
    /// The id of the event that it was to tell of.
    pub cause: String,
    /// What was to be said.
    pub template: Template,
    /// How.
    pub channel: Channel,
    /// Why not.
    pub reason: String,
    /// When it was given up, in milliseconds since the Unix epoch.
    #[schema(value_type = i64)]
    pub failed_at_ms: Timestamp,
}

/// How a user is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// The inbox in the app.
    Inbox,
    /// E-mail.
    Email,
}

impl PublicData for Sent {
    const TYPE: &'static str = "notification.sent";
}

impl PublicData for Failed {
    const TYPE: &'static str = "notification.failed";
}
