//! Log lines to standard error, and traces to a collector if one is set.
//!
//! - [`span`]: notes the spans of this node with the trace that each belongs to
//! - [`export`]: sends them to an OpenTelemetry collector
//! - [`json`]: log lines as JSON, with the trace that each belongs to
//! - [`profile`]: what the processor does, for a time

pub mod export;
pub mod json;
pub mod profile;
pub mod span;

#[cfg(test)]
mod tests;

use nakku_cluster::inspect::controls::{self, Controls, Profiling};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

use crate::settings::tree::LogFormat;
use crate::settings::{Settings, SettingsError};

/// Sends log lines and traces where the settings say, from here on. Must be called within a runtime.
///
/// # Errors
/// When `log.level` is no filter or `telemetry.otlp_endpoint` no URL.
pub fn start(settings: &Settings) -> Result<(), SettingsError> {
    let level = &settings.log.level;
    let filter = EnvFilter::try_new(level).map_err(|error| {
        SettingsError::Unfit(format!("log.level is {level:?}, which is no filter: {error}; try info"))
    })?;
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(false).log_internal_errors(false);
    let lines = match settings.log.format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().event_format(json::JsonLines).boxed(),
    };
    let endpoint = &settings.telemetry.otlp_endpoint;
    let spans = match endpoint.as_str() {
        "" => None,
        endpoint => {
            let queue = export::start(endpoint, &settings.node_name())?;
            Some(span::SpanLayer::new(queue).with_filter(span::wanted()))
        }
    };
    let (filter, handle) = reload::Layer::new(filter);
    controls::install(LogControl { handle, usual: level.clone() });
    // A second call, in a test of the same process, finds the first one's in place.
    let _ = tracing_subscriber::registry().with(lines.with_filter(filter)).with(spans).try_init();
    Ok(())
}

/// Lets an operator change what is logged while the node runs.
struct LogControl {
    handle: reload::Handle<EnvFilter, Registry>,
    usual: String,
}

impl Controls for LogControl {
    fn log_by(&self, directives: Option<&str>) -> Result<(), String> {
        let text = directives.unwrap_or(&self.usual);
        let filter = EnvFilter::try_new(text).map_err(|error| format!("{text:?} is no filter: {error}; try debug"))?;
        self.handle.reload(filter).map_err(|error| error.to_string())
    }

    fn profile(&self) -> Result<Box<dyn Profiling>, String> {
        profile::start()
    }
}
