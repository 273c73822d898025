use std::time::Duration;

use super::keyed::Keyed;

/// What a publisher says about all of its events.
#[derive(Clone, Debug, Default)]
pub(super) struct Terms {
    pub(super) ttl: Option<Duration>,
    pub(super) keyed: Option<Keyed>,
}

impl Terms {
    /// The time to live as the hub reads it, which has whole seconds.
    pub(super) fn ttl_text(&self) -> Option<String> {
        self.ttl.map(|ttl| format!("{}s", ttl.as_millis().div_ceil(1000)))
    }
}
