//! The hosts under which an open hub answers.
//!
//! A hub without keys trusts every client that can reach it. Through DNS rebinding, a web page of
//! any site can: its own name is made to resolve to 127.0.0.1, and to the browser the hub then has
//! the page's own origin. But the browser still sends that name in `Host`. So an open hub answers
//! only under hosts that no foreign name server controls: a loopback name or address, or a host on
//! the operator's list.

use std::net::IpAddr;

use http::Uri;
use http::header::{self, HeaderMap, HeaderValue};
use http::uri::Authority;

use crate::allowed_hosts::canonical;
use crate::config::HttpConfig;
use crate::problem::{Code, Problem};

/// Rejects a request to an open hub under a foreign name.
///
/// # Errors
///
/// A 421 that says what to set.
pub(crate) fn check(
    config: &HttpConfig,
    is_open: bool,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<(), Problem> {
    if !is_open || config.allowed_hosts.is_every() {
        return Ok(());
    }
    let host = headers.get(header::HOST).map(HeaderValue::as_bytes);
    let host = host.map(|host| str::from_utf8(host).ok().and_then(|host| host.parse().ok()));
    // Both, because a target in absolute form may name another host than `Host`.
    let named = [host, uri.authority().cloned().map(Some)];
    let mut is_named = false;
    for authority in named.into_iter().flatten() {
        is_named = true;
        let authority: Option<Authority> = authority;
        let host = authority.as_ref().map_or("", Authority::host);
        if !allows(config, host) {
            return Err(not_allowed(&canonical(host)));
        }
    }
    if is_named { Ok(()) } else { Err(not_allowed("")) }
}

fn allows(config: &HttpConfig, host: &str) -> bool {
    let name = canonical(host);
    if let Ok(address) = name.parse::<IpAddr>() {
        // No name server controls an address. An operator who opened a hub to other machines wants
        // it to answer at its addresses there.
        return address.to_canonical().is_loopback()
            || config.exposed().is_some()
            || config.allowed_hosts.has(host);
    }
    // All names below `localhost` mean this machine (RFC 6761 §6.3).
    is_local_name(&name) || config.allowed_hosts.has(host) || has_certificate(config, &name)
}

fn is_local_name(name: &str) -> bool {
    name == "localhost" || name.ends_with(".localhost")
}

/// A browser shows no page under a name without a certificate for that name.
fn has_certificate(config: &HttpConfig, name: &str) -> bool {
    config.tls.as_ref().is_some_and(|tls| tls.covers(name))
}

/// Whether a reader may be redirected to `host`: it is the hub's own, as far as can be known.
pub(crate) fn is_own_host(config: &HttpConfig, host: &str) -> bool {
    let name = canonical(host);
    let is_loopback = name.parse().is_ok_and(|address: IpAddr| address.is_loopback());
    is_loopback
        || is_local_name(&name)
        || config.allowed_hosts.has(host)
        || has_certificate(config, &name)
}

fn not_allowed(host: &str) -> Problem {
    let detail = if host.is_empty() {
        "a hub without keys answers only requests that name their host: send `Host: localhost`, or \
         give the hub keys"
            .to_owned()
    } else {
        format!(
            "a hub without keys answers only to loopback names and addresses: to be reached as \
             {host:?}, set `allowed-host = [{host:?}]` (--allowed-host {host}), or give it keys"
        )
    };
    Problem::new(Code::HostNotAllowed, detail)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::net::SocketAddr;

    use super::*;
    use crate::allowed_hosts::AllowedHosts;
    use crate::auth::JwtKey;

    fn allowed(config: &HttpConfig, target: &str, host: Option<&str>) -> bool {
        let mut headers = HeaderMap::new();
        if let Some(host) = host {
            headers.insert(header::HOST, host.parse().unwrap());
        }
        check(config, config.is_open(false), &target.parse().unwrap(), &headers).is_ok()
    }

    #[test]
    fn an_open_hub_answers_to_loopback_names_and_addresses_and_to_no_others() {
        let open = HttpConfig::default();
        for host in [
            "localhost",
            "LOCALHOST:8080",
            "localhost.",
            "localhost.:80",
            "app.localhost",
            "127.0.0.1",
            "127.0.0.1:8080",
            "127.255.0.9",
            "[::1]",
            "[::1]:8080",
            "[::ffff:127.0.0.1]:80",
        ] {
            assert!(allowed(&open, "/", Some(host)), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:8080",
            "evil.example.",
            "localhost.evil.example",
            "notlocalhost",
            "127.0.0.1.evil.example",
            "128.0.0.1",
            "192.168.1.5:8080",
            "0.0.0.0",
            "[::]",
            "[2001:db8::1]",
            "[::ffff:10.0.0.1]",
            "localhost..",
            "%6cocalhost",
            "127.1",
        ] {
            assert!(!allowed(&open, "/", Some(host)), "{host}");
        }
        assert!(!allowed(&open, "/", None));
    }

    #[test]
    fn the_target_counts_beside_the_header() {
        let open = HttpConfig::default();
        assert!(allowed(&open, "http://localhost:1/", None));
        assert!(allowed(&open, "http://localhost/", Some("127.0.0.1")));
        assert!(!allowed(&open, "http://evil.example/", Some("localhost")));
        assert!(!allowed(&open, "http://localhost/", Some("evil.example")));
    }

    #[test]
    fn hosts_on_the_list_are_accepted_with_any_port_and_in_any_case() {
        let allowed_hosts = AllowedHosts::new(["Hub.Example", "192.0.2.1", "2001:db8::1"]).unwrap();
        let open = HttpConfig { allowed_hosts, ..HttpConfig::default() };
        for host in ["hub.example", "HUB.example.:81", "192.0.2.1:80", "[2001:DB8:0::1]:80"] {
            assert!(allowed(&open, "/", Some(host)), "{host}");
        }
        assert!(!allowed(&open, "/", Some("x.hub.example")));
        let all = HttpConfig {
            allowed_hosts: AllowedHosts::new(["*"]).unwrap(),
            ..HttpConfig::default()
        };
        assert!(allowed(&all, "/", Some("evil.example")) && allowed(&all, "/", None));
    }

    #[test]
    fn a_hub_with_keys_answers_under_any_host_unless_it_is_open() {
        let jwt_keys = vec![JwtKey::hs256(&[7; 32]).unwrap()];
        let mut config = HttpConfig { jwt_keys, ..HttpConfig::default() };
        assert!(allowed(&config, "/", Some("hub.example")));
        // Unless it is open all the same.
        config.open = true;
        assert!(!allowed(&config, "/", Some("hub.example")));
    }

    #[test]
    fn a_hub_on_an_address_of_the_network_answers_to_addresses() {
        let listen = vec![SocketAddr::from(([0, 0, 0, 0], 80))];
        let open = HttpConfig { open: true, listen, ..HttpConfig::default() };
        assert!(allowed(&open, "/", Some("192.168.1.5:8080")));
        assert!(!allowed(&open, "/", Some("evil.example")));
    }
}
