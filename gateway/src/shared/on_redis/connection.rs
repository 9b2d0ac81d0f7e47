//! A connection to one server or to a cluster, made as the settings say.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionInfo, FromRedisValue, IntoConnectionInfo, RedisResult,
    TlsCertificates,
};

use crate::shared::settings::RedisSettings;

/// How long making a connection may take, with its greeting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How often a cluster's client follows a redirection or tries again; the deadline of the operation ends it first.
const CLUSTER_RETRIES: u32 = 3;
/// Pauses between them, in milliseconds.
const CLUSTER_RETRY_WAIT_MS: (u64, u64) = (1, 20);

/// Makes connections.
pub(super) enum Connector {
    Single(Box<Client>),
    Cluster(Box<ClusterClient>),
}

/// A connection; clones share it.
#[derive(Clone)]
pub(super) enum Connection {
    Single(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Connector {
    /// For the servers of the settings.
    ///
    /// # Errors
    /// What is wrong with an address or a certificate, without its password.
    pub fn new(settings: &RedisSettings) -> Result<Self, String> {
        let servers: Vec<ConnectionInfo> =
            settings.urls.iter().map(|url| server(url.expose(), settings)).collect::<Result<_, String>>()?;
        let certificates = settings.tls_ca.as_ref().map(|file| {
            let pem = std::fs::read(file).map_err(|error| format!("can't read {}: {error}", file.display()))?;
            Ok(TlsCertificates { client_tls: None, root_cert: Some(pem) })
        });
        let certificates: Option<TlsCertificates> = certificates.transpose().map_err(|error: String| error)?;
        let wrong = |error: redis::RedisError| format!("the addresses of Redis do not fit: {error}");
        match servers.as_slice() {
            [] => Err("no address of Redis is given".to_owned()),
            [server] => {
                let client = match certificates {
                    Some(certificates) => Client::build_with_tls(server.clone(), certificates),
                    None => Client::open(server.clone()),
                };
                client.map(|client| Self::Single(Box::new(client))).map_err(wrong)
            }
            _ => {
                let mut builder = ClusterClient::builder(servers)
                    .retries(CLUSTER_RETRIES)
                    .min_retry_wait(CLUSTER_RETRY_WAIT_MS.0)
                    .max_retry_wait(CLUSTER_RETRY_WAIT_MS.1)
                    .connection_timeout(CONNECT_TIMEOUT)
                    .response_timeout(CONNECT_TIMEOUT.max(settings.deadline));
                if let Some(certificates) = certificates {
                    builder = builder.certs(certificates);
                }
                builder.build().map(|client| Self::Cluster(Box::new(client))).map_err(wrong)
            }
        }
    }

    /// Whether there are several servers.
    pub fn is_cluster(&self) -> bool {
        matches!(self, Self::Cluster(_))
    }

    /// A new connection, which has been greeted.
    pub async fn connect(&self) -> RedisResult<Connection> {
        let connecting = async {
            match self {
                Self::Single(client) => {
                    // Operations have a deadline of their own.
                    let config = AsyncConnectionConfig::new()
                        .set_connection_timeout(Some(CONNECT_TIMEOUT))
                        .set_response_timeout(Some(CONNECT_TIMEOUT));
                    let connection = client.get_multiplexed_async_connection_with_config(&config).await?;
                    let mut connection = Connection::Single(connection);
                    connection.query::<String>(&redis::cmd("PING")).await?;
                    Ok(connection)
                }
                Self::Cluster(client) => client.get_async_connection().await.map(Connection::Cluster),
            }
        };
        let answer = tokio::time::timeout(CONNECT_TIMEOUT, connecting).await;
        answer.unwrap_or_else(|_| Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()))
    }
}

impl Connection {
    /// Sends a command and reads its answer.
    pub async fn query<T: FromRedisValue>(&mut self, command: &Cmd) -> RedisResult<T> {
        match self {
            Self::Single(connection) => command.query_async(connection).await,
            Self::Cluster(connection) => command.query_async(connection).await,
        }
    }
}

/// One server, with the common password unless its address has one.
fn server(url: &str, settings: &RedisSettings) -> Result<ConnectionInfo, String> {
    // The address itself is not repeated: it may hold a password.
    let server = url.into_connection_info().map_err(|error| format!("an address of Redis is malformed: {error}"))?;
    let login = server.redis_settings().clone();
    match &settings.password {
        Some(password) if login.password().is_none() => {
            Ok(server.set_redis_settings(login.set_password(password.expose())))
        }
        _ => Ok(server),
    }
}
