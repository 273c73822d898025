//! Logs and journals that are another one, but for what a test changes.

use std::time::Duration;

use bytes::Bytes;
use tidings_hub::{
    AppendError, Appended, Bounds, Catalog, Draft, Eraser, Health, Interest, Log, LogIdentity,
    Page, Position, ReadError, ReadQuery, SharedLog, SlotNotes, Slots, Timestamp,
};
use tidings_store_shared::{AppendFault, Journal, JournalError, Nonce, Seq, SeqBounds, Terms};

use crate::shared_log::{BLOCK_BYTES_MAX, Connection};

/// A log or a journal with a layer over it.
#[derive(Clone, Debug)]
pub struct Layered<L>(pub L);

/// What is different with a log; by default nothing.
pub trait LogLayer: Send + Sync + 'static {
    /// The log below.
    fn under(&self) -> &dyn Log;

    /// See [`Log::append`], and with `judged` [`Log::append_judged`].
    ///
    /// # Errors
    ///
    /// Those of the log below.
    fn append(
        &self,
        drafts: Vec<Draft>,
        judged: Option<Position>,
        now: Timestamp,
    ) -> Result<Vec<Appended>, AppendError> {
        self.append_below(drafts, judged, now)
    }

    /// Appends to the log below. For an [`append`](Self::append) of its own.
    ///
    /// # Errors
    ///
    /// Those of the log below.
    fn append_below(
        &self,
        drafts: Vec<Draft>,
        judged: Option<Position>,
        now: Timestamp,
    ) -> Result<Vec<Appended>, AppendError> {
        match judged {
            Some(judged) => self.under().append_judged(drafts, judged, now),
            None => self.under().append(drafts, now),
        }
    }

    /// See [`Log::appends_anywhere`]. By default not: a layer may wait for the test, which may wait
    /// for the thread.
    fn appends_anywhere(&self) -> bool {
        false
    }

    /// See [`Log::read`].
    ///
    /// # Errors
    ///
    /// Those of the log below.
    fn read(&self, query: &ReadQuery<'_>) -> Result<Page, ReadError> {
        self.under().read(query)
    }

    /// See [`Log::note_slots`].
    ///
    /// # Errors
    ///
    /// Those of the log below.
    fn note_slots(
        &self,
        after: Position,
        upto: Position,
        notes: &mut SlotNotes<'_>,
    ) -> Result<Position, ReadError> {
        self.under().note_slots(after, upto, notes)
    }

    /// See [`Log::shared`].
    fn shared(&self) -> Option<&dyn SharedLog> {
        self.under().shared()
    }
}

impl<L: LogLayer> Log for Layered<L> {
    fn identity(&self) -> &LogIdentity {
        self.0.under().identity()
    }

    fn bounds(&self) -> Bounds {
        self.0.under().bounds()
    }

    fn append(&self, drafts: Vec<Draft>, now: Timestamp) -> Result<Vec<Appended>, AppendError> {
        self.0.append(drafts, None, now)
    }

    fn append_judged(
        &self,
        drafts: Vec<Draft>,
        judged: Position,
        now: Timestamp,
    ) -> Result<Vec<Appended>, AppendError> {
        self.0.append(drafts, Some(judged), now)
    }

    fn append_bytes_max(&self) -> usize {
        self.0.under().append_bytes_max()
    }

    fn appends_anywhere(&self) -> bool {
        self.0.appends_anywhere()
    }

    fn read(&self, query: &ReadQuery<'_>) -> Result<Page, ReadError> {
        self.0.read(query)
    }

    fn lost(&self, interest: &Interest, after: Position) -> Result<Option<Position>, ReadError> {
        self.0.under().lost(interest, after)
    }

    fn lost_of_state(
        &self,
        interest: &Interest,
        after: Position,
    ) -> Result<Option<Position>, ReadError> {
        self.0.under().lost_of_state(interest, after)
    }

    fn wait(&self, after: Position, timeout: Duration) -> Position {
        self.0.under().wait(after, timeout)
    }

    fn retain(&self, now: Timestamp) -> Result<(), AppendError> {
        self.0.under().retain(now)
    }

    fn eraser(&self) -> Option<&dyn Eraser> {
        self.0.under().eraser()
    }

    fn note_time(&self, now: Timestamp) {
        self.0.under().note_time(now);
    }

    fn health(&self) -> Health {
        self.0.under().health()
    }

    fn catalog(&self) -> &dyn Catalog {
        self.0.under().catalog()
    }

    fn slots(&self) -> &Slots {
        self.0.under().slots()
    }

    fn note_slots(
        &self,
        after: Position,
        upto: Position,
        notes: &mut SlotNotes<'_>,
    ) -> Result<Position, ReadError> {
        self.0.note_slots(after, upto, notes)
    }

    fn shared(&self) -> Option<&dyn SharedLog> {
        self.0.shared()
    }
}

/// What is different with a connection to a journal; by default nothing.
pub trait JournalLayer: Send + 'static {
    /// The connection below.
    ///
    /// # Errors
    ///
    /// [`JournalError::Away`] if nothing goes through.
    fn under(&mut self) -> Result<&mut Connection, JournalError>;

    /// See [`Journal::append`].
    ///
    /// # Errors
    ///
    /// [`AppendFault`].
    fn append(
        &mut self,
        after: Seq,
        nonce: Nonce,
        block: &[u8],
        patience: Duration,
    ) -> Result<Seq, AppendFault> {
        self.under().map_err(AppendFault::NotStored)?.append(after, nonce, block, patience)
    }

    /// See [`Journal::read`].
    ///
    /// # Errors
    ///
    /// [`JournalError`].
    fn read(&mut self, after: Seq, bytes_max: usize) -> Result<Vec<(Seq, Bytes)>, JournalError> {
        self.under()?.read(after, bytes_max)
    }

    /// See [`Journal::wait`].
    ///
    /// # Errors
    ///
    /// [`JournalError`].
    fn wait(&mut self, after: Seq, timeout: Duration) -> Result<(), JournalError> {
        self.under()?.wait(after, timeout)
    }
}

impl<L: JournalLayer> Journal for Layered<L> {
    fn create(&mut self) -> Result<(), JournalError> {
        self.0.under()?.create()
    }

    fn bounds(&mut self) -> Result<Option<SeqBounds>, JournalError> {
        self.0.under()?.bounds()
    }

    fn append(
        &mut self,
        after: Seq,
        nonce: Nonce,
        block: &[u8],
        patience: Duration,
    ) -> Result<Seq, AppendFault> {
        self.0.append(after, nonce, block, patience)
    }

    fn read(&mut self, after: Seq, bytes_max: usize) -> Result<Vec<(Seq, Bytes)>, JournalError> {
        self.0.read(after, bytes_max)
    }

    fn wait(&mut self, after: Seq, timeout: Duration) -> Result<(), JournalError> {
        self.0.wait(after, timeout)
    }

    fn trim(&mut self, before: Seq) -> Result<(), JournalError> {
        self.0.under()?.trim(before)
    }

    fn bytes(&mut self) -> Result<u64, JournalError> {
        self.0.under()?.bytes()
    }

    fn terms(&mut self) -> Result<Option<Terms>, JournalError> {
        self.0.under()?.terms()
    }

    fn set_terms(&mut self, terms: &Terms) -> Result<(), JournalError> {
        self.0.under()?.set_terms(terms)
    }

    fn block_bytes_max(&self) -> usize {
        BLOCK_BYTES_MAX
    }
}
