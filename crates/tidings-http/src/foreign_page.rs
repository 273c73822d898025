//! Which web pages may use a right that the browser of a visitor adds to their requests by itself.
//!
//! A cookie, or the mere fact that a hub can be reached, is such a right: it says nothing about the
//! page that made the request. A token in a header or in the query is not: the page has to hold it.
//!
//! Browsers say where a request comes from in `Origin` and in `Sec-Fetch-Site` (Fetch standard),
//! and pages can set neither. What counts of the two, for a request that changes something:
//!
//! | `Origin` | `Sec-Fetch-Site` | |
//! |---|---|---|
//! | the hub's own, or allowed | any | yes |
//! | another | any | no |
//! | none or `null` | `same-origin` | yes |
//! | none or `null` | `none` | without a cookie |
//! | none or `null` | `same-site`, `cross-site` | no |
//! | none | none | without a cookie: it is a program |
//! | `null` | none | no |
//!
//! `null` may be allowed by name, for requests without a cookie. `SameSite` does not help: a page
//! of a sibling host sends even `Strict` cookies.

use http::header::{self, HeaderName, HeaderValue};
use http::request::Parts;

use crate::client::Client;
use crate::config::HttpConfig;
use crate::origin;
use crate::problem::{Code, Problem};

/// A right that a browser adds by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ambient {
    /// A cookie.
    Cookie,
    /// That the hub can be reached, or that an application vouches for the request.
    Reach,
}

/// The page that a request comes from, as far as its browser says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Page {
    /// One of the hub's own.
    Own,
    /// One of another origin.
    Of(String),
    /// None: a program, the address bar, or a page that may not be named.
    Nowhere,
}

/// What `Origin` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    Own,
    Allowed,
    Other,
    Null,
    Missing,
}

/// What `Sec-Fetch-Site` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Site {
    Same,
    /// The address bar, a bookmark.
    User,
    /// `same-site`, `cross-site`, and words that are not known.
    Foreign,
    Missing,
}

/// Rejects a change by a page that is neither the hub's own nor allowed. CORS alone would only keep
/// it from reading the answer.
///
/// # Errors
///
/// A 403 that says what to set.
pub fn check_change(config: &HttpConfig, parts: &Parts, by: Ambient) -> Result<(), Problem> {
    let (origin, site) = (origin_of(config, parts, by), site_of(parts));
    if may_change(origin, site, by) { Ok(()) } else { Err(not_allowed(parts)) }
}

/// Rejects reading with a cookie by a page that is neither the hub's own nor allowed. A link from
/// anywhere may read: what it leads to is shown to the user and to no page.
///
/// # Errors
///
/// A 403 that says what to set.
pub fn check_read(config: &HttpConfig, parts: &Parts) -> Result<(), Problem> {
    let origin = origin_of(config, parts, Ambient::Cookie);
    if may_read(origin, site_of(parts)) { Ok(()) } else { Err(not_allowed(parts)) }
}

/// Rejects the use of a session by a page of another origin than its own, which is `owner` or, if
/// that is `None`, the hub's: pages that may all use the hub must not use each other's sessions.
///
/// # Errors
///
/// A 403.
pub fn check_session(
    config: &HttpConfig,
    parts: &Parts,
    owner: Option<&str>,
) -> Result<(), Problem> {
    let is_owner = match page_of(config, parts) {
        Page::Own => owner.is_none(),
        Page::Of(origin) => owner == Some(origin.as_str()),
        Page::Nowhere => true,
    };
    if is_owner {
        return Ok(());
    }
    let detail = "a page of another origin started this session: start one with a token, under \
                  another `name`";
    Err(Problem::new(Code::SessionOrigin, detail))
}

/// The page that a request comes from.
pub fn page_of(config: &HttpConfig, parts: &Parts) -> Page {
    let origin = parts.headers.get(header::ORIGIN).and_then(|value| value.to_str().ok());
    match origin.filter(|origin| *origin != NULL) {
        Some(origin) if is_own(config, origin, parts) => Page::Own,
        Some(origin) => Page::Of(origin::canonical(origin).unwrap_or_else(|| origin.to_owned())),
        None if site_of(parts) == Site::Same => Page::Own,
        None => Page::Nowhere,
    }
}

