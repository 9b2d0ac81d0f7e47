//! Replicas that lists may be read from, and how far behind each one is.
//!
//! A node writes a number into the primary several times within the staleness that is allowed, and looks which one
//! the replica shows. Commits reach a replica in their order; so a replica that shows a number has everything that
//! was acknowledged before the node began to write it. Nothing is believed that a server says of its own lag.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::metrics;
use crate::outage::Outage;
use crate::query::Query;
use crate::status::Dependency;
use crate::store::{ListedRow, SqlStore, StateTable, Store, StoreError};
use crate::time::BootTime;

/// Looks at a replica lie at most so far apart.
const LOOK_EVERY_MAX: Duration = Duration::from_millis(500);
/// And at least so far.
const LOOK_EVERY_MIN: Duration = Duration::from_millis(20);
/// Looks within the allowed staleness.
const LOOKS_PER_STALENESS: u32 = 4;
/// A list that a replica does not give by then is read from the primary.
const LIST_PATIENCE: Duration = Duration::from_millis(500);
/// Numbers that are remembered: a replica that is further behind is not used in any case.
const SENT_MAX: usize = 64;

/// The replica of one server.
#[derive(Debug)]
pub(crate) struct Replica {
    primary: Arc<SqlStore>,
    store: Arc<SqlStore>,
    /// Of this node, with a database on the server.
    services: Vec<&'static str>,
    node: String,
    staleness: Duration,
    seen: Mutex<Seen>,
    outage: Outage,
}

#[derive(Debug, Default)]
struct Seen {
    /// What was written into the primary, and when that began.
    sent: VecDeque<(u64, BootTime)>,
    /// The replica has everything that was acknowledged before.
    complete_to: Option<BootTime>,
    latency: Duration,
    trouble: Option<String>,
    /// That it is read has been told once.
    is_told: bool,
}

/// Why a list is not read from a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// It does not answer.
    Away,
    /// It is further behind than allowed.
    Stale,
    /// It has not all that this list must contain.
    Behind,
}

impl Unfit {
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Away => "away",
            Self::Stale => "stale",
            Self::Behind => "behind",
        }
    }
}

impl Replica {
    pub(crate) fn new(
        primary: Arc<SqlStore>,
        store: Arc<SqlStore>,
        services: Vec<&'static str>,
        node: String,
        staleness: Duration,
    ) -> Self {
        Self { primary, store, services, node, staleness, seen: Mutex::default(), outage: Outage::default() }
    }

    /// A list from the replica, if it may be read there: with all that was acknowledged longer ago than the allowed
    /// staleness, and with a row of a shard if one is named.
    pub(crate) async fn list(
        &self,
        table: &StateTable,
        query: &Query,
        reach: Option<(u32, u64)>,
    ) -> Result<Vec<ListedRow>, Unfit> {
        if !self.is_fresh() {
            return Err(Unfit::Stale);
        }
        let read = async {
            match reach {
                Some((shard, seq)) => self.store.list_reaching(table, query, shard, seq).await,
                None => self.store.list(table, query).await.map(Some),
            }
        };
        match tokio::time::timeout(LIST_PATIENCE, read).await {
            Ok(Ok(Some(rows))) => Ok(rows),
            Ok(Ok(None)) => Err(Unfit::Behind),
            Ok(Err(error)) => {
                self.failed(&error.to_string());
                Err(Unfit::Away)
            }
            Err(_) => {
                self.failed(&format!("no list within {} ms", LIST_PATIENCE.as_millis()));
                Err(Unfit::Away)
            }
        }
    }

