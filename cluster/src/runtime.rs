//! What all shards of a node share.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::events::Outboxes;
use crate::handle::Router;
use crate::inspect::observe::Observer;
use crate::instance::EntityType;
use crate::metrics;
use crate::outage::Outage;
use crate::provider::Provider;
use crate::reference::{Address, Kind};

/// Limits of a node.
#[derive(Clone, Debug)]
pub struct RuntimeSettings {
    /// Commands that may wait for one entity.
    pub mailbox_max: u32,
    /// Commands that may be under way on this node for its own entities.
    pub in_flight_max: usize,
    /// Asks that may wait here for a shard that moves.
    pub held_max: usize,
    /// An entity that has not been asked for so long leaves the memory.
    pub passivate_after: Duration,
    /// Entities in memory; beyond it the least recently used ones leave early.
    pub loaded_max: u32,
    /// Effects whose calls are under way at the same time.
    pub effects_max: usize,
    /// How often the state tables are looked through for what is due.
    pub reminder_interval: Duration,
    /// Due entities that are woken in one go, also after a takeover; 10 ms lie between two goes.
    pub reminders_at_once_max: usize,
}

impl Default for RuntimeSettings {
    fn default() -> Self {
        Self {
            mailbox_max: 1024,
            in_flight_max: 16_384,
            held_max: 8192,
            passivate_after: Duration::from_secs(300),
            loaded_max: 250_000,
            effects_max: 2048,
            reminder_interval: Duration::from_millis(500),
            reminders_at_once_max: 64,
        }
    }
}

/// See the module.
pub(crate) struct Runtime {
    pub settings: RuntimeSettings,
    types: HashMap<String, Arc<dyn EntityType>>,
    providers: HashMap<&'static str, Arc<dyn Provider>>,
    lease_holds: Box<dyn Fn() -> bool + Send + Sync>,
    pub feature_level: AtomicU16,
    pub effect_permits: Semaphore,
    pub in_flight: Arc<Semaphore>,
    pub shards_open: AtomicU32,
    /// What has been committed and is yet to be published.
    pub outboxes: Arc<Outboxes>,
    router: OnceLock<Weak<dyn Router>>,
    quarantined: Mutex<BTreeSet<Address>>,
    /// What is seen of commands, for whoever looks.
    pub observer: Arc<Observer>,
    /// Of reading entities.
    pub loading: Outage,
}

impl Runtime {
    pub(crate) fn new(
        settings: RuntimeSettings,
        types: impl IntoIterator<Item = Arc<dyn EntityType>>,
        providers: impl IntoIterator<Item = Arc<dyn Provider>>,
        outboxes: Arc<Outboxes>,
        lease_holds: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Self {
        let types: HashMap<String, Arc<dyn EntityType>> =
            types.into_iter().map(|one| (one.kind().to_string(), one)).collect();
        types.values().for_each(|one| metrics::hosts(one.kind()));
        let observer = Arc::new(Observer::new(types.values().map(|one| one.kind())));
        Self {
            types,
            observer,
            loading: Outage::default(),
            providers: providers.into_iter().map(|one| (one.name(), one)).collect(),
            lease_holds: Box::new(lease_holds),
            feature_level: AtomicU16::new(1),
            effect_permits: Semaphore::new(settings.effects_max),
            in_flight: Arc::new(Semaphore::new(settings.in_flight_max)),
            shards_open: AtomicU32::new(0),
            outboxes,
            router: OnceLock::new(),
            quarantined: Mutex::new(BTreeSet::new()),
            settings,
        }
    }

    /// Set once, when the node's router stands.
    pub(crate) fn set_router(&self, router: Weak<dyn Router>) {
        if self.router.set(router).is_err() {
            tracing::error!("the router was set twice");
        }
    }

    pub(crate) fn router(&self) -> Option<Arc<dyn Router>> {
        self.router.get()?.upgrade()
    }

    pub(crate) fn entity_type(&self, kind: &str) -> Option<&Arc<dyn EntityType>> {
        self.types.get(kind)
    }

    pub(crate) fn types(&self) -> impl Iterator<Item = &Arc<dyn EntityType>> {
        self.types.values()
    }

    pub(crate) fn provider(&self, name: &str) -> Option<&Arc<dyn Provider>> {
        self.providers.get(name)
    }

    pub(crate) fn lease_holds(&self) -> bool {
        (self.lease_holds)()
    }

    pub(crate) fn set_feature_level(&self, level: u16) {
        self.feature_level.store(level, Ordering::Relaxed);
    }

    /// Sets an entity aside, or takes it back.
    pub(crate) fn quarantine(&self, kind: Kind, key: &crate::reference::Key, aside: bool) {
        let address = Address { kind: kind.to_string().into(), key: key.clone() };
        let mut quarantined = self.quarantined.lock().unwrap_or_else(PoisonError::into_inner);
        if aside {
            quarantined.insert(address)
        } else {
            quarantined.remove(&address)
        };
    }

    pub(crate) fn quarantined(&self) -> Vec<String> {
        let quarantined = self.quarantined.lock().unwrap_or_else(PoisonError::into_inner);
        quarantined.iter().map(ToString::to_string).collect()
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Runtime")
    }
}
