//! The log: to standard error, for people or as JSON lines. With the feature `otel` also traces: to
//! an OpenTelemetry collector.

#[cfg(feature = "otel")]
mod traces;

use std::io::{self, IsTerminal};

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt};

use crate::error::CliError;
use crate::hub_config::LogConfig;
use crate::output;

/// Logging and tracing, for as long as this value lives.
pub(crate) struct Telemetry {
    #[cfg(feature = "otel")]
    traces: Option<traces::Traces>,
}

impl Telemetry {
    /// Begins to log as `config` says. To be called once, and not on a runtime.
    ///
    /// # Errors
    ///
    /// The environment asks for traces, and not in a way that is possible.
    pub(crate) fn start(config: &LogConfig) -> Result<Self, CliError> {
        #[cfg(feature = "otel")]
        let traces = traces::Traces::start()?;
        let log = log(config.json).with_filter(EnvFilter::new(&config.filter));
        let registry = tracing_subscriber::registry().with(log);
        #[cfg(feature = "otel")]
        let registry = registry.with(traces.as_ref().map(traces::Traces::layer));
        registry.init();
        #[cfg(feature = "otel")]
        return Ok(Self { traces });
        #[cfg(not(feature = "otel"))]
        Ok(Self {})
    }

    /// Sends what is still queued.
    pub(crate) fn end(self) {
        #[cfg(feature = "otel")]
        if let Some(traces) = self.traces {
            traces.end();
        }
    }
}

fn log(json: bool) -> Box<dyn Layer<Registry> + Send + Sync> {
    let layer = fmt::layer().with_writer(io::stderr);
    match json {
        true => layer.json().flatten_event(true).boxed(),
        false => layer.with_ansi(output::may_colour(io::stderr().is_terminal())).boxed(),
    }
}
