//! Everything we encode is decoded again, at every chunk boundary; and for any bytes at all, the
//! decoder finds what the standard says.

#![allow(clippy::unwrap_used)]

mod chunks;
mod oracle;

use proptest::prelude::*;
use tidings_codec::{Decoder, Event, EventId, EventType, Item, encode};

/// Ordinary text, and text that causes trouble.
fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[ :a\n\t\u{feff}\u{2028}\u{85}…😀]{0,40}",
        "[ :a\r\n]{0,20}",
        "[a-z{}\":, ]{0,300}",
    ]
}

fn any_field() -> impl Strategy<Value = Option<String>> {
    proptest::option::of("[^\r\n\0]{1,12}")
}

fn any_event() -> impl Strategy<Value = Event> {
    (any_field(), any_field(), any::<Option<u64>>(), any_text()).prop_map(
        |(id, event_type, retry_ms, data)| Event {
            id: id.map(|id| EventId::new(id).unwrap()),
            event_type: event_type.map(|event_type| EventType::new(event_type).unwrap()),
            retry_ms,
            data,
        },
    )
}

/// Bytes made mostly of the format's own characters.
fn any_stream() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => Just(&b"data"[..]),
        2 => Just(&b"event"[..]),
        2 => Just(&b"id"[..]),
        2 => Just(&b"retry"[..]),
        4 => Just(&b":"[..]),
        2 => Just(&b" "[..]),
        6 => Just(&b"\n"[..]),
        3 => Just(&b"\r"[..]),
        3 => Just(&b"\r\n"[..]),
        1 => Just(&b"\xEF\xBB\xBF"[..]),
        1 => Just(&b"\0"[..]),
        2 => Just(&b"data: a long value, longer than the vectors of any processor\n"[..]),
        1 => Just(&b"\xE2\x80\xA6"[..]),
        1 => Just(&b"\xF0\x9F\x98"[..]),
        1 => Just(&b"\xED\xA0\x80"[..]),
        1 => Just(&b"\xC0\xAF"[..]),
        1 => Just(&b"\xEF"[..]),
        2 => Just(&b"1"[..]),
        1 => Just(&b"d"[..]),
    ];
    prop_oneof![
        9 => proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat()),
        1 => proptest::collection::vec(any::<u8>(), 0..60),
    ]
}

/// The data as it arrives: with LF for CR and CRLF.
fn normalised(data: &str) -> String {
    data.replace("\r\n", "\n").replace('\r', "\n")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Checklist 42 and 44: for text without CR this is the identity.
    #[test]
    fn encoded_events_are_decoded_at_any_cut(
        events in proptest::collection::vec(any_event(), 0..6),
        seed: u64,
    ) {
        let mut wire = Vec::new();
        for event in &events {
            event.encode(&mut wire);
        }
        let mut decoder = Decoder::new();
        let mut decoded = Vec::new();
        for mut input in chunks::cut_at_random(&wire, seed) {
            while let Some(item) = decoder.next(&mut input).unwrap() {
                if let Item::Event(event) = item {
                    decoded.push(event.to_sent());
                }
            }
        }
        let expected: Vec<Event> = events
            .into_iter()
            .map(|event| Event { data: normalised(&event.data), ..event })
            .collect();
        prop_assert_eq!(decoded, expected);
    }

    #[test]
    fn an_event_has_the_predicted_length_and_grows_the_buffer_once(event in any_event()) {
        let len_max = encode::event_len_max(
            event.id.as_ref(),
            event.event_type.as_ref(),
            event.retry_ms,
            &event.data,
        );
        let mut wire = Vec::with_capacity(len_max);
        let capacity = wire.capacity();
        event.encode(&mut wire);
        prop_assert!(wire.len() <= len_max);
        prop_assert_eq!(wire.capacity(), capacity);
    }

    #[test]
    fn comments_and_bare_blocks_between_events_change_nothing(
        events in proptest::collection::vec(any_event(), 0..4),
        text in any_text(),
        seed: u64,
    ) {
        let heartbeat = EventId::new("heartbeat").unwrap();
        let mut wire = Vec::new();
        encode::comment(&mut wire, &text);
        for event in &events {
            event.encode(&mut wire);
            encode::comment(&mut wire, &text);
            encode::retry(&mut wire, 5);
            encode::id_only(&mut wire, &heartbeat);
        }
        let mut decoder = Decoder::new();
        let outcome = chunks::decode(&mut decoder, chunks::cut_at_random(&wire, seed)).unwrap();
        prop_assert_eq!(outcome.heard.len(), events.len());
        if !events.is_empty() {
            prop_assert_eq!(outcome.last_event_id, "heartbeat");
            prop_assert_eq!(outcome.retry_ms, Some(5));
        }
    }

    #[test]
    fn any_bytes_mean_what_the_standard_says_at_any_cut(stream in any_stream(), seed: u64) {
        let expected = oracle::interpret(&stream, "");
        let mut decoder = Decoder::new().with_comments();
        let outcome = chunks::decode(&mut decoder, chunks::cut_at_random(&stream, seed)).unwrap();
        prop_assert_eq!(&outcome, &expected);
        let whole = chunks::decode(&mut Decoder::new().with_comments(), [&stream[..]]).unwrap();
        prop_assert_eq!(&whole, &expected);
    }

    /// Checklist 33, 34 and 36: one decoder, several connections.
    #[test]
    fn state_from_one_connection_holds_for_the_next(
        first in any_stream(),
        second in any_stream(),
        seed: u64,
    ) {
        let mut decoder = Decoder::new().with_comments();
        let one = chunks::decode(&mut decoder, chunks::cut_at_random(&first, seed)).unwrap();
        let two = chunks::decode(&mut decoder, chunks::cut_at_random(&second, seed)).unwrap();
        let mut expected = oracle::interpret(&second, &one.last_event_id);
        expected.retry_ms = expected.retry_ms.or(one.retry_ms);
        prop_assert_eq!(two, expected);
    }

    /// The limit counts the event's bytes, however it was cut.
    #[test]
    fn the_same_streams_exceed_the_limit_at_any_cut(
        stream in any_stream(),
        bytes_max in 0_usize..100,
        seed: u64,
    ) {
        let errors = |pieces: Vec<&[u8]>| {
            let mut decoder = Decoder::new().with_event_bytes_max(bytes_max);
            let (mut errors, mut events) = (0, Vec::new());
            for mut input in pieces {
                loop {
                    match decoder.next(&mut input) {
                        Ok(Some(Item::Event(event))) => events.push(event.to_sent()),
                        Ok(Some(_)) => {}
                        Ok(None) => break,
                        Err(_) => errors += 1,
                    }
                }
            }
            (errors, events, decoder.last_event_id().to_owned())
        };
        // A last line without an end would count in one cut and not yet in another.
        let ended = [&stream[..], b"\n\n"].concat();
        prop_assert_eq!(errors(vec![&ended]), errors(chunks::cut_at_random(&ended, seed)));
    }
}
