//! The one way in which blocks reach the cache: read in order, checked against the chain, applied.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tidings_hub::{AppendError, Check, Draft, Erase, EraseError, Position};
use tidings_store_disk::{DiskStore, RandomSource};

use crate::block::{Block, Content};
use crate::chain::Chain;
use crate::checks::Checks;
use crate::config::SharedConfig;
use crate::cursor::Cursor;
use crate::erasures::{Erasures, Noted};
use crate::followed::Followed;
use crate::halt::Halt;
use crate::hash::BlockHash;
use crate::journal::{Journal, JournalError, Nonce, Seq};
use crate::limits::{AWAY_RETRY, READ_BYTES_MAX, REQUEST_PATIENCE};
use crate::mistake::{Mistake, step};
use crate::origin::Origin;
use crate::reader::Unreadable;

/// Follows a journal into a cache.
pub(crate) struct Follower {
    pub(crate) cache: Arc<DiskStore>,
    pub(crate) cursor: Cursor,
    pub(crate) origin: Arc<RwLock<Origin>>,
    /// What is to be erased from the cache.
    pub(crate) erasures: Arc<Erasures>,
    /// The checks of older records.
    pub(crate) checks: Option<Arc<Mutex<Checks>>>,
    /// The end of what was followed.
    pub(crate) chain: Chain,
    /// Sequence of the newest block that was looked at, valid or void.
    pub(crate) seq: Seq,
    /// Number of void blocks.
    pub(crate) void: Arc<AtomicU64>,
    pub(crate) caught_up: Arc<CaughtUp>,
    /// Sequence of the newest void block that was counted.
    void_upto: Seq,
    /// Number of valid blocks of other hubs.
    pub(crate) foreign: u64,
    /// The folder of [`Origin`].
    folder: PathBuf,
    /// Whether the journal answered the last time it was asked.
    is_there: bool,
    /// Whether the journal showed the newest block that was followed, and so all before it, since
    /// this was last [asked for](Self::take_is_seen).
    is_seen: bool,
    /// Whether the page being followed began with the newest block that was followed before.
    is_adjacent: bool,
    /// Number of the run of this hub's own blocks.
    run: u64,
    pub(crate) random: RandomSource,
    /// Own blocks whose fate a writer waits for.
    attempts: Vec<Attempt>,
    halt: Option<Halt>,
}

/// When a follower had everything that the journal showed.
pub(crate) struct CaughtUp {
    opened: Instant,
    /// In milliseconds since then.
    at_ms: AtomicU64,
}

impl Default for CaughtUp {
    fn default() -> Self {
        Self { opened: Instant::now(), at_ms: AtomicU64::new(0) }
    }
}

impl CaughtUp {
    fn set(&self, moment: Instant) {
        let at = moment.saturating_duration_since(self.opened).as_millis();
        self.at_ms.store(at.try_into().unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// The time since then.
    pub(crate) fn elapsed(&self) -> Duration {
        let at = Duration::from_millis(self.at_ms.load(Ordering::Relaxed));
        self.opened.elapsed().saturating_sub(at)
    }
}

/// An own block that was sent to the journal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempt {
    pub(crate) nonce: Nonce,
    /// The chain that it continues.
    pub(crate) after: Chain,
    pub(crate) fate: Option<AttemptFate>,
}

/// What an own block turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AttemptFate {
    /// Part of the log.
    Valid { first: Position, hash: BlockHash },
    /// Not part of it.
    Void,
}

/// Why following ended before the end of the journal.
#[derive(Debug)]
pub(crate) enum FollowError {
    /// The journal did not answer. Nothing is wrong with what was followed before.
    Away(JournalError),
    /// The cache did not take a block. It will be followed again.
    Cache(AppendError),
    /// The store must be opened again.
    Halt(Halt),
}

impl From<JournalError> for FollowError {
    fn from(error: JournalError) -> Self {
        Self::Away(error)
    }
}

impl From<Halt> for FollowError {
    fn from(halt: Halt) -> Self {
        Self::Halt(halt)
    }
}

