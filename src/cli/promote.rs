//! `nakku promote`: goes on with a replica that was made the primary.
//!
//! What comes before (the old primary fenced, all applied that the replica received, its replication ended, writes
//! allowed) is the operator's, or a script's; this checks it and has running nodes take their shards anew.

use std::collections::BTreeSet;

use clap::Args;
use nakku_cluster::promotion::Promotion;
use nakku_cluster::store;
use serde::Serialize;

use super::arguments::SettingsArguments;
use super::outcome::{Done, Wrong};
use super::show;
use crate::compose;

/// See [`super::arguments::Command::Promote`].
#[derive(Debug, Args)]
pub struct Promote {
    /// The old primary, fenced by now; it is asked with the login of the new one
    #[arg(long, value_name = "HOST:PORT")]
    pub old: String,
    /// The promoted server itself, if the settings name a load balancer; with the login of the settings
    #[arg(long, value_name = "HOST:PORT")]
    pub new: Option<String>,
    /// Which server was promoted, by setting and place (default-1, order-2); needed where there are several
    #[arg(long, value_name = "NAME")]
    pub server: Option<String>,
    /// The old primary does not answer, and you have seen to it that it can't come back as it is
    #[arg(long)]
    pub old_is_gone: bool,
    /// Where settings come from
    #[command(flatten)]
    pub settings: SettingsArguments,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Serialize)]
struct Raised {
    database: String,
    /// Of the cluster database: the version of its view.
    incarnation: u64,
}

/// Checks and raises.
pub async fn run(arguments: &Promote) -> Done {
    let loaded = arguments.settings.sources(Vec::new())?.load()?;
    let services = nakku_actors::services();
    let (topology, addresses) = compose::topology(&loaded.settings, &services);
    let names: Vec<&str> = addresses.keys().map(String::as_str).collect();
    let server = match (&arguments.server, names.as_slice()) {
        (Some(server), _) if addresses.contains_key(server) => server.as_str(),
        (None, [only]) => only,
        _ => return Err(Wrong::Usage(format!("name the promoted server by --server: {}", names.join(", ")))),
    };
    let url = &addresses[server];
    let new_url = match &arguments.new {
        Some(new) => at(url, new)?,
        None => url.clone(),
    };
    let new = store::open(&new_url).await.map_err(Wrong::failed)?;
    let old = store::open(&at(url, &arguments.old)?).await.map_err(Wrong::failed)?;
    let cluster_url = loaded.settings.cluster_database();
    let holds_cluster = host(&cluster_url) == host(url);
    let cluster = match holds_cluster {
        true => new.clone(),
        false => store::open(&cluster_url).await.map_err(Wrong::failed)?,
    };
    let on_server = |name: &str| topology.service(name).databases.iter().any(|range| range.server == server);
    let on_server: BTreeSet<&'static str> =
        services.iter().map(|service| service.name).filter(|name| on_server(name)).collect();
    let on_server: Vec<&'static str> = on_server.into_iter().collect();
    let promotion = Promotion {
        server,
        new: &new,
        old: &old,
        old_is_gone: arguments.old_is_gone,
        services: &on_server,
        cluster: &cluster,
        holds_cluster,
    };
    let promoted = promotion.perform().await.map_err(Wrong::failed)?;
    let view = promoted.view_version.map(|incarnation| Raised { database: "nakku_cluster".into(), incarnation });
    let raised = promoted.incarnations.into_iter();
    let raised = raised.map(|(name, incarnation)| Raised { database: format!("nakku_{name}"), incarnation });
    let done: Vec<Raised> = view.into_iter().chain(raised).collect();
    let rows = done.iter().map(|one| vec![one.database.clone(), one.incarnation.to_string()]);
    show::rows(arguments.json, &done, &["database", "incarnation"], rows)
}

/// `HOST:PORT` of an address.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
    rest.split(['/', '?']).next().unwrap_or_default()
}

/// The same address on another server.
fn at(url: &str, other: &str) -> Result<String, Wrong> {
    let clean = other.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    if !clean || other.contains(['/', '@', '?']) {
        return Err(Wrong::Usage(format!("{other:?} is no HOST:PORT")));
    }
    let from = url.len() - url.split_once("://").map_or(url, |(_, rest)| rest).len();
    let start = url[from..].rfind('@').map_or(from, |at| from + at + 1);
    let end = start + host(url).len();
    Ok(format!("{}{other}{}", &url[..start], &url[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_moves_with_its_login_and_its_options() {
        let moved = at("mysql://nakku:p@ss/word@db-1:3306?ssl-mode=required", "db-2:3307").expect("an address");
        assert_eq!(moved, "mysql://nakku:p@ss/word@db-2:3307?ssl-mode=required");
        assert_eq!(at("mysql://db-1:3306", "db-2:3306").expect("an address"), "mysql://db-2:3306");
        assert_eq!(at("mysql://root@[::1]:3306/", "[::2]:3306").expect("an address"), "mysql://root@[::2]:3306/");
        for wrong in ["db-2", "db-2:port", "mysql://db-2:3306", "u@db-2:3306", ":3306"] {
            assert!(at("mysql://db-1:3306", wrong).is_err(), "{wrong}");
        }
    }
}
