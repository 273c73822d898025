//! The one writer: drafts become blocks, blocks become durable, and then visible.

use std::io;
use std::sync::Arc;

use tidings_hub::{AppendError, Appended, Check, Draft, Position, Record, Timestamp, with_causes};

use crate::background::{Background, Job};
use crate::block::{BlockBuilder, CLOSED, Commit, LAST_OF_COMMIT, SEALED};
use crate::config::Durability;
use crate::error::Fault;
use crate::index::BlockEntry;
use crate::limits::{
    APPEND_BUFFER_KEPT_BYTES, APPEND_BYTES_MAX, BLOCK_BYTES_AIM, PROBE_BYTES_MAX, SEGMENT_KEYS_MAX,
    SEGMENT_RECORDS_MAX,
};
use crate::preallocate::Preallocation;
use crate::record;
use crate::segment::{Index, Sealed, SegmentLog, log_name};
use crate::state::{Active, Shared};

/// Bytes after which a log that is not synced at every append is synced in the background, so that
/// the sync at the end of a segment is short.
const OS_SYNC_BYTES: u64 = 16 << 20;

/// Bytes by which the writer lengthens a segment file where there are no zeros ahead of it.
const GROWTH_BYTES: u64 = 64 << 10;

/// Where the log ends.
pub(crate) struct End {
    pub(crate) log: Arc<SegmentLog>,
    /// Offset of the next block.
    pub(crate) offset: u64,
    /// Offset up to which the file is filled with zeros and can be written to.
    pub(crate) room: u64,
    pub(crate) next: Position,
    /// Time of the newest record; the next one is no earlier.
    pub(crate) time: Timestamp,
}

/// Appends, seals and closes. There is one, behind a lock.
pub(crate) struct Writer {
    end: End,
    pub(crate) background: Background,
    buffer: Vec<u8>,
    /// The part of the segment after [`End::room`], while the background thread fills it with
    /// zeros.
    preallocation: Option<Arc<Preallocation>>,
    /// Bytes written since the last sync was requested.
    unsynced: u64,
    /// A segment that was created but not begun, because the one before it could not be sealed. It
    /// must be removed before anything else is appended.
    leftover: Option<Position>,
    /// The step at which the last rejected append failed.
    missing: Missing,
}

/// A step that must succeed before a log that rejected an append takes events again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Missing {
    /// Ending the segment and beginning the next one.
    Seal,
    /// Writing this many bytes.
    Bytes(usize),
}

/// A draft, with its check in a copy of a log that has them.
type Entry = (Draft, Option<Check>);

/// An append being prepared.
struct Batch {
    records: Vec<Arc<Record>>,
    /// Bytes of each in the log.
    lengths: Vec<usize>,
    cost: usize,
    /// Each block's offset in the buffer and number of records.
    blocks: Vec<(usize, usize)>,
    appended: Vec<Appended>,
}

impl Writer {
    pub(crate) fn new(end: End, background: Background) -> Self {
        Self {
            end,
            background,
            buffer: Vec::new(),
            preallocation: None,
            unsynced: 0,
            leftover: None,
            missing: Missing::Bytes(0),
        }
    }

    /// See `Log::append`.
    pub(crate) fn append(
        &mut self,
        shared: &Shared,
        drafts: Vec<Draft>,
        now: Timestamp,
    ) -> Result<Vec<Appended>, AppendError> {
        self.append_entries(shared, drafts.into_iter().map(|draft| (draft, None)).collect(), now)
    }

    /// See `DiskStore::follow`.
    pub(crate) fn follow(
        &mut self,
        shared: &Shared,
        first: Position,
        time: Timestamp,
        records: Vec<(Draft, Check)>,
    ) -> Result<(), AppendError> {
        if first != self.end.next || time < self.end.time {
            let next = self.end.next;
            let what = format_args!("record {first} of the log does not follow its copy: {next}");
            return Err(Fault::damaged(self.end.log.path(), what).refuses());
        }
        let entries = records.into_iter().map(|(draft, check)| (draft, Some(check)));
        self.append_entries(shared, entries.collect(), time).map(|_| ())
    }

    fn append_entries(
        &mut self,
        shared: &Shared,
        entries: Vec<Entry>,
        now: Timestamp,
    ) -> Result<Vec<Appended>, AppendError> {
        let cost = entries.iter().map(|(draft, _)| draft.cost()).sum::<usize>();
        if cost > APPEND_BYTES_MAX {
            return Err(AppendError::TooLarge { bytes: cost, bytes_max: APPEND_BYTES_MAX });
        }
        let ready = self.ready(shared);
        let appended = ready.and_then(|()| self.try_append(shared, entries, cost, now));
        appended.map_err(|error| shared.trouble.set(error))
    }