/// What a journal has at a sequence of which the block is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sight {
    /// That block.
    Same,
    /// Another one.
    Other,
    /// Nothing yet, or the journal answered from the past.
    Nothing,
    /// Nothing any more: it was trimmed.
    Trimmed,
}

/// What `journal` has in the place of `block`.
pub(crate) fn look(journal: &mut dyn Journal, block: &Followed) -> Result<Sight, JournalError> {
    Ok(sight(&journal.read(block.seq.previous(), 1)?, block))
}

/// What a journal has in the place of `block` if it returns `page` from there on.
fn sight(page: &[(Seq, Bytes)], block: &Followed) -> Sight {
    match page.first() {
        None => Sight::Nothing,
        Some((seq, _)) if *seq > block.seq => Sight::Trimmed,
        Some((_, bytes)) if BlockHash::of(bytes) == block.chain.hash => Sight::Same,
        Some(_) => Sight::Other,
    }
}

/// Whether a page ended because it was full.
fn is_full(page: &[(Seq, Bytes)]) -> bool {
    page.iter().map(|(_, bytes)| bytes.len()).sum::<usize>() >= READ_BYTES_MAX
}

impl Follower {
    /// A follower that continues after the newest block of `cursor`, or else after `start`.
    pub(crate) fn new(
        cache: DiskStore,
        cursor: Cursor,
        origin: Origin,
        (erasures, checks): (Erasures, Option<Checks>),
        start: (Seq, Chain),
        config: &SharedConfig,
        run: u64,
    ) -> Self {
        let (seq, chain) = cursor.last().map_or(start, |last| (last.seq, last.chain));
        Self {
            cache: Arc::new(cache),
            cursor,
            origin: Arc::new(RwLock::new(origin)),
            erasures: Arc::new(erasures),
            checks: checks.map(|checks| Arc::new(Mutex::new(checks))),
            chain,
            seq,
            void: Arc::default(),
            caught_up: Arc::default(),
            void_upto: Seq::ZERO,
            foreign: 0,
            folder: config.path.clone(),
            is_there: false,
            is_seen: false,
            is_adjacent: true,
            run,
            random: config.cache.random.clone(),
            attempts: Vec::new(),
            halt: None,
        }
    }

    /// Why following has ended, if it has.
    pub(crate) fn halt(&self) -> Option<Halt> {
        self.halt
    }

    /// Whether the journal showed what was followed since the last call.
    pub(crate) fn take_is_seen(&mut self) -> bool {
        std::mem::take(&mut self.is_seen)
    }

    /// Whether a block can be sent without following first.
    pub(crate) fn is_ready(&self) -> bool {
        self.is_there && self.halt.is_none()
    }

    /// Follows up to the end of what the journal shows. Returns whether there was anything.
    pub(crate) fn follow(&mut self, journal: &mut dyn Journal) -> Result<bool, FollowError> {
        let before = self.seq;
        while self.follow_page(journal)? {}
        Ok(self.seq > before)
    }

    /// Follows one page of what the journal shows. Returns whether it was full: there may be more.
    pub(crate) fn follow_page(&mut self, journal: &mut dyn Journal) -> Result<bool, FollowError> {
        if let Some(halt) = self.halt {
            return Err(halt.into());
        }
        let began = Instant::now();
        let followed = self.try_follow_page(journal);
        match &followed {
            Err(FollowError::Halt(halt)) => {
                tracing::error!(reason = %halt, "the hub has stopped following the shared log");
                self.halt = Some(*halt);
            }
            Err(FollowError::Away(_)) => self.is_there = false,
            Err(FollowError::Cache(_)) => {}
            Ok(is_more) => {
                self.is_there = true;
                if !is_more {
                    self.caught_up.set(began);
                }
            }
        }
        followed
    }

    fn try_follow_page(&mut self, journal: &mut dyn Journal) -> Result<bool, FollowError> {
        // What could not be written down before comes first.
        self.write_down()?;
        let taken = self.take_page(journal);
        let written = self.write_down();
        let is_more = taken?;
        written.map(|()| is_more)
    }

