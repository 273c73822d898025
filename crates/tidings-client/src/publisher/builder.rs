//! `PublisherBuilder`: where to publish, and how hard to try.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use http::HeaderMap;

use super::{Ids, Inner};
use crate::given_headers::GivenHeaders;
use crate::limits::{PUBLISH_RETRIES_MAX, PUBLISH_WAIT_MAX};
use crate::target::Target;
use crate::{HttpTransport, OpenError, Publisher, Transport};

/// Where to publish, and how often to retry. Made by [`Publisher::builder`].
#[must_use = "a publisher must be built"]
pub struct PublisherBuilder {
    hub: String,
    headers: GivenHeaders,
    transport: Option<Arc<dyn Transport>>,
    answer_wait_max: Duration,
    retries_max: u32,
    assign_ids: bool,
}

impl PublisherBuilder {
    pub(super) fn new(hub: &str) -> Self {
        Self {
            hub: hub.to_owned(),
            headers: GivenHeaders::new(),
            transport: None,
            answer_wait_max: PUBLISH_WAIT_MAX,
            retries_max: PUBLISH_RETRIES_MAX,
            assign_ids: true,
        }
    }

    /// Sends a header with every publish, replacing one of the same name.
    pub fn header(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Sends headers with every publish, replacing those of the same names; several values of one
    /// name are all sent.
    pub fn headers(mut self, headers: HeaderMap) -> Self {
        self.headers.replace(headers);
        self
    }

    /// Sends `Authorization: Bearer` with a token.
    pub fn bearer_token(mut self, token: &str) -> Self {
        self.headers.insert_bearer_token(token);
        self
    }

    /// Whether an event without an id gets one, so that it can be retried whatever happened to the
    /// first attempt. On by default. Otherwise the hub assigns its own, shorter ids.
    pub fn assign_ids(mut self, assign: bool) -> Self {
        self.assign_ids = assign;
        self
    }

    /// How often a publish is retried: [5 times](PUBLISH_RETRIES_MAX) by default.
    pub fn retries_max(mut self, retries: u32) -> Self {
        self.retries_max = retries;
        self
    }

    /// How long to wait for an answer: [30 seconds](PUBLISH_WAIT_MAX) unless set.
    pub fn answer_wait_max(mut self, wait: Duration) -> Self {
        self.answer_wait_max = wait;
        self
    }

    /// Uses another transport, for example a shared one.
    pub fn transport(mut self, transport: impl Transport) -> Self {
        self.transport = Some(Arc::new(transport));
        self
    }

    /// Builds the publisher. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`OpenError`] if a given value is invalid.
    pub fn build(self) -> Result<Publisher, OpenError> {
        let (hub, credentials) = Target::parse(&self.hub)?;
        let headers = self.headers.finish(credentials)?;
        // A query would end up in the middle of the paths made of it.
        let base = hub.as_str().split('?').next().unwrap_or_default();
        let ids = self.assign_ids.then(|| Ids { name: random_name(), next: AtomicU64::new(0) });
        Ok(Publisher::from_inner(Inner {
            base: base.trim_end_matches('/').to_owned(),
            headers,
            transport: self.transport.unwrap_or_else(|| Arc::new(HttpTransport::new())),
            answer_wait_max: self.answer_wait_max,
            retries_max: self.retries_max,
            ids,
        }))
    }
}

/// Sixty-four random bits (the system provides the keys of a `RandomState`), in thirteen letters
/// and digits: short, because every subscriber receives it.
fn random_name() -> String {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let mut bits = RandomState::new().hash_one(0);
    let mut name = String::new();
    while bits > 0 {
        name.push(char::from(DIGITS[(bits % 36) as usize]));
        bits /= 36;
    }
    name
}
