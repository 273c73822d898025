use std::fmt;

use aws_lc_rs::digest;
use http::Uri;
use http::header::{self, HeaderMap, HeaderValue};
use http::request::Parts;
use tidings_hub::Matcher;

use super::rule::{Action, AuthorizeRule};
use crate::client::Client;
use crate::config::HttpConfig;
use crate::foreign_page::{self, Ambient};
use crate::headers::TIDINGS_ASK;
use crate::limits::{AUTHORIZE_CREDENTIAL_BYTES_MAX, AUTHORIZE_URL_BYTES_MAX};
use crate::outbound::USER_AGENT;
use crate::problem::{Code, Problem};

/// What a request is about, for a rule.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// Which pages may use the hub.
    pub config: &'a HttpConfig,
    /// What it wants to do.
    pub action: Action,
    /// The topics and patterns that it names, or `None` if one of them is not valid. Called only if
    /// there is a rule.
    pub topics: &'a (dyn Fn() -> Option<Vec<AskedTopic>> + Sync),
}

/// A topic or a pattern of a request.
#[derive(Clone, Debug)]
pub struct AskedTopic {
    /// As it was sent.
    pub text: String,
    /// What it means.
    pub matcher: Matcher,
}

impl AskedTopic {
    /// A topic or pattern of the native API; `None` if it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let matcher = Matcher::parse(text).ok()?;
        Some(Self { text: text.to_owned(), matcher })
    }
}

/// One question to a backend.
pub(crate) struct Question {
    /// The rule's place in the configuration.
    pub(super) rule: usize,
    pub(crate) action: Action,
    /// Whether the client wants whatever it may have: it names no topics, and shows nothing but
    /// cookies, which its browser adds to each request. If the backend says no, the client still
    /// has what everybody may have.
    pub(crate) is_open_ended: bool,
    pub(super) key: QuestionKey,
    pub(super) uri: Uri,
    /// Everything that is sent, the client's own values among it.
    pub(super) headers: HeaderMap,
}

/// A digest of everything that is sent: who has the same is the same to the backend.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct QuestionKey([u8; 32]);

impl Question {
    /// The question that `rule` has about a request; `None` if the request has nothing to send.
    ///
    /// # Errors
    ///
    /// A 400 if a credential is there twice, or is too long; and a 403 for a page of a foreign
    /// origin, which must not learn what a visitor's cookies are good for.
    pub(super) fn of(
        place: usize,
        rule: &AuthorizeRule,
        action: Action,
        topics: &[AskedTopic],
        config: &HttpConfig,
        parts: &Parts,
    ) -> Result<Option<Self>, Problem> {
        let mut headers = HeaderMap::with_capacity(8);
        let cookies = cookies(&parts.headers, rule.cookies())?;
        let has_cookies = cookies.is_some();
        headers.extend(cookies.map(|value| (header::COOKIE, value)));
        for name in rule.forward() {
            let mut values = parts.headers.get_all(name).iter();
            let Some(value) = values.next() else { continue };
            if values.next().is_some() {
                return Err(not_passed_on(format!("the header {name} is there twice")));
            }
            headers.insert(name.clone(), value.clone());
        }
        if headers.is_empty() {
            return Ok(None);
        }
        check_page(config, parts, has_cookies)?;
        let is_open_ended = topics.is_empty() && headers.keys().eq([&header::COOKIE]);
        let length: usize = headers.values().map(HeaderValue::len).sum();
        if length > AUTHORIZE_CREDENTIAL_BYTES_MAX {
            let max = AUTHORIZE_CREDENTIAL_BYTES_MAX;
            return Err(not_passed_on(format!("it has {length} bytes; at most {max} are sent")));
        }
        let uri = uri(rule, action, topics, parts)?;
        let key = QuestionKey::of(place, &uri, &headers);
        for (name, value) in [
            (header::ACCEPT, "application/json"),
            (header::ACCEPT_ENCODING, "identity"),
            (header::CACHE_CONTROL, "no-store"),
            (header::USER_AGENT, USER_AGENT),
            (TIDINGS_ASK, "1"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        Ok(Some(Self { rule: place, action, is_open_ended, key, uri, headers }))
    }

    /// A digest of the client's own values, whatever it asks for.
    pub(crate) fn credential(&self) -> QuestionKey {
        QuestionKey::of(self.rule, &Uri::default(), &self.headers)
    }
}

impl fmt::Debug for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Question").field("rule", &self.rule).finish_non_exhaustive()
    }
}

