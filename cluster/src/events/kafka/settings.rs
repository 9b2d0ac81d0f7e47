//! Which brokers, how protected, and what topics are like.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::KafkaError;

/// What topics begin with unless set otherwise.
pub const TOPIC_PREFIX: &str = "nakku.";

/// How a node uses Kafka.
#[derive(Clone)]
pub struct KafkaSettings {
    /// `HOST:PORT` of some of the brokers.
    pub brokers: Vec<String>,
    /// How connections are protected.
    pub security: KafkaSecurity,
    /// How a user proves to be one, where [`security`](Self::security) has SASL.
    pub mechanism: SaslMechanism,
    /// Who this is.
    pub username: String,
    /// And the proof.
    pub password: String,
    /// PEM file of the certificates that sign the brokers'; the system's when there is none.
    pub authority: Option<PathBuf>,
    /// What topics begin with; with another one than [`TOPIC_PREFIX`] groups begin with it as well.
    pub topic_prefix: String,
    /// Of topics that are created.
    pub partitions: u16,
    /// Of topics that are created.
    pub replication: u16,
    /// How long topics that are created keep events.
    pub retention: Duration,
    /// Whether topics that are missing are created.
    pub create_topics: bool,
}

/// How connections to brokers are protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KafkaSecurity {
    /// Not at all.
    Plaintext,
    /// TLS.
    Tls,
    /// User and password over plain connections.
    SaslPlaintext,
    /// User and password over TLS.
    SaslTls,
}

/// How user and password are shown to a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaslMechanism {
    /// As they are.
    Plain,
    /// RFC 5802 with SHA-256.
    ScramSha256,
    /// RFC 5802 with SHA-512.
    ScramSha512,
}

impl KafkaSecurity {
    /// Kafka's name of it.
    pub fn protocol(self) -> &'static str {
        match self {
            Self::Plaintext => "plaintext",
            Self::Tls => "ssl",
            Self::SaslPlaintext => "sasl_plaintext",
            Self::SaslTls => "sasl_ssl",
        }
    }

    pub(super) fn has_sasl(self) -> bool {
        matches!(self, Self::SaslPlaintext | Self::SaslTls)
    }

    pub(super) fn has_tls(self) -> bool {
        matches!(self, Self::Tls | Self::SaslTls)
    }
}

impl SaslMechanism {
    /// Kafka's name of it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

impl KafkaSettings {
    /// Unprotected brokers, everything else as by default.
    pub fn new(brokers: Vec<String>) -> Self {
        Self {
            brokers,
            security: KafkaSecurity::Plaintext,
            mechanism: SaslMechanism::ScramSha512,
            username: String::new(),
            password: String::new(),
            authority: None,
            topic_prefix: TOPIC_PREFIX.into(),
            partitions: 12,
            replication: 3,
            retention: Duration::from_secs(7 * 24 * 3600),
            create_topics: true,
        }
    }

    /// The topic of a service.
    pub fn topic(&self, service: &str) -> String {
        format!("{}{service}", self.topic_prefix)
    }

    /// A topic that the program names in full, such as `nakku.dead-letter`.
    pub fn topic_named(&self, name: &str) -> String {
        self.topic(name.strip_prefix(TOPIC_PREFIX).unwrap_or(name))
    }

    /// A consumer group, such as `nakku-analytics`.
    pub fn group(&self, group: &str) -> String {
        if self.topic_prefix == TOPIC_PREFIX { group.to_owned() } else { format!("{}{group}", self.topic_prefix) }
    }

    /// `min.insync.replicas` of topics that are created: an event is taken for good when more than one replica has
    /// it, where there are three.
    pub fn in_sync_min(&self) -> u16 {
        if self.replication >= 3 { 2 } else { 1 }
    }

    pub(super) fn check(&self) -> Result<(), KafkaError> {
        let unfit = |what: String| Err(KafkaError::Setting(what));
        if self.brokers.is_empty() {
            return unfit("kafka.brokers names no broker".into());
        }
        if self.security != KafkaSecurity::Plaintext && !cfg!(feature = "kafka-tls") {
            let protocol = self.security.protocol();
            return unfit(format!(
                "kafka.security is {protocol}, and this program was built without it; build it with \
                 `--features kafka-tls` (needs the development files of OpenSSL)"
            ));
        }
        if self.security.has_sasl() && (self.username.is_empty() || self.password.is_empty()) {
            return unfit(format!(
                "kafka.security is {}; set kafka.username and kafka.password",
                self.security.protocol()
            ));
        }
        if let Some(file) = self.authority.as_ref().filter(|file| !file.is_file()) {
            return unfit(format!("kafka.ca names {}, and there is no such file", file.display()));
        }
        Ok(())
    }
}

impl fmt::Debug for KafkaSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaSettings")
            .field("brokers", &self.brokers)
            .field("security", &self.security)
            .field("topic_prefix", &self.topic_prefix)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_prefix() {
        let mut settings = KafkaSettings::new(vec!["127.0.0.1:9092".into()]);
        assert_eq!(settings.topic("order"), "nakku.order");
        assert_eq!(settings.topic_named("nakku.dead-letter"), "nakku.dead-letter");
        assert_eq!(settings.group("nakku-analytics"), "nakku-analytics");
        settings.topic_prefix = "test.".into();
        assert_eq!(settings.topic("order"), "test.order");
        assert_eq!(settings.topic_named("nakku.dead-letter"), "test.dead-letter");
        assert_eq!(settings.group("nakku-analytics"), "test.nakku-analytics");
    }

    #[cfg(not(feature = "kafka-tls"))]
    #[test]
    fn protection_that_is_not_built_in_is_refused() {
        let mut settings = KafkaSettings::new(vec!["127.0.0.1:9092".into()]);
        assert_eq!(settings.check(), Ok(()));
        settings.security = KafkaSecurity::SaslTls;
        let refused = settings.check().unwrap_err().to_string();
        assert!(refused.contains("--features kafka-tls"), "{refused}");
    }
}
