//! The log of everything published: [`Log`], [`Catalog`], and their simplest implementation.

mod catalog;
mod erase;
mod head;
mod identity;
mod memory;
mod pieces;
mod recent;
mod repeats;
mod resolve;
mod retained;
mod shared;
mod slots;
mod state;
mod state_poll;

use std::sync::Arc;
use std::time::Duration;

use tidings_codec::EventId;

use crate::draft::Draft;
use crate::error::{AppendError, ReadError};
use crate::interest::Interest;
use crate::limits::SLOTS_READ_RECORDS;
use crate::position::Position;
use crate::record::Record;
use crate::timestamp::Timestamp;

pub use catalog::{Catalog, TopicState};
pub use erase::{
    ERASED_ID_BYTES, Erase, EraseError, Erased, Eraser, Erasing, erased_id, erased_key,
};
pub use head::HeadSignal;
pub use identity::LogIdentity;
pub use memory::MemoryStore;
pub use recent::RecentRecords;
pub use repeats::{CheckError, Fate, Repeats, where_erased};
pub use retained::{Retained, RetainedByRule};
pub use shared::{CopyReaders, Following, IsFetching, SharedLog};
pub use slots::{Growing, Newest, SlotHash, SlotNote, SlotNotes, Slots};
pub use state::{StatePage, StateRead};
pub use state_poll::StatePoll;

