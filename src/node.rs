//! `nakku node`: one node of a cluster, from its start to its drain.

use std::os::unix::process::CommandExt;
use std::process::Command;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cli::outcome::{Done, Wrong};
use crate::settings::{Loaded, check};
use crate::{compose, ports, telemetry};

/// The exit code after a second signal: 128 and the number of SIGINT, as shells have it.
pub const STOPPED_AT_ONCE: i32 = 130;

/// Runs until it is told to stop.
///
/// # Errors
/// When it can't start.
pub async fn run(loaded: &Loaded) -> Done {
    let settings = &loaded.settings;
    check::check_node(settings)?;
    telemetry::start(settings)?;
    let mut stop = StopSignals::listen()?;
    ports::check(settings)?;
    if settings.payment.simulated_card {
        tracing::warn!(setting = "payment.simulated_card", "the simulated card takes payments; no money moves");
    }
    let running = compose::start(settings).await?;
    tracing::info!(
        node = settings.node_name(),
        roles = settings.roles().join(","),
        api = running.api(),
        admin = running.admin(),
        links = running.links(),
        "node is up"
    );
    tokio::select! {
        () = stop.first() => {}
        () = running.declared_down() => return Err(start_again()),
    }
    tracing::info!(drain_ms = settings.node.drain_ms, "told to stop; draining");
    tokio::select! {
        () = running.drain(settings.drain()) => {}
        () = stop.second() => std::process::exit(STOPPED_AT_ONCE),
    }
    tracing::info!("node has stopped");
    Ok(())
}

/// SIGTERM and Ctrl-C: the first drains, the second ends at once.
#[derive(Debug)]
pub struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    /// Takes both over from here on.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn listen() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for one.
    pub async fn first(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Waits for one more.
    pub async fn second(&mut self) {
        self.first().await;
    }
}

/// Starts this program again in the same process with the same arguments: what the others have declared down stays
/// down for its generation, and whatever it still had in memory must not serve. Returns only when that fails.
pub fn start_again() -> Wrong {
    tracing::warn!("the others have declared this node down; starting again");
    let program = std::env::current_exe();
    let cause = match program {
        Ok(program) => Command::new(program).args(std::env::args_os().skip(1)).exec(),
        Err(error) => error,
    };
    Wrong::Failed(format!("can't start again after the others have declared this node down: {cause}"))
}
