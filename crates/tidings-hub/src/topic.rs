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
