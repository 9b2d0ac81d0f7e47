//! What deliveries are signed with, as Standard Webhooks have it: `whsec_` and 24 to 64 bytes in Base64.
//!
//! See <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// How the text of a secret begins.
pub const PREFIX: &str = "whsec_";
/// The fewest bytes of a key.
pub const KEY_BYTES_MIN: usize = 24;
/// The most bytes of a key.
pub const KEY_BYTES_MAX: usize = 64;

/// A key that endpoint and sender share. Never printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SigningSecret(String);

impl SigningSecret {
    /// Takes a text as it is; whether it is a secret shows [`key`](Self::key).
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// From random bytes.
    pub fn of(key: &[u8]) -> Self {
        Self(format!("{PREFIX}{}", STANDARD.encode(key)))
    }

    /// The text, for the one who made it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The key that it stands for; nothing when it stands for none.
    pub fn key(&self) -> Option<Vec<u8>> {
        let key = STANDARD.decode(self.0.strip_prefix(PREFIX)?).ok()?;
        (KEY_BYTES_MIN..=KEY_BYTES_MAX).contains(&key.len()).then_some(key)
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningSecret(hidden)")
    }
}
