//! Wakes what is due: retries of effects and durable timers, both from one indexed column.
//!
//! The owner of a shard looks through its rows at a steady pace; whoever has just taken a shard looks at
//! once, and also at what its predecessor alone was looking after. Waking twice is harmless: an entity
//! decides by its own state whether there is anything to do.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use ractor::ActorRef;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::databases::Databases;
use crate::handoff::OpenShards;
use crate::instance::EntityType;
use crate::outage::Outage;
use crate::reference::ShardId;
use crate::runtime::Runtime;
use crate::shard::{EFFECT_GRACE, ShardMessage};
use crate::store::{Due, Store, StoreError};
use crate::time::Timestamp;

/// Rows of one look.
const PAGE: u32 = 500;
/// Pages of one look at one table; what is beyond comes with the next.
const PAGES_MAX: u32 = 20;
/// The pause after each handful of woken entities.
const BREATH: Duration = Duration::from_millis(10);

/// Starts the task; shards that have just been taken come over `taken`.
pub(crate) fn start(
    runtime: Arc<Runtime>,
    databases: Arc<Databases>,
    open: Arc<OpenShards>,
    mut taken: mpsc::UnboundedReceiver<ShardId>,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut reminders = Reminders { runtime, databases, open, outages: HashMap::new() };
        let mut tick = tokio::time::interval(reminders.runtime.settings.reminder_interval);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = tick.tick() => reminders.look(None, Timestamp::now()).await,
                first = taken.recv() => {
                    let Some(first) = first else { return };
                    let mut shards = HashSet::from([first]);
                    while let Ok(next) = taken.try_recv() {
                        shards.insert(next);
                    }
                    reminders.look(Some(&shards), Timestamp::now().plus(EFFECT_GRACE)).await;
                }
            }
        }
    })
}

struct Reminders {
    runtime: Arc<Runtime>,
    databases: Arc<Databases>,
    open: Arc<OpenShards>,
    /// By location.
    outages: HashMap<String, Outage>,
}

/// A service and the location of a server.
type Place = (&'static str, String);
/// Open shards by number.
type Shards = HashMap<u32, ActorRef<ShardMessage>>;

impl Reminders {
    /// Wakes what is due until then, on these shards or on all that are open.
    async fn look(&mut self, only: Option<&HashSet<ShardId>>, until: Timestamp) {
        let mut by_place: BTreeMap<Place, (Arc<dyn Store>, Shards)> = BTreeMap::new();
        for (shard, actor) in self.open.all() {
            if only.is_some_and(|only| !only.contains(&shard)) {
                continue;
            }
            let Some(server) = self.databases.of_shard(shard) else { continue };
            let place = (shard.service, server.store.location().to_owned());
            let (_, shards) = by_place.entry(place).or_insert_with(|| (Arc::clone(&server.store), Shards::new()));
            shards.insert(shard.number, actor);
        }
        let mut outcomes: BTreeMap<String, Result<(), StoreError>> = BTreeMap::new();
        for ((service, location), (store, shards)) in by_place {
            let outcome = outcomes.entry(location).or_insert(Ok(()));
            for entity_type in self.runtime.types().filter(|one| one.kind().service == service) {
                let looked = self.wake_due(entity_type, &store, &shards, until).await;
                *outcome = std::mem::replace(outcome, Ok(())).and(looked);
            }
        }
        for (location, outcome) in outcomes {
            let outage = self.outages.entry(location.clone()).or_default();
            match outcome {
                Ok(()) => {
                    if let Some(told) = outage.works() {
                        tracing::info!(location, lasted_ms = told.lasted_ms, "what is due is looked for again");
                    }
                }
                Err(error) => {
                    if let Some(told) = outage.failed() {
                        tracing::warn!(location, %error, lasted_ms = told.lasted_ms, "could not look for what is due");
                    }
                }
            }
        }
    }

    async fn wake_due(
        &self,
        entity_type: &Arc<dyn EntityType>,
        store: &Arc<dyn Store>,
        shards: &Shards,
        until: Timestamp,
    ) -> Result<(), StoreError> {
        let mut numbers: Vec<u32> = shards.keys().copied().collect();
        numbers.sort_unstable();
        let mut after: Option<Due> = None;
        for _ in 0..PAGES_MAX {
            let page = store.due(&entity_type.table(), &numbers, until, after.as_ref(), PAGE).await?;
            let full = page.len() == PAGE as usize;
            for handful in page.chunks(self.runtime.settings.reminders_at_once_max.max(1)) {
                for due in handful {
                    if let Some(actor) = shards.get(&due.shard) {
                        let entity_type = Arc::clone(entity_type);
                        // A shard that is gone will be looked at by its next owner.
                        let _ = actor.cast(ShardMessage::Wake { entity_type, key: due.key.clone() });
                    }
                }
                tokio::time::sleep(BREATH).await;
            }
            after = page.into_iter().last();
            if !full {
                break;
            }
        }
        Ok(())
    }
}
