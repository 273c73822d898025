//! The log of everything published: the [`Log`], its [`Catalog`], and their simplest
//! implementation.

mod catalog;
mod head;
mod identity;
mod memory;
mod recent;
mod repeats;
mod resolve;

use std::sync::Arc;
use std::time::Duration;

use tidings_codec::EventId;

use crate::draft::Draft;
use crate::error::{AppendError, ReadError};
use crate::interest::Interest;
use crate::position::Position;
use crate::record::Record;
use crate::timestamp::Timestamp;

pub use catalog::{Catalog, TopicState};
pub use head::HeadSignal;
pub use identity::LogIdentity;
pub use memory::MemoryStore;
pub use recent::RecentRecords;
pub use repeats::{CheckError, Fate, Repeats};

/// The place that appends, reads and tails.
///
/// # Contract
///
/// *Order.* Records have positions `1, 2, 3, …` without gaps, in the order of
/// [`append`](Self::append). What is visible to one reader is visible to all, and stays until
/// retention drops it, oldest first.
///
/// *Visibility.* A record can be read, and [`wait`](Self::wait) returns, only after it is stored as
/// firmly as the store promises. So nobody is delivered an event that a crash takes back.
///
/// *Durability.* When `append` returns, the whole batch is stored as firmly as the store promises
/// (its own documentation says how firmly). If it fails, nothing of the batch is visible, and
/// [`AppendError`] says what comes next: after most failures the next append is tried as if nothing
/// had been; only [`AppendError::Poisoned`] is final, until the store was opened anew and has
/// looked at what is there. A store that refuses appends looks by itself, at the latest in
/// [`retain`](Self::retain), whether it can take them again, and says so in
/// [`health`](Self::health).
///
/// *Threads.* `append` and [`retain`](Self::retain) are called by one thread, and may be slow: a
/// disk is asked. All other methods are called by many threads at once and must not wait for an
/// `append` in progress. [`bounds`](Self::bounds) and [`identity`](Self::identity) are cheap; the
/// others may read a disk.
///
/// *Time.* A record's time is the `now` of its `append`, or the time of the record before it if
/// that is later: along the log, time never goes back.
///
/// *Bounds.* A read returns at most what its query allows, and looks at a bounded number of
/// records: where few of them are admitted, a page can be short, or empty, before the end. It
/// always makes progress; [`Page::reached`] says how far. Retention keeps the log within what the
/// store was configured to, and never drops the newest record.
pub trait Log: Send + Sync + 'static {
    /// Which log this is. It stays so as long as the store is open.
    fn identity(&self) -> &LogIdentity;

    /// What can be read now.
    fn bounds(&self) -> Bounds;

    /// Stores `drafts`, in order, all or nothing. Returns one entry per draft.
    ///
    /// Every draft is stored, whatever its id. Whether one repeats an event that is in the log
    /// ([`Draft::once`]) is found out before, with [`Repeats`], on the thread that appends.
    ///
    /// # Errors
    ///
    /// [`AppendError`]; see the contract.
    fn append(&self, drafts: Vec<Draft>, now: Timestamp) -> Result<Vec<Appended>, AppendError>;

    /// Reads records in log order.
    ///
    /// # Errors
    ///
    /// [`ReadError::Expired`] if a record after `query.after` has been dropped by retention.
    fn read(&self, query: &ReadQuery<'_>) -> Result<Page, ReadError>;

    /// Blocks until there is a record after `after`, or `timeout` has passed. Returns the head
    /// either way.
    fn wait(&self, after: Position, timeout: Duration) -> Position;

    /// Drops what retention no longer keeps, and finds out whether a store that refused appends
    /// can take them again.
    ///
    /// # Errors
    ///
    /// [`AppendError`].
    fn retain(&self, now: Timestamp) -> Result<(), AppendError>;

    /// How the store is. Cheap: nothing is read.
    fn health(&self) -> Health;

    /// What is known of the log by topic, id and time.
    fn catalog(&self) -> &dyn Catalog;
}

/// How a store is.
#[derive(Clone, Debug, Default)]
pub struct Health {
    /// Bytes the log occupies, as far as the store knows.
    pub bytes: u64,
    /// Why the store takes no events at the moment; `None` if it does.
    pub failure: Option<AppendError>,
    /// Attempts at work that no publisher waits for (files to remove, indexes to write) that
    /// failed, since the store was opened. Each was, or will be, tried again.
    pub background_failures: u64,
}

/// What of the log can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The oldest record; `head.next()` if there is none.
    pub first: Position,
    /// The newest record; [`Position::ZERO`] if there never was one.
    pub head: Position,
}

/// What became of one draft.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Where the record is.
    pub position: Position,
    /// The id subscribers will see.
    pub id: EventId,
    /// The record was there before, and nothing was stored: see [`Draft::once`]. Never so in the
    /// answer of a store.
    pub duplicate: bool,
}

/// What to read.
#[derive(Clone, Copy, Debug)]
pub struct ReadQuery<'a> {
    /// Begin after this position.
    pub after: Position,
    /// End with this position, or with the head if that comes first.
    pub upto: Position,
    /// Return only records it admits; `None` returns all.
    pub interest: Option<&'a Interest>,
    /// Most records to return.
    pub records_max: usize,
    /// Bytes of records after which no further record is returned.
    pub bytes_max: usize,
}

impl ReadQuery<'_> {
    /// Of the one record at `position`, however large it is.
    pub fn one(position: Position) -> Self {
        Self {
            after: position.previous(),
            upto: position,
            interest: None,
            records_max: 1,
            bytes_max: usize::MAX,
        }
    }
}

/// What was read.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Admitted records in log order.
    pub records: Vec<Arc<Record>>,
    /// How far the read came: every admitted record after the query's `after` and up to here is in
    /// `records`. Less than the query's `upto` (or the head, if that comes first) means: there may
    /// be more, read again from here.
    pub reached: Position,
}
