//! Tokens for tests.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use serde_json::{Value, json};

/// A JSON Web Token with `claims`, signed with HS256 (RFC 7515 §3.1).
pub fn hs256(claims: &Value, secret: &[u8]) -> String {
    hs256_typed(claims, secret, "JWT")
}

/// The same with another `typ` in its header.
pub fn hs256_typed(claims: &Value, secret: &[u8], typ: &str) -> String {
    signed(&json!({"alg": "HS256", "typ": typ}), claims, secret)
}

/// The same with extensions that must be understood (`crit`, RFC 7515 §4.1.11).
pub fn hs256_critical(claims: &Value, secret: &[u8], crit: &Value) -> String {
    signed(&json!({"alg": "HS256", "typ": "JWT", "crit": crit}), claims, secret)
}

fn signed(header: &Value, claims: &Value, secret: &[u8]) -> String {
    let head = BASE64_URL_SAFE_NO_PAD.encode(header.to_string());
    let signed = format!("{head}.{}", BASE64_URL_SAFE_NO_PAD.encode(claims.to_string()));
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret);
    let signature = aws_lc_rs::hmac::sign(&key, signed.as_bytes());
    format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}
