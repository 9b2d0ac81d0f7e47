//! The settings as types. Meanings, defaults and bounds stand in [`super::table`]; a field missing here or
//! there fails the first start and a test.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde::Deserialize;

use super::table::{ALL_ROLES, ROLES};
use super::value::with_password;

/// All settings.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// This node.
    pub node: Node,
    /// What all nodes share.
    pub cluster: Cluster,
    /// Where state is kept.
    pub databases: Databases,
    /// What this node listens on.
    pub listen: Listen,
    /// Where the services' health and metrics are.
    pub service_ports: ServicePorts,
    /// The connections between nodes.
    pub links: Links,
    /// How many entities stay in memory.
    pub entities: Entities,
    /// How commits are made.
    pub journal: Journal,
    /// Where events go.
    pub kafka: Kafka,
    /// Limits of the API.
    pub http: Http,
    /// How fast requests may come.
    pub limits: Limits,
    /// Where gateways keep what they share.
    pub redis: Redis,
    /// What gateways keep for a short time.
    pub cache: Cache,
    /// Limits of live updates.
    pub live: Live,
    /// Tokens.
    pub auth: Auth,
    /// The admin listener.
    pub admin: Admin,
    /// Payments.
    pub payment: Payment,
    pub notification: Notification,
    /// Events that are sent to integrators.
    pub webhooks: Webhooks,
    /// Logs.
    pub log: Log,
    /// Traces.
    pub telemetry: Telemetry,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    pub name: String,
    pub roles: Vec<String>,
    pub data: String,
    pub seed: Vec<String>,
    pub drain_ms: u64,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cluster {
    pub name: String,
    pub cookie: String,
    pub shards: u32,
    pub lease_ms: u64,
    pub renew_ms: u64,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Databases {
    pub cluster: Vec<String>,
    pub default: Vec<String>,
    pub user: Vec<String>,
    pub product: Vec<String>,
    pub inventory: Vec<String>,
    pub order: Vec<String>,
    pub cart: Vec<String>,
    pub payment: Vec<String>,
    pub delivery: Vec<String>,
    pub notification: Vec<String>,
    pub location: Vec<String>,
    pub analytics: Vec<String>,
    pub patience_ms: u64,
    pub password: String,
    pub replicas: Vec<String>,
    pub user_replicas: Vec<String>,
    pub product_replicas: Vec<String>,
    pub inventory_replicas: Vec<String>,
    pub order_replicas: Vec<String>,
    pub cart_replicas: Vec<String>,
    pub payment_replicas: Vec<String>,
    pub delivery_replicas: Vec<String>,
    pub notification_replicas: Vec<String>,
    pub location_replicas: Vec<String>,
    pub analytics_replicas: Vec<String>,
    pub replica_staleness_ms: u64,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listen {
    pub gateway: SocketAddr,
    pub links: SocketAddr,
    pub admin: SocketAddr,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServicePorts {
    pub host: IpAddr,
    pub user: u16,
    pub product: u16,
    pub inventory: u16,
    pub order: u16,
    pub cart: u16,
    pub payment: u16,
    pub delivery: u16,
    pub notification: u16,
    pub location: u16,
    pub analytics: u16,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Links {
    pub advertise: String,
    pub tls: Tls,
    pub tls_cert: String,
    pub tls_key: String,
    pub tls_ca: String,
    pub credit_messages: u32,
    pub credit_bytes: u64,
}

/// How links are protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tls {
    /// Both sides show certificates.
    Mutual,
    /// Not at all.
    Off,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entities {
    pub idle_ms: u64,
    pub loaded_max: u32,
    pub mailbox_max: u32,
    pub in_flight_max: usize,
    pub held_max: usize,
    pub effects_max: usize,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Journal {
    pub lanes: usize,
    pub batch_max: usize,
    pub queue_max: usize,
    pub keep_rows: u64,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kafka {
    pub brokers: Vec<String>,
    pub security: KafkaSecurity,
    pub mechanism: KafkaMechanism,
    pub username: String,
    pub password: String,
    pub ca: String,
    pub topic_prefix: String,
    pub partitions: u16,
    pub replication: u16,
    pub retention_ms: u64,
    pub create_topics: bool,
}

/// How connections to brokers are protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KafkaSecurity {
    /// Not at all.
    Plaintext,
    /// TLS.
    Ssl,
    /// User and password.
    SaslPlaintext,
    /// User and password over TLS.
    SaslSsl,
}

/// How user and password are shown to brokers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum KafkaMechanism {
    /// As they are.
    #[serde(rename = "PLAIN")]
    Plain,
    /// RFC 5802 with SHA-256.
    #[serde(rename = "SCRAM-SHA-256")]
    ScramSha256,
    /// RFC 5802 with SHA-512.
    #[serde(rename = "SCRAM-SHA-512")]
    ScramSha512,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Http {
    pub body_bytes_max: usize,
    pub request_timeout_ms: u64,
    pub ask_timeout_ms: u64,
    pub header_timeout_ms: u64,
    pub in_flight_max: usize,
    pub connections_max: usize,
    pub drain_notice_ms: u64,
    pub trusted_proxies: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    pub enabled: bool,
    pub per_user_per_s: u32,
    pub per_user_burst: u32,
    pub per_address_per_s: u32,
    pub per_address_burst: u32,
    pub log_ins_per_address_per_min: u32,
    pub log_ins_per_address_burst: u32,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redis {
    pub url: Vec<String>,
    pub password: String,
    pub tls_ca: String,
    pub deadline_ms: u64,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cache {
    pub page_ttl_ms: u64,
    pub pages_bytes_max: usize,
    pub position_ttl_s: u64,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Live {
    pub connections_max: usize,
    pub queue_max: usize,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    pub jwt_secret: String,
    pub access_token_s: u64,
    pub refresh_token_s: u64,
    pub session_ttl_ms: u64,
    pub admin_token: String,
    pub password_hashes_max: usize,
    pub password_hashes_waiting_max: usize,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Admin {
    pub hosts: Vec<String>,
    pub behind_tls: bool,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Payment {
    pub simulated_card: bool,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notification {
    pub smtp_url: String,
    pub mail_from: String,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhooks {
    pub enabled: bool,
    pub allow_private_addresses: bool,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    pub format: LogFormat,
    pub level: String,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Telemetry {
    pub otlp_endpoint: String,
}

impl Databases {
    /// Every list of addresses with its setting.
    pub fn lists(&mut self) -> [(&'static str, &mut Vec<String>); 23] {
        [
            ("databases.cluster", &mut self.cluster),
            ("databases.default", &mut self.default),
            ("databases.user", &mut self.user),
            ("databases.product", &mut self.product),
            ("databases.inventory", &mut self.inventory),
            ("databases.order", &mut self.order),
            ("databases.cart", &mut self.cart),
            ("databases.payment", &mut self.payment),
            ("databases.delivery", &mut self.delivery),
            ("databases.notification", &mut self.notification),
            ("databases.location", &mut self.location),
            ("databases.analytics", &mut self.analytics),
            ("databases.replicas", &mut self.replicas),
            ("databases.user_replicas", &mut self.user_replicas),
            ("databases.product_replicas", &mut self.product_replicas),
            ("databases.inventory_replicas", &mut self.inventory_replicas),
            ("databases.order_replicas", &mut self.order_replicas),
            ("databases.cart_replicas", &mut self.cart_replicas),
            ("databases.payment_replicas", &mut self.payment_replicas),
            ("databases.delivery_replicas", &mut self.delivery_replicas),
            ("databases.notification_replicas", &mut self.notification_replicas),
            ("databases.location_replicas", &mut self.location_replicas),
            ("databases.analytics_replicas", &mut self.analytics_replicas),
        ]
    }

    /// Gives the common password to addresses that have none.
    pub fn set_passwords(&mut self) {
        let password = self.password.clone();
        if !password.is_empty() {
            let urls = self.lists().into_iter().flat_map(|(_, urls)| urls);
            urls.for_each(|url| *url = with_password(url, &password));
        }
    }
}

impl Settings {
    /// This node's name; the machine's when none is set.
    pub fn node_name(&self) -> String {
        if self.node.name.is_empty() { machine_name() } else { self.node.name.clone() }
    }

    /// Servers of all services that have no own ones, in the order in which shards are spread over them.
    pub fn default_databases(&self) -> Vec<String> {
        let all = &self.databases.default;
        if all.is_empty() { vec![self.embedded_database()] } else { all.clone() }
    }

    /// Servers of a service's own, in the order in which its shards are spread over them; usually none.
    pub fn own_databases(&self, service: &str) -> &[String] {
        let all = &self.databases;
        match service {
            "user" => &all.user,
            "product" => &all.product,
            "inventory" => &all.inventory,
            "order" => &all.order,
            "cart" => &all.cart,
            "payment" => &all.payment,
            "delivery" => &all.delivery,
            "notification" => &all.notification,
            "location" => &all.location,
            "analytics" => &all.analytics,
            _ => &[],
        }
    }

    /// Server of the cluster database.
    pub fn cluster_database(&self) -> String {
        let mut known = self.databases.cluster.iter().chain(&self.databases.default);
        known.next().cloned().unwrap_or_else(|| self.embedded_database())
    }

    /// Replicas of a service's own servers.
    pub fn own_replicas(&self, service: &str) -> &[String] {
        let all = &self.databases;
        match service {
            "user" => &all.user_replicas,
            "product" => &all.product_replicas,
            "inventory" => &all.inventory_replicas,
            "order" => &all.order_replicas,
            "cart" => &all.cart_replicas,
            "payment" => &all.payment_replicas,
            "delivery" => &all.delivery_replicas,
            "notification" => &all.notification_replicas,
            "location" => &all.location_replicas,
            "analytics" => &all.analytics_replicas,
            _ => &[],
        }
    }

    /// Port of a service's health and metrics.
    pub fn service_port(&self, service: &str) -> Option<u16> {
        let all = &self.service_ports;
        Some(match service {
            "user" => all.user,
            "product" => all.product,
            "inventory" => all.inventory,
            "order" => all.order,
            "cart" => all.cart,
            "payment" => all.payment,
            "delivery" => all.delivery,
            "notification" => all.notification,
            "location" => all.location,
            "analytics" => all.analytics,
            _ => return None,
        })
    }

    /// Under which address the others reach this node's links, where it is not the one that it listens on.
    pub fn advertised(&self) -> Option<String> {
        let listen = self.listen.links;
        let everywhere = listen.ip().is_unspecified().then(|| format!("{}:{}", machine_name(), listen.port()));
        if self.links.advertise.is_empty() { everywhere } else { Some(self.links.advertise.clone()) }
    }

    /// What this node runs, by name.
    pub fn roles(&self) -> Vec<&str> {
        ROLES.iter().copied().filter(|role| *role != ALL_ROLES && self.has_role(role)).collect()
    }

    /// Whether this node runs a role.
    pub fn has_role(&self, role: &str) -> bool {
        self.node.roles.iter().any(|own| own == role || own == ALL_ROLES)
    }

    /// How long a drain may take.
    pub fn drain(&self) -> Duration {
        Duration::from_millis(self.node.drain_ms)
    }

    /// The file of the embedded database.
    fn embedded_database(&self) -> String {
        let file = std::path::Path::new(&self.node.data).join("nakku.db");
        format!("sqlite:{}", file.display())
    }
}

/// The machine's own name, or one that says that it has none.
fn machine_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map(|name| name.trim().to_owned())
        .ok()
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "localhost".to_owned())
}
