//! The names a line may begin with.

/// What the value of a line is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    /// `data`: a line of the payload.
    Data,
    /// `event`: the type.
    Event,
    /// `id`: what the last event id will be.
    Id,
    /// `retry`: the reconnection time.
    Retry,
    /// No name but a colon: a comment.
    Comment,
}

impl Field {
    /// The longest name there is, in bytes.
    pub(crate) const NAME_BYTES_MAX: usize = b"event".len();

    /// Names are exact: no other case, no spaces, no marks (HTML §9.2.6, process the field).
    #[inline]
    pub(crate) fn from_name(name: &[u8]) -> Option<Self> {
        match name {
            b"data" => Some(Self::Data),
            b"id" => Some(Self::Id),
            b"event" => Some(Self::Event),
            b"retry" => Some(Self::Retry),
            b"" => Some(Self::Comment),
            _ => None,
        }
    }
}
