//! The handle by which everything above the cluster asks entities.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;

use crate::ask::{Answered, Ask};
use crate::entity::{Entity, EntityState};
use crate::error::{AskError, Failure};
use crate::events::{Envelope, Page, Signal, Watch};
use crate::inspect::{Everywhere, Question, Report, ViewChange};
use crate::membership::NodeId;
use crate::query::{Listed, Query};
use crate::reference::{Address, Key, Kind, Ref};
use crate::status::ClusterStatus;
use crate::store::{ListedRow, StateTable};

/// Asks entities wherever they live. Cheap to clone.
#[derive(Clone)]
pub struct Cluster {
    router: Arc<dyn Router>,
}

/// What carries an ask to the owner of the target's shard.
#[async_trait]
pub trait Router: Send + Sync + 'static {
    /// Carries a command (JSON) to its target, repeating what may be repeated until the deadline.
    async fn ask(&self, target: Address, command: Vec<u8>, ask: Ask) -> Outcome;
    /// Reads a list from the stores of the kind's service, in the order of the keys.
    async fn list(&self, table: StateTable, query: &Query) -> Result<Vec<ListedRow>, Failure>;
    /// The public events of an entity behind a journal seq, in order, as last committed.
    async fn history(&self, target: &Address, after_seq: u64, limit: u32) -> Result<Vec<Envelope>, Failure>;
    /// Some of the journal of a shard, behind a row and up to another, as public events.
    async fn reread(&self, service: &str, _shard: u32, _after: u64, _until: u64) -> Result<Page, Failure> {
        Err(Failure::Unavailable { what: format!("the journal of {service}"), retry_after_ms: 1000 })
    }
    /// What this node knows of the cluster.
    async fn status(&self) -> ClusterStatus;
    /// Asks the inspector of a node, by name.
    async fn inspect(&self, node: &str, _question: Question) -> Result<Report, Failure> {
        Err(Failure::Unavailable { what: format!("the inspector of {node}"), retry_after_ms: 1000 })
    }
    /// Asks the inspector of the node that owns an entity's shard.
    async fn inspect_owner(&self, target: &Address, _question: Question) -> Result<Report, Failure> {
        Err(Failure::Unavailable { what: format!("the inspector of {target}"), retry_after_ms: 1000 })
    }
    /// Asks the inspectors of these nodes.
    async fn inspect_all(&self, _questions: Vec<(NodeId, Question)>) -> Everywhere {
        Everywhere::default()
    }
    /// All nodes that are not down.
    fn members(&self) -> Vec<NodeId> {
        Vec::new()
    }
    /// Changes where shards are to be; returns the version of the view that says so.
    async fn change_view(&self, _change: ViewChange) -> Result<u64, Failure> {
        Err(Failure::Unavailable { what: "the view".into(), retry_after_ms: 1000 })
    }
    /// Says where this node's admin API listens.
    fn tell_admin(&self, _listen: SocketAddr) {}

    /// False while this node joins or drains.
    fn is_ready(&self) -> bool;
    /// Everything that happens from now on, see [`Live`](crate::events::Live); of events those of some services, or all.
    fn live(&self, services: Option<&[&str]>) -> Watch;
    /// Tells all watchers something that is never kept.
    fn signal(&self, signal: Signal);
}

/// How an ask ended, without types.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The reply as JSON and the version that it rests on.
    Reply {
        /// JSON.
        json: Vec<u8>,
        /// Version of the state.
        entity_version: u64,
    },
    /// The rejection as JSON and the version that it rests on.
    Rejected {
        /// JSON.
        json: Vec<u8>,
        /// Version of the state.
        entity_version: u64,
    },
    /// Not asked, or not answered.
    Failed(Failure),
}

impl Outcome {
    /// How it ended, in a word.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            Self::Reply { .. } => "accepted",
            Self::Rejected { .. } => "rejected",
            Self::Failed(_) => "failed",
        }
    }
}

impl Cluster {
    /// A handle on a router.
    pub fn new(router: Arc<dyn Router>) -> Self {
        Self { router }
    }

    /// Asks one entity and waits for its answer, which is durable when it comes.
    ///
    /// # Errors
    /// The entity's rejection, or a [`Failure`].
    pub async fn ask<E: Entity>(
        &self,
        target: &Ref<E>,
        command: &E::Command,
        ask: Ask,
    ) -> Result<Answered<E::Reply>, AskError<E::Rejection>> {
        let command = serde_json::to_vec(command).map_err(invalid)?;
        match self.router.ask(target.address(), command, ask).await {
            Outcome::Reply { json, entity_version } => {
                let reply = serde_json::from_slice(&json).map_err(invalid)?;
                Ok(Answered { reply, entity_version })
            }
            Outcome::Rejected { json, entity_version } => {
                let rejection = serde_json::from_slice(&json).map_err(invalid)?;
                Err(AskError::Rejected { rejection, entity_version })
            }
            Outcome::Failed(failure) => Err(failure.into()),
        }
    }

