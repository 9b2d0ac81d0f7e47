//! The protocol of a user.

use std::fmt;

use nakku_cluster::{Key, Timestamp};
use serde::{Deserialize, Serialize};

use crate::position::Position;

/// What a user can be asked to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// Makes the user, after the e-mail has been claimed for this key (see [`email`](super::email)).
    /// The same e-mail again changes nothing, so that it can be repeated.
    Register {
        /// As [`normalised`](super::email::normalise).
        email: String,
        /// 1 to [`NAME_CHARACTERS_MAX`] characters.
        name: String,
        /// See [`password`](super::password).
        password_hash: PasswordHash,
        /// At least one. What registers itself over HTTP may only become a customer: the edge sees to it.
        roles: Vec<Role>,
        /// Where a rider or a member of a store's staff works.
        store: Option<Key>,
    },
    /// Reads who it is.
    Get,
    /// Reads what is needed to check a password. The check itself is slow on purpose and is done by the
    /// edge, off the actor.
    Credentials,
    /// Records that a password has been checked, and opens a session. The oldest session beyond
    /// [`SESSIONS_MAX`] ends.
    LoggedIn {
        /// The session.
        session: NewSession,
    },
    /// Exchanges a session's refresh token for its next one. A token that has been exchanged before ends
    /// the session, since two parties hold it; the same exchange repeated is answered alike.
    RotateRefresh {
        /// Names the session; part of the token.
        family: String,
        /// Of the token presented.
        old_hash: TokenHash,
        /// Of the token that replaces it.
        new_hash: TokenHash,
        /// When the new one ends.
        expires_at: Timestamp,
    },
    /// Ends a session if it is there.
    RevokeRefresh {
        /// Names it.
        family: String,
    },
    /// Ends every session.
    RevokeAll,
    /// Reads whether a session is open. What a gateway believes of an access token rests on it.
    Session {
        /// Names it.
        family: String,
    },
    /// Replaces the password and ends every session.
    ChangePassword {
        /// Of the new one.
        password_hash: PasswordHash,
    },
    /// Sets an address under an id that the caller chose.
    AddAddress {
        /// 1 to [`ADDRESS_ID_BYTES_MAX`] letters, digits or `-`.
        id: String,
        /// The address.
        address: Address,
    },
    /// Removes an address if it is there.
    RemoveAddress {
        /// Its id.
        id: String,
    },
    /// Gives a role.
    GrantRole {
        /// Which.
        role: Role,
        /// Where a rider or a member of a store's staff works; nothing leaves it as it is.
        store: Option<Key>,
    },
    /// Takes a role away and ends every session, so that no token outlives it by more than its own time.
    RevokeRole {
        /// Which.
        role: Role,
    },
    /// Asked by an [`email`](super::email) whose claim is due: confirms that the user holds it, or makes
    /// sure that the user never will.
    SettleEmail {
        /// The key of the e-mail's entity.
        email: Key,
    },
    /// Forgets who it is, for good: only a tombstone stays. Whether an order is under way is for whoever asks to
    /// look at before. Repeated, it changes nothing, whoever asks and why.
    Erase {
        /// Who wants it.
        by: ErasedBy,
        /// Why.
        reason: ErasureReason,
    },
    /// From the answers of those who keep something of an erased user.
    Wiped {
        /// Where nothing is left; nothing when it has to be tried again.
        step: Option<WipeStep>,
    },
}

/// Who had a user erased.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErasedBy {
    /// The user.
    User,
    /// Whoever runs the shop.
    Operator,
}

/// Why a user was erased: a code, since a text could name somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErasureReason {
    /// The user wanted it.
    Requested,
    /// Nobody has used it for long.
    Inactive,
    /// It was used to do harm.
    Abuse,
    /// The law or a court wants it.
    Legal,
}

impl ErasureReason {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Requested, Self::Inactive, Self::Abuse, Self::Legal];

    /// As written on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Inactive => "inactive",
            Self::Abuse => "abuse",
            Self::Legal => "legal",
        }
    }
}

/// What stays of an erased user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erasure {
    /// When.
    pub at: Timestamp,
    /// Who wanted it.
    pub by: ErasedBy,
    /// Why.
    pub reason: ErasureReason,
}

/// Who else keeps something of an erased user and is told by the user itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WipeStep {
    /// The e-mail, which is free for others then.
    Email,
    /// The cart, which closes.
    Cart,
    /// Where a rider was last.
    Whereabouts,
}

impl WipeStep {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Email, Self::Cart, Self::Whereabouts];
}

/// What a user may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Buys.
    Customer,
    /// Delivers.
    Rider,
    /// Runs a store's stock.
    Store,
    /// Runs everything.
    Admin,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Customer, Self::Rider, Self::Store, Self::Admin];

    /// As written in tokens and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Rider => "rider",
            Self::Store => "store",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Role {
    type Err = UnknownRole;
    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or_else(|| UnknownRole(text.to_owned()))
    }
}

