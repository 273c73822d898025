//! The host that a request names: exactly one, and a valid one (RFC 9112 §3.2, RFC 9113 §8.3.1).
//!
//! The hub itself is the same under every name. But a proxy in front of it may choose by the name,
//! and if the two read different names from one request, one of them is being deceived.

use std::net::Ipv6Addr;

use http::header::{self, HeaderMap, HeaderValue};
use http::{Uri, Version};

use crate::problem::{Code, Problem};

/// Checks that the request names its host as its version of HTTP requires. Only for requests on
/// connections that we serve; another server has to check its own.
pub(crate) fn check(version: Version, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
    let mut named = headers.get_all(header::HOST).iter().map(HeaderValue::as_bytes);
    let host = named.next();
    let wrong = if named.next().is_some() {
        "send one `Host`, not several"
    } else if host.is_some_and(|host| !is_host(host)) {
        "`Host` must be a name or an address, with a port if any: send `Host: hub.example:8080`"
    } else if version >= Version::HTTP_2 {
        let authority = uri.authority().map(|authority| authority.as_str().as_bytes());
        match (authority, host) {
            (None, None) => "send `:authority`",
            (Some(authority), _) if !is_host(authority) => {
                "`:authority` must be a name or an address, with a port if any"
            }
            (Some(authority), Some(host)) if !authority.eq_ignore_ascii_case(host) => {
                "`Host` and `:authority` name different hosts: send only `:authority`"
            }
            _ => return Ok(()),
        }
    } else if host.is_none() && version >= Version::HTTP_11 {
        "send `Host`, with the name or address of the hub"
    } else {
        return Ok(());
    };
    Err(Problem::new(Code::InvalidHost, wrong))
}

/// `uri-host [ ":" port ]` (RFC 9110 §7.2), the host not empty: an `http` URI has one (§4.2.1).
fn is_host(text: &[u8]) -> bool {
    let Some(text) = str::from_utf8(text).ok() else { return false };
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port),
        _ => (text, ""),
    };
    let in_brackets = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let is_host = match in_brackets {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => !host.is_empty() && is_registered_name(host.as_bytes()),
    };
    is_host && port.bytes().all(|byte| byte.is_ascii_digit())
}

/// `reg-name`, of which an IPv4 address is one (RFC 3986 §3.2.2).
fn is_registered_name(mut name: &[u8]) -> bool {
    while let [first, rest @ ..] = name {
        name = match (first, rest) {
            (b'%', [high, low, rest @ ..]) if [high, low].iter().all(|b| b.is_ascii_hexdigit()) => {
                rest
            }
            (b'-' | b'.' | b'_' | b'~', _) => rest,
            (b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=', _) => {
                rest
            }
            (byte, _) if byte.is_ascii_alphanumeric() => rest,
            _ => return false,
        };
    }
    true
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn checked(version: Version, target: &str, hosts: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        for host in hosts {
            headers.append(header::HOST, host.parse().unwrap());
        }
        check(version, &target.parse().unwrap(), &headers).is_ok()
    }

    #[test]
    fn names_and_addresses_with_and_without_a_port_are_hosts() {
        for host in [
            "hub.example",
            "hub.example:80",
            "hub.example:",
            "localhost",
            "127.0.0.1:8080",
            "[::1]",
            "[2001:db8::1]:443",
            "xn--bcher-kva.example",
            "a_b",
            "%41.example",
        ] {
            assert!(is_host(host.as_bytes()), "{host}");
        }
        for host in [
            "", ":80", "a b", "a/b", "user@a", "a:b", "a:80:80", "::1", "[::1", "::1]", "[]",
            "[a]", "[::1]x", "[::1]:x", "a?b", "a#b", "%4", "%zz", "a\\b", "http://a", "\u{e4}",
        ] {
            assert!(!is_host(host.as_bytes()), "{host}");
        }
    }

    #[test]
    fn http_1_1_has_one_host_and_http_1_0_at_most_one() {
        for (version, none) in [(Version::HTTP_11, false), (Version::HTTP_10, true)] {
            assert!(checked(version, "/", &["a"]));
            assert_eq!(checked(version, "/", &[]), none);
            // The target does not replace it.
            assert_eq!(checked(version, "http://a/", &[]), none);
            assert!(!checked(version, "/", &["a", "a"]));
            assert!(!checked(version, "/", &["a b"]));
        }
    }

    #[test]
    fn http_2_names_one_host_in_one_place_or_the_same_in_both() {
        let two = Version::HTTP_2;
        assert!(checked(two, "http://a:1/", &[]));
        assert!(checked(two, "http://a:1/", &["A:1"]));
        assert!(checked(two, "/", &["a"]));
        assert!(!checked(two, "/", &[]));
        assert!(!checked(two, "http://a/", &["b"]));
        assert!(!checked(two, "http://a/", &["a", "a"]));
        assert!(!checked(two, "http://user@a/", &[]));
    }
}
