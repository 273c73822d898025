//! Entry points of this protocol for the fuzz targets in `fuzz/`.

use std::time::Duration;

use http::HeaderMap;
use tidings_http::auth::{JwtKey, token};
use tidings_hub::Topic;
use url::Url;

use crate::access;
use crate::claims::{self, Claims};
use crate::form::Form;
use crate::selector::{MatchType, Patterns, topic_selector};
use crate::template::Template;

/// A form: its two readers agree where the strict one accepts.
pub fn form(input: &[u8]) {
    let lenient = Form::parse_leniently(input);
    if let Ok(strict) = Form::parse(input) {
        assert!(strict.fields().eq(lenient.fields()));
    }
}

/// Words as a pattern of either dialect: whatever matches begins with the literal prefix.
pub fn patterns(words: &str, topics: &[Topic]) {
    if let Ok(template) = Template::parse(words) {
        for topic in topics.iter().filter(|topic| template.matches(topic.as_str())) {
            assert!(topic.as_str().starts_with(template.literal_prefix()), "it is looked up by it");
        }
    }
    let hub = Url::parse("https://hub.example/.well-known/mercure").expect("a URL");
    let pattern = Patterns::default().matcher(MatchType::UrlPattern, words, &hub);
    for matcher in [topic_selector(words), pattern].into_iter().flatten() {
        for topic in topics {
            let _ = matcher.matches(topic);
        }
    }
}

/// Any text as an unverified token.
pub fn shape(text: &str) {
    let _ = claims::claimed_issuer(text);
    let _ = claims::shape(text);
}

/// A token that one of `keys` signed.
pub fn claims(text: &str, keys: &[JwtKey]) {
    let _ = token::claims::<Claims>(text, keys).map(|claims| claims.zero(text, Duration::ZERO));
}

/// Headers with credentials in them.
pub fn headers(headers: &HeaderMap) {
    access::fuzz_credentials(headers);
}
