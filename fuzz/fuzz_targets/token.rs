//! No bytes are accepted as a token without a valid signature, and any claims in a signed token are
//! understood or rejected.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| tidings_server::fuzz::token(input));
