//! From the words of either dialect to the hub's matchers.
//!
//! A single topic becomes [`Matcher::Exact`], which the hub finds by hash; `*` becomes
//! [`Matcher::All`]. Only templates and patterns are tests of our own. The name of a test includes
//! its kind and, for patterns, the URL that they are resolved against: the hub treats tests with
//! the same name as the same test.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tidings_hub::limits::TOPIC_BYTES_MAX;
use tidings_hub::{CustomMatcher, Matcher, Topic, TopicTest};
use url::Url;

use crate::limits::PATTERNS_KEPT_MAX;
use crate::template::{NoTemplate, Template};
use crate::url_pattern::Pattern;

/// How the words of a 1.0 matcher are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MatchType {
    Exact,
    UrlPattern,
}

impl MatchType {
    /// The type called `name`; case matters.
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "exact" => Some(Self::Exact),
            "urlpattern" => Some(Self::UrlPattern),
            _ => None,
        }
    }
}

/// Why words are not a valid selector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InvalidSelector {
    TooLong,
    TooManyExpressions,
    NoPattern,
}

impl fmt::Display for InvalidSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "has more than {TOPIC_BYTES_MAX} bytes"),
            Self::TooManyExpressions => {
                write!(f, "has more than {} expressions", Template::EXPRESSIONS_MAX)
            }
            Self::NoPattern => f.write_str("is not a URL pattern, or is too large"),
        }
    }
}

/// The words of a 0.x topic selector: everything, a topic, or a URI Template that matches its own
/// text too.
pub(crate) fn topic_selector(words: &str) -> Result<Matcher, InvalidSelector> {
    if words == "*" {
        return Ok(Matcher::All);
    }
    if words.len() > TOPIC_BYTES_MAX {
        return Err(InvalidSelector::TooLong);
    }
    if words.contains('{') {
        match Template::parse(words) {
            Ok(template) => {
                return custom("uri-template", words, TemplateTest::new(words, template));
            }
            Err(NoTemplate::TooManyExpressions) => return Err(InvalidSelector::TooManyExpressions),
            Err(NoTemplate::Malformed) => {}
        }
    }
    exact(words)
}

/// Compiled patterns, kept for reuse: they are large, and many subscribers have the same.
#[derive(Debug, Default)]
pub(crate) struct Patterns(Mutex<HashMap<String, Matcher>>);

impl Patterns {
    /// The words of a 1.0 matcher, resolved against the hub's URL.
    pub(crate) fn matcher(
        &self,
        match_type: MatchType,
        words: &str,
        hub: &Url,
    ) -> Result<Matcher, InvalidSelector> {
        if words == "*" {
            return Ok(Matcher::All);
        }
        if words.len() > TOPIC_BYTES_MAX {
            return Err(InvalidSelector::TooLong);
        }
        if match_type == MatchType::Exact {
            return exact(words);
        }
        let name = format!("{hub} {words}");
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(matcher) = kept.get(&name) {
            return Ok(matcher.clone());
        }
        let pattern = Pattern::compile(words, hub).ok_or(InvalidSelector::NoPattern)?;
        let matcher = custom("urlpattern", &name, pattern)?;
        if kept.len() >= PATTERNS_KEPT_MAX {
            kept.clear();
        }
        kept.insert(name, matcher.clone());
        Ok(matcher)
    }
}

/// Words that match only themselves. Words that are not a valid topic match nothing.
fn exact(words: &str) -> Result<Matcher, InvalidSelector> {
    Topic::new(words).map(Matcher::Exact).or_else(|_| custom("nothing", words, Nothing))
}

fn custom(
    kind: &str,
    words: &str,
    test: impl TopicTest + 'static,
) -> Result<Matcher, InvalidSelector> {
    let custom = CustomMatcher::new(&format!("mercure {kind} {words}"), Arc::new(test));
    custom.map(Matcher::Custom).map_err(|_| InvalidSelector::TooLong)
}

struct TemplateTest {
    words: Box<str>,
    template: Template,
}

impl TemplateTest {
    fn new(words: &str, template: Template) -> Self {
        Self { words: words.into(), template }
    }
}

impl TopicTest for TemplateTest {
    fn matches(&self, topic: &str) -> bool {
        *topic == *self.words || self.template.matches(topic)
    }

    fn literal_prefix(&self) -> &str {
        self.template.literal_prefix()
    }
}

struct Nothing;