impl QuestionKey {
    /// Each part goes with its length, so two different lists of parts are never one text.
    fn of(place: usize, uri: &Uri, headers: &HeaderMap) -> Self {
        let mut digest = digest::Context::new(&digest::SHA256);
        let mut add = |part: &[u8]| {
            digest.update(&(part.len() as u64).to_be_bytes());
            digest.update(part);
        };
        add(&(place as u64).to_be_bytes());
        add(uri.to_string().as_bytes());
        let mut names: Vec<_> = headers.keys().collect();
        names.sort_unstable_by_key(|name| name.as_str());
        for name in names {
            add(name.as_str().as_bytes());
            add(headers[name].as_bytes());
        }
        let mut key = [0; 32];
        key.copy_from_slice(digest.finish().as_ref());
        Self(key)
    }

    /// A key for tests.
    #[cfg(test)]
    pub(super) fn numbered(number: u64) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&number.to_be_bytes());
        Self(key)
    }
}

impl fmt::Debug for QuestionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("QuestionKey")
    }
}

/// The cookies with these names, as one header. One that a browser has twice, of different paths or
/// domains, is sent twice, in the browser's order: the backend reads it as it always does.
fn cookies(headers: &HeaderMap, names: &[String]) -> Result<Option<HeaderValue>, Problem> {
    let mut sent = Vec::new();
    if names.is_empty() {
        return Ok(None);
    }
    // HTTP/2 may split the header.
    for value in headers.get_all(header::COOKIE) {
        for pair in value.as_bytes().split(|byte| *byte == b';') {
            let pair = pair.trim_ascii();
            let name = pair.split(|byte| *byte == b'=').next().unwrap_or(pair);
            let is_pair = pair.len() > name.len();
            if is_pair && names.iter().any(|wanted| wanted.as_bytes() == name.trim_ascii()) {
                if !sent.is_empty() {
                    sent.extend_from_slice(b"; ");
                }
                sent.extend_from_slice(pair);
            }
        }
    }
    if sent.is_empty() {
        return Ok(None);
    }
    let value = HeaderValue::from_bytes(&sent);
    value.map(Some).map_err(|_| not_passed_on("a cookie holds a control character".into()))
}

/// The origin rule comes before the question. A header alone is something that a page had to hold,
/// unless the browser holds it for the page (`Authorization: Basic`); that pages of other origins
/// are refused either way costs nobody anything.
fn check_page(config: &HttpConfig, parts: &Parts, has_cookies: bool) -> Result<(), Problem> {
    match (has_cookies, parts.method.is_safe()) {
        (true, true) => foreign_page::check_read(config, parts),
        (true, false) => foreign_page::check_change(config, parts, Ambient::Cookie),
        (false, _) => foreign_page::check_change(config, parts, Ambient::Reach),
    }
}

fn uri(
    rule: &AuthorizeRule,
    action: Action,
    topics: &[AskedTopic],
    parts: &Parts,
) -> Result<Uri, Problem> {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("action", action.name());
    if rule.send_topics {
        query.extend_pairs(topics.iter().map(|topic| ("topic", &topic.text)));
    }
    if rule.send_address
        && let Some(client) = Client::of(parts)
    {
        query.append_pair("address", &client.address.to_string());
    }
    let (url, query) = (rule.url().to_string(), query.finish());
    let joint = if url.contains('?') { '&' } else { '?' };
    let text = format!("{url}{joint}{query}");
    let too_long = || {
        let detail = "the topics are too many, or too long, to ask for at once";
        Problem::new(Code::InvalidQuery, detail)
    };
    if text.len() > AUTHORIZE_URL_BYTES_MAX {
        return Err(too_long());
    }
    text.parse().map_err(|_| too_long())
}

