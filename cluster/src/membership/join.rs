//! How a node begins its life in the cluster.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::outage::Outage;
use crate::store::{ClusterRows, ClusterStore, StoreError};
use crate::time::BootTime;

use super::agent;
use super::error::MembershipError;
use super::handle::{Membership, Shared};
use super::settings::{JOIN_TIMEOUT, MembershipSettings};
use super::view::{NodeId, View};

/// Between attempts while the cluster database is away.
const RETRY: Duration = Duration::from_millis(50);

/// See [`Membership::join`].
pub(super) async fn join(
    store: Arc<dyn ClusterStore>,
    settings: MembershipSettings,
) -> Result<Membership, MembershipError> {
    settings.check()?;
    let deadline = Instant::now() + JOIN_TIMEOUT;
    let mut generation = None;
    let outage = Outage::default();
    loop {
        let attempt = enter(&*store, &settings, &mut generation);
        let last = match tokio::time::timeout(settings.store_timeout(), attempt).await {
            Ok(Ok(Some(entered))) => {
                let shared = Shared::new(entered.node, settings, entered.view);
                shared.extend_lease(entered.sent);
                return agent::start(store, shared).await;
            }
            Ok(Ok(None)) => continue,
            Ok(Err(MembershipError::Store(error @ StoreError::Unavailable { .. }))) => error.to_string(),
            Ok(Err(error)) => return Err(error),
            Err(_) => format!("the cluster database gave no answer within {:?}", settings.store_timeout()),
        };
        if Instant::now() >= deadline {
            return Err(MembershipError::TimedOut { after: JOIN_TIMEOUT, last });
        }
        if let Some(told) = outage.failed() {
            tracing::warn!(cause = last, failures = told.failures, "joining is tried again");
        }
        tokio::time::sleep(RETRY).await;
    }
}

struct Entered {
    node: NodeId,
    view: View,
    /// Before the renewal that counts was sent.
    sent: BootTime,
}

/// One attempt; nothing when another node has changed the view at the same time.
async fn enter(
    store: &dyn ClusterStore,
    settings: &MembershipSettings,
    generation: &mut Option<u64>,
) -> Result<Option<Entered>, MembershipError> {
    let generation = match generation {
        Some(generation) => *generation,
        None => *generation.insert(store.next_generation(&settings.name).await?),
    };
    let node = NodeId::new(settings.name.as_str(), generation);
    let sent = BootTime::now();
    // Before the view: from here on no renewal of an older life succeeds.
    if !store.renew_lease(&settings.name, generation, 0).await? {
        return Err(MembershipError::Superseded(node));
    }
    let rows = store.read_cluster().await?;
    let view = parse(&rows, &settings.cluster)?;
    if view.cluster != settings.cluster {
        return Err(MembershipError::OtherCluster { configured: settings.cluster.clone(), found: view.cluster });
    }
    if view.member(&node).is_some() {
        // An earlier attempt has succeeded without our knowing.
        return Ok(Some(Entered { node, view, sent }));
    }
    if view.version > 0 && view.feature_level > settings.feature_level {
        let (required, supported) = (view.feature_level, settings.feature_level);
        return Err(MembershipError::TooOld { required, supported });
    }
    // The row goes on counting over all lives of a name.
    let own = rows.leases.iter().find(|row| row.node == settings.name && row.generation == generation);
    let older_beat = own.map_or(0, |row| row.beat.saturating_sub(1));
    let Some(joined) = view.join(&settings.member(&node), older_beat) else {
        return Err(MembershipError::Superseded(node));
    };
    let swapped = store.swap_view(view.version, &joined.to_json()).await?;
    Ok(swapped.then_some(Entered { node, view: joined, sent }))
}

/// The view in the database; an empty one when there is none yet.
pub(super) fn parse(rows: &ClusterRows, cluster: &str) -> Result<View, MembershipError> {
    if rows.view_version == 0 {
        return Ok(View::empty(cluster));
    }
    let view = View::from_json(&rows.view).map_err(|error| MembershipError::Unreadable(error.to_string()))?;
    if view.version == rows.view_version {
        Ok(view)
    } else {
        let reason = format!("row has version {}, its document {}", rows.view_version, view.version);
        Err(MembershipError::Unreadable(reason))
    }
}
