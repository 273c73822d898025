//! Any bytes are a batch of events, or a refusal, wherever they are cut.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| tidings_server::fuzz::ndjson(input));
