//! The spans, named as OpenTelemetry's conventions for HTTP servers have it.

use http::request::Parts;
use http::{HeaderMap, Version};
use opentelemetry::global;
use opentelemetry::trace::TraceContextExt;
use opentelemetry_http::HeaderExtractor;
use tracing::field::{Empty, display};
use tracing::{Instrument, Level, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::Step;
use crate::answer::Answer;
use crate::client::Client;

/// By which a subscriber of `tracing` finds these spans.
const TARGET: &str = "tidings_server::trace";

/// Below what the log tells unless it is asked to.
const LEVEL: Level = Level::DEBUG;

/// Answers a request, within a span of its own if it is to have one.
pub async fn request(
    parts: &Parts,
    route: &'static str,
    is_traced: bool,
    answer: impl Future<Output = Answer>,
) -> Answer {
    if !is_traced {
        return answer.await;
    }
    // What the application or the hub's caller is within is the parent, if there is such.
    let is_first = Span::current().is_none();
    let span = begin(parts, route);
    if span.is_disabled() {
        return answer.await;
    }
    if is_first {
        join(&span, &parts.headers);
    }
    let answer = answer.instrument(span.clone()).await;
    let status = answer.status();
    span.record("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
    if let Answer::Stream(stream) = &answer {
        span.record("tidings.resume", stream.opening.outcome.name());
        span.record("tidings.connection", display(&stream.opening.connection));
    }
    answer
}

fn begin(parts: &Parts, route: &'static str) -> Span {
    let method = &parts.method;
    let version = match parts.version {
        Version::HTTP_2 => "2",
        Version::HTTP_10 => "1.0",
        _ => "1.1",
    };
    let span = tracing::span!(
        target: TARGET,
        LEVEL,
        "request",
        otel.kind = "server",
        otel.name = format_args!("{method} {route}"),
        otel.status_code = Empty,
        http.request.method = %method,
        http.route = route,
        http.response.status_code = Empty,
        network.protocol.version = version,
        // Without the query: it may hold a token.
        url.path = parts.uri.path(),
        client.address = Empty,
        "error.type" = Empty,
        tidings.connection = Empty,
        tidings.resume = Empty,
        tidings.turned_away = Empty,
    );
    if let Some(client) = Client::of(parts) {
        span.record("client.address", display(client.address));
    }
    span
}

/// Makes the span one of the trace that the request names (`traceparent`), if it names one.
fn join(span: &Span, headers: &HeaderMap) {
    let context =
        global::get_text_map_propagator(|propagator| propagator.extract(&HeaderExtractor(headers)));
    if context.span().span_context().is_valid() {
        // It fails only where nobody takes the span.
        let _ = span.set_parent(context);
    }
}

/// Waits, within a span below that of the request.
pub async fn step<F: Future>(step: Step, waiting: F) -> F::Output {
    let span = match step {
        Step::Authenticate => tracing::span!(target: TARGET, LEVEL, "authenticate"),
        Step::Commit { events } => tracing::span!(target: TARGET, LEVEL, "commit", events),
    };
    waiting.instrument(span).await
}

/// The request was refused, in a word that stands for all of its kind.
pub fn refused(kind: &str) {
    Span::current().record("error.type", kind);
}

/// The subscriber was asked to come back later.
pub fn rejected(reason: &str) {
    Span::current().record("tidings.turned_away", reason);
}
