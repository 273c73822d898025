//! Finding where to start reading.

use std::sync::Arc;

use tidings_hub::{
    Draft, EventId, Interest, Matcher, Position, ReadError, Record, Timestamp, Topic,
};

use crate::error::Fault;
use crate::index::{Posting, SegmentIndex as _};
use crate::lanes::Lanes;
use crate::limits::{EXACT_TOPICS_MAX, POSTINGS_PAGE, SEEK_BLOCKS_MAX, SEEK_RECORDS_MAX};
use crate::read::ONE_BLOCK_BYTES;
use crate::record::TopicTexts;
use crate::records::Records;
use crate::segment::{Scanner, SegmentLog};
use crate::state::Shared;

/// Blocks read from an index at once when going backwards.
pub(crate) const BLOCKS_AT_ONCE: usize = 64;

impl Shared {
    /// See `Catalog::find`.
    pub(crate) fn find(&self, id: &EventId, on: &[Matcher]) -> Result<Option<Position>, Fault> {
        let (lanes, sealed, in_active) = {
            let state = self.read_state();
            let place = state.active.index.find(id, on)?;
            let in_active = place.map(|place| position_of(&state.active.log, place));
            (Arc::clone(&state.lanes), state.sealed.clone(), in_active)
        };
        if let Some(position) = self.find_in_runs(&lanes, id, on)? {
            return Ok(Some(position));
        }
        for segment in &sealed {
            let place = self.ask_index(segment, |segment| segment.index.find(id, on))?;
            if let Some(place) = place {
                return Ok(Some(position_of(&segment.log, place)));
            }
        }
        Ok(in_active)
    }

    /// See `Catalog::seek_time`.
    pub(crate) fn seek_time(&self, since: Timestamp) -> Result<Position, ReadError> {
        let (lanes, sealed, otherwise) = {
            let state = self.read_state();
            let place = state.active.index.place_at(since)?;
            let in_active = place.map(|place| position_of(&state.active.log, place).previous());
            (Arc::clone(&state.lanes), state.sealed.clone(), in_active.unwrap_or(state.head))
        };
        if let Some(position) = self.seek_time_in_runs(&lanes, since)? {
            return Ok(position.previous());
        }
        let older = sealed.partition_point(|segment| segment.last_time < since);
        let Some(segment) = sealed.get(older) else {
            return Ok(otherwise);
        };
        match self.ask_index(segment, |segment| segment.index.place_at(since))? {
            Some(place) => Ok(position_of(&segment.log, place).previous()),
            None => Err(segment.log.misled(segment.last).into()),
        }
    }

    /// See `Catalog::seek_last`.
    pub(crate) fn seek_last(
        &self,
        interest: &Interest,
        count: usize,
    ) -> Result<Position, ReadError> {
        loop {
            let (lanes, hot_first, head) = {
                let state = self.read_state();
                (Arc::clone(&state.lanes), state.hot_first(), state.head)
            };
            if count == 0 {
                return Ok(head);
            }
            let (below, found) = (head.next(), head.next());
            let seek = Seek { interest, now: self.now(), missing: count, below, found };
            let found = match interest.exact_topics() {
                Some(topics) if topics.len() <= EXACT_TOPICS_MAX => {
                    self.follow_back(seek, &lanes, &topics)
                }
                _ => self.scan_back(seek, &lanes),
            };
            // Unless segments went meanwhile, whose records may be in runs now.
            if self.read_state().hot_first() == hot_first || found.is_err() {
                return found;
            }
        }
    }

