//! Any text is a pattern of some kind, or rejected, and matching is fast. The first line of the
//! input is the pattern, the others are topics.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &str| tidings_server::fuzz::patterns(input));
