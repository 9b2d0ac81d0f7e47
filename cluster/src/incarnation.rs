//! The incarnations of the service databases: what each one says of itself, and what is known of it elsewhere.
//!
//! A restore from backup and a promotion may take away what was durable. Whoever does either looks at what is
//! left and then raises the database's incarnation. The cluster database, which is another one, remembers the
//! highest that any node has seen; a database with a lower one is an older copy that nobody has looked at, and
//! no node serves it.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures::future::join_all;
use tokio::task::JoinHandle;

use crate::node::NodeError;
use crate::store::{ClusterStore, Store, StoreError};

/// How often a running node looks whether a database is still the one that it was.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How soon it looks again while a database does not answer: what comes back may be a copy.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// What a node knows of the databases that it uses.
pub struct Incarnations {
    /// By service and server.
    databases: HashMap<&'static str, HashMap<String, Known>>,
    cluster: Arc<dyn ClusterStore>,
}

struct Known {
    store: Arc<dyn Store>,
    incarnation: AtomicU64,
    /// It has been seen with a lower one.
    refused: AtomicBool,
}

impl Incarnations {
    /// Reads the incarnation of every database (service and server's name) and has it remembered.
    ///
    /// # Errors
    /// [`NodeError::Incarnation`] when a higher one is known; [`NodeError::Store`] when a database is away.
    pub async fn agree(
        cluster: Arc<dyn ClusterStore>,
        databases: impl IntoIterator<Item = ((&'static str, String), Arc<dyn Store>)>,
    ) -> Result<Self, NodeError> {
        let mut agreed: HashMap<&'static str, HashMap<String, Known>> = HashMap::new();
        for ((service, server), store) in databases {
            let found = store.incarnation(service).await?;
            let known = cluster.remember_incarnation(service, &server, found).await?;
            if found < known {
                let location = store.location().to_owned();
                return Err(NodeError::Incarnation { service, server, location, found, known });
            }
            let known = Known { store, incarnation: AtomicU64::new(found), refused: AtomicBool::new(false) };
            agreed.entry(service).or_default().insert(server, known);
        }
        Ok(Self { databases: agreed, cluster })
    }

    /// The database that remembers them.
    pub(crate) fn cluster(&self) -> &dyn ClusterStore {
        self.cluster.as_ref()
    }

    /// The highest known one; 0 for a database that this node does not use.
    pub fn of(&self, service: &str, server: &str) -> u64 {
        self.known(service, server).map_or(0, |known| known.incarnation.load(Ordering::Acquire))
    }

    /// Whether the database was last seen with a lower one, and must not be served.
    pub fn is_refused(&self, service: &str, server: &str) -> bool {
        self.known(service, server).is_some_and(|known| known.refused.load(Ordering::Acquire))
    }

    /// Whether one of a service's databases is refused.
    pub fn is_any_refused(&self, service: &str) -> bool {
        self.names().any(|(name, server)| name == service && self.is_refused(name, server))
    }

    /// Services that are refused on a server.
    pub fn refused_on(&self, server: &str) -> Vec<&'static str> {
        let mut refused: Vec<_> =
            self.names().filter(|(service, name)| *name == server && self.is_refused(service, name)).collect();
        refused.sort_unstable();
        refused.into_iter().map(|(service, _)| service).collect()
    }

    /// The incarnation of each service's database on a server.
    pub fn on(&self, server: &str) -> BTreeMap<String, u64> {
        let there = self.names().filter(|(_, name)| *name == server);
        there.map(|(service, name)| (service.to_owned(), self.of(service, name))).collect()
    }

    /// Looks now. Whether the database may be served.
    ///
    /// # Errors
    /// When it does not answer; then nothing has changed.
    pub async fn look(&self, service: &str, server: &str) -> Result<bool, StoreError> {
        let Some(known) = self.known(service, server) else { return Ok(false) };
        let found = known.store.incarnation(service).await?;
        let highest = known.incarnation.fetch_max(found, Ordering::AcqRel);
        let location = known.store.location();
        if found > highest {
            tracing::warn!(service, server, location, found, "the database's incarnation was raised");
            known.store.renew_sessions();
            // The next node that starts would remember it too.
            if let Err(error) = self.cluster.remember_incarnation(service, server, found).await {
                tracing::warn!(service, server, %error, "a raised incarnation could not be remembered");
            }
        }
        let refused = found < highest;
        if known.refused.swap(refused, Ordering::AcqRel) != refused {
            if refused {
                tracing::error!(
                    service,
                    server,
                    location,
                    found,
                    known = highest,
                    "an older copy of the database was put in place; its shards are halted"
                );
            } else {
                tracing::info!(service, server, location, found, "the database is served again");
            }
        }
        Ok(!refused)
    }

    fn known(&self, service: &str, server: &str) -> Option<&Known> {
        self.databases.get(service)?.get(server)
    }

    fn names(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.databases.iter().flat_map(|(service, servers)| servers.keys().map(|server| (*service, server.as_str())))
    }

    /// Looks at all of them, again and again.
    pub(crate) fn watch(self: Arc<Self>) -> JoinHandle<()> {
        tokio::spawn(async move {
            loop {
                let looks = join_all(self.names().map(|(service, server)| self.look(service, server))).await;
                // What is away shows in the status, and in every commit that fails.
                let all_answered = looks.iter().all(Result::is_ok);
                tokio::time::sleep(if all_answered { LOOK_EVERY } else { LOOK_AGAIN }).await;
            }
        })
    }
}

/// Raises the incarnation of a service's database above what it has and what is known of it, for an operator
/// who has looked at a restored or promoted copy. Returns the new one.
///
/// # Errors
/// When one of the databases is away. Repeating it only raises further.
pub async fn raise(
    cluster: &dyn ClusterStore,
    store: &dyn Store,
    service: &str,
    server: &str,
) -> Result<u64, StoreError> {
    let known = cluster.remember_incarnation(service, server, 0).await?;
    let raised = store.raise_incarnation(service, known).await?;
    cluster.remember_incarnation(service, server, raised).await?;
    Ok(raised)
}

impl fmt::Debug for Incarnations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.names().map(|(service, server)| ((service, server), self.of(service, server))))
            .finish()
    }
}
