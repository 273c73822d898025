use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use crate::error::InvalidTopic;
use crate::limits::TOPIC_BYTES_MAX;

/// The name an event is published to.
///
/// Any text of 1 to [`TOPIC_BYTES_MAX`] bytes without control characters. Segments are the parts
/// between slashes; they have a meaning only to a [`Matcher`](crate::Matcher) with wildcards.
/// Cloning is cheap: the text is shared.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Topic(Arc<str>);

/// A control character keeps it apart from all other names.
const NOTES: &str = "\u{1}notes";

impl Topic {
    /// Makes a topic from `name`.
    ///
    /// # Errors
    ///
    /// [`InvalidTopic`] if it is empty, too long, or contains a control character.
    pub fn new(name: impl AsRef<str>) -> Result<Self, InvalidTopic> {
        let name = name.as_ref();
        if name.is_empty() {
            return Err(InvalidTopic::Empty);
        }
        if name.len() > TOPIC_BYTES_MAX {
            return Err(InvalidTopic::TooLong { bytes: name.len() });
        }
        match name.char_indices().find(|(_, c)| c.is_control()) {
            Some((at, _)) => Err(InvalidTopic::ControlCharacter { at }),
            None => Ok(Self(name.into())),
        }
    }

    /// The name of the [topic of notes](Self::of_notes).
    pub const NOTES: &'static str = NOTES;

    /// The topic of the hub's [notes](crate::Kind::Note) to itself. Its name is one that no
    /// publisher and no reader can use.
    pub fn of_notes() -> Self {
        Self(NOTES.into())
    }

    /// Whether it is [that one](Self::of_notes).
    pub fn is_of_notes(&self) -> bool {
        &*self.0 == NOTES
    }

    /// Makes a topic from the `name` of one that was stored.
    ///
    /// # Errors
    ///
    /// [`InvalidTopic`] if no topic can have it.
    pub fn stored(name: &str) -> Result<Self, InvalidTopic> {
        if name == NOTES { Ok(Self::of_notes()) } else { Self::new(name) }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the name contains a `*`, which the native API reserves for matchers.
    pub fn has_wildcard(&self) -> bool {
        self.0.contains('*')
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl AsRef<str> for Topic {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Topic {
    fn borrow(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_topic_of_notes_can_be_stored_and_not_named() {
        let notes = Topic::of_notes();
        assert!(notes.is_of_notes() && Topic::new(notes.as_str()).is_err());
        assert_eq!(Topic::stored(notes.as_str()), Ok(notes));
        assert!(Topic::stored("\u{1}").is_err() && Topic::stored("a").is_ok());
    }

    #[test]
    fn a_topic_is_any_text_without_control_characters() {
        for good in ["a", "a/b/c", "https://example.com/books/1", "grüße", "/leading", "a//b"] {
            assert_eq!(Topic::new(good).map(|t| t.to_string()), Ok(good.to_owned()));
        }
    }

    #[test]
    fn a_character_that_could_break_a_line_is_rejected() {
        assert_eq!(Topic::new(""), Err(InvalidTopic::Empty));
        for bad in ["a\nb", "a\rb", "a\0b", "a\u{85}b", "a\u{7f}b"] {
            assert_eq!(Topic::new(bad), Err(InvalidTopic::ControlCharacter { at: 1 }));
        }
        let long = "x".repeat(TOPIC_BYTES_MAX + 1);
        assert_eq!(Topic::new(&long), Err(InvalidTopic::TooLong { bytes: TOPIC_BYTES_MAX + 1 }));
    }
}