    fn take_page(&mut self, journal: &mut dyn Journal) -> Result<bool, FollowError> {
        let (page, is_full) = self.next_page(journal)?;
        for (seq, bytes) in page {
            if !self.take(journal, seq, &bytes)? {
                return Ok(false);
            }
        }
        Ok(is_full)
    }

    /// Writes down what is to be erased, and then how far the log was followed.
    fn write_down(&mut self) -> Result<(), FollowError> {
        self.erasures.write().map_err(|error| {
            let source = Arc::new(error);
            FollowError::Cache(AppendError::Away { retry: AWAY_RETRY, source })
        })?;
        self.cursor.write();
        if let Some(checks) = &self.checks {
            checks.lock().unwrap_or_else(PoisonError::into_inner).write();
        }
        Ok(())
    }

    /// Makes sure that no power cut takes what was [written down](Self::write_down).
    pub(crate) fn sync_cursor(&mut self) -> io::Result<()> {
        self.erasures.write()?;
        self.cursor.sync()
    }

    /// The next blocks, and whether there may be more after them.
    ///
    /// That a block fits the newest one of the cache does not prove that it continues the log: the
    /// log can have lost that one, and grown again to the same length by the block of a hub that
    /// did not know it either. A hub that begins anew would never see the two fit. So the page
    /// begins with the newest block that was followed, and that must still be the same.
    fn next_page(
        &mut self,
        journal: &mut dyn Journal,
    ) -> Result<(Vec<(Seq, Bytes)>, bool), FollowError> {
        self.is_adjacent = true;
        let Some(last) = self.cursor.last() else {
            let page = journal.read(self.seq, READ_BYTES_MAX)?;
            let is_full = is_full(&page);
            return Ok((page, is_full));
        };
        let looked_at = self.seq;
        let mut page = journal.read(last.seq.previous(), READ_BYTES_MAX)?;
        let mut full = is_full(&page);
        match sight(&page, &last) {
            // Void blocks after it are looked at again: the journal can have lost them since, and
            // have others in their places.
            Sight::Same => {
                self.seq = last.seq;
                self.is_seen = true;
            }
            Sight::Other => return Err(Halt::Forked { seq: last.seq }.into()),
            // The next block that is left names it, or else what was between them is gone.
            Sight::Trimmed => {
                self.is_adjacent = false;
                return Ok((page, full));
            }
            Sight::Nothing => {
                self.prove_short(journal, &last)?;
                return Ok((page, false));
            }
        }
        // The page can have nothing but that block and void ones that were looked at before, as it
        // is full, or because the journal shows two blocks and had not heard of more. What comes
        // then has to be asked for. There can be any number of void blocks, so they are passed over
        // a page at a time.
        let mut is_read_on = false;
        while let Some((newest, _)) = page.last()
            && *newest <= looked_at
            && (full || is_read_on || page.len() > 1)
        {
            let newest = *newest;
            let Some(left) = self.pass_void(journal, page)? else { return Ok((Vec::new(), true)) };
            if !left.is_empty() {
                // The journal has other blocks there than before; there may be more behind them.
                (page, full) = (left, true);
                break;
            }
            page = journal.read(newest, READ_BYTES_MAX)?;
            full = is_full(&page);
            is_read_on = true;
        }
        // What is there after the others were read was there before.
        if is_read_on && look(journal, &last)? != Sight::Same {
            return Ok((Vec::new(), true));
        }
        Ok((page, full))
    }

    /// Takes the blocks of `page` that are void. Returns what is left, from the first one on that
    /// continues the log; `None` if the journal has to be read again first.
    fn pass_void(
        &mut self,
        journal: &mut dyn Journal,
        page: Vec<(Seq, Bytes)>,
    ) -> Result<Option<Vec<(Seq, Bytes)>>, FollowError> {
        let mut page = page.into_iter();
        while let Some((seq, bytes)) = page.next() {
            let continues = |block: Block| self.chain.admit(&block).is_ok();
            if seq > self.seq && Block::decode(&bytes).is_ok_and(continues) {
                return Ok(Some(std::iter::once((seq, bytes)).chain(page).collect()));
            }
            if !self.take(journal, seq, &bytes)? {
                return Ok(None);
            }
        }
        Ok(Some(Vec::new()))
    }

