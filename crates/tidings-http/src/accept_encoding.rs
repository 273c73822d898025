//! Which coding of a body a client reads (RFC 9110 §12.5.3).

use http::header::{self, HeaderMap, HeaderValue};

use crate::headers;

/// Whether a client with these `headers` reads gzip, and likes it no less than the plain body. One
/// that does not say what it reads gets the plain body.
pub fn takes_gzip(headers: &HeaderMap) -> bool {
    if !headers.contains_key(header::ACCEPT_ENCODING) {
        return false;
    }
    let (mut gzip, mut identity, mut others) = (None, None, None);
    for part in headers::joined(headers, header::ACCEPT_ENCODING, ", ").split(',') {
        let (coding, quality) = part.split_once(';').unwrap_or((part, ""));
        let quality = thousandths(quality);
        let named = match &*coding.trim().to_ascii_lowercase() {
            "gzip" | "x-gzip" => &mut gzip,
            "identity" => &mut identity,
            "*" => &mut others,
            _ => continue,
        };
        *named = (*named).max(Some(quality));
    }
    // What is not named is what `*` says. A plain body is good enough unless it is named.
    let gzip = gzip.or(others).unwrap_or(0);
    gzip > 0 && gzip >= identity.unwrap_or(0)
}

/// The answer depends on what the client reads: caches must know.
pub fn vary(headers: &mut HeaderMap) {
    headers.append(header::VARY, HeaderValue::from_static("accept-encoding"));
}

/// The body is gzip.
pub fn is_gzip(headers: &mut HeaderMap) {
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
}

/// A weight in thousandths. One that is not by the grammar counts as none: the client gets the
/// plain body.
fn thousandths(parameters: &str) -> u16 {
    let parameters = parameters.trim();
    if parameters.is_empty() {
        return 1000;
    }
    let value = parameters
        .split_once('=')
        .filter(|(name, _)| name.trim_end() == "q" || name.trim_end() == "Q");
    let weight = value.and_then(|(_, value)| value.trim().parse::<f32>().ok());
    weight
        .filter(|weight| (0.0..=1.0).contains(weight))
        .map_or(0, |weight| (weight * 1000.0) as u16)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn takes(accept: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        for value in accept {
            headers.append(header::ACCEPT_ENCODING, value.parse().unwrap());
        }
        takes_gzip(&headers)
    }

    #[test]
    fn clients_that_read_gzip_get_it() {
        for accept in [
            &["gzip"][..],
            &["gzip, deflate, br, zstd"],
            &["GZip"],
            &["x-gzip"],
            &["br, gzip;q=0.5"],
            &["identity, gzip"],
            &["identity;q=0.5, *;q=0.5"],
            &["*"],
            &["gzip;q=0.001"],
            &["gzip ; Q=1.0"],
            &["deflate", "gzip"],
            &["identity;q=0, *"],
            &["*;q=0, gzip"],
        ] {
            assert!(takes(accept), "{accept:?}");
        }
    }

    #[test]
    fn clients_that_do_not_ask_for_gzip_or_like_a_plain_body_better_get_that() {
        assert!(!takes_gzip(&HeaderMap::new()));
        for accept in [
            &[""][..],
            &["identity"],
            &["br"],
            &["gzip;q=0"],
            &["gzip;q=0.000, *"],
            &["*;q=0"],
            &["identity, gzip;q=0.9"],
            &["identity, *;q=0.5"],
            &["gzip;q=nonsense"],
            &["gzip;q=2"],
            &["gzip;q=-1"],
            &["gzip;level=1"],
            &["gzipped"],
            &["deflate", "gzip;q=0"],
        ] {
            assert!(!takes(accept), "{accept:?}");
        }
    }
}
