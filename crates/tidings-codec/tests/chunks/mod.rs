//! Feeds the decoder a stream cut into pieces.

use tidings_codec::{DecodeError, Decoder, Item};

use crate::oracle::{Heard, Outcome};

/// Feeds `decoder` the chunks and ends the stream; returns everything it found.
pub(crate) fn decode<'a>(
    decoder: &mut Decoder,
    chunks: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Outcome, DecodeError> {
    let mut heard = Vec::new();
    for chunk in chunks {
        hear(decoder, chunk, &mut heard)?;
    }
    decoder.end_of_stream();
    let retry_ms = decoder.reconnection_time().map(|time| {
        u64::try_from(time.as_millis()).expect("a decoder keeps no more than 64 bits of it")
    });
    Ok(Outcome { heard, last_event_id: decoder.last_event_id().to_owned(), retry_ms })
}

/// Feeds `decoder` one chunk; appends everything it found.
pub(crate) fn hear(
    decoder: &mut Decoder,
    chunk: &[u8],
    heard: &mut Vec<Heard>,
) -> Result<(), DecodeError> {
    let mut input = chunk;
    while let Some(item) = decoder.next(&mut input)? {
        match item {
            Item::Event(event) => heard.push(Heard::Event {
                event_type: event.event_type().to_owned(),
                data: event.data().to_owned(),
                last_event_id: event.last_event_id().to_owned(),
                id: event.id().map(str::to_owned),
                retry_ms: event.retry_ms(),
            }),
            Item::Comment(comment) => heard.push(Heard::Comment(comment.to_owned())),
            _ => unreachable!("there are no other items"),
        }
    }
    assert!(input.is_empty(), "the decoder asked for more with input left");
    Ok(())
}

/// Cuts `bytes` at random: mostly into small pieces, some empty. The same seed makes the same cuts.
pub(crate) fn cut_at_random(bytes: &[u8], seed: u64) -> Vec<&[u8]> {
    let mut state = seed | 1;
    let mut random = move |below: u64| {
        // xorshift64
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    let mut rest = bytes;
    let mut chunks = Vec::new();
    while !rest.is_empty() {
        let longest = [2, 4, 16, 200][random(4) as usize];
        let (chunk, after) = rest.split_at(rest.len().min(random(longest) as usize));
        chunks.push(chunk);
        rest = after;
    }
    chunks
}
