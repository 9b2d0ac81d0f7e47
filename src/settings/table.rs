//! Every setting, once: name, kind, default and meaning.

use nakku_cluster::link::{CREDIT_BYTES_LIMIT, CREDIT_MESSAGES_LIMIT, MESSAGE_BYTES_MAX};

use super::value::Kind;

/// One setting.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// `section.name`; units come last (`_ms`, `_s`, `_bytes`).
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// What it is when nobody sets it, as it would stand in the environment.
    pub default: &'static str,
    /// One or two sentences, without the name and the default.
    pub meaning: &'static str,
}

impl Setting {
    /// Its name in the environment, such as `NAKKU_CLUSTER_LEASE_MS`.
    pub fn variable(&self) -> String {
        format!("{VARIABLE_PREFIX}{}", self.name.replace('.', "_").to_uppercase())
    }
}

impl Setting {
    /// The variable that names a file with its value, such as `NAKKU_AUTH_JWT_SECRET_FILE`; only of what holds
    /// secrets.
    pub fn file_variable(&self) -> Option<String> {
        self.kind.holds_secret().then(|| format!("{}{FILE_SUFFIX}", self.variable()))
    }
}

/// What a variable ends with that names a file.
pub const FILE_SUFFIX: &str = "_FILE";

/// What every variable begins with.
pub const VARIABLE_PREFIX: &str = "NAKKU_";

/// Stands for every role.
pub const ALL_ROLES: &str = "all";

/// What a node can do.
pub const ROLES: &[&str] = &[
    ALL_ROLES,
    "gateway",
    "user",
    "product",
    "inventory",
    "order",
    "cart",
    "payment",
    "delivery",
    "notification",
    "location",
    "analytics",
];

/// How connections to brokers can be protected, by Kafka's names.
const KAFKA_SECURITY: &[&str] = &["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"];
/// By which a user can log in there.
const KAFKA_MECHANISMS: &[&str] = &["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"];

/// The setting of a name.
pub fn find(name: &str) -> Option<&'static Setting> {
    TABLE.iter().find(|setting| setting.name == name)
}

const fn setting(name: &'static str, kind: Kind, default: &'static str, meaning: &'static str) -> Setting {
    Setting { name, kind, default, meaning }
}

const fn at_least(least: i64) -> Kind {
    Kind::Number { least, most: i64::MAX }
}

const fn between(least: i64, most: i64) -> Kind {
    Kind::Number { least, most }
}

/// Where a service's databases are when they are not with the others.
const OVERRIDE: &str = "Servers of this service's databases, if not databases.default; its shards are spread over \
                        them in this order.";
/// Which replicas these have.
const REPLICAS: &str = "Replicas of this service's own servers, one for each in the same order.";
/// Where a service's health and metrics are.
const SERVICE_PORT: &str = "Port of /health, /ready and /metrics of this service on a node that runs it; 0 takes any.";
const PORT: Kind = between(0, 65_535);

