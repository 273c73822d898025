//! What the journal no longer has to hold.
//!
//! Without rules of retention, every cache drops the oldest records as a whole, and the journal
//! holds what the caches hold. With rules, a cache keeps records of any age between others that are
//! gone. A journal cannot drop blocks between others, so it holds everything for as long as the
//! longest age of any rule, and no more bytes than all rules together may have. So it has at least
//! what a hub needs that was away.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use tidings_hub::{EventId, Position, Timestamp};
use tidings_store_disk::DiskConfig;

use crate::cursor::Cursor;
use crate::followed::Followed;
use crate::journal::{Journal, JournalError, Seq};
use crate::limits::SECOND_LOOK;

/// When this hub looks what can be dropped, and what it has dropped.
pub(crate) struct Trim {
    /// The journal begins there, or later.
    pub(crate) before: Seq,
    due: Instant,
    interval: Duration,
    /// The time when it was looked the last time.
    looked_at: Option<Timestamp>,
    /// Where the log has events with lost ids that are old enough to be forgotten otherwise.
    pub(crate) repeated: HashMap<EventId, Position>,
}

impl Trim {
    pub(crate) fn new(interval: Duration) -> Self {
        let repeated = HashMap::new();
        Self { before: Seq::ZERO, due: Instant::now(), interval, looked_at: None, repeated }
    }

    /// Whether it is time to look. Returns when it was looked before this; by the same clock,
    /// `now` is the time.
    pub(crate) fn is_due(&mut self, now: Timestamp) -> Option<LookedAt> {
        if Instant::now() < self.due {
            return None;
        }
        let looked_at = self.looked_at.replace(now);
        // What the journal shows counts from the first look on.
        let is_first = looked_at.is_none();
        let pause = if is_first { self.interval.min(SECOND_LOOK) } else { self.interval };
        self.due = Instant::now() + pause;
        Some(LookedAt(looked_at))
    }
}

/// When it was looked before, if it was.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LookedAt(pub(crate) Option<Timestamp>);

/// What a journal holds, if that is too much.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TooMuch {
    /// The oldest block to keep.
    from: Seq,
}

impl TooMuch {
    /// Whether `journal` holds more than `config` allows to all rules together.
    ///
    /// How many bytes are before a block is not known, only how many there are in all. Blocks
    /// differ in size, and what was dropped cannot come back. So of the blocks, counted by their
    /// sequences, go half as many as would do if all were alike; and half of what is then still too
    /// much the next time.
    pub(crate) fn look(
        journal: &mut dyn Journal,
        config: &DiskConfig,
    ) -> Result<Option<Self>, JournalError> {
        let bytes_max = config.bytes_of_all_rules();
        let bytes = journal.bytes()?;
        if bytes <= bytes_max {
            return Ok(None);
        }
        let bounds = journal.bounds()?.ok_or(JournalError::Missing)?;
        let blocks = u128::from(bounds.last.next().get().saturating_sub(bounds.first.get()));
        let dropped = blocks * u128::from(bytes - bytes_max) / u128::from(bytes) / 2;
        let dropped = u64::try_from(dropped).unwrap_or(0);
        Ok(Some(Self { from: Seq::new(bounds.first.get() + dropped) }))
    }
}

/// The oldest block that the journal has to hold with rules, if it is remembered.
///
/// What a log without new events gets otherwise, as when something is erased or the end was lost,
/// is never too old: a hub that was away for a moment goes on with it.
pub(crate) fn oldest_with_rules(
    cursor: &Cursor,
    too_much: Option<TooMuch>,
    config: &DiskConfig,
    now: Timestamp,
) -> Option<Followed> {
    let too_old = before(now, config.longest_age());
    // The first blocks of a log may have no records. If they went, the log would have lost its
    // beginning, and nothing with it.
    let by_age = cursor.records_older_than(too_old);
    let by_age = by_age.filter(|block| block.first > Position::ZERO.next());
    let by_bytes = too_much.and_then(|too_much| cursor.upto(too_much.from));
    by_age.into_iter().chain(by_bytes).max_by_key(|block| block.seq)
}

/// Position up to which the journal does not lose records any more: it showed all that `cursor`
/// has, after `shown_at`, and what is at least `patience` old by then is on its disks.
pub(crate) fn settled(
    cursor: &Cursor,
    shown_at: Timestamp,
    patience: Duration,
) -> Option<Position> {
    cursor.older_than(before(shown_at, patience)).map(|block| block.next().previous())
}

fn before(time: Timestamp, duration: Duration) -> Timestamp {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    Timestamp::from_millis(time.as_millis().saturating_sub(millis))
}
