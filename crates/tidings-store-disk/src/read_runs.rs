//! Reading the runs of all lanes, in log order.
//!
//! A reader of a few topics asks the indexes: from each lane the next run that has any of them, and
//! takes what comes before the first of these runs ends. Any other reader scans all lanes at once:
//! always the one of which it has seen the least, block by block.

use std::collections::VecDeque;

use tidings_hub::{Position, ReadError, Topic};

use crate::error::Fault;
use crate::index::Posting;
use crate::lanes::Lanes;
use crate::limits::{POSTINGS_PAGE, READ_BLOCKS_MAX, SCAN_CHUNK_BYTES};
use crate::read::{Budget, ONE_BLOCK_BYTES, PageBuilder, Reader, Taken};
use crate::record::TopicTexts;
use crate::records::Records;
use crate::run::Run;
use crate::segment::Scanner;
use crate::state::Shared;

/// The next records on some topics.
struct Window<'a> {
    /// The runs that have them.
    runs: Vec<&'a Run>,
    /// Each with the number of its run, in order.
    found: Vec<(Position, usize, Posting)>,
    /// Position up to which there are no others.
    last: Position,
}

impl Shared {
    /// Reads by the indexes of the runs. Returns the position at which the page ends, unless it can
    /// take more than all runs have.
    pub(crate) fn follow_runs(
        &self,
        read: &mut PageBuilder<'_>,
        lanes: &Lanes,
        topics: &[&Topic],
        blocks: &mut usize,
        texts: &mut TopicTexts,
    ) -> Result<Option<Position>, ReadError> {
        let upto = read.upto.min(lanes.upto);
        let mut after = read.after;
        while after < upto {
            let count = POSTINGS_PAGE.min(read.query.records_max).max(1);
            let window = self.window(lanes, topics, after, upto, count)?;
            let mut scanners: Vec<_> =
                window.runs.iter().map(|run| run.sealed.log.scan(0, ONE_BLOCK_BYTES)).collect();
            let mut found = window.found.into_iter().peekable();
            while let Some((position, number, posting)) = found.next() {
                let (log, scanner) = (&window.runs[number].sealed.log, &mut scanners[number]);
                // Not again after a record of another run.
                if scanner.loaded() != Some(u64::from(posting.block)) {
                    if *blocks >= READ_BLOCKS_MAX {
                        return Ok(Some(position.previous()));
                    }
                    *blocks += 1;
                }
                let block = log.load(scanner, posting)?;
                let mut records = Records::of(&block);
                let mut next = Some(position);
                // The other records of the block are behind this one: none is decoded twice.
                while let Some(position) = next {
                    let entry = log.next_at(&mut records, position)?;
                    let is_here = |(_, run, other): &(Position, usize, Posting)| {
                        *run == number && other.block == posting.block
                    };
                    next = found.next_if(is_here).map(|(position, ..)| position);
                    if entry.view.is_erased() {
                        // Since the index was asked.
                        continue;
                    }
                    if !entry.is_on(topics) {
                        return Err(log.misled(position).into());
                    }
                    if read.offer_entry(log, &entry, texts)? == Taken::AndFull {
                        return Ok(Some(position));
                    }
                }
            }
            after = window.last;
        }
        Ok(None)
    }

