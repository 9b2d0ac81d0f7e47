//! Why a node can't be, or is no longer, a member.

use std::time::Duration;

use crate::store::StoreError;

use super::view::{NodeId, NodeIdError};

/// See the variants.
#[derive(Clone, Debug, thiserror::Error)]
pub enum MembershipError {
    /// The node's name is none.
    #[error(transparent)]
    Name(#[from] NodeIdError),
    /// Two settings contradict each other.
    #[error("membership settings: {0}")]
    Settings(&'static str),
    /// The database belongs to another cluster.
    #[error("this node belongs to the cluster {configured:?}, but the cluster database to {found:?}")]
    OtherCluster {
        /// This node's.
        configured: String,
        /// The database's.
        found: String,
    },
    /// The cluster has moved on to what this version can't do.
    #[error("the cluster is at feature level {required}, this version supports {supported}; upgrade it")]
    TooOld {
        /// The cluster's level.
        required: u16,
        /// This program's.
        supported: u16,
    },
    /// A newer life of the node has begun in the meantime.
    #[error("a newer generation of {0} has joined")]
    Superseded(NodeId),
    /// The node's life is over by the view; the process has to stop serving and begin a new one.
    #[error("{0} has been declared down")]
    DeclaredDown(NodeId),
    /// The view in the cluster database can't be read by this version.
    #[error("the view can't be read: {0}")]
    Unreadable(String),
    /// The cluster database can't be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It did not happen in time; the last thing that stood in the way.
    #[error("not done within {after:?}: {last}")]
    TimedOut {
        /// How long.
        after: Duration,
        /// What stood in the way.
        last: String,
    },
    /// The agent has stopped.
    #[error("the membership agent has stopped")]
    Stopped,
}