    /// Takes the block at `seq`. Returns `false` if the journal has to be read again first.
    fn take(
        &mut self,
        journal: &mut dyn Journal,
        seq: Seq,
        bytes: &Bytes,
    ) -> Result<bool, FollowError> {
        if seq <= self.seq {
            return Ok(true);
        }
        let trimmed = Halt::Trimmed { seq: self.seq.next() };
        let is_behind_gap = seq > self.seq.next();
        if is_behind_gap && self.is_adjacent {
            return Err(trimmed.into());
        }
        let block = match Block::decode(bytes) {
            Ok(block) => block,
            Err(Unreadable::Version(version)) => return Err(Halt::Version { seq, version }.into()),
            Err(Unreadable::NoBlock) if is_behind_gap => return Err(trimmed.into()),
            Err(Unreadable::NoBlock) => {
                // Only if it is in the journal like this do all hubs skip it.
                let again = journal.read(seq.previous(), 1)?;
                let is_same = again.first().is_some_and(|(at, read)| *at == seq && read == bytes);
                if is_same {
                    self.skip(seq, &"it is no block");
                }
                return Ok(is_same);
            }
        };
        match self.chain.admit(&block) {
            Ok(()) => {
                // It names the newest one that was followed: between the two were only void ones.
                self.is_adjacent = true;
                self.apply(seq, block, BlockHash::of(bytes))?;
            }
            // Its predecessor is gone, so whether it continues that one is not known.
            Err(_) if !self.is_adjacent => return Err(trimmed.into()),
            Err(misfit) => {
                self.settle_attempt(block.nonce, AttemptFate::Void);
                self.skip(seq, &misfit);
            }
        }
        Ok(true)
    }

    fn skip(&mut self, seq: Seq, reason: &dyn std::fmt::Display) {
        self.seq = seq;
        if seq > self.void_upto {
            self.void_upto = seq;
            self.void.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(%seq, %reason, "a block of the shared log is void");
        }
    }

    fn apply(&mut self, seq: Seq, block: Block, hash: BlockHash) -> Result<(), FollowError> {
        let Block { first, time, nonce, .. } = block;
        let mut chain = self.chain;
        chain.extend(&block, hash);
        let mut halt = None;
        match block.content {
            Content::Events(drafts) => {
                let records = with_checks(drafts, hash);
                self.cache.follow(first, time, records).map_err(FollowError::Cache)?;
            }
            Content::Barrier => {}
            Content::Erase(erase) => {
                let is_awaited = nonce.run == self.run;
                self.note_erasure(Noted { seq, hash, is_awaited, erase: before(erase, first) })?;
            }
            Content::Rename(rename) => {
                let is_known = self.read_origin().knows(block.epoch);
                if !is_known {
                    self.write_origin().rename(block.epoch, &rename.former);
                    halt = Some(Halt::Renamed { epoch: block.epoch });
                }
                let has_new = self.write_origin().add_lost(&rename.lost);
                if has_new || !is_known {
                    self.save_origin();
                }
            }
            Content::Lost(lost) => {
                let has_new = self.write_origin().add_lost(&lost);
                if has_new {
                    self.save_origin();
                }
            }
        }
        step();
        self.chain = chain;
        self.seq = seq;
        let followed = Followed { seq, chain, first };
        self.cursor.push(followed);
        if let Some(checks) = &self.checks {
            checks.lock().unwrap_or_else(PoisonError::into_inner).push(&followed);
        }
        step();
        self.foreign += u64::from(nonce.run != self.run);
        self.settle_attempt(nonce, AttemptFate::Valid { first, hash });
        halt.map_or(Ok(()), |halt| Err(halt.into()))
    }

    /// Notes what is to be erased.
    fn note_erasure(&self, noted: Noted) -> Result<(), FollowError> {
        if self.erasures.is_full() {
            // Nothing new is followed before one of them is done.
            let made = self.erasures.make_room(&self.cache);
            made.map_err(|error| FollowError::Cache(not_erased(error)))?;
        }
        self.erasures.add(noted);
        Ok(())
    }

