//! Any text that is encoded comes back, CR and CRLF as LF.
//!
//! The input is split at the first two bytes 0xFF into id, type and data.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidings_codec::{Decoder, Event, EventId, EventType, Item};

fuzz_target!(|input: &[u8]| {
    let mut parts = input.splitn(3, |byte| *byte == 0xFF).map(str::from_utf8);
    let (Some(Ok(id)), Some(Ok(event_type)), Some(Ok(data))) =
        (parts.next(), parts.next(), parts.next())
    else {
        return;
    };
    let event = Event {
        id: EventId::new(id).ok(),
        event_type: EventType::new(event_type).ok(),
        retry_ms: (data.len() % 3 == 0).then_some(data.len() as u64),
        data: data.to_owned(),
    };
    let mut wire = Vec::new();
    event.encode(&mut wire);

    let mut decoder = Decoder::new();
    let mut rest = &wire[..];
    let Ok(Some(Item::Event(decoded))) = decoder.next(&mut rest) else {
        panic!("no event");
    };
    let normalised = data.replace("\r\n", "\n").replace('\r', "\n");
    assert_eq!(decoded.to_sent(), Event { data: normalised, ..event });
    assert!(rest.is_empty(), "more than one block");
});
