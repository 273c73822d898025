//! Entry points for the fuzz targets in `fuzz/`: readers of untrusted bytes, with the properties
//! that hold for every input. Compiled for fuzzing only.

use std::time::Duration;

use std::net::IpAddr;
use std::sync::LazyLock;

use aws_lc_rs::hmac;
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::auth::{JwtKey, token};
use crate::client::{Client, TrustedProxies};
use crate::connection::short::compared;
use crate::query::{self, Plus, Query};

/// A query.
pub fn query(input: &[u8]) {
    if let Ok(text) = str::from_utf8(input) {
        if let Ok(mut query) = Query::parse(Some(text)) {
            let _ = query.take("a");
            let _ = query.take_all("topic");
            let _ = query.finish(["a", "topic"]);
        }
        let _ = query::decode(text, Plus::Itself);
        let _ = query::duration(text);
    }
}

/// The bytes as a token: a token that this hub has not signed is not valid. The same bytes as the
/// claims of a token that it has signed: they are rejected or understood. Returns that token.
pub fn token(input: &[u8]) -> String {
    if let Ok(text) = str::from_utf8(input) {
        assert!(token::granted(text, &[], keys(), Duration::ZERO).is_err(), "nobody signed it");
    }
    let signed = format!("{HEAD}.{}", BASE64_URL_SAFE_NO_PAD.encode(input));
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET);
    let signature = hmac::sign(&key, signed.as_bytes());
    let text = format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature));
    let _ = token::granted(&text, &[], keys(), Duration::ZERO);
    text
}

/// The keys that sign [`token`]s.
pub fn keys() -> &'static [JwtKey] {
    static KEYS: LazyLock<Vec<JwtKey>> = LazyLock::new(|| {
        token::install_cryptography();
        vec![JwtKey::hs256(SECRET).expect("it is long enough")]
    });
    &KEYS
}

/// The bytes as a request: one that is read without the HTTP library is the one that it reads.
pub fn short_request(input: &[u8]) {
    let _ = compared::is_read(input);
}

/// Lines `name: value` as the headers of a request. Returns them.
pub fn headers(input: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in input.split(|byte| *byte == b'\n').take(20) {
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let name = parts.next().and_then(|name| HeaderName::from_bytes(name).ok());
        let value = parts.next().and_then(|value| HeaderValue::from_bytes(value).ok());
        if let Some((name, value)) = name.zip(value) {
            headers.append(name, value);
        }
    }
    let stranger = IpAddr::from([203, 0, 113, 1]);
    let trusted = TrustedProxies::new(&["10.0.0.0/8"]).expect("a network");
    let client = Client::new(stranger, false, &headers, &trusted);
    assert_eq!((client.address, client.is_secure), (stranger, false), "nobody believes it");
    let _ = Client::new(IpAddr::from([10, 0, 0, 1]), true, &headers, &trusted);
    headers
}

const SECRET: &[u8] = b"a secret of thirty-two bytes or more";

/// `{"alg":"HS256"}`
const HEAD: &str = "eyJhbGciOiJIUzI1NiJ9";
