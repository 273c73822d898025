//! URL patterns (WHATWG URL Pattern), as tests of topics.

use regex::{Regex, RegexBuilder};
use tidings_hub::TopicTest;
use url::Url;
use urlpattern::regexp::RegExp;
use urlpattern::{
    RegexSyntax, UrlPattern, UrlPatternInit, UrlPatternMatchInput, UrlPatternOptions, quirks,
};

use crate::limits::PATTERN_PROGRAM_BYTES_MAX;

/// A compiled pattern, and the URL that relative topics are relative to.
pub(crate) struct Pattern {
    pattern: UrlPattern<Bounded>,
    hub: Url,
}

impl Pattern {
    /// `None` if `words` are not a pattern, or its program would be too large.
    pub(crate) fn compile(words: &str, hub: &Url) -> Option<Self> {
        let init = UrlPatternInit::parse_constructor_string::<Bounded>(words, Some(hub.clone()));
        let options = UrlPatternOptions::default();
        let pattern = quirks::parse_pattern_as_lib::<Bounded>(init.ok()?, options).ok()?;
        Some(Self { pattern, hub: hub.clone() })
    }
}

impl TopicTest for Pattern {
    fn matches(&self, topic: &str) -> bool {
        let Ok(url) = self.hub.join(topic) else { return false };
        self.pattern.test(UrlPatternMatchInput::Url(url)).unwrap_or(false)
    }
}

/// A regular expression that takes linear time and bounded memory.
#[derive(Debug)]
struct Bounded(Regex);

impl RegExp for Bounded {
    fn syntax() -> RegexSyntax {
        RegexSyntax::Rust
    }

    fn parse(pattern: &str, _flags: &str, _force_eval: bool) -> Result<Self, ()> {
        RegexBuilder::new(pattern)
            .size_limit(PATTERN_PROGRAM_BYTES_MAX)
            .dfa_size_limit(PATTERN_PROGRAM_BYTES_MAX)
            .build()
            .map(Self)
            .map_err(|_| ())
    }

    fn matches<'a>(&self, text: &'a str) -> Option<Vec<Option<&'a str>>> {
        // The contents of groups are not used.
        self.0.is_match(text).then(Vec::new)
    }

    fn pattern_string(&self) -> &str {
        self.0.as_str()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Found by `cargo fuzz run patterns`: the library counted below zero. See the profiles in the
    /// workspace's `Cargo.toml`.
    #[test]
    fn an_unmatched_closing_bracket_does_not_panic() {
        let hub = Url::parse("https://hub.example/").expect("a URL");
        for words in ["*:]", "*:]\0\0\u{11}\0", "https://]:80/", "https://*.example]/:id"] {
            if let Some(pattern) = Pattern::compile(words, &hub) {
                assert!(!pattern.matches("https://hub.example/books/1"), "{words:?}");
            }
        }
        assert!(Pattern::compile("https://hub.example/books/:id", &hub).is_some());
    }
}
