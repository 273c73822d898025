//! Opening a log: finding what is there, whether it is intact, and where it ends.
//!
//! Only the newest segment was being written when the process ended, so only there can an append be
//! half written. It was never acknowledged, and is removed. Everything else must be as it was
//! written.
//!
//! How a half-written append is distinguished from damage: an append is written only after the one
//! before it was synced. So if there is a block of a *later* append after a broken block, then the
//! broken one was synced, and has been damaged since.
//!
//! A log that is not synced at every append has no such order on the disk, but it has one in the
//! memory of the operating system, which outlasts the process. So the same holds as long as the
//! machine has not been restarted (the file [`RUN_FILE`] says in which run of the machine the log
//! was written), and also if a later block says that the log was closed, and so synced. Only after
//! a power cut can an earlier block be missing while a later one is there: then everything after it
//! is given up; [`Durability::Os`](crate::Durability::Os) promises no more than that.
//!
//! The events lost may have been acknowledged and delivered. Their positions are used again, so the
//! log gets a new name, as it does when it is restored from a backup: a subscriber that returns
//! with a lost position gets a reset. The same happens after a power cut that left no trace.
//!
//! A new log is created in this order: the first segment, then the file [`FORMAT_FILE`]. So
//! segments without that file are a log whose creation was interrupted, if they are empty, and
//! otherwise a log whose format file was removed.

mod indexes;
mod lanes;
mod scan;

use std::collections::VecDeque;
use std::fs::{self, OpenOptions, TryLockError};
use std::io;
use std::path::Path;
use std::sync::Arc;

use tidings_hub::Position;

use crate::append::End;
use crate::catalogue::LOST_ENDING;
use crate::config::{DiskConfig, Durability};
use crate::disk::{Disk, Folder};
use crate::error::OpenError;
use crate::folder_lock::FolderLock;
use crate::index::{IndexFile, MemoryIndex};
use crate::lanes::Lanes;
use crate::log_identity::{FORMAT_FILE, LogName};
use crate::mistake::Mistake;
use crate::random::RandomSource;
use crate::redo;
use crate::run::scan_run;
use crate::run_name::RunName;
use crate::segment::{Index, Sealed, SegmentLog, index_name, log_name, position_in};
use crate::state::{Active, Shared};

use indexes::{keep_index, open_index};
use scan::{Scan, scan};

/// Records in which run of the machine the log was last written, if its appends are not synced.
const RUN_FILE: &str = "run";

/// Locked as long as the log is open.
pub(crate) const LOCK_FILE: &str = "lock";

/// Creates the folder if it does not exist, and locks it.
pub(crate) fn open_folder(
    path: &Path,
    random: &RandomSource,
) -> Result<(Folder, FolderLock), OpenError> {
    let fail = |action| move |source| OpenError::Io { action, path: path.to_owned(), source };
    make_folder(path).map_err(fail("make the folder"))?;
    let mut options = OpenOptions::new();
    let lock = options.write(true).create(true).truncate(false).open(path.join(LOCK_FILE));
    let lock = lock.map_err(fail("write to the folder"))?;
    match FolderLock::take(lock) {
        Ok(lock) => Ok((Folder::new(path, random.clone()), lock)),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { path: path.to_owned() }),
        Err(TryLockError::Error(source)) => Err(fail("lock the folder")(source)),
    }
}

/// Creates a folder, and those in which it is, that only its owner can read: events can be private.
///
/// # Errors
///
/// If it cannot be created. That it is there already is no error.
pub fn make_folder(path: &Path) -> io::Result<()> {
    let mut folder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut folder, 0o700);
    folder.recursive(true).create(path)
}

/// Whose log is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// The folder is all there is of the log.
    Original,
    /// The log is held elsewhere. What is missing at the end is copied again, so no name changes.
    Copy,
}

