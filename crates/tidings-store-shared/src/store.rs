use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tidings_hub::{
    AppendError, Appended, Bounds, Catalog, Check, CopyReaders, Draft, Erase, EraseError, Erased,
    Eraser, EventId, Following, Health, Interest, IsFetching, Log, LogIdentity, Page, Position,
    ReadError, ReadQuery, SharedLog, SlotNotes, Slots, Timestamp,
};
use tidings_store_disk::{DiskStore, FolderLock};

use crate::blocks::Blocks;
use crate::checks::Checks;
use crate::config::SharedConfig;
use crate::erasures::Erasures;
use crate::error::OpenError;
use crate::follower::{CaughtUp, FollowError, Follower};
use crate::halt::Halt;
use crate::journal::{Journal, SeqBounds};
use crate::limits::{AWAY_RETRY, ERASE_AGAIN, OPEN_ERASE_PATIENCE};
use crate::mistake::Mistake;
use crate::open::{self, Opening};
use crate::origin::Origin;
use crate::terms::Difference;
use crate::trim::Trim;
use crate::writer::{Writer, lock};

mod failures;
mod tidy;

use failures::Failures;
use tidy::Tidying;

/// One hub's view of a shared log. See the [crate](crate) for what it guarantees.
pub struct SharedStore {
    node: Arc<Node>,
    /// The threads.
    threads: Vec<JoinHandle<()>>,
    /// Holds the lock on the folder; dropped last.
    _lock: FolderLock,
}

struct Node {
    config: SharedConfig,
    cache: Arc<DiskStore>,
    origin: Arc<RwLock<Origin>>,
    erasures: Arc<Erasures>,
    follower: Mutex<Follower>,
    writer: Mutex<Writer>,
    append_bytes_max: usize,
    trim: Mutex<Trim>,
    tidying: Tidying,
    /// The blocks that the follower remembers.
    blocks: Arc<RwLock<Blocks>>,
    checks: Option<Arc<Mutex<Checks>>>,
    /// How the log's settings differed from this hub's when they were last looked at.
    other_terms: Mutex<Vec<Difference>>,
    failures: Mutex<Failures>,
    void: Arc<AtomicU64>,
    conflicts: Arc<AtomicU64>,
    caught_up: Arc<CaughtUp>,
    /// Number of blocks that the cache, just opened, lacks; 0 from the moment at which it had all.
    fetching: AtomicU64,
    is_closing: AtomicBool,
}

impl SharedStore {
    /// Opens the log behind `journal`, with a cache in `config.path`: brings the cache up to date,
    /// which can take a while for an empty one. While the journal is away, the store serves what
    /// the cache holds.
    ///
    /// # Errors
    ///
    /// [`OpenError`]; its [`hint`](OpenError::hint) says what can be done.
    pub fn open(config: SharedConfig, mut journal: Box<dyn Journal>) -> Result<Self, OpenError> {
        let lock = open::lock(&config.path)?;
        let run = config.cache.random.number();
        let (follower, left) = Opening { config: &config, journal: &mut *journal, run }.open()?;
        let writer = Writer::new(journal, run, &config, follower.cache.bounds().head);
        // Hubs do not all trim at the same time.
        let interval = config.trim_interval.mul_f64(0.75 + (run % 512) as f64 / 1024.0);
        let node = Node {
            cache: Arc::clone(&follower.cache),
            origin: Arc::clone(&follower.origin),
            erasures: Arc::clone(&follower.erasures),
            void: Arc::clone(&follower.void),
            caught_up: Arc::clone(&follower.caught_up),
            fetching: AtomicU64::new(left),
            conflicts: Arc::clone(&writer.conflicts),
            append_bytes_max: writer.bytes_max(),
            trim: Mutex::new(Trim::new(interval)),
            tidying: Tidying::default(),
            blocks: follower.cursor.blocks(),
            checks: follower.checks.clone(),
            other_terms: Mutex::default(),
            follower: Mutex::new(follower),
            writer: Mutex::new(writer),
            failures: Mutex::default(),
            is_closing: AtomicBool::new(false),
            config,
        };
        node.erase_before_serving();
        if left > 0 {
            tracing::info!(
                blocks = left,
                "fetching the shared log; the hub is ready when it has all of it"
            );
        }
        Ok(Self { node: Arc::new(node), threads: Vec::new(), _lock: lock })
    }

