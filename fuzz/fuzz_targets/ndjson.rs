//! Any bytes, cut anywhere, are parsed as a batch of events, or rejected.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| tidings_server::fuzz::ndjson(input));
