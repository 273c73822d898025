use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tidings_hub::{
    Bounds, HeadSignal, Health, LogIdentity, Position, ReadError, Record, Timestamp,
};

use crate::config::DiskConfig;
use crate::disk::Disk;
use crate::error::Fault;
use crate::index::{MemoryIndex, SegmentIndex};
use crate::log_identity::LogName;
use crate::segment::{Sealed, SegmentLog};
use crate::topic_count::TopicCount;
use crate::trouble::Trouble;

/// State shared by the writer, the readers and the background thread.
pub(crate) struct Shared {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) config: DiskConfig,
    pub(crate) identity: LogIdentity,
    /// Whether the log is held elsewhere.
    pub(crate) is_copy: bool,
    pub(crate) head: HeadSignal,
    /// Locked only for work in memory, never during disk access.
    state: RwLock<State>,
    /// The latest time the store was told, in milliseconds.
    now_ms: AtomicU64,
    pub(crate) topic_count: TopicCount,
    pub(crate) trouble: Trouble,
    background_failures: AtomicU64,
}

/// The readable part of the log.
pub(crate) struct State {
    /// Sealed segments, oldest first.
    pub(crate) sealed: VecDeque<Arc<Sealed>>,
    pub(crate) active: Active,
    pub(crate) recent: Recent,
    pub(crate) head: Position,
}

/// The segment being written, up to the head.
pub(crate) struct Active {
    pub(crate) log: Arc<SegmentLog>,
    pub(crate) index: MemoryIndex,
    /// Offset at which its last block ends.
    pub(crate) bytes: u64,
    /// Times of its first and last record; both zero if there is none.
    pub(crate) first_time: Timestamp,
    pub(crate) last_time: Timestamp,
}

/// The newest records, in memory.
pub(crate) struct Recent {
    records: VecDeque<Arc<Record>>,
    /// Position of the oldest one held, or of the next to come.
    first: Position,
    cost: usize,
}

/// A segment as a reader sees it for a moment.
pub(crate) struct SegmentRef<'a> {
    pub(crate) log: &'a Arc<SegmentLog>,
    /// Position of its newest record; before its first position if there is none.
    pub(crate) last: Position,
    pub(crate) index: &'a dyn SegmentIndex,
}

impl Shared {
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        config: DiskConfig,
        name: LogName,
        sealed: VecDeque<Arc<Sealed>>,
        active: Active,
    ) -> Self {
        let head = active.next().previous();
        let recent = Recent { records: VecDeque::new(), first: head.next(), cost: 0 };
        Self {
            disk,
            config,
            is_copy: name.is_copy,
            identity: name.into(),
            head: HeadSignal::new(head),
            state: RwLock::new(State { sealed, active, recent, head }),
            now_ms: AtomicU64::new(0),
            topic_count: TopicCount::default(),
            trouble: Trouble::default(),
            background_failures: AtomicU64::new(0),
        }
    }

    pub(crate) fn read_state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write_state(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls `look` with the segment that holds `position`, which must not be beyond the head.
    ///
    /// # Errors
    ///
    /// [`ReadError::Expired`] if retention dropped it; otherwise the error of `look`.
    pub(crate) fn with_segment<R>(
        &self,
        position: Position,
        look: impl Fn(SegmentRef<'_>) -> Result<R, Fault>,
    ) -> Result<R, ReadError> {
        let sealed = {
            let state = self.read_state();
            if position < state.first() {
                let first = state.first();
                return Err(ReadError::Expired { first, lost: first.previous() });
            }
            let older = state.sealed.partition_point(|segment| segment.last < position);
            match state.sealed.get(older) {
                Some(sealed) => Arc::clone(sealed),
                None => {
                    let Active { log, index, .. } = &state.active;
                    return Ok(look(SegmentRef { log, last: state.head, index })?);
                }
            }
        };
        Ok(self.ask_index(&sealed, look)?)
    }

    /// See `Log::note_time`.
    pub(crate) fn note_time(&self, now: Timestamp) {
        self.now_ms.fetch_max(now.as_millis(), Ordering::Relaxed);
    }

    /// The latest time the store was told.
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.now_ms.load(Ordering::Relaxed))
    }

    /// Counts a failed attempt at background work.
    pub(crate) fn count_background_failure(&self) {
        self.background_failures.fetch_add(1, Ordering::Relaxed);
    }

    /// See `Log::health`.
    pub(crate) fn health(&self) -> Health {
        Health {
            bytes: self.read_state().bytes(),
            failure: self.trouble.get(),
            away: None,
            background_failures: self.background_failures.load(Ordering::Relaxed),
        }
    }
}

impl<'a> From<&'a Sealed> for SegmentRef<'a> {
    fn from(sealed: &'a Sealed) -> Self {
        Self { log: &sealed.log, last: sealed.last, index: sealed.index() }
    }
}

impl State {
    /// Position of the oldest record, or of the next one to come.
    pub(crate) fn first(&self) -> Position {
        self.sealed.front().map_or(self.active.log.first, |segment| segment.first())
    }

    /// The positions that can be read.
    pub(crate) fn bounds(&self) -> Bounds {
        Bounds { first: self.first(), head: self.head }
    }

    /// Bytes on the disk.
    pub(crate) fn bytes(&self) -> u64 {
        self.active.bytes + self.sealed.iter().map(|segment| segment.bytes()).sum::<u64>()
    }
}

impl Active {
    /// A segment without records.
    pub(crate) fn empty(log: Arc<SegmentLog>) -> Self {
        Self {
            log,
            index: MemoryIndex::default(),
            bytes: crate::segment::HEADER_BYTES as u64,
            first_time: Timestamp::default(),
            last_time: Timestamp::default(),
        }
    }

    /// The position after its last record.
    pub(crate) fn next(&self) -> Position {
        Position::new(self.log.first.get() + u64::from(self.index.records()))
    }
}

impl Recent {
    /// Position of the oldest record held, or of the next to come.
    pub(crate) fn first(&self) -> Position {
        self.first
    }

    /// The record at `position`, if it is held.
    pub(crate) fn get(&self, position: Position) -> Option<&Arc<Record>> {
        let place = position.get().checked_sub(self.first.get())?;
        self.records.get(usize::try_from(place).ok()?)
    }

    /// At most `count` records from `from` on, which must not be before the first one held.
    pub(crate) fn range(
        &self,
        from: Position,
        count: usize,
    ) -> impl DoubleEndedIterator<Item = &Arc<Record>> {
        let start = ((from.get() - self.first.get()) as usize).min(self.records.len());
        let end = (start + count).min(self.records.len());
        self.records.range(start..end)
    }

    /// Adds the next records of the log.
    pub(crate) fn extend(&mut self, records: Vec<Arc<Record>>, cost: usize) {
        self.cost += cost;
        self.records.extend(records);
    }

    /// Removes the oldest records until the rest takes at most `bytes_max` bytes. The caller drops
    /// them after releasing the lock.
    pub(crate) fn shrink(&mut self, bytes_max: usize) -> Vec<Arc<Record>> {
        let mut count = 0;
        while self.cost > bytes_max {
            let Some(record) = self.records.get(count) else {
                break;
            };
            self.cost -= record.cost();
            count += 1;
        }
        self.first = Position::new(self.first.get() + count as u64);
        self.records.drain(..count).collect()
    }
}
