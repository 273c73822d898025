//! Appending: a block is sent in the place after the newest one, and counts once it was followed.
//!
//! One block is in flight. If another hub was faster, what it wrote is followed first, and the
//! block is made anew. If there was no answer, the journal shows what happened: the block is there,
//! or another one has its place, or nothing has and the same block is sent again. In the end
//! only what was read back counts, so neither a lost answer nor an engine that lets two blocks pass
//! where one should can make an event that is not there, or is there twice.

use std::collections::HashSet;
use std::error::Error;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tidings_hub::{
    AppendError, Appended, CheckError, Draft, Epoch, Erase, EventId, Expected, Fate, Log as _,
    Mark, Matcher, Position, Repeats, Timestamp, Topic,
};
use tidings_store_disk::DiskStore;

use crate::block::{Block, Content, OVERHEAD_BYTES};
use crate::chain::Chain;
use crate::config::{Maxima, SharedConfig};
use crate::follower::{AttemptFate, FollowError, Follower};
use crate::hash::BlockHash;
use crate::journal::{AppendFault, Journal, JournalError, Nonce, Seq};
use crate::limits::{
    ATTEMPTS_MAX, ATTEMPTS_MIN, AWAY_RETRY, BREAK_MIN, IN_A_ROW_MAX, LOOK_AGAIN, POLITE_PAUSE_MAX,
    REQUEST_PATIENCE,
};

/// Appends to a journal. There is one, behind a lock.
pub(crate) struct Writer {
    pub(crate) journal: Box<dyn Journal>,
    patience: Duration,
    maxima: Maxima,
    run: u64,
    /// Number of the last block that was made.
    number: u64,
    /// The next append waits until then, so that other hubs have a turn.
    not_before: Instant,
    /// When the last append ended.
    ended: Instant,
    /// Appends that began as soon as the one before them had ended.
    in_a_row: u32,
    /// Blocks of other hubs at the last append.
    foreign: u64,
    /// Number of appends that another hub was faster than.
    pub(crate) conflicts: Arc<AtomicU64>,
    /// The head after the last append: repetitions of what was there are recognised before the
    /// next one.
    judged: Position,
}

/// An append in progress.
struct Commit {
    deadline: Instant,
    /// Number of attempts to follow and to send.
    rounds: u32,
    /// The block in flight.
    block: Option<InFlight>,
    /// Whether any block was sent, or may have been.
    is_sent: bool,
    /// The last thing that went wrong.
    trouble: Option<JournalError>,
    latency: Duration,
    conflicts: u32,
}

struct InFlight {
    nonce: Nonce,
    after: Chain,
    bytes: Bytes,
}

/// What a block is to hold.
pub(crate) struct Plan {
    content: Content,
    /// What becomes of each draft.
    fates: Vec<Fate>,
}

/// A block that is part of the log.
pub(crate) struct Committed {
    pub(crate) first: Position,
    hash: BlockHash,
    fates: Vec<Fate>,
}

impl Writer {
    pub(crate) fn new(
        journal: Box<dyn Journal>,
        run: u64,
        config: &SharedConfig,
        head: Position,
    ) -> Self {
        let SharedConfig { append_patience: patience, maxima, .. } = *config;
        let now = Instant::now();
        let conflicts = Arc::default();
        Self {
            journal,
            patience,
            maxima,
            run,
            number: 0,
            not_before: now,
            ended: now,
            in_a_row: 0,
            foreign: 0,
            conflicts,
            judged: head,
        }
    }

    /// Most bytes of drafts in one block. Some are left for what their encoding adds.
    pub(crate) fn bytes_max(&self) -> usize {
        let bytes = self.journal.block_bytes_max().saturating_sub(OVERHEAD_BYTES);
        bytes - bytes / 8
    }

