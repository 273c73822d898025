//! The address of a request's sender, also behind trusted proxies.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use http::HeaderMap;
use http::request::Parts;
use ipnet::IpNet;
use tidings_engine::Rejection;

use crate::error::ConfigError;
use crate::headers::joined;

/// Proxies that are trusted to name their clients.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// Addresses (`192.0.2.1`) or networks (`10.0.0.0/8`, `fd00::/8`).
    ///
    /// # Errors
    ///
    /// [`ConfigError::Network`]: a text is neither.
    pub fn new(texts: &[impl AsRef<str>]) -> Result<Self, ConfigError> {
        let parse = |text: &str| {
            let address = text.parse().map(|address: IpAddr| IpNet::from(address.to_canonical()));
            address.or_else(|_| text.parse()).map(|network: IpNet| network.trunc())
        };
        let network = |text: &_| {
            let text = AsRef::<str>::as_ref(text);
            parse(text).map_err(|_| ConfigError::Network { text: text.to_owned() })
        };
        texts.iter().map(network).collect::<Result<_, _>>().map(Self)
    }

    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// The sender of a request, as far as addresses go. It travels with the request as an extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// Address of the client, according to trusted proxies.
    pub address: IpAddr,
    /// Whether it used TLS, to the hub or to a proxy.
    pub is_secure: bool,
    /// Why its connection exceeds a limit; every request on it is rejected for this reason.
    pub(crate) excess: Option<Rejection>,
}

impl Client {
    /// The client behind `peer`. A trusted proxy appends the address of its client to
    /// `X-Forwarded-For`; the nearest address that is not itself trusted is the client, and entries
    /// before it are only that client's claims.
    pub(crate) fn new(
        peer: IpAddr,
        is_secure: bool,
        headers: &HeaderMap,
        trusted: &TrustedProxies,
    ) -> Self {
        let mut client = Self { address: peer.to_canonical(), is_secure, excess: None };
        if !trusted.contains(client.address) {
            return client;
        }
        for text in listed(&joined(headers, "x-forwarded-for", ", ")) {
            let Some(address) = address(text) else { break };
            client.address = address.to_canonical();
            if !trusted.contains(client.address) {
                break;
            }
        }
        if let Some(scheme) = listed(&joined(headers, "x-forwarded-proto", ", ")).next()
            && !scheme.is_empty()
        {
            client.is_secure = scheme.eq_ignore_ascii_case("https");
        }
        client
    }

    /// The client of a request; `None` if an application that mounts the hub does not say.
    pub fn of(parts: &Parts) -> Option<&Self> {
        parts.extensions.get()
    }

    /// Whether the request came over TLS.
    pub fn used_tls(parts: &Parts) -> bool {
        Self::of(parts).is_some_and(|client| client.is_secure)
    }

    /// Why the request's connection exceeds a limit, if it does.
    pub fn excess(parts: &Parts) -> Option<Rejection> {
        Self::of(parts)?.excess
    }
}

/// The prefix that counts as one address: for IPv6 the network, because one machine has all of it
/// (RFC 6177).
pub(crate) fn rate_limit_prefix(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let network = u128::from(address) & (u128::MAX << 64);
            Ipv6Addr::from(network).into()
        }
    }
}

/// The items of a list in a header, the last one first.
fn listed(list: &str) -> impl Iterator<Item = &str> {
    list.rsplit(',').map(str::trim)
}

/// An address as proxies write it: alone, with a port, in brackets.
fn address(text: &str) -> Option<IpAddr> {
    let alone = text.parse().ok();
    let alone = alone.or_else(|| text.strip_prefix('[')?.strip_suffix(']')?.parse().ok());
    alone.or_else(|| text.parse().ok().map(|address: SocketAddr| address.ip()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn client(peer: &str, headers: &[(&'static str, &str)]) -> (String, bool) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        let trusted = TrustedProxies::new(&["127.0.0.1", "10.0.0.0/8", "fd00::/8"]).unwrap();
        let client = Client::new(peer.parse().unwrap(), false, &map, &trusted);
        (client.address.to_string(), client.is_secure)
    }

    #[test]
    fn an_untrusted_peer_is_not_believed() {
        let said = [("x-forwarded-for", "203.0.113.9"), ("x-forwarded-proto", "https")];
        assert_eq!(client("198.51.100.1", &said), ("198.51.100.1".into(), false));
        assert_eq!(client("::ffff:198.51.100.1", &said), ("198.51.100.1".into(), false));
    }

    #[test]
    fn the_nearest_address_that_is_no_trusted_proxy_is_the_client() {
        let forwarded = |value| client("127.0.0.1", &[("x-forwarded-for", value)]).0;
        assert_eq!(forwarded("203.0.113.9"), "203.0.113.9");
        assert_eq!(forwarded("1.2.3.4, 203.0.113.9, 10.1.2.3"), "203.0.113.9");
        assert_eq!(forwarded("1.2.3.4,nonsense"), "127.0.0.1");
        assert_eq!(forwarded("10.9.9.9"), "10.9.9.9");
        assert_eq!(forwarded("203.0.113.9:4711"), "203.0.113.9");
        assert_eq!(forwarded("[2001:db8::1]:80"), "2001:db8::1");
        assert_eq!(forwarded("[2001:db8::1]"), "2001:db8::1");
        let two = [("x-forwarded-for", "1.2.3.4"), ("x-forwarded-for", "203.0.113.9")];
        assert_eq!(client("10.0.0.1", &two).0, "203.0.113.9");
        assert!(client("10.0.0.1", &[("x-forwarded-proto", "https")]).1);
    }

    #[test]
    fn an_ipv6_network_counts_as_one_address() {
        let of = |text: &str| rate_limit_prefix(text.parse().unwrap()).to_string();
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(of("192.0.2.7"), "192.0.2.7");
        assert_eq!(of("::ffff:192.0.2.7"), "192.0.2.7");
    }

    #[test]
    fn an_invalid_network_is_named() {
        for text in ["", "localhost", "10.0.0.0/33", "10.0.0.0/8/8"] {
            let refused = TrustedProxies::new(&[text]).unwrap_err();
            assert_eq!(refused, ConfigError::Network { text: text.to_owned() });
        }
    }
}
