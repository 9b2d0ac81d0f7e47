//! `nakku status` and `nakku health`: how the cluster and one node are.

use clap::Args;
use nakku_cluster::status::ClusterStatus;
use reqwest::Method;
use serde_json::Value;

use super::client::{ClientArguments, Listener};
use super::outcome::{Done, Wrong};
use super::show;
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

/// `nakku health`.
#[derive(Debug, Args)]
pub struct Health {
    /// The API of a node
    #[command(flatten)]
    pub client: ClientArguments,
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
    let client = arguments.client.client(Listener::Api)?;
    let answer = client.send(Method::GET, "/health", &[], None).await?;
    let ready = client.send(Method::GET, "/ready", &[], None).await?;
    let body = answer.clone().succeeded("GET /health")?;
    if arguments.json {
        return show::as_json(&body);
    }
    let state = if ready.is_success() { "ready" } else { "not ready (joining or draining)" };
    show::line(&format!("{} is alive and {state}\n", client.endpoint()))?;
    let mut rows = Vec::new();
    flatten("", &body, &mut rows);
    show::rows(false, &body, &["what", "state"], rows)
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
