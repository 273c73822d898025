use std::net::{SocketAddr, ToSocketAddrs};

use crate::error::PlanError;
use crate::template::Template;

/// A server's address and the path to request there.
#[derive(Clone, Debug)]
pub struct Target {
    pub(crate) address: SocketAddr,
    /// Value of the `Host` header.
    pub(crate) authority: String,
    /// Path and query.
    pub(crate) path: Template,
}

impl Target {
    /// Parses `http://host[:port]/path?query`; placeholders in path and query are filled for each
    /// request.
    ///
    /// # Errors
    ///
    /// [`PlanError::Url`] for anything else, `https` included: encryption would measure the
    /// generator.
    pub fn parse(url: &str) -> Result<Self, PlanError> {
        let refused = |why| PlanError::Url { url: url.to_owned(), why };
        let rest =
            url.strip_prefix("http://").ok_or_else(|| refused("it must begin with http://"))?;
        let slash = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at(slash);
        let with_port = if authority.rsplit(']').next().is_some_and(|end| end.contains(':')) {
            authority.to_owned()
        } else {
            format!("{authority}:80")
        };
        let mut addresses =
            with_port.to_socket_addrs().map_err(|_| refused("its host has no address"))?;
        let address = addresses.next().ok_or_else(|| refused("its host has no address"))?;
        if path.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
            return Err(refused("its path contains a blank or a control character"));
        }
        let path = Template::new(if path.is_empty() { "/" } else { path });
        Ok(Self { address, authority: authority.to_owned(), path })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_split_into_address_authority_and_path() {
        let target = Target::parse("http://127.0.0.1:3000/events/{topic}?x=1").expect("a URL");
        assert_eq!(target.address, SocketAddr::from(([127, 0, 0, 1], 3000)));
        assert_eq!(target.authority, "127.0.0.1:3000");
        assert_eq!(target.path.to_string(), "/events/{topic}?x=1");
        assert_eq!(Target::parse("http://[::1]").expect("a URL").address.port(), 80);
    }

    #[test]
    fn other_schemes_and_blanks_are_rejected() {
        assert!(Target::parse("https://127.0.0.1/").is_err());
        assert!(Target::parse("http://127.0.0.1/a b").is_err());
    }
}
