//! What every request handler shares.

use std::sync::Arc;

use nakku_cluster::Cluster;

use crate::admission::Admission;
use crate::auth::{Passwords, Tokens};
use crate::live::LiveUpdates;
use crate::rate_limit::Limits;
use crate::settings::GatewaySettings;
use crate::shared::Shared;

/// What every request handler shares.
#[derive(Debug)]
pub struct Edge {
    /// Asks entities.
    pub cluster: Cluster,
    /// As given.
    pub settings: GatewaySettings,
    /// Requests in progress.
    pub admission: Arc<Admission>,
    /// Signs and checks access tokens.
    pub tokens: Tokens,
    /// Hashes and checks passwords.
    pub passwords: Passwords,
    /// How fast requests may come; nothing when that is not limited.
    pub limits: Option<Limits>,
    /// What this gateway shares with the others.
    pub shared: Shared,
    /// What live connections share.
    pub live: Arc<LiveUpdates>,
}

impl Edge {
    /// From settings that have been checked.
    pub fn new(cluster: Cluster, settings: GatewaySettings, shared: Shared) -> Self {
        Self {
            live: LiveUpdates::new(cluster.clone(), settings.live),
            cluster,
            admission: Admission::new(settings.in_flight_max),
            tokens: Tokens::new(&settings.jwt_secret, settings.access_token_lifetime),
            passwords: Passwords::new(settings.password_hashes_max, settings.password_hashes_waiting_max),
            limits: Limits::new(&settings.limits),
            shared,
            settings,
        }
    }

    /// Whether load balancers should send requests here.
    pub fn is_ready(&self) -> bool {
        self.cluster.is_ready() && !self.admission.is_draining()
    }
}
