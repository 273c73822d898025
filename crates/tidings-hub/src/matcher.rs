use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::error::InvalidMatcher;
use crate::limits::MATCHER_NAME_BYTES_MAX;
use crate::topic::Topic;

/// What a subscriber asks for, and what a grant allows.
///
/// Two matchers are equal when their texts are equal; this is what lets subscribers that want the
/// same thing share one group.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Matcher {
    /// Every topic.
    All,
    /// One topic, byte for byte.
    Exact(Topic),
    /// Topics by their segments.
    Segments(SegmentPattern),
    /// A test supplied by another protocol.
    Custom(CustomMatcher),
}

impl Matcher {
    /// Parses a matcher in the native API's syntax: a topic; `*` in place of one whole segment;
    /// `**` as the final segment for one or more further segments. `**` alone is every topic.
    ///
    /// # Errors
    ///
    /// [`InvalidMatcher`] if the text is not a topic, or a `*` has no meaning where it is.
    pub fn parse(text: &str) -> Result<Self, InvalidMatcher> {
        let topic = Topic::new(text)?;
        if !topic.has_wildcard() {
            return Ok(Self::Exact(topic));
        }
        if text == "**" {
            return Ok(Self::All);
        }
        SegmentPattern::parse(text).map(Self::Segments)
    }

    /// Whether it matches `topic`.
    pub fn matches(&self, topic: &Topic) -> bool {
        match self {
            Self::All => true,
            Self::Exact(exact) => exact == topic,
            Self::Segments(pattern) => pattern.matches(topic.as_str()),
            Self::Custom(custom) => custom.test.matches(topic.as_str()),
        }
    }

    /// Whether `wider` matches every topic that this matcher can match. Used to see whether a grant
    /// covers what a subscriber asks for. Between two custom matchers only equality counts; of one
    /// and a pattern it is certain only if it is `true`.
    pub fn is_covered_by(&self, wider: &Self) -> bool {
        if self == wider {
            return true;
        }
        match (self, wider) {
            (_, Self::All) => true,
            (Self::Exact(topic), wider) => wider.matches(topic),
            (Self::Segments(narrow), Self::Segments(wide)) => narrow.is_covered_by(wide),
            (Self::Custom(custom), Self::Segments(wide)) => {
                wide.is_prefix() && custom.test.literal_prefix().starts_with(wide.literal_prefix())
            }
            _ => false,
        }
    }

    /// Whether there can be a topic that both match. Certain only if it is `false`.
    pub fn may_meet(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Exact(topic), other) | (other, Self::Exact(topic)) => other.matches(topic),
            (Self::Segments(one), Self::Segments(other)) => one.may_meet(other),
            _ => true,
        }
    }

    /// A text with which every topic that it matches begins.
    pub fn literal_prefix(&self) -> &str {
        match self {
            Self::All => "",
            Self::Exact(topic) => topic.as_str(),
            Self::Segments(pattern) => pattern.literal_prefix(),
            Self::Custom(custom) => custom.test.literal_prefix(),
        }
    }

    /// The topic, if only one can match.
    pub fn as_exact(&self) -> Option<&Topic> {
        match self {
            Self::Exact(topic) => Some(topic),
            _ => None,
        }
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("**"),
            Self::Exact(topic) => topic.fmt(f),
            Self::Segments(pattern) => f.write_str(&pattern.0),
            Self::Custom(custom) => f.write_str(&custom.name),
        }
    }
}

/// A pattern over segments: `*` stands for one of them, a final `**` for one or more.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SegmentPattern(Arc<str>);

impl SegmentPattern {
    fn parse(text: &str) -> Result<Self, InvalidMatcher> {
        let last = text.split('/').count() - 1;
        for (place, segment) in text.split('/').enumerate() {
            match segment {
                "*" => {}
                "**" if place == last => {}
                "**" => return Err(InvalidMatcher::RestNotLast),
                _ if segment.contains('*') => return Err(InvalidMatcher::PartialWildcard),
                _ => {}
            }
        }
        Ok(Self(text.into()))
    }

    /// The segments, including wildcards.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }

    fn matches(&self, topic: &str) -> bool {
        let mut topic = topic.split('/');
        for segment in self.segments() {
            match (segment, topic.next()) {
                ("**", rest) => return rest.is_some(),
                (_, None) => return false,
                ("*", Some(_)) => {}
                (literal, Some(segment)) if literal == segment => {}
                _ => return false,
            }
        }
        topic.next().is_none()
    }

    fn may_meet(&self, other: &Self) -> bool {
        let (mut one, mut other) = (self.segments(), other.segments());
        loop {
            match (one.next(), other.next()) {
                (None, None) => return true,
                (Some("**"), rest) | (rest, Some("**")) => return rest.is_some(),
                (Some(_), None) | (None, Some(_)) => return false,
                (Some("*"), _) | (_, Some("*")) => {}
                (Some(literal), Some(segment)) if literal == segment => {}
                _ => return false,
            }
        }
    }

    fn literal_prefix(&self) -> &str {
        let end = self.0.find('*').unwrap_or(self.0.len());
        &self.0[..end]
    }

    /// Whether it matches every topic that begins with its [literal prefix](Self::literal_prefix).
    fn is_prefix(&self) -> bool {
        self.0.strip_prefix(self.literal_prefix()) == Some("**")
    }

    fn is_covered_by(&self, wide: &Self) -> bool {
        let mut narrow = self.segments();
        for segment in wide.segments() {
            match (segment, narrow.next()) {
                ("**", rest) => return rest.is_some(),
                (_, None) | (_, Some("**")) => return false,
                ("*", Some(_)) => {}
                (literal, Some(segment)) if literal == segment => {}
                _ => return false,
            }
        }
        narrow.next().is_none()
    }
}