/// The place that appends, reads and tails.
///
/// # Contract
///
/// *Order.* Records are given positions `1, 2, 3, …` without gaps, in the order of
/// [`append`](Self::append). What is visible to one reader is visible to all, and stays until
/// retention drops it. What is kept may have gaps; what was dropped does not come back.
///
/// *Visibility.* A record can be read, and [`wait`](Self::wait) returns, only after it is stored as
/// firmly as the store promises. So no subscriber gets an event that a crash then takes back.
///
/// *Durability.* When `append` returns, the whole batch is stored as firmly as the store promises
/// (its own documentation says how firmly). If it fails, nothing of the batch is visible, and
/// [`AppendError`] says what comes next: after most failures the next append is tried as if nothing
/// had happened; only [`AppendError::Poisoned`] is final, until the store is reopened and has
/// checked what it holds. A store that rejects appends checks by itself, at the latest in
/// [`retain`](Self::retain), whether it can take them again, and reports that in
/// [`health`](Self::health).
///
/// *Threads.* `append` and [`retain`](Self::retain) are called by one thread at a time, and may be
/// as slow as a disk. It is always the same thread, unless the log
/// [appends anywhere](Self::appends_anywhere). All other methods are called by many threads at once
/// and must not wait for an `append` in progress. [`bounds`](Self::bounds) and
/// [`identity`](Self::identity) are cheap; the others may read a disk.
///
/// *Time.* A record's time is the `now` of its `append`, or the time of the record before it if
/// that is later: along the log, time never goes back. A store has no clock; the time is the latest
/// one that it was given, by `append`, [`retain`](Self::retain) or [`note_time`](Self::note_time).
///
/// *Time to live.* A record whose time to live [is over](Draft::is_over) is no part of history: a
/// read with an interest passes over it, and [`Catalog::seek_last`] does not count it. That is no
/// loss. A read without an interest still has it, as has [`Catalog::find`], and it counts among the
/// records of its topic until retention drops it.
///
/// *Bounds.* A read returns at most what its query allows, and looks at a bounded number of
/// records: where few of them are admitted, a page can be short, or empty, before the end. It
/// always makes progress; [`Page::reached`] says how far. Retention keeps the log within the
/// store's configured bounds, and never drops the newest record.
///
/// *Losses.* A reader from a place learns of what it can no longer get: [`read`](Self::read) and
/// [`lost`](Self::lost) say so of any record after that place that retention dropped and the
/// reader's interest could have admitted. They may also say so where the store does not remember
/// which topics it dropped.
pub trait Log: Send + Sync + 'static {
    /// The identity of this log, which does not change while the store is open.
    fn identity(&self) -> &LogIdentity;

    /// The positions that can be read now.
    fn bounds(&self) -> Bounds;

    /// Stores `drafts`, in order, all or nothing. Returns one entry per draft.
    ///
    /// Every draft is stored, whatever its id. Whether one repeats an event in the log
    /// ([`Draft::once`]) is checked before, with [`Repeats`], on the thread that appends. A log
    /// that several nodes share checks it again, against what the others appended meanwhile.
    ///
    /// # Errors
    ///
    /// [`AppendError`]; see the contract.
    fn append(&self, drafts: Vec<Draft>, now: Timestamp) -> Result<Vec<Appended>, AppendError>;

    /// The same, for drafts that were compared with the log up to `judged`: what their publishers
    /// expect, and whether there is room for their topics and keys. A log that several nodes share
    /// rejects them, as [away](AppendError::Away) with no time to wait, if what the others appended
    /// since makes a difference: then they are to be compared again.
    ///
    /// # Errors
    ///
    /// [`AppendError`]; see the contract.
    fn append_judged(
        &self,
        drafts: Vec<Draft>,
        judged: Position,
        now: Timestamp,
    ) -> Result<Vec<Appended>, AppendError> {
        let _ = judged;
        self.append(drafts, now)
    }

    /// Most bytes that one append can take, in the [cost](Draft::cost) of its drafts. The caller
    /// makes no larger batches; a single publisher's may still be larger, and is rejected as
    /// [`AppendError::TooLarge`].
    fn append_bytes_max(&self) -> usize {
        usize::MAX
    }

    /// Whether any thread may call [`append`](Self::append), also one that runs the tasks of a
    /// runtime: the log waits for nothing but a disk. By default only a thread that does nothing
    /// else may.
    fn appends_anywhere(&self) -> bool {
        false
    }

    /// Reads records in log order.
    ///
    /// # Errors
    ///
    /// [`ReadError::Expired`] if retention dropped a record after `query.after`, and after
    /// `query.told`, that the interest could have admitted.
    fn read(&self, query: &ReadQuery<'_>) -> Result<Page, ReadError>;

    /// Position of the newest record after `after` that retention dropped and `interest` could have
    /// admitted; `None` if all of them are still there.
    ///
    /// By default for stores that drop the oldest record first and forget its topics.
    ///
    /// # Errors
    ///
    /// [`ReadError::Away`] and [`ReadError::Damaged`].
    fn lost(&self, interest: &Interest, after: Position) -> Result<Option<Position>, ReadError> {
        let _ = interest;
        Ok(self.bounds().lost_after(after))
    }

    /// The same for a reader of the state: position of the newest record after `after` that
    /// retention dropped, that `interest` could have admitted, and that stood for its slot. A state
    /// does not miss what a later record of its slot supersedes.
    ///
    /// By default for stores that drop the oldest record first.
    ///
    /// # Errors
    ///
    /// [`ReadError::Away`] and [`ReadError::Damaged`].
    fn lost_of_state(
        &self,
        interest: &Interest,
        after: Position,
    ) -> Result<Option<Position>, ReadError> {
        let _ = interest;
        Ok(Some(self.slots().purged()).filter(|purged| after < *purged))
    }

    /// Blocks until there is a record after `after`, or until `timeout` has passed. Returns the
    /// head either way.
    fn wait(&self, after: Position, timeout: Duration) -> Position;

    /// Drops what retention no longer keeps, and checks whether a store that rejected appends can
    /// take them again.
    ///
    /// # Errors
    ///
    /// [`AppendError`].
    fn retain(&self, now: Timestamp) -> Result<(), AppendError>;

    /// What erases records, if the store can do that. By default it cannot.
    fn eraser(&self) -> Option<&dyn Eraser> {
        None
    }

    /// Tells the store the time, which decides what is part of history. Cheap.
    fn note_time(&self, now: Timestamp);

    /// The state of the store. Cheap: nothing is read.
    fn health(&self) -> Health;

    /// Access to the log by topic, id and time.
    fn catalog(&self) -> &dyn Catalog;

    /// The newest record of each key, and of each other slot: of what can be read, neither less
    /// nor more.
    fn slots(&self) -> &Slots;

    /// Notes in `notes` what the [slots](Self::slots) keep of the records after `after` and up to
    /// `upto`, or of some of them. Returns the position reached. After an error, `notes` can have
    /// some of those records.
    ///
    /// By default they are read as any others.
    ///
    /// # Errors
    ///
    /// [`ReadError`] as of [`read`](Self::read), to which all losses up to `upto` are known.
    fn note_slots(
        &self,
        after: Position,
        upto: Position,
        notes: &mut SlotNotes<'_>,
    ) -> Result<Position, ReadError> {
        let page = self.read(&ReadQuery {
            after,
            upto,
            told: upto,
            interest: None,
            records_max: SLOTS_READ_RECORDS,
            bytes_max: usize::MAX,
        })?;
        for record in &page.records {
            notes.add_record(record);
        }
        Ok(page.reached)
    }

    /// What the log adds if it is held elsewhere and shared by several nodes.
    fn shared(&self) -> Option<&dyn SharedLog> {
        None
    }
}

