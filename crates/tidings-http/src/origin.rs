//! Origins of web pages, compared by scheme, host and port (RFC 6454 §4 and §5); a default port
//! counts as none, and names are case-insensitive.

use url::Url;

/// `text` in the form browsers send: scheme and host in lower case, no default port. `None` if it
/// is not an origin: it has no scheme, or it has a path or a user.
pub fn canonical(text: &str) -> Option<String> {
    if text == "null" {
        return Some(text.to_owned()); // what pages from files and in sandboxes send
    }
    let (scheme, authority) = text.split_once("://")?;
    let is_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    if scheme.is_empty() || !scheme.bytes().all(is_scheme) || authority.contains(['@', '/', '\\']) {
        return None;
    }
    if !matches!(&*scheme.to_ascii_lowercase(), "http" | "https") {
        // Extensions and apps have schemes of their own, with unknown default ports.
        let parsed: http::uri::Authority = authority.parse().ok()?;
        return Some(format!("{scheme}://{parsed}").to_ascii_lowercase());
    }
    let url = Url::parse(text).ok().filter(|url| url.query().is_none() && url.fragment().is_none());
    url.map(|url| url.origin().ascii_serialization())
}

/// Whether two origins are the same.
pub(crate) fn are_same(one: &str, other: &str) -> bool {
    one == other || canonical(one).is_some_and(|one| canonical(other) == Some(one))
}

/// Whether `origin` is that of the host that a request was sent to, with whatever scheme it has.
pub(crate) fn is_of_host(origin: &str, authority: &str) -> bool {
    match origin.split_once("://") {
        Some((scheme, _)) if matches!(&*scheme.to_ascii_lowercase(), "http" | "https") => {
            are_same(origin, &format!("{scheme}://{authority}"))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_compared_as_origins() {
        for (one, other) in [
            ("https://hub.example", "https://HUB.example:443"),
            ("http://hub.example:80", "http://hub.example"),
            ("HTTP://hub.example", "http://hub.example"),
            ("http://[0:0::1]:8080", "http://[::1]:8080"),
            ("moz-extension://1f-2a", "moz-extension://1F-2A"),
            ("null", "null"),
        ] {
            assert!(are_same(one, other), "{one} {other}");
        }
        for (one, other) in [
            ("https://hub.example", "http://hub.example"),
            ("https://hub.example", "https://hub.example:80"),
            ("http://hub.example:443", "https://hub.example:443"),
            ("https://hub.example", "https://hub.example.evil"),
            ("https://hub.example", "https://user@hub.example"),
            ("null", "https://null"),
        ] {
            assert!(!are_same(one, other), "{one} {other}");
        }
    }

    #[test]
    fn a_page_is_the_hubs_own_with_and_without_a_default_port() {
        for (origin, host) in [
            ("https://hub.example", "hub.example:443"),
            ("https://hub.example", "Hub.Example"),
            ("https://hub.example:443", "hub.example"),
            ("http://hub.example", "hub.example:80"),
            ("http://localhost:8080", "LOCALHOST:8080"),
        ] {
            assert!(is_of_host(origin, host), "{origin} {host}");
        }
        for (origin, host) in [
            ("https://hub.example", "hub.example:80"),
            ("http://hub.example", "hub.example:443"),
            ("https://hub.example:8443", "hub.example"),
            ("https://elsewhere.example", "hub.example"),
            ("null", "null"),
            ("hub.example", "hub.example"),
            ("ftp://hub.example", "hub.example"),
        ] {
            assert!(!is_of_host(origin, host), "{origin} {host}");
        }
    }
}