    /// Goes backwards by the index.
    fn follow_back(
        &self,
        mut seek: Seek<'_>,
        lanes: &Lanes,
        topics: &[&Topic],
    ) -> Result<Position, ReadError> {
        let mut blocks = SEEK_BLOCKS_MAX;
        let mut records = SEEK_RECORDS_MAX.max(seek.missing);
        let mut texts = TopicTexts::default();
        let mut judged = Vec::new();
        let not_private = seek.interest.may_have_unless_private();
        while seek.missing > 0 && records > 0 {
            let Some(RunBack { log, postings, down_to }) = self.postings_back(&seek, topics)?
            else {
                break;
            };
            let mut scanner = log.scan(0, ONE_BLOCK_BYTES);
            let mut postings = postings.as_slice();
            while let Some(posting) = postings.first() {
                let position = position_of(&log, posting.place());
                judged.clear();
                if posting.is_settled() && not_private {
                    judged.push((position, true));
                } else if let Some(record) = self.recent(position) {
                    judged.push((position, seek.admits(&record, record.time())));
                } else {
                    blocks = blocks.saturating_sub(1);
                    let same = postings.iter().take_while(|other| other.block == posting.block);
                    let group = same.map(|other| position_of(&log, other.place()));
                    seek.judge_block(&log, &mut scanner, *posting, group, &mut judged, &mut texts)?;
                }
                postings = &postings[judged.len()..];
                records = records.saturating_sub(judged.len());
                if seek.found_among(&judged) || blocks == 0 {
                    return Ok(seek.found.previous());
                }
            }
            seek.below = down_to;
        }
        if seek.missing > 0 && records > 0 {
            self.follow_runs_back(&mut seek, lanes, topics, records, blocks)?;
        }
        Ok(seek.found.previous())
    }

