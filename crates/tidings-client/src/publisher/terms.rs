use std::time::Duration;

/// What a publisher says about all of its events.
#[derive(Clone, Debug, Default)]
pub(super) struct Terms {
    pub(super) ttl: Option<Duration>,
    pub(super) append: Option<Append>,
}

/// The value that events are added to.
#[derive(Clone, Debug)]
pub(super) struct Append {
    pub(super) key: String,
    /// Where in the JSON of the events the string is that grows.
    pub(super) at: Option<String>,
}

impl Terms {
    /// The time to live as the hub reads it, which has whole seconds.
    pub(super) fn ttl_text(&self) -> Option<String> {
        self.ttl.map(|ttl| format!("{}s", ttl.as_millis().div_ceil(1000)))
    }
}

impl Append {
    pub(super) fn new(key: &str, at: Option<&str>) -> Self {
        Self { key: key.to_owned(), at: at.map(str::to_owned) }
    }
}
