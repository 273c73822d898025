//! Any bytes are a form and a query, or a refusal.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| tidings_server::fuzz::form(input));
