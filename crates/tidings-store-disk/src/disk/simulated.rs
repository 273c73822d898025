//! A disk in memory that fails the way disks do.
//!
//! Unsynced data can be lost in a power cut, sector by sector and in any order. A write can stop
//! half way because the machine did. The disk can be full. An `fsync` can fail, and the data it
//! should have written is then lost, although later calls succeed.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Disk, DiskFile};

/// Bytes that a disk writes as a whole or not at all.
const SECTOR: usize = 512;

/// Numbers from a seed (splitmix64).
#[derive(Clone, Debug)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.roll() % end
    }

    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// What goes wrong, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// After this many more changes the machine stops in the middle of one.
    StopsAfter(u64),
    /// After this many more bytes there is no room.
    FullAfter(u64),
    /// After this many more syncs one fails.
    SyncFailsAfter(u64),
    /// After this many more syncs of the folder one fails, and so do all others.
    FolderSyncFailsAfter(u64),
    /// The disk is full, and half a write cannot be cut off again.
    FullAndStuck,
    /// No file can be created or opened: the process has too many open.
    NoMoreFiles,
    /// No file can be removed or renamed.
    NoRemovals,
    /// The oldest segment cannot be removed.
    OldestStays,
    /// The folder is somewhere else.
    Moved,
    /// Its files were removed.
    Removed,
    /// The thread that checks the folder panics.
    Panics,
    None,
}

#[derive(Clone)]
pub(crate) struct SimulatedDisk(Arc<Mutex<Inner>>);

struct Inner {
    /// The folder as programs see it.
    names: BTreeMap<String, Content>,
    /// The folder as of its last sync; a power cut may also keep some of `changes`.
    synced_names: BTreeMap<String, Content>,
    changes: Vec<Change>,
    trouble: Trouble,
    dice: Dice,
    /// Numbers that tell logs and segments apart.
    numbers: Dice,
    /// Number of power cuts so far.
    run: u64,
}

#[derive(Clone)]
enum Change {
    Put(String, Content),
    Rename(String, String, Content),
    Remove(String),
}

type Content = Arc<Mutex<FileContent>>;

#[derive(Clone, Default)]
struct FileContent {
    now: Vec<u8>,
    synced: Vec<u8>,
    pending: Vec<Pending>,
    /// Number of failed syncs. Each handle reports each one once.
    failures: u64,
}

#[derive(Clone)]
enum Pending {
    Write(usize, Vec<u8>),
    Length(usize),
}

