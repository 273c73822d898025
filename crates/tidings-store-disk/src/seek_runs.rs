//! Finding where to start reading, in the runs of all lanes.

use std::collections::VecDeque;

use tidings_hub::{EventId, Matcher, Position, ReadError, Timestamp, Topic};

use crate::error::Fault;
use crate::index::{BlockEntry, Posting};
use crate::lanes::Lanes;
use crate::limits::POSTINGS_PAGE;
use crate::read::ONE_BLOCK_BYTES;
use crate::record::TopicTexts;
use crate::records::Records;
use crate::run::Run;
use crate::seek::{BLOCKS_AT_ONCE, Seek, position_of};
use crate::state::Shared;

impl Shared {
    /// The oldest record in any run with this id; see `Catalog::find`.
    pub(crate) fn find_in_runs(
        &self,
        lanes: &Lanes,
        id: &EventId,
        on: &[Matcher],
    ) -> Result<Option<Position>, Fault> {
        let mut oldest = None::<Position>;
        for run in lanes.runs() {
            if oldest.is_some_and(|oldest| oldest < run.first()) {
                continue;
            }
            let place = self.ask_index(&run.sealed, |run| run.index.find(id, on))?;
            if let Some(place) = place {
                let position = position_of(&run.sealed.log, place);
                oldest = Some(oldest.unwrap_or(position).min(position));
            }
        }
        Ok(oldest)
    }

    /// The oldest record in any run with a time of `since` or later.
    pub(crate) fn seek_time_in_runs(
        &self,
        lanes: &Lanes,
        since: Timestamp,
    ) -> Result<Option<Position>, Fault> {
        let mut oldest = None::<Position>;
        for lane in &lanes.lanes {
            let older = lane.partition_point(|run| run.sealed.last_time < since);
            if let Some(run) = lane.get(older) {
                let position = self.seek_time_in_run(run, since)?;
                oldest = Some(oldest.unwrap_or(position).min(position));
            }
        }
        Ok(oldest)
    }

    /// A block of a run has the time of its first record, so the one before may have later ones.
    fn seek_time_in_run(&self, run: &Run, since: Timestamp) -> Result<Position, Fault> {
        let log = &run.sealed.log;
        let (later, before) = self.ask_index(&run.sealed, |run| {
            let later = run.index.place_at(since)?;
            let last = (run.last.get() - run.log.first.get()) as u32;
            let before = match later {
                Some(0) => Vec::new(),
                Some(place) => run.index.blocks_back(place - 1, 1)?,
                None => run.index.blocks_back(last, 1)?,
            };
            Ok((later, before))
        })?;
        if let Some(block) = before.first() {
            let mut scanner = log.scan(u64::from(block.offset), ONE_BLOCK_BYTES);
            let block = log.next_block(&mut scanner)?;
            let mut records = Records::of(&block);
            while let Some(entry) = records.next(log)? {
                if entry.time >= since {
                    return Ok(entry.position);
                }
            }
        }
        later.map(|place| position_of(log, place)).ok_or_else(|| log.misled(run.last()))
    }

    /// Goes backwards by the indexes of the runs.
    pub(crate) fn follow_runs_back(
        &self,
        seek: &mut Seek<'_>,
        lanes: &Lanes,
        topics: &[&Topic],
        mut records: usize,
        mut blocks: usize,
    ) -> Result<(), ReadError> {
        let not_private = seek.interest.may_have_unless_private();
        let mut texts = TopicTexts::default();
        let mut judged = Vec::new();
        seek.below = seek.below.min(lanes.upto.next());
        while records > 0 {
            let Some(window) = self.window_back(seek, lanes, topics)? else {
                return Ok(());
            };
            let mut scanners: Vec<_> =
                window.runs.iter().map(|run| run.sealed.log.scan(0, ONE_BLOCK_BYTES)).collect();
            let mut found = window.found.as_slice();
            while let Some((position, number, posting)) = found.first() {
                judged.clear();
                if posting.is_settled() && not_private {
                    judged.push((*position, true));
                } else {
                    blocks = blocks.saturating_sub(1);
                    let is_same = |(_, run, other): &&(Position, usize, Posting)| {
                        run == number && other.block == posting.block
                    };
                    let group = found.iter().take_while(is_same).map(|(position, ..)| *position);
                    let (log, scanner) = (&window.runs[*number].sealed.log, &mut scanners[*number]);
                    seek.judge_block(log, scanner, *posting, group, &mut judged, &mut texts)?;
                }
                found = &found[judged.len()..];
                records = records.saturating_sub(judged.len());
                if seek.found_among(&judged) || blocks == 0 {
                    return Ok(());
                }
            }
            seek.below = window.down_to;
        }
        Ok(())
    }

