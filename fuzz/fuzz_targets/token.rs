//! No bytes are a token that nobody signed, and any claims of one that somebody did are understood
//! or refused.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| tidings_server::fuzz::token(input));