/// A test of topics, supplied by another protocol.
pub trait TopicTest: Send + Sync {
    /// Whether it matches `topic`. Must take time linear in the topic's length, and always give the
    /// same answer.
    fn matches(&self, topic: &str) -> bool;

    /// A prefix of every matching topic; the longer it is, the fewer topics are tested.
    fn literal_prefix(&self) -> &str {
        ""
    }
}

/// A [`TopicTest`] and the text it was made from.
#[derive(Clone)]
pub struct CustomMatcher {
    name: Arc<str>,
    test: Arc<dyn TopicTest>,
}

impl CustomMatcher {
    /// `test`, known by `name`. Two custom matchers with the same name count as the same test: a
    /// protocol puts its dialect into the name.
    ///
    /// # Errors
    ///
    /// [`InvalidMatcher`] if the name is longer than [`MATCHER_NAME_BYTES_MAX`].
    pub fn new(name: &str, test: Arc<dyn TopicTest>) -> Result<Self, InvalidMatcher> {
        if name.len() > MATCHER_NAME_BYTES_MAX {
            return Err(InvalidMatcher::Topic(crate::InvalidTopic::TooLong { bytes: name.len() }));
        }
        Ok(Self { name: name.into(), test })
    }

    /// The test.
    pub fn test(&self) -> &dyn TopicTest {
        &*self.test
    }
}

impl fmt::Debug for CustomMatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CustomMatcher").field(&self.name).finish()
    }
}

impl PartialEq for CustomMatcher {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for CustomMatcher {}

impl Hash for CustomMatcher {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matcher(text: &str) -> Matcher {
        Matcher::parse(text).expect("a valid matcher")
    }

    fn matches(text: &str, topic: &str) -> bool {
        matcher(text).matches(&Topic::new(topic).expect("a valid topic"))
    }

    #[test]
    fn a_star_is_one_segment_and_two_are_the_rest() {
        for (pattern, topic, expected) in [
            ("a/b", "a/b", true),
            ("a/b", "a/b/c", false),
            ("a/*", "a/b", true),
            ("a/*", "a", false),
            ("a/*", "a/", true),
            ("a/*", "a/b/c", false),
            ("*/b", "a/b", true),
            ("*/b", "a/c", false),
            ("a/**", "a/b", true),
            ("a/**", "a/b/c/d", true),
            ("a/**", "a", false),
            ("a/**", "ab/c", false),
            ("a/*/**", "a/b", false),
            ("a/*/**", "a/b/c", true),
            ("**", "anything/at all", true),
            ("*", "a", true),
            ("*", "a/b", false),
        ] {
            assert_eq!(matches(pattern, topic), expected, "{pattern} on {topic}");
        }
    }

    #[test]
    fn a_star_without_a_meaning_is_rejected() {
        assert_eq!(Matcher::parse("a/**/b"), Err(InvalidMatcher::RestNotLast));
        assert_eq!(Matcher::parse("a/b*"), Err(InvalidMatcher::PartialWildcard));
        assert_eq!(Matcher::parse("a/***"), Err(InvalidMatcher::PartialWildcard));
        assert!(matches!(Matcher::parse(""), Err(InvalidMatcher::Topic(_))));
    }

    #[test]
    fn a_grant_covers_a_matcher_whose_every_topic_it_matches() {
        for (narrow, wide, expected) in [
            ("a/b", "a/b", true),
            ("a/b", "a/*", true),
            ("a/b", "**", true),
            ("a/*", "a/**", true),
            ("a/*", "a/*", true),
            ("a/**", "a/*", false),
            ("a/*/c", "a/**", true),
            ("a/*/c", "*/*/c", true),
            ("*/b", "a/*", false),
            ("**", "a/**", false),
            ("a/*", "a/b", false),
            ("a/**", "a/*/**", false),
            ("a/*/**", "a/**", true),
        ] {
            let covered = matcher(narrow).is_covered_by(&matcher(wide));
            assert_eq!(covered, expected, "{narrow} by {wide}");
        }
    }

    /// Matches what begins with a text.
    struct Beginning(&'static str);

    impl TopicTest for Beginning {
        fn matches(&self, topic: &str) -> bool {
            topic.starts_with(self.0)
        }

        fn literal_prefix(&self) -> &str {
            self.0
        }
    }

    #[test]
    fn a_test_of_another_protocol_is_covered_by_the_pattern_of_all_that_begins_like_it() {
        for (beginning, wide, expected) in [
            ("a/b", "a/**", true),
            ("a/", "a/**", true),
            ("a/b/c", "a/b/**", true),
            ("a/b", "**", true),
            ("a", "a/**", false),
            ("ab/", "a/**", false),
            ("", "a/**", false),
            ("a/b", "a/*", false),
            ("a/b/c", "*/**", false),
            ("a/b/c", "a/*/**", false),
            ("a/b", "a/b", false),
        ] {
            let test = CustomMatcher::new(beginning, Arc::new(Beginning(beginning)));
            let custom = Matcher::Custom(test.expect("a short name"));
            let wide = matcher(wide);
            assert_eq!(custom.is_covered_by(&wide), expected, "{beginning:?} by {wide}");
            let topic = Topic::new(format!("{beginning}x/y").as_str()).expect("a topic");
            assert!(!expected || wide.matches(&topic), "{topic} is not matched by {wide}");
        }
    }
}
