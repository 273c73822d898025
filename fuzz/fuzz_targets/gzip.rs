//! Whatever is compressed is read back after each block. The first byte of each line of the input
//! says whether the text before it is forgotten, and the rest is the block.

#![no_main]

#[path = "../../crates/tidings-codec/tests/inflate/mod.rs"]
mod inflate;

use inflate::Inflater;
use libfuzzer_sys::fuzz_target;
use tidings_codec::gzip::{Checksum, Deflater};

fuzz_target!(|input: &[u8]| {
    let mut deflater = Deflater::new();
    let mut inflater = Inflater::new();
    let mut sum = Checksum::default();
    let mut whole = Vec::new();
    for line in input.split_inclusive(|byte| *byte == b'\n') {
        let (first, text) = (line[0], &line[1..]);
        if first % 4 == 0 {
            deflater.forget();
        }
        let mut block = Vec::new();
        deflater.block(&mut block, text);
        assert_eq!(inflater.read(&block), text);
        sum = sum.then(Checksum::of(text));
        whole.extend_from_slice(text);
    }
    assert_eq!(sum, Checksum::of(&whole));
    assert!(!inflater.is_done());
});
