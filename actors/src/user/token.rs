//! Refresh tokens as they travel: the user's key, the session's name and a secret, joined by dots. Only the
//! secret's hash is kept.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nakku_cluster::Key;
use sha2::{Digest, Sha256};

use super::command::{FAMILY_BYTES_MAX, TokenHash};
use crate::digest::hex;

/// Random bytes that name a session.
pub const FAMILY_BYTES: usize = 16;
/// Random bytes of a token's secret.
pub const SECRET_BYTES: usize = 32;
/// The longest token, in bytes.
pub const TOKEN_BYTES_MAX: usize = 320;

/// One refresh token. Its secret is shown by [`expose`](RefreshToken::expose) only.
#[derive(Clone, PartialEq, Eq)]
pub struct RefreshToken {
    /// Whose.
    pub user: Key,
    /// Names the session.
    pub family: String,
    secret: String,
}

/// A text that is no refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no refresh token")]
pub struct NotARefreshToken;

impl RefreshToken {
    /// The first token of a new session. Both numbers are drawn from the system's random source.
    pub fn open(user: Key, family: [u8; FAMILY_BYTES], secret: [u8; SECRET_BYTES]) -> Self {
        Self { user, family: hex(&family), secret: URL_SAFE_NO_PAD.encode(secret) }
    }

    /// The token that follows in the same session.
    #[must_use]
    pub fn next(&self, secret: [u8; SECRET_BYTES]) -> Self {
        Self { secret: URL_SAFE_NO_PAD.encode(secret), ..self.clone() }
    }

    /// What is kept of it.
    pub fn hash(&self) -> TokenHash {
        TokenHash::new(hex(&Sha256::digest(self.secret.as_bytes())))
    }

    /// The token for its owner.
    pub fn expose(&self) -> String {
        format!("{}.{}.{}", self.user, self.family, self.secret)
    }
}

impl FromStr for RefreshToken {
    type Err = NotARefreshToken;
    fn from_str(text: &str) -> Result<Self, NotARefreshToken> {
        let mut parts = text.rsplitn(3, '.');
        let (Some(secret), Some(family), Some(user)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NotARefreshToken);
        };
        let fits = text.len() <= TOKEN_BYTES_MAX
            && !secret.is_empty()
            && (1..=FAMILY_BYTES_MAX).contains(&family.len())
            && family.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let user = Key::new(user).map_err(|_| NotARefreshToken)?;
        if fits { Ok(Self { user, family: family.into(), secret: secret.into() }) } else { Err(NotARefreshToken) }
    }
}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefreshToken").field("user", &self.user).field("family", &self.family).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes_and_hides_the_secret() {
        let token = RefreshToken::open(Key::new("u-7").unwrap(), [1; FAMILY_BYTES], [2; SECRET_BYTES]);
        let text = token.expose();
        assert_eq!(text.parse::<RefreshToken>(), Ok(token.clone()));
        assert!(text.len() <= TOKEN_BYTES_MAX);
        let secret = text.rsplit('.').next().unwrap();
        assert!(!format!("{token:?} {:?}", token.hash()).contains(secret));
        let next = token.next([3; SECRET_BYTES]);
        assert!(next.family == token.family && next.hash() != token.hash());
        for wrong in ["", ".", "a.b", "..", "u-1..x", "u-1.f.", "u 1.f.s", "u-1.f-f.s"] {
            assert_eq!(wrong.parse::<RefreshToken>(), Err(NotARefreshToken), "{wrong:?}");
        }
    }
}
