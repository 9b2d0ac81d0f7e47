//! Going on with a promoted replica, for an operator who has fenced the old primary.
//!
//! What a promoted server lacks, no node may take for what it remembers; so the incarnation of every database on it
//! rises, and running nodes take their shards anew from what is there. That is refused while two servers could take
//! writes, or the new one has not applied all that it has received.

use crate::incarnation;
use crate::store::{ClusterStore, SqlStore, Standing, Store, StoreError};

/// What is promoted.
#[derive(Clone, Copy, Debug)]
pub struct Promotion<'a> {
    /// The server's name in the topology.
    pub server: &'a str,
    /// The promoted server itself.
    pub new: &'a SqlStore,
    /// The one that it takes the place of.
    pub old: &'a SqlStore,
    /// The operator has seen to it that the old one can't come back as it is, should it not answer.
    pub old_is_gone: bool,
    /// The services with a database there.
    pub services: &'a [&'static str],
    /// The cluster database, which remembers the incarnations.
    pub cluster: &'a SqlStore,
    /// It is on the promoted server too.
    pub holds_cluster: bool,
}

/// What holds from then on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promoted {
    /// Each service with the incarnation of its database.
    pub incarnations: Vec<(&'static str, u64)>,
    /// Of the view, where the cluster database was on the server as well.
    pub view_version: Option<u64>,
}

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub enum PromotionError {
    /// Both addresses lead to one server.
    #[error("{old} leads to the same server as {new} ({server}); name the old primary by an address of its own")]
    Same {
        /// The old address.
        old: String,
        /// The new address.
        new: String,
        /// What the server says of itself.
        server: String,
    },
    /// There would be two primaries.
    #[error(
        "the old primary {0} still takes writes; fence it first: lock the account of the nodes there, end their \
             sessions, set read_only"
    )]
    OldIsWritable(String),
    /// It may still take writes of others.
    #[error(
        "the old primary {location} does not answer ({cause}); when it can't come back as it is (stopped for good, \
             or cut off from every node), say so with --old-is-gone"
    )]
    OldIsSilent {
        /// Where it was.
        location: String,
        /// What happened instead.
        cause: String,
    },
    /// It is no primary yet.
    #[error(
        "{0} is read-only; when it has applied all that it received, end its replication and set read_only to OFF \
             (MySQL: super_read_only as well)"
    )]
    NewIsReadOnly(String),
    /// It is a replica still.
    #[error("{location} still receives from {of}; fence {of}, wait until all is applied, then STOP SLAVE")]
    Receives {
        /// The new server.
        location: String,
        /// From where.
        of: String,
    },
    /// Something acknowledged may be in what it has not applied.
    #[error("{location} has not applied all that it received from {of}; START SLAVE SQL_THREAD and wait")]
    NotApplied {
        /// The new server.
        location: String,
        /// From where.
        of: String,
    },
    /// A server refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Promotion<'_> {
    /// Checks that there is one primary and no other, and raises what nodes go by. Repeating it only raises further.
    ///
    /// # Errors
    /// Any [`PromotionError`]; what is wrong with the servers is said before anything has changed.
    pub async fn perform(&self) -> Result<Promoted, PromotionError> {
        self.check().await?;
        // Before the service databases: nodes that notice these look at the view as well.
        let view_version = match self.holds_cluster {
            true => Some(self.cluster.leap().await?),
            false => None,
        };
        let cluster: &dyn ClusterStore = self.cluster;
        let mut incarnations = Vec::with_capacity(self.services.len());
        for service in self.services {
            incarnations.push((*service, incarnation::raise(cluster, self.new, service, self.server).await?));
        }
        Ok(Promoted { incarnations, view_version })
    }

    async fn check(&self) -> Result<(), PromotionError> {
        let location = || self.new.location().to_owned();
        let new = self.new.standing().await?;
        match self.old.standing().await {
            Ok(old) => check_old(&old, &new, self.old.location(), self.new.location())?,
            Err(StoreError::Unavailable { .. }) if self.old_is_gone => {}
            Err(StoreError::Unavailable { location, cause }) => {
                return Err(PromotionError::OldIsSilent { location, cause });
            }
            Err(refused) => return Err(refused.into()),
        }
        match new.following {
            Some(following) if following.receives => {
                return Err(PromotionError::Receives { location: location(), of: following.of });
            }
            Some(following) if !following.has_applied_all => {
                return Err(PromotionError::NotApplied { location: location(), of: following.of });
            }
            _ => {}
        }
        if new.is_read_only { Err(PromotionError::NewIsReadOnly(location())) } else { Ok(()) }
    }
}

fn check_old(old: &Standing, new: &Standing, old_at: &str, new_at: &str) -> Result<(), PromotionError> {
    if old.server == new.server {
        let (old, new, server) = (old_at.to_owned(), new_at.to_owned(), new.server.clone());
        return Err(PromotionError::Same { old, new, server });
    }
    if old.is_read_only { Ok(()) } else { Err(PromotionError::OldIsWritable(old_at.to_owned())) }
}
