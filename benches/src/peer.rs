//! What the processes do that a scenario starts beside itself: `nakku bench peer TASK …`.

use crate::error::BenchError;

/// The name under which the program starts itself again; not listed.
pub const NAME: &str = "peer";

/// Does one task.
///
/// # Errors
/// [`BenchError::Usage`] for a task that there is not; else what went wrong.
pub async fn run(rest: &[String]) -> Result<(), BenchError> {
    let task = rest.first().map_or("", String::as_str);
    Err(BenchError::Usage(format!("there is no peer task {task:?}")))
}