impl SimulatedDisk {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            names: BTreeMap::new(),
            synced_names: BTreeMap::new(),
            changes: Vec::new(),
            trouble: Trouble::None,
            dice: Dice(seed),
            numbers: Dice(!seed),
            run: 0,
        })))
    }

    pub(crate) fn set_trouble(&self, trouble: Trouble) {
        self.lock().trouble = trouble;
    }

    /// Whether the machine has stopped.
    pub(crate) fn has_stopped(&self) -> bool {
        self.lock().trouble == Trouble::StopsAfter(0)
    }

    /// The disk after the process was killed: everything is as programs last saw it. The old disk
    /// may still have users, which no longer matter.
    pub(crate) fn after_kill(&self) -> Self {
        self.copy(|content, _| content.clone())
    }

    /// The disk after a power cut. The folder's changes are journalled: the last ones are lost.
    pub(crate) fn after_power_cut(&self) -> Self {
        self.after_losing(|changes, dice| {
            let kept = dice.below(changes.len() as u64 + 1) as usize;
            changes.truncate(kept);
        })
    }

    /// The disk after a power cut, where the folder's changes are not journalled: any of those are
    /// lost that came after its last sync.
    pub(crate) fn after_power_cut_without_journal(&self) -> Self {
        self.after_losing(|changes, dice| changes.retain(|_| dice.one_in(2)))
    }

    fn after_losing(&self, lose: impl FnOnce(&mut Vec<Change>, &mut Dice)) -> Self {
        let copy = self.copy(FileContent::after_power_cut);
        {
            let mut inner = copy.lock();
            let mut changes = std::mem::take(&mut inner.changes);
            lose(&mut changes, &mut inner.dice);
            for change in changes {
                change.apply(&mut inner.synced_names);
            }
            inner.names = inner.synced_names.clone();
            inner.run += 1;
        }
        copy
    }

    /// Changes one byte of a file.
    pub(crate) fn flip(&self, name: &str, at: usize, with: u8) {
        let inner = self.lock();
        let mut content = lock(&inner.names[name]);
        content.now[at] ^= with;
    }

    /// Restarts the machine without losing anything.
    pub(crate) fn next_run(&self) {
        self.lock().run += 1;
    }

    /// The name of a file that has `needle` in it.
    pub(crate) fn file_with(&self, needle: &[u8]) -> Option<String> {
        let inner = self.lock();
        let has =
            |content: &Content| lock(content).now.windows(needle.len()).any(|part| part == needle);
        inner.names.iter().find(|(_, content)| has(content)).map(|(name, _)| name.clone())
    }

    /// What all files hold.
    pub(crate) fn contents(&self) -> Vec<(String, Vec<u8>)> {
        let inner = self.lock();
        inner
            .names
            .iter()
            .map(|(name, content)| (name.clone(), lock(content).now.clone()))
            .collect()
    }

    /// The offset of the last byte that is not zero.
    pub(crate) fn last_byte(&self, name: &str) -> usize {
        lock(&self.lock().names[name]).now.iter().rposition(|byte| *byte != 0).unwrap_or(0)
    }

    pub(crate) fn length(&self, name: &str) -> usize {
        lock(&self.lock().names[name]).now.len()
    }

    fn copy(&self, change: impl Fn(&FileContent, &mut Dice) -> FileContent) -> Self {
        let mut inner = self.lock();
        let mut dice = Dice(inner.dice.roll());
        let mut done = Vec::<(Content, Content)>::new();
        let mut copied = |content: &Content| {
            if let Some((_, copy)) = done.iter().find(|(old, _)| Arc::ptr_eq(old, content)) {
                return Arc::clone(copy);
            }
            let copy = Arc::new(Mutex::new(change(&lock(content), &mut dice)));
            done.push((Arc::clone(content), Arc::clone(&copy)));
            copy
        };
        let mut map = |names: &BTreeMap<String, Content>| {
            names.iter().map(|(name, content)| (name.clone(), copied(content))).collect()
        };
        let (names, synced_names) = (map(&inner.names), map(&inner.synced_names));
        let changes = inner.changes.iter().map(|change| match change {
            Change::Put(name, content) => Change::Put(name.clone(), copied(content)),
            Change::Rename(from, to, content) => {
                Change::Rename(from.clone(), to.clone(), copied(content))
            }
            Change::Remove(name) => Change::Remove(name.clone()),
        });
        let changes = changes.collect();
        let dice = Dice(inner.dice.roll());
        let trouble = Trouble::None;
        let numbers = inner.numbers.clone();
        let run = inner.run;
        let inner = Inner { names, synced_names, changes, trouble, dice, numbers, run };
        Self(Arc::new(Mutex::new(inner)))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// `Err` if the machine has stopped; `Ok(true)` if it stops in the middle of this change.
    fn step(&mut self) -> io::Result<bool> {
        match &mut self.trouble {
            Trouble::StopsAfter(0) => Err(io::Error::other("the machine has stopped")),
            Trouble::StopsAfter(left) => {
                *left -= 1;
                Ok(*left == 0)
            }
            _ => Ok(false),
        }
    }

    fn change(&mut self, change: Change) -> io::Result<()> {
        if self.step()? {
            return Err(io::Error::other("the machine stops"));
        }
        change.clone().apply(&mut self.names);
        self.changes.push(change);
        Ok(())
    }

    fn see_files(&self) -> io::Result<()> {
        match self.trouble {
            Trouble::NoMoreFiles => Err(io::Error::other("too many open files")),
            _ => Ok(()),
        }
    }

    fn see_removals(&self, name: &str) -> io::Result<()> {
        let is_oldest = name == crate::segment::log_name(tidings_hub::Position::new(1));
        match self.trouble {
            Trouble::NoRemovals => Err(io::ErrorKind::PermissionDenied.into()),
            Trouble::OldestStays if is_oldest => Err(io::ErrorKind::PermissionDenied.into()),
            _ => Ok(()),
        }
    }

    fn get(&self, name: &str) -> io::Result<Content> {
        self.names.get(name).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Change {
    fn apply(self, names: &mut BTreeMap<String, Content>) {
        match self {
            Self::Put(name, content) => {
                names.insert(name, content);
            }
            Self::Rename(from, to, content) => {
                names.remove(&from);
                names.insert(to, content);
            }
            Self::Remove(name) => {
                names.remove(&name);
            }
        }
    }
}

impl FileContent {
    fn apply(bytes: &mut Vec<u8>, change: &Pending) {
        match change {
            Pending::Length(length) => bytes.resize(*length, 0),
            Pending::Write(at, written) => {
                let end = at + written.len();
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                bytes[*at..end].copy_from_slice(written);
            }
        }
    }

    fn change(&mut self, change: Pending) {
        Self::apply(&mut self.now, &change);
        self.pending.push(change);
    }

    fn after_power_cut(&self, dice: &mut Dice) -> Self {
        let mut bytes = self.synced.clone();
        for change in &self.pending {
            match change {
                Pending::Length(_) => {
                    if dice.one_in(2) {
                        Self::apply(&mut bytes, change);
                    }
                }
                Pending::Write(at, written) => {
                    let mut from = 0;
                    while from < written.len() {
                        let room = SECTOR - (at + from) % SECTOR;
                        let to = written.len().min(from + room);
                        if !dice.one_in(3) {
                            let sector = Pending::Write(at + from, written[from..to].to_vec());
                            Self::apply(&mut bytes, &sector);
                        }
                        from = to;
                    }
                }
            }
        }
        Self { now: bytes.clone(), synced: bytes, pending: Vec::new(), failures: 0 }
    }
}

impl Disk for SimulatedDisk {
    fn path(&self, name: &str) -> PathBuf {
        PathBuf::from("/simulated").join(name)
    }

    fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.lock().names.keys().cloned().collect())
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let mut inner = self.lock();
        inner.see_files()?;
        if inner.names.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let content = Content::default();
        inner.change(Change::Put(name.to_owned(), Arc::clone(&content)))?;
        Ok(SimulatedFile::open(self, content))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let inner = self.lock();
        inner.see_files()?;
        let content = inner.get(name)?;
        drop(inner);
        Ok(SimulatedFile::open(self, content))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut inner = self.lock();
        inner.see_removals(from)?;
        let content = inner.get(from)?;
        inner.change(Change::Rename(from.to_owned(), to.to_owned(), content))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut inner = self.lock();
        inner.get(name)?;
        inner.see_removals(name)?;
        inner.change(Change::Remove(name.to_owned()))
    }

    fn sync(&self) -> io::Result<()> {
        let mut inner = self.lock();
        inner.step()?;
        if let Trouble::FolderSyncFailsAfter(left) = &mut inner.trouble {
            let fewer = left.checked_sub(1);
            *left = fewer.ok_or_else(|| io::Error::other("input/output error"))?;
        }
        inner.synced_names = inner.names.clone();
        inner.changes.clear();
        Ok(())
    }

    fn is_in_place(&self) -> io::Result<bool> {
        let trouble = self.lock().trouble;
        assert_ne!(trouble, Trouble::Panics, "the simulated check panics");
        Ok(!matches!(trouble, Trouble::Moved | Trouble::Removed))
    }

    fn machine_run(&self) -> Option<String> {
        Some(format!("run {}", self.lock().run))
    }

    fn random(&self) -> u64 {
        self.lock().numbers.roll()
    }
}