fn not_passed_on(why: String) -> Problem {
    Problem::new(Code::InvalidCredential, why)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use http::header::HeaderName;

    use super::*;

    fn rule() -> AuthorizeRule {
        let topics = vec![Matcher::parse("**").unwrap()];
        AuthorizeRule::new("http://app/auth", topics, &["sid"], &["x-key"]).unwrap()
    }

    fn question(rule: &AuthorizeRule, headers: &[(&str, &str)], topics: &[&str]) -> Question {
        asked(rule, headers, topics).unwrap().unwrap()
    }

    fn asked(
        rule: &AuthorizeRule,
        headers: &[(&str, &str)],
        topics: &[&str],
    ) -> Result<Option<Question>, Problem> {
        let mut request = http::Request::get("/events/a");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let parts = request.body(()).unwrap().into_parts().0;
        let topics: Vec<_> = topics.iter().map(|text| AskedTopic::parse(text).unwrap()).collect();
        Question::of(0, rule, Action::Subscribe, &topics, &HttpConfig::default(), &parts)
    }

    #[test]
    fn only_what_the_rule_names_is_sent() {
        let headers = [
            ("cookie", "_ga=1; sid=a; xsid=b; sid2=c"),
            ("cookie", "sid=d; flag"),
            ("x-key", "k"),
            ("x-forwarded-for", "192.0.2.1"),
            ("host", "hub.example"),
            ("user-agent", "curl"),
            ("authorization", "Basic eDp5"),
        ];
        let Question { headers, uri, .. } = question(&rule(), &headers, &["a b", "c/*"]);
        assert_eq!(uri, "http://app/auth?action=subscribe&topic=a+b&topic=c%2F*");
        assert_eq!(headers[header::COOKIE], "sid=a; sid=d");
        assert_eq!(headers["x-key"], "k");
        let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        let ours = ["accept", "accept-encoding", "cache-control", "cookie", "tidings-ask"];
        assert_eq!(names, [&ours[..], &["user-agent", "x-key"]].concat());
    }

    #[test]
    fn a_request_without_a_named_credential_is_not_asked_about() {
        for headers in [&[][..], &[("cookie", "_ga=1; sid2=x; sid")], &[("x-other", "1")]] {
            assert!(asked(&rule(), headers, &["a"]).unwrap().is_none(), "{headers:?}");
        }
    }

    #[test]
    fn everything_that_is_sent_is_in_the_key_and_nothing_else() {
        let mut rule = rule();
        let key = |rule: &AuthorizeRule, headers: &[(&str, &str)], topics: &[&str]| {
            question(rule, headers, topics).key.0
        };
        let sid = ("cookie", "sid=a");
        let one = key(&rule, &[sid], &["a"]);
        assert_eq!(key(&rule, &[("cookie", "_ga=2; sid=a; x=y")], &["a"]), one);
        assert_ne!(key(&rule, &[("cookie", "sid=b")], &["a"]), one);
        assert_ne!(key(&rule, &[sid, ("x-key", "")], &["a"]), one);
        assert_ne!(key(&rule, &[("x-key", "sid=a")], &["a"]), one);
        assert_ne!(key(&rule, &[sid], &["a", "b"]), one);
        rule.send_topics = false;
        assert_eq!(key(&rule, &[sid], &["a"]), key(&rule, &[sid], &["b"]));
    }

    #[test]
    fn what_is_repeated_or_too_long_is_an_error() {
        let twice = asked(&rule(), &[("x-key", "a"), ("x-key", "a")], &["a"]);
        assert_eq!(twice.unwrap_err().code(), Code::InvalidCredential);
        let long = format!("sid={}", "x".repeat(AUTHORIZE_CREDENTIAL_BYTES_MAX));
        let long = asked(&rule(), &[("cookie", &long)], &["a"]);
        assert_eq!(long.unwrap_err().code(), Code::InvalidCredential);
        let topic = "x".repeat(1000);
        let many = asked(&rule(), &[("x-key", "a")], &[&*topic; 9]);
        assert_eq!(many.unwrap_err().code(), Code::InvalidQuery);
    }

    #[test]
    fn a_foreign_page_cannot_have_the_backend_asked() {
        for headers in [
            &[("cookie", "sid=a"), ("origin", "https://evil.example")][..],
            &[("cookie", "sid=a"), ("sec-fetch-site", "cross-site")],
            &[("x-key", "a"), ("origin", "https://evil.example")],
        ] {
            let refused = asked(&rule(), headers, &["a"]).unwrap_err();
            assert_eq!(refused.code(), Code::OriginNotAllowed);
        }
        assert!(
            asked(&rule(), &[("cookie", "sid=a"), ("sec-fetch-site", "same-origin")], &["a"])
                .is_ok()
        );
    }
}
