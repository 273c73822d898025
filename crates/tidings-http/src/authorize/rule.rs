use std::fmt;
use std::time::Duration;

use http::Uri;
use http::header::{self, HeaderName};
use tidings_hub::Matcher;

use crate::error::ConfigError;
use crate::limits::{
    AUTHORIZE_CACHE, AUTHORIZE_CACHE_REFUSED, AUTHORIZE_CONCURRENCY, AUTHORIZE_EXPIRES_MAX,
    AUTHORIZE_STALE_MAX, AUTHORIZE_TIMEOUT, AUTHORIZE_WAIT, AUTHORIZE_WAITING,
};
use crate::outbound::{self, without_query};

/// For which topics a backend is asked, where it is, and what it is sent.
#[derive(Clone)]
pub struct AuthorizeRule {
    topics: Vec<Matcher>,
    url: Uri,
    cookies: Vec<String>,
    forward: Vec<HeaderName>,
    /// Whether the question names the topics. Without them one answer is good for all.
    pub send_topics: bool,
    /// Whether the question has the address of the client.
    pub send_address: bool,
    /// Requests that are asked about: those that read, that publish, or both.
    pub actions: Vec<Action>,
    /// Time that a positive answer is kept, and the default of its `expires_in`.
    pub cache: Duration,
    /// Time that a negative answer is kept.
    pub cache_refused: Duration,
    /// Maximum time for an answer. At the edge: the question has failed.
    pub timeout: Duration,
    /// Maximum number of questions at once. At the edge: further ones wait.
    pub concurrency: usize,
    /// Maximum number of questions that wait. At the edge: soft refusal.
    pub waiting: usize,
    /// Maximum time that a question waits. At the edge: soft refusal.
    pub wait: Duration,
    /// What happens to a newcomer if the question fails.
    pub on_failure: OnFailure,
    /// Maximum time after the end of an answer for which it counts while the backend fails.
    pub stale_max: Duration,
}

/// What a client wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Reading.
    Subscribe,
    /// Publishing, and ending topics.
    Publish,
}

/// What happens to a newcomer if the backend does not answer. Running streams go on either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// It is asked to come back.
    Refuse,
    /// An earlier answer counts, until [`AuthorizeRule::stale_max`] after its end.
    AllowCached,
}

impl Action {
    /// The word in questions.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Subscribe => "subscribe",
            Self::Publish => "publish",
        }
    }
}

impl AuthorizeRule {
    /// A rule that asks the backend at `url` about `topics`, sending the cookies and the headers
    /// with these names. An answer grants nothing beyond the topics.
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] that says what is wrong with which part.
    pub fn new(
        url: &str,
        topics: Vec<Matcher>,
        cookies: &[impl AsRef<str>],
        forward: &[impl AsRef<str>],
    ) -> Result<Self, ConfigError> {
        let wrong = |reason: String| ConfigError::Authorize { url: without_query(url), reason };
        let uri = outbound::parse_url(url).map_err(|reason| wrong(reason.into()))?;
        if topics.is_empty() {
            return Err(wrong("it has no topics".into()));
        }
        if cookies.is_empty() && forward.is_empty() {
            return Err(wrong("name cookies or headers (forward) to send".into()));
        }
        let cookies: Vec<_> = cookies.iter().map(|name| name.as_ref().to_owned()).collect();
        if let Some(name) = cookies.iter().find(|name| !is_token(name)) {
            return Err(wrong(format!("{name:?} is not the name of a cookie")));
        }
        let mut headers = Vec::with_capacity(forward.len());
        for name in forward {
            let name = name.as_ref();
            let header = HeaderName::try_from(name)
                .map_err(|_| wrong(format!("{name:?} is not the name of a header")))?;
            if !may_be_forwarded(&header) {
                return Err(wrong(format!("the header {name:?} cannot be forwarded")));
            }
            headers.push(header);
        }
        Ok(Self {
            topics,
            url: uri,
            cookies,
            forward: headers,
            send_topics: true,
            send_address: false,
            actions: vec![Action::Subscribe],
            cache: AUTHORIZE_CACHE,
            cache_refused: AUTHORIZE_CACHE_REFUSED,
            timeout: AUTHORIZE_TIMEOUT,
            concurrency: AUTHORIZE_CONCURRENCY,
            waiting: AUTHORIZE_WAITING,
            wait: AUTHORIZE_WAIT,
            on_failure: OnFailure::Refuse,
            stale_max: AUTHORIZE_STALE_MAX,
        })
    }

    /// Checks the numbers.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Authorize`], which names the first that is wrong.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let wrong =
            |reason: &str| Err(ConfigError::Authorize { url: self.place(), reason: reason.into() });
        if self.actions.is_empty() {
            return wrong("it has no actions");
        }
        for (name, is_zero) in [
            ("`cache` must be more than zero", self.cache.is_zero()),
            ("`timeout` must be more than zero", self.timeout.is_zero()),
            ("`concurrency` must be more than zero", self.concurrency == 0),
        ] {
            if is_zero {
                return wrong(name);
            }
        }
        if self.cache > AUTHORIZE_EXPIRES_MAX || self.stale_max > AUTHORIZE_EXPIRES_MAX {
            return wrong("`cache` and `stale-max` can be at most 24h");
        }
        if self.concurrency > tokio::sync::Semaphore::MAX_PERMITS {
            return wrong("`concurrency` is too large");
        }
        Ok(())
    }

    /// The topics within which an answer grants.
    pub fn topics(&self) -> &[Matcher] {
        &self.topics
    }

    /// The cookies that are sent, by name.
    pub fn cookies(&self) -> &[String] {
        &self.cookies
    }

    /// The headers that are sent.
    pub fn forward(&self) -> &[HeaderName] {
        &self.forward
    }

    pub(super) fn url(&self) -> &Uri {
        &self.url
    }

    /// Whether the rule is about all of `topics`.
    pub(super) fn covers<'a>(&self, mut topics: impl Iterator<Item = &'a Matcher>) -> bool {
        topics.all(|asked| self.topics.iter().any(|own| asked.is_covered_by(own)))
    }

    /// Where the backend is, without what may be a secret. For the log and for operators.
    pub fn place(&self) -> String {
        without_query(&self.url.to_string())
    }
}

