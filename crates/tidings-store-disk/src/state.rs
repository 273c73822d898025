use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tidings_hub::{
    Bounds, HeadSignal, Health, LogIdentity, Position, ReadError, Record, Slots, Timestamp,
};

use crate::config::DiskConfig;
use crate::disk::Disk;
use crate::error::Fault;
use crate::index::{MemoryIndex, SegmentIndex};
use crate::lanes::Lanes;
use crate::limits::HOT_FULL_FACTOR;
use crate::log_identity::LogName;
use crate::rules::Rules;
use crate::segment::{Sealed, SegmentLog};
use crate::topic_count::TopicCount;
use crate::trouble::Trouble;

/// State shared by the writer, the readers and the background thread.
pub(crate) struct Shared {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) config: DiskConfig,
    pub(crate) identity: LogIdentity,
    /// Locked while the format file is rewritten.
    pub(crate) format_file: Mutex<()>,
    /// The format of the folder.
    pub(crate) format: AtomicU32,
    pub(crate) slots: Slots,
    pub(crate) head: HeadSignal,
    /// The rules that are to apply.
    rules: RwLock<Arc<Rules>>,
    /// Locked only for work in memory, never during disk access.
    state: RwLock<State>,
    /// The latest time the store was told, in milliseconds.
    now_ms: AtomicU64,
    /// Position up to which rules may be applied.
    settled: AtomicU64,
    pub(crate) topic_count: TopicCount,
    pub(crate) trouble: Trouble,
    background_failures: AtomicU64,
    /// Number of erasures that wait for the job of retention to end.
    erasures: AtomicU64,
    /// Bytes appended since the log was opened.
    appended_bytes: AtomicU64,
}

