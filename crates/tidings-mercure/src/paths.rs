//! Where the protocol is.

use http::Method;

/// Where the hub is.
pub(crate) const HUB: &str = "/.well-known/mercure";

/// Where its metadata is (RFC 9728 §3).
pub(crate) const METADATA: &str = "/.well-known/oauth-protected-resource/.well-known/mercure";

/// What there is, and what can be done with it, for the published description. `QUERY` is not among
/// the methods that one can name.
pub const ROUTES: &[(&str, &[Method])] = &[
    (HUB, &[Method::GET, Method::POST]),
    (METADATA, &[Method::GET]),
    ("/.well-known/mercure/subscriptions", &[Method::GET]),
    ("/.well-known/mercure/subscriptions/{topic}", &[Method::GET]),
    ("/.well-known/mercure/subscriptions/{topic}/{subscriber}", &[Method::GET]),
    ("/.well-known/mercure/subscriptions/{match_type}/{match}/{subscriber}", &[Method::GET]),
];

/// Whether `path` is one of this protocol.
pub(crate) fn has(path: &str) -> bool {
    let below = path.strip_prefix(HUB);
    let ours = below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    ours || path == METADATA
}
