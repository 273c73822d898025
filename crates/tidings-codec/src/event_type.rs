//! `EventType`: the name by which a client chooses an event's handler.

use alloc::sync::Arc;
use core::borrow::Borrow;
use core::fmt;
use core::str::FromStr;

use crate::InvalidField;

/// The type of an event: in a browser, the name given to `addEventListener`.
///
/// It is never empty and never contains CR, LF or U+0000. An event without a type is a
/// [`message`](Self::DEFAULT). (The standard would allow U+0000 here. We reject it, because too
/// many programs cut a string there.)
///
/// Clones share the text.
///
/// ```
/// use tidings_codec::{EventType, InvalidField};
///
/// let score = EventType::new("score")?;
/// assert_eq!(score.as_str(), "score");
/// assert_eq!(EventType::new(""), Err(InvalidField::Empty));
/// # Ok::<(), InvalidField>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventType(Arc<str>);

impl EventType {
    /// The type of an event that names none (HTML §9.2.6, dispatch).
    pub const DEFAULT: &'static str = "message";

    /// Makes a type from `event_type`.
    ///
    /// # Errors
    ///
    /// [`InvalidField`] if it is empty or has a CR, LF or U+0000.
    pub fn new(event_type: impl AsRef<str>) -> Result<Self, InvalidField> {
        let event_type = event_type.as_ref();
        InvalidField::check(event_type)?;
        Ok(Self(Arc::from(event_type)))
    }

    /// A type from the decoder: it has no CR or LF, which end lines. U+0000 becomes U+FFFD. `None`
    /// if it is empty.
    pub(crate) fn from_decoded(event_type: &str) -> Option<Self> {
        match InvalidField::check(event_type) {
            Ok(()) => Some(Self(Arc::from(event_type))),
            Err(InvalidField::Empty) => None,
            Err(_) => Some(Self(Arc::from(event_type.replace('\0', "\u{FFFD}")))),
        }
    }

    /// The type as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EventType {
    type Err = InvalidField;

    fn from_str(event_type: &str) -> Result<Self, InvalidField> {
        Self::new(event_type)
    }
}

impl AsRef<str> for EventType {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl Borrow<str> for EventType {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventType({:?})", self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checklist 43: a type that would break out of its line cannot be built.
    #[test]
    fn a_type_cannot_contain_a_line_break_or_nul() {
        assert_eq!(EventType::new("a\rb"), Err(InvalidField::LineBreak { at: 1 }));
        assert_eq!(EventType::new("end\n\ndata: x"), Err(InvalidField::LineBreak { at: 3 }));
        assert_eq!(EventType::new("\0"), Err(InvalidField::Nul { at: 0 }));
    }

    #[test]
    fn an_empty_type_has_an_error_of_its_own() {
        assert_eq!(EventType::new(""), Err(InvalidField::Empty));
    }
}
