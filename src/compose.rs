//! The composition root: services, providers and listeners put together as the settings say.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nakku_actors::notification::mailer::{LogMailer, NoMailer};
use nakku_cluster::events::kafka::{KafkaSecurity, KafkaSettings, SaslMechanism};
use nakku_cluster::journal::JournalSettings;
use nakku_cluster::link::{LinkCredits, TlsFiles};
use nakku_cluster::membership::{MembershipError, Roles};
use nakku_cluster::node::{Node, NodeError, NodeSettings};
use nakku_cluster::outage::Outage;
use nakku_cluster::runtime::RuntimeSettings;
use nakku_cluster::store::{self, ClusterStore, Store, StoreError};
use nakku_cluster::topology::{ServiceTopology, Topology};
use nakku_cluster::{Cluster, Provider, Service};
use nakku_gateway::client_address;
use nakku_gateway::settings::{
    AdminSettings, GatewaySettings, LimitSettings, LiveSettings, RedisSettings, Secret, ServicePortSettings,
    SharedSettings, WebhookSettings,
};
use nakku_gateway::{Admin, Gateway, ServicePorts};

use crate::cli::outcome::Wrong;
use crate::mail::SmtpMailer;
use crate::node::start_again;
use crate::settings::Settings;
use crate::settings::tree::{self, Tls};
use crate::webhooks::HttpSender;

/// A node with everything that it listens on.
#[derive(Debug)]
pub struct Running {
    node: Node,
    gateway: Option<Gateway>,
    admin: Admin,
    ports: ServicePorts,
}

/// Starts a node and its listeners.
///
/// # Errors
/// What could not be started, and what to do.
pub async fn start(settings: &Settings) -> Result<Running, Wrong> {
    let services = services(settings);
    await_databases(settings, &services).await?;
    if !settings.node.seed.is_empty() {
        await_cluster(settings).await?;
    }
    let node = Node::start(node_settings(settings, &services), services.clone(), providers(settings)?)
        .await
        .map_err(not_started)?;
    let cluster = node.cluster();
    let admin = nakku_gateway::start_admin(cluster.clone(), admin_settings(settings)).await.map_err(Wrong::failed)?;
    let ports = nakku_gateway::start_service_ports(cluster.clone(), port_settings(settings, &services))
        .await
        .map_err(Wrong::failed)?;
    let gateway = match settings.has_role("gateway") {
        true => Some(nakku_gateway::start(cluster, gateway_settings(settings)).await.map_err(Wrong::failed)?),
        false => None,
    };
    Ok(Running { node, gateway, admin, ports })
}

impl Running {
    /// The handle on the cluster.
    pub fn cluster(&self) -> Cluster {
        self.node.cluster()
    }

    /// Base URL of the API; empty on a node without a gateway.
    pub fn api(&self) -> String {
        self.gateway.as_ref().map(|gateway| base_url(gateway.local_address())).unwrap_or_default()
    }

    /// Base URL of the admin API.
    pub fn admin(&self) -> String {
        base_url(self.admin.local_address())
    }

    /// Where the other nodes connect.
    pub fn links(&self) -> String {
        self.node.link_address().to_string()
    }

    /// Returns when the others have declared this node down.
    pub async fn declared_down(&self) {
        self.node.declared_down().await;
    }

    /// Takes no further requests, finishes those in flight, hands the shards over and leaves the cluster.
    pub async fn drain(self, limit: Duration) {
        let started = Instant::now();
        let left = || limit.saturating_sub(started.elapsed());
        self.node.set_draining();
        if let Some(gateway) = &self.gateway {
            let cut = gateway.drain(left()).await;
            if cut > 0 {
                tracing::warn!(connections = cut, "cut connections that did not end in time");
            }
        }
        match tokio::time::timeout(left().max(DRAIN_MIN), self.node.drain()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(%error, "could not leave the cluster; the others will notice by the lease")
            }
            Err(_) => tracing::warn!("the shards were not handed over in time; the others will notice by the lease"),
        }
        // Last, so that probes and operators could see the drain.
        tokio::join!(self.admin.drain(Duration::ZERO), self.ports.drain(Duration::ZERO));
    }
}

