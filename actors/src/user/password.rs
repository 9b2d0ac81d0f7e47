//! Hashing and checking passwords with argon2id. Both take tens of milliseconds on purpose: callers run them
//! on a thread that may block, never in an actor.

use std::fmt;

use argon2::password_hash::phc;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};

use super::command::PasswordHash;

/// The shortest password, in characters (NIST SP 800-63B-4, section 3.1.1.2, for one that stands beside no
/// second factor asks 15; the OWASP cheat sheet on authentication takes less than 8 for weak).
pub const PASSWORD_CHARACTERS_MIN: usize = 8;
/// The longest, in bytes, so that hashing stays bounded; above the 64 characters that both sources ask to
/// allow.
pub const PASSWORD_BYTES_MAX: usize = 256;
/// Random bytes that salt one hash.
pub const SALT_BYTES: usize = 16;
/// Memory of one hash in KiB, passes over it and lanes: the OWASP Password Storage Cheat Sheet's second
/// choice of equal strength, with the least memory that it names for two passes.
pub const MEMORY_KIB: u32 = 19 * 1024;
/// See [`MEMORY_KIB`].
pub const PASSES: u32 = 2;
/// See [`MEMORY_KIB`].
pub const LANES: u32 = 1;

/// A password as typed, within its bounds. Never shown.
pub struct Password(String);

/// Why a text is no password, or could not be hashed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Too short.
    #[error("a password has {PASSWORD_CHARACTERS_MIN} characters at least")]
    TooShort,
    /// Too long.
    #[error("a password has {PASSWORD_BYTES_MAX} bytes at most")]
    TooLong,
    /// The hash function refused; what it said.
    #[error("the password could not be hashed: {0}")]
    Hashing(String),
}

impl Password {
    /// Takes a password that is to be set.
    ///
    /// # Errors
    /// When it is too short or too long.
    pub fn new(text: impl Into<String>) -> Result<Self, PasswordError> {
        let text = text.into();
        if text.len() > PASSWORD_BYTES_MAX {
            Err(PasswordError::TooLong)
        } else if text.chars().count() < PASSWORD_CHARACTERS_MIN {
            Err(PasswordError::TooShort)
        } else {
            Ok(Self(text))
        }
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(hidden)")
    }
}

/// Hashes a password with a salt that the caller has drawn from the system's random source. Blocks.
///
/// # Errors
/// [`PasswordError::Hashing`], for want of memory.
pub fn hash(password: &Password, salt: [u8; SALT_BYTES]) -> Result<PasswordHash, PasswordError> {
    let hashed: phc::PasswordHash =
        argon2id()?.hash_password_with_salt(password.0.as_bytes(), &salt).map_err(failed)?;
    Ok(PasswordHash::new(hashed.to_string()))
}

/// Whether a password is the one that was hashed. Blocks; a hash made with other parameters is checked with
/// those. What is out of bounds is wrong without being hashed.
pub fn verify(password: &str, hash: &PasswordHash) -> bool {
    let (Ok(password), Ok(parsed), Ok(argon2id)) =
        (Password::new(password), phc::PasswordHash::new(hash.expose()), argon2id())
    else {
        return false;
    };
    argon2id.verify_password(password.0.as_bytes(), &parsed).is_ok()
}

/// Takes as long as [`verify`] and is never right: for an e-mail that nobody has, so that the time of an
/// answer does not tell. Blocks.
pub fn verify_nothing(password: &str) {
    // Salt and hash are random: no password is known for it.
    const NOBODY: &str =
        "$argon2id$v=19$m=19456,t=2,p=1$wWcdEwXAISAHt1vsmtQLdw$rCyXUJFE5D3f7Ud4xv4PRmZ79KZOdSKp56uVIYHlKN8";
    verify(password, &PasswordHash::new(NOBODY));
}

fn argon2id() -> Result<Argon2<'static>, PasswordError> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(failed)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn failed(error: impl fmt::Display) -> PasswordError {
    PasswordError::Hashing(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_fits_its_password_only() {
        let password = Password::new("correct horse").unwrap();
        let hashed = hash(&password, [7; SALT_BYTES]).unwrap();
        assert!(hashed.expose().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hashed.expose());
        assert!(verify("correct horse", &hashed));
        assert!(!verify("correct horsf", &hashed));
        assert!(!verify("", &hashed));
        assert!(!verify("correct horse", &PasswordHash::new("no hash")));
    }

    #[test]
    fn bounds_are_typed() {
        assert_eq!(Password::new("1234567").unwrap_err(), PasswordError::TooShort);
        assert_eq!(Password::new("é".repeat(129)).unwrap_err(), PasswordError::TooLong);
        assert!(Password::new("é".repeat(8)).is_ok());
    }

    #[test]
    fn secrets_are_not_shown() {
        let password = Password::new("correct horse").unwrap();
        let shown = format!("{password:?} {:?}", PasswordHash::new("$argon2id$secret"));
        assert!(!shown.contains("horse") && !shown.contains("secret"), "{shown}");
    }

    #[test]
    fn an_unknown_user_takes_as_long_as_a_known_one() {
        let hashed = hash(&Password::new("correct horse").unwrap(), [7; SALT_BYTES]).unwrap();
        let known = std::time::Instant::now();
        verify("wrong horses", &hashed);
        let known = known.elapsed();
        let unknown = std::time::Instant::now();
        verify_nothing("wrong horses");
        assert!(unknown.elapsed() * 5 > known, "{known:?} against {:?}", unknown.elapsed());
    }
}
