use std::sync::Arc;

use super::claims::Access;
use super::presence::Presence;
use super::selector::Patterns;
use crate::auth::cache::TokenCache;

/// What need not be found out again.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(super) tokens: TokenCache<Access>,
    pub(super) patterns: Patterns,
    pub(super) presence: Arc<Presence>,
}
