//! Any bytes are parsed as a form and as a query, or rejected.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    tidings_mercure::fuzz::form(input);
    tidings_http::fuzz::query(input);
});
