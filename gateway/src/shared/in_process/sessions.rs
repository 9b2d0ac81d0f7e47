//! Notes about sessions of one gateway.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use nakku_cluster::Key;
use quick_cache::sync::Cache;

use crate::shared::{Mark, Sessions, SharedSettings, Standing};

/// How many sessions are noted; of one more, the user is asked.
const SESSIONS_MAX: usize = 200_000;
/// How many users' ends are remembered; of one more, notes that are being made may be refused.
const USERS_MAX: usize = 50_000;

/// Notes about sessions of one gateway.
#[derive(Debug)]
pub struct SessionsInProcess {
    ttl: Duration,
    notes: Cache<(Key, Box<str>), Note>,
    /// Drawn anew whenever sessions of the user end; a user without one stands at 0.
    marks: Cache<Key, u64>,
    /// Held while a mark is compared and a note made, or a mark drawn: never while anything is waited for.
    marking: Mutex<()>,
}

#[derive(Clone, Copy, Debug)]
enum Note {
    Open { since: Instant, mark: u64 },
    Ended,
}

impl SessionsInProcess {
    /// Relies on notes for as long as the settings say.
    pub fn new(settings: &SharedSettings) -> Self {
        let (notes, marks) = (Cache::new(SESSIONS_MAX), Cache::new(USERS_MAX));
        Self { ttl: settings.session_ttl, notes, marks, marking: Mutex::new(()) }
    }

    pub(crate) fn mark(&self, user: &Key) -> u64 {
        self.marks.get(user).unwrap_or(0)
    }

    fn marking(&self) -> std::sync::MutexGuard<'_, ()> {
        // It guards no data of its own, so a panic under it leaves nothing broken.
        self.marking.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Sessions for SessionsInProcess {
    async fn look(&self, user: &Key, session: &str) -> Standing {
        let here = self.mark(user);
        let was_open = match self.notes.get(&(user.clone(), session.into())) {
            Some(Note::Ended) => return Standing::Ended,
            Some(Note::Open { since, mark }) if mark == here => {
                if since.elapsed() < self.ttl {
                    return Standing::Open;
                }
                true
            }
            _ => false,
        };
        Standing::Unknown { mark: Mark { here, shared: None }, was_open }
    }

    async fn note_open(&self, user: &Key, session: &str, mark: &Mark) {
        let _guard = self.marking();
        let key = (user.clone(), session.into());
        if self.mark(user) == mark.here && !matches!(self.notes.get(&key), Some(Note::Ended)) {
            self.notes.insert(key, Note::Open { since: Instant::now(), mark: mark.here });
        }
    }

    async fn end(&self, user: &Key, session: &str) {
        let _guard = self.marking();
        self.notes.insert((user.clone(), session.into()), Note::Ended);
    }

    async fn end_some(&self, user: &Key) {
        let _guard = self.marking();
        self.marks.insert(user.clone(), rand::random::<u64>().max(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user() -> Key {
        Key::new("u-1").unwrap()
    }

    fn sessions(ttl: Duration) -> SessionsInProcess {
        SessionsInProcess::new(&SharedSettings { session_ttl: ttl, ..SharedSettings::default() })
    }

    async fn unknown(sessions: &SessionsInProcess, session: &str) -> (Mark, bool) {
        match sessions.look(&user(), session).await {
            Standing::Unknown { mark, was_open } => (mark, was_open),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_note_is_relied_on_until_its_time_or_the_end() {
        let sessions = sessions(Duration::from_secs(60));
        let (mark, was_open) = unknown(&sessions, "a").await;
        assert!(!was_open);
        sessions.note_open(&user(), "a", &mark).await;
        assert_eq!(sessions.look(&user(), "a").await, Standing::Open);
        sessions.end(&user(), "a").await;
        assert_eq!(sessions.look(&user(), "a").await, Standing::Ended);
        sessions.note_open(&user(), "a", &mark).await;
        assert_eq!(sessions.look(&user(), "a").await, Standing::Ended, "an end is for good");
    }

    #[tokio::test]
    async fn what_was_read_before_an_end_is_not_noted_after_it() {
        let sessions = sessions(Duration::from_secs(60));
        let (old, _) = unknown(&sessions, "a").await;
        sessions.note_open(&user(), "b", &old).await;
        sessions.end_some(&user()).await;
        sessions.note_open(&user(), "a", &old).await;
        unknown(&sessions, "a").await;
        let (mark, was_open) = unknown(&sessions, "b").await;
        assert!(!was_open, "also what was noted before is asked for again");
        sessions.note_open(&user(), "b", &mark).await;
        assert_eq!(sessions.look(&user(), "b").await, Standing::Open);
    }

    #[tokio::test]
    async fn an_old_note_says_that_it_was_open() {
        let sessions = sessions(Duration::ZERO);
        let (mark, _) = unknown(&sessions, "a").await;
        sessions.note_open(&user(), "a", &mark).await;
        assert!(unknown(&sessions, "a").await.1);
    }
}