    /// What the node's status says of it.
    pub(crate) fn dependency(&self, server: &str) -> Dependency {
        let behind = self.behind();
        let seen = self.seen();
        let is_up = behind.is_some_and(|behind| behind <= self.staleness);
        let error = match (is_up, &seen.trouble, behind) {
            (true, ..) => None,
            (false, Some(trouble), _) => Some(format!("lists are read from the primary: {trouble}")),
            (false, None, Some(behind)) => {
                Some(format!("lists are read from the primary: it is {} ms behind", behind.as_millis()))
            }
            (false, None, None) => Some("lists are read from the primary: it shows nothing of what is written".into()),
        };
        Dependency {
            name: format!("replica {server}"),
            location: self.store.location().to_owned(),
            up: is_up,
            latency_us: u64::try_from(seen.latency.as_micros()).unwrap_or(u64::MAX),
            error,
            is_optional: true,
        }
    }

    /// Looks again and again how far it is.
    pub(crate) fn watch(self: Arc<Self>) -> JoinHandle<()> {
        tokio::spawn(async move {
            // Nothing that another life of this node has written may be taken for this one's.
            let mut beat = rand::random::<u64>() >> 2;
            let every = (self.staleness / LOOKS_PER_STALENESS).clamp(LOOK_EVERY_MIN, LOOK_EVERY_MAX);
            self.forget_old().await;
            let mut tick = tokio::time::interval(every);
            tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                tick.tick().await;
                beat += 1;
                self.look(beat).await;
                let behind = self.behind().unwrap_or(Duration::MAX);
                metrics::replica_behind(self.store.location(), behind);
            }
        })
    }

    async fn look(&self, beat: u64) {
        let began = BootTime::now();
        {
            let mut seen = self.seen();
            // Before it is sent: it may land although nobody hears of it.
            seen.sent.push_back((beat, began));
            if seen.sent.len() > SENT_MAX {
                seen.sent.pop_front();
            }
        }
        let write = tokio::time::timeout(self.staleness, self.primary.beat(&self.services, &self.node, beat)).await;
        let trouble = match write {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(format!("how far it is could not be written: {error}")),
            Err(_) => Some("how far it is could not be written in time".to_owned()),
        };
        let asked = BootTime::now();
        let read = tokio::time::timeout(self.staleness, self.store.last_beat(&self.services, &self.node)).await;
        match read {
            Ok(Ok(shown)) => self.shown(shown, asked.elapsed(), trouble),
            Ok(Err(StoreError::Unavailable { cause, .. } | StoreError::Refused { cause, .. })) => self.failed(&cause),
            Err(_) => self.failed("it does not answer in time"),
        }
    }

    fn shown(&self, shown: Option<u64>, latency: Duration, trouble: Option<String>) {
        let mut seen = self.seen();
        seen.latency = latency;
        let place = seen.sent.iter().position(|(beat, _)| Some(*beat) == shown);
        if let Some(place) = place {
            let (_, began) = seen.sent[place];
            seen.complete_to = seen.complete_to.max(Some(began));
            // It is seen again until the next one comes.
            seen.sent.drain(..place);
        }
        seen.trouble = trouble;
        if seen.complete_to.is_none() {
            return;
        }
        let told = self.outage.works();
        if told.is_some() || !std::mem::replace(&mut seen.is_told, true) {
            let lasted_ms = told.map(|told| told.lasted_ms);
            tracing::info!(replica = self.store.location(), lasted_ms, "lists are read from the replica");
        }
    }

    fn failed(&self, trouble: &str) {
        let mut seen = self.seen();
        seen.complete_to = None;
        if let Some(told) = self.outage.failed() {
            let replica = self.store.location();
            tracing::warn!(replica, trouble, lasted_ms = told.lasted_ms, "lists are read from the primary");
        }
        seen.trouble = Some(trouble.to_owned());
    }

    fn is_fresh(&self) -> bool {
        self.behind().is_some_and(|behind| behind <= self.staleness)
    }

    /// By how much at most; nothing while that is unknown.
    fn behind(&self) -> Option<Duration> {
        self.seen().complete_to.map(BootTime::elapsed)
    }

    async fn forget_old(&self) {
        for service in &self.services {
            if let Err(error) = self.primary.forget_beats(service).await {
                tracing::debug!(service, %error, "numbers of nodes that are gone stay for now");
            }
        }
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
