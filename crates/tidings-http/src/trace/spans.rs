//! The spans, named by OpenTelemetry's conventions for HTTP servers.

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

/// The target by which a subscriber of `tracing` finds these spans.
const TARGET: &str = "tidings_server::trace";

/// Below the default level of the log.
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
    // A span of the application or of the hub's caller is the parent, if there is one.
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
        span.record("tidings.resume", stream.pending.outcome.name());
        span.record("tidings.connection", display(&stream.pending.connection));
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
        // It fails only if no subscriber records the span.
        let _ = span.set_parent(context);
    }
}

/// Waits within a child span of the request's span.
pub async fn step<F: Future>(step: Step, waiting: F) -> F::Output {
    let span = match step {
        Step::Authenticate => tracing::span!(target: TARGET, LEVEL, "authenticate"),
        Step::Commit { events } => tracing::span!(target: TARGET, LEVEL, "commit", events),
    };
    waiting.instrument(span).await
}

/// Records that the request was rejected, with a word for the kind of reason.
pub fn refused(kind: &str) {
    Span::current().record("error.type", kind);
}

/// Records that the subscriber was asked to come back later.
pub fn rejected(reason: &str) {
    Span::current().record("tidings.turned_away", reason);
}
