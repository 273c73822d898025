use std::sync::Arc;

use super::claims::Access;
use super::config::MercureConfig;
use super::presence::Presence;
use super::selector::Patterns;
use crate::auth::cache::TokenCache;
use crate::auth::token::Signed;

/// The Mercure protocol of one hub: how it is configured, and what need not be found out again.
#[derive(Debug)]
pub(crate) struct Mercure {
    config: MercureConfig,
    pub(super) tokens: TokenCache<Signed<Arc<Access>>>,
    pub(super) patterns: Patterns,
    pub(super) presence: Arc<Presence>,
}

impl Mercure {
    pub(crate) fn new(config: MercureConfig) -> Self {
        Self {
            config,
            tokens: TokenCache::default(),
            patterns: Patterns::default(),
            presence: Arc::default(),
        }
    }

    pub(super) fn config(&self) -> &MercureConfig {
        &self.config
    }
}
