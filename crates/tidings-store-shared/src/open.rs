//! Opening a shared store: which log it is, how much of the cache is still that log, and the rest
//! of it.
//!
//! A hub that never followed a log takes the one that is there, from its oldest block on; it
//! creates one only if the operator asks for that. A hub that did continues where its cache ends,
//! even while the journal is away. All that can change the name of the log or shorten the cache
//! happens here, before anything is served: a hub that finds such a change later ends its process.

use std::fs::{self, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use tidings_hub::{Epoch, Log as _, LogIdentity, Position};
use tidings_store_disk::{DiskConfig, DiskStore, Durability, FolderLock, RandomSource, cut_copy};

use crate::block::{Block, Content, LostIds};
use crate::chain::Chain;
use crate::changes::Changing;
use crate::checks::Checks;
use crate::config::SharedConfig;
use crate::cursor::Cursor;
use crate::erasures::Erasures;
use crate::error::OpenError;
use crate::followed::Followed;
use crate::follower::{FollowError, Follower};
use crate::fork;
use crate::halt::Halt;
use crate::hash::BlockHash;
use crate::journal::{AppendFault, Journal, JournalError, Nonce, Seq, SeqBounds};
use crate::limits::{CHECKS_FILE_BLOCKS, READ_BYTES_MAX, REQUEST_PATIENCE, SETTLE_ATTEMPTS_MAX};
use crate::origin::Origin;

/// The folder of the cache, in that of the hub.
pub(crate) const CACHE: &str = "log";

/// What opening a store works on.
pub(crate) struct Opening<'a> {
    pub(crate) config: &'a SharedConfig,
    pub(crate) journal: &'a mut dyn Journal,
    pub(crate) run: u64,
}

/// Locks the folder of the store, creating it if it does not exist.
pub(crate) fn lock(path: &Path) -> Result<FolderLock, OpenError> {
    let fail = |source| OpenError::Io { path: path.to_owned(), source };
    fs::create_dir_all(path).map_err(fail)?;
    let mut options = OpenOptions::new();
    let lock = options.write(true).create(true).truncate(false).open(path.join("lock"));
    let lock = lock.map_err(fail)?;
    match FolderLock::take(lock) {
        Ok(lock) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { path: path.to_owned() }),
        Err(TryLockError::Error(source)) => Err(fail(source)),
    }
}

/// The file that is there while the cache has never had the whole log. Such a cache is not served:
/// not even by a hub that was stopped while it fetched, and is started while the log is away.
fn incomplete(folder: &Path) -> PathBuf {
    folder.join("incomplete")
}

pub(crate) fn is_incomplete(folder: &Path) -> bool {
    incomplete(folder).exists()
}

/// Notes that the cache in `folder` had the whole log.
pub(crate) fn set_complete(folder: &Path) {
    let path = incomplete(folder);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(%error, path = %path.display(), "a file cannot be removed");
        }
        _ => {}
    }
}