    pub(crate) fn read_origin(&self) -> RwLockReadGuard<'_, Origin> {
        self.origin.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write_origin(&self) -> RwLockWriteGuard<'_, Origin> {
        self.origin.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes down what became known of the log. What cannot be written is found in the log again.
    pub(crate) fn save_origin(&self) {
        if let Err(error) = self.read_origin().save(&self.folder) {
            let path = self.folder.display();
            tracing::error!(%error, %path, "the file that names the shared log cannot be written");
        }
    }

    /// Begins to wait for the fate of an own block.
    pub(crate) fn expect(&mut self, nonce: Nonce, after: Chain) {
        self.attempts.push(Attempt { nonce, after, fate: None });
    }

    /// The own blocks of the append in progress.
    pub(crate) fn attempts(&self) -> &[Attempt] {
        &self.attempts
    }

    /// Stops waiting for own blocks.
    pub(crate) fn forget_attempts(&mut self) {
        self.attempts.clear();
    }

    fn settle_attempt(&mut self, nonce: Nonce, fate: AttemptFate) {
        let attempts = self.attempts.iter_mut().filter(|attempt| attempt.nonce == nonce);
        for attempt in attempts {
            // A block can be in the journal twice: then its second copy is void.
            if !matches!(attempt.fate, Some(AttemptFate::Valid { .. })) {
                attempt.fate = Some(fate);
            }
        }
    }

    /// The journal shows less than was followed. It may have lost its end, or answer from the past:
    /// it has lost its end if it takes a block in a place that was taken.
    fn prove_short(
        &mut self,
        journal: &mut dyn Journal,
        last: &Followed,
    ) -> Result<(), FollowError> {
        let bounds = journal.bounds()?.ok_or(JournalError::Missing)?;
        if bounds.last == Seq::ZERO {
            // Another stream, without a log so far. It is not for this hub to begin one.
            return Err(JournalError::Emptied.into());
        }
        if bounds.last >= last.seq {
            return Ok(());
        }
        let before = self.cursor.upto(bounds.last);
        if let Some(before) = &before {
            match look(journal, before)? {
                Sight::Same | Sight::Trimmed => {}
                Sight::Other => return Err(Halt::Forked { seq: last.seq }.into()),
                // From the past: what the journal holds there is not known.
                Sight::Nothing => return Ok(()),
            }
        }
        let chain = before.map_or_else(|| Chain::new(self.chain.epoch), |block| block.chain);
        // A log can lose a proof with its end. If the next one in that place were the same block,
        // hubs that had followed the first would take what is before it for what they followed.
        let nonce = Nonce { run: self.random.number(), number: 0 };
        let barrier = chain.continued_by(nonce, Content::Barrier);
        match journal.append(bounds.last, nonce, &barrier.encode(), REQUEST_PATIENCE) {
            Ok(seq) if seq <= last.seq => Err(Halt::Forked { seq: last.seq }.into()),
            // It was from the past. If there was no answer, the next look shows the barrier.
            _ => Ok(()),
        }
    }
}

/// The erasure of a block whose next record is at `first`: it reaches only what is before it.
fn before(erase: Erase, first: Position) -> Erase {
    if Mistake::NoEnd.is_planted() {
        return Erase { upto: Position::new(u64::MAX), ..erase };
    }
    Erase { upto: erase.upto.min(first.previous()), ..erase }
}

/// Why the log is not followed, if what is to be erased cannot be.
fn not_erased(error: EraseError) -> AppendError {
    match error {
        EraseError::Store(error) => error,
        error => AppendError::Away { retry: AWAY_RETRY, source: Arc::new(error) },
    }
}

/// Drafts with the checks that they have in the block with this hash.
pub(crate) fn with_checks(drafts: Vec<Draft>, hash: BlockHash) -> Vec<(Draft, Check)> {
    (0..).zip(drafts).map(|(place, draft)| (draft, hash.check(place))).collect()
}