/// However long the gateway took, the shards get this long to be handed over.
const DRAIN_MIN: Duration = Duration::from_secs(2);

/// On a busy machine the others may declare a node down before it has started; it is another one then, as later.
fn not_started(error: NodeError) -> Wrong {
    match error {
        NodeError::Membership(MembershipError::DeclaredDown(_)) => start_again(),
        other => Wrong::failed(other),
    }
}

/// Machines and containers that start together come up in any order, and a database takes its time. What a server
/// refuses (a wrong password, say) no waiting cures, and is told at once.
async fn await_databases(settings: &Settings, services: &[Service]) -> Result<(), Wrong> {
    let own = services.iter().filter(|service| settings.has_role(service.name));
    let own = own.flat_map(|service| match settings.own_databases(service.name) {
        [] => settings.default_databases(),
        all => all.to_vec(),
    });
    let wanted: BTreeSet<String> = own.chain([settings.cluster_database()]).collect();
    let patience = Duration::from_millis(settings.databases.patience_ms);
    let started = Instant::now();
    for url in wanted {
        let store = store::open(&url).await.map_err(Wrong::failed)?;
        let outage = Outage::default();
        while let Err(error) = store.ping().await {
            if !matches!(error, StoreError::Unavailable { .. }) {
                return Err(Wrong::failed(error));
            }
            if started.elapsed() >= patience {
                return Err(Wrong::Failed(format!(
                    "{error} (waited {} ms); check the address under databases, and that the server runs",
                    patience.as_millis()
                )));
            }
            if let Some(told) = outage.failed() {
                let patience_ms = settings.databases.patience_ms;
                tracing::warn!(%error, lasted_ms = told.lasted_ms, patience_ms, "waiting for a database");
            }
            tokio::time::sleep(DATABASE_LOOK_EVERY).await;
        }
    }
    Ok(())
}

const DATABASE_LOOK_EVERY: Duration = Duration::from_millis(250);

/// A node with a seed joins; it must not found a cluster because its cluster database is a wrong one. Which members
/// there are stands in that database, so the seed itself is not asked and may be dead.
async fn await_cluster(settings: &Settings) -> Result<(), Wrong> {
    let store = store::open(&settings.cluster_database()).await.map_err(Wrong::failed)?;
    let started = Instant::now();
    loop {
        store.migrate_cluster().await.map_err(Wrong::failed)?;
        if store.read_cluster().await.map_err(Wrong::failed)?.view_version > 0 {
            return Ok(());
        }
        if started.elapsed() > FOUND_PATIENCE {
            return Err(Wrong::Failed(format!(
                "{} holds no cluster to join; set databases.cluster as at the seed ({}), or leave out --seed to found one",
                store.location(),
                settings.node.seed.join(", ")
            )));
        }
        tokio::time::sleep(FOUND_LOOK_EVERY).await;
    }
}

/// The seed may be about to found the cluster.
const FOUND_PATIENCE: Duration = Duration::from_secs(10);
const FOUND_LOOK_EVERY: Duration = Duration::from_millis(100);

