//! Erasures that were followed and are to be carried out in the cache.
//!
//! Erasing takes long, and waits for a backup that is being made. So the follower only notes an
//! erasure, in a list that is on the disk before the cursor there passes the block; then it goes
//! on. A thread carries out what is on the list, and so does whoever asked for one of them and
//! waits. An erasure is taken off the list when nothing of its records is left on the disk. A hub
//! that is killed at any moment finds it on the list, or in the log again; carrying it out twice
//! changes nothing. It reaches only records before its block, so those that are followed meanwhile
//! are safe.
//!
//! A hub that fetches the log, or was away, meets many at once. So the list is written once for a
//! page of the journal, and all that are on it are carried out together: each file of the cache is
//! overwritten once for all of them.
//!
//! The file: for each erasure the sequence of its block (8 bytes), the block's hash (16), the
//! length of its [form](crate::erase_form) (4), that form; then the CRC-32 of all before. It is
//! replaced as a whole, and there is none if nothing is to be done.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread;
use std::time::{Duration, Instant};

use tidings_hub::{CopyReaders, Erase, EraseError, Erased, with_causes};
use tidings_store_disk::DiskStore;

use crate::erase_form;
use crate::hash::BlockHash;
use crate::journal::Seq;
use crate::limits::{
    ERASURES_ANSWERED_MAX, ERASURES_MAX, ERASURES_PATIENCE, LOOK_INTERVAL, READERS_PATIENCE,
};
use crate::mistake::{Mistake, step};
use crate::reader::{Reader, Unreadable};
use crate::whole_file;

/// The name of the file.
pub(crate) const FILE: &str = "erasing";

/// An erasure of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Noted {
    /// Sequence of its block.
    pub(crate) seq: Seq,
    /// Hash of its block.
    pub(crate) hash: BlockHash,
    /// Whether this process asked for it, and waits.
    pub(crate) is_awaited: bool,
    pub(crate) erase: Erase,
}

/// The list.
pub(crate) struct Erasures {
    folder: PathBuf,
    list: Mutex<List>,
    /// Number of those that are noted, for readers that do not wait while the list is written.
    pending: AtomicU64,
    /// Rings when something is added.
    bell: Condvar,
    /// Held while some are carried out.
    carrying: Mutex<()>,
    readers: Mutex<Option<Arc<dyn CopyReaders>>>,
    failures: AtomicU64,
}

#[derive(Default)]
struct List {
    noted: Vec<Noted>,
    /// Whether the file lacks some of them.
    is_unwritten: bool,
    /// Outcomes for those that wait for them.
    done: VecDeque<(BlockHash, Erased)>,
}

impl Erasures {
    /// The list in `folder`, without erasures of blocks after `upto`: those are not part of the
    /// log, or are followed again. With `None` there are none.
    pub(crate) fn open(folder: &Path, upto: Option<Seq>) -> io::Result<Self> {
        let mut noted = load(folder)?;
        let before = noted.len();
        noted.retain(|one| {
            upto.is_some_and(|upto| one.seq <= upto) || Mistake::LostStays.is_planted()
        });
        if noted.len() < before {
            save(folder, &noted)?;
        }
        Ok(Self {
            folder: folder.to_owned(),
            pending: AtomicU64::new(noted.len() as u64),
            list: Mutex::new(List { noted, ..List::default() }),
            bell: Condvar::new(),
            carrying: Mutex::default(),
            readers: Mutex::default(),
            failures: AtomicU64::new(0),
        })
    }

    /// Adds one. It is on the disk once the list was [written](Self::write).
    pub(crate) fn add(&self, noted: Noted) {
        let mut list = self.list();
        if list.noted.iter().any(|known| known.seq == noted.seq) {
            return;
        }
        list.noted.push(noted);
        list.is_unwritten = true;
        self.pending.store(list.noted.len() as u64, Ordering::Relaxed);
        self.bell.notify_all();
    }

    /// Makes sure that all that were added are on the disk.
    pub(crate) fn write(&self) -> io::Result<()> {
        let mut list = self.list();
        if list.is_unwritten {
            if !Mistake::CursorFirst.is_planted() {
                save(&self.folder, &list.noted)?;
            }
            list.is_unwritten = false;
            step();
        }
        Ok(())
    }

