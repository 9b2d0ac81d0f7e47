//! What of its process a node can be told to change. There is one node in a process, and its program says how.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::question::ProfileFormat;

/// For how long log levels may be changed at most.
pub const LOG_LEVEL_MAX: Duration = Duration::from_secs(3600);

static CONTROLS: OnceLock<Box<dyn Controls>> = OnceLock::new();
/// Counts the changes, so that only the last one's end counts.
static CHANGES: AtomicU64 = AtomicU64::new(0);

/// See the module.
pub trait Controls: Send + Sync + 'static {
    /// Logs by these directives (`nakku_cluster=debug,info`), or as usual again without any.
    ///
    /// # Errors
    /// What is wrong with them.
    fn log_by(&self, directives: Option<&str>) -> Result<(), String>;

    /// Begins to note what the processor does.
    ///
    /// # Errors
    /// Why it can't.
    fn profile(&self) -> Result<Box<dyn Profiling>, String> {
        Err(NO_PROFILES.into())
    }
}

/// A profile that is being taken; it ends when this is dropped.
pub trait Profiling: Send {
    /// What was noted.
    ///
    /// # Errors
    /// Why it can't be shown.
    fn finish(self: Box<Self>, format: ProfileFormat) -> Result<Vec<u8>, String>;
}

const NO_PROFILES: &str = "this program can't profile itself";

/// Says how the process is controlled; only the first one counts.
pub fn install(controls: impl Controls) {
    let _ = CONTROLS.set(Box::new(controls));
}

/// Begins to note what the processor does.
///
/// # Errors
/// Why this program can't.
pub(crate) fn profile() -> Result<Box<dyn Profiling>, String> {
    CONTROLS.get().ok_or(NO_PROFILES)?.profile()
}

/// Changes what is logged for a time; the change before it ends with it.
///
/// # Errors
/// What is wrong with the directives or the time, or that this program has no such control.
pub(crate) fn log_by(directives: &str, time: Duration) -> Result<(), String> {
    let controls = CONTROLS.get().ok_or("this program can't change what it logs")?;
    if time.is_zero() || time > LOG_LEVEL_MAX {
        return Err(format!("what is logged is changed for 1 to {} seconds", LOG_LEVEL_MAX.as_secs()));
    }
    controls.log_by(Some(directives))?;
    let change = CHANGES.fetch_add(1, Ordering::Relaxed) + 1;
    tokio::spawn(async move {
        tokio::time::sleep(time).await;
        if CHANGES.load(Ordering::Relaxed) == change
            && let Err(error) = controls.log_by(None)
        {
            tracing::warn!(error, "what is logged could not be changed back");
        }
    });
    Ok(())
}