    /// Checks whether a log that rejected an append can take events again.
    pub(crate) fn probe(&mut self, shared: &Shared) -> Result<(), AppendError> {
        if shared.trouble.get().is_none() {
            return Ok(());
        }
        let mended = self.ready(shared).and_then(|()| match self.missing {
            Missing::Seal => self.seal(shared),
            Missing::Bytes(bytes) => self.write_zeros(bytes.min(PROBE_BYTES_MAX)),
        });
        mended.map_err(|error| shared.trouble.set(error))?;
        shared.trouble.clear();
        Ok(())
    }

    /// Whether an append can be tried at all.
    fn ready(&mut self, shared: &Shared) -> Result<(), AppendError> {
        match shared.trouble.get() {
            Some(error) if error.is_final() => return Err(error),
            Some(_) => shared.see_in_place().map_err(Fault::refuses)?,
            None => {}
        }
        shared.see_room_for_rules().map_err(Fault::refuses)?;
        self.remove_leftover(shared)
    }

    fn try_append(
        &mut self,
        shared: &Shared,
        entries: Vec<Entry>,
        cost: usize,
        now: Timestamp,
    ) -> Result<Vec<Appended>, AppendError> {
        if entries.iter().any(|(draft, _)| record::needs_format_2(draft)) {
            shared.ensure_format_2().map_err(|error| {
                Fault::io("write the format in", &shared.config.path, error).refuses()
            })?;
        }
        if self.is_full(shared, entries.len(), cost) {
            self.missing = Missing::Seal;
            self.seal(shared)?;
        }
        let now = now.max(self.end.time);
        shared.note_time(now);
        let batch = self.encode(shared, entries, now);
        self.missing = Missing::Bytes(self.buffer.len());
        if batch.records.is_empty() {
            return Ok(batch.appended);
        }
        self.write(shared)?;
        shared.trouble.clear();
        self.publish(shared, batch, now)
    }

    /// Whether the segment has no room for this much more. An empty one has room for anything.
    fn is_full(&self, shared: &Shared, records: usize, cost: usize) -> bool {
        let state = shared.read_state();
        let index = &state.active.index;
        // The segment's header says whether its appends are synced, so a change of durability
        // begins a new segment.
        let is_firmer = self.end.log.durability == Durability::Fsync
            && shared.config.durability == Durability::Os;
        index.records() > 0
            && (is_firmer
                || self.end.offset + cost as u64 > shared.config.segment_bytes()
                || index.records() as usize + records > SEGMENT_RECORDS_MAX
                || index.keys() >= SEGMENT_KEYS_MAX)
    }

    /// Makes the drafts into records and fills the buffer with their blocks.
    fn encode(&mut self, shared: &Shared, entries: Vec<Entry>, time: Timestamp) -> Batch {
        self.buffer.clear();
        self.buffer.shrink_to(APPEND_BUFFER_KEPT_BYTES);
        let count = entries.len();
        let mut batch = Batch {
            records: Vec::with_capacity(count),
            lengths: Vec::with_capacity(count),
            cost: 0,
            blocks: Vec::new(),
            appended: Vec::with_capacity(count),
        };
        let commit = Commit { first: self.end.next, time, salt: self.end.log.salt };
        let mut position = self.end.next;
        let mut open = None::<BlockBuilder>;
        for (draft, check) in entries {
            if open.as_ref().is_some_and(|b| b.body_bytes(&self.buffer) >= BLOCK_BYTES_AIM) {
                let full = open.take().expect("it is some");
                full.finish(&mut self.buffer, commit, 0);
            }
            let block = open.get_or_insert_with(|| {
                let block = BlockBuilder::begin(&mut self.buffer, position);
                batch.blocks.push((block.start(), 0));
                block
            });
            let begin = self.buffer.len();
            record::encode(&draft, check, &mut self.buffer);
            batch.lengths.push(self.buffer.len() - begin);
            block.count_record();
            batch.blocks.last_mut().expect("one is open").1 += 1;
            let record = Record::new(draft, position, time).with_check(check);
            let id = record.event_id(shared.identity.epoch);
            batch.appended.push(Appended { position, id, duplicate: false });
            batch.cost += record.cost();
            batch.records.push(Arc::new(record));
            position = position.next();
        }
        if let Some(last) = open {
            last.finish(&mut self.buffer, commit, LAST_OF_COMMIT);
        }
        batch
    }

