//! The HTML standard's interpretation of event streams, case by case (`vectors/`), and its timing.

#![allow(clippy::unwrap_used)]

mod chunks;
mod oracle;
mod vectors;

use std::collections::BTreeSet;

use oracle::{Heard, Outcome};
use tidings_codec::{DecodeError, Decoder, EventId, EventType, Item};
use vectors::Case;

fn decoder_for(case: &Case) -> Decoder {
    match &case.seed {
        Some(id) => Decoder::new().with_last_event_id(&EventId::new(id).unwrap()),
        None => Decoder::new(),
    }
}

/// The cuts that all streams are tested with: bytes, pairs, triples, whole, and random.
fn all_cuts(bytes: &[u8]) -> Vec<(String, Vec<&[u8]>)> {
    let mut cuts = vec![("whole".to_owned(), vec![bytes])];
    for size in [1, 2, 3, 7] {
        cuts.push((format!("chunks of {size}"), bytes.chunks(size).collect()));
    }
    for seed in 1..=16 {
        cuts.push((format!("random cut, seed {seed}"), chunks::cut_at_random(bytes, seed << 7)));
    }
    cuts
}

#[test]
fn every_vector_is_decoded_as_expected_at_every_cut() {
    for case in vectors::all() {
        for (cut, chunks) in all_cuts(&case.wire) {
            let mut decoder = decoder_for(&case).with_comments();
            let outcome = chunks::decode(&mut decoder, chunks.iter().copied()).unwrap();
            let outcome = vectors::without_block_fields(outcome);
            assert_eq!(outcome, case.expected, "{}, {cut}", case.name);

            let outcome = chunks::decode(&mut decoder_for(&case), chunks).unwrap();
            let outcome = vectors::without_block_fields(outcome);
            let heard = case.expected.heard.iter();
            let events = heard.filter(|heard| !matches!(heard, Heard::Comment(_))).cloned();
            let expected = Outcome { heard: events.collect(), ..case.expected.clone() };
            assert_eq!(outcome, expected, "{}, {cut}, without comments", case.name);
        }
    }
}

#[test]
fn the_oracle_agrees_with_every_vector() {
    for case in vectors::all() {
        let outcome = oracle::interpret(&case.wire, case.seed.as_deref().unwrap_or_default());
        assert_eq!(vectors::without_block_fields(outcome), case.expected, "{}", case.name);
    }
}

#[test]
fn the_vectors_cover_every_rule_of_decoding() {
    let covered: BTreeSet<u32> =
        vectors::all().iter().flat_map(|case| case.rules.clone()).collect();
    let missing: Vec<u32> = (1..=21).filter(|rule| !covered.contains(rule)).collect();
    assert!(missing.is_empty(), "no vector for {missing:?}");
}

#[test]
fn no_two_vectors_have_the_same_name() {
    let mut names = BTreeSet::new();
    for case in vectors::all() {
        assert!(names.insert(case.name.clone()), "{}", case.name);
    }
}

/// Feeds byte after byte; returns the counts of bytes after which an item was found.
fn heard_after(wire: &[u8]) -> Vec<usize> {
    let mut decoder = Decoder::new().with_comments();
    let mut after = Vec::new();
    for (at, byte) in wire.iter().enumerate() {
        let mut heard = Vec::new();
        chunks::hear(&mut decoder, std::slice::from_ref(byte), &mut heard).unwrap();
        after.extend(heard.iter().map(|_| at + 1));
    }
    after
}

/// Checklist 5.
#[test]
fn an_event_is_decoded_at_the_first_byte_of_its_blank_line() {
    assert_eq!(heard_after(b"data:a\n\ndata:b\n\n"), [8, 16]);
    assert_eq!(heard_after(b"data:a\r\rdata:b\r\r"), [8, 16]);
    // Not one byte later: the CR is enough, the LF after it is swallowed.
    assert_eq!(heard_after(b"data:a\r\n\r\ndata:b\r\n\r\n"), [9, 19]);
}

/// Checklist 8.
#[test]
fn a_comment_is_decoded_at_the_end_of_its_line() {
    assert_eq!(heard_after(b":a\n:b\r\n:c\rdata:x\n:d\n\n"), [3, 6, 10, 20, 21]);
}

/// Checklist 2: the mark has three bytes and may come in three chunks, after any number of empty
/// ones.
#[test]
fn a_byte_order_mark_may_be_cut_anywhere() {
    for cut in [1, 2, 3] {
        let (head, tail) = b"\xEF\xBB\xBFdata: x\n\n".split_at(cut);
        let outcome = chunks::decode(&mut Decoder::new(), [b"", head, b"", tail]).unwrap();
        assert_eq!(outcome.heard.len(), 1, "cut at {cut}");
    }
}

/// Checklist 2, 6, 34 and 36.
#[test]
fn the_next_connection_may_open_with_a_mark_and_keeps_id_and_retry() {
    let mut decoder = Decoder::new();
    chunks::decode(&mut decoder, [&b"retry: 9\nid: 1\ndata: a\n\nid: 2\nevent: b\ndata: b"[..]])
        .unwrap();
    assert_eq!(decoder.last_event_id(), "1");
    let outcome = chunks::decode(&mut decoder, [&b"\xEF\xBB\xBFdata: c\n\n"[..]]).unwrap();
    assert_eq!(outcome.retry_ms, Some(9));
    assert_eq!(
        outcome.heard,
        [Heard::Event {
            event_type: "message".into(),
            data: "c".into(),
            last_event_id: "1".into(),
            id: None,
            retry_ms: None,
        }]
    );
}