    fn window_back<'a>(
        &self,
        seek: &Seek<'_>,
        lanes: &'a Lanes,
        topics: &[&Topic],
    ) -> Result<Option<WindowBack<'a>>, Fault> {
        let count = POSTINGS_PAGE.min(seek.missing);
        let (mut runs, mut found, mut down_to) = (Vec::new(), Vec::new(), Position::ZERO);
        for lane in &lanes.lanes {
            let end = lane.partition_point(|run| run.first() < seek.below);
            for run in lane[..end].iter().rev() {
                let first = run.first();
                let below = (seek.below.min(run.last().next()).get() - first.get()) as u32;
                let (postings, cut) = self.ask_index(&run.sealed, |run| {
                    let (mut postings, mut cut) = (Vec::<Posting>::new(), 0);
                    for topic in topics {
                        let start = postings.len();
                        run.index.records_before(topic, below, count, &mut postings)?;
                        if postings.len() - start == count {
                            cut = cut.max(postings[postings.len() - 1].place());
                        }
                    }
                    Ok((postings, cut))
                })?;
                if postings.is_empty() {
                    continue;
                }
                let at = |place: u32| Position::new(first.get() + u64::from(place));
                down_to = down_to.max(at(cut));
                let number = runs.len();
                runs.push(run);
                found.extend(postings.into_iter().map(|p| (at(p.place()), number, p)));
                break;
            }
        }
        found.retain(|(position, ..)| *position >= down_to);
        found.sort_unstable_by_key(|(position, ..)| std::cmp::Reverse(*position));
        found.dedup_by_key(|(position, ..)| *position);
        Ok((!runs.is_empty()).then_some(WindowBack { runs, found, down_to }))
    }

    /// Goes backwards through all runs, record by record.
    pub(crate) fn scan_runs_back(
        &self,
        seek: &mut Seek<'_>,
        lanes: &Lanes,
        mut records: usize,
        mut blocks: usize,
    ) -> Result<(), ReadError> {
        let start = seek.below.min(lanes.upto.next());
        let mut cursors: Vec<_> =
            lanes.lanes.iter().map(|lane| CursorBack::before(start, lane)).collect();
        let mut texts = TopicTexts::default();
        loop {
            let seen = cursors.iter().map(|cursor| cursor.seen).max().unwrap_or(Position::ZERO);
            while let Some(position) = previous_from(&mut cursors, seen) {
                if seek.found_at(position) {
                    return Ok(());
                }
            }
            if seen == Position::ZERO || records == 0 || blocks == 0 {
                return Ok(());
            }
            let most = cursors.iter_mut().max_by_key(|cursor| cursor.seen);
            let most = most.expect("one has not seen all");
            let looked_at = most.look(self, seek, &mut texts)?;
            records = records.saturating_sub(looked_at);
            blocks -= 1;
        }
    }
}

/// The newest record found, if it is not before `seen`.
fn previous_from(cursors: &mut [CursorBack<'_>], seen: Position) -> Option<Position> {
    let with_any = cursors.iter_mut().filter(|cursor| !cursor.found.is_empty());
    let cursor = with_any.max_by_key(|cursor| cursor.found.front().copied())?;
    if *cursor.found.front()? < seen { None } else { cursor.found.pop_front() }
}

/// Records on the wanted topics, newest first.
struct WindowBack<'a> {
    runs: Vec<&'a Run>,
    found: Vec<(Position, usize, Posting)>,
    /// Position down to which there are no others.
    down_to: Position,
}

/// A place in a lane, on the way to its beginning.
struct CursorBack<'a> {
    /// The run it is in, last, and those before it.
    runs: &'a [Run],
    /// Blocks of that run, the next one last, once they were looked up.
    blocks: Vec<BlockEntry>,
    /// Position from which on the lane has been looked at; zero if there is nothing before.
    seen: Position,
    /// Admitted records from there on, the newest first.
    found: VecDeque<Position>,
}

impl<'a> CursorBack<'a> {
    fn before(start: Position, lane: &'a [Run]) -> Self {
        let runs = &lane[..lane.partition_point(|run| run.first() < start)];
        let mut cursor = Self { runs, blocks: Vec::new(), seen: start, found: VecDeque::new() };
        cursor.skip_gap();
        cursor
    }

    fn skip_gap(&mut self) {
        let next = self.runs.last().map_or(Position::ZERO, |run| run.last().next());
        self.seen = self.seen.min(next);
    }

    /// Looks at the next block. Returns its number of records.
    fn look(
        &mut self,
        shared: &Shared,
        seek: &Seek<'_>,
        texts: &mut TopicTexts,
    ) -> Result<usize, Fault> {
        let Some(run) = self.runs.last() else {
            return Ok(0);
        };
        let log = &*run.sealed.log;
        if self.blocks.is_empty() {
            let place = (self.seen.previous().get() - run.first().get()) as u32;
            self.blocks = shared
                .ask_index(&run.sealed, |run| run.index.blocks_back(place, BLOCKS_AT_ONCE))?;
            self.blocks.reverse();
        }
        let block = self.blocks.pop().ok_or_else(|| log.misled(self.seen.previous()))?;
        let mut scanner = log.scan(u64::from(block.offset), ONE_BLOCK_BYTES);
        let block = log.next_block(&mut scanner)?;
        let mut admitted = Vec::new();
        let mut records = Records::of(&block);
        while let Some(entry) = records.next(log)?
            && entry.position < self.seen
        {
            let head = entry.view.head(texts).ok_or_else(|| log.unreadable(entry.position))?;
            if seek.admits(&head, entry.time) {
                admitted.push(entry.position);
            }
        }
        self.found.extend(admitted.into_iter().rev());
        self.seen = block.header.first.min(self.seen);
        if self.seen <= run.first() {
            self.runs = &self.runs[..self.runs.len() - 1];
            self.blocks.clear();
            self.skip_gap();
        }
        Ok(block.header.count as usize)
    }
}
