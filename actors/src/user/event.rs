//! What happens to a user. Secrets have events of their own, whose types begin with [`PRIVATE_PREFIX`], so
//! that a publisher can leave them out.

use nakku_cluster::{Event as EventOfEntity, Key, Timestamp};
use serde::{Deserialize, Serialize};

use super::command::{Address, ErasedBy, ErasureReason, NewSession, PasswordHash, Role, TokenHash, WipeStep};

/// Events whose types begin so hold secrets: they stay in the journal and are never published.
pub const PRIVATE_PREFIX: &str = "user.private.";

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// It registered.
    Registered {
        /// As normalised.
        email: String,
        /// As given.
        name: String,
        /// In order, each once.
        roles: Vec<Role>,
        /// Where a rider or a member of a store's staff works.
        store: Option<Key>,
        /// When.
        at: Timestamp,
    },
    /// The claim on its e-mail ended before it registered; it never will.
    RegistrationAbandoned {},
    /// It logged in.
    LoggedIn {
        /// When.
        at: Timestamp,
    },
    /// A password was set.
    PasswordSet {
        /// Of the password.
        password_hash: PasswordHash,
    },
    /// A session opened.
    SessionOpened {
        /// The session.
        session: NewSession,
    },
    /// A refresh token was exchanged.
    RefreshRotated {
        /// The session.
        family: String,
        /// Of the new token.
        token_hash: TokenHash,
        /// When it ends.
        expires_at: Timestamp,
    },
    /// Sessions ended.
    SessionsEnded {
        /// Which.
        families: Vec<String>,
        /// Why.
        reason: SessionEnd,
    },
    /// The password was changed.
    PasswordChanged {
        /// When.
        at: Timestamp,
    },
    /// An address was set.
    AddressSet {
        /// Its id.
        id: String,
        /// The address.
        address: Address,
        /// Whether there was one under this id before.
        #[serde(default)]
        replaced: bool,
    },
    /// An address was removed.
    AddressRemoved {
        /// Its id.
        id: String,
    },
    /// A role was given, or the place of work changed.
    RoleGranted {
        /// Which.
        role: Role,
        /// Where a rider or a member of a store's staff works from now on.
        store: Option<Key>,
    },
    /// A role was taken away.
    RoleRevoked {
        /// Which.
        role: Role,
    },
    /// It was erased: nothing but this is known of it from now on, and its sessions have ended.
    Erased {
        /// The user's own key.
        user: Key,
        /// When.
        at: Timestamp,
        /// Who wanted it.
        by: ErasedBy,
        /// Why.
        reason: ErasureReason,
    },
    /// Somebody else who kept something of the erased user no longer does.
    Wiped {
        /// Who.
        step: WipeStep,
    },
}

/// Why sessions ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionEnd {
    /// Its time was over.
    Expired,
    /// There were too many.
    Displaced,
    /// The user, or somebody in charge, asked for it.
    Revoked,
    /// A refresh token came back that had been exchanged before.
    Reused,
}

impl EventOfEntity for Event {
    fn event_type(&self) -> &'static str {
        match self {
            Self::Registered { .. } => "user.registered",
            Self::RegistrationAbandoned {} => "user.registration.abandoned",
            Self::LoggedIn { .. } => "user.login",
            Self::PasswordSet { .. } => "user.private.password",
            Self::SessionOpened { .. } => "user.private.session",
            Self::RefreshRotated { .. } => "user.private.refresh",
            Self::SessionsEnded { .. } => "user.sessions.ended",
            Self::PasswordChanged { .. } => "user.password.changed",
            Self::AddressSet { .. } => "user.address.set",
            Self::AddressRemoved { .. } => "user.address.removed",
            Self::RoleGranted { .. } => "user.role.granted",
            Self::RoleRevoked { .. } => "user.role.revoked",
            Self::Erased { .. } => "user.erased",
            Self::Wiped { .. } => "user.wiped",
        }
    }
}
