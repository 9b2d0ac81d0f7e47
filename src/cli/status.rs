//! `nakku status` and `nakku health`: how the cluster and one node are.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;
use nakku_cluster::membership::view::GATEWAY;
use nakku_cluster::status::ClusterStatus;
use reqwest::Method;
use serde_json::Value;

use super::arguments::SettingsArguments;
use super::client::{Client, ClientArguments, Listener};
use super::outcome::{Done, Wrong};
use super::show;
use crate::compose;
use crate::dev::local::Local;
use crate::settings::Settings;
use crate::settings::table::{ALL_ROLES, ROLES};

/// `nakku status`.
#[derive(Debug, Args)]
pub struct Status {
    /// The admin API of any node and its token
    #[command(flatten)]
    pub client: ClientArguments,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `nakku health`: without `--endpoint` and a local dev it asks the node of this machine, where the settings have it,
/// and needs no secret for that. So it is what containers check themselves by.
#[derive(Debug, Args)]
pub struct Health {
    /// The API of a node, or the port of a service
    #[command(flatten)]
    pub client: ClientArguments,
    /// Only whether it takes requests: exit code 1 while it joins or drains
    #[arg(long)]
    pub ready: bool,
    /// How long it may take in all, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 3_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub timeout_ms: u64,
    /// Where settings come from
    #[command(flatten)]
    pub settings: SettingsArguments,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Prints nodes, services and what needs looking at.
pub async fn status(arguments: &Status) -> Done {
    let client = arguments.client.client(Listener::Admin)?;
    let body = client.get("/admin/v1/status").await?;
    if arguments.json {
        return show::as_json(&body);
    }
    let status: ClusterStatus = serde_json::from_value(body)
        .map_err(|error| Wrong::Failed(format!("{} answers no status: {error}", client.endpoint())))?;
    show::line(&format!(
        "cluster {}, view {}, feature level {}, seen by {}\n",
        status.cluster, status.view_version, status.feature_level, status.node
    ))?;
    let nodes = status.nodes.iter().map(|node| {
        vec![
            format!("{}@{}", node.name, node.generation),
            node.state.clone(),
            node.address.clone(),
            if node.linked { "yes".into() } else { "no".into() },
            node.acknowledged_version.to_string(),
            node.silent_ms.to_string(),
            shards_of(&status, &node.name).to_string(),
            roles(&node.roles),
        ]
    });
    let heads = ["node", "state", "links", "linked", "acknowledged", "silent ms", "shards", "roles"];
    show::rows(false, &status.nodes, &heads, nodes)?;
    show::line("")?;
    let services = status.services.iter().map(|service| {
        let owners: Vec<String> = service.owners.iter().map(|(node, count)| format!("{node}: {count}")).collect();
        vec![
            service.name.clone(),
            service.shards.to_string(),
            service.serving_here.to_string(),
            service.loaded_here.to_string(),
            service.unpublished_here.to_string(),
            owners.join(", "),
        ]
    });
    show::rows(
        false,
        &status.services,
        &["service", "shards", "serving here", "loaded here", "unpublished here", "owners"],
        services,
    )?;
    show::line("")?;
    let dependencies = status.dependencies.iter().map(|dependency| {
        vec![
            dependency.name.clone(),
            if dependency.up { "up".into() } else { "down".into() },
            dependency.location.clone(),
            dependency.latency_us.to_string(),
            dependency.error.clone().unwrap_or_default(),
        ]
    });
    let heads = ["depends on", "state", "location", "last use us", "error"];
    show::rows(false, &status.dependencies, &heads, dependencies)?;
    for entity in &status.quarantined {
        show::line(&format!("quarantined: {entity}"))?;
    }
    Ok(())
}

/// Prints what a node says of itself and of what it depends on.
pub async fn health(arguments: &Health) -> Done {
    let client = client_of_health(arguments)?;
    let asked = async {
        let ready = client.send(Method::GET, "/ready", &[], None).await?;
        if arguments.ready {
            return match ready.is_success() {
                true => show::line(&format!("{} is ready", client.endpoint())),
                false => Err(Wrong::Failed(format!("{} is {NOT_READY}", client.endpoint()))),
            };
        }
        let answer = client.send(Method::GET, "/health", &[], None).await?;
        print_health(arguments, &client, answer.succeeded("GET /health")?, ready.is_success())
    };
    let limit = Duration::from_millis(arguments.timeout_ms);
    tokio::time::timeout(limit, asked).await.unwrap_or_else(|_| {
        Err(Wrong::Failed(format!("no answer from {} within {} ms", client.endpoint(), arguments.timeout_ms)))
    })
}

const NOT_READY: &str = "not ready (joining or draining)";

fn print_health(arguments: &Health, client: &Client, body: Value, is_ready: bool) -> Done {
    if arguments.json {
        return show::as_json(&body);
    }
    let state = if is_ready { "ready" } else { NOT_READY };
    show::line(&format!("{} is alive and {state}\n", client.endpoint()))?;
    let mut rows = Vec::new();
    flatten("", &body, &mut rows);
    show::rows(false, &body, &["what", "state"], rows)
}

/// Whom to ask: what the flags say, a local dev, else the node that the settings describe.
fn client_of_health(arguments: &Health) -> Result<Client, Wrong> {
    let client = &arguments.client;
    if client.endpoint.is_some() || Local::read(&client.data).is_some() {
        return client.client(Listener::Api);
    }
    let mut sources = arguments.settings.sources(Vec::new())?;
    sources.without_secrets = true;
    Client::new(&own_endpoint(&sources.load()?.settings)?, None)
}

/// Where a node of these settings answers `/health` and `/ready`: at its gateway, else at the first of its services.
pub fn own_endpoint(settings: &Settings) -> Result<String, Wrong> {
    let service = || {
        let port = settings.roles().into_iter().find_map(|role| settings.service_port(role));
        SocketAddr::new(settings.service_ports.host, port.unwrap_or(0))
    };
    let address = if settings.has_role(GATEWAY) { settings.listen.gateway } else { service() };
    if address.port() == 0 {
        return Err(Wrong::Usage("the settings leave the port to the system; name it by --endpoint URL".into()));
    }
    Ok(compose::base_url(address))
}

/// One word for a node that runs everything.
fn roles(roles: &[String]) -> String {
    let every = ROLES.iter().filter(|role| **role != ALL_ROLES).all(|role| roles.iter().any(|own| own == role));
    if every { ALL_ROLES.to_owned() } else { roles.join(",") }
}

fn shards_of(status: &ClusterStatus, node: &str) -> u32 {
    status.services.iter().filter_map(|service| service.owners.get(node)).sum()
}

/// Any JSON as lines of path and value.
fn flatten(path: &str, value: &Value, rows: &mut Vec<Vec<String>>) {
    let under = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match value {
        Value::Object(entries) => entries.iter().for_each(|(name, value)| flatten(&under(name), value, rows)),
        Value::Array(values) => {
            for (index, value) in values.iter().enumerate() {
                let name = value.get("name").and_then(Value::as_str).map_or_else(|| index.to_string(), str::to_owned);
                flatten(&under(&name), value, rows);
            }
        }
        Value::String(text) => rows.push(vec![path.to_owned(), text.clone()]),
        other => rows.push(vec![path.to_owned(), other.to_string()]),
    }
}
