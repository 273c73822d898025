//! A node's copy of a log that is held elsewhere.
//!
//! The log decides positions, times and checks; the copy stores them as they come. It may begin at
//! any position, and nothing is lost with it: what is missing at its end is copied again, and a
//! damaged copy can be thrown away. So it needs no syncs, and never changes its name by itself.
//!
//! Rules of retention are applied to a copy as to any log, each copy by itself, but only to what
//! its log does not lose any more: what they were applied to cannot be cut.

use std::io;
use std::sync::{Arc, PoisonError};

use tidings_hub::{AppendError, Check, Draft, LogIdentity, Position, Timestamp};

use crate::DiskStore;
use crate::block::{LAST_OF_COMMIT, SEALED};
use crate::catalogue::{CATALOGUE_FILE, LOST_ENDING};
use crate::config::DiskConfig;
use crate::disk::Disk;
use crate::error::OpenError;
use crate::limits::SCAN_CHUNK_BYTES;
use crate::log_identity::LogName;
use crate::mistake::Mistake;
use crate::recovery::{Found, Role, open_folder};
use crate::redo::REDO_FILE;
use crate::run_name::RunName;
use crate::segment::{HEADER_BYTES, SegmentLog, Step, index_name, log_name, position_in};

impl DiskStore {
    /// Opens the copy in `config.path`; `None` if there is none.
    ///
    /// # Errors
    ///
    /// [`OpenError`]. A copy that is damaged can be replaced by a new one.
    pub fn open_copy(config: DiskConfig) -> Result<Option<Self>, OpenError> {
        let (disk, lock) = open_folder(&config.path, &config.random)?;
        if Found::look(&disk, &config)?.read_format()?.is_none() {
            return Ok(None);
        }
        Self::open_on(Arc::new(disk), config, Some(lock), Role::Copy).map(Some)
    }

    /// Creates an empty copy, whose first record will be at `first`, in place of any copy in
    /// `config.path`.
    ///
    /// # Errors
    ///
    /// [`OpenError`].
    pub fn create_copy(
        config: DiskConfig,
        identity: &LogIdentity,
        first: Position,
    ) -> Result<Self, OpenError> {
        let (disk, lock) = open_folder(&config.path, &config.random)?;
        create(&disk, &config, identity, first)?;
        Self::open_on(Arc::new(disk), config, Some(lock), Role::Copy)
    }

    /// Lets rules be applied up to `upto`: the log that this is a copy of does not lose these
    /// records any more. Before the first call they are applied to none.
    ///
    /// A rule drops an event because of a later one that takes its place. If the log then lost
    /// that one, the copy could not be brought back to what the log has.
    pub fn settle(&self, upto: Position) {
        self.shared.set_settled(upto);
    }

    /// Position up to which rules may be applied.
    pub fn settled(&self) -> Position {
        self.shared.settled()
    }

    /// Position up to which rules were applied: the copy can be [cut](cut_copy) there or later.
    pub fn sorted_upto(&self) -> Position {
        self.shared.read_state().lanes.upto
    }

    /// Stores the next records of the log that this is a copy of: all or none.
    ///
    /// # Errors
    ///
    /// [`AppendError`], as for an append; [`AppendError::Damaged`] if they do not come next.
    pub fn follow(
        &self,
        first: Position,
        time: Timestamp,
        records: Vec<(Draft, Check)>,
    ) -> Result<(), AppendError> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        writer.follow(&self.shared, first, time, records)
    }
}

/// Removes the records after `upto` from the copy in `config.path`, which must not be open, and
/// gives it the name that its log now has.
///
/// # Errors
///
/// [`OpenError`]; [`OpenError::Damaged`] if the copy cannot be cut there. Then it has to be
/// replaced by a new one.
pub fn cut_copy(
    config: &DiskConfig,
    upto: Position,
    identity: &LogIdentity,
) -> Result<(), OpenError> {
    let (disk, _lock) = open_folder(&config.path, &config.random)?;
    cut(&disk, config, upto, identity)
}

