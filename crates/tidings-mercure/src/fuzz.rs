//! This protocol's part of [`crate::fuzz`].

use http::HeaderMap;
use tidings_hub::Topic;
use url::Url;

use super::access;
use super::claims::{self, Claims};
use super::form::Form;
use super::selector::{MatchType, Patterns, topic_selector};
use super::template::Template;
use crate::auth::{JwtKey, token};

pub(crate) fn form(input: &[u8]) {
    let lenient = Form::parse_leniently(input);
    if let Ok(strict) = Form::parse(input) {
        assert!(strict.fields().eq(lenient.fields()));
    }
}

pub(crate) fn patterns(words: &str, topics: &[Topic]) {
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

pub(crate) fn shape(text: &str) -> bool {
    let _ = claims::claimed_issuer(text);
    claims::shape(text).is_some()
}

pub(crate) fn claims(text: &str, keys: &[JwtKey]) {
    let _ = token::claims::<Claims>(text, keys).map(Claims::zero);
}

pub(crate) fn headers(headers: &HeaderMap) {
    access::fuzz_credentials(headers);
}
