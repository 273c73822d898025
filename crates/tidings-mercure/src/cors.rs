//! Headers of every answer: what browsers may do with it.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use tidings_http::cors;
use tidings_http::state::State;

/// Adds to any answer what lets pages of the allowed origins read it.
///
/// The origins are the hub's; credentials go with every one that is named, since in this protocol a
/// cookie is a way to bring a token.
pub(crate) fn apply(state: &State, parts: &Parts, headers: &mut HeaderMap) {
    for (name, value) in [
        ("x-frame-options", "DENY"),
        ("x-xss-protection", "1; mode=block"),
        ("content-security-policy", "default-src 'self'"),
    ] {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    let config = &state.config().cors;
    if config.depends_on_origin() {
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
    }
    let Some(allowed) = config.allow_origin(parts.headers.get(header::ORIGIN)) else { return };
    if config.depends_on_origin() {
        headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
    if cors::is_preflight(parts) {
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_METHODS,
            HeaderValue::from_static("GET, HEAD, POST, QUERY"),
        );
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            HeaderValue::from_static("authorization, cache-control, last-event-id"),
        );
    } else {
        headers.insert(
            header::ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static("Link, Last-Event-ID, Mercure-Last-Event-ID"),
        );
    }
}
