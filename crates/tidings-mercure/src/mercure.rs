use std::sync::Arc;

use tidings_http::auth::cache::TokenCache;
use tidings_http::auth::token::Signed;

use crate::claims::Access;
use crate::config::MercureConfig;
use crate::presence::Presence;
use crate::selector::Patterns;

/// The Mercure protocol of one hub: its configuration, its presence and its caches.
#[derive(Debug)]
pub struct Mercure {
    config: MercureConfig,
    pub(crate) tokens: TokenCache<Signed<Arc<Access>>>,
    pub(crate) patterns: Patterns,
    pub(crate) presence: Arc<Presence>,
}

impl Mercure {
    /// The protocol with this configuration. It is enabled by being among the faces of a hub.
    pub fn new(config: MercureConfig) -> Self {
        Self {
            config,
            tokens: TokenCache::default(),
            patterns: Patterns::default(),
            presence: Arc::default(),
        }
    }

    pub(crate) fn config(&self) -> &MercureConfig {
        &self.config
    }
}