    fn window<'a>(
        &self,
        lanes: &'a Lanes,
        topics: &[&Topic],
        after: Position,
        upto: Position,
        count: usize,
    ) -> Result<Window<'a>, Fault> {
        let mut window = Window { runs: Vec::new(), found: Vec::new(), last: upto };
        for lane in &lanes.lanes {
            let start = lane.partition_point(|run| run.last() <= after);
            for run in lane[start..].iter().take_while(|run| run.first() <= upto) {
                let first = run.first();
                let from = after.next().get().saturating_sub(first.get()) as u32;
                let (postings, cut) = self.ask_index(&run.sealed, |run| {
                    let (mut postings, mut cut) = (Vec::new(), None::<u32>);
                    for topic in topics {
                        let start = postings.len();
                        run.index.records_from(topic, from, count, &mut postings)?;
                        if postings.len() - start == count {
                            let place = postings[postings.len() - 1].place();
                            cut = Some(cut.unwrap_or(place).min(place));
                        }
                    }
                    Ok((postings, cut))
                })?;
                if postings.is_empty() {
                    continue;
                }
                let at = |place: u32| Position::new(first.get() + u64::from(place));
                // What comes later in this lane is behind this run.
                window.last = window.last.min(cut.map_or(run.last(), at));
                let number = window.runs.len();
                window.runs.push(run);
                window.found.extend(postings.into_iter().map(|p| (at(p.place()), number, p)));
                break;
            }
        }
        let last = window.last;
        window.found.retain(|(position, ..)| *position <= last);
        window.found.sort_unstable_by_key(|(position, ..)| *position);
        window.found.dedup_by_key(|(position, ..)| *position);
        Ok(window)
    }

    /// Reads all runs. Returns the position at which the page ends, unless it can take more than
    /// all runs have.
    pub(crate) fn scan_runs<R: Reader>(
        &self,
        read: &mut R,
        lanes: &Lanes,
        start: Position,
        upto: Position,
        budget: &mut Budget,
    ) -> Result<Option<Position>, ReadError> {
        let upto = upto.min(lanes.upto);
        let mut cursors: Vec<Cursor<'_, R>> =
            lanes.lanes.iter().map(|lane| Cursor::behind(start, lane)).collect();
        let mut texts = TopicTexts::default();
        if start >= upto {
            return Ok(None);
        }
        loop {
            let seen = cursors.iter().map(|cursor| cursor.seen).min();
            let seen = seen.map_or(upto, |seen| seen.min(upto));
            while let Some(item) = next_upto(&mut cursors, seen) {
                let position = R::position_of(&item);
                if read.take(item) == Taken::AndFull {
                    return Ok(Some(position));
                }
            }
            if seen == upto {
                return Ok(None);
            }
            if budget.is_spent() && seen > start {
                return Ok(Some(seen));
            }
            let least = cursors.iter_mut().min_by_key(|cursor| cursor.seen);
            least.expect("one has seen less than all").look(self, read, budget, &mut texts)?;
        }
    }
}

/// What was found of the oldest record, if that is not after `seen`.
fn next_upto<R: Reader>(cursors: &mut [Cursor<'_, R>], seen: Position) -> Option<R::Item> {
    let oldest = |cursor: &Cursor<'_, R>| cursor.found.front().map(R::position_of);
    let with_any = cursors.iter_mut().filter(|cursor| !cursor.found.is_empty());
    let cursor = with_any.min_by_key(|cursor| oldest(cursor))?;
    if oldest(cursor)? > seen { None } else { cursor.found.pop_front() }
}

/// A place in a lane.
struct Cursor<'a, R: Reader> {
    /// The run it is in, and those after it.
    runs: &'a [Run],
    /// Behind the blocks of the first run that were read, if any was.
    scanner: Option<Scanner<'a>>,
    /// Position up to which the lane has been looked at.
    seen: Position,
    /// What the reader takes of the records up to there.
    found: VecDeque<R::Item>,
}

impl<'a, R: Reader> Cursor<'a, R> {
    fn behind(start: Position, lane: &'a [Run]) -> Self {
        let runs = &lane[lane.partition_point(|run| run.last() <= start)..];
        let mut cursor = Self { runs, scanner: None, seen: start, found: VecDeque::new() };
        cursor.skip_gap();
        cursor
    }

    /// Between two runs of the lane there is nothing.
    fn skip_gap(&mut self) {
        let next = self.runs.first().map_or(Position::new(u64::MAX), |run| run.first().previous());
        self.seen = self.seen.max(next);
    }

    /// Looks at the next block.
    fn look(
        &mut self,
        shared: &Shared,
        read: &mut R,
        budget: &mut Budget,
        texts: &mut TopicTexts,
    ) -> Result<(), Fault> {
        let Some(run) = self.runs.first() else {
            return Ok(());
        };
        let log = &*run.sealed.log;
        let scanner = match &mut self.scanner {
            Some(scanner) => scanner,
            None => {
                let place = self.seen.next().get().saturating_sub(run.first().get()) as u32;
                let block = shared.ask_index(&run.sealed, |run| run.index.blocks_back(place, 1))?;
                let block = block.first().ok_or_else(|| log.misled(self.seen.next()))?;
                self.scanner.insert(log.scan(u64::from(block.offset), SCAN_CHUNK_BYTES))
            }
        };
        let block = log.next_block(scanner)?;
        budget.bytes = budget.bytes.saturating_sub(block.body.len());
        budget.records = budget.records.saturating_sub(block.header.count as usize);
        let mut records = Records::of(&block);
        while let Some(entry) = records.next(log)? {
            if entry.position > self.seen {
                self.seen = entry.position;
                self.found.extend(read.admit(log, &entry, texts)?);
            }
        }
        if self.seen >= run.last() {
            (self.runs, self.scanner) = (&self.runs[1..], None);
            self.skip_gap();
        }
        Ok(())
    }
}