    /// Appends `drafts`, which were compared with the log up to `judged`; by default, up to where
    /// the last append left it. Those that repeat an event that another hub stored meanwhile are
    /// not stored again.
    pub(crate) fn append(
        &mut self,
        follower: &Mutex<Follower>,
        epoch: Epoch,
        drafts: &[Draft],
        judged: Option<Position>,
        now: Timestamp,
    ) -> Result<Vec<Appended>, AppendError> {
        let judged = judged.unwrap_or(self.judged);
        let maxima = self.maxima;
        let plan = |follower: &Follower| plan(follower, drafts, judged, maxima);
        let committed = self.commit(follower, now, plan);
        // What comes next is compared with the log as it is now, or later.
        self.judged = lock(follower).cache.bounds().head;
        let Committed { first, hash, fates } = committed?;
        let id = |draft: &Draft, position: Position| match &draft.id {
            Some(id) => id.clone(),
            None => {
                let place = (position.get() - first.get()) as u32;
                Mark { position, check: Some(hash.check(place)) }.event_id(epoch)
            }
        };
        let mut next = first;
        let appended = drafts.iter().zip(fates).map(|(draft, fate)| {
            let (position, duplicate) = match fate {
                Fate::Store => {
                    let position = next;
                    next = next.next();
                    (position, false)
                }
                Fate::Repeats(position) => (position, true),
                Fate::RepeatsNew(_) => unreachable!("each draft is compared with the log alone"),
            };
            Appended { position, id: id(draft, position), duplicate }
        });
        Ok(appended.collect())
    }

    /// Appends a block without events. Returns the position of the newest record before it: at that
    /// moment it was the newest of the log.
    pub(crate) fn barrier(&mut self, follower: &Mutex<Follower>) -> Result<Position, AppendError> {
        let plan = |_: &Follower| Ok(Plan { content: Content::Barrier, fates: Vec::new() });
        let committed = self.commit(follower, Timestamp::default(), plan)?;
        Ok(committed.first.previous())
    }

    /// Appends a block that erases what `erase` says from the copies of all hubs. Returns its hash.
    pub(crate) fn erase(
        &mut self,
        follower: &Mutex<Follower>,
        erase: &Erase,
    ) -> Result<BlockHash, AppendError> {
        let content = || Content::Erase(erase.clone());
        let plan = |_: &Follower| Ok(Plan { content: content(), fates: Vec::new() });
        Ok(self.commit(follower, Timestamp::default(), plan)?.hash)
    }

    /// Appends the block that `plan` makes of the log as it then is.
    fn commit(
        &mut self,
        follower: &Mutex<Follower>,
        now: Timestamp,
        mut plan: impl FnMut(&Follower) -> Result<Plan, AppendError>,
    ) -> Result<Committed, AppendError> {
        let is_next = self.ended.elapsed() < BREAK_MIN;
        self.in_a_row = if is_next { self.in_a_row.saturating_add(1) } else { 0 };
        thread::sleep(self.not_before.saturating_duration_since(Instant::now()));
        lock(follower).forget_attempts();
        let mut commit = Commit {
            deadline: Instant::now() + self.patience,
            rounds: 0,
            block: None,
            is_sent: false,
            trouble: None,
            latency: Duration::ZERO,
            conflicts: 0,
        };
        let mut fates = Vec::new();
        let mut must_follow = !lock(follower).is_ready();
        loop {
            commit.rounds += 1;
            // The thread that follows may have had the block by now.
            if must_follow && commit.valid(follower).is_none() {
                // The lock must not be held by the match: its arms take it, too.
                let followed = lock(follower).follow(&mut *self.journal);
                match followed {
                    Ok(_) => commit.trouble = None,
                    Err(FollowError::Away(error)) => commit.trouble = Some(error),
                    // What could not be written down is no part of the answer.
                    Err(FollowError::Cache(error)) if commit.valid(follower).is_none() => {
                        return Err(commit.give_up(follower, error));
                    }
                    Err(FollowError::Halt(halt)) if commit.valid(follower).is_none() => {
                        let source = Arc::new(halt);
                        return Err(commit.give_up(follower, AppendError::Poisoned { source }));
                    }
                    Err(FollowError::Cache(_) | FollowError::Halt(_)) => {}
                }
            }
            if let Some((first, hash)) = commit.valid(follower) {
                self.be_polite(follower, &commit);
                return Ok(Committed { first, hash, fates });
            }
            if must_follow && commit.is_over() {
                let source =
                    Arc::new(commit.trouble.clone().map_or(NoAnswer::Overtaken, NoAnswer::Journal));
                let error = AppendError::Away { retry: AWAY_RETRY, source };
                return Err(commit.give_up(follower, error));
            }
            if must_follow && commit.trouble.is_some() {
                commit.pause();
                continue;
            }
            // The place and the block belong together: the thread that follows can move the end of
            // the log as soon as the lock is free, and the engine would store a block that
            // continues another one than the newest, which is void.
            let (after, is_again) = {
                let mut follower = lock(follower);
                let is_again =
                    commit.block.as_ref().is_some_and(|block| block.after == follower.chain);
                if !is_again {
                    let planned = plan(&follower)?;
                    fates = planned.fates;
                    if matches!(&planned.content, Content::Events(drafts) if drafts.is_empty()) {
                        let (first, hash) = (follower.chain.next, follower.chain.hash);
                        return Ok(Committed { first, hash, fates });
                    }
                    let block = self.make(&follower.chain, planned.content, now);
                    let bytes_max = self.journal.block_bytes_max();
                    if block.bytes.len() > bytes_max {
                        let bytes = block.bytes.len() - OVERHEAD_BYTES;
                        let bytes_max = bytes_max.saturating_sub(OVERHEAD_BYTES);
                        return Err(AppendError::TooLarge { bytes, bytes_max });
                    }
                    follower.expect(block.nonce, block.after);
                    commit.block = Some(block);
                }
                (follower.seq, is_again)
            };
            if is_again {
                // The answer was lost, or what came before is not to be seen yet.
                commit.pause();
            }
            self.send(after, &mut commit);
            must_follow = true;
        }
    }

