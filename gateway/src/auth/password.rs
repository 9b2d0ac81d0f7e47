//! Passwords off the runtime's threads: each hash takes a core for tens of milliseconds and 19 MiB, so that
//! a flood of log-ins would otherwise take the machine.

use std::sync::Arc;
use std::time::Duration;

use nakku_actors::user::command::PasswordHash;
use nakku_actors::user::password::{self, Password, SALT_BYTES};
use tokio::sync::Semaphore;

use crate::metrics::METRICS;
use crate::problem::{Code, Problem};

/// When a client that was refused should come back.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Hashes and checks passwords, so many at once, with so many waiting.
#[derive(Debug)]
pub struct Passwords {
    running: Arc<Semaphore>,
    admitted: Arc<Semaphore>,
}

impl Passwords {
    /// See the settings of the same names.
    pub fn new(hashes_max: usize, waiting_max: usize) -> Self {
        Self {
            running: Arc::new(Semaphore::new(hashes_max)),
            admitted: Arc::new(Semaphore::new(hashes_max + waiting_max)),
        }
    }

    /// A password that may be set.
    ///
    /// # Errors
    /// Invalid when it is too short or too long.
    pub fn check(text: String) -> Result<Password, Problem> {
        Password::new(text).map_err(|error| Problem::new(Code::InvalidValue, error.to_string()).field("password"))
    }

    /// The hash of a new password.
    ///
    /// # Errors
    /// Overloaded when too many wait.
    pub async fn hash(&self, password: Password) -> Result<PasswordHash, Problem> {
        let salt: [u8; SALT_BYTES] = rand::random();
        let hashed = self.run("hash", move || password::hash(&password, salt)).await?;
        hashed.map_err(|error| {
            tracing::error!(%error, "password not hashed");
            Problem::new(Code::Internal, "the password could not be hashed")
        })
    }

    /// Whether it is the password that was hashed. Without a hash it takes as long and is never right, so
    /// that the time does not tell which e-mails are known.
    ///
    /// # Errors
    /// Overloaded when too many wait.
    pub async fn verify(&self, text: String, hash: Option<PasswordHash>) -> Result<bool, Problem> {
        let check = move || match hash {
            Some(hash) => password::verify(&text, &hash),
            None => {
                password::verify_nothing(&text);
                false
            }
        };
        self.run("verify", check).await
    }

    async fn run<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let overloaded =
            || Problem::new(Code::Overloaded, "too many passwords wait to be hashed").retry_after(RETRY_AFTER);
        let admitted = self.admitted.clone().try_acquire_owned().map_err(|_| overloaded())?;
        let running = self.running.clone().acquire_owned().await.map_err(|_| overloaded())?;
        let done = tokio::task::spawn_blocking(move || {
            // Both are given back when the work is done, also if the client has gone meanwhile.
            let _held = (admitted, running);
            let _timer = METRICS.password_seconds.with_label_values(&[operation]).start_timer();
            work()
        });
        done.await.map_err(|_| Problem::new(Code::Internal, "a password could not be checked"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn checks_what_it_hashed() {
        let passwords = Passwords::new(2, 2);
        let hash = passwords.hash(Passwords::check("correct horse".into()).unwrap()).await.unwrap();
        assert!(passwords.verify("correct horse".into(), Some(hash.clone())).await.unwrap());
        assert!(!passwords.verify("wrong horses".into(), Some(hash)).await.unwrap());
        assert!(!passwords.verify("correct horse".into(), None).await.unwrap());
    }

    #[test]
    fn refuses_bad_passwords() {
        assert_eq!(Passwords::check("short".into()).unwrap_err().code, Code::InvalidValue);
        assert_eq!(Passwords::check("x".repeat(10_000)).unwrap_err().code, Code::InvalidValue);
    }

    #[tokio::test]
    async fn is_bounded() {
        let passwords = Passwords::new(1, 1);
        let held = passwords.running.clone().acquire_owned().await.unwrap();
        let first = passwords.verify("a password".into(), None);
        let second = passwords.verify("a password".into(), None);
        let third = passwords.verify("a password".into(), None);
        let (first, second, third) = tokio::join!(first, second, async {
            let answer = third.await;
            drop(held);
            answer
        });
        assert_eq!(third.unwrap_err().code, Code::Overloaded);
        assert!(!first.unwrap() && !second.unwrap());
    }
}