/// Finds the log on `disk`, or creates one. Also returns the segments that are there but not part
/// of it, which are to be removed.
pub(crate) fn recover(
    disk: Arc<dyn Disk>,
    config: DiskConfig,
    role: Role,
) -> Result<(Shared, End, Vec<Position>), OpenError> {
    redo::apply(&*disk).map_err(|source| OpenError::Io {
        action: "finish an erasure in",
        path: config.path.clone(),
        source,
    })?;
    let folder = Found::look(&*disk, &config)?;
    let (mut name, is_new) = match (folder.read_format()?, role) {
        (Some(name), Role::Original) if name.is_copy => {
            return Err(OpenError::IsCopy { path: config.path });
        }
        (Some(name), Role::Copy) if !name.is_copy => {
            return Err(OpenError::NotACopy { path: config.path });
        }
        (Some(name), _) => (name, false),
        (None, _) => (folder.make_log()?, true),
    };
    // Everything is read and checked before the first file is changed, so a log that cannot be
    // opened stays as it is.
    let is_same_run = folder.is_same_run();
    let read = folder.read_segments(&name, is_same_run)?;
    // The new name comes before the lost positions can be used again: a crash in between only
    // renames the log once more.
    if !is_new && role == Role::Original && read.may_have_lost_events(is_same_run) {
        name = name.renewed(read.head(), LogName::new(&*disk).epoch);
        name.write(&*disk).map_err(folder.fail("write", FORMAT_FILE))?;
        tracing::warn!(
            path = %config.path.display(),
            next_position = %read.head().next(),
            epoch = %name.epoch,
            "the machine stopped, or the end of the log was damaged, before it was synced: \
             acknowledged events may be lost; the log has a new name, and subscribers that saw a \
             lost event get a reset"
        );
    }
    let Opened { lanes, sealed, active, end } = folder.take_over(read, &name)?;
    let is_unsynced = [end.log.durability, config.durability].contains(&Durability::Os);
    if is_unsynced && let Err(error) = folder.note_run() {
        // Unless this run ends cleanly, the log gets a new name.
        tracing::warn!(%error, "cannot record in which run of the machine the log is written");
    }
    // A killed process may have left files whose names are not yet on the disk.
    disk.sync().map_err(folder.fail("sync the folder of", FORMAT_FILE))?;
    // Retention moves `kept_from` before it removes segments, so some may be left of a process that
    // ended between the two.
    // Retention moves `kept_from` before it removes segments, so some may be left of a process that
    // ended between the two.
    let dropped = Found::look(&*disk, &config)?.firsts();
    let dropped = dropped.into_iter().take_while(|first| *first < name.kept_from).collect();
    let sorted = lanes.upto;
    let shared = Shared::new(disk, config, name, lanes, sealed, active);
    if role == Role::Copy {
        shared.set_settled(sorted);
    }
    Ok((shared, end, dropped))
}

/// The index of a sealed segment, rebuilt from the segment itself.
pub(crate) fn index_again(sealed: &Sealed) -> Result<MemoryIndex, OpenError> {
    if sealed.log.run.is_some() {
        return Ok(scan_run(&sealed.log, sealed.log_bytes)?.index);
    }
    let scanned = scan(&sealed.log)?;
    let is_whole = scanned.is_sealed && scanned.next.previous() == sealed.last;
    is_whole.then_some(scanned.index).ok_or_else(|| OpenError::Damaged {
        path: sealed.log.path.clone(),
        what: format!("the block at byte {} is broken", scanned.stopped),
    })
}

/// The index of the segment that is being written, made from what is in its file.
pub(crate) fn index_of_active(log: &SegmentLog) -> Result<MemoryIndex, OpenError> {
    let mut index = scan(log)?.index;
    // They were counted when they were new.
    index.take_new();
    Ok(index)
}

/// Writes the index of `sealed` that was made again in place of its former one; see `keep_index`.
pub(crate) fn keep_index_of(disk: &dyn Disk, sealed: &Sealed, made: MemoryIndex) -> Index {
    let name = sealed.log.index_name();
    keep_index(disk, &name, sealed, made, || open_index(disk, &name, sealed.log.salt))
}

/// The segment that is to be written next.
struct Newest {
    log: Arc<SegmentLog>,
    scan: Scan,
    /// Name of a segment that was created but not begun.
    unused: Option<String>,
}

/// All runs and segments that were found.
struct Segments {
    lanes: Lanes,
    sealed: VecDeque<Arc<Sealed>>,
    newest: Newest,
}

/// The same, ready to be used.
pub(crate) struct Opened {
    pub(crate) lanes: Lanes,
    pub(crate) sealed: VecDeque<Arc<Sealed>>,
    active: Active,
    pub(crate) end: End,
}

impl Segments {
    /// Position of the newest record.
    fn head(&self) -> Position {
        self.newest.scan.next.previous()
    }

    /// Whether there may have been acknowledged events after the head.
    fn may_have_lost_events(&self, is_same_run: bool) -> bool {
        let Newest { log, scan, .. } = &self.newest;
        let may_be_short = !is_same_run && !scan.is_closed;
        log.durability == Durability::Os && (scan.is_torn || may_be_short)
    }
}