/// The state of a store.
#[derive(Clone, Debug, Default)]
pub struct Health {
    /// Bytes that the log occupies, as far as the store knows.
    pub bytes: u64,
    /// Why the store takes no events at the moment; `None` if it does.
    pub failure: Option<AppendError>,
    /// Time since which a [shared log](SharedLog) has taken no events, while the copy of it that
    /// subscribers read can be read. Publishing is away then, and the hub is of use without it.
    pub away: Option<Duration>,
    /// Number of failed attempts, since the store was opened, at work that no publisher waits for
    /// (removing files, writing indexes). Each was, or will be, tried again.
    pub background_failures: u64,
}

/// The range of the log that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Position of the oldest record; `head.next()` if there is none.
    pub first: Position,
    /// Position of the newest record; [`Position::ZERO`] if there never was one.
    pub head: Position,
}

impl Bounds {
    /// Position of the newest record after `after` that is no longer there, if what is kept has no
    /// gaps.
    pub fn lost_after(self, after: Position) -> Option<Position> {
        Some(self.first.previous()).filter(|lost| after < *lost)
    }
}

/// The outcome of one draft.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Position of the record.
    pub position: Position,
    /// Id that subscribers will see.
    pub id: EventId,
    /// Whether the record was there before, so that nothing was stored: see [`Draft::once`]. Of
    /// stores, only one that several nodes share sets it: another node can have appended since the
    /// check.
    pub duplicate: bool,
}

/// What to read.
#[derive(Clone, Copy, Debug)]
pub struct ReadQuery<'a> {
    /// Position after which to begin.
    pub after: Position,
    /// Position to end with; the head if that comes first.
    pub upto: Position,
    /// Position up to which the reader knows of losses: it was told of them, or asked for what
    /// there is. They are no error, and the read begins with what is left after `after`.
    pub told: Position,
    /// Interest that must admit a record; `None` admits all.
    pub interest: Option<&'a Interest>,
    /// Maximum number of records to return.
    pub records_max: usize,
    /// Bytes of records after which no further record is returned.
    pub bytes_max: usize,
}

impl ReadQuery<'_> {
    /// A query for everything that is kept, in one page. Losses are an error: nobody was told.
    pub fn everything() -> Self {
        Self {
            after: Position::ZERO,
            upto: Position::new(u64::MAX),
            told: Position::ZERO,
            interest: None,
            records_max: usize::MAX,
            bytes_max: usize::MAX,
        }
    }

    /// A query for the one record at `position`, however large it is. If it is not there any more
    /// the page is empty: what else was lost does not matter.
    pub fn one(position: Position) -> Self {
        Self {
            after: position.previous(),
            upto: position,
            told: Position::new(u64::MAX),
            records_max: 1,
            ..Self::everything()
        }
    }
}

/// The result of a read.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Admitted records in log order.
    pub records: Vec<Arc<Record>>,
    /// Position up to which the read came: every admitted record after the query's `after` and up
    /// to here is in `records`. If it is less than the query's `upto` (or the head, if that comes
    /// first), there may be more: read again from here.
    pub reached: Position,
}
