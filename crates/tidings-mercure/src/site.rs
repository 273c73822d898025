//! The URL of the hub, as the sender of a request knows it.

use http::header;
use http::request::Parts;
use tidings_http::client::Client;
use url::Url;

use crate::config::MercureConfig;
use crate::paths::{HUB, METADATA};

/// The hub's own URL.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    /// As the operator wrote it, or as the request was sent.
    pub(crate) resource: String,
    pub(crate) url: Url,
    /// Whether the operator wrote it.
    is_configured: bool,
}

impl Site {
    pub(crate) fn of(config: &MercureConfig, parts: &Parts) -> Self {
        if let Some(resource) = &config.resource {
            let (resource, url) = (resource.text.clone(), resource.url.clone());
            return Self { resource, url, is_configured: true };
        }
        let authority = parts.uri.authority().map(http::uri::Authority::as_str);
        let host = tidings_http::headers::first(&parts.headers, header::HOST);
        let scheme = if Client::used_tls(parts) { "https" } else { "http" };
        let authority = authority.or(host.as_deref()).unwrap_or("localhost");
        let resource = format!("{scheme}://{authority}{HUB}");
        match Url::parse(&resource) {
            Ok(url) if url.path() == HUB => Self { resource, url, is_configured: false },
            _ => Self::unnamed(),
        }
    }

    /// The URL of a hub with this configuration to the issuer of a token for `audiences`: the hub
    /// itself learns its URL only from a request.
    pub(crate) fn of_audiences(config: &MercureConfig, audiences: &[&str]) -> Self {
        if let Some(resource) = &config.resource {
            let (resource, url) = (resource.text.clone(), resource.url.clone());
            return Self { resource, url, is_configured: true };
        }
        let parsed = audiences.iter().find_map(|text| {
            let url = Url::parse(text).ok().filter(|url| url.path() == HUB)?;
            Some(Self { resource: (*text).to_owned(), url, is_configured: false })
        });
        parsed.unwrap_or_else(Self::unnamed)
    }

    /// For a request that names no host.
    fn unnamed() -> Self {
        let resource = format!("http://localhost{HUB}");
        let url = Url::parse(&resource).expect("a constant URL");
        Self { resource, url, is_configured: false }
    }

    /// Whether a token for `audience` is meant for this hub. Behind a proxy the scheme that the
    /// client used is unknown, so unless the URL is configured both schemes match.
    pub(crate) fn is_audience(&self, audience: &str) -> bool {
        if audience == self.resource {
            return true;
        }
        let after_scheme = |text: &str| {
            let (scheme, rest) = text.split_once("://")?;
            matches!(scheme, "http" | "https").then(|| rest.to_owned())
        };
        !self.is_configured && after_scheme(audience) == after_scheme(&self.resource)
    }

    /// Where the metadata is (RFC 9728 §3.1).
    pub(crate) fn metadata_url(&self) -> String {
        let mut url = self.url.clone();
        url.set_query(None);
        url.set_fragment(None);
        url.set_path(METADATA);
        url.into()
    }

    /// Whether `topic`, read as a URL, is the hub or something below it, in any spelling.
    pub(crate) fn is_reserved(&self, topic: &str) -> bool {
        let Ok(url) = self.url.join(topic) else { return false };
        if url.origin() != self.url.origin() {
            return false;
        }
        let path = unreserved_decoded(url.path());
        path.strip_prefix(HUB).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// Decodes percent-encoded characters that need no encoding (RFC 3986 §2.3).
fn unreserved_decoded(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('%') {
        out += before;
        let byte = after.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match byte {
            Some(byte) if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => {
                out.push(char::from(byte));
                rest = &after[2..];
            }
            _ => {
                out.push('%');
                rest = after;
            }
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn site(resource: &str, is_configured: bool) -> Site {
        Site { resource: resource.into(), url: resource.parse().unwrap(), is_configured }
    }

    #[test]
    fn the_hubs_namespace_is_known_however_it_is_written() {
        let site = site("https://hub.example/.well-known/mercure", true);
        for topic in [
            "/.well-known/mercure",
            "/.well-known/mercure/subscriptions/x",
            "mercure/x",
            "https://hub.example/.well-known/mercure?x",
            "https://HUB.example:443/a/../.well-known/mercure/",
            "/.well-known/%6Dercure/x",
            "/%2ewell-known/mercure",
            "//hub.example/.well-known/mercure",
        ] {
            assert!(site.is_reserved(topic), "{topic}");
        }
        for topic in [
            "https://other.example/.well-known/mercure",
            "/.well-known/mercurex",
            "/x?/.well-known/mercure",
            "urn:x:/.well-known/mercure",
            "http://hub.example/.well-known/mercure",
        ] {
            assert!(!site.is_reserved(topic), "{topic}");
        }
    }

    #[test]
    fn an_audience_is_byte_for_byte_the_one_configured() {
        let configured = site("https://hub.example/.well-known/mercure", true);
        assert!(configured.is_audience("https://hub.example/.well-known/mercure"));
        assert!(!configured.is_audience("http://hub.example/.well-known/mercure"));
        let derived = site("http://hub.example/.well-known/mercure", false);
        assert!(derived.is_audience("https://hub.example/.well-known/mercure"));
        assert!(!derived.is_audience("https://other.example/.well-known/mercure"));
        assert!(!derived.is_audience("x"));
    }

    #[test]
    fn the_metadata_is_at_the_hubs_origin() {
        let site = site("https://hub.example:8443/.well-known/mercure?x", true);
        assert_eq!(
            site.metadata_url(),
            "https://hub.example:8443/.well-known/oauth-protected-resource/.well-known/mercure"
        );
    }
}