    /// Makes room for one more: waits a moment for those who carry them out, or does it.
    ///
    /// # Errors
    ///
    /// There is no room.
    pub(crate) fn make_room(&self, cache: &DiskStore) -> Result<(), EraseError> {
        let until = Instant::now() + ERASURES_PATIENCE;
        match self.carry_out(cache, &|| self.is_full() && Instant::now() < until) {
            Err(error) if self.is_full() => Err(error),
            _ => Ok(()),
        }
    }

    /// Whether there are as many as there may be.
    pub(crate) fn is_full(&self) -> bool {
        self.list().noted.len() >= ERASURES_MAX
    }

    /// Whether all are carried out.
    pub(crate) fn is_empty(&self) -> bool {
        self.list().noted.is_empty()
    }

    /// Number of those that are to be carried out.
    pub(crate) fn pending(&self) -> u64 {
        self.pending.load(Ordering::Relaxed)
    }

    /// Number of failed attempts to carry one out.
    pub(crate) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Waits until there is one, at most for `timeout`.
    pub(crate) fn wait(&self, timeout: Duration) {
        let list = self.list();
        if list.noted.is_empty() {
            drop(self.bell.wait_timeout(list, timeout));
        }
    }

    /// See [`SharedLog::set_readers`](tidings_hub::SharedLog::set_readers).
    pub(crate) fn set_readers(&self, readers: Arc<dyn CopyReaders>) {
        *self.readers.lock().unwrap_or_else(PoisonError::into_inner) = Some(readers);
    }

    /// Carries out all that are on the list. It asks `go_on` as the cache does.
    ///
    /// # Errors
    ///
    /// The first. The others are carried out all the same.
    pub(crate) fn carry_out(
        &self,
        cache: &DiskStore,
        go_on: &dyn Fn() -> bool,
    ) -> Result<(), EraseError> {
        let _one = self.begin(go_on)?;
        let noted = self.list().noted.clone();
        if noted.len() > 1 {
            match self.carry_out_these(cache, &noted, go_on) {
                // One that cannot be carried out must not be in the way of the others.
                Err(error) if !matches!(error, EraseError::GivenUp) => {}
                outcome => return outcome,
            }
        }
        let mut outcome = Ok(());
        for one in noted.chunks(1) {
            let done = self.carry_out_these(cache, one, go_on).inspect_err(|error| {
                self.note_failure(error);
            });
            outcome = outcome.and(done);
        }
        outcome
    }

    /// The same for the erasure of the block with this hash, whose outcome is the answer; the
    /// others are left to the thread.
    pub(crate) fn carry_out_own(
        &self,
        cache: &DiskStore,
        hash: BlockHash,
        go_on: &dyn Fn() -> bool,
    ) -> Result<Erased, EraseError> {
        let _one = self.begin(go_on)?;
        let noted = self.list().noted.iter().find(|one| one.hash == hash).cloned();
        if let Some(noted) = noted {
            let done = self.carry_out_these(cache, &[noted], go_on);
            done.inspect_err(|error| self.note_failure(error))?;
        }
        let mut list = self.list();
        let done = list.done.iter().position(|(done, _)| *done == hash);
        Ok(done.and_then(|at| list.done.remove(at)).map(|(_, erased)| erased).unwrap_or_default())
    }