impl fmt::Debug for AuthorizeRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorizeRule")
            .field("topics", &self.topics)
            .field("url", &self.place())
            .finish_non_exhaustive()
    }
}

/// A name as cookies have (RFC 6265 §4.1.1).
fn is_token(name: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_graphic() && !br#"()<>@,;:\"/[]?={}"#.contains(&byte);
    !name.is_empty() && name.bytes().all(is_allowed)
}

/// Headers of the client's connection, of proxies before the hub, and those that the hub sets are
/// not passed on: a backend would take them for true.
fn may_be_forwarded(name: &HeaderName) -> bool {
    let is_refused = [
        header::HOST,
        header::COOKIE,
        header::CONNECTION,
        header::UPGRADE,
        header::TE,
        header::TRAILER,
        header::TRANSFER_ENCODING,
        header::EXPECT,
        header::FORWARDED,
        header::RANGE,
        header::ACCEPT,
        header::ACCEPT_ENCODING,
        header::CACHE_CONTROL,
        header::USER_AGENT,
        header::PROXY_AUTHORIZATION,
    ]
    .contains(name);
    let prefixes = ["x-forwarded-", "content-", "if-", "proxy-", "tidings-"];
    let text = name.as_str();
    let others = ["keep-alive", "x-real-ip"];
    !is_refused
        && !others.contains(&text)
        && !prefixes.iter().any(|prefix| text.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn rule(url: &str, cookies: &[&str], forward: &[&str]) -> Result<AuthorizeRule, String> {
        let topics = vec![Matcher::parse("orders/**").unwrap()];
        AuthorizeRule::new(url, topics, cookies, forward).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_wrong_with_a_rule_is_named_and_no_secret_is_shown() {
        let url = "http://app:8000/auth?key=secret";
        assert!(rule(url, &["sessionid"], &["authorization", "X-Device"]).is_ok());
        for (url, cookies, forward, says) in [
            ("ftp://app/", &["a"][..], &[][..], "not http"),
            ("app/auth", &["a"], &[], "not http"),
            ("http://u:hidden@app/", &["a"], &[], "a user or a password"),
            ("http://app/#f", &["a"], &[], "fragment"),
            (url, &[], &[], "name cookies or headers"),
            (url, &["a b"], &[], "\"a b\" is not the name of a cookie"),
            (url, &["a=b"], &[], "is not the name of a cookie"),
            (url, &[], &["a b"], "\"a b\" is not the name of a header"),
            (url, &[], &["Host"], "cannot be forwarded"),
            (url, &[], &["X-Forwarded-For"], "cannot be forwarded"),
            (url, &[], &["forwarded"], "cannot be forwarded"),
            (url, &[], &["cookie"], "cannot be forwarded"),
            (url, &[], &["content-length"], "cannot be forwarded"),
        ] {
            let error = rule(url, cookies, forward).unwrap_err();
            assert!(error.contains(says), "{error}");
            assert!(!error.contains("secret") && !error.contains("hidden"), "{error}");
        }
        assert_eq!(rule(url, &["a"], &[]).unwrap().place(), "http://app:8000/auth");
    }

    #[test]
    fn a_rule_is_about_topics_that_it_covers_as_a_whole() {
        let rule = rule("http://app/", &["a"], &[]).unwrap();
        let covers = |texts: &[&str]| {
            let topics: Vec<_> = texts.iter().map(|text| Matcher::parse(text).unwrap()).collect();
            rule.covers(topics.iter())
        };
        assert!(covers(&["orders/7", "orders/*", "orders/**"]));
        assert!(covers(&[]));
        assert!(!covers(&["orders/7", "users/7"]));
        assert!(!covers(&["**"]));
    }
}
