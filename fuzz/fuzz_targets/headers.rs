//! Any headers give a client address and a request target, and untrusted ones are ignored.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let headers = tidings_http::fuzz::headers(input);
    tidings_server::fuzz::headers(&headers);
    tidings_mercure::fuzz::headers(&headers);
});
