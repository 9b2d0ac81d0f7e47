//! How entities are named: kind and key, never a process id.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::entity::Entity;

/// The longest key, in bytes.
pub const KEY_BYTES_MAX: usize = 128;

/// A service and the name of one entity of it, both fixed at compile time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind {
    /// The service, such as `inventory`; its database is `nakku_inventory`.
    pub service: &'static str,
    /// The entity, such as `stock`; its state table is `stock_state`.
    pub entity: &'static str,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.service, self.entity)
    }
}

/// The name of an instance within its kind: letters, digits, `-`, `_` and `.`, compared as bytes.
///
/// What stands before the first `.` is the shard key: instances that share it live in the same shard
/// number, so a user's cart `u-1`, order `u-1.o-7` and payment `u-1.o-7` are neighbours.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Key(Arc<str>);

/// Why a text is no [`Key`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a key has 1 to {KEY_BYTES_MAX} letters, digits, '-', '_' or '.', and does not begin with '.'; this one is {0:?}"
)]
pub struct KeyError(String);

impl Key {
    /// Checks a text.
    ///
    /// # Errors
    /// When it is empty, too long or holds another character.
    pub fn new(text: impl Into<String>) -> Result<Self, KeyError> {
        let text = text.into();
        let fits = !text.is_empty() && text.len() <= KEY_BYTES_MAX && !text.starts_with('.');
        let clean = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
        if fits && clean { Ok(Self(text.into())) } else { Err(KeyError(text.chars().take(160).collect())) }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What decides the shard: everything before the first `.`.
    pub fn shard_key(&self) -> &str {
        self.0.split('.').next().unwrap_or_default()
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Key {
    type Err = KeyError;
    fn from_str(text: &str) -> Result<Self, KeyError> {
        Self::new(text)
    }
}

impl TryFrom<String> for Key {
    type Error = KeyError;
    fn try_from(text: String) -> Result<Self, KeyError> {
        Self::new(text)
    }
}

impl From<Key> for String {
    fn from(key: Key) -> Self {
        key.0.as_ref().to_owned()
    }
}

impl std::borrow::Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// A typed reference to an entity.
pub struct Ref<E> {
    key: Key,
    kind: PhantomData<fn() -> E>,
}

impl<E: Entity> Ref<E> {
    /// The entity of this kind with that key.
    pub fn new(key: Key) -> Self {
        Self { key, kind: PhantomData }
    }

    /// The key.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// The reference without its type, as it travels.
    pub fn address(&self) -> Address {
        Address { kind: E::KIND.to_string().into(), key: self.key.clone() }
    }
}

impl<E> Clone for Ref<E> {
    fn clone(&self) -> Self {
        Self { key: self.key.clone(), kind: PhantomData }
    }
}

impl<E: Entity> fmt::Debug for Ref<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", E::KIND, self.key)
    }
}

/// A reference as it travels: `service.entity` and key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Address {
    /// `service.entity`.
    pub kind: Arc<str>,
    /// The instance.
    pub key: Key,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.key)
    }
}

/// A shard of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId {
    /// The service.
    pub service: &'static str,
    /// Its number, from 0 to the topology's shard count.
    pub number: u32,
}

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.service, self.number)
    }
}