/// The content of the folder.
pub(crate) struct Found<'a> {
    disk: &'a dyn Disk,
    config: &'a DiskConfig,
    names: Vec<String>,
}

impl<'a> Found<'a> {
    pub(crate) fn look(disk: &'a dyn Disk, config: &'a DiskConfig) -> Result<Self, OpenError> {
        let names = disk.names().map_err(|source| OpenError::Io {
            action: "list the folder",
            path: config.path.clone(),
            source,
        })?;
        Ok(Self { disk, config, names })
    }

    /// The first positions of the segments, in order.
    pub(crate) fn firsts(&self) -> Vec<Position> {
        let mut firsts: Vec<_> =
            self.names.iter().filter_map(|name| position_in(name, ".log")).collect();
        firsts.sort_unstable();
        firsts
    }

    /// The name of the log; `None` if there is none yet.
    pub(crate) fn read_format(&self) -> Result<Option<LogName>, OpenError> {
        if !self.names.iter().any(|name| name == FORMAT_FILE) {
            return Ok(None);
        }
        let mut text = vec![0; 4096];
        let read = self.disk.open(FORMAT_FILE).and_then(|file| file.read_at(&mut text, 0));
        let read = read.map_err(self.fail("read", FORMAT_FILE))?;
        let name = LogName::parse(&String::from_utf8_lossy(&text[..read]));
        name.map(Some).map_err(|error| error.into_error(self.disk.path(FORMAT_FILE)))
    }

    /// Creates an empty log.
    fn make_log(&self) -> Result<LogName, OpenError> {
        for first in self.firsts() {
            self.see_that_nothing_is_in(first)?;
        }
        let made = LogName::new(self.disk);
        let first = Position::new(1);
        let name = log_name(first);
        // An interrupted creation may have left an empty segment with another epoch in its header.
        if self.names.contains(&name) {
            self.disk.remove(&name).map_err(self.fail("remove", &name))?;
        }
        SegmentLog::create(self.disk, first, made.epoch, self.config.durability)
            .map_err(self.fail("make", &name))?;
        made.write(self.disk).map_err(self.fail("write", FORMAT_FILE))?;
        let epoch = made.epoch;
        tracing::debug!(path = %self.config.path.display(), %epoch, "created a new log");
        Ok(made)
    }

    /// A segment without the format file is allowed only if the process ended while the log was
    /// being created.
    fn see_that_nothing_is_in(&self, first: Position) -> Result<(), OpenError> {
        let name = log_name(first);
        let bytes = self.disk.open(&name).and_then(|file| file.len());
        let bytes = bytes.map_err(self.fail("read", &name))?;
        if first == Position::new(1) && bytes <= crate::segment::HEADER_BYTES as u64 {
            return Ok(());
        }
        let what = format!("the file is missing, although there are segments such as {name}");
        Err(OpenError::Damaged { path: self.disk.path(FORMAT_FILE), what })
    }

    /// Whether the machine has been running without a break since the log was last written.
    fn is_same_run(&self) -> bool {
        let Some(run) = self.disk.machine_run() else {
            return false;
        };
        let mut text = vec![0; 256];
        let read = self.disk.open(RUN_FILE).and_then(|file| file.read_at(&mut text, 0));
        read.is_ok_and(|read| text[..read] == *run.as_bytes())
    }

    /// Records in which run of the machine the log is written. It need not be synced: after a power
    /// cut the next run is a different one, whatever the file says.
    fn note_run(&self) -> io::Result<()> {
        self.disk.remove_if_there(RUN_FILE)?;
        match self.disk.machine_run() {
            Some(run) => self.disk.create(RUN_FILE)?.write_at(run.as_bytes(), 0),
            None => Ok(()),
        }
    }

    /// All runs and segments of a backup that is being restored, the last one ready to be written.
    pub(crate) fn segments(&self, name: &LogName) -> Result<Opened, OpenError> {
        // A backup is made by a running machine.
        let read = self.read_segments(name, true)?;
        self.take_over(read, name)
    }

