//! Any headers give a client address and a request target, and untrusted ones are ignored.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| tidings_server::fuzz::headers(input));
