//! Limits that all bearers of one key share.

use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;

use tidings_engine::{Rejection, TopicShare};

use crate::concurrency_limit::{ConcurrencyLimit, Permit};
use crate::quota_key::SHARED;
use crate::rate_limiter::RateLimiter;

/// Limits that all bearers of one key share; `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyLimits {
    /// Maximum concurrent subscribers and long polls. At the edge: a subscriber is asked to come
    /// back later, a long poll gets 429.
    pub connections_max: Option<NonZeroU32>,
    /// Maximum bytes of events published per second. At the edge: 429, or a stream of events is
    /// read more slowly.
    pub publish_bytes_max: Option<NonZeroU64>,
    /// Maximum topics begun with the key that have events ([`TopicShare`]). At the edge: 507 for an
    /// event on another new topic.
    pub topics_max: Option<NonZeroU32>,
}

/// The usage of all bearers of one key together, counted against their limits.
#[derive(Debug)]
pub struct KeyShare {
    connections: Option<Arc<ConcurrencyLimit>>,
    publish_bytes: Option<RateLimiter>,
    topics: Option<Arc<TopicShare>>,
}

impl KeyShare {
    /// The share for `limits`; `None` if nothing is limited.
    pub(crate) fn new(limits: KeyLimits) -> Option<Arc<Self>> {
        let KeyLimits { connections_max, publish_bytes_max, topics_max } = limits;
        (limits != KeyLimits::default()).then(|| {
            Arc::new(Self {
                connections: connections_max.map(|max| Arc::new(ConcurrencyLimit::new(max.get()))),
                publish_bytes: publish_bytes_max.map(RateLimiter::new),
                topics: topics_max.map(|max| Arc::new(TopicShare::new(max))),
            })
        })
    }

    /// Counts a subscriber or a long poll until the returned permit is dropped.
    ///
    /// # Errors
    ///
    /// [`Rejection::KeyConnections`] if the limit is reached.
    pub fn connect(share: Option<&Arc<Self>>) -> Result<Option<Permit>, Rejection> {
        let limit = share.and_then(|share| share.connections.as_ref());
        ConcurrencyLimit::acquire_if(limit, Some(SHARED)).ok_or(Rejection::KeyConnections)
    }

    /// The allowance of bytes.
    pub(crate) fn publish_bytes(&self) -> Option<&RateLimiter> {
        self.publish_bytes.as_ref()
    }

    /// The share of topics.
    pub fn topics(&self) -> Option<&Arc<TopicShare>> {
        self.topics.as_ref()
    }
}
