//! What a membership is set up with.

use std::time::Duration;

use super::error::MembershipError;
use super::view::{LEASE_MS_DEFAULT, Member, NodeId, Roles, check_name};

/// The feature level that this version of the program supports.
pub const FEATURE_LEVEL: u16 = 1;

/// See the fields.
#[derive(Clone, Debug)]
pub struct MembershipSettings {
    /// The cluster's name; a node of another name is refused.
    pub cluster: String,
    /// The node's name; its generation is given by the cluster.
    pub name: String,
    /// What it runs.
    pub roles: Roles,
    /// Where others link to it.
    pub link_address: String,
    /// Where its HTTP listener is, on gateways.
    pub http_address: Option<String>,
    /// The highest feature level that it supports.
    pub feature_level: u16,
    /// How long a renewal holds. Others declare the node down when its lease has stood still for so long
    /// and a margin.
    pub lease_ms: u64,
    /// How often the lease is renewed and the view read; a fifth more or less, at random.
    pub renew_ms: u64,
    /// How long one round with the cluster database may take.
    pub store_timeout_ms: u64,
    /// How long a join goes on trying while the cluster database is away.
    pub join_timeout_ms: u64,
    /// How long a life that is over stays in the view.
    pub forget_ms: u64,
}

impl MembershipSettings {
    /// The defaults: a lease of 2 s, renewed every 250 ms.
    pub fn new(
        cluster: impl Into<String>,
        name: impl Into<String>,
        roles: Roles,
        link_address: impl Into<String>,
    ) -> Self {
        Self {
            cluster: cluster.into(),
            name: name.into(),
            roles,
            link_address: link_address.into(),
            http_address: None,
            feature_level: FEATURE_LEVEL,
            lease_ms: LEASE_MS_DEFAULT,
            renew_ms: 250,
            store_timeout_ms: 1000,
            join_timeout_ms: 10_000,
            forget_ms: 60_000,
        }
    }

    /// Whether the values fit together.
    ///
    /// # Errors
    /// The one that does not.
    pub fn check(&self) -> Result<(), MembershipError> {
        check_name(&self.name)?;
        let rules = [
            (self.renew_ms > 0, "renew_ms must be above 0"),
            (self.lease_ms >= 3 * self.renew_ms, "lease_ms must be at least three times renew_ms"),
            (self.store_timeout_ms > 0, "store_timeout_ms must be above 0"),
            (self.store_timeout_ms <= self.lease_ms, "store_timeout_ms must not be above lease_ms"),
            (self.forget_ms >= 2 * self.lease_ms, "forget_ms must be at least twice lease_ms"),
        ];
        match rules.into_iter().find(|(holds, _)| !holds) {
            Some((_, reason)) => Err(MembershipError::Settings(reason)),
            None => Ok(()),
        }
    }

    pub(super) fn member(&self, node: &NodeId) -> Member {
        Member {
            http_address: self.http_address.clone(),
            lease_ms: self.lease_ms,
            ..Member::joining(node.clone(), self.roles.clone(), self.link_address.clone(), self.feature_level)
        }
    }

    pub(super) fn lease(&self) -> Duration {
        Duration::from_millis(self.lease_ms)
    }

    pub(super) fn store_timeout(&self) -> Duration {
        Duration::from_millis(self.store_timeout_ms)
    }
}
