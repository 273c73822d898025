//! What the fuzz targets in `fuzz/` call: everything that reads bytes of strangers, with what must
//! hold whatever they are. Compiled for them only.

use std::net::IpAddr;
use std::sync::LazyLock;

use aws_lc_rs::hmac;
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use http::header::{HeaderMap, HeaderName, HeaderValue};
use tidings_hub::{Matcher, Topic};

use crate::auth::{JwtKey, token};
use crate::client::{Client, TrustedProxies};
use crate::query::{self, Plus, Query};
use crate::{mercure, native};

pub use crate::native::fuzz_ndjson as ndjson;

/// A form, and a query: the two readers of a form agree where the strict one accepts.
pub fn form(input: &[u8]) {
    mercure::fuzz::form(input);
    if let Ok(text) = str::from_utf8(input) {
        if let Ok(mut query) = Query::parse(Some(text)) {
            let _ = query.take("a");
            let _ = query.take_all("topic");
            let _ = query.finish(&["a", "topic"]);
        }
        let _ = query::decode(text, Plus::Itself);
        let _ = query::duration(text);
    }
}

/// A pattern, on its first line, and topics on the others: native patterns, URI templates and URL
/// patterns take linear time, and what is found by the beginning of a pattern is what matches.
pub fn patterns(input: &str) {
    let mut lines = input.lines();
    let Some(words) = lines.next() else { return };
    let topics: Vec<_> = lines.filter_map(|line| Topic::new(line).ok()).collect();
    if let Ok(matcher) = Matcher::parse(words) {
        assert_eq!(Matcher::parse(&matcher.to_string()), Ok(matcher.clone()));
        for topic in &topics {
            let is_itself = matcher.as_exact() == Some(topic);
            assert!(matcher.matches(topic) || !is_itself);
        }
    }
    mercure::fuzz::patterns(words, &topics);
}

/// Bytes as a token: nothing that this hub has not signed is good. The same bytes as the claims of
/// a token that it has signed: they are refused or understood.
pub fn token(input: &[u8]) {
    static KEYS: LazyLock<Vec<JwtKey>> = LazyLock::new(|| {
        token::install_cryptography();
        vec![JwtKey::hs256(SECRET).expect("it is long enough")]
    });
    if let Ok(text) = str::from_utf8(input) {
        assert!(token::granted(text, &[], &KEYS).is_err(), "nobody signed it");
        let _ = mercure::fuzz::shape(text);
    }
    let signed = format!("{HEAD}.{}", BASE64_URL_SAFE_NO_PAD.encode(input));
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET);
    let signature = hmac::sign(&key, signed.as_bytes());
    let text = format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature));
    let _ = token::granted(&text, &[], &KEYS);
    mercure::fuzz::claims(&text, &KEYS);
}

/// Lines `name: value` as the headers of a request.
pub fn headers(input: &[u8]) {
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
    native::fuzz_headers(&headers);
    mercure::fuzz::headers(&headers);
}

const SECRET: &[u8] = b"a secret of thirty-two bytes or more";

/// `{"alg":"HS256"}`
const HEAD: &str = "eyJhbGciOiJIUzI1NiJ9";
