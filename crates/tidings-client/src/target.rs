//! `Target`: a URL that can be requested.

use std::fmt;
use std::sync::Arc;

use http::Uri;
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

/// The credentials that stood in a URL, as the value of an `Authorization` header.
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

fn take_credentials(url: &mut Url) -> Option<BasicCredentials> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let decoded = |text: &str| percent_decoded(text.as_bytes());
    let mut pair = decoded(url.username());
    pair.push(b':');
    pair.extend(decoded(url.password().unwrap_or_default()));
    // Neither can fail: only URLs without a host refuse, and those have no credentials.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    Some(format!("Basic {}", base64(&pair)))
}

fn percent_decoded(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, tail)) = rest.split_first() {
        let hex = |at: usize| tail.get(at).and_then(|&b| char::from(b).to_digit(16));
        match (first, hex(0), hex(1)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                rest = &tail[2..];
            }
            _ => {
                out.push(first);
                rest = tail;
            }
        }
    }
    out
}

/// RFC 4648 §4, with padding.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            out.push(if place <= group.len() {
                char::from(ALPHABET[(bits >> (18 - 6 * place) & 63) as usize])
            } else {
                '='
            });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn base64_agrees_with_the_vectors_of_its_standard() {
        for (plain, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }

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