    /// Starts the threads: one follows the log and another one [tidies](Self::retain) it, over a
    /// connection of its own each; one erases from the copy what was erased from the log; and, if
    /// there are rules of retention, one applies them to the copy.
    ///
    /// # Errors
    ///
    /// If a thread cannot be started.
    pub fn following(
        mut self,
        journal: Box<dyn Journal>,
        tidying: Box<dyn Journal>,
    ) -> io::Result<Self> {
        self.node.cache.start_keeping().map_err(io::Error::other)?;
        let node = Arc::clone(&self.node);
        let thread = thread::Builder::new().name("tidings-erase".to_owned());
        self.threads.push(thread.spawn(move || node.carry_out_erasures())?);
        let node = Arc::clone(&self.node);
        let thread = thread::Builder::new().name("tidings-follow".to_owned());
        self.threads.push(thread.spawn(move || node.run(journal))?);
        let node = Arc::clone(&self.node);
        let thread = thread::Builder::new().name("tidings-tidy".to_owned());
        self.threads.push(thread.spawn(move || node.keep_tidy(tidying))?);
        self.node.tidying.set_has_thread();
        Ok(self)
    }

    /// Follows up to the end of what `journal` shows, and erases what is to be erased. For stores
    /// without [threads](Self::following) that do so.
    pub fn follow(&self, journal: &mut dyn Journal) {
        self.node.follow(journal);
        if !self.node.erasures.is_empty() && self.node.erase_now(&|| false) {
            // A copy that was being fetched may be whole now.
            self.node.follow(journal);
        }
    }

    /// Why the store stopped following, if it did: it must be opened again.
    pub fn halt(&self) -> Option<Halt> {
        lock(&self.node.follower).halt()
    }

    /// Waits until the thread that tidies the journal and the cache's background thread have done
    /// all the work that they were given so far. For tests in which what is on the disk must not
    /// depend on how fast the threads are.
    pub fn wait_for_background(&self) {
        self.node.tidying.wait();
        self.node.cache.wait_for_background();
    }

    /// Applies rules of retention to what is due in the cache. For stores without
    /// [threads](Self::following) that do so.
    pub fn keep(&self) {
        self.node.cache.keep();
    }

    /// Position up to which rules of retention were applied to the cache.
    pub fn sorted_upto(&self) -> Position {
        self.node.cache.sorted_upto()
    }

    #[cfg(test)]
    pub(crate) fn cache(&self) -> &DiskStore {
        &self.node.cache
    }

    /// Number of void blocks since the store was opened.
    pub fn void_blocks(&self) -> u64 {
        self.node.void.load(Ordering::Relaxed)
    }
}

