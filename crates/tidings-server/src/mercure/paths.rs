//! Where the protocol is.

use super::config::MercureConfig;

/// Where the hub is.
pub(super) const HUB: &str = "/.well-known/mercure";

/// Where its metadata is (RFC 9728 §3).
pub(super) const METADATA: &str = "/.well-known/oauth-protected-resource/.well-known/mercure";

/// Whether a request to `path` is one of this protocol.
pub(crate) fn has(config: &MercureConfig, path: &str) -> bool {
    let below = path.strip_prefix(HUB);
    let ours = below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    config.enabled && (ours || path == METADATA)
}