    /// Reads all segments. Nothing is changed, except that missing indexes are built.
    fn read_segments(&self, name: &LogName, is_same_run: bool) -> Result<Segments, OpenError> {
        // The content found before the log was created is out of date.
        let found = Self::look(self.disk, self.config)?;
        let lanes = found.lanes(name)?;
        let mut firsts = found.firsts();
        // Up to there, runs count.
        let may = |first: Position| first > lanes.upto || Mistake::LeftoversCount.is_planted();
        firsts.retain(|first| *first >= name.kept_from && may(*first));
        // The newest first: its head says where the segment before it must end.
        // The newest first: its head says where the segment before it must end.
        let newest = found.newest(&mut firsts, name)?;
        let Newest { log, scan, .. } = &newest;
        // No power cut can explain a later block here, so the broken one is damage.
        if let Some(later) = scan.later.filter(|later| is_same_run || later.is_synced) {
            return Err(scan::broken_before(log, scan.stopped, later.offset));
        }
        let mut sealed = VecDeque::new();
        for (n, first) in firsts.iter().enumerate() {
            let next = firsts.get(n + 1).copied().unwrap_or(newest.log.first);
            sealed.push_back(Arc::new(found.sealed(*first, next, name)?));
        }
        Ok(Segments { lanes, sealed, newest })
    }

    /// Makes the segments those of an open log: from here on, files are changed.
    fn take_over(&self, read: Segments, name: &LogName) -> Result<Opened, OpenError> {
        let Segments {
            lanes,
            mut sealed,
            newest: Newest { log: newest, scan: mut scanned, unused },
        } = read;
        if let Some(name) = unused {
            let removed = self.disk.remove(&name).and_then(|()| self.disk.sync());
            removed.map_err(self.fail("remove", &name))?;
        }
        scan::take_away_torn_end(&newest, &mut scanned)
            .map_err(self.fail("write to", &log_name(newest.first)))?;
        // A header is rewritten only where necessary: for a moment there is only half of one.
        let runs = lanes.runs().map(|run| &run.sealed);
        for log in runs.chain(&sealed).map(|segment| &segment.log).chain([&newest]) {
            let epoch = if name.will_forget(log.epoch) { name.epoch } else { log.epoch };
            // The configured durability takes effect with a segment that has no events yet.
            // The configured durability takes effect with a segment that has no events yet.
            let is_empty = log.first == scanned.next;
            let durability = if is_empty { self.config.durability } else { log.durability };
            let renamed = log.rename(epoch, durability);
            renamed.map_err(self.fail("write to", &log_name(log.first)))?;
        }
        let firsts: Vec<_> = sealed.make_contiguous().iter().map(|one| one.first()).collect();
        Self::look(self.disk, self.config)?.tidy(&firsts, &lanes);
        // Times never go back, even if the newest segment has no event.
        // Times never go back, even if the newest segment has no event.
        let before = sealed.back().map_or(lanes.time, |segment| segment.last_time);
        let end = End {
            log: Arc::clone(&newest),
            offset: scanned.end,
            room: scanned.file_bytes,
            next: scanned.next,
            time: scanned.last_time.max(before),
        };
        let active = Active {
            log: newest,
            index: scanned.index,
            bytes: scanned.end,
            first_time: scanned.first_time,
            last_time: scanned.last_time,
        };
        Ok(Opened { lanes, sealed, active, end })
    }

    /// The segment that is to be written next. Takes it, and an empty one after it, off `firsts`.
    fn newest(
        &self,
        firsts: &mut Vec<Position>,
        name_of_log: &LogName,
    ) -> Result<Newest, OpenError> {
        let Some(first) = firsts.pop() else {
            let what = "the log has no segment left".to_owned();
            return Err(OpenError::Damaged { path: self.config.path.clone(), what });
        };
        let name = log_name(first);
        let log = SegmentLog::open(self.disk, first, name_of_log)?;
        let scan = match &log {
            Some(log) => Some(scan(log)?),
            None => None,
        };
        if scan.as_ref().is_none_or(|scan| scan.is_untouched)
            && let Some(previous) = firsts.last()
            && !self.is_sealed(*previous, name_of_log)?
        {
            // The process ended between creating this segment and sealing the one before; or
            // sealing failed, and the one before was written on.
            let newest = self.newest(firsts, name_of_log)?;
            // A segment is named after the first position that is not in the one before, which with
            // fsync was on the disk by then.
            if newest.scan.next < first && newest.log.durability == Durability::Fsync {
                let (path, next) = (newest.log.path.clone(), newest.scan.next);
                let what = format!("it ends before record {next}, but {name} is there");
                return Err(OpenError::Damaged { path, what });
            }
            return Ok(Newest { unused: Some(name), ..newest });
        }
        let (Some(log), Some(scan)) = (log, scan) else {
            let what = "its beginning is missing".to_owned();
            return Err(OpenError::Damaged { path: self.disk.path(&name), what });
        };
        // Sealing is the last step of changing to the next segment, so that one existed.
        // Sealing is the last step of changing to the next segment, so that one existed.
        if scan.is_sealed {
            let what = format!("the segment after it, {}, is missing", log_name(scan.next));
            return Err(OpenError::Damaged { path: log.path, what });
        }
        Ok(Newest { log: Arc::new(log), scan, unused: None })
    }

