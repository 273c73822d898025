//! The names that certificates are for.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use instant_acme::{Identifier, LetsEncrypt};
use tidings_server::{Challenges, Tls, TlsError};
use url::Host;

/// A DNS name, in ASCII and lower case, or an address.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Name {
    Dns(String),
    Ip(IpAddr),
}

impl Name {
    pub(super) fn identifier(&self) -> Identifier {
        match self {
            Self::Dns(name) => Identifier::Dns(name.clone()),
            Self::Ip(address) => Identifier::Ip(*address),
        }
    }

    /// The name by which TLS-ALPN-01 asks about it (RFC 8737 §3, RFC 8738 §6).
    pub(super) fn asked_as(&self) -> String {
        match self {
            Self::Dns(name) => name.clone(),
            Self::Ip(IpAddr::V4(address)) => {
                let [a, b, c, d] = address.octets();
                format!("{d}.{c}.{b}.{a}.in-addr.arpa")
            }
            Self::Ip(IpAddr::V6(address)) => {
                let bytes = address.octets().into_iter().rev();
                let digits: String =
                    bytes.map(|byte| format!("{:x}.{:x}.", byte & 15, byte >> 4)).collect();
                format!("{digits}ip6.arpa")
            }
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => f.write_str(name),
            Self::Ip(address) => address.fmt(f),
        }
    }
}

/// The names in `texts`, each of which may hold several with commas between them.
///
/// # Errors
///
/// What is wrong with the first that is no name.
pub(crate) fn names(texts: &[String]) -> Result<Vec<Name>, String> {
    let mut names = Vec::new();
    for text in texts.iter().flat_map(|text| text.split(',')).map(str::trim) {
        let name = parse(text)?;
        if !names.contains(&name) {
            names.push(name);
        }
    }
    if names.len() > NAMES_MAX {
        return Err(format!("a certificate is for at most {NAMES_MAX} names"));
    }
    Ok(names)
}

fn parse(text: &str) -> Result<Name, String> {
    if text.starts_with("*.") {
        return Err(format!(
            "{text:?} is a pattern, which needs a record in DNS: order it with a tool of your \
             own, and name its files with tls-cert and tls-key"
        ));
    }
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Ok(Name::Ip(address.to_canonical()));
    }
    let is_wrong =
        || format!("{text:?} is neither a name, such as hub.example.org, nor an address");
    match Host::parse(text.strip_suffix('.').unwrap_or(text)) {
        Ok(Host::Domain(name)) if is_name(&name) => Ok(Name::Dns(name)),
        _ => Err(is_wrong()),
    }
}

/// Letters, digits and hyphens in labels (RFC 5890 §2.3.1).
fn is_name(name: &str) -> bool {
    let is_label = |label: &str| {
        let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        (1..=63).contains(&label.len())
            && label.bytes().all(is_inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(is_label)
}

/// Names on one certificate; authorities have limits of their own. At the edge: the hub does not
/// start.
const NAMES_MAX: usize = 25;

/// The URL of a directory: a known one by its name.
///
/// # Errors
///
/// It is no https URL.
pub(crate) fn directory(text: &str) -> Result<String, String> {
    match text {
        "letsencrypt" => return Ok(LetsEncrypt::Production.url().to_owned()),
        "letsencrypt-staging" => return Ok(LetsEncrypt::Staging.url().to_owned()),
        _ => {}
    }
    match url::Url::parse(text) {
        Ok(url) if url.scheme() == "https" && url.has_host() => Ok(url.into()),
        _ => Err(format!(
            "{text:?} is neither letsencrypt, letsencrypt-staging nor a URL that begins with \
             https://"
        )),
    }
}

/// A certificate for `names` that nobody trusts, until there is one of an authority.
pub(super) fn stand_in(names: &[Name], challenges: Arc<dyn Challenges>) -> Result<Tls, BoxError> {
    let names: Vec<_> = names.iter().map(Name::to_string).collect();
    let mut params = rcgen::CertificateParams::new(names)?;
    params.distinguished_name.push(rcgen::DnType::CommonName, "no certificate yet");
    let key = rcgen::KeyPair::generate()?;
    let certificate = params.self_signed(&key)?.pem();
    let tls = Tls::standing_in(certificate.as_bytes(), key.serialize_pem().as_bytes(), challenges);
    tls.map_err(|error: TlsError| error.into())
}

pub(super) type BoxError = Box<dyn std::error::Error + Send + Sync>;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn parsed(text: &str) -> Result<Vec<String>, String> {
        let names = names(&[text.to_owned()])?;
        Ok(names.iter().map(Name::to_string).collect())
    }

    #[test]
    fn names_and_addresses_stand_in_lists() {
        assert_eq!(parsed("hub.example.org").unwrap(), ["hub.example.org"]);
        assert_eq!(
            parsed("HUB.Example.org., 203.0.113.7").unwrap(),
            ["hub.example.org", "203.0.113.7"]
        );
        assert_eq!(parsed("[2001:DB8::1],2001:db8:0::1").unwrap(), ["2001:db8::1"]);
        assert_eq!(parsed("bücher.example").unwrap(), ["xn--bcher-kva.example"]);
    }

    #[test]
    fn what_is_no_name_is_rejected_and_says_why() {
        for text in [
            "",
            ",",
            "a,",
            "*.example.org",
            "https://hub.example.org",
            "hub.example.org:443",
            "hub example",
            "-a.example",
            "a..b",
            "a_b.example",
            "/",
            "a/b",
            "[::1",
        ] {
            assert!(parsed(text).is_err(), "{text:?}");
        }
        assert!(parsed("*.example.org").unwrap_err().contains("tls-cert"));
    }

    #[test]
    fn an_address_is_asked_about_by_its_name_in_reverse() {
        let asked = |text: &str| Name::Ip(text.parse().unwrap()).asked_as();
        assert_eq!(asked("192.0.2.7"), "7.2.0.192.in-addr.arpa");
        let expected = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa";
        assert_eq!(asked("2001:db8::1"), expected);
    }

    #[test]
    fn a_directory_is_named_or_an_https_url() {
        assert!(directory("letsencrypt").unwrap().contains("acme-v02"));
        assert!(directory("letsencrypt-staging").unwrap().contains("staging"));
        assert_eq!(directory("https://ca.example/dir").unwrap(), "https://ca.example/dir");
        for text in ["", "staging", "http://ca.example/dir", "ca.example/dir", "https://"] {
            assert!(directory(text).is_err(), "{text:?}");
        }
    }
}
