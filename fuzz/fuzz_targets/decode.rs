//! The decoder interprets any bytes, cut anywhere, as the standard does.
//!
//! The first eight bytes of the input decide the cuts; the rest is the stream.

#![no_main]

#[path = "../../crates/tidings-codec/tests/chunks/mod.rs"]
mod chunks;
#[path = "../../crates/tidings-codec/tests/oracle/mod.rs"]
mod oracle;

use libfuzzer_sys::fuzz_target;
use tidings_codec::Decoder;

fuzz_target!(|input: &[u8]| {
    let Some((seed, stream)) = input.split_first_chunk() else {
        return;
    };
    let expected = oracle::interpret(stream, "");
    let cut = chunks::cut_at_random(stream, u64::from_le_bytes(*seed));
    for pieces in [cut, stream.chunks(1).collect(), vec![stream]] {
        let outcome = chunks::decode(&mut Decoder::new().with_comments(), pieces);
        assert_eq!(outcome.expect("no event is too large"), expected);
    }

    // With a small limit the decoder may lose events, but neither panics nor loops.
    let mut decoder = Decoder::new().with_event_bytes_max(usize::from(seed[0]));
    for mut piece in chunks::cut_at_random(stream, u64::from_le_bytes(*seed)) {
        let mut calls = 0;
        while !matches!(decoder.next(&mut piece), Ok(None)) {
            calls += 1;
            assert!(calls <= 2 * stream.len() + 2, "it makes no progress");
        }
    }
});