struct SimulatedFile {
    disk: SimulatedDisk,
    content: Content,
    /// Number of failures that this handle has reported.
    reported: AtomicU64,
}

impl SimulatedFile {
    fn open(disk: &SimulatedDisk, content: Content) -> Arc<dyn DiskFile> {
        let reported = AtomicU64::new(lock(&content).failures);
        Arc::new(Self { disk: disk.clone(), content, reported })
    }
}

impl DiskFile for SimulatedFile {
    fn len(&self) -> io::Result<u64> {
        Ok(lock(&self.content).now.len() as u64)
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        let mut inner = self.disk.lock();
        if inner.step()? {
            return Err(io::Error::other("the machine stops"));
        }
        let mut content = lock(&self.content);
        if inner.trouble == Trouble::FullAndStuck && (bytes as usize) < content.now.len() {
            return Err(io::Error::other("input/output error"));
        }
        content.change(Pending::Length(bytes as usize));
        Ok(())
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut inner = self.disk.lock();
        let mut content = lock(&self.content);
        let mut part = |inner: &mut Inner, kind: io::ErrorKind| {
            let some = inner.dice.below(bytes.len() as u64 + 1) as usize;
            content.change(Pending::Write(offset as usize, bytes[..some].to_vec()));
            Err(kind.into())
        };
        if inner.step()? {
            return part(&mut inner, io::ErrorKind::Other);
        }
        if inner.trouble == Trouble::FullAndStuck {
            return part(&mut inner, io::ErrorKind::StorageFull);
        }
        if let Trouble::FullAfter(room) = &mut inner.trouble {
            match room.checked_sub(bytes.len() as u64) {
                Some(left) => *room = left,
                None => return part(&mut inner, io::ErrorKind::StorageFull),
            }
        }
        content.change(Pending::Write(offset as usize, bytes.to_vec()));
        Ok(())
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        let content = lock(&self.content);
        let from = (offset as usize).min(content.now.len());
        let count = into.len().min(content.now.len() - from);
        into[..count].copy_from_slice(&content.now[from..from + count]);
        Ok(count)
    }

    fn sync(&self) -> io::Result<()> {
        let mut inner = self.disk.lock();
        if inner.step()? {
            return Err(io::Error::other("the machine stops"));
        }
        let mut content = lock(&self.content);
        if let Trouble::SyncFailsAfter(left) = &mut inner.trouble {
            match left.checked_sub(1) {
                Some(fewer) => *left = fewer,
                None => {
                    // The pending data is lost: a later sync has nothing to do and succeeds.
                    content.pending.clear();
                    content.failures += 1;
                }
            }
        }
        if self.reported.swap(content.failures, Ordering::Relaxed) < content.failures {
            return Err(io::Error::other("input/output error"));
        }
        content.synced = content.now.clone();
        content.pending.clear();
        Ok(())
    }

    fn is_linked(&self) -> io::Result<bool> {
        Ok(self.disk.lock().trouble != Trouble::Removed)
    }
}

fn lock(content: &Content) -> MutexGuard<'_, FileContent> {
    content.lock().unwrap_or_else(PoisonError::into_inner)
}