/// What the journal, the shards and the links of a node are started with.
fn node_settings(settings: &Settings, services: &[Service]) -> NodeSettings {
    let (topology, databases) = topology(settings, services);
    let entities = &settings.entities;
    let tls = || TlsFiles {
        certificate: PathBuf::from(&settings.links.tls_cert),
        key: PathBuf::from(&settings.links.tls_key),
        authority: PathBuf::from(&settings.links.tls_ca),
    };
    NodeSettings {
        name: settings.node_name(),
        roles: Roles::new(settings.roles()),
        cluster_database: settings.cluster_database(),
        databases,
        replicas: replicas(settings, services),
        replica_staleness: Duration::from_millis(settings.databases.replica_staleness_ms),
        topology,
        link_listen: settings.listen.links,
        link_advertise: settings.advertised(),
        link_cookie: settings.cluster.cookie.clone(),
        link_tls: (settings.links.tls == Tls::Mutual).then(tls),
        link_credits: LinkCredits { messages: settings.links.credit_messages, bytes: settings.links.credit_bytes },
        http_address: gateway_address(settings),
        lease: Duration::from_millis(settings.cluster.lease_ms),
        renew: Duration::from_millis(settings.cluster.renew_ms),
        runtime: RuntimeSettings {
            mailbox_max: entities.mailbox_max,
            in_flight_max: entities.in_flight_max,
            held_max: entities.held_max,
            passivate_after: Duration::from_millis(entities.idle_ms),
            loaded_max: entities.loaded_max,
            effects_max: entities.effects_max,
            ..RuntimeSettings::default()
        },
        journal: JournalSettings {
            lanes: settings.journal.lanes,
            queue_max: settings.journal.queue_max,
            batch_max: settings.journal.batch_max,
        },
        journal_keep_rows: (settings.journal.keep_rows > 0).then_some(settings.journal.keep_rows),
        kafka: kafka_settings(settings),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

/// Where the others find this node's gateway, if it has one: on the host under which its links are advertised, unless
/// it listens on one address only. A port that the system is yet to choose can't be told.
fn gateway_address(settings: &Settings) -> Option<String> {
    let listen = settings.listen.gateway;
    if !settings.has_role("gateway") || listen.port() == 0 {
        return None;
    }
    if !listen.ip().is_unspecified() {
        return Some(listen.to_string());
    }
    let links = settings.advertised().unwrap_or_else(|| settings.listen.links.to_string());
    let host = links.rsplit_once(':').map_or(links.as_str(), |(host, _)| host);
    Some(format!("{host}:{}", listen.port()))
}

/// Nothing when events stay within the cluster.
fn kafka_settings(settings: &Settings) -> Option<KafkaSettings> {
    let kafka = &settings.kafka;
    (!kafka.brokers.is_empty()).then(|| KafkaSettings {
        brokers: kafka.brokers.clone(),
        security: match kafka.security {
            tree::KafkaSecurity::Plaintext => KafkaSecurity::Plaintext,
            tree::KafkaSecurity::Ssl => KafkaSecurity::Tls,
            tree::KafkaSecurity::SaslPlaintext => KafkaSecurity::SaslPlaintext,
            tree::KafkaSecurity::SaslSsl => KafkaSecurity::SaslTls,
        },
        mechanism: match kafka.mechanism {
            tree::KafkaMechanism::Plain => SaslMechanism::Plain,
            tree::KafkaMechanism::ScramSha256 => SaslMechanism::ScramSha256,
            tree::KafkaMechanism::ScramSha512 => SaslMechanism::ScramSha512,
        },
        username: kafka.username.clone(),
        password: kafka.password.clone(),
        authority: (!kafka.ca.is_empty()).then(|| PathBuf::from(&kafka.ca)),
        topic_prefix: kafka.topic_prefix.clone(),
        partitions: kafka.partitions,
        replication: kafka.replication,
        retention: Duration::from_millis(kafka.retention_ms),
        create_topics: kafka.create_topics,
    })
}

/// How the services are divided, and the addresses of the servers that it names. The names follow from the setting
/// and the place in it, so that a server can move without the topology changing.
pub fn topology(settings: &Settings, services: &[Service]) -> (Topology, BTreeMap<String, String>) {
    let mut addresses = BTreeMap::new();
    let mut spread = |setting: &str, urls: &[String]| {
        let names: Vec<String> = (1..=urls.len()).map(|number| format!("{setting}-{number}")).collect();
        addresses.extend(names.iter().cloned().zip(urls.iter().cloned()));
        ServiceTopology::spread(settings.cluster.shards, names)
    };
    let mut topology = Topology::new(&settings.cluster.name, spread("default", &settings.default_databases()));
    for service in services {
        let own = settings.own_databases(service.name);
        if !own.is_empty() {
            topology = topology.with(service.name, spread(service.name, own));
        }
    }
    (topology, addresses)
}

/// The replicas of servers, by the names that the topology has for these.
fn replicas(settings: &Settings, services: &[Service]) -> BTreeMap<String, String> {
    let own = services.iter().map(|service| (service.name, settings.own_replicas(service.name)));
    let all = own.chain([("default", settings.databases.replicas.as_slice())]);
    let named = |(setting, urls): (&str, &[String])| -> Vec<(String, String)> {
        (1..).zip(urls).map(|(number, url)| (format!("{setting}-{number}"), url.clone())).collect()
    };
    all.flat_map(named).collect()
}

/// The services as the settings want them.
pub fn services(settings: &Settings) -> Vec<Service> {
    nakku_actors::services_with(nakku_actors::Options { webhooks: settings.webhooks.enabled })
}

fn providers(settings: &Settings) -> Result<Vec<Arc<dyn Provider>>, Wrong> {
    let mut providers: Vec<Arc<dyn Provider>> = Vec::new();
    if settings.payment.simulated_card {
        providers.push(Arc::new(nakku_actors::payment::provider::SimulatedCard::default()));
    }
    providers.push(mailer(settings)?);
    if settings.webhooks.enabled {
        let sender = HttpSender::new(settings.webhooks.allow_private_addresses).map_err(Wrong::Failed)?;
        providers.push(Arc::new(sender));
    }
    Ok(providers)
}

fn mailer(settings: &Settings) -> Result<Arc<dyn Provider>, Wrong> {
    let notification = &settings.notification;
    Ok(match notification.smtp_url.as_str() {
        "" => Arc::new(NoMailer),
        "log" => Arc::new(LogMailer),
        url => Arc::new(SmtpMailer::new(url, &notification.mail_from).map_err(Wrong::Usage)?),
    })
}

fn gateway_settings(settings: &Settings) -> GatewaySettings {
    let (http, auth) = (&settings.http, &settings.auth);
    GatewaySettings {
        listen: settings.listen.gateway,
        access_token_lifetime: Duration::from_secs(auth.access_token_s),
        refresh_token_lifetime: Duration::from_secs(auth.refresh_token_s),
        body_bytes_max: http.body_bytes_max,
        request_timeout: Duration::from_millis(http.request_timeout_ms),
        ask_timeout: Duration::from_millis(http.ask_timeout_ms),
        in_flight_max: http.in_flight_max,
        live: LiveSettings {
            connections_max: settings.live.connections_max,
            queue_max: settings.live.queue_max,
            ..LiveSettings::default()
        },
        connections_max: http.connections_max,
        header_timeout: Duration::from_millis(http.header_timeout_ms),
        password_hashes_max: auth.password_hashes_max,
        password_hashes_waiting_max: auth.password_hashes_waiting_max,
        drain_notice: Duration::from_millis(http.drain_notice_ms),
        trusted_proxies: http.trusted_proxies.iter().filter_map(|text| client_address::network(text)).collect(),
        limits: limit_settings(settings),
        shared: shared_settings(settings),
        ..GatewaySettings::new(Secret::new(&auth.jwt_secret))
    }
}

fn limit_settings(settings: &Settings) -> LimitSettings {
    let limits = &settings.limits;
    LimitSettings {
        enabled: limits.enabled,
        per_user_per_s: limits.per_user_per_s,
        per_user_burst: limits.per_user_burst,
        per_address_per_s: limits.per_address_per_s,
        per_address_burst: limits.per_address_burst,
        log_ins_per_address_per_min: limits.log_ins_per_address_per_min,
        log_ins_per_address_burst: limits.log_ins_per_address_burst,
    }
}

fn shared_settings(settings: &Settings) -> SharedSettings {
    let (redis, cache, auth) = (&settings.redis, &settings.cache, &settings.auth);
    let on_redis = || RedisSettings {
        password: (!redis.password.is_empty()).then(|| Secret::new(&redis.password)),
        tls_ca: (!redis.tls_ca.is_empty()).then(|| PathBuf::from(&redis.tls_ca)),
        deadline: Duration::from_millis(redis.deadline_ms),
        prefix: settings.cluster.name.clone(),
        ..RedisSettings::new(redis.url.iter().cloned())
    };
    SharedSettings {
        redis: (!redis.url.is_empty()).then(on_redis),
        session_ttl: Duration::from_millis(auth.session_ttl_ms),
        page_ttl: Duration::from_millis(cache.page_ttl_ms),
        pages_bytes_max: cache.pages_bytes_max,
        position_ttl: Duration::from_secs(cache.position_ttl_s),
        ..SharedSettings::default()
    }
}

fn admin_settings(settings: &Settings) -> AdminSettings {
    let webhooks = &settings.webhooks;
    AdminSettings {
        listen: settings.listen.admin,
        hosts: settings.admin.hosts.clone(),
        behind_tls: settings.admin.behind_tls,
        webhooks: webhooks.enabled.then_some(WebhookSettings { allow_plain_http: webhooks.allow_private_addresses }),
        ..AdminSettings::new(Secret::new(&settings.auth.admin_token))
    }
}

/// Of the services that this node runs and this version has.
fn port_settings(settings: &Settings, services: &[Service]) -> ServicePortSettings {
    let own = services.iter().filter(|service| settings.has_role(service.name));
    let ports = own.filter_map(|service| Some((service.name.to_owned(), settings.service_port(service.name)?)));
    ServicePortSettings { host: settings.service_ports.host, ..ServicePortSettings::new(ports.collect()) }
}

/// An address that a client of this machine can use.
pub fn base_url(address: SocketAddr) -> String {
    let mut address = address;
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() { [127, 0, 0, 1].into() } else { std::net::Ipv6Addr::LOCALHOST.into() });
    }
    format!("http://{address}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Sources;

    fn settings(flags: &[(&str, &str)]) -> Settings {
        let flags = flags.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Sources { flags, ..Sources::default() }.load().expect("they are settings").settings
    }

    #[test]
    fn a_service_with_servers_of_its_own_is_spread_over_them() {
        let settings = settings(&[
            ("databases.default", "mysql://a:1"),
            ("databases.order", "mysql://b:1,mysql://c:1"),
            ("cluster.shards", "8"),
        ]);
        let (topology, addresses) = topology(&settings, &nakku_actors::services());
        topology.check().expect("it makes sense");
        assert_eq!(topology.service("cart").server_of(7), "default-1");
        assert_eq!(topology.service("order").server_of(0), "order-1");
        assert_eq!(topology.service("order").server_of(7), "order-2");
        assert_eq!(addresses["order-2"], "mysql://c:1");
        assert_eq!(addresses.len(), 3);
    }

    #[test]
    fn a_replica_goes_by_the_name_of_its_primary() {
        let settings = settings(&[
            ("databases.default", "mysql://a:1"),
            ("databases.replicas", "mysql://a:2"),
            ("databases.order", "mysql://b:1,mysql://c:1"),
            ("databases.order_replicas", "mysql://b:2,mysql://c:2"),
        ]);
        crate::settings::check::check(&settings).expect("one for each");
        let replicas = replicas(&settings, &nakku_actors::services());
        let (_, addresses) = topology(&settings, &nakku_actors::services());
        assert!(replicas.keys().eq(addresses.keys()), "{replicas:?} {addresses:?}");
        assert_eq!(replicas["order-2"], "mysql://c:2");
    }

    #[test]
    fn only_what_this_version_has_gets_a_port() {
        let services = nakku_actors::services();
        let all = port_settings(&settings(&[]), &services);
        assert_eq!(all.ports.len(), services.len());
        assert!(all.ports.contains(&("order".to_owned(), 8084)));
        let some = port_settings(&settings(&[("node.roles", "gateway,cart")]), &services);
        assert_eq!(some.ports, [("cart".to_owned(), 8085)]);
    }

    #[test]
    fn a_gateway_is_found_where_the_links_are_advertised() {
        let named = settings(&[("links.advertise", "shop-1.internal:7946")]);
        assert_eq!(gateway_address(&named).as_deref(), Some("shop-1.internal:8080"));
        let everywhere = gateway_address(&settings(&[])).expect("all roles hold the gateway");
        assert!(everywhere.ends_with(":8080") && !everywhere.starts_with("0.0.0.0"), "{everywhere}");
        let local = settings(&[("listen.links", "127.0.0.1:7946"), ("listen.gateway", "127.0.0.1:9000")]);
        assert_eq!(gateway_address(&local).as_deref(), Some("127.0.0.1:9000"));
        assert_eq!(gateway_address(&settings(&[("listen.gateway", "0.0.0.0:0")])), None);
        assert_eq!(gateway_address(&settings(&[("node.roles", "order")])), None);
        assert_eq!(base_url(local.listen.gateway), "http://127.0.0.1:9000");
    }
}