/// A text that names no [`Role`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no role; roles are customer, rider, store and admin")]
pub struct UnknownRole(String);

/// An argon2id hash in PHC form. Never shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// Takes a PHC string as made by [`password::hash`](super::password::hash).
    pub fn new(phc: impl Into<String>) -> Self {
        Self(phc.into())
    }

    /// The PHC string, to be checked against and never to be shown.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(hidden)")
    }
}

/// The SHA-256 of a refresh token's secret, as hex. Never shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TokenHash(String);

impl TokenHash {
    /// Takes the hex.
    pub fn new(hex: impl Into<String>) -> Self {
        Self(hex.into())
    }

    /// How long it is.
    pub fn bytes(&self) -> usize {
        self.0.len()
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(hidden)")
    }
}

/// A session that opens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewSession {
    /// Names the session and all refresh tokens of it: 1 to [`FAMILY_BYTES_MAX`] letters or digits, drawn
    /// at random.
    pub family: String,
    /// Of its first refresh token.
    pub token_hash: TokenHash,
    /// When that token ends.
    pub expires_at: Timestamp,
}

/// Where something is to be brought.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// Such as `home`; up to [`LABEL_CHARACTERS_MAX`] characters.
    pub label: String,
    /// House, street, area; 1 to [`LINE_CHARACTERS_MAX`] characters.
    pub line: String,
    /// 1 to [`CITY_CHARACTERS_MAX`] characters.
    pub city: String,
    /// The six digits of a postal index number; the first is not 0.
    pub pin_code: String,
    /// Where that is, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
}

impl fmt::Display for Address {
    /// As it goes on a parcel, in one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {} {}", self.line, self.city, self.pin_code)
    }
}

/// The longest name.
pub const NAME_CHARACTERS_MAX: usize = 100;
/// The most addresses of one user.
pub const ADDRESSES_MAX: usize = 20;
/// The longest id of an address.
pub const ADDRESS_ID_BYTES_MAX: usize = 40;
/// The longest label of an address.
pub const LABEL_CHARACTERS_MAX: usize = 40;
/// The longest line of an address.
pub const LINE_CHARACTERS_MAX: usize = 200;
/// The longest name of a city.
pub const CITY_CHARACTERS_MAX: usize = 60;
/// The most sessions of one user; a further one ends the oldest.
pub const SESSIONS_MAX: usize = 16;
/// The longest name of a session.
pub const FAMILY_BYTES_MAX: usize = 64;
/// The longest hash, of a password or a token.
pub const HASH_BYTES_MAX: usize = 256;

/// What a user answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    /// Who it is, after whatever has been asked.
    Profile(Profile),
    /// To `Credentials`.
    Credentials {
        /// To check the password against.
        password_hash: PasswordHash,
        /// Who it is.
        profile: Profile,
    },
    /// To `RotateRefresh`: the new token stands.
    Rotated {
        /// Who it is, for the next access token.
        profile: Profile,
    },
    /// To `RotateRefresh`: the token had been exchanged before. The session has ended.
    Reused {
        /// The session.
        family: String,
    },
    /// To `Session`.
    Session {
        /// Whether it has neither been ended nor made room for another.
        open: bool,
    },
    /// To `SettleEmail`: the user holds it.
    EmailHeld,
    /// To `SettleEmail`: the user does not hold it and never will.
    EmailNotHeld,
    /// To `Erase`: it has been erased, now or before.
    Erased {
        /// When, by whom and why, the first time.
        erasure: Erasure,
    },
    /// To `Wiped`.
    Noted,
}

/// Who a user is. Holds no secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// As normalised.
    pub email: String,
    /// As given.
    pub name: String,
    /// In order, each once.
    pub roles: Vec<Role>,
    /// Where a rider or a member of a store's staff works.
    pub store: Option<Key>,
    /// By their ids, in order.
    pub addresses: Vec<(String, Address)>,
    /// When it registered.
    pub registered_at: Timestamp,
    /// When it logged in last, if it has.
    pub last_login_at: Option<Timestamp>,
}

/// Why a user refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "rejection", rename_all = "snake_case")]
pub enum Rejection {
    /// Nobody has registered under this key.
    #[error("there is no user under this key")]
    NotFound,
    /// Somebody with another e-mail has registered under this key.
    #[error("another user exists under this key")]
    AlreadyRegistered,
    /// The registration took longer than its claim on the e-mail lasted; begin again with a new key.
    #[error("the registration was given up; begin again")]
    Abandoned,
    /// The refresh token is unknown or its session has ended.
    #[error("the session has ended")]
    SessionEnded,
    /// A list is full.
    #[error("at most {limit} {what}")]
    TooMany {
        /// Of what.
        what: String,
        /// How many there may be.
        limit: u32,
    },
    /// A user keeps one role at least.
    #[error("a user keeps one role at least")]
    LastRole,
    /// A field does not hold what it must.
    #[error("{field}: {problem}")]
    Invalid {
        /// Such as `pin_code`.
        field: String,
        /// What is wrong with it.
        problem: String,
    },
}
