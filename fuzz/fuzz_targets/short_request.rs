//! Any bytes are a request that is read without the HTTP library as the library reads it, or are
//! left to the library.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| tidings_http::fuzz::short_request(input));