impl Opening<'_> {
    /// A follower that has followed up to the end of the journal, with 0; or, if a lot is missing,
    /// one that has begun, with the number of blocks that are left; or, if the journal is away, one
    /// that has what the cache holds.
    pub(crate) fn open(&mut self) -> Result<(Follower, u64), OpenError> {
        // Before anything is fetched or changed.
        self.agree()?;
        let origin = Origin::load(&self.config.path).map_err(self.fail())?;
        let mut follower = match origin {
            Some(origin) => match self.resume(origin.clone())? {
                Some(follower) => follower,
                None => self.begin(Some(origin), LostIds::default())?,
            },
            None => self.begin(None, LostIds::default())?,
        };
        for _ in 0..SETTLE_ATTEMPTS_MAX {
            match self.catch_up(&mut follower) {
                Ok(left) => {
                    if left == 0 {
                        set_complete(&self.config.path);
                    }
                    return Ok((follower, left));
                }
                Err(FollowError::Away(error)) => {
                    let reason = tidings_hub::with_causes(&error);
                    if is_incomplete(&self.config.path) {
                        tracing::warn!(
                            reason,
                            "the shared log is away; the hub never had all of it and serves nobody"
                        );
                        return Ok((follower, 1));
                    }
                    tracing::warn!(
                        reason,
                        "the shared log is away; serving what the hub's copy holds"
                    );
                    return Ok((follower, 0));
                }
                Err(FollowError::Cache(source)) => return Err(OpenError::Append { source }),
                Err(FollowError::Halt(halt)) => follower = self.settle(follower, halt)?,
            }
        }
        Err(OpenError::Away { source: JournalError::away(io::Error::other("it keeps changing")) })
    }

    /// Compares this hub's settings with those of the log, and adds what the log does not have.
    /// While the journal is away, there is nothing to compare: a hub that runs compares them, too.
    fn agree(&mut self) -> Result<(), OpenError> {
        let SharedConfig { terms, update_terms, .. } = self.config;
        let Ok(known) = self.journal.terms() else { return Ok(()) };
        let known = known.unwrap_or_default();
        if known.are_incomplete() {
            return Err(OpenError::Incomplete);
        }
        let differences = terms.differences(&known);
        if !differences.is_empty() && !update_terms {
            return Err(OpenError::Terms { differences });
        }
        let all = terms.over(&known);
        if all == known {
            return Ok(());
        }
        match self.journal.set_terms(&all) {
            // A stream that does not exist yet, or is away.
            Ok(()) | Err(JournalError::Missing) => {}
            Err(error) => {
                let reason = tidings_hub::with_causes(&error);
                tracing::warn!(
                    reason,
                    "the settings of the hubs cannot be written to the shared log"
                );
            }
        }
        Ok(())
    }

    /// A follower with the cache as it is; `None` if there is none that can be used.
    fn resume(&self, origin: Origin) -> Result<Option<Follower>, OpenError> {
        let mut cursor = Cursor::open(&self.config.path).map_err(self.fail())?;
        let cache = match DiskStore::open_copy(self.cache_config()) {
            Ok(Some(cache)) if *cache.identity() == origin.identity => cache,
            // The process ended between learning of a new name and giving it to the cache.
            Ok(Some(cache)) => match self.cut(cache, None, &origin.identity)? {
                Some(cache) => cache,
                None => return Ok(None),
            },
            Ok(None) => return Ok(None),
            Err(error) => return self.give_up_cache(error).map(|()| None),
        };
        // Either can be ahead of the other after the process was killed, or the machine.
        let head = cache.bounds().head;
        let Some(last) = cursor.of_cache(head) else { return Ok(None) };
        cursor.cut(last.seq).map_err(self.fail())?;
        let upto = last.next().previous();
        let cache = if upto < head {
            match self.cut(cache, Some(upto), &origin.identity)? {
                Some(cache) => cache,
                None => return Ok(None),
            }
        } else {
            cache
        };
        self.follower(cache, cursor, origin, (last.seq, last.chain)).map(Some)
    }

    /// A follower that begins with the oldest block of the journal, or with a new log. A hub that
    /// knows an `origin` followed one before, and creates none. `held` are the publisher-given ids
    /// of what its cache had. A cache that is there is replaced only once nothing is in the way.
    fn begin(&mut self, origin: Option<Origin>, held: LostIds) -> Result<Follower, OpenError> {
        let is_new = origin.is_none();
        let away = |source| OpenError::Away { source };
        let bounds = match self.journal.bounds().map_err(away)? {
            None if is_new && self.config.create => {
                self.journal.create().map_err(away)?;
                self.agree()?;
                self.journal.bounds().map_err(away)?
            }
            bounds => bounds,
        };
        let bounds = match bounds {
            None if is_new => return Err(OpenError::NoLog),
            None => return Err(OpenError::LogGone),
            // A stream without a block is one whose creation was interrupted.
            Some(SeqBounds { last: Seq::ZERO, .. }) if is_new && self.config.create => {
                self.found().map_err(away)?
            }
            Some(SeqBounds { last: Seq::ZERO, .. }) if is_new => return Err(OpenError::NoLog),
            Some(bounds) => bounds,
        };
        let (seq, block) = self.oldest(bounds)?;
        self.see_that_promises_hold(seq, &block)?;
        // The name that the log had before its first block, so that a rename fits too.
        let epoch = match &block.content {
            Content::Rename(rename) => rename.former.first().map_or(block.epoch, |name| name.epoch),
            _ => block.epoch,
        };
        let chain = Chain { epoch, hash: block.prev, next: block.first, time: block.time };
        let mut cursor = Cursor::open(&self.config.path).map_err(self.fail())?;
        let origin = match origin {
            Some(mut known) if !known.knows(epoch) => {
                // Ids of the log that was followed before are those of a former one.
                known.rename(epoch, &[]);
                tracing::error!(
                    %epoch,
                    "another log has taken the place of the one that this hub followed: \
                     subscribers of that one get a reset"
                );
                // A log that has lost its oldest blocks may be the same under a later name.
                if block.prev == BlockHash::NONE {
                    // Before the name is known: a hub that is stopped here does it again.
                    let before = Followed { seq: seq.previous(), chain, first: block.first };
                    let random = self.random().clone();
                    fork::tell_lost(self.journal, &random, &cursor, before, &held)?;
                    known.add_lost(&held);
                }
                known
            }
            Some(known) => known,
            None => Origin::new(epoch),
        };
        // A backup that is being made looks for this first.
        fs::File::create(incomplete(&self.config.path)).map_err(self.fail())?;
        origin.save(&self.config.path).map_err(self.fail())?;
        cursor.cut(Seq::ZERO).map_err(self.fail())?;
        let _changing = self.announce_change()?;
        if !is_new {
            // Whatever is left of the copy that this hub had.
            match fs::remove_dir_all(self.cache_path()) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                removed => removed.map_err(self.fail())?,
            }
        }
        let cache = DiskStore::create_copy(self.cache_config(), &origin.identity, block.first);
        let cache = cache.map_err(|source| OpenError::Cache { source })?;
        self.follower(cache, cursor, origin, (seq.previous(), chain))
    }

    /// What rules promise to keep, only copies have: a log that has lost its beginning may lack
    /// some of it.
    fn see_that_promises_hold(&self, seq: Seq, oldest: &Block) -> Result<(), OpenError> {
        let SharedConfig { cache, allow_gaps, .. } = self.config;
        let is_promised = cache.rules.iter().any(|rule| rule.promise.is_some());
        if !is_promised || oldest.prev == BlockHash::NONE {
            return Ok(());
        }
        let first = oldest.first;
        if !allow_gaps {
            return Err(OpenError::BeginningLost { seq, first });
        }
        tracing::warn!(
            %seq, %first,
            "UNSAFE, as cluster-allow-gaps allows: the hub begins a copy with what the shared log \
             still has. Events before that position which rules of retention promise to keep may \
             be missing at this hub, and readers of it do not get them"
        );
        Ok(())
    }

    /// Writes the first block of a new log. Of several hubs one succeeds.
    fn found(&mut self) -> Result<SeqBounds, JournalError> {
        let chain = Chain::new(Epoch::from_random(self.random().number()));
        let nonce = Nonce { run: self.run, number: 0 };
        let block = chain.continued_by(nonce, Content::Barrier);
        match self.journal.append(Seq::ZERO, nonce, &block.encode(), REQUEST_PATIENCE) {
            Ok(_) | Err(AppendFault::Behind) => {}
            Err(AppendFault::NotStored(error)) => return Err(error),
            Err(AppendFault::Undecided { source }) => return Err(JournalError::Away { source }),
        }
        self.journal.bounds()?.ok_or(JournalError::Missing)
    }

    /// The oldest block that counts. Hubs trim to one that does; but an engine with a limit of its
    /// own may have dropped more. Writers only continue blocks that count: so does the one that
    /// another continues.
    fn oldest(&mut self, bounds: SeqBounds) -> Result<(Seq, Block), OpenError> {
        let away = |source| OpenError::Away { source };
        let mut blocks: Vec<(Seq, BlockHash, Block)> = Vec::new();
        let (mut seq, mut bytes) = (bounds.first.previous(), 0);
        while bytes < READ_BYTES_MAX {
            // One at a time: mostly the second continues the first.
            let page = self.journal.read(seq, 1).map_err(away)?;
            let Some((at, read)) = page.first() else {
                return Err(away(JournalError::away(io::Error::other("it shows no block"))));
            };
            let is_only = bytes == 0 && *at >= bounds.last;
            (seq, bytes) = (*at, bytes + read.len());
            if let Ok(block) = Block::decode(read) {
                let counts = blocks.iter().find(|(_, hash, _)| *hash == block.prev);
                if let Some((seq, _, block)) = counts {
                    return Ok((*seq, block.clone()));
                }
                if is_only {
                    return Ok((seq, block));
                }
                blocks.push((seq, BlockHash::of(read), block));
            }
            if seq >= bounds.last {
                break;
            }
        }
        Err(OpenError::NoBeginning { seq: bounds.first })
    }

    /// Follows until the end that the journal had when this began, or for one page, if the rest can
    /// be followed by a hub that runs. Returns the number of blocks that are left.
    fn catch_up(&mut self, follower: &mut Follower) -> Result<u64, FollowError> {
        let end = self.journal.bounds()?.ok_or(JournalError::Missing)?.last;
        loop {
            let before = follower.seq;
            let is_more = follower.follow_page(self.journal)?;
            let left = end.get().saturating_sub(follower.seq.get());
            let has_moved = follower.seq > before;
            let is_stuck = !has_moved && !is_more;
            if left == 0 || is_stuck || has_moved && self.has_one_name(follower, end)? {
                return Ok(left);
            }
        }
    }

    /// Whether the log has the same name from here to its newest block, at `end`. Only a store that
    /// is being opened can follow it under another one.
    fn has_one_name(&mut self, follower: &Follower, end: Seq) -> Result<bool, JournalError> {
        let page = self.journal.read(end.previous(), 1)?;
        let newest = page.first().and_then(|(_, bytes)| Block::decode(bytes).ok());
        Ok(newest.is_some_and(|block| block.epoch == follower.read_origin().identity.epoch))
    }

    /// Brings the cache back to the log after `halt`.
    fn settle(&mut self, follower: Follower, halt: Halt) -> Result<Follower, OpenError> {
        match halt {
            Halt::Version { seq, version } => Err(OpenError::Version { seq, version }),
            Halt::Renamed { .. } => self.reopen(follower, None),
            Halt::Trimmed { .. } => {
                tracing::warn!(reason = %halt, "the hub's copy is too old");
                self.begin_again(follower)
            }
            Halt::Forked { .. } => {
                let mut follower = follower;
                match fork::settle(self.journal, &mut follower)? {
                    Some(seq) => self.reopen(follower, Some(seq)),
                    None => self.begin_again(follower),
                }
            }
        }
    }

    fn begin_again(&mut self, follower: Follower) -> Result<Follower, OpenError> {
        let origin = follower.read_origin().clone();
        let held = fork::lost_ids(&follower.cache, Position::ZERO)?;
        drop(follower);
        self.begin(Some(origin), held)
    }

    /// Opens the cache again, under the name that the log now has; with `upto`, cut after the block
    /// with that sequence.
    fn reopen(&mut self, follower: Follower, upto: Option<Seq>) -> Result<Follower, OpenError> {
        let origin = follower.read_origin().clone();
        let Follower { cache, mut cursor, .. } = follower;
        let cache = std::sync::Arc::into_inner(cache).expect("nobody else reads yet");
        if let Some(seq) = upto {
            cursor.cut(seq).map_err(self.fail())?;
        }
        let Some(last) = cursor.last() else {
            drop(cache);
            return self.begin(Some(origin), LostIds::default());
        };
        let upto = upto.map(|_| last.next().previous());
        match self.cut(cache, upto, &origin.identity)? {
            Some(cache) => self.follower(cache, cursor, origin, (last.seq, last.chain)),
            None => self.begin(Some(origin), LostIds::default()),
        }
    }

    /// Cuts the cache after `upto`, or not, and gives it the name of the log. `None` if it has to
    /// be followed anew.
    fn cut(
        &self,
        cache: DiskStore,
        upto: Option<Position>,
        identity: &LogIdentity,
    ) -> Result<Option<DiskStore>, OpenError> {
        let upto = upto.unwrap_or_else(|| cache.bounds().head);
        drop(cache);
        let config = self.cache_config();
        let _changing = self.announce_change()?;
        let cut = cut_copy(&config, upto, identity).and_then(|()| DiskStore::open_copy(config));
        match cut {
            Ok(cache) => Ok(cache),
            Err(error) => self.give_up_cache(error).map(|()| None),
        }
    }

    /// A cache that cannot be used is followed anew.
    fn give_up_cache(&self, error: tidings_store_disk::OpenError) -> Result<(), OpenError> {
        use tidings_store_disk::OpenError::{Damaged, UnknownFormat};
        match error {
            Damaged { .. } | UnknownFormat { .. } => {
                tracing::warn!(
                    reason = %error,
                    "the hub's copy of the shared log cannot be used"
                );
                Ok(())
            }
            source => Err(OpenError::Cache { source }),
        }
    }

    fn follower(
        &self,
        cache: DiskStore,
        cursor: Cursor,
        origin: Origin,
        start: (Seq, Chain),
    ) -> Result<Follower, OpenError> {
        // A cache that is fetched anew gets its erasures from the log, as it gets its records.
        let upto = cursor.last().map(|last| last.seq);
        let erasures = Erasures::open(&self.config.path, upto).map_err(self.fail())?;
        let checks = self.checks(&cursor).map_err(self.fail())?;
        Ok(Follower::new(cache, cursor, origin, (erasures, checks), start, self.config, self.run))
    }

    /// Without rules of retention, records say their checks themselves.
    fn checks(&self, cursor: &Cursor) -> io::Result<Option<Checks>> {
        let folder = &self.config.path;
        if self.config.cache.rules.is_empty() {
            return Checks::remove(folder).map(|()| None);
        }
        let blocks = cursor.blocks();
        let blocks = blocks.read().unwrap_or_else(PoisonError::into_inner);
        Checks::open(folder, &blocks, CHECKS_FILE_BLOCKS).map(Some)
    }

    /// Says that the cache is about to be shortened, renamed or replaced, for as long as the answer
    /// is held.
    fn announce_change(&self) -> Result<Changing, OpenError> {
        Changing::announce(&self.config.path, self.random().number()).map_err(self.fail())
    }

    fn random(&self) -> &RandomSource {
        &self.config.cache.random
    }

    fn cache_path(&self) -> PathBuf {
        self.config.path.join(CACHE)
    }

    fn cache_config(&self) -> DiskConfig {
        let durability = Durability::Os;
        DiskConfig { path: self.cache_path(), durability, ..self.config.cache.clone() }
    }

    pub(crate) fn fail(&self) -> impl Fn(io::Error) -> OpenError + use<> {
        let path = self.config.path.clone();
        move |source| OpenError::Io { path: path.clone(), source }
    }
}
