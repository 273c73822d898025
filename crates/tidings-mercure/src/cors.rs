//! CORS headers of every answer.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use tidings_http::cors;
use tidings_http::state::State;

/// Adds the headers that let pages of allowed origins read an answer.
///
/// The origins are the hub's. Credentials are allowed for every one that is named, because in this
/// protocol a cookie can carry the token.
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
