//! What all clients of a broker have in common.

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::KafkaError as ClientError;

use super::settings::KafkaSettings;

/// Brokers that return are noticed so soon.
const RECONNECT_MS_MAX: &str = "1000";
/// How often topics are looked at again: one that was missing is seen so soon.
const METADATA_MS: &str = "10000";

/// A client's settings, to be completed.
pub(super) fn config(settings: &KafkaSettings, node: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", settings.brokers.join(","))
        .set("client.id", format!("nakku-{node}"))
        .set("security.protocol", settings.security.protocol())
        .set("allow.auto.create.topics", "false")
        .set("reconnect.backoff.max.ms", RECONNECT_MS_MAX)
        .set("topic.metadata.refresh.interval.ms", METADATA_MS)
        .set("metadata.max.age.ms", "30000")
        .set("socket.keepalive.enable", "true");
    if settings.security.has_sasl() {
        config
            .set("sasl.mechanism", settings.mechanism.name())
            .set("sasl.username", &settings.username)
            .set("sasl.password", &settings.password);
    }
    // Without TLS it has no meaning, and a client that can't speak it refuses the setting.
    if let Some(file) = settings.authority.as_ref().filter(|_| settings.security.has_tls()) {
        config.set("ssl.ca.location", file.display().to_string());
    }
    config
}

/// librdkafka tells of every connection that it loses, for as long as a broker is away: too much for the log,
/// where publisher and consumers say once what it means to them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: ClientError, reason: &str) {
        tracing::debug!(%error, reason, "kafka");
    }
}

pub(super) fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
            tracing::error!(facility, message, "kafka");
        }
        _ => tracing::debug!(facility, message, "kafka"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::settings::KafkaSecurity;
    use super::*;

    #[test]
    fn an_authority_is_named_only_where_tls_is_spoken() {
        let mut settings = KafkaSettings::new(vec!["127.0.0.1:9092".into()]);
        settings.authority = Some("ca.pem".into());
        let named = |security| {
            let settings = KafkaSettings { security, ..settings.clone() };
            config(&settings, "node-1").get("ssl.ca.location").map(str::to_owned)
        };
        assert_eq!(named(KafkaSecurity::Plaintext), None);
        assert_eq!(named(KafkaSecurity::SaslPlaintext), None);
        assert_eq!(named(KafkaSecurity::Tls).as_deref(), Some("ca.pem"));
        assert_eq!(named(KafkaSecurity::SaslTls).as_deref(), Some("ca.pem"));
    }
}
