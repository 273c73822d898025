use std::net::IpAddr;

use http::uri::Authority;

use crate::error::ConfigError;

/// Host names under which an open hub answers, besides loopback names and addresses.
#[derive(Clone, Debug, Default)]
pub struct AllowedHosts {
    names: Vec<String>,
    all: bool,
}

impl AllowedHosts {
    /// Names or addresses without a port, such as `hub.example` or `192.0.2.1`; `*` for every host.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Host`].
    pub fn new<I>(hosts: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let mut allowed = Self::default();
        for host in hosts {
            let text = host.as_ref();
            if text == "*" {
                allowed.all = true;
                continue;
            }
            // An IPv6 address may come without its brackets.
            let bracketed = format!("[{text}]");
            let host =
                if text.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv6()) { &bracketed } else { text };
            let authority: Option<Authority> = host.parse().ok();
            let is_alone = |authority: &Authority| authority.as_str() == authority.host();
            let authority = authority.filter(is_alone).filter(|_| !text.contains(['*', ',', ' ']));
            let authority = authority.ok_or_else(|| ConfigError::Host { text: text.to_owned() })?;
            allowed.names.push(canonical(authority.host()));
        }
        Ok(allowed)
    }

    /// Whether every host is allowed.
    pub(crate) fn is_every(&self) -> bool {
        self.all
    }

    /// Whether `host`, without a port, is on the list.
    pub(crate) fn has(&self, host: &str) -> bool {
        self.all || self.names.contains(&canonical(host))
    }
}

/// A host as it is compared: in lower case, without brackets or the dot of the root.
pub(crate) fn canonical(host: &str) -> String {
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    match name.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().to_string(),
        Err(_) => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_is_not_a_host_is_rejected() {
        for text in ["", "http://a", "a/b", "a:80", "*.example", "a b", "user@a", "[::1]:80"] {
            assert!(AllowedHosts::new([text]).is_err(), "{text:?}");
        }
    }
}
