//! Reading records in log order.
//!
//! A reader of a few exact topics follows the index from record to record; any other reader scans.
//! Either way the newest records come from memory, and a read that has looked at enough records
//! ends its page early.

use std::sync::Arc;

use tidings_hub::{Interest, Page, Position, ReadError, ReadQuery, Record, Timestamp, Topic};

use crate::block::Block;
use crate::error::Fault;
use crate::index::Posting;
use crate::lanes::Lanes;
use crate::limits::{
    BLOCK_BYTES_AIM, EXACT_TOPICS_MAX, POSTINGS_PAGE, READ_BLOCKS_MAX, SCAN_BYTES_MAX,
    SCAN_CHUNK_BYTES, SCAN_RECORDS_MAX,
};
use crate::lost::LostTo;
use crate::record::TopicTexts;
use crate::records::{Entry, Records};
use crate::segment::{Scanner, SegmentLog};
use crate::state::Shared;

/// Records taken from memory before the lock is released.
const RECENT_AT_ONCE: usize = 256;

/// Bytes read from the disk for one block: nearly all blocks fit in it.
pub(crate) const ONE_BLOCK_BYTES: usize = BLOCK_BYTES_AIM + 1024;

impl Shared {
    /// See `Log::read`.
    pub(crate) fn read(&self, query: &ReadQuery<'_>) -> Result<Page, ReadError> {
        loop {
            // Losses and runs are of the same moment: what is dropped later is still read.
            let (lanes, first, after, upto) = {
                let state = self.read_state();
                let (first, known) = (state.first(), query.after.max(query.told));
                let lanes = Arc::clone(&state.lanes);
                if let Some(lost) =
                    lanes.lost(known, query.interest, LostTo::History, state.hot_first())
                {
                    return Err(ReadError::Expired { first, lost });
                }
                (
                    lanes,
                    state.hot_first(),
                    query.after.max(first.previous()),
                    query.upto.min(state.head),
                )
            };
            if upto <= after {
                return Ok(Page { records: Vec::new(), reached: query.after.max(upto) });
            }
            let exact = query.interest.and_then(Interest::exact_topics);
            let now = self.now();
            let mut read = PageBuilder { query, after, upto, now, page: Page::default(), bytes: 0 };
            let read = match exact {
                Some(topics) if topics.len() <= EXACT_TOPICS_MAX => {
                    self.follow(read, &lanes, &topics)
                }
                _ => self.scan(&mut read, &lanes, after, upto).map(|end| read.end(end)),
            };
            match read {
                // A segment has gone meanwhile: it was dropped, or its records are in runs.
                Err(ReadError::Expired { .. }) if self.read_state().hot_first() > first => {}
                read => return read,
            }
        }
    }

    /// Reads by the index.
    fn follow(
        &self,
        mut read: PageBuilder<'_>,
        lanes: &Lanes,
        topics: &[&Topic],
    ) -> Result<Page, ReadError> {
        let mut blocks = 0;
        let mut texts = TopicTexts::default();
        if let Some(end) = self.follow_runs(&mut read, lanes, topics, &mut blocks, &mut texts)? {
            return Ok(read.end(end));
        }
        let mut after = read.after.max(lanes.upto.min(read.upto));
        while after < read.upto {
            let run = self.with_segment(after.next(), |segment| {
                let from = (after.next().get() - segment.log.first.get()) as u32;
                let last = segment.last.min(read.upto);
                let places = (last.get() - segment.log.first.get()) as u32;
                let count = POSTINGS_PAGE.min(read.query.records_max).max(1);
                let mut run = Run { log: Arc::clone(segment.log), postings: Vec::new(), last };
                let mut complete_upto = places;
                for topic in topics {
                    let start = run.postings.len();
                    segment.index.records_from(topic, from, count, &mut run.postings)?;
                    if run.postings.len() - start == count {
                        let cut = run.postings[run.postings.len() - 1].place();
                        complete_upto = complete_upto.min(cut);
                    }
                }
                run.postings.retain(|posting| posting.place() <= complete_upto);
                run.postings.sort_unstable_by_key(|posting| posting.place());
                run.postings.dedup();
                run.last = Position::new(segment.log.first.get() + u64::from(complete_upto));
                Ok(run)
            })?;
            let mut scanner = run.log.scan(0, ONE_BLOCK_BYTES);
            let mut postings = run.postings.iter().peekable();
            while let Some(posting) = postings.next() {
                let position = run.position_of(posting);
                if let Some(record) = self.recent(position) {
                    if read.offer(&record) == Taken::AndFull {
                        return Ok(read.end(position));
                    }
                    continue;
                }
                if blocks >= READ_BLOCKS_MAX {
                    return Ok(read.end(position.previous()));
                }
                blocks += 1;
                let block = run.log.load(&mut scanner, *posting)?;
                let mut records = Records::of(&block);
                let mut next = Some(posting);
                // The other records of the block are behind this one: none is decoded twice.
                while let Some(posting) = next {
                    let position = run.position_of(posting);
                    let entry = run.log.next_at(&mut records, position)?;
                    next = postings.next_if(|other| other.block == posting.block);
                    if entry.view.is_erased() {
                        // Since the index was asked.
                        continue;
                    }
                    if !entry.is_on(topics) {
                        return Err(run.log.misled(position).into());
                    }
                    if read.offer_entry(&run.log, &entry, &mut texts)? == Taken::AndFull {
                        return Ok(read.end(position));
                    }
                }
            }
            after = run.last;
        }
        let upto = read.upto;
        Ok(read.end(upto))
    }

