//! An inflater that we did not write reads what we compress: all of it after each block, whatever
//! is compressed, and however blocks are put together.

#![allow(clippy::unwrap_used)]

mod inflate;

use inflate::Inflater;
use proptest::prelude::*;
use tidings_codec::gzip::{self, BLOCK_BYTES_MAX, Checksum, Deflater, Lead, STORED_OVERHEAD_BYTES};

/// Text that repeats itself, now and then, in all distances.
fn any_text() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => Just(b"id: k7q2ma:42\ndata: {\"price\": ".to_vec()),
        2 => "[0-9]{1,9}".prop_map(String::into_bytes),
        2 => Just(b"\n\n".to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..40),
        1 => (any::<u8>(), 1_usize..700).prop_map(|(byte, count)| vec![byte; count]),
        1 => "(ab|cd|e){1,400}".prop_map(String::into_bytes),
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

/// A step in the life of a deflater: a block, before which the text may be forgotten.
fn any_blocks() -> impl Strategy<Value = Vec<(bool, Vec<u8>)>> {
    proptest::collection::vec((proptest::bool::weighted(0.2), any_text()), 1..8)
}

proptest! {
    #[test]
    fn everything_can_be_read_after_each_block(blocks in any_blocks()) {
        let mut deflater = Deflater::new();
        let mut inflater = Inflater::new();
        for (forgets, text) in blocks {
            if forgets {
                deflater.forget();
            }
            let mut block = Vec::new();
            deflater.block(&mut block, &text);
            prop_assert_eq!(inflater.read(&block), &*text);
            let pieces = text.len().div_ceil(BLOCK_BYTES_MAX);
            prop_assert!(block.len() <= text.len() + pieces * STORED_OVERHEAD_BYTES);
        }
    }

    #[test]
    fn a_block_is_made_of_the_text_since_the_last_forgetting_alone(
        before in any_blocks(),
        after in any_blocks(),
    ) {
        let mut used = Deflater::new();
        for (_, text) in &before {
            used.block(&mut Vec::new(), text);
        }
        used.forget();
        let mut fresh = Deflater::new();
        for (_, text) in &after {
            let (mut one, mut other) = (Vec::new(), Vec::new());
            used.block(&mut one, text);
            fresh.block(&mut other, text);
            prop_assert_eq!(one, other);
        }
    }

    #[test]
    fn blocks_that_stand_alone_may_come_in_any_order_with_stored_ones_between(
        texts in proptest::collection::vec((any::<bool>(), any_text()), 0..8),
    ) {
        let mut body = gzip::HEADER.to_vec();
        let mut sum = Checksum::default();
        let mut whole = Vec::new();
        for (is_stored, text) in &texts {
            match is_stored {
                true => gzip::stored(&mut body, text),
                false => Deflater::new().block(&mut body, text),
            }
            sum = sum.then(Checksum::of(text));
            whole.extend_from_slice(text);
        }
        gzip::end(&mut body, sum);
        prop_assert_eq!(sum, Checksum::of(&whole));
        let mut inflater = Inflater::new();
        let (deflated, trailer) = body[gzip::HEADER.len()..].split_at(body.len() - 18);
        prop_assert_eq!(inflater.read(deflated), whole);
        prop_assert!(inflater.is_done());
        prop_assert_eq!(trailer[..4].as_array().copied().map(u32::from_le_bytes), Some(sum.crc()));
        prop_assert_eq!(trailer[4..].as_array().copied().map(u32::from_le_bytes),
            Some(sum.length() as u32));
    }

    #[test]
    fn a_lead_stays_the_same_while_both_texts_grow(
        own in any_text(),
        common in any_text(),
        more in proptest::collection::vec(any_text(), 0..5),
    ) {
        let (mut own, mut common) = (Checksum::of(&own), Checksum::of(&common));
        let lead = Lead::new(own, common);
        for text in &more {
            prop_assert_eq!(lead, Lead::new(own, common));
            prop_assert_eq!(lead.at(common), own);
            (own, common) = (own.then(Checksum::of(text)), common.then(Checksum::of(text)));
        }
        prop_assert_eq!(lead.at(common), own);
        prop_assert_eq!(Lead::new(own, Checksum::default()).at(Checksum::default()), own);
    }
}

#[test]
fn the_checksum_is_the_one_that_everybody_knows() {
    assert_eq!(Checksum::of(b"").crc(), 0);
    assert_eq!(Checksum::of(b"123456789").crc(), 0xcbf4_3926);
    let fox = Checksum::of(b"The quick brown fox ").then(Checksum::of(b"jumps over the lazy dog"));
    assert_eq!((fox.crc(), fox.length()), (0x414f_a339, 43));
}

#[test]
fn a_checksum_is_right_beyond_four_gigabytes() {
    // By doubling: 2^33 bytes, and a byte.
    let mut sum = Checksum::of(b"\0");
    for _ in 0..33 {
        sum = sum.then(sum);
    }
    let common = sum.then(Checksum::of(b"x"));
    assert_eq!(common.length(), (1 << 33) + 1);
    let own = Checksum::of(b"reader");
    let lead = Lead::new(own, common);
    let text = Checksum::of(b"common");
    let (then, expected) = (lead.at(common.then(text)), own.then(text));
    assert_eq!((then.crc(), then.length()), (expected.crc(), expected.length()));
}

#[test]
fn all_lengths_and_distances_of_copies_are_read_back() {
    for distance in 1..=2100 {
        // A text without repetitions of three bytes, and its beginning again.
        let mut text: Vec<u8> = Vec::with_capacity(distance + 300);
        let mut seed = 1_u32;
        text.extend((0..distance).map(|_| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 24) as u8
        }));
        let length = 3 + distance % 270;
        let copy: Vec<u8> = text.iter().cycle().take(length).copied().collect();
        text.extend_from_slice(&copy);
        let mut block = Vec::new();
        let mut deflater = Deflater::new();
        deflater.block(&mut block, &text);
        assert_eq!(Inflater::new().read(&block), text, "{distance} {length}");
    }
}

#[test]
fn events_that_resemble_the_last_ones_become_a_third() {
    let event = |n: u32| {
        let (a, b) = (n.wrapping_mul(2_654_435_761) % 100_000, n.wrapping_mul(40_503) % 977);
        format!(
            "id: k7q2ma:{n}\ndata: {{\"symbol\":\"ACME\",\"price\":{a},\"size\":{b},\
             \"side\":\"buy\",\"venue\":\"XNYS\",\"currency\":\"USD\",\"flags\":[\"regular\",\"lit\"],\
             \"sequence\":{n}}}\n\n"
        )
    };
    let (mut shared, mut alone, mut plain) = (0, 0, 0);
    let mut deflater = Deflater::new();
    for n in 1000..2000 {
        let event = event(n);
        let (mut block, mut key) = (Vec::new(), Vec::new());
        deflater.block(&mut block, event.as_bytes());
        Deflater::new().block(&mut key, event.as_bytes());
        (shared, alone, plain) = (shared + block.len(), alone + key.len(), plain + event.len());
    }
    assert!(shared * 3 < plain, "{shared} of {plain}");
    assert!(alone < plain, "{alone} of {plain}");
}
