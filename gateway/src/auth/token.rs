//! Access tokens: JSON Web Tokens signed with HMAC-SHA-256, short-lived, never stored.

use std::fmt;
use std::time::Duration;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use nakku_actors::user::command::Role;
use nakku_cluster::{Key, Timestamp};
use serde::{Deserialize, Serialize};

use crate::problem::{Code, Problem};
use crate::settings::Secret;

/// Who issues the tokens.
const ISSUER: &str = "nakku";
/// By how much the clocks of two gateways may differ.
const LEEWAY_SECONDS: u64 = 5;

/// What an access token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The issuer.
    pub iss: String,
    /// The user.
    pub sub: Key,
    /// What the user may do.
    pub roles: Vec<Role>,
    /// Where a rider or a member of a store's staff works.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<Key>,
    /// The session that it belongs to.
    pub sid: String,
    /// When it was issued, in seconds since the Unix epoch.
    pub iat: u64,
    /// When it ends.
    pub exp: u64,
}

/// Why a text is no access token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It was one.
    #[error("the access token has expired")]
    Expired,
    /// It is none, or another issuer's.
    #[error("the access token is not valid")]
    Invalid,
}

impl From<TokenError> for Problem {
    fn from(error: TokenError) -> Self {
        let code = match error {
            TokenError::Expired => Code::TokenExpired,
            TokenError::Invalid => Code::TokenInvalid,
        };
        Self::new(code, error.to_string())
    }
}

/// Signs and checks access tokens.
pub struct Tokens {
    signing: EncodingKey,
    checking: DecodingKey,
    validation: Validation,
    lifetime: Duration,
}

impl Tokens {
    /// With the secret that all gateways share.
    pub fn new(secret: &Secret, lifetime: Duration) -> Self {
        let secret = secret.expose().as_bytes();
        // Only this algorithm: a token must not choose how it is checked (RFC 8725, 3.1).
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = LEEWAY_SECONDS;
        validation.set_issuer(&[ISSUER]);
        validation.set_required_spec_claims(&["exp", "iss", "sub"]);
        validation.validate_aud = false;
        Self {
            signing: EncodingKey::from_secret(secret),
            checking: DecodingKey::from_secret(secret),
            validation,
            lifetime,
        }
    }

    /// How long its tokens are good for.
    pub fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// A token for a session of a user.
    ///
    /// # Errors
    /// When it can't be signed, which no input leads to.
    pub fn issue(&self, user: &Key, roles: &[Role], store: Option<&Key>, session: &str) -> Result<String, Problem> {
        self.issue_at(user, roles, store, session, Timestamp::now())
    }

    /// What a token says, if it can be trusted.
    ///
    /// # Errors
    /// See [`TokenError`].
    pub fn check(&self, token: &str) -> Result<Claims, TokenError> {
        match jsonwebtoken::decode::<Claims>(token, &self.checking, &self.validation) {
            Ok(data) => Ok(data.claims),
            Err(error) if matches!(error.kind(), ErrorKind::ExpiredSignature) => Err(TokenError::Expired),
            Err(_) => Err(TokenError::Invalid),
        }
    }

    /// As [`issue`](Self::issue), at a time of choice.
    pub(crate) fn issue_at(
        &self,
        user: &Key,
        roles: &[Role],
        store: Option<&Key>,
        session: &str,
        now: Timestamp,
    ) -> Result<String, Problem> {
        let issued = u64::try_from(now.0 / 1000).unwrap_or(0);
        let claims = Claims {
            iss: ISSUER.to_owned(),
            sub: user.clone(),
            roles: roles.to_vec(),
            store: store.cloned(),
            sid: session.to_owned(),
            iat: issued,
            exp: issued + self.lifetime.as_secs().max(1),
        };
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.signing).map_err(|error| {
            tracing::error!(%error, "access token not signed");
            Problem::new(Code::Internal, "the access token could not be signed")
        })
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("lifetime", &self.lifetime).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    fn tokens() -> Tokens {
        Tokens::new(&Secret::new("0123456789abcdef0123456789abcdef"), Duration::from_secs(900))
    }

    fn user() -> Key {
        Key::new("u-7").unwrap()
    }

    #[test]
    fn a_token_says_what_was_put_in() {
        let tokens = tokens();
        let store = Key::new("s-1").unwrap();
        let token = tokens.issue(&user(), &[Role::Store], Some(&store), "f1").unwrap();
        let claims = tokens.check(&token).unwrap();
        assert_eq!((claims.sub, claims.roles), (user(), vec![Role::Store]));
        assert_eq!((claims.store, claims.sid.as_str()), (Some(store), "f1"));
        assert_eq!(claims.exp - claims.iat, 900);
    }

    #[test]
    fn an_old_token_has_expired() {
        let tokens = tokens();
        let long_ago = Timestamp(Timestamp::now().0 - 3_600_000);
        let token = tokens.issue_at(&user(), &[Role::Customer], None, "f", long_ago).unwrap();
        assert_eq!(tokens.check(&token), Err(TokenError::Expired));
    }

    #[test]
    fn forged_tokens_are_invalid() {
        let tokens = tokens();
        let token = tokens.issue(&user(), &[Role::Customer], None, "f").unwrap();
        let other = Tokens::new(&Secret::new("another secret of at least 32 bytes"), Duration::from_secs(900));
        assert_eq!(other.check(&token), Err(TokenError::Invalid), "another secret");

        let mut parts: Vec<String> = token.split('.').map(str::to_owned).collect();
        let claims = URL_SAFE_NO_PAD.decode(&parts[1]).unwrap();
        let raised = String::from_utf8(claims).unwrap().replace("customer", "admin");
        parts[1] = URL_SAFE_NO_PAD.encode(raised);
        assert_eq!(tokens.check(&parts.join(".")), Err(TokenError::Invalid), "other claims");

        parts[0] = URL_SAFE_NO_PAD.encode(r#"{"typ":"JWT","alg":"none"}"#);
        parts[2].clear();
        assert_eq!(tokens.check(&parts.join(".")), Err(TokenError::Invalid), "no signature");

        for text in ["", ".", "..", "a.b.c", &"x".repeat(10_000)] {
            assert_eq!(tokens.check(text), Err(TokenError::Invalid), "{text:.20}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        assert!(!format!("{:?}", tokens()).contains("0123456789abcdef"));
    }
}
