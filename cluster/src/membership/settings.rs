//! What a membership is set up with.

use std::time::Duration;

use super::error::MembershipError;
use super::view::{LEASE_MS_DEFAULT, Member, NodeId, Roles, check_name};

/// The feature level that this version of the program supports.
pub const FEATURE_LEVEL: u16 = 1;
/// How often a lease is renewed unless set otherwise.
pub const RENEW_DEFAULT: Duration = Duration::from_millis(250);
/// How long a join goes on trying while the cluster database is away.
pub const JOIN_TIMEOUT: Duration = Duration::from_secs(10);
/// For how many leases a life that is over stays in the view.
const FORGET_LEASES: u32 = 30;
/// A lease must leave time for so many renewals.
const RENEWALS_MIN: u32 = 3;

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
    /// How long a renewal holds. Others declare the node down when its lease has stood still for so long
    /// and a tenth more.
    pub lease: Duration,
    /// How often the lease is renewed and the view read; a fifth more or less, at random.
    pub renew: Duration,
    /// The highest feature level that it supports.
    pub feature_level: u16,
    /// The program's version.
    pub version: String,
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
            lease: Duration::from_millis(LEASE_MS_DEFAULT),
            renew: RENEW_DEFAULT,
            feature_level: FEATURE_LEVEL,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    /// Whether the values fit together.
    ///
    /// # Errors
    /// The one that does not.
    pub fn check(&self) -> Result<(), MembershipError> {
        check_name(&self.name)?;
        if self.renew.is_zero() {
            return Err(MembershipError::Settings("the time between renewals must not be 0"));
        }
        if self.lease < self.renew * RENEWALS_MIN {
            return Err(MembershipError::Settings("a lease must be at least three times the time between renewals"));
        }
        Ok(())
    }

    /// How long one round with the cluster database may take.
    pub(super) fn store_timeout(&self) -> Duration {
        self.lease / 2
    }

    pub(super) fn forget(&self) -> Duration {
        self.lease * FORGET_LEASES
    }

    pub(super) fn member(&self, node: &NodeId) -> Member {
        Member {
            http_address: self.http_address.clone(),
            lease_ms: u64::try_from(self.lease.as_millis()).unwrap_or(u64::MAX),
            version: self.version.clone(),
            ..Member::joining(node.clone(), self.roles.clone(), self.link_address.clone(), self.feature_level)
        }
    }
}
