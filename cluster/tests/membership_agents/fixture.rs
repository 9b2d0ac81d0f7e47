//! Several nodes in one process on one cluster database whose calls can be made to fail.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use nakku_cluster::membership::{Membership, MembershipError, MembershipSettings, Roles, View};
use nakku_cluster::store::{self, ClusterRows, ClusterStore, StoreError};

pub const LEASE: Duration = Duration::from_millis(1000);
pub const RENEW: Duration = Duration::from_millis(100);
/// Five times what the slowest step (a lease with its margin) takes.
pub const DEADLINE: Duration = Duration::from_millis(5 * 1100);
pub const CLUSTER: &str = "test";
pub const SERVICE: &str = "order";

/// A cluster database in a folder of its own, which goes with it.
pub struct Database {
    folder: PathBuf,
    /// Cuts off everybody.
    pub outage: Arc<AtomicBool>,
    store: Arc<dyn ClusterStore>,
}

impl Database {
    pub async fn new() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("nakku-membership-{}-{number}", std::process::id()));
        let url = format!("sqlite://{}", folder.join("cluster.db").display());
        let store = store::open(&url).await.expect("a store");
        store.migrate_cluster().await.expect("tables");
        Self { folder, outage: Arc::default(), store }
    }

    /// The database as one node reaches it.
    pub fn reached(&self) -> Arc<Reached> {
        Arc::new(Reached {
            store: Arc::clone(&self.store),
            outage: Arc::clone(&self.outage),
            cut: AtomicBool::default(),
            under_way: Arc::default(),
        })
    }

    /// A node that joins; not yet up.
    pub async fn join(&self, name: &str) -> Membership {
        Membership::join(self.reached(), settings(name)).await.expect("joined")
    }

    /// A node that is up and acknowledges every view as soon as it sees it.
    pub async fn up(&self, name: &str) -> Membership {
        let membership = self.join(name).await;
        acknowledge_always(&membership);
        membership.set_up().await.expect("up");
        membership
    }

    pub async fn rows(&self) -> ClusterRows {
        self.store.read_cluster().await.expect("rows")
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

pub fn settings(name: &str) -> MembershipSettings {
    let mut settings = MembershipSettings::new(CLUSTER, name, Roles::new([SERVICE]), "127.0.0.1:7946");
    settings.lease = LEASE;
    settings.renew = RENEW;
    settings
}

/// Does what a runtime without shards would do.
pub fn acknowledge_always(membership: &Membership) {
    let membership = membership.clone();
    tokio::spawn(async move {
        let mut views = membership.view();
        loop {
            let version = views.borrow_and_update().version;
            membership.acknowledge(version).await;
            if views.changed().await.is_err() {
                return;
            }
        }
    });
}

/// One node's way to the database.
pub struct Reached {
    store: Arc<dyn ClusterStore>,
    outage: Arc<AtomicBool>,
    /// Cuts off this node.
    pub cut: AtomicBool,
    /// What was asked and not yet answered. Each holds one.
    under_way: Arc<()>,
}

impl Reached {
    /// Whether nothing is asked just now, so that the node can stand still without a transaction that is open: there
    /// is one writer of the file.
    pub fn is_idle(&self) -> bool {
        Arc::strong_count(&self.under_way) == 1
    }

    fn check(&self) -> Result<Arc<()>, StoreError> {
        if self.cut.load(Ordering::SeqCst) || self.outage.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable { location: "test".to_owned(), cause: "cut on purpose".to_owned() });
        }
        Ok(Arc::clone(&self.under_way))
    }
}

#[async_trait]
impl ClusterStore for Reached {
    async fn migrate_cluster(&self) -> Result<(), StoreError> {
        let _under_way = self.check()?;
        self.store.migrate_cluster().await
    }

    async fn found(&self, topology: &[u8]) -> Result<Vec<u8>, StoreError> {
        let _under_way = self.check()?;
        self.store.found(topology).await
    }

    async fn next_generation(&self, node: &str) -> Result<u64, StoreError> {
        let _under_way = self.check()?;
        self.store.next_generation(node).await
    }

    async fn read_cluster(&self) -> Result<ClusterRows, StoreError> {
        let _under_way = self.check()?;
        self.store.read_cluster().await
    }

    async fn swap_view(&self, expected: u64, view: &[u8]) -> Result<bool, StoreError> {
        let _under_way = self.check()?;
        self.store.swap_view(expected, view).await
    }

    async fn renew_lease(&self, node: &str, generation: u64, acknowledged_version: u64) -> Result<bool, StoreError> {
        let _under_way = self.check()?;
        self.store.renew_lease(node, generation, acknowledged_version).await
    }

    async fn remove_lease(&self, node: &str, generation: u64) -> Result<(), StoreError> {
        let _under_way = self.check()?;
        self.store.remove_lease(node, generation).await
    }

    async fn remember_incarnation(&self, service: &str, server: &str, incarnation: u64) -> Result<u64, StoreError> {
        let _under_way = self.check()?;
        self.store.remember_incarnation(service, server, incarnation).await
    }
}

/// Waits for a condition; fails with what it waited for. Returns how long it took.
pub async fn eventually(what: impl fmt::Display, mut holds: impl FnMut() -> bool) -> Duration {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < DEADLINE, "not within {DEADLINE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    began.elapsed()
}

/// Waits until a node sees a view of this kind, and returns that view.
pub async fn sees(membership: &Membership, what: &str, holds: impl Fn(&View) -> bool) -> Arc<View> {
    let mut views = membership.view();
    let found = tokio::time::timeout(DEADLINE, views.wait_for(|view| holds(view))).await;
    let view = found.unwrap_or_else(|_| panic!("{} does not see within {DEADLINE:?}: {what}", membership.node()));
    Arc::clone(&view.expect("the agent holds the sender"))
}

pub fn is_declared_down(error: &MembershipError) -> bool {
    matches!(error, MembershipError::DeclaredDown(_) | MembershipError::Stopped)
}
