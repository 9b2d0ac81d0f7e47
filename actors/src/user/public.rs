//! What the outside is told of users: who, and that something happened. What a user is called, where they
//! live and how they are reached stays here; who may know it asks the user by the key.

use nakku_cluster::events::PublicEvent;
use nakku_cluster::{Key, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::event::Event;
use crate::public::{EventType, KeySchema, PublicData};

/// What the outside is told of an event; of secrets, nothing.
pub fn publish(key: &Key, event: &Event) -> Option<PublicEvent> {
    let user = key.clone();
    Some(match event {
        Event::Registered { .. } => Registered { user }.event(),
        Event::LoggedIn { .. } => LoggedIn { user }.event(),
        Event::AddressSet { replaced: false, .. } => AddressAdded { user }.event(),
        Event::AddressSet { replaced: true, .. } | Event::AddressRemoved { .. } => {
            Updated { user, changed: Changed::Addresses }.event()
        }
        Event::PasswordChanged { .. } => Updated { user, changed: Changed::Password }.event(),
        Event::RoleGranted { .. } | Event::RoleRevoked { .. } => Updated { user, changed: Changed::Roles }.event(),
        Event::Erased { at, .. } => Erased { user, erased_at_ms: *at }.event(),
        Event::RegistrationAbandoned {}
        | Event::Wiped { .. }
        | Event::PasswordSet { .. }
        | Event::SessionOpened { .. }
        | Event::RefreshRotated { .. }
        | Event::SessionsEnded { .. } => return None,
    })
}

/// The public events of the service.
pub fn events() -> Vec<EventType> {
    vec![
        EventType::of::<Registered>("user"),
        EventType::of::<LoggedIn>("user"),
        EventType::of::<Updated>("user"),
        EventType::of::<AddressAdded>("user"),
        EventType::of::<Erased>("user"),
    ]
}

/// Somebody registered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Registered {
    /// The user's key: an opaque id.
    #[schema(value_type = KeySchema)]
    pub user: Key,
}

/// A user logged in with a password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LoggedIn {
    /// The user's key: an opaque id.
    #[schema(value_type = KeySchema)]
    pub user: Key,
}

/// Something about a user changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Updated {
    /// The user's key: an opaque id.
    #[schema(value_type = KeySchema)]
    pub user: Key,
    /// What changed.
    pub changed: Changed,
}

/// What changed about a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Changed {
    /// An address was replaced or removed.
    Addresses,
    /// The password.
    Password,
    /// What the user may do, or where they work.
    Roles,
}

/// A user has a further address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AddressAdded {
    /// The user's key: an opaque id.
    #[schema(value_type = KeySchema)]
    pub user: Key,
}

/// A user was erased. Whoever keeps something under this key that tells who it was has to forget it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Erased {
    /// The user's key: an opaque id, which is never given to anybody else.
    #[schema(value_type = KeySchema)]
    pub user: Key,
    /// When, in milliseconds since the Unix epoch.
    #[schema(value_type = i64)]
    pub erased_at_ms: Timestamp,
}

impl PublicData for Registered {
    const TYPE: &'static str = "user.registered";
}

impl PublicData for LoggedIn {
    const TYPE: &'static str = "user.login";
}

impl PublicData for Updated {
    const TYPE: &'static str = "user.updated";
}

impl PublicData for AddressAdded {
    const TYPE: &'static str = "user.address.added";
}

impl PublicData for Erased {
    const TYPE: &'static str = "user.erased";
}