    /// Writes the buffer to the end of the log, as firmly as is promised.
    fn write(&mut self, shared: &Shared) -> Result<(), AppendError> {
        self.make_room(shared)?;
        let written = self.end.log.file.write_at(&self.buffer, self.end.offset);
        self.undo_unless_ok("write to", written)?;
        let log = &self.end.log;
        match shared.config.durability {
            Durability::Fsync => {
                log.file.sync().map_err(|error| log.io_fault("sync", error).poisons())?;
            }
            Durability::Os => {
                self.unsynced += self.buffer.len() as u64;
                if self.unsynced >= OS_SYNC_BYTES {
                    self.unsynced = 0;
                    self.background.try_send(Job::Sync(Arc::clone(log)));
                }
            }
        }
        // A file without a name disappears with the process.
        log.see_linked().map_err(Fault::poisons)
    }

    /// Removes what a failed write left after the end of the log. Then it is as if nothing had
    /// happened, and the next append can be tried.
    fn undo_unless_ok(
        &mut self,
        action: &'static str,
        done: io::Result<()>,
    ) -> Result<(), AppendError> {
        let Err(error) = done else {
            return Ok(());
        };
        self.end_preallocation();
        let End { log, offset, room, .. } = &mut self.end;
        let refused = log.io_fault(action, error).refuses();
        // The part cut off reads as zeros when the file grows again.
        log.file.set_len(*offset).map_err(|error| log.io_fault("cut", error).poisons())?;
        *room = *offset;
        Err(refused)
    }

    /// Writes zeros at the place of the next block, to see whether that works.
    fn write_zeros(&mut self, bytes: usize) -> Result<(), AppendError> {
        let to = self.end.offset + bytes as u64;
        let written = self.end.log.file.write_at(&vec![0; bytes], self.end.offset);
        self.undo_unless_ok("write to", written)?;
        self.end.room = self.end.room.max(to);
        Ok(())
    }

    /// Makes sure that the buffer can be written at the end of the log, and that there will be
    /// zeros after it.
    fn make_room(&mut self, shared: &Shared) -> Result<(), AppendError> {
        let to = self.end.offset + self.buffer.len() as u64;
        if self
            .preallocation
            .as_ref()
            .is_some_and(|preallocation| preallocation.outcome().is_some())
            || to > self.end.room
        {
            self.end_preallocation();
        }
        let End { log, room, .. } = &mut self.end;
        if to > *room {
            let longer = to.next_multiple_of(GROWTH_BYTES);
            let lengthened = log.file.set_len(longer);
            lengthened.map_err(|error| log.io_fault("lengthen", error).refuses())?;
            *room = longer;
        }
        let part = shared.config.ahead_bytes();
        let is_wanted = shared.config.durability == Durability::Fsync
            && self.preallocation.is_none()
            && *room - to < part
            && *room < shared.config.segment_bytes();
        if is_wanted {
            let preallocation = Preallocation::new(log, *room, *room + part);
            if self.background.try_send(Job::Fill(Arc::clone(&preallocation))) {
                self.preallocation = Some(preallocation);
            }
        }
        Ok(())
    }

    /// Takes over the part that was filled, or takes back the task if it was not begun.
    fn end_preallocation(&mut self) {
        if let Some(preallocation) = self.preallocation.take()
            && preallocation.end()
        {
            self.end.room = preallocation.to;
        }
    }

    /// Makes the batch visible to readers.
    fn publish(
        &mut self,
        shared: &Shared,
        batch: Batch,
        time: Timestamp,
    ) -> Result<Vec<Appended>, AppendError> {
        let (forgotten, new, first) = {
            let mut state = shared.write_state();
            // No reader may see a record and not what it supersedes; or pass a record over for a
            // later one that it then cannot read.
            shared.slots.note(&batch.records);
            let active = &mut state.active;
            if active.index.records() == 0 {
                active.first_time = time;
            }
            active.last_time = time;
            let mut records = batch.records.iter().zip(&batch.lengths);
            for (start, count) in &batch.blocks {
                let offset = self.end.offset + *start as u64;
                let offset = u32::try_from(offset)
                    .map_err(|_| Fault::damaged(active.log.path(), "it is too long").poisons())?;
                active.index.add_block(BlockEntry { place: active.index.records(), offset, time });
                for (record, bytes) in records.by_ref().take(*count) {
                    active.index.add_record(record, *bytes);
                }
            }
            self.end.offset += self.buffer.len() as u64;
            shared.count_appended(self.buffer.len());
            self.end.next = active.next();
            self.end.time = time;
            active.bytes = self.end.offset;
            let (new, first) = (active.index.take_new(), active.log.first);
            state.head = self.end.next.previous();
            state.recent.extend(batch.records, batch.cost);
            (state.recent.shrink(shared.config.recent_bytes_max), new, first)
        };
        drop(forgotten);
        if !new.is_empty() {
            shared.topic_count.add(&new, first);
        }
        shared.head.advance(self.end.next.previous());
        Ok(batch.appended)
    }

