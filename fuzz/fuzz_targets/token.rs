//! No bytes are accepted as a token without a valid signature, and any claims in a signed token are
//! understood or rejected.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    if let Ok(text) = str::from_utf8(input) {
        tidings_mercure::fuzz::shape(text);
    }
    let signed = tidings_http::fuzz::token(input);
    tidings_mercure::fuzz::claims(&signed, tidings_http::fuzz::keys());
});