    /// Makes the block that continues `after`.
    fn make(&mut self, after: &Chain, content: Content, now: Timestamp) -> InFlight {
        self.number += 1;
        let nonce = Nonce { run: self.run, number: self.number };
        let block = Block { time: now.max(after.time), ..after.continued_by(nonce, content) };
        InFlight { nonce, after: *after, bytes: block.encode() }
    }

    /// Sends the block in flight, for the place after `after`. What came of it, following shows.
    fn send(&mut self, after: Seq, commit: &mut Commit) {
        let Some(block) = &commit.block else { return };
        let began = Instant::now();
        let left = commit.deadline.saturating_duration_since(began);
        let patience = left.min(REQUEST_PATIENCE);
        match self.journal.append(after, block.nonce, &block.bytes, patience) {
            Ok(_) => commit.is_sent = true,
            Err(AppendFault::Behind) => {
                commit.conflicts += 1;
                self.conflicts.fetch_add(1, Ordering::Relaxed);
            }
            Err(AppendFault::NotStored(error)) => commit.trouble = Some(error),
            Err(AppendFault::Undecided { source }) => {
                commit.is_sent = true;
                commit.trouble = Some(JournalError::Away { source });
            }
        }
        commit.latency = began.elapsed();
    }

    /// Lets other hubs have a turn if there are any that append, and if this one appends without a
    /// break: without a pause, the hub that is nearest to the engine wins every race. One that has
    /// breaks leaves others their turn by itself.
    fn be_polite(&mut self, follower: &Mutex<Follower>, commit: &Commit) {
        let foreign = lock(follower).foreign;
        self.ended = Instant::now();
        let has_others = foreign > self.foreign || commit.conflicts > 0;
        if has_others && self.in_a_row >= IN_A_ROW_MAX {
            let pause = (commit.latency * 2).min(POLITE_PAUSE_MAX);
            self.not_before = self.ended + pause;
        }
        self.foreign = foreign;
    }
}

impl Commit {
    /// The place of the block, if one of those that were sent is part of the log.
    fn valid(&self, follower: &Mutex<Follower>) -> Option<(Position, BlockHash)> {
        let follower = lock(follower);
        follower.attempts().iter().find_map(|attempt| match attempt.fate {
            Some(AttemptFate::Valid { first, hash }) => Some((first, hash)),
            _ => None,
        })
    }