    /// Ends the segment and begins the next one.
    ///
    /// The next file is created before the mark that seals this one: so if a sealed segment has no
    /// successor, the successor was lost, and recovery can say so. If either step fails, both are
    /// undone.
    fn seal(&mut self, shared: &Shared) -> Result<(), AppendError> {
        let Shared { disk, config, identity, .. } = shared;
        // From here on the file may exist, whatever happens.
        self.leftover = Some(self.end.next);
        let created = SegmentLog::create(&**disk, self.end.next, identity.epoch, config.durability);
        let created =
            created.map_err(|error| Fault::io("begin a segment in", &config.path, error).refuses());
        let next = match created.and_then(|next| self.mark(shared, SEALED).map(|()| Arc::new(next)))
        {
            Ok(next) => next,
            Err(error) => {
                // If it cannot be removed, the next append tries again.
                let _ = self.remove_leftover(shared);
                return Err(error);
            }
        };
        self.leftover = None;
        let log_bytes = self.end.offset;
        let offset = crate::segment::HEADER_BYTES as u64;
        let End { next: position, time, .. } = self.end;
        self.end = End { log: Arc::clone(&next), offset, room: offset, next: position, time };
        self.unsynced = 0;
        self.missing = Missing::Bytes(0);
        {
            let mut state = shared.write_state();
            let active = std::mem::replace(&mut state.active, Active::empty(next));
            state.sealed.push_back(Arc::new(Sealed {
                log: active.log,
                last: position.previous(),
                first_time: active.first_time,
                last_time: active.last_time,
                log_bytes,
                index: Index::Memory(Arc::new(active.index)),
            }));
        }
        self.background.send(shared, Job::Index);
        if config.random.is_given() {
            // What the index takes counts in the next line, so it must not depend on the thread.
            let _ = self.background.turn(shared).recv();
        }
        self.drop_what_is_too_much(shared);
        Ok(())
    }

    /// Ends the segment although it is not full.
    pub(crate) fn seal_early(&mut self, shared: &Shared) -> Result<(), AppendError> {
        self.missing = Missing::Seal;
        let sealed = self.ready(shared).and_then(|()| self.seal(shared));
        sealed.map_err(|error| shared.trouble.set(error))
    }

    /// Removes the segment that was created but not begun, so that no power cut brings it back.
    fn remove_leftover(&mut self, shared: &Shared) -> Result<(), AppendError> {
        let Some(first) = self.leftover else {
            return Ok(());
        };
        let name = log_name(first);
        let removed = shared.disk.remove_if_there(&name).and_then(|_| shared.disk.sync());
        let path = shared.disk.path(&name);
        removed.map_err(|error| Fault::io("remove", &path, error).refuses())?;
        self.leftover = None;
        Ok(())
    }

    /// Writes a block without records, cuts the file after it, and syncs. Everything before a mark
    /// was synced: recovery relies on that.
    fn mark(&mut self, shared: &Shared, flag: u32) -> Result<(), AppendError> {
        self.end_preallocation();
        let End { log, offset, next, time, .. } = &self.end;
        self.buffer.clear();
        let commit = Commit { first: *next, time: *time, salt: log.salt };
        BlockBuilder::begin(&mut self.buffer, *next).finish(
            &mut self.buffer,
            commit,
            LAST_OF_COMMIT | flag,
        );
        let to = *offset + self.buffer.len() as u64;
        if shared.config.durability == Durability::Os {
            log.file.sync().map_err(|error| log.io_fault("sync", error).poisons())?;
        }
        let written = log.file.write_at(&self.buffer, *offset);
        self.undo_unless_ok("finish", written)?;
        let log = &self.end.log;
        let synced = log.file.set_len(to).and_then(|()| log.file.sync());
        synced.map_err(|error| log.io_fault("finish", error).poisons())?;
        self.end.offset = to;
        self.end.room = to;
        Ok(())
    }

    /// Marks the log as cleanly closed and waits for the background thread.
    pub(crate) fn close(&mut self, shared: &Shared) {
        let closed = self.ready(shared).and_then(|()| self.mark(shared, CLOSED));
        if let Err(error) = closed {
            let reason = with_causes(&error);
            tracing::warn!(reason, "the log was not closed cleanly");
        }
        self.background.stop();
    }
}