    /// Some records on `topics` before `seek.below`. `None` if no segment can have any.
    fn postings_back(
        &self,
        seek: &Seek<'_>,
        topics: &[&Topic],
    ) -> Result<Option<RunBack>, ReadError> {
        let last = seek.below.previous();
        if last < self.read_state().hot_first() {
            return Ok(None);
        }
        let found = self.with_segment(last, |segment| {
            let below = (seek.below.get() - segment.log.first.get()) as u32;
            let count = POSTINGS_PAGE.min(seek.missing);
            let mut postings = Vec::new();
            let mut complete_down_to = 0;
            for topic in topics {
                let start = postings.len();
                segment.index.records_before(topic, below, count, &mut postings)?;
                if postings.len() - start == count {
                    complete_down_to = complete_down_to.max(postings[start + count - 1].place());
                }
            }
            postings.retain(|posting| posting.place() >= complete_down_to);
            postings.sort_unstable_by_key(|posting| std::cmp::Reverse(posting.place()));
            postings.dedup_by_key(|posting| posting.place());
            let down_to = position_of(segment.log, complete_down_to);
            Ok(RunBack { log: Arc::clone(segment.log), postings, down_to })
        });
        match found {
            Ok(found) => Ok(Some(found)),
            // Retention has dropped them meanwhile.
            Err(ReadError::Expired { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Goes backwards record by record.
    fn scan_back(&self, mut seek: Seek<'_>, lanes: &Lanes) -> Result<Position, ReadError> {
        let mut records = SEEK_RECORDS_MAX;
        let mut blocks = SEEK_BLOCKS_MAX;
        while records > 0 {
            let recent = self.recent_before(seek.below);
            if recent.is_empty() {
                break;
            }
            for record in recent.iter().rev() {
                seek.below = record.position();
                if seek.admits(record, record.time()) && seek.found_at(record.position()) {
                    return Ok(seek.found.previous());
                }
            }
            records = records.saturating_sub(recent.len());
        }
        let mut texts = TopicTexts::default();
        while records > 0 && blocks > 0 && seek.below > self.read_state().hot_first() {
            let entries = self.with_segment(seek.below.previous(), |segment| {
                let place = (seek.below.previous().get() - segment.log.first.get()) as u32;
                let entries = segment.index.blocks_back(place, BLOCKS_AT_ONCE)?;
                Ok((Arc::clone(segment.log), entries))
            });
            let (log, entries) = match entries {
                Ok(found) => found,
                Err(ReadError::Expired { .. }) => break,
                Err(error) => return Err(error),
            };
            let mut scanner = log.scan(0, ONE_BLOCK_BYTES);
            for entry in entries {
                scanner.seek(u64::from(entry.offset));
                let block = log.next_block(&mut scanner)?;
                let mut admitted = Vec::new();
                let mut inside = Records::of(&block);
                while let Some(entry) = inside.next(&log)?
                    && entry.position < seek.below
                {
                    let head = entry.view.head(&mut texts);
                    let head = head.ok_or_else(|| log.unreadable(entry.position))?;
                    if seek.admits(&head, entry.time) {
                        admitted.push(entry.position);
                    }
                }
                for position in admitted.into_iter().rev() {
                    if seek.found_at(position) {
                        return Ok(seek.found.previous());
                    }
                }
                seek.below = block.header.first.min(seek.below);
                records = records.saturating_sub(block.header.count as usize);
                blocks -= 1;
                if records == 0 || blocks == 0 {
                    break;
                }
            }
        }
        if records > 0 && blocks > 0 {
            self.scan_runs_back(&mut seek, lanes, records, blocks)?;
        }
        Ok(seek.found.previous())
    }

    pub(crate) fn recent(&self, position: Position) -> Option<Arc<Record>> {
        self.read_state().recent.get(position).cloned()
    }

    /// Some records in memory before `below`, the newest of them last.
    fn recent_before(&self, below: Position) -> Vec<Arc<Record>> {
        let state = self.read_state();
        let first = state.recent.first();
        let count = below.get().saturating_sub(first.get()).min(256);
        let from = Position::new(below.get() - count);
        state.recent.range(from, count as usize).cloned().collect()
    }
}

/// Records on the wanted topics in one segment, newest first.
struct RunBack {
    log: Arc<SegmentLog>,
    postings: Vec<Posting>,
    /// Position down to which there are no others.
    down_to: Position,
}

/// A search for a number of last records.
pub(crate) struct Seek<'a> {
    pub(crate) interest: &'a Interest,
    /// The time at which it searches.
    now: Timestamp,
    pub(crate) missing: usize,
    /// Position from which everything has been looked at.
    pub(crate) below: Position,
    /// Position of the oldest record found.
    found: Position,
}

impl Seek<'_> {
    /// Whether the event, accepted at `time`, counts.
    pub(crate) fn admits(&self, event: &Draft, time: Timestamp) -> bool {
        self.interest.admits(event) && !event.is_over(time, self.now)
    }

    /// Adds to `judged` the `positions`, the newest first, and whether the record at each counts;
    /// they are all in the block of `posting`, which is decoded once.
    pub(crate) fn judge_block(
        &self,
        log: &SegmentLog,
        scanner: &mut Scanner<'_>,
        posting: Posting,
        positions: impl Iterator<Item = Position>,
        judged: &mut Vec<(Position, bool)>,
        texts: &mut TopicTexts,
    ) -> Result<(), Fault> {
        judged.extend(positions.map(|position| (position, false)));
        let block = log.load(scanner, posting)?;
        let mut records = Records::of(&block);
        for (position, is_admitted) in judged.iter_mut().rev() {
            let entry = log.next_at(&mut records, *position)?;
            let head = entry.view.head(texts).ok_or_else(|| log.unreadable(*position))?;
            *is_admitted = self.admits(&head, entry.time);
        }
        Ok(())
    }

    /// Counts those of some records that are admitted, in this order; `true` if the last one that
    /// is needed is among them.
    pub(crate) fn found_among(&mut self, judged: &[(Position, bool)]) -> bool {
        judged.iter().any(|(position, is_admitted)| *is_admitted && self.found_at(*position))
    }

    /// Counts a record; `true` if it was the last one needed.
    pub(crate) fn found_at(&mut self, position: Position) -> bool {
        self.found = position;
        self.missing -= 1;
        self.missing == 0
    }
}

pub(crate) fn position_of(log: &SegmentLog, place: u32) -> Position {
    Position::new(log.first.get() + u64::from(place))
}