/// The readable part of the log.
pub(crate) struct State {
    /// The records before the sealed segments, sorted by rule.
    pub(crate) lanes: Arc<Lanes>,
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
        lanes: Lanes,
        sealed: VecDeque<Arc<Sealed>>,
        active: Active,
    ) -> Self {
        let rules = RwLock::new(Arc::new(Rules(config.rules.clone())));
        let head = active.next().previous();
        let recent = Recent { records: VecDeque::new(), first: head.next(), cost: 0 };
        Self {
            disk,
            config,
            format_file: Mutex::default(),
            format: AtomicU32::new(name.format),
            rules,
            slots: Slots::default(),
            identity: name.into(),
            head: HeadSignal::new(head),
            state: RwLock::new(State { lanes: Arc::new(lanes), sealed, active, recent, head }),
            now_ms: AtomicU64::new(0),
            settled: AtomicU64::new(u64::MAX),
            topic_count: TopicCount::default(),
            trouble: Trouble::default(),
            background_failures: AtomicU64::new(0),
            erasures: AtomicU64::new(0),
            appended_bytes: AtomicU64::new(0),
        }
    }

    pub(crate) fn read_state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write_state(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The rules that are to apply.
    pub(crate) fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.rules.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn set_rules(&self, rules: Rules) {
        *self.rules.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(rules);
    }

    /// Calls `look` with the segment that holds `position`, which must not be beyond the head.
    ///
    /// # Errors
    ///
    /// [`ReadError::Expired`] if it is in no segment: it was dropped, or moved to a run; otherwise
    /// the error of `look`.
    pub(crate) fn with_segment<R>(
        &self,
        position: Position,
        look: impl Fn(SegmentRef<'_>) -> Result<R, Fault>,
    ) -> Result<R, ReadError> {
        let sealed = {
            let state = self.read_state();
            let first = state.hot_first();
            if position < first {
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

    /// Position up to which rules may be applied: all of a log of its own; of a copy, what its log
    /// does not lose any more.
    pub(crate) fn settled(&self) -> Position {
        Position::new(self.settled.load(Ordering::Acquire))
    }

    pub(crate) fn set_settled(&self, upto: Position) {
        self.settled.store(upto.get(), Ordering::Release);
    }

    /// Counts bytes that were appended.
    pub(crate) fn count_appended(&self, bytes: usize) {
        self.appended_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn appended_bytes(&self) -> u64 {
        self.appended_bytes.load(Ordering::Relaxed)
    }

    /// Makes the job of retention that is being done give up, and keeps the next one from going
    /// far, as long as the answer is held.
    pub(crate) fn give_up_jobs(&self) -> impl Drop + use<'_> {
        struct Guard<'a>(&'a AtomicU64);
        impl Drop for Guard<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::AcqRel);
            }
        }
        self.erasures.fetch_add(1, Ordering::AcqRel);
        Guard(&self.erasures)
    }

    /// Whether a job of retention is to give up, because an erasure waits for it.
    pub(crate) fn is_erasing(&self) -> bool {
        self.erasures.load(Ordering::Acquire) > 0
    }

    /// Counts a failed attempt at background work.
    pub(crate) fn count_background_failure(&self) {
        self.background_failures.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether what a lane promises to keep takes all its bytes.
    pub(crate) fn is_full(&self, rules: &Rules, lane: usize) -> bool {
        let policy = rules.policy(lane, &self.config, 0);
        if policy.promise.is_none() {
            return false;
        }
        let state = self.read_state();
        let runs = state.lanes.lanes.get(lane).into_iter().flatten();
        // The last merge of the whole lane dropped what it could.
        let kept: u64 = runs.filter(|run| run.is_base).map(|run| run.bytes()).sum();
        kept > policy.bytes
    }

    /// Whether more can be appended before rules are applied to what is there. Segments to which
    /// they may not be applied yet do not count: no work would make room.
    pub(crate) fn see_room_for_rules(&self) -> Result<(), Fault> {
        if self.rules().0.is_empty() {
            return Ok(());
        }
        let bytes = self.read_state().bytes_upto(self.settled());
        // A log that had no rules so far may be full.
        let config = &self.config;
        let most = config.hot_bytes().saturating_mul(HOT_FULL_FACTOR);
        if bytes > most.max(config.retention_bytes.saturating_add(config.hot_bytes())) {
            return Err(Fault::Backlog { bytes });
        }
        Ok(())
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
        self.lanes.first().unwrap_or_else(|| self.hot_first())
    }

    /// Position of the oldest record in a segment, or of the next one to come.
    pub(crate) fn hot_first(&self) -> Position {
        self.sealed.front().map_or(self.active.log.first, |segment| segment.first())
    }

    /// All files that are complete: runs, then segments, the oldest of each lane first.
    pub(crate) fn complete(&self) -> impl Iterator<Item = &Arc<Sealed>> {
        self.lanes.runs().map(|run| &run.sealed).chain(&self.sealed)
    }

    /// Puts `new` in the place of `old`, if that is still there.
    pub(crate) fn replace(&mut self, old: &Arc<Sealed>, new: &Arc<Sealed>) {
        let is_old = |kept: &Arc<Sealed>| Arc::ptr_eq(kept, old);
        if let Some(kept) = self.sealed.iter_mut().find(|kept| is_old(kept)) {
            *kept = Arc::clone(new);
        } else if self.lanes.runs().any(|run| is_old(&run.sealed)) {
            let runs = Arc::make_mut(&mut self.lanes).lanes.iter_mut().flatten();
            for run in runs.filter(|run| is_old(&run.sealed)) {
                run.sealed = Arc::clone(new);
            }
        }
    }

    /// Bytes of the complete segments, to which rules were not yet applied.
    pub(crate) fn hot_bytes(&self) -> u64 {
        self.sealed.iter().map(|segment| segment.bytes()).sum()
    }

    /// The same of those up to `upto`.
    fn bytes_upto(&self, upto: Position) -> u64 {
        let settled = self.sealed.iter().take_while(|segment| segment.last <= upto);
        settled.map(|segment| segment.bytes()).sum()
    }

    /// The positions that can be read.
    pub(crate) fn bounds(&self) -> Bounds {
        Bounds { first: self.first(), head: self.head }
    }

    /// Bytes on the disk.
    pub(crate) fn bytes(&self) -> u64 {
        self.active.bytes + self.hot_bytes() + self.lanes.bytes()
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

    /// Puts `record` in the place of the one that is there, if it is held.
    pub(crate) fn replace(&mut self, record: Arc<Record>) {
        let Some(place) = record.position().get().checked_sub(self.first.get()) else {
            return;
        };
        if let Some(held) = self.records.get_mut(place as usize) {
            self.cost = self.cost - held.cost() + record.cost();
            *held = record;
        }
    }

    /// Forgets the records up to `upto`, which runs hold from now on, as far as they are kept.
    pub(crate) fn forget_upto(&mut self, upto: Position) -> Vec<Arc<Record>> {
        let count =
            (upto.next().get().saturating_sub(self.first.get()) as usize).min(self.records.len());
        self.first = Position::new(self.first.get() + count as u64);
        let forgotten: Vec<_> = self.records.drain(..count).collect();
        self.cost -= forgotten.iter().map(|record| record.cost()).sum::<usize>();
        forgotten
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
