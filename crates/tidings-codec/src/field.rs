//! The field names that a line may begin with.

/// The field that a line sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    /// `data`: a line of the payload.
    Data,
    /// `event`: the type.
    Event,
    /// `id`: the next last event id.
    Id,
    /// `retry`: the reconnection time.
    Retry,
    /// An empty name and a colon: a comment.
    Comment,
}

impl Field {
    /// Names match exactly, including case (HTML §9.2.6, process the field).
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

/// The part of a cut line's name received so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Name {
    bytes: [u8; Name::BYTES_MAX],
    len: usize,
}

impl Name {
    /// Length of the longest name, in bytes.
    pub(crate) const BYTES_MAX: usize = b"event".len();

    pub(crate) fn clear(&mut self) {
        self.len = 0;
    }

    /// Takes bytes from the front of `input` up to a colon, a line end or the end of the chunk, or
    /// until they exceed the longest name.
    pub(crate) fn take(&mut self, input: &mut &[u8]) {
        while let Some((&byte, rest)) = input.split_first()
            && self.len < Self::BYTES_MAX
            && !matches!(byte, b':' | b'\r' | b'\n')
        {
            self.bytes[self.len] = byte;
            self.len += 1;
            *input = rest;
        }
    }

    /// The field it names, if it is complete.
    pub(crate) fn field(&self) -> Option<Field> {
        Field::from_name(&self.bytes[..self.len])
    }
}
