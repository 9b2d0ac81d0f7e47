//! What a node does at leisure: sends idle entities out of the memory, prunes journals.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::databases::Databases;
use crate::handoff::OpenShards;
use crate::outage::Outage;
use crate::shard::ShardMessage;

/// How often entities are looked at.
const SWEEP_EVERY: Duration = Duration::from_secs(1);
/// How many sweeps lie between two prunings.
const SWEEPS_PER_PRUNE: u32 = 60;
/// Rows of one deletion, so that it never holds up commits for long.
const PRUNE_ROWS: u32 = 1000;

/// Starts the task. Nothing is pruned without `keep_rows`.
pub(super) fn start(open: Arc<OpenShards>, databases: Arc<Databases>, keep_rows: Option<u64>) -> JoinHandle<()> {
    tokio::spawn(async move {
        let outage = Outage::default();
        let mut tick = tokio::time::interval(SWEEP_EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        for sweep in 1u32.. {
            tick.tick().await;
            for (_, shard) in open.all() {
                // A shard that has just been handed over has nothing to sweep.
                let _ = shard.cast(ShardMessage::Sweep);
            }
            if let Some(keep_rows) = keep_rows.filter(|_| sweep % SWEEPS_PER_PRUNE == 0) {
                prune(&open, &databases, keep_rows, &outage).await;
            }
        }
    })
}

async fn prune(open: &OpenShards, databases: &Databases, keep_rows: u64, outage: &Outage) {
    for (shard, _) in open.all() {
        let Some(server) = databases.of_shard(shard) else { continue };
        let pruned = async {
            let last = server.store.last_rows(shard.service, &[shard.number]).await?;
            let published = server.store.publications(shard.service, &[shard.number]).await?;
            let unpublished = published.first().map_or(0, |publication| publication.seq + 1);
            let below = last.first().map_or(0, |row| row.seq.saturating_sub(keep_rows)).min(unpublished);
            server.store.prune(shard.service, shard.number, below, PRUNE_ROWS).await
        };
        match pruned.await {
            Ok(_) => {
                if let Some(told) = outage.works() {
                    tracing::info!(failures = told.failures, lasted_ms = told.lasted_ms, "journals are pruned again");
                }
            }
            Err(error) => {
                if let Some(told) = outage.failed() {
                    tracing::warn!(
                        %shard,
                        %error,
                        failures = told.failures,
                        lasted_ms = told.lasted_ms,
                        "journals could not be pruned"
                    );
                }
            }
        }
    }
}