    /// Reads everything after `after` and up to `upto`, for a reader that takes what it wants.
    /// Returns the position reached.
    pub(crate) fn scan<R: Reader>(
        &self,
        read: &mut R,
        lanes: &Lanes,
        after: Position,
        upto: Position,
    ) -> Result<Position, ReadError> {
        let mut budget = Budget { records: SCAN_RECORDS_MAX, bytes: SCAN_BYTES_MAX };
        if let Some(end) = self.scan_runs(read, lanes, after, upto, &mut budget)? {
            return Ok(end);
        }
        let mut after = after.max(lanes.upto.min(upto));
        while after < upto && !budget.is_spent() {
            let recent = self.recent_after(after, upto);
            if !recent.is_empty() {
                budget.records = budget.records.saturating_sub(recent.len());
                for record in &recent {
                    after = record.position();
                    if read.offer(record) == Taken::AndFull {
                        return Ok(after);
                    }
                }
                continue;
            }
            let (log, offset, last) = self.with_segment(after.next(), |segment| {
                let place = (after.next().get() - segment.log.first.get()) as u32;
                let block = segment.index.blocks_back(place, 1)?;
                let offset = block.first().map(|block| u64::from(block.offset));
                Ok((Arc::clone(segment.log), offset, segment.last))
            })?;
            let offset = offset.ok_or_else(|| log.misled(after.next()))?;
            let last = last.min(upto);
            if let Some(full) =
                self.scan_segment(read, &log, offset, last, &mut budget, &mut after)?
            {
                return Ok(full);
            }
        }
        Ok(after)
    }

    /// Scans one segment from the block at `offset`. Returns the position at which the page became
    /// full, if it did.
    fn scan_segment<R: Reader>(
        &self,
        read: &mut R,
        log: &SegmentLog,
        offset: u64,
        upto: Position,
        budget: &mut Budget,
        after: &mut Position,
    ) -> Result<Option<Position>, ReadError> {
        let mut texts = TopicTexts::default();
        let mut scanner = log.scan(offset, SCAN_CHUNK_BYTES);
        let recent_from = self.read_state().recent.first();
        while *after < upto && after.next() < recent_from && !budget.is_spent() {
            let block = log.next_block(&mut scanner)?;
            // There can be a mark between two blocks, where the log was once closed.
            if block.header.count > 0
                && (block.header.first > after.next() || block.header.next() <= after.next())
            {
                return Err(log.misled(after.next()).into());
            }
            budget.bytes = budget.bytes.saturating_sub(block.body.len());
            budget.records = budget.records.saturating_sub(block.header.count as usize);
            let mut records = Records::of(&block);
            while let Some(entry) = records.next(log)?
                && entry.position <= upto
            {
                if entry.position > *after {
                    *after = entry.position;
                    if read.offer_entry(log, &entry, &mut texts)? == Taken::AndFull {
                        return Ok(Some(entry.position));
                    }
                }
            }
        }
        Ok(None)
    }

    /// Some records after `after` and up to `upto`, if the first of them is held in memory.
    pub(crate) fn recent_after(&self, after: Position, upto: Position) -> Vec<Arc<Record>> {
        let state = self.read_state();
        if after.next() < state.recent.first() {
            return Vec::new();
        }
        let count = (upto.get() - after.get()).min(RECENT_AT_ONCE as u64) as usize;
        state.recent.range(after.next(), count).cloned().collect()
    }
}

/// Records on the wanted topics, in order.
struct Run {
    log: Arc<SegmentLog>,
    postings: Vec<Posting>,
    /// Position up to which there are no others.
    last: Position,
}

impl Run {
    fn position_of(&self, posting: &Posting) -> Position {
        Position::new(self.log.first.get() + u64::from(posting.place()))
    }
}

/// What a scan may still look at.
pub(crate) struct Budget {
    pub(crate) records: usize,
    pub(crate) bytes: usize,
}

impl Budget {
    pub(crate) fn is_spent(&self) -> bool {
        self.records == 0 || self.bytes == 0
    }
}

/// A page being built.
pub(crate) struct PageBuilder<'a> {
    pub(crate) query: &'a ReadQuery<'a>,
    /// The query's, as far as there are records.
    pub(crate) after: Position,
    pub(crate) upto: Position,
    /// The time at which it is read.
    now: Timestamp,
    page: Page,
    bytes: usize,
}

/// What a scan is for.
pub(crate) trait Reader {
    /// What it takes of a record.
    type Item;

