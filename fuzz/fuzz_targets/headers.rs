//! Any headers say who sent a request and what is wanted, and strangers are not believed.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| tidings_server::fuzz::headers(input));