impl TopicTest for Nothing {
    fn matches(&self, _: &str) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn hub() -> Url {
        "https://hub.example/.well-known/mercure".parse().unwrap()
    }

    fn matches(matcher: &Matcher, topic: &str) -> bool {
        matcher.matches(&Topic::new(topic).unwrap())
    }

    #[test]
    fn a_selector_is_everything_itself_or_a_template() {
        for (selector, topic, expected) in [
            ("*", "anything", true),
            ("a*", "ab", false),
            ("https://x/1", "https://x/1", true),
            ("https://x/1", "HTTPS://x/1", false),
            ("https://x/{id}", "https://x/1", true),
            ("https://x/{id}", "https://x/{id}", true),
            ("https://x/{id", "https://x/{id", true),
            ("https://x/{id", "https://x/1", false),
            ("https://x y/{id}", "https://x y/{id}", true),
            ("https://x y/{id}", "https://x y/1", false),
        ] {
            let matcher = topic_selector(selector).unwrap();
            assert_eq!(matches(&matcher, topic), expected, "{selector} on {topic}");
        }
        assert!(matches!(topic_selector("https://x/{id"), Ok(Matcher::Exact(_))));
    }

    #[test]
    fn a_matcher_is_exact_or_a_url_pattern_resolved_against_the_hub() {
        let patterns = Patterns::default();
        for (kind, words, topic, expected) in [
            (MatchType::Exact, "https://x/{id}", "https://x/1", false),
            (MatchType::Exact, "*", "x", true),
            (MatchType::UrlPattern, "*", "not a url:", true),
            (
                MatchType::UrlPattern,
                "https://x.example/books/:id",
                "https://x.example/books/1",
                true,
            ),
            (
                MatchType::UrlPattern,
                "https://x.example/books/:id",
                "https://x.example/books/",
                false,
            ),
            (
                MatchType::UrlPattern,
                "https://x.example/books/:id",
                "https://x.example/BOOKS/1",
                false,
            ),
            (MatchType::UrlPattern, "https://x.example/*", "https://x.example/a/b?c", true),
            (MatchType::UrlPattern, "https://x.example/*?d", "https://x.example/a/b?c", false),
            (MatchType::UrlPattern, "/books/:id", "/books/1", true),
            (MatchType::UrlPattern, "/books/:id", "https://hub.example/books/1", true),
            (MatchType::UrlPattern, "/books/:id", "https://other.example/books/1", false),
            (MatchType::UrlPattern, "https://x.example/:id(\\d+)", "https://x.example/17", true),
            (MatchType::UrlPattern, "https://x.example/:id(\\d+)", "https://x.example/a", false),
            (MatchType::UrlPattern, "https://x.example/books/:id", "https://", false),
        ] {
            let matcher = patterns.matcher(kind, words, &hub()).unwrap();
            assert_eq!(matches(&matcher, topic), expected, "{words} on {topic}");
        }
    }

    #[test]
    fn an_invalid_selector_is_rejected() {
        let pattern = |words| Patterns::default().matcher(MatchType::UrlPattern, words, &hub());
        assert_eq!(pattern("https://x/:id(").unwrap_err(), InvalidSelector::NoPattern);
        let huge = "https://x.example/(((a{1000}){1000}){1000})";
        assert_eq!(pattern(huge).unwrap_err(), InvalidSelector::NoPattern);
        let long = "x".repeat(TOPIC_BYTES_MAX + 1);
        assert_eq!(pattern(&long).unwrap_err(), InvalidSelector::TooLong);
        assert_eq!(topic_selector(&long).unwrap_err(), InvalidSelector::TooLong);
        let longest = format!("{}{{a}}", "x".repeat(TOPIC_BYTES_MAX - 3));
        assert!(topic_selector(&longest).is_ok());
    }

    #[test]
    fn the_same_words_in_another_dialect_or_for_another_hub_are_another_matcher() {
        let patterns = Patterns::default();
        let other: Url = "https://other.example/.well-known/mercure".parse().unwrap();
        let here = patterns.matcher(MatchType::UrlPattern, "/{a}?", &hub()).unwrap();
        assert_eq!(here, patterns.matcher(MatchType::UrlPattern, "/{a}?", &hub()).unwrap());
        assert_ne!(here, patterns.matcher(MatchType::UrlPattern, "/{a}?", &other).unwrap());
        assert_ne!(here, topic_selector("/{a}?").unwrap());
    }
}