    /// What it takes of the record, if it wants it.
    ///
    /// # Errors
    ///
    /// [`Fault`] if the record cannot be decoded.
    fn admit(
        &mut self,
        log: &SegmentLog,
        entry: &Entry<'_>,
        texts: &mut TopicTexts,
    ) -> Result<Option<Self::Item>, Fault>;

    /// The position of the record.
    fn position_of(item: &Self::Item) -> Position;

    /// Takes the next item.
    fn take(&mut self, item: Self::Item) -> Taken;

    /// Takes the next record if it wants it, which is held in memory.
    fn offer(&mut self, record: &Arc<Record>) -> Taken;

    /// Takes the next record if it wants it.
    ///
    /// # Errors
    ///
    /// [`Fault`] if the record cannot be decoded.
    fn offer_entry(
        &mut self,
        log: &SegmentLog,
        entry: &Entry<'_>,
        texts: &mut TopicTexts,
    ) -> Result<Taken, Fault> {
        Ok(match self.admit(log, entry, texts)? {
            Some(item) => self.take(item),
            None => Taken::AndGoOn,
        })
    }
}

/// The outcome of offering a record to a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// The page has taken it, or does not want it, and can take more.
    AndGoOn,
    /// The page has taken it and can take no more.
    AndFull,
}

impl Reader for PageBuilder<'_> {
    type Item = Arc<Record>;

    fn admit(
        &mut self,
        log: &SegmentLog,
        entry: &Entry<'_>,
        texts: &mut TopicTexts,
    ) -> Result<Option<Arc<Record>>, Fault> {
        let unreadable = || log.unreadable(entry.position);
        let mut draft = entry.view.head(texts).ok_or_else(unreadable)?;
        let is_unwanted =
            |interest: &Interest| !interest.admits(&draft) || draft.is_over(entry.time, self.now);
        if self.query.interest.is_some_and(is_unwanted) {
            return Ok(None);
        }
        draft.data = entry.view.data().ok_or_else(unreadable)?.into();
        let record = Record::new(draft, entry.position, entry.time);
        Ok(Some(Arc::new(record.with_check(entry.view.check()))))
    }

    fn position_of(record: &Arc<Record>) -> Position {
        record.position()
    }

    fn take(&mut self, record: Arc<Record>) -> Taken {
        self.bytes += record.cost();
        self.page.records.push(record);
        let query = self.query;
        if self.page.records.len() >= query.records_max || self.bytes >= query.bytes_max {
            Taken::AndFull
        } else {
            Taken::AndGoOn
        }
    }

    fn offer(&mut self, record: &Arc<Record>) -> Taken {
        match self.query.interest {
            Some(interest) if !interest.admits(record) || record.is_over(self.now) => {
                Taken::AndGoOn
            }
            _ => self.take(Arc::clone(record)),
        }
    }
}

impl PageBuilder<'_> {
    fn end(mut self, reached: Position) -> Page {
        self.page.reached = reached;
        self.page
    }
}

impl SegmentLog {
    /// The block that contains `posting`.
    pub(crate) fn load<'b>(
        &self,
        scanner: &'b mut Scanner<'_>,
        posting: Posting,
    ) -> Result<Block<'b>, Fault> {
        scanner.seek(u64::from(posting.block));
        self.next_block(scanner)
    }

    /// The next block, which must exist: it was visible before.
    pub(crate) fn next_block<'b>(&self, scanner: &'b mut Scanner<'_>) -> Result<Block<'b>, Fault> {
        let at = scanner.offset();
        let failed = |error| self.io_fault("read", error);
        let mut found = scanner.advance().map_err(failed)?;
        if found.is_none() {
            // Half of it may have been erased when it was read.
            drop(self.erasing.read());
            scanner.seek_anew(at);
            found = scanner.advance().map_err(failed)?;
        }
        let (_, header, body) = found.ok_or_else(|| self.damaged(at))?;
        Ok(Block { header, body: scanner.body(body) })
    }

    /// The record at `position`, which none of `records` before the next one is.
    pub(crate) fn next_at<'b>(
        &self,
        records: &mut Records<'b>,
        position: Position,
    ) -> Result<Entry<'b>, Fault> {
        while records.next_position() <= position
            && let Some(entry) = records.next(self)?
        {
            if entry.position == position {
                return Ok(entry);
            }
        }
        Err(self.misled(position))
    }

    /// No block begins at `offset`, although one should.
    pub(crate) fn damaged(&self, offset: u64) -> Fault {
        Fault::damaged(
            self.path(),
            format_args!(
                "the block at byte {offset} is not what was written; the events after it can be \
                 read, but to be whole again the folder must be restored from a copy"
            ),
        )
    }

    /// The index pointed to the wrong place.
    pub(crate) fn misled(&self, position: Position) -> Fault {
        self.note_misled();
        Fault::damaged(
            &self.path.with_file_name(self.index_name()),
            format_args!("it does not point to record {position}; it will be rebuilt"),
        )
    }

    /// The checksum is right, but the content makes no sense.
    pub(crate) fn unreadable(&self, position: Position) -> Fault {
        Fault::damaged(self.path(), format_args!("record {position} cannot be decoded"))
    }
}
