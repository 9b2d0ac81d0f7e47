//! A process of `nakku node` with every role, on free ports of the loopback.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::process::{Child, Command};

use crate::error::BenchError;
use crate::node::Folder;

use super::client::Client;

/// How long it may take to start.
const START_PATIENCE: Duration = Duration::from_secs(60);
/// The token of its admin API.
pub const ADMIN_TOKEN: &str = "bench-admin-token-0123456789abcdef0123456789";
/// Each shard of a node has an equal share of it, and what is loaded may be in the shards of one service alone.
const LOADED_MAX: &str = "1000000";
/// What its cluster's nodes know each other by.
pub const COOKIE: &str = "bench-cookie-0123456789abcdef0123456789";
/// Longer than any scenario lasts.
const NEVER_MS: &str = "86400000";
/// The services that have ports of their own.
const SERVICES: [&str; 10] =
    ["user", "product", "inventory", "order", "cart", "payment", "delivery", "notification", "location", "analytics"];

/// See the module. Dropped, it is killed.
#[derive(Debug)]
pub struct Server {
    /// Its API.
    pub api: SocketAddr,
    /// Its admin API.
    pub admin: SocketAddr,
    links: SocketAddr,
    child: Child,
    _data: Folder,
}

impl Server {
    /// Starts one on a database server and waits until it serves.
    ///
    /// # Errors
    /// When it does not.
    pub async fn start(executable: &Path, database_url: &str) -> Result<Self, BenchError> {
        Self::launch(executable, database_url, "bench", &[]).await
    }

    /// Starts one with these roles in the cluster of another.
    ///
    /// # Errors
    /// When it does not serve.
    pub async fn join(executable: &Path, database_url: &str, other: &Self, roles: &str) -> Result<Self, BenchError> {
        let seed = other.links.to_string();
        let settings = [("NAKKU_NODE_ROLES", roles), ("NAKKU_NODE_SEED", &seed)];
        Self::launch(executable, database_url, &format!("bench-{roles}"), &settings).await
    }

    /// Starts one of several nodes that have every role, from whose memory nothing goes by itself. The first has no
    /// other to join.
    ///
    /// # Errors
    /// When it does not serve.
    pub async fn member(
        executable: &Path,
        database_url: &str,
        other: Option<&Self>,
        name: &str,
    ) -> Result<Self, BenchError> {
        let seed = other.map(|other| other.links.to_string());
        let mut settings = vec![("NAKKU_ENTITIES_IDLE_MS", NEVER_MS), ("NAKKU_ENTITIES_LOADED_MAX", LOADED_MAX)];
        settings.extend(seed.as_deref().map(|seed| ("NAKKU_NODE_SEED", seed)));
        Self::launch(executable, database_url, name, &settings).await
    }

    async fn launch(
        executable: &Path,
        database_url: &str,
        name: &str,
        settings: &[(&str, &str)],
    ) -> Result<Self, BenchError> {
        let data = Folder::new()?;
        let [api, admin, links] = free_addresses()?;
        let mut command = Command::new(executable);
        command
            .arg("node")
            .current_dir(data.path())
            .env("NAKKU_NODE_NAME", name)
            .env("NAKKU_NODE_DATA", data.path())
            .env("NAKKU_DATABASES_DEFAULT", database_url)
            .env("NAKKU_LISTEN_GATEWAY", api.to_string())
            .env("NAKKU_LISTEN_ADMIN", admin.to_string())
            .env("NAKKU_LISTEN_LINKS", links.to_string())
            .env("NAKKU_LINKS_TLS", "off")
            .env("NAKKU_SERVICE_PORTS_HOST", "127.0.0.1")
            .env("NAKKU_CLUSTER_COOKIE", COOKIE)
            .env("NAKKU_AUTH_JWT_SECRET", "bench-jwt-secret-0123456789abcdef0123456789")
            .env("NAKKU_AUTH_ADMIN_TOKEN", ADMIN_TOKEN)
            .env("NAKKU_PAYMENT_SIMULATED_CARD", "true")
            // Every client here has the same address.
            .env("NAKKU_LIMITS_ENABLED", "false")
            .env("NAKKU_LOG_LEVEL", "warn")
            .envs(settings.iter().copied());
        for service in SERVICES {
            command.env(format!("NAKKU_SERVICE_PORTS_{}", service.to_uppercase()), "0");
        }
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true).spawn()?;
        let mut server = Self { api, admin, links, child, _data: data };
        server.ready().await?;
        Ok(server)
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id().unwrap_or(0)
    }

    async fn ready(&mut self) -> Result<(), BenchError> {
        let what = "starting nakku node";
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Err(BenchError::failed(what, format!("it ended ({status}); see above")));
            }
            let ready = Client::new(self.api).send("GET", "/ready", "", "").await;
            if ready.is_ok_and(|answer| answer.status == 200) {
                return Ok(());
            }
            if began.elapsed() > START_PATIENCE {
                return Err(BenchError::failed(what, format!("not ready after {} s", START_PATIENCE.as_secs())));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// All are held until each is chosen, so that none is chosen twice.
fn free_addresses<const N: usize>() -> Result<[SocketAddr; N], BenchError> {
    let mut addresses = [SocketAddr::from((Ipv4Addr::LOCALHOST, 0)); N];
    let mut held = Vec::with_capacity(N);
    for address in &mut addresses {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        *address = listener.local_addr()?;
        held.push(listener);
    }
    Ok(addresses)
}