/// All settings in the order in which they are shown.
#[rustfmt::skip]
pub const TABLE: &[Setting] = &[
    setting("node.name", Kind::Text, "", "This node's name, unique in the cluster: letters, digits, '-', '_' and \
        '.'. Empty takes the machine's name."),
    setting("node.roles", Kind::Choices(ROLES), ALL_ROLES, "What this node runs: the gateway and any of the services, \
        or all."),
    setting("node.data", Kind::Text, ".nakku", "Folder for the embedded database and for what a local dev leaves for \
        the client commands."),
    setting("node.seed", Kind::Texts, "", "HOST:PORT of a member of the cluster to join. Whatever it names, a node \
        with a seed joins the cluster that databases.cluster holds and never founds one: if there is none within 10 \
        seconds, it does not start. The seed itself is not connected to, since the members stand in that database, \
        so it may be dead. Empty joins too, and founds a cluster where there is none."),
    setting("node.drain_ms", at_least(0), "30000", "How long a node that was told to stop waits, in milliseconds, \
        for requests in flight and for its shards to be handed over."),

    setting("cluster.name", Kind::Text, "nakku", "The cluster's name; nodes of another name are refused."),
    setting("cluster.cookie", Kind::Secret, "", "Secret that all nodes of a cluster share; at least 32 bytes."),
    setting("cluster.shards", between(1, 65_536), "32", "Shards per service. Fixed when the cluster is founded: a \
        node with another number refuses to start."),
    setting("cluster.lease_ms", between(100, 600_000), "2000", "How long a node may be silent, in milliseconds, \
        before the others declare it down."),
    setting("cluster.renew_ms", between(10, 60_000), "250", "How often a node renews its lease, in milliseconds; at \
        most a quarter of cluster.lease_ms."),

    setting("databases.cluster", Kind::Databases, "", "Server of the cluster database (membership, topology). Empty \
        takes the first of databases.default."),
    setting("databases.default", Kind::Databases, "", "Servers of the services' databases; a service's shards are \
        spread over them in this order. Empty is the embedded database in node.data, for one machine only."),
    setting("databases.user", Kind::Databases, "", OVERRIDE),
    setting("databases.product", Kind::Databases, "", OVERRIDE),
    setting("databases.inventory", Kind::Databases, "", OVERRIDE),
    setting("databases.order", Kind::Databases, "", OVERRIDE),
    setting("databases.cart", Kind::Databases, "", OVERRIDE),
    setting("databases.payment", Kind::Databases, "", OVERRIDE),
    setting("databases.delivery", Kind::Databases, "", OVERRIDE),
    setting("databases.notification", Kind::Databases, "", OVERRIDE),
    setting("databases.location", Kind::Databases, "", OVERRIDE),
    setting("databases.analytics", Kind::Databases, "", OVERRIDE),
    setting("databases.patience_ms", at_least(0), "60000", "How long a starting node waits for database servers that \
        do not answer yet, in milliseconds, before it gives up."),
    setting("databases.password", Kind::Secret, "", "Password for those addresses of databases that name a user and no \
        password, so that they hold none themselves."),
    setting("databases.replicas", Kind::Databases, "", "Replicas of databases.default, one for each in the same order, \
        that lists are read from. Empty reads everything from the primaries."),
    setting("databases.user_replicas", Kind::Databases, "", REPLICAS),
    setting("databases.product_replicas", Kind::Databases, "", REPLICAS),
    setting("databases.inventory_replicas", Kind::Databases, "", REPLICAS),
    setting("databases.order_replicas", Kind::Databases, "", REPLICAS),
    setting("databases.cart_replicas", Kind::Databases, "", REPLICAS),
    setting("databases.payment_replicas", Kind::Databases, "", REPLICAS),
    setting("databases.delivery_replicas", Kind::Databases, "", REPLICAS),
    setting("databases.notification_replicas", Kind::Databases, "", REPLICAS),
    setting("databases.location_replicas", Kind::Databases, "", REPLICAS),
    setting("databases.analytics_replicas", Kind::Databases, "", REPLICAS),
    setting("databases.replica_staleness_ms", between(100, 60_000), "2000", "By how much a replica may be behind its \
        primary, in milliseconds. One that may be further behind, or does not answer, is not read: the primary is."),

    setting("listen.gateway", Kind::Listen, "0.0.0.0:8080", "Where the API listens on a node with the role gateway."),
    setting("listen.links", Kind::Listen, "0.0.0.0:7946", "Where the other nodes of the cluster connect."),
    setting("listen.admin", Kind::Listen, "127.0.0.1:7947", "Where the admin API listens (nakku status, nakku user)."),

    setting("service_ports.host", Kind::Ip, "0.0.0.0", "Where the ports of the services listen."),
    setting("service_ports.user", PORT, "8081", SERVICE_PORT),
    setting("service_ports.product", PORT, "8082", SERVICE_PORT),
    setting("service_ports.inventory", PORT, "8083", SERVICE_PORT),
    setting("service_ports.order", PORT, "8084", SERVICE_PORT),
    setting("service_ports.cart", PORT, "8085", SERVICE_PORT),
    setting("service_ports.payment", PORT, "8086", SERVICE_PORT),
    setting("service_ports.delivery", PORT, "8087", SERVICE_PORT),
    setting("service_ports.notification", PORT, "8088", SERVICE_PORT),
    setting("service_ports.location", PORT, "8089", SERVICE_PORT),
    setting("service_ports.analytics", PORT, "8090", SERVICE_PORT),

    setting("links.advertise", Kind::Text, "", "HOST:PORT under which the other nodes reach this node's links. Empty \
        takes listen.links, with the machine's name when that listens on every address."),
    setting("links.tls", Kind::Choice(&["mutual", "off"]), "mutual", "How links between nodes are protected. With \
        mutual both sides show a certificate signed by links.tls_ca."),
    setting("links.tls_cert", Kind::Text, "", "File of this node's certificate chain (PEM)."),
    setting("links.tls_key", Kind::Text, "", "File of its private key (PEM)."),
    setting("links.tls_ca", Kind::Text, "", "File of the certificates that sign the nodes' certificates (PEM)."),
    setting("links.credit_messages", between(1, CREDIT_MESSAGES_LIMIT as i64), "4096", "Requests to one other node that \
        may be unanswered before further ones are refused as overloaded."),
    setting("links.credit_bytes", between(2 * MESSAGE_BYTES_MAX as i64, CREDIT_BYTES_LIMIT as i64), "33554432", "How \
        many bytes these requests may have together, and the answers that the other node has not yet taken."),

    setting("entities.idle_ms", at_least(1_000), "300000", "An entity that has had nothing to do for so long, in \
        milliseconds, leaves memory."),
    setting("entities.loaded_max", between(16, 4_000_000_000), "250000", "Entities that a node keeps in memory; \
        beyond it those that were not used for longest leave."),
    setting("entities.mailbox_max", between(1, 1_000_000), "1024", "Commands that may wait for one entity before \
        further ones are refused as overloaded."),
    setting("entities.in_flight_max", at_least(1), "16384", "Commands under way on a node before further ones are \
        refused as overloaded."),
    setting("entities.held_max", at_least(1), "8192", "Commands that a node holds back while a shard moves before \
        further ones are refused as overloaded."),
    setting("entities.effects_max", at_least(1), "2048", "Effects (commands to other entities, calls to providers) \
        that a node has under way; further ones wait."),

    setting("journal.lanes", between(1, 64), "2", "Connections per database server over which a node commits; a \
        shard always uses the same one. The embedded database has one."),
    setting("journal.batch_max", between(1, 4_096), "512", "Decisions that one transaction takes at most."),
    setting("journal.queue_max", at_least(16), "8192", "Decisions that may wait for one connection's next \
        transaction."),
    setting("journal.keep_rows", at_least(0), "0", "How many of its newest rows a shard's journal keeps, once they \
        are not needed any more; 0 keeps all."),

    setting("kafka.brokers", Kind::Texts, "", "HOST:PORT of some of Kafka's brokers. Events go there, and consumers \
        read from there. Empty feeds the consumers of this cluster from the journals, without a broker. The same on \
        all nodes."),
    setting("kafka.security", Kind::Choice(KAFKA_SECURITY), "plaintext", "How connections to brokers are protected. \
        Other than plaintext needs a program built with --features kafka-tls."),
    setting("kafka.mechanism", Kind::Choice(KAFKA_MECHANISMS), "SCRAM-SHA-512", "How kafka.username and \
        kafka.password are shown to brokers, where kafka.security has SASL."),
    setting("kafka.username", Kind::Text, "", "Who this cluster is to the brokers, where kafka.security has SASL."),
    setting("kafka.password", Kind::Secret, "", "And the proof."),
    setting("kafka.ca", Kind::Text, "", "File of the certificates that sign the brokers' certificates (PEM). Empty \
        takes those that the system trusts."),
    setting("kafka.topic_prefix", Kind::Text, "nakku.", "What the names of topics begin with; the service follows, as \
        in nakku.order. With another one the consumer groups begin with it as well."),
    setting("kafka.partitions", between(1, 10_000), "12", "Partitions of topics that are created. A topic's number may \
        only be raised while all its events are consumed and no node runs."),
    setting("kafka.replication", between(1, 100), "3", "Replicas of topics that are created; at most as many as there \
        are brokers. From three on an event must be on two of them."),
    setting("kafka.retention_ms", at_least(60_000), "604800000", "How long topics that are created keep events, in \
        milliseconds: so long at most may a consumer be away."),
    setting("kafka.create_topics", Kind::Switch, "true", "Whether topics that are missing are created. If not, a node \
        says at its start which are missing and how to create them."),

    setting("http.body_bytes_max", at_least(1_024), "65536", "The largest request body, in bytes."),
    setting("http.request_timeout_ms", at_least(100), "10000", "How long a request may take in all, in milliseconds."),
    setting("http.ask_timeout_ms", at_least(100), "5000", "How long a request waits for one entity, in milliseconds; never more than half of the time that it has left."),
    setting("http.header_timeout_ms", at_least(100), "60000", "How long a client may take to send the header of a \
        request, in milliseconds; an idle connection is closed after the same time."),
    setting("http.in_flight_max", at_least(1), "1024", "Requests that a gateway works on at the same time; further \
        ones are refused as overloaded."),
    setting("http.connections_max", at_least(1), "8192", "Connections that a gateway keeps open; further ones wait."),
    setting("http.drain_notice_ms", at_least(0), "2000", "How long a draining gateway still accepts connections, in \
        milliseconds, so that load balancers see that /ready says no."),
    setting("http.trusted_proxies", Kind::Networks, "", "Networks of proxies whose X-Forwarded-For says whom a request \
        comes from, such as 10.0.0.0/8. Without them all clients behind a proxy count as one address."),

    setting("limits.enabled", Kind::Switch, "true", "Whether requests are limited by user and address. Health, \
        metrics and documents never are."),
    setting("limits.per_user_per_s", between(1, 1_000_000), "50", "Requests that a user may send in each second, for \
        seconds on end."),
    setting("limits.per_user_burst", between(1, 1_000_000), "200", "Requests that a user may send at once."),
    setting("limits.per_address_per_s", between(1, 1_000_000), "200", "Requests that an address (of IPv6: a /64) may \
        send in each second, for seconds on end."),
    setting("limits.per_address_burst", between(1, 1_000_000), "1000", "Requests that an address may send at once."),
    setting("limits.log_ins_per_address_per_min", between(1, 1_000_000), "120", "Log-ins and registrations that an \
        address may send in each minute, for minutes on end."),
    setting("limits.log_ins_per_address_burst", between(1, 1_000_000), "60", "Log-ins and registrations that an \
        address may send at once."),

    setting("redis.url", Kind::Redis, "", "Where gateways keep what they share (limits, ended sessions, cached pages, \
        riders' positions): redis://USER:PASSWORD@HOST:PORT, rediss:// for TLS. One is a single server, several are \
        members of one Redis Cluster. Empty has each gateway keep its own."),
    setting("redis.password", Kind::Secret, "", "Password for those of redis.url that have none."),
    setting("redis.tls_ca", Kind::Text, "", "File of the certificates that sign the servers' certificates (PEM). Empty \
        takes those that the machine trusts."),
    setting("redis.deadline_ms", between(1, 10_000), "50", "How long a gateway waits for Redis, in milliseconds, before \
        it goes on without."),

    setting("cache.page_ttl_ms", between(0, 3_600_000), "5000", "How long lists and pages of products and stores are \
        served from memory, in milliseconds, if nobody changes them; 0 reads them every time. Prices that are charged \
        are always read."),
    setting("cache.pages_bytes_max", at_least(65_536), "33554432", "Memory of a gateway for such pages without Redis, \
        in bytes."),
    setting("cache.position_ttl_s", between(1, 86_400), "120", "A rider who has not told a position for so long, in \
        seconds, is nowhere."),

    setting("live.connections_max", at_least(1), "10000", "Live connections (WebSockets and streams of events) that a \
        gateway keeps open; further ones are refused as overloaded."),
    setting("live.queue_max", between(1, 65_536), "256", "Messages that may wait for one live client; one that is \
        slower is told so and dropped."),

    setting("auth.jwt_secret", Kind::Secret, "", "Secret that signs access tokens, the same on all nodes; at least \
        32 bytes."),
    setting("auth.access_token_s", between(10, 86_400), "900", "How long an access token is valid, in seconds."),
    setting("auth.refresh_token_s", between(60, 31_536_000), "2592000", "How long a refresh token is valid, in \
        seconds."),
    setting("auth.session_ttl_ms", between(0, 3_600_000), "5000", "How long a gateway relies on a session being open, in \
        milliseconds, before it asks the user again. Ends that another gateway has seen hold here after this time at \
        the latest; with Redis at once."),
    setting("auth.admin_token", Kind::Secret, "", "Bearer token of the admin API, the same on all nodes; at least 32 \
        bytes."),
    setting("auth.password_hashes_max", at_least(1), "4", "Passwords that a gateway hashes at the same time; each \
        takes a core and 19 MiB."),
    setting("auth.password_hashes_waiting_max", at_least(1), "64", "Requests that may wait for a password to be \
        hashed before further ones are refused as overloaded."),

    setting("admin.hosts", Kind::Texts, "", "HOST or HOST:PORT under which browsers and clients also reach the admin \
        listener, such as the name of a proxy. Requests under other names than these, the listener's own address and \
        localhost are refused."),
    setting("admin.behind_tls", Kind::Switch, "false", "Whether a proxy ends TLS in front of the admin listener. \
        Without that it listens on loopback only, since passwords and tokens would cross the network in the clear."),

    setting("payment.simulated_card", Kind::Switch, "false", "Whether the built-in simulated card takes payments. No \
        money moves: for trials only."),

    setting("notification.smtp_url", Kind::Secret, "", "Mail server that e-mails are handed to: \
        smtps://user:password@host, smtp://user:password@host?tls=required, or smtp://host:port in the clear. The word \
        log writes them to the log instead. Empty: no e-mails, only the inbox in the app."),
    setting("notification.mail_from", Kind::Text, "Nakku <no-reply@localhost>", "Sender of e-mails."),

    setting("webhooks.enabled", Kind::Switch, "false", "Whether events are sent to the endpoints of integrators, see \
        docs/webhooks.md; the same on all nodes. Without it nothing is spent on them, and what occurs is not sent \
        later."),
    setting("webhooks.allow_private_addresses", Kind::Switch, "false", "Whether endpoints may have any address, \
        loopback and private ones among them, and plain http. For trials only: whoever may make webhooks can then reach \
        everything that the nodes reach."),

    setting("log.format", Kind::Choice(&["text", "json"]), "text", "How log lines on standard error are written."),
    setting("log.level", Kind::Text, "info,ractor_cluster=error", "What is logged: error, warn, info, debug or trace, also by module as \
        in info,nakku_cluster=debug."),
    setting("telemetry.otlp_endpoint", Kind::Text, "", "Base URL of an OpenTelemetry collector (OTLP over HTTP) that \
        traces are sent to. Empty sends none."),
];
