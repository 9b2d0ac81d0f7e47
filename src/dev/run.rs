//! Starts a local dev, looks after it, stops it.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::local::{Local, LocalNode};
use super::nodes::{DevNode, LOOK_EVERY};
use super::secrets::Secrets;
use super::{folder, rider};
use crate::cli::arguments::SettingsArguments;
use crate::cli::outcome::{Done, Wrong};
use crate::compose::Running;
use crate::settings::{Loaded, check};
use crate::{compose, node, ports, telemetry};

/// What a local dev is asked for.
#[derive(Debug)]
pub struct Wanted {
    /// Nodes in all.
    pub nodes: usize,
    /// Where settings come from.
    pub settings: SettingsArguments,
    /// `--port`.
    pub port: Option<u16>,
    /// `--data`.
    pub data: PathBuf,
}

/// How much longer than its own drain a node gets before it counts as stuck.
const STOP_SLACK: Duration = Duration::from_secs(5);

/// Runs until it is told to stop.
///
/// # Errors
/// When it can't start.
pub async fn run(wanted: &Wanted) -> Done {
    let _held = folder::hold(&wanted.data)?;
    let secrets = Secrets::of(&wanted.data)
        .map_err(|error| Wrong::Failed(format!("{}/secrets.json: {error}", wanted.data.display())))?;
    let loaded = load(wanted, &secrets)?;
    let settings = &loaded.settings;
    check::check(settings)?;
    telemetry::start(settings)?;
    let stop = node::StopSignals::listen()?;
    ports::check(settings)?;
    let mut others = living(&wanted.data, wanted.nodes).await;

    let running = compose::start(settings).await?;
    nakku_actors::demo::seed(&running.cluster())
        .await
        .map_err(|error| Wrong::Failed(format!("the demo shop: {error}")))?;
    let first = LocalNode {
        name: settings.node_name(),
        pid: std::process::id(),
        api: running.api(),
        admin: running.admin(),
        links: running.links(),
    };
    let taken: Vec<String> = others.iter().map(|node| node.local.name.clone()).collect();
    for number in 2..=wanted.nodes {
        if !taken.contains(&format!("node-{number}")) {
            let started = DevNode::start(number, &first, &loaded);
            others.push(started.map_err(|error| Wrong::Failed(format!("can't start node-{number}: {error}")))?);
        }
    }
    let local = Local {
        admin_token: settings.auth.admin_token.clone(),
        nodes: std::iter::once(&first).chain(others.iter().map(|node| &node.local)).cloned().collect(),
    };
    local.write(&wanted.data)?;
    banner(&first, &others, wanted);
    let riders = rider::start(&first.api);
    let again = look_after(&running, &mut others, stop).await;
    drop(riders);
    if again {
        // The further nodes go on; this process takes them over again once it is back.
        return Err(node::start_again());
    }
    Local::remove(&wanted.data);
    stop_all(running, others, settings.drain()).await;
    Ok(())
}

/// The settings of a dev: one machine, everything on the loopback.
fn load(wanted: &Wanted, secrets: &Secrets) -> Result<Loaded, Wrong> {
    let mut flags = vec![("node.data".to_owned(), wanted.data.display().to_string())];
    if let Some(port) = wanted.port {
        flags.push(("listen.gateway".into(), format!("127.0.0.1:{port}")));
    }
    let mut sources = wanted.settings.sources(flags)?;
    sources.dev = vec![
        ("node.name", "node-1".into()),
        ("node.drain_ms", "5000".into()),
        ("cluster.cookie", secrets.cookie.clone()),
        ("auth.jwt_secret", secrets.jwt_secret.clone()),
        ("auth.admin_token", secrets.admin_token.clone()),
        ("links.tls", "off".into()),
        ("listen.gateway", "127.0.0.1:8080".into()),
        ("listen.links", "127.0.0.1:7946".into()),
        ("listen.admin", "127.0.0.1:7947".into()),
        ("service_ports.host", "127.0.0.1".into()),
        ("http.drain_notice_ms", "0".into()),
        ("payment.simulated_card", "true".into()),
        ("notification.smtp_url", "log".into()),
        ("log.level", "warn,ractor_cluster=error".into()),
    ];
    Ok(sources.load()?)
}

/// Nodes of an earlier dev on this folder that still live: those wanted are taken over, others are stopped.
async fn living(data: &Path, wanted: usize) -> Vec<DevNode> {
    let Some(earlier) = Local::read(data) else { return Vec::new() };
    let others = earlier.nodes.into_iter().skip(1).filter_map(|local| DevNode::take_over(local, data));
    let mut kept = Vec::new();
    for mut node in others {
        if (2..=wanted).any(|number| node.local.name == format!("node-{number}")) {
            println!("{} (process {}) of an earlier dev still runs and is taken over", node.local.name, node.local.pid);
            kept.push(node);
        } else {
            println!("{} (process {}) of an earlier dev still runs and is stopped", node.local.name, node.local.pid);
            node.tell_to_stop();
            node.wait(Instant::now() + Duration::from_secs(10)).await;
        }
    }
    kept
}

/// Shows the others' output and their ends. True when this node has to start again, false when it shall stop.
async fn look_after(running: &Running, others: &mut Vec<DevNode>, mut stop: node::StopSignals) -> bool {
    let mut look = tokio::time::interval(LOOK_EVERY);
    loop {
        tokio::select! {
            () = stop.first() => break,
            () = running.declared_down() => return true,
            _ = look.tick() => {}
        }
        others.retain_mut(|node| {
            node.show_output();
            let Some(how) = node.ended() else { return true };
            eprintln!("{} (process {}) {how}; the other nodes go on", node.local.name, node.local.pid);
            false
        });
    }
    tokio::spawn(async move {
        stop.second().await;
        std::process::exit(node::STOPPED_AT_ONCE);
    });
    false
}

/// The others first, so that they hand their shards over to this node, then this one.
async fn stop_all(running: Running, mut others: Vec<DevNode>, drain: Duration) {
    println!("stopping");
    others.iter().for_each(DevNode::tell_to_stop);
    let deadline = Instant::now() + drain + STOP_SLACK;
    for node in &mut others {
        if !node.wait(deadline).await {
            eprintln!("{} (process {}) has not stopped in time", node.local.name, node.local.pid);
        }
    }
    running.drain(drain).await;
}

fn banner(first: &LocalNode, others: &[DevNode], wanted: &Wanted) {
    let api = &first.api;
    let data = match wanted.data.to_str() {
        Some(super::DATA_DEFAULT) | None => String::new(),
        Some(folder) => format!(" --data {folder}"),
    };
    println!("nakku {} is up", env!("CARGO_PKG_VERSION"));
    println!("  API        {api}/api/v1");
    println!("  read it    {api}/docs");
    println!("  OpenAPI    {api}/openapi.json");
    println!("  admin      {}", first.admin);
    println!("  console    {}/console", first.admin);
    println!("  data       {} (the admin token is in dev.json)", wanted.data.display());
    for node in others {
        println!("  {}     {} (process {})", node.local.name, node.local.api, node.local.pid);
    }
    println!("try in another terminal:");
    println!("  nakku order{data}      one order, step by step");
    println!("  nakku status{data}     nodes, shards, health");
    println!("stop with Ctrl-C");
}