/// See [`DiskStore::create_copy`].
pub(crate) fn create(
    disk: &dyn Disk,
    config: &DiskConfig,
    identity: &LogIdentity,
    first: Position,
) -> Result<(), OpenError> {
    let folder = Found::look(disk, config)?;
    match folder.read_format() {
        Ok(Some(name)) if !name.is_copy => {
            return Err(OpenError::NotACopy { path: config.path.clone() });
        }
        Ok(Some(_)) => {
            // Without its name it is no log, so an interruption leaves none.
            let removed = disk.remove(crate::log_identity::FORMAT_FILE);
            removed.and_then(|()| disk.sync()).map_err(failed("remove the copy in", config))?;
        }
        Ok(None) => {}
        // A name that cannot be read may be that of a log of its own.
        Err(error) => return Err(error),
    }
    for name in disk.names().map_err(failed("list the folder", config))? {
        let is_segment = position_in(&name, ".log").or(position_in(&name, ".index")).is_some();
        let is_sorted = RunName::of_file(&name).is_some() || name.ends_with(LOST_ENDING);
        if is_segment || is_sorted || [CATALOGUE_FILE, REDO_FILE].contains(&&*name) {
            disk.remove(&name).map_err(failed("remove the copy in", config))?;
        }
    }
    SegmentLog::create(disk, first, identity.epoch, config.durability)
        .map_err(failed("begin a segment in", config))?;
    LogName::of_copy(identity, Position::ZERO)
        .write(disk)
        .map_err(failed("write the name of the log in", config))
}

/// See [`cut_copy`].
pub(crate) fn cut(
    disk: &dyn Disk,
    config: &DiskConfig,
    upto: Position,
    identity: &LogIdentity,
) -> Result<(), OpenError> {
    let damaged = |what: &str| OpenError::Damaged {
        path: config.path.clone(),
        what: format!("it cannot be cut after record {upto}: {what}"),
    };
    let folder = Found::look(disk, config)?;
    let name = folder.read_format()?.ok_or_else(|| damaged("it is no log"))?;
    if !name.is_copy {
        return Err(OpenError::NotACopy { path: config.path.clone() });
    }
    let catalogue = folder.catalogue()?;
    let sorted = match &catalogue {
        Some(catalogue) if !Mistake::CutWhereSorted.is_planted() => catalogue.upto,
        _ => Position::ZERO,
    };
    if upto < sorted {
        return Err(damaged(&format!("rules of retention were applied up to record {sorted}")));
    }
    let mut segments = folder.firsts();
    // Those up to there are left over of a job: what they held is in runs.
    segments.retain(|first| *first >= name.kept_from && *first > sorted);
    let kept = segments.partition_point(|first| *first <= upto.next());
    let later = segments.split_off(kept);
    let first = *segments.last().ok_or_else(|| damaged("it begins later"))?;
    let log = SegmentLog::open(disk, first, &name)?;
    let log = log.ok_or_else(|| damaged("the beginning of a segment is missing"))?;
    let (end, next) = end_before(&log, upto.next()).map_err(failed("read the copy in", config))?;
    if next != upto.next() {
        return Err(damaged(&format!("record {next} is not the first of an append, or missing")));
    }
    let changed = (|| {
        for first in later.iter().rev() {
            disk.remove(&log_name(*first))?;
        }
        // If this was sealed, its mark goes, and with it the index.
        log.file.set_len(end)?;
        log.file.sync()?;
        for first in later.iter().chain([&first]) {
            disk.remove_if_there(&index_name(*first))?;
        }
        Ok(())
    })();
    changed.map_err(failed("cut the copy in", config))?;
    let new_name = LogName { format: name.format, ..LogName::of_copy(identity, name.kept_from) };
    let mut logs = Vec::new();
    for first in segments {
        logs.extend(SegmentLog::open(disk, first, &name)?);
    }
    for run in catalogue.iter().flat_map(|catalogue| &catalogue.runs) {
        logs.push(SegmentLog::open_run(disk, run.name, &name)?);
    }
    // Each has the name that the log had when it began.
    logs.retain(|log| new_name.epochs().all(|epoch| epoch != log.epoch));
    for log in logs {
        let renamed = log.rename(new_name.epoch, log.durability);
        renamed.map_err(failed("rename the copy in", config))?;
    }
    new_name.write(disk).map_err(failed("rename the copy in", config))
}

/// The offset at which the appends before `next` end, and the position that comes there.
fn end_before(log: &SegmentLog, next: Position) -> io::Result<(u64, Position)> {
    let mut end = (HEADER_BYTES as u64, log.first);
    let mut scanner = log.scan(end.0, SCAN_CHUNK_BYTES);
    while let Step::Block { offset, header, .. } = scanner.next()? {
        if header.is(SEALED) || header.next() > next {
            break;
        }
        if header.is(LAST_OF_COMMIT) {
            end = (offset + header.stride() as u64, header.next());
        }
    }
    Ok(end)
}

fn failed(action: &'static str, config: &DiskConfig) -> impl FnOnce(io::Error) -> OpenError {
    let path = config.path.clone();
    move |source| OpenError::Io { action, path, source }
}