    /// Asks an entity whose type only the caller's caller knows.
    pub async fn ask_untyped(&self, target: Address, command: Vec<u8>, ask: Ask) -> Outcome {
        self.router.ask(target, command, ask).await
    }

    /// One page of a kind's heads as last committed; not through their owners, so possibly a moment old.
    ///
    /// # Errors
    /// A [`Failure`] when the store is away or the query names no declared column.
    pub async fn list<E: Entity>(
        &self,
        query: &Query,
    ) -> Result<Vec<Listed<<E::State as EntityState>::Head>>, Failure> {
        let table = StateTable { kind: E::KIND, columns: E::State::COLUMNS };
        let rows = self.router.list(table, query).await?;
        rows.into_iter()
            .map(|row| {
                let head = serde_json::from_slice(&row.head).map_err(invalid)?;
                Ok(Listed { key: row.key, entity_version: row.version, head })
            })
            .collect()
    }

    /// One page of the keys of a kind whose type only the caller's caller knows, as last committed.
    ///
    /// # Errors
    /// A [`Failure`] when the store is away.
    pub async fn keys(&self, kind: Kind, query: &Query) -> Result<Vec<Key>, Failure> {
        let rows = self.router.list(StateTable { kind, columns: &[] }, query).await?;
        Ok(rows.into_iter().map(|row| row.key).collect())
    }

    /// The public events of an entity behind a journal seq (`sequence` of an envelope), in order; at most as
    /// many as a page has. Their `previous` is 0.
    ///
    /// # Errors
    /// A [`Failure`] when the store is away.
    pub async fn history<E: Entity>(
        &self,
        target: &Ref<E>,
        after_seq: u64,
        limit: u32,
    ) -> Result<Vec<Envelope>, Failure> {
        self.router.history(&target.address(), after_seq, limit).await
    }

    /// What this node knows of the cluster.
    pub async fn status(&self) -> ClusterStatus {
        self.router.status().await
    }

    /// Asks the inspector of a node, by its name or `name@generation`.
    ///
    /// # Errors
    /// When no such node is in the view, or it does not answer in time.
    pub async fn inspect(&self, node: &str, question: Question) -> Result<Report, Failure> {
        self.router.inspect(node, question).await
    }

    /// Asks the inspector of the node that owns an entity's shard.
    ///
    /// # Errors
    /// When nobody owns it just now, or the owner does not answer in time.
    pub async fn inspect_owner(&self, target: &Address, question: Question) -> Result<Report, Failure> {
        self.router.inspect_owner(target, question).await
    }

    /// Asks the inspectors of all nodes; those that do not answer are named.
    pub async fn inspect_everywhere(&self, question: &Question) -> Everywhere {
        self.inspect_each(|_| question.clone()).await
    }

    /// Asks each node's inspector something of its own, by the node's `name@generation`.
    pub async fn inspect_each(&self, question: impl Fn(&str) -> Question) -> Everywhere {
        let nodes = self.router.members().into_iter();
        let questions = nodes.map(|node| (node.clone(), question(&node.to_string()))).collect();
        self.router.inspect_all(questions).await
    }

    /// Changes where shards are to be; returns the version of the view that says so. They are handed over as in any
    /// planned move.
    ///
    /// # Errors
    /// When there is no such shard or node, or the cluster database is away.
    pub async fn change_view(&self, change: ViewChange) -> Result<u64, Failure> {
        self.router.change_view(change).await
    }

    /// Says where this node's admin API listens, so that those who ask any node can find it.
    pub fn tell_admin(&self, listen: SocketAddr) {
        self.router.tell_admin(listen);
    }

    /// False while this node joins or drains.
    pub fn is_ready(&self) -> bool {
        self.router.is_ready()
    }

    /// Everything that happens in the cluster from now on, on a node with the role `gateway`. A receiver that
    /// is too slow is told how much it has missed.
    pub fn live(&self) -> Watch {
        self.router.live(None)
    }

    /// The same, of events only those of some services: what nobody watches is not even sent here.
    pub fn live_of(&self, services: &[&str]) -> Watch {
        self.router.live(Some(services))
    }

    /// Tells all gateways something that is never kept, such as a rider's position. Best effort; at most 4 KiB.
    pub fn signal(&self, signal: Signal) {
        self.router.signal(signal);
    }

    /// A typed reference from a text.
    ///
    /// # Errors
    /// When the text is no key.
    pub fn reference<E: Entity>(key: &str) -> Result<Ref<E>, Failure> {
        Key::new(key).map(Ref::new).map_err(|error| Failure::Invalid { reason: error.to_string() })
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cluster")
    }
}

fn invalid(error: impl fmt::Display) -> Failure {
    Failure::Invalid { reason: error.to_string() }
}