    fn begin(&self, go_on: &dyn Fn() -> bool) -> Result<MutexGuard<'_, ()>, EraseError> {
        loop {
            match self.carrying.try_lock() {
                Ok(guard) => return Ok(guard),
                Err(TryLockError::Poisoned(poisoned)) => return Ok(poisoned.into_inner()),
                Err(TryLockError::WouldBlock) if !go_on() => return Err(EraseError::GivenUp),
                Err(TryLockError::WouldBlock) => thread::sleep(LOOK_INTERVAL),
            }
        }
    }

    fn carry_out_these(
        &self,
        cache: &DiskStore,
        these: &[Noted],
        go_on: &dyn Fn() -> bool,
    ) -> Result<(), EraseError> {
        if Mistake::ListFirst.is_planted() {
            self.take_off(these, &[]);
        }
        step();
        let readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let until = Instant::now() + READERS_PATIENCE;
        let upto = these.iter().map(|one| one.erase.upto).max().unwrap_or_default();
        let have_read = |readers: &Arc<dyn CopyReaders>| readers.have_read(upto);
        while !readers.as_ref().is_none_or(have_read) && Instant::now() < until {
            if !go_on() {
                return Err(EraseError::GivenUp);
            }
            thread::sleep(LOOK_INTERVAL);
        }
        let all: Vec<_> = these.iter().map(|one| one.erase.clone()).collect();
        let erased = cache.erase_each(&all, go_on)?;
        step();
        // Also if this process waits for the outcome, and then has its workers forget the records
        // itself, before it answers: it may have stopped waiting after a failure, and would never
        // hear of what is carried out later. To forget twice is as to forget once.
        if let Some(readers) = readers {
            for (erased, erase) in erased.iter().zip(&all) {
                readers.forget(erased, erase.upto);
            }
        }
        self.take_off(these, &erased);
        step();
        Ok(())
    }

    fn note_failure(&self, error: &EraseError) {
        if matches!(error, EraseError::GivenUp) || self.failures.fetch_add(1, Ordering::Relaxed) > 0
        {
            return;
        }
        let reason = with_causes(error);
        tracing::error!(
            reason,
            "events that were erased from the shared log cannot be erased from this hub's copy; \
             it will be tried again"
        );
    }

    /// Takes some off the list, of which it is known what they erased.
    fn take_off(&self, these: &[Noted], erased: &[Erased]) {
        let mut list = self.list();
        list.noted.retain(|noted| these.iter().all(|one| one.seq != noted.seq));
        self.pending.store(list.noted.len() as u64, Ordering::Relaxed);
        for (one, erased) in these.iter().zip(erased).filter(|(one, _)| one.is_awaited) {
            list.done.push_back((one.hash, erased.clone()));
            if list.done.len() > ERASURES_ANSWERED_MAX {
                list.done.pop_front();
            }
        }
        match save(&self.folder, &list.noted) {
            Ok(()) => list.is_unwritten = false,
            // What stays in the file is carried out once more after a start.
            Err(error) => {
                let path = self.folder.join(FILE);
                tracing::warn!(%error, path = %path.display(), "a file cannot be written");
            }
        }
    }

    fn list(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads the list in `folder`.
pub(crate) fn load(folder: &Path) -> io::Result<Vec<Noted>> {
    let bytes = match fs::read(folder.join(FILE)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        read => read?,
    };
    let unreadable = || io::Error::new(io::ErrorKind::InvalidData, format!("{FILE} is damaged"));
    let (content, crc) = bytes.split_last_chunk::<4>().ok_or_else(unreadable)?;
    if crc32fast::hash(content) != u32::from_le_bytes(*crc) {
        return Err(unreadable());
    }
    let (mut rest, mut noted) = (Reader(content), Vec::new());
    while !rest.0.is_empty() {
        noted.push(Noted::decode(&mut rest).map_err(|_| unreadable())?);
    }
    Ok(noted)
}

/// Replaces the file, so that it survives a power cut.
fn save(folder: &Path, noted: &[Noted]) -> io::Result<()> {
    let path = folder.join(FILE);
    if noted.is_empty() {
        return match fs::remove_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        };
    }
    let mut bytes = Vec::new();
    noted.iter().for_each(|one| one.encode(&mut bytes));
    let crc = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    whole_file::replace(&path, &bytes)
}

impl Noted {
    fn encode(&self, bytes: &mut Vec<u8>) {
        let mut form = Vec::new();
        erase_form::encode(&self.erase, &mut form);
        bytes.extend_from_slice(&self.seq.get().to_le_bytes());
        bytes.extend_from_slice(self.hash.as_bytes());
        let length = u32::try_from(form.len()).expect("a block is bounded far below that");
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&form);
    }

    /// The process that asked for it is gone: nobody waits.
    fn decode(rest: &mut Reader<'_>) -> Result<Self, Unreadable> {
        let seq = Seq::new(rest.number()?);
        let hash = BlockHash::from_bytes(rest.take()?);
        let length = u32::from_le_bytes(rest.take()?) as usize;
        let (form, behind) = rest.0.split_at_checked(length).ok_or(Unreadable::NoBlock)?;
        rest.0 = behind;
        Ok(Self { seq, hash, is_awaited: false, erase: erase_form::decode(Reader(form))? })
    }
}
