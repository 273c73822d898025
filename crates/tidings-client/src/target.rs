//! `Target`: a URL that can be requested.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Uri;
use percent_encoding::percent_decode_str;
use url::{Position, Url};

use crate::ShownUrl;
use crate::error::InvalidUrl;

/// An `http` or `https` URL, without credentials and fragment, known to fit a request line.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Target {
    url: Url,
    uri: Uri,
    origin: Arc<str>,
}

/// The credentials in a URL, as the value of an `Authorization` header.
pub(crate) type BasicCredentials = String;

impl Target {
    /// Parses an absolute URL as the URL standard says.
    pub(crate) fn parse(url: &str) -> Result<(Self, Option<BasicCredentials>), InvalidUrl> {
        let mut url = Url::parse(url).map_err(InvalidUrl::Syntax)?;
        let credentials = take_credentials(&mut url);
        Ok((Self::new(url)?, credentials))
    }

    /// Resolves a `Location` against this URL. Credentials in it are dropped.
    pub(crate) fn join(&self, location: &str) -> Result<Self, InvalidUrl> {
        let mut url = self.url.join(location).map_err(InvalidUrl::Syntax)?;
        take_credentials(&mut url);
        Self::new(url)
    }

    fn new(mut url: Url) -> Result<Self, InvalidUrl> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(InvalidUrl::Scheme);
        }
        url.set_fragment(None);
        let uri = Uri::try_from(&url[..Position::AfterQuery]).map_err(InvalidUrl::RequestLine)?;
        let origin = url.origin().ascii_serialization().into();
        Ok(Self { url, uri, origin })
    }

    /// The URL of another path at the hub whose `/events…` this is; `None` if it is none.
    pub(crate) fn beside_events(&self, path: &str) -> Option<Self> {
        let own = self.url.path();
        let (at, _) = own.match_indices(EVENTS).find(|(at, _)| {
            let after = own[at + EVENTS.len()..].chars().next();
            matches!(after, None | Some('/'))
        })?;
        let mut url = self.url.clone();
        url.set_path(&format!("{}{path}", &own[..at]));
        url.set_query(None);
        Self::new(url).ok()
    }

    pub(crate) fn as_str(&self) -> &str {
        self.url.as_str()
    }

    pub(crate) fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Scheme, host and port, as an event's `origin` has them.
    pub(crate) fn origin(&self) -> &Arc<str> {
        &self.origin
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&ShownUrl(self.as_str()), f)
    }
}

/// Path of a hub's streams.
const EVENTS: &str = "/events";

fn take_credentials(url: &mut Url) -> Option<BasicCredentials> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let mut pair: Vec<u8> = percent_decode_str(url.username()).collect();
    pair.push(b':');
    pair.extend(percent_decode_str(url.password().unwrap_or_default()));
    // Neither can fail: only URLs without a host refuse, and those have no credentials.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    Some(format!("Basic {}", STANDARD.encode(&pair)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn credentials_leave_the_url_and_become_a_header_value() {
        let (target, credentials) = Target::parse("http://Aladdin:open%20sesame@h/x#y").unwrap();
        assert_eq!(target.as_str(), "http://h/x");
        assert_eq!(credentials.unwrap(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    }

    #[test]
    fn an_origin_is_scheme_host_and_port_unless_it_is_the_usual_one() {
        let origin = |url| Target::parse(url).unwrap().0.origin().to_string();
        assert_eq!(origin("http://h:80/a"), "http://h");
        assert_eq!(origin("https://H:8443/a"), "https://h:8443");
    }

    #[test]
    fn only_http_and_https_can_be_requested() {
        assert!(matches!(Target::parse("ftp://h/"), Err(InvalidUrl::Scheme)));
        assert!(matches!(Target::parse("/a"), Err(InvalidUrl::Syntax(_))));
        let (target, _) = Target::parse("http://h/").unwrap();
        assert!(matches!(target.join("data:,x"), Err(InvalidUrl::Scheme)));
    }
}