    /// Whether no time is left, or too many attempts were made.
    fn is_over(&self) -> bool {
        self.rounds >= ATTEMPTS_MAX
            || self.rounds >= ATTEMPTS_MIN && Instant::now() >= self.deadline
    }

    /// The answer to an append that ends with `error`. A block that still fits the end of the log
    /// may yet arrive there.
    fn give_up(&self, follower: &Mutex<Follower>, error: AppendError) -> AppendError {
        let follower = lock(follower);
        let may_arrive = |after: &Chain| after.hash == follower.chain.hash;
        let mut open = follower.attempts().iter().filter(|attempt| attempt.fate.is_none());
        if self.is_sent && (follower.halt().is_some() || open.any(|open| may_arrive(&open.after))) {
            return AppendError::Undecided { source: Arc::new(error) };
        }
        error
    }

    /// Waits a moment, if there is time.
    fn pause(&mut self) {
        let left = self.deadline.saturating_duration_since(Instant::now());
        thread::sleep(LOOK_AGAIN.min(left));
    }
}

/// What to store of `drafts`. The thread that appends has compared them with the log up to
/// `judged`; but other hubs can have appended since, or a block without an answer has arrived.
fn plan(
    follower: &Follower,
    drafts: &[Draft],
    judged: Position,
    maxima: Maxima,
) -> Result<Plan, AppendError> {
    let is_unchanged = follower.cache.bounds().head <= judged;
    let fate = |draft: &Draft| match &draft.id {
        Some(id) if draft.once && !is_unchanged => fate(&follower.cache, draft, id, judged),
        _ => Ok(Fate::Store),
    };
    let fates = drafts.iter().map(fate).collect::<Result<Vec<_>, _>>()?;
    if !is_unchanged {
        let cache = &follower.cache;
        let stored = drafts.iter().zip(&fates).filter(|(_, fate)| **fate == Fate::Store);
        let mut begun = stored.filter(|(draft, _)| draft.begins).flat_map(|(it, _)| it.topics());
        let overtaken = if begun.any(|topic| cache.catalog().has_topic(topic)) {
            Some(NoAnswer::Begun)
        } else if has_ended(cache, drafts, judged)? {
            Some(NoAnswer::Ended)
        } else if is_continued(cache, drafts)? {
            Some(NoAnswer::Continued)
        } else if drafts.iter().any(|draft| has_lost_its_key(cache, draft, judged)) {
            Some(NoAnswer::Changed)
        } else {
            has_no_room(cache, drafts, maxima).then_some(NoAnswer::NoRoom)
        };
        if let Some(reason) = overtaken {
            // Compared again, each publisher gets its exact answer.
            return Err(AppendError::Away { retry: Duration::ZERO, source: Arc::new(reason) });
        }
    }
    let kept = drafts.iter().zip(&fates).filter(|(_, fate)| **fate == Fate::Store);
    let content = Content::Events(kept.map(|(draft, _)| draft.clone()).collect());
    Ok(Plan { content, fates })
}

fn fate(
    cache: &DiskStore,
    draft: &Draft,
    id: &EventId,
    judged: Position,
) -> Result<Fate, AppendError> {
    let away = |retry, source| Err(AppendError::Away { retry, source });
    let on: Vec<_> = draft.topics().cloned().map(Matcher::Exact).collect();
    match cache.catalog().find(id, &on) {
        Ok(Some(position)) if position > judged => {}
        Ok(_) => return Ok(Fate::Store),
        Err(error) => return away(AWAY_RETRY, Arc::new(error)),
    }
    match Repeats::new().check(cache, std::slice::from_ref(draft)) {
        Ok(mut fates) => Ok(fates.remove(0)),
        // Compared again, its publisher gets the exact answer.
        Err(CheckError::IdReused { .. } | CheckError::IdErased { .. }) => {
            away(Duration::ZERO, Arc::new(NoAnswer::Reused))
        }
        Err(CheckError::Read(error)) => away(AWAY_RETRY, Arc::new(error)),
    }
}

