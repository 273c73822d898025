use std::time::Duration;

/// What a publisher says about all of its events.
#[derive(Clone, Debug, Default)]
pub(super) struct Terms {
    pub(super) ttl: Option<Duration>,
    pub(super) keyed: Option<Keyed>,
}

/// The key that events belong to, and what each of them is to its value.
#[derive(Clone, Debug)]
pub(super) enum Keyed {
    /// All of the value.
    Whole { key: String },
    /// A piece that is added to it. `at` says where in the JSON of the events the string is that
    /// grows.
    Piece { key: String, at: Option<String> },
}

impl Terms {
    /// The time to live as the hub reads it, which has whole seconds.
    pub(super) fn ttl_text(&self) -> Option<String> {
        self.ttl.map(|ttl| format!("{}s", ttl.as_millis().div_ceil(1000)))
    }
}

impl Keyed {
    pub(super) fn whole(key: &str) -> Self {
        Self::Whole { key: key.to_owned() }
    }

    pub(super) fn piece(key: &str, at: Option<&str>) -> Self {
        Self::Piece { key: key.to_owned(), at: at.map(str::to_owned) }
    }

    /// The parameters and members by which the hub knows it, in this order.
    pub(super) fn fields(&self) -> [(&'static str, Option<&str>); 3] {
        let (key, append, at) = match self {
            Self::Whole { key } => (Some(&**key), None, None),
            Self::Piece { key, at } => (None, Some(&**key), at.as_deref()),
        };
        [("key", key), ("append", append), ("at", at)]
    }
}
