use std::sync::Arc;

use tidings_hub::{Frame, FrameBatch, Log, Page, Position, ReadError, ReadQuery, Record};

use crate::limits::{TAIL_PAGE_BYTES_MAX, TAIL_PAGE_RECORDS_MAX};

/// The records after `after`, as frames: a page of them.
pub(crate) fn next_batch(
    store: &dyn Log,
    after: Position,
    upto: Position,
) -> Result<FrameBatch, ReadError> {
    let Page { records, reached } = store.read(&ReadQuery {
        after,
        upto,
        told: Position::ZERO,
        interest: None,
        records_max: TAIL_PAGE_RECORDS_MAX,
        bytes_max: TAIL_PAGE_BYTES_MAX,
    })?;
    let epoch = store.identity().epoch;
    // Every record is admitted, so the page ends with its last one.
    let upto = records.last().map_or(reached.into(), |last| Record::mark(last));
    let frames = records.into_iter().map(|record| Arc::new(Frame::encode(record, epoch)));
    Ok(FrameBatch { after, frames: frames.collect(), upto })
}