/// Checklist 4 and 6: a LF after a CR is swallowed, but not one that opens the next connection.
#[test]
fn a_line_end_is_not_completed_by_the_next_connection() {
    let mut decoder = Decoder::new();
    chunks::decode(&mut decoder, [&b"data: a\r"[..]]).unwrap();
    let outcome = chunks::decode(&mut decoder, [&b"\n\ndata: b\n\n"[..]]).unwrap();
    assert_eq!(outcome.heard.len(), 1);
}

/// Checklist 21: a client that closes stops calling the decoder, and then nothing more is
/// dispatched.
#[test]
fn nothing_is_dispatched_until_it_is_asked_for() {
    let mut decoder = Decoder::new();
    let mut input = &b"id: 1\ndata: a\n\nid: 2\ndata: b\n\n"[..];
    assert!(decoder.next(&mut input).unwrap().is_some());
    assert_eq!(input, b"id: 2\ndata: b\n\n");
    assert_eq!(decoder.last_event_id(), "1");
}

#[test]
fn an_event_within_a_chunk_is_lent_and_not_copied() {
    let wire = b"id: 7\nevent: t\ndata: {\"a\":1}\n\n".to_vec();
    let mut decoder = Decoder::new();
    let mut input = &wire[..];
    let Some(Item::Event(event)) = decoder.next(&mut input).unwrap() else { panic!("an event") };
    assert!(wire.as_ptr_range().contains(&event.data().as_ptr()));
}

#[test]
fn an_owned_event_is_the_clients_view_and_a_sent_one_the_senders() {
    let mut decoder = Decoder::new();
    let mut input = &b"id: 7\n\nretry: 5\nevent: a\0b\ndata: x\n\n"[..];
    let Some(Item::Event(event)) = decoder.next(&mut input).unwrap() else { panic!("an event") };
    let (owned, sent) = (event.to_owned(), event.to_sent());
    assert_eq!(event.event_type(), "a\0b");
    assert_eq!(owned.event_type, Some(EventType::new("a\u{FFFD}b").unwrap()));
    assert_eq!((owned.id, owned.retry_ms), (Some(EventId::new("7").unwrap()), None));
    assert_eq!((sent.id, sent.retry_ms), (None, Some(5)));
}

/// Decodes `wire` byte by byte with room for ten bytes; an event is its data, an error is "!".
fn heard_with_room_for_ten(wire: &[u8]) -> (Vec<String>, String) {
    let mut decoder = Decoder::new().with_event_bytes_max(10).with_comments();
    let mut heard = Vec::new();
    for mut input in wire.chunks(1) {
        loop {
            match decoder.next(&mut input) {
                Ok(None) => break,
                Ok(Some(Item::Event(event))) => heard.push(event.data().to_owned()),
                Ok(Some(_)) => heard.push(":".to_owned()),
                Err(error) => {
                    assert_eq!(error, DecodeError::EventTooLarge { bytes_max: 10 });
                    heard.push("!".to_owned());
                }
            }
        }
    }
    (heard, decoder.last_event_id().to_owned())
}

#[test]
fn an_event_over_the_limit_is_one_error_and_decoding_continues() {
    let wire = b"data: 0123456789\n\ndata: 0123456789!\ndata: more\n\ndata: next\n\n";
    assert_eq!(heard_with_room_for_ten(wire).0, ["0123456789", "!", "next"]);
}

#[test]
fn type_and_id_and_line_breaks_count_towards_the_limit() {
    let (heard, _) = heard_with_room_for_ten(b"event: abc\nid: def\ndata: 1\ndata: 23\n\n");
    assert_eq!(heard, ["1\n23"]);
    let (heard, _) = heard_with_room_for_ten(b"event: abc\nid: def\ndata: 1\ndata: 234\n\n");
    assert_eq!(heard, ["!"]);
}

#[test]
fn the_id_of_an_event_over_the_limit_still_counts() {
    let (heard, id) = heard_with_room_for_ten(b"id: 1\ndata: 0123456789\nretry: 1\n\n");
    assert_eq!((heard, id.as_str()), (vec!["!".to_owned()], "1"));
    let (heard, id) = heard_with_room_for_ten(b"data: 0123456789!\nid: 2\n\n");
    assert_eq!((heard, id.as_str()), (vec!["!".to_owned()], "2"));
}

#[test]
fn an_id_or_a_type_over_the_limit_is_one_error_too() {
    let (heard, id) = heard_with_room_for_ten(b"id: 0123456789!\nevent: 0123456789!\ndata\n\n");
    assert_eq!((heard, id.as_str()), (vec!["!".to_owned()], ""));
}

#[test]
fn ignored_lines_may_be_endless() {
    let mut wire = b"unknown: ".to_vec();
    wire.resize(5_000, b'x');
    wire.extend_from_slice(b"\n: ");
    wire.resize(10_000, b'x');
    wire.extend_from_slice(b"\n: short\ndata: y\n\n");
    assert_eq!(heard_with_room_for_ten(&wire).0, [":", "y"]);
}

#[test]
fn a_decoder_says_how_much_it_holds_and_frees_it_when_the_event_is_over() {
    let mut decoder = Decoder::new();
    let mut feed = |text: &str| {
        let mut input = text.as_bytes();
        while decoder.next(&mut input).unwrap().is_some() {}
        let held = decoder.bytes_held();
        decoder.release();
        assert_eq!(decoder.bytes_held(), held, "what is begun stays");
        held
    };
    assert_eq!(feed(&format!("data:{}", "x".repeat(1000))), 1000);
    assert_eq!(feed("y\nevent:abc\n"), 1004);
    assert_eq!(feed("\n"), 0);
    assert_eq!(feed("id:1\ndata:x\n\n"), 1, "the last event id");
}
