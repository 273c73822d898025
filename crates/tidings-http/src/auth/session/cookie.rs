//! The cookies of sessions: their names, and how they are set and read (RFC 6265).
//!
//! A page of another site gets its cookie into a jar of that site (`Partitioned`), for browsers
//! keep no other for it. It has a name of its own, because a browser may send both.

use std::time::Duration;

use http::header::{self, HeaderMap, HeaderValue};

use crate::problem::Problem;
use crate::query;

/// The name of a session, for browsers in which several applications use one hub.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionName(String);

/// Where a browser keeps a cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Jar {
    /// With the hub's own: pages of the same site send it.
    FirstParty,
    /// With those of the site of a page that is not of the hub's.
    CrossSite,
}

impl SessionName {
    /// The name that a parameter called `parameter` has; none is the usual session.
    ///
    /// # Errors
    ///
    /// A 400 if it is no name.
    pub fn parse(parameter: &str, text: Option<&str>) -> Result<Self, Problem> {
        let Some(text) = text else { return Ok(Self::default()) };
        let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let is_taken = text == CROSS_SITE || text.ends_with(&format!("-{CROSS_SITE}"));
        if text.is_empty() || text.len() > NAME_BYTES_MAX || !text.bytes().all(is_name) || is_taken
        {
            let detail = format!(
                "`{parameter}` is the name of a session: 1 to {NAME_BYTES_MAX} of a-z, 0-9 and \
                 `-`, and not ending in `-{CROSS_SITE}`"
            );
            return Err(query::bad_value(parameter, detail));
        }
        Ok(Self(text.to_owned()))
    }

    /// The name; empty for the usual session.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of its cookie in a jar.
    pub(crate) fn cookie(&self, jar: Jar, is_insecure: bool) -> String {
        // Browsers accept the prefix only from the host itself, over TLS or from loopback.
        let mut name = if is_insecure { "tidings" } else { "__Host-tidings" }.to_owned();
        for part in [self.as_str(), if jar == Jar::CrossSite { CROSS_SITE } else { "" }] {
            if !part.is_empty() {
                name.push('-');
                name.push_str(part);
            }
        }
        name
    }
}

impl Jar {
    pub(crate) const ALL: [Self; 2] = [Self::FirstParty, Self::CrossSite];

    fn attributes(self, is_insecure: bool) -> &'static str {
        match (self, is_insecure) {
            (Self::FirstParty, false) => "Path=/; Secure; HttpOnly; SameSite=Lax",
            (Self::FirstParty, true) => "Path=/; HttpOnly; SameSite=Lax",
            (Self::CrossSite, _) => "Path=/; Secure; HttpOnly; SameSite=None; Partitioned",
        }
    }
}

/// All values of the cookies called `name` in a request.
pub(crate) fn values(headers: &HeaderMap, name: &str) -> Vec<String> {
    let mut values = Vec::new();
    for cookies in headers.get_all(header::COOKIE) {
        let Ok(cookies) = cookies.to_str() else { continue };
        let pairs = cookies.split(';').filter_map(|pair| pair.trim().split_once('='));
        values.extend(pairs.filter(|(key, _)| *key == name).map(|(_, value)| value.to_owned()));
    }
    values
}

/// Whether a request has a cookie that may be of a session.
pub(crate) fn are_in(headers: &HeaderMap) -> bool {
    let is_ours =
        |cookies: &HeaderValue| cookies.to_str().is_ok_and(|text| text.contains("tidings"));
    headers.get_all(header::COOKIE).iter().any(is_ours)
}

/// `Set-Cookie` with a value for `age`.
pub(crate) fn set(
    name: &SessionName,
    jar: Jar,
    is_insecure: bool,
    value: &str,
    age: Duration,
) -> HeaderValue {
    let (name, attributes) = (name.cookie(jar, is_insecure), jar.attributes(is_insecure));
    let seconds = age.as_secs().max(1);
    let cookie = format!("{name}={value}; {attributes}; Max-Age={seconds}");
    HeaderValue::from_str(&cookie).expect("base64url")
}

/// `Set-Cookie` that removes the cookie. Browsers find it by the same attributes.
pub(crate) fn remove(name: &SessionName, jar: Jar, is_insecure: bool) -> HeaderValue {
    let (name, attributes) = (name.cookie(jar, is_insecure), jar.attributes(is_insecure));
    let cookie = format!("{name}=; {attributes}; Max-Age=0");
    HeaderValue::from_str(&cookie).expect("a name")
}

/// Most bytes of a session's name.
const NAME_BYTES_MAX: usize = 16;

/// The last part of a cookie's name in the jar of another site.
const CROSS_SITE: &str = "x";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_name_is_short_and_is_never_that_of_another_cookie() {
        let name = |text| SessionName::parse("session", Some(text));
        for good in ["a", "app-1", "xx", "x-1", "0123456789abcdef"] {
            assert!(name(good).is_ok(), "{good}");
        }
        for bad in ["", "A", "a b", "a;b", "x", "app-x", "0123456789abcdefg", "ä", "a=b"] {
            assert!(name(bad).is_err(), "{bad}");
        }
        let cookie = |text, jar| SessionName::parse("session", text).unwrap().cookie(jar, false);
        assert_eq!(cookie(None, Jar::FirstParty), "__Host-tidings");
        assert_eq!(cookie(None, Jar::CrossSite), "__Host-tidings-x");
        assert_eq!(cookie(Some("a"), Jar::FirstParty), "__Host-tidings-a");
        assert_eq!(cookie(Some("a"), Jar::CrossSite), "__Host-tidings-a-x");
    }

    #[test]
    fn cookies_are_found_by_their_whole_name_in_all_lines() {
        let mut headers = HeaderMap::new();
        headers.append("cookie", "a=1; __Host-tidings=v; __Host-tidings-b=w".parse().unwrap());
        headers.append("cookie", "__Host-tidings=u=2;x".parse().unwrap());
        assert_eq!(values(&headers, "__Host-tidings"), ["v", "u=2"]);
        assert_eq!(values(&headers, "__Host-tidings-b"), ["w"]);
        assert!(values(&headers, "tidings").is_empty());
    }
}