/// Whether another hub has changed a key after `judged`, about which the publisher of `draft` says
/// what it expects, or to whose value it adds a piece.
fn has_lost_its_key(cache: &DiskStore, draft: &Draft, judged: Position) -> bool {
    let expects = draft.expected.is_some() || draft.piece.is_some() || draft.kind.is_removal();
    let key = draft.key.as_ref().filter(|_| expects);
    let newest = key.and_then(|key| cache.slots().newest(&draft.topic, key));
    newest.is_some_and(|newest| newest.position > judged)
}

/// Whether another hub has ended a topic after `judged` that one of `drafts` is to end.
fn has_ended(cache: &DiskStore, drafts: &[Draft], judged: Position) -> Result<bool, AppendError> {
    let ends = drafts.iter().filter(|draft| draft.kind.ends_topic());
    for topic in ends.flat_map(Draft::topics) {
        let state = cache
            .catalog()
            .topic(topic)
            .map_err(|error| AppendError::Away { retry: AWAY_RETRY, source: Arc::new(error) })?;
        if state.is_some_and(|state| state.ended && state.last > judged) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a topic has a newer record than the publisher of one of `drafts` expects, or has ended.
fn is_continued(cache: &DiskStore, drafts: &[Draft]) -> Result<bool, AppendError> {
    for draft in drafts {
        let Some(Expected::NothingAfter(after)) = draft.expected.as_deref() else { continue };
        let state = cache
            .catalog()
            .topic(&draft.topic)
            .map_err(|error| AppendError::Away { retry: AWAY_RETRY, source: Arc::new(error) })?;
        if state.is_some_and(|state| state.ended || state.last > *after) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether `drafts` would make more topics or keys than there may be.
fn has_no_room(cache: &DiskStore, drafts: &[Draft], maxima: Maxima) -> bool {
    let (catalog, slots) = (cache.catalog(), cache.slots());
    let topics = drafts.iter().flat_map(Draft::topics);
    let is_new = |topic: &&Topic| !topic.is_of_notes() && !catalog.has_topic(topic);
    let new: HashSet<_> = topics.filter(is_new).collect();
    let notes = usize::from(catalog.has_topic(&Topic::of_notes()));
    let count = catalog.topic_count().saturating_sub(notes) + new.len();
    if !new.is_empty() && count > maxima.topics {
        return true;
    }
    let keyed = drafts.iter().filter_map(|draft| Some((&draft.topic, draft.key.as_ref()?)));
    let new: HashSet<_> = keyed.filter(|(on, key)| slots.newest(on, key).is_none()).collect();
    !new.is_empty() && slots.keys() + new.len() > maxima.keys
}

/// Why an append was given up.
#[derive(Clone, Debug)]
enum NoAnswer {
    /// The journal failed.
    Journal(JournalError),
    /// Other hubs were faster each time.
    Overtaken,
    /// Another hub has just stored an event with an id of these, and other content.
    Reused,
    /// Another hub has just changed a key of these, of which its publisher expects something.
    Changed,
    /// Another hub has just begun a topic that a publisher was to begin.
    Begun,
    /// Another hub has just ended a topic that one of these was to end.
    Ended,
    /// Another hub has just continued a topic on which one of these was to be the next.
    Continued,
    /// Other hubs have just made the last topics or keys that there may be.
    NoRoom,
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Journal(_) => "the shared log did not take the events",
            Self::Overtaken => "other hubs appended first each time",
            Self::Reused => "another hub has just stored an event with the same id",
            Self::Begun => "another hub has just begun the same topic",
            Self::Ended => "another hub has just ended the same topic",
            Self::Continued => "another hub has just published to the same topic",
            Self::Changed => "another hub has just changed the same key",
            Self::NoRoom => "other hubs have just made the last topics or keys that there may be",
        })
    }
}

impl Error for NoAnswer {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Journal(error) => Some(error),
            _ => None,
        }
    }
}

pub(crate) fn lock(follower: &Mutex<Follower>) -> MutexGuard<'_, Follower> {
    follower.lock().unwrap_or_else(PoisonError::into_inner)
}