/// Whether a request comes from a page of another site: then browsers keep no cookie but one that
/// belongs to that site, too.
pub fn is_cross_site(parts: &Parts) -> bool {
    parts.headers.get(SEC_FETCH_SITE).is_some_and(|site| site == "cross-site")
}

/// Whether the request says that it comes from no page at all: it has neither header.
pub fn is_silent(parts: &Parts) -> bool {
    !parts.headers.contains_key(header::ORIGIN) && site_of(parts) == Site::Missing
}

/// Whether `origin` is the hub's own, as far as the hub knows its own: by `Host` and TLS, or by the
/// URL that its operator gave. Behind a proxy that the hub does not trust it cannot know the
/// scheme; then the browser's word counts.
pub fn is_own(config: &HttpConfig, origin: &str, parts: &Parts) -> bool {
    if config.public_origin.as_deref().is_some_and(|own| origin::are_same(own, origin)) {
        return true;
    }
    let host = parts.headers.get(header::HOST).map(HeaderValue::as_bytes);
    let authority = parts.uri.authority().map(|a| a.as_str().as_bytes());
    let own = authority.or(host).and_then(|own| str::from_utf8(own).ok());
    let is_host = own.is_some_and(|own| origin::is_of_host(origin, own));
    let has_scheme = Client::of(parts).is_none_or(|client| {
        let is_secure = origin.get(..6).is_some_and(|begin| begin.eq_ignore_ascii_case("https:"));
        is_secure == client.is_secure
    });
    is_host && (has_scheme || site_of(parts) == Site::Same)
}

fn may_change(origin: Origin, site: Site, by: Ambient) -> bool {
    match (origin, site) {
        (Origin::Own | Origin::Allowed, _) => true,
        (Origin::Other, _) => false,
        (Origin::Missing | Origin::Null, Site::Same) => true,
        (Origin::Missing | Origin::Null, Site::User) => by != Ambient::Cookie,
        (Origin::Missing | Origin::Null, Site::Foreign) => false,
        (Origin::Missing, Site::Missing) => by != Ambient::Cookie,
        (Origin::Null, Site::Missing) => false,
    }
}

fn may_read(origin: Origin, site: Site) -> bool {
    match (origin, site) {
        (Origin::Own | Origin::Allowed, _) => true,
        (Origin::Other, _) => false,
        (Origin::Missing | Origin::Null, Site::Same | Site::User) => true,
        (Origin::Missing | Origin::Null, Site::Foreign) => false,
        (Origin::Missing, Site::Missing) => true,
        (Origin::Null, Site::Missing) => false,
    }
}

fn origin_of(config: &HttpConfig, parts: &Parts, by: Ambient) -> Origin {
    let Some(value) = parts.headers.get(header::ORIGIN) else { return Origin::Missing };
    let is_allowed = match by {
        Ambient::Cookie => value != NULL && config.cors.allows_with_cookies(value.as_bytes()),
        Ambient::Reach => config.cors.allows(value.as_bytes()),
    };
    match str::from_utf8(value.as_bytes()) {
        _ if is_allowed => Origin::Allowed,
        Ok(NULL) => Origin::Null,
        Ok(text) if is_own(config, text, parts) => Origin::Own,
        _ => Origin::Other,
    }
}

fn site_of(parts: &Parts) -> Site {
    match parts.headers.get(SEC_FETCH_SITE).map(HeaderValue::as_bytes) {
        None => Site::Missing,
        Some(b"same-origin") => Site::Same,
        Some(b"none") => Site::User,
        Some(_) => Site::Foreign,
    }
}

fn not_allowed(parts: &Parts) -> Problem {
    let Some(origin) = parts.headers.get(header::ORIGIN) else {
        let detail = "the browser says that a page of another site sent this (Sec-Fetch-Site), or \
                      does not say which page did: send a token in `Authorization`";
        return Problem::new(Code::OriginNotAllowed, detail);
    };
    let origin = String::from_utf8_lossy(origin.as_bytes());
    Problem::new(
        Code::OriginNotAllowed,
        format!(
            "add the origin {origin:?} to the hub's list of allowed origins; if it is the hub's \
             own, set `public-url`"
        ),
    )
}

