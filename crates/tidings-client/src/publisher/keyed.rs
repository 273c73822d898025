/// The key that events belong to, and what each of them is to its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keyed {
    /// All of the value, from the event on.
    Whole {
        /// The key.
        key: String,
    },
    /// A piece that is added to the value.
    Piece {
        /// The key.
        key: String,
        /// A JSON pointer, such as `/delta`, to the string that grows in the JSON of the events;
        /// `None` if the value is text.
        at: Option<String>,
    },
}

impl Keyed {
    /// All of the value of `key`.
    pub fn whole(key: &str) -> Self {
        Self::Whole { key: key.to_owned() }
    }

    /// A piece of the value of `key`; with `at`, of the string there.
    pub fn piece(key: &str, at: Option<&str>) -> Self {
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