    /// Whether the segment ends with a mark that seals it.
    fn is_sealed(&self, first: Position, name: &LogName) -> Result<bool, OpenError> {
        match SegmentLog::open(self.disk, first, name)? {
            // Only a sealed segment has an index.
            Some(log) if self.index_of(&log).is_none() => Ok(scan(&log)?.is_sealed),
            _ => Ok(true),
        }
    }

    /// The segment that begins at `first`, and ends before `next`.
    fn sealed(&self, first: Position, next: Position, log: &LogName) -> Result<Sealed, OpenError> {
        let name = log_name(first);
        let damaged = |what| OpenError::Damaged { path: self.disk.path(&name), what };
        let gap = |end: Position| {
            damaged(format!("it ends before record {end}, but the next segment begins at {next}"))
        };
        let Some(log) = SegmentLog::open(self.disk, first, log)? else {
            return Err(damaged("its beginning is missing".to_owned()));
        };
        let log = Arc::new(log);
        let bytes = log.file.len().map_err(self.fail("read", &name))?;
        // With an index the segment need not be read: its length and its number of records must
        // agree, and every block is checked when it is read.
        // With an index the segment need not be read: its length and its number of records must
        // agree, and every block is checked when it is read.
        if let Some(index) = self.index_of(&log) {
            let footer = *index.footer();
            if footer.log_bytes != bytes {
                let expected = footer.log_bytes;
                return Err(damaged(format!("it has {bytes} bytes instead of {expected}")));
            }
            let end = Position::new(first.get() + u64::from(footer.records));
            if end != next {
                return Err(gap(end));
            }
            return Ok(Sealed {
                log,
                last: next.previous(),
                first_time: footer.first_time,
                last_time: footer.last_time,
                log_bytes: bytes,
                index: Index::File(Arc::new(index)),
            });
        }
        // Without one, read all of it and build the index again.
        let mut scanned = scan(&log)?;
        if scanned.is_sealed && !scanned.is_torn {
            // The process may have ended before the file was cut after the mark.
            scan::cut(&log, &mut scanned).map_err(self.fail("write to", &name))?;
        } else {
            return Err(damaged(format!("the block at byte {} is broken", scanned.stopped)));
        }
        if scanned.next != next {
            return Err(gap(scanned.next));
        }
        let index = index_name(first);
        tracing::info!(index, "rebuilding an index");
        let mut sealed = Sealed {
            last: next.previous(),
            first_time: scanned.first_time,
            last_time: scanned.last_time,
            log_bytes: scanned.end,
            index: Index::Memory(Arc::default()),
            log,
        };
        sealed.index =
            keep_index(self.disk, &index, &sealed, scanned.index, || self.index_of(&sealed.log));
        Ok(sealed)
    }

    /// The index of a segment; `None` if there is none, or it cannot be used.
    fn index_of(&self, log: &SegmentLog) -> Option<IndexFile> {
        let name = index_name(log.first);
        open_index(self.disk, &name, log.salt).filter(|index| index.footer().first == log.first)
    }

    /// Removes unfinished files, indexes without a segment, and what no longer counts because the
    /// catalogue says so.
    fn tidy(&self, sealed: &[Position], lanes: &Lanes) {
        // A backup may be reading what was replaced.
        let guard = (lanes.generation > 0).then(|| self.disk.hold_off_backups());
        if matches!(guard, Some(None)) {
            return;
        }
        let is_left_over = |name: &&String| {
            let index = position_in(name, ".index");
            let log = position_in(name, ".log");
            name.ends_with(".new")
                || index.is_some_and(|first| !sealed.contains(&first))
                || log.is_some_and(|first| first <= lanes.upto)
                || RunName::of_file(name)
                    .is_some_and(|name| !lanes.runs().any(|run| run.name == name))
                || (name.ends_with(LOST_ENDING) && lanes.lost_file.as_ref() != Some(*name))
        };
        for name in self.names.iter().filter(is_left_over) {
            if let Err(error) = self.disk.remove(name) {
                tracing::warn!(name, %error, "cannot remove a leftover file");
            }
        }
    }

    fn fail(&self, action: &'static str, name: &str) -> impl Fn(io::Error) -> OpenError + use<> {
        let path = self.disk.path(name);
        move |source| OpenError::Io { action, path: path.clone(), source }
    }
}
