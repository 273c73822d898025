//! The paths of the protocol.

use http::Method;

/// The path of the hub.
pub(crate) const HUB: &str = "/.well-known/mercure";

/// The path of its metadata (RFC 9728 §3).
pub(crate) const METADATA: &str = "/.well-known/oauth-protected-resource/.well-known/mercure";

/// Paths and methods for the published description, which cannot name `QUERY`.
pub const ROUTES: &[(&str, &[Method])] = &[
    (HUB, &[Method::GET, Method::POST]),
    (METADATA, &[Method::GET]),
    ("/.well-known/mercure/subscriptions", &[Method::GET]),
    ("/.well-known/mercure/subscriptions/{topic}", &[Method::GET]),
    ("/.well-known/mercure/subscriptions/{topic}/{subscriber}", &[Method::GET]),
    ("/.well-known/mercure/subscriptions/{match_type}/{match}/{subscriber}", &[Method::GET]),
];

/// Whether `path` belongs to this protocol.
pub(crate) fn has(path: &str) -> bool {
    let below = path.strip_prefix(HUB);
    let ours = below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    ours || path == METADATA
}
