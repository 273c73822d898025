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

/// The name of a line that is cut, as far as it has come.
#[derive(Debug, Clone, Default)]
pub(crate) struct Name {
    bytes: [u8; Name::BYTES_MAX],
    len: usize,
}

impl Name {
    /// The longest name there is, in bytes.
    pub(crate) const BYTES_MAX: usize = b"event".len();

    pub(crate) fn clear(&mut self) {
        self.len = 0;
    }

    /// Takes bytes from the front of `input` up to a colon, a line end or the end of the chunk, or
    /// until there are more than any name has.
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
