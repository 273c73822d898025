//! `EventId`: the id after which a client can resume.

use alloc::sync::Arc;
use core::borrow::Borrow;
use core::fmt;
use core::str::FromStr;

use crate::InvalidField;

/// The id of an event, which a client sends back as `Last-Event-ID` to say how far it got.
///
/// It is never empty and never contains CR, LF or U+0000, so writing one to a stream cannot end its
/// line, and no client will ignore it (HTML §9.2.6, field `id`). Any other text is allowed; but an
/// id with control characters cannot be sent in the request header, so they are best avoided.
///
/// Clones share the text.
///
/// ```
/// use tidings_codec::{EventId, InvalidField};
///
/// let id = EventId::new("k7q2ma:42")?;
/// assert_eq!(id.as_str(), "k7q2ma:42");
/// assert_eq!(EventId::new("1\ndata: forged"), Err(InvalidField::LineBreak { at: 1 }));
/// # Ok::<(), InvalidField>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventId(Arc<str>);

impl EventId {
    /// Makes an id from `id`.
    ///
    /// # Errors
    ///
    /// [`InvalidField`] if it is empty or has a CR, LF or U+0000.
    pub fn new(id: impl AsRef<str>) -> Result<Self, InvalidField> {
        let id = id.as_ref();
        InvalidField::check(id)?;
        Ok(Self(Arc::from(id)))
    }

    /// An id from the decoder: it has no CR or LF, which end lines, and no U+0000, with which an id
    /// is ignored. `None` if it is empty.
    pub(crate) fn from_decoded(id: &str) -> Option<Self> {
        debug_assert!(matches!(InvalidField::check(id), Ok(()) | Err(InvalidField::Empty)));
        (!id.is_empty()).then(|| Self(Arc::from(id)))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EventId {
    type Err = InvalidField;

    fn from_str(id: &str) -> Result<Self, InvalidField> {
        Self::new(id)
    }
}

impl AsRef<str> for EventId {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl Borrow<str> for EventId {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventId({:?})", self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checklist 43: an id that would break out of its line, or be ignored, cannot be built.
    #[test]
    fn an_id_cannot_contain_a_line_break_or_nul() {
        assert_eq!(EventId::new("a\rb"), Err(InvalidField::LineBreak { at: 1 }));
        assert_eq!(EventId::new("\n"), Err(InvalidField::LineBreak { at: 0 }));
        assert_eq!(EventId::new("12\0"), Err(InvalidField::Nul { at: 2 }));
    }

    #[test]
    fn an_empty_id_has_an_error_of_its_own() {
        assert_eq!(EventId::new(""), Err(InvalidField::Empty));
    }

    #[test]
    fn any_other_text_is_an_id() {
        for id in ["0", " ", "…", "a:b", "\u{2028}", "\u{feff}", "urn:uuid:x"] {
            assert_eq!(EventId::new(id).map(|id| id.as_str().len()), Ok(id.len()));
        }
    }
}