impl Drop for SharedStore {
    fn drop(&mut self) {
        self.node.is_closing.store(true, Ordering::Relaxed);
        self.node.tidying.close();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Log for SharedStore {
    fn identity(&self) -> &LogIdentity {
        self.node.cache.identity()
    }

    fn bounds(&self) -> Bounds {
        self.node.cache.bounds()
    }

    fn append(&self, drafts: Vec<Draft>, now: Timestamp) -> Result<Vec<Appended>, AppendError> {
        self.node.append(&drafts, None, now)
    }

    fn append_judged(
        &self,
        drafts: Vec<Draft>,
        judged: Position,
        now: Timestamp,
    ) -> Result<Vec<Appended>, AppendError> {
        self.node.append(&drafts, Some(judged), now)
    }

    fn append_bytes_max(&self) -> usize {
        self.node.append_bytes_max
    }

    fn read(&self, query: &ReadQuery<'_>) -> Result<Page, ReadError> {
        self.node.cache.read(query)
    }

    fn lost(&self, interest: &Interest, after: Position) -> Result<Option<Position>, ReadError> {
        self.node.cache.lost(interest, after)
    }

    fn lost_of_state(
        &self,
        interest: &Interest,
        after: Position,
    ) -> Result<Option<Position>, ReadError> {
        self.node.cache.lost_of_state(interest, after)
    }

    fn note_slots(
        &self,
        after: Position,
        upto: Position,
        notes: &mut SlotNotes<'_>,
    ) -> Result<Position, ReadError> {
        self.node.cache.note_slots(after, upto, notes)
    }

    fn wait(&self, after: Position, timeout: Duration) -> Position {
        self.node.cache.wait(after, timeout)
    }

    fn retain(&self, now: Timestamp) -> Result<(), AppendError> {
        self.node.cache.retain(now)?;
        self.node.ask_to_tidy(now);
        self.node.failures().current().map_or(Ok(()), |(error, _)| Err(error))
    }

    fn eraser(&self) -> Option<&dyn Eraser> {
        Some(self)
    }

    fn note_time(&self, now: Timestamp) {
        self.node.cache.note_time(now);
    }

    fn health(&self) -> Health {
        let mut cache = self.node.cache.health();
        cache.background_failures += self.node.erasures.failures();
        match self.node.failures().current() {
            None => cache,
            Some((failure, since)) => {
                let is_away = !failure.is_final() && cache.failure.is_none();
                let away = is_away.then(|| since.elapsed());
                Health { failure: Some(failure), away, ..cache }
            }
        }
    }

    fn catalog(&self) -> &dyn Catalog {
        self.node.cache.catalog()
    }

    fn slots(&self) -> &Slots {
        self.node.cache.slots()
    }

    fn shared(&self) -> Option<&dyn SharedLog> {
        Some(self)
    }
}

/// The block with the erasure is appended to the log, and then carried out in this hub's copy. The
/// other hubs do the latter when they follow it.
impl Eraser for SharedStore {
    fn erase(&self, what: &Erase, go_on: &dyn Fn() -> bool) -> Result<Erased, EraseError> {
        if self.node.fetching().is_some() {
            return Err(EraseError::Store(IsFetching.into()));
        }
        let Node { writer, follower, erasures, cache, .. } = &*self.node;
        let hash = {
            let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
            self.node.note_appended(writer.erase(follower, what)).map_err(EraseError::Store)?
        };
        erasures.carry_out_own(cache, hash, go_on)
    }
}

impl SharedLog for SharedStore {
    fn check(&self, position: Position) -> Result<Option<Check>, ReadError> {
        let page = self.read(&ReadQuery::one(position))?;
        Ok(match page.records.first() {
            Some(record) => record.mark().check,
            // A rule may have dropped the record, and the id of its reader is right all the same.
            None => self.node.check_of_dropped(position),
        })
    }

    fn prove_head(&self) -> Result<Position, ReadError> {
        if self.node.fetching().is_some() {
            return Err(IsFetching.into());
        }
        let Node { writer, follower, .. } = &*self.node;
        let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
        let proved = self.node.note_appended(writer.barrier(follower));
        proved.map_err(|error| ReadError::Away { retry: AWAY_RETRY, source: Arc::new(error) })
    }

    fn following(&self) -> Following {
        let Node { caught_up, config, void, conflicts, erasures, .. } = &*self.node;
        // An idle hub looks this often.
        let behind = caught_up.elapsed().saturating_sub(config.bell_patience);
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let fetching = self.node.fetching();
        Following {
            behind,
            fetching,
            void: count(void),
            conflicts: count(conflicts),
            erasures: erasures.pending(),
        }
    }

    fn set_readers(&self, readers: Arc<dyn CopyReaders>) {
        self.node.erasures.set_readers(readers);
    }

    fn fork_before(&self, id: &EventId) -> Result<Option<Position>, ReadError> {
        let origin = self.node.origin.read().unwrap_or_else(PoisonError::into_inner);
        Ok(origin.fork_before(id))
    }
}

impl Node {
    fn append(
        &self,
        drafts: &[Draft],
        judged: Option<Position>,
        now: Timestamp,
    ) -> Result<Vec<Appended>, AppendError> {
        if drafts.is_empty() {
            return Ok(Vec::new());
        }
        if self.fetching().is_some() {
            return Err(IsFetching.into());
        }
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let epoch = self.cache.identity().epoch;
        self.note_appended(writer.append(&self.follower, epoch, drafts, judged, now))
    }

    /// The check of a record that the cache does not have any more.
    fn check_of_dropped(&self, position: Position) -> Option<Check> {
        let known = self.blocks.read().unwrap_or_else(PoisonError::into_inner).check(position);
        known.or_else(|| {
            let checks = self.checks.as_ref()?;
            checks.lock().unwrap_or_else(PoisonError::into_inner).check(position)
        })
    }

    /// The thread: follows the journal until the store closes.
    fn run(&self, mut journal: Box<dyn Journal>) {
        while !self.is_closing.load(Ordering::Relaxed) {
            let (seq, halt) = {
                let follower = lock(&self.follower);
                (follower.seq, follower.halt())
            };
            // An adapter whose engine is away may return at once.
            if halt.is_some() || journal.wait(seq, self.config.bell_patience).is_err() {
                thread::sleep(self.config.bell_patience);
            }
            self.follow(&mut *journal);
        }
    }

    /// The thread: erases what is to be erased until the store closes.
    fn carry_out_erasures(&self) {
        let go_on = || !self.is_closing.load(Ordering::Relaxed);
        while go_on() {
            if self.erasures.is_empty() {
                self.erasures.wait(self.config.bell_patience);
            } else if !self.erase_now(&go_on) && go_on() {
                thread::sleep(ERASE_AGAIN);
            }
        }
    }

    /// Erases what is to be erased. Returns whether all of it is.
    fn erase_now(&self, go_on: &dyn Fn() -> bool) -> bool {
        self.erasures.carry_out(&self.cache, go_on).is_ok()
    }

    /// The same before the store is served. If it cannot be done, the store is one that is still
    /// fetching the log, until it is done.
    fn erase_before_serving(&self) {
        if self.erasures.is_empty() || Mistake::ServedFirst.is_planted() {
            return;
        }
        let until = Instant::now() + OPEN_ERASE_PATIENCE;
        if !self.erase_now(&|| Instant::now() < until) {
            self.fetching.fetch_max(1, Ordering::AcqRel);
        }
    }

    /// Follows up to the end, a page at a time, so that others have their turn with the follower.
    fn follow(&self, journal: &mut dyn Journal) {
        let followed = loop {
            // A hub that fetches the log looks where it ends now: meanwhile it grows.
            let bounds = self.fetching().and_then(|_| journal.bounds().ok().flatten());
            let (followed, seq) = {
                let mut follower = lock(&self.follower);
                (follower.follow_page(journal), follower.seq)
            };
            let is_more = matches!(followed, Ok(true));
            if let Some(SeqBounds { last, .. }) = bounds {
                let left = last.get().saturating_sub(seq.get());
                let is_erasing = !self.erasures.is_empty() && !Mistake::ServedFirst.is_planted();
                self.note_left(if is_more || is_erasing { left.max(1) } else { left });
            }
            if !is_more || self.is_closing.load(Ordering::Relaxed) {
                break followed;
            }
        };
        let followed = followed.map(|_| ()).map_err(|error| match error {
            FollowError::Away(error) => {
                AppendError::Away { retry: AWAY_RETRY, source: Arc::new(error) }
            }
            FollowError::Cache(error) => error,
            FollowError::Halt(halt) => AppendError::Poisoned { source: Arc::new(halt) },
        });
        self.failures().note_followed(&followed, Instant::now());
    }

    fn fetching(&self) -> Option<u64> {
        Some(self.fetching.load(Ordering::Acquire)).filter(|left| *left > 0)
    }

    /// Notes that the cache, which is being fetched, lacks this number of blocks.
    fn note_left(&self, blocks: u64) {
        self.fetching.store(blocks, Ordering::Release);
        if blocks == 0 {
            open::set_complete(&self.config.path);
            tracing::info!("the whole shared log was fetched; the hub serves it now");
        }
    }

    /// Records whether the log takes events.
    fn note_appended<T>(&self, outcome: Result<T, AppendError>) -> Result<T, AppendError> {
        self.failures().note_appended(&outcome, Instant::now());
        outcome
    }

    fn failures(&self) -> MutexGuard<'_, Failures> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for SharedStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SharedStore").field("path", &self.node.config.path).finish_non_exhaustive()
    }
}
