//! Traces: the spans of `tidings-server`, to an OpenTelemetry collector (OTLP over HTTP).
//!
//! The library reads its `OTEL_…` variables itself. A span that is over waits in a queue, which a
//! thread of the library's own empties every few seconds; if the collector is slow or gone, the
//! queue fills, and spans are dropped. Requests never wait for it.

use std::env;
use std::error::Error;
use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry::{Key, KeyValue, global};
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::{Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::registry::LookupSpan;

use crate::error::CliError;
use crate::exit_code::ExitCode;

/// Spans are on their way to a collector.
pub(super) struct Traces(SdkTracerProvider);

impl Traces {
    /// Begins to send spans, if the environment says where.
    ///
    /// # Errors
    ///
    /// The value is not a valid address.
    pub(super) fn start() -> Result<Option<Self>, CliError> {
        let is_on = ENDPOINTS.iter().any(|name| said(name).is_some())
            && !said("OTEL_SDK_DISABLED").is_some_and(|text| text.eq_ignore_ascii_case("true"))
            && said("OTEL_TRACES_EXPORTER").is_none_or(|text| text != "none");
        if !is_on {
            return Ok(None);
        }
        let exporter = SpanExporter::builder().with_http().build().map_err(|error| {
            let cause: Box<dyn Error + Send + Sync> = error.into();
            let message = "the OTEL_ variables for sending traces are invalid";
            CliError::new(ExitCode::Configuration, message).because(cause)
        })?;
        let provider = SdkTracerProvider::builder().with_batch_exporter(exporter);
        global::set_text_map_propagator(TraceContextPropagator::new());
        Ok(Some(Self(provider.with_resource(resource()).build())))
    }

    /// The destination of the spans.
    pub(super) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let tracer = self.0.tracer("tidings");
        let layer = tracing_opentelemetry::layer().with_tracer(tracer);
        // Where in our source a span begins, and on which thread, does not help an operator.
        let layer = layer.with_location(false).with_threads(false).with_target(false);
        layer.with_filter(Targets::new().with_target("tidings_server::trace", Level::DEBUG))
    }

    /// Sends what is still in the queue, or gives it up.
    pub(super) fn end(self) {
        if let Err(error) = self.0.shutdown_with_timeout(LAST_SPANS_MAX) {
            tracing::warn!(%error, "the last traces were not sent");
        }
    }
}

/// Either says where the collector is; the first wins.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];

/// How long the end of the hub may be held up by spans.
const LAST_SPANS_MAX: Duration = Duration::from_secs(2);

/// This process's attributes for the collector: those of the environment, or a hub's name.
fn resource() -> Resource {
    const NAME: Key = Key::from_static_str("service.name");
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let found = Resource::builder().build();
    let is_named = found.get(&NAME).is_some_and(|name| !name.as_str().starts_with("unknown"));
    let has_version = found.get(&Key::from_static_str("service.version")).is_some();
    let mut builder = Resource::builder();
    if !is_named {
        builder = builder.with_service_name("tidings");
    }
    if !has_version {
        builder = builder.with_attribute(version);
    }
    builder.build()
}

/// A variable of the environment that is not empty.
fn said(name: &str) -> Option<String> {
    env::var(name).ok().filter(|text| !text.is_empty())
}
