use tidings_codec::{EventId, EventType, encode};

/// The type of the block that a stream begins with.
pub const OPENING_TYPE: &str = "tidings.open";

/// Appends the block that a native stream begins with, `event: tidings.open`: the place in the log
/// as the last event id, so that a stream that breaks before its first event resumes, and the time
/// to wait before reconnecting, in milliseconds. It has no data, and so is no event to clients that
/// follow the standard (HTML §9.2.6, dispatch, step 2).
///
/// Without an id, this is also the last block of a stream whose client should reconnect.
pub fn opening_block(out: &mut Vec<u8>, id: Option<&EventId>, retry_ms: u64) {
    let block_type = EventType::new(OPENING_TYPE).expect("two words and a dot");
    encode::block(out, id, Some(&block_type), Some(retry_ms));
}
