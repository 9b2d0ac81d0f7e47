//! Notes about sessions of all gateways. Out of reach of Redis each gateway goes by its own and asks users.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use nakku_cluster::Key;

use super::Link;
use super::script::Script;
use crate::shared::in_process::SessionsInProcess;
use crate::shared::{Mark, Sessions, SharedSettings, Standing};

/// By how much longer than a token an end is remembered: clocks differ, and what was read before it may be noted.
const END_MARGIN: Duration = Duration::from_secs(60);
/// The note on a session that has ended.
const ENDED: &str = "ended";
/// What the note on an open one begins with; the user's mark follows.
const OPEN: &str = "open:";

/// Notes about sessions of all gateways.
#[derive(Debug)]
pub struct SessionsOnRedis {
    link: Arc<Link>,
    note: Script,
    ttl: Duration,
    end_ttl: Duration,
    /// This gateway's own notes, kept at the same time.
    alone: SessionsInProcess,
}

impl SessionsOnRedis {
    /// On this link.
    pub fn new(link: Arc<Link>, settings: &SharedSettings) -> Self {
        Self {
            link,
            note: Script::new(include_str!("note_open.lua")),
            ttl: settings.session_ttl,
            end_ttl: settings.access_token_lifetime.max(settings.session_ttl) + END_MARGIN,
            alone: SessionsInProcess::new(settings),
        }
    }

    /// Where the note on a session is, and where the user's mark: in one slot.
    fn keys(&self, user: &Key, session: &str) -> (String, String) {
        (self.link.key(format_args!("session:{{{user}}}:{session}")), self.mark_key(user))
    }

    fn mark_key(&self, user: &Key) -> String {
        self.link.key(format_args!("session:{{{user}}}"))
    }

    fn end_ttl_ms(&self) -> u64 {
        self.end_ttl.as_millis() as u64
    }
}

#[async_trait]
impl Sessions for SessionsOnRedis {
    async fn look(&self, user: &Key, session: &str) -> Standing {
        let own = self.alone.look(user, session).await;
        if own == Standing::Ended {
            return own;
        }
        let (note_key, mark_key) = self.keys(user, session);
        let mut get = redis::cmd("MGET");
        get.arg(&note_key).arg(&mark_key);
        let known: Result<(Option<String>, Option<String>), _> = self.link.run("look_session", &note_key, &get).await;
        let Ok((note, mark)) = known else { return own };
        let shared = mark.unwrap_or_default();
        match note.as_deref() {
            Some(ENDED) => {
                self.alone.end(user, session).await;
                return Standing::Ended;
            }
            Some(note) if note.strip_prefix(OPEN) == Some(&shared) => return Standing::Open,
            _ => {}
        }
        let (here, was_open) = match own {
            Standing::Unknown { mark, was_open } => (mark.here, was_open),
            _ => (self.alone.mark(user), true),
        };
        // With a mark some of the user's sessions have ended: what this gateway remembers may be one of them.
        let was_open = was_open && shared.is_empty();
        Standing::Unknown { mark: Mark { here, shared: Some(shared) }, was_open }
    }

    async fn note_open(&self, user: &Key, session: &str, mark: &Mark) {
        self.alone.note_open(user, session, mark).await;
        let (Some(shared), false) = (&mark.shared, self.ttl.is_zero()) else { return };
        let (note_key, mark_key) = self.keys(user, session);
        let ttl_ms = self.ttl.as_millis().max(1).to_string();
        let keys = [note_key.as_str(), mark_key.as_str()];
        let _: Result<u8, _> = self.link.script("note_session", &self.note, &keys, &[shared, &ttl_ms]).await;
    }

    async fn end(&self, user: &Key, session: &str) {
        self.alone.end(user, session).await;
        let (note_key, _) = self.keys(user, session);
        let mut set = redis::cmd("SET");
        set.arg(&note_key).arg(ENDED).arg("PX").arg(self.end_ttl_ms());
        let _: Result<(), _> = self.link.run("end_session", &note_key, &set).await;
    }

    async fn end_some(&self, user: &Key) {
        self.alone.end_some(user).await;
        let mark_key = self.mark_key(user);
        let mut set = redis::cmd("SET");
        set.arg(&mark_key).arg(format!("{:016x}", rand::random::<u64>())).arg("PX").arg(self.end_ttl_ms());
        let _: Result<(), _> = self.link.run("end_sessions", &mark_key, &set).await;
    }
}