const NULL: &str = "null";

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::net::{IpAddr, Ipv4Addr};

    use super::*;
    use crate::client::TrustedProxies;
    use crate::cors::Cors;

    fn parts(origin: Option<&str>, site: Option<&str>, is_secure: bool) -> Parts {
        let mut request = http::Request::post("/events/a").header("host", "hub.example");
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        if let Some(site) = site {
            request = request.header("sec-fetch-site", site);
        }
        let mut parts = request.body(()).unwrap().into_parts().0;
        let peer = IpAddr::from(Ipv4Addr::LOCALHOST);
        let client = Client::new(peer, is_secure, &parts.headers, &TrustedProxies::default());
        parts.extensions.insert(client);
        parts
    }

    fn config(origins: &[&str], credentials: bool) -> HttpConfig {
        HttpConfig { cors: Cors::new(origins, credentials).unwrap(), ..HttpConfig::default() }
    }

    const SITES: [Option<&str>; 6] = [
        Some("same-origin"),
        Some("none"),
        Some("same-site"),
        Some("cross-site"),
        Some("new-word"),
        None,
    ];

    /// The table above, as letters: `y` yes, `n` no; a column for each of [`SITES`].
    #[test]
    fn the_seven_rows_decide_who_changes_and_reads() {
        let config = config(&["https://app.example"], true);
        for (origin, cookie, reach, read) in [
            (Some("http://hub.example"), "yyyyyy", "yyyyyy", "yyyyyy"),
            (Some("https://app.example"), "yyyyyy", "yyyyyy", "yyyyyy"),
            (Some("https://evil.example"), "nnnnnn", "nnnnnn", "nnnnnn"),
            (Some("\u{e9}"), "nnnnnn", "nnnnnn", "nnnnnn"),
            (None, "ynnnnn", "yynnny", "yynnny"),
            (Some("null"), "ynnnnn", "yynnnn", "yynnnn"),
        ] {
            for (column, site) in SITES.into_iter().enumerate() {
                let parts = parts(origin, site, false);
                let expected = |row: &str| row.as_bytes()[column] == b'y';
                let case = format!("{origin:?} {site:?}");
                let change = |by| check_change(&config, &parts, by).is_ok();
                assert_eq!(change(Ambient::Cookie), expected(cookie), "cookie {case}");
                assert_eq!(change(Ambient::Reach), expected(reach), "reach {case}");
                assert_eq!(check_read(&config, &parts).is_ok(), expected(read), "read {case}");
            }
        }
    }

    #[test]
    fn a_cookie_needs_an_origin_that_may_send_cookies() {
        let parts = parts(Some("https://app.example"), Some("cross-site"), true);
        for (config, cookie) in [
            (config(&["https://app.example"], false), false),
            (config(&["*"], false), false),
            (config(&["https://app.example"], true), true),
        ] {
            assert_eq!(check_change(&config, &parts, Ambient::Cookie).is_ok(), cookie);
            assert!(check_change(&config, &parts, Ambient::Reach).is_ok());
        }
    }

    #[test]
    fn null_may_be_allowed_by_name_but_not_with_a_cookie() {
        let config = config(&["null"], true);
        let parts = parts(Some("null"), Some("cross-site"), true);
        assert!(check_change(&config, &parts, Ambient::Reach).is_ok());
        assert!(check_change(&config, &parts, Ambient::Cookie).is_err());
        assert!(check_read(&config, &parts).is_err());
    }

    #[test]
    fn the_hubs_own_origin_has_its_scheme() {
        let mut config = config(&[], false);
        let own = |config: &HttpConfig, origin, site, is_secure| {
            check_change(config, &parts(Some(origin), site, is_secure), Ambient::Reach).is_ok()
        };
        assert!(own(&config, "https://hub.example", None, true));
        assert!(!own(&config, "http://hub.example", None, true));
        assert!(!own(&config, "https://hub.example", None, false));
        // Behind a proxy that is not trusted to name the scheme.
        assert!(own(&config, "https://hub.example", Some("same-origin"), false));
        config.public_origin = Some("https://hub.example".into());
        assert!(own(&config, "https://hub.example", None, false));
        assert!(!own(&config, "https://hub.example:8443", None, false));
    }
}
