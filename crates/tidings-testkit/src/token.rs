//! Tokens for tests.

use serde_json::Value;

/// A JSON Web Token with `claims`, signed with HS256 (RFC 7515 §3.1).
pub fn hs256(claims: &Value, secret: &[u8]) -> String {
    hs256_typed(claims, secret, "JWT")
}

/// The same with another `typ` in its header.
pub fn hs256_typed(claims: &Value, secret: &[u8], typ: &str) -> String {
    let head = base64_url(format!(r#"{{"alg":"HS256","typ":"{typ}"}}"#).as_bytes());
    let signed = format!("{head}.{}", base64_url(claims.to_string().as_bytes()));
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret);
    let signature = aws_lc_rs::hmac::sign(&key, signed.as_bytes());
    format!("{signed}.{}", base64_url(signature.as_ref()))
}

/// Base64 for URLs, without padding (RFC 4648 §5).
fn base64_url(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let mut bits = [0; 4];
        bits[1..=group.len()].copy_from_slice(group);
        let bits = u32::from_be_bytes(bits);
        for digit in 0..=group.len() {
            text.push(char::from(DIGITS[(bits >> (18 - 6 * digit)) as usize & 63]));
        }
    }
    text
}
