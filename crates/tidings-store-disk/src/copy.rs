//! A node's copy of a log that is held elsewhere.
//!
//! The log decides positions, times and checks; the copy stores them as they come. It may begin at
//! any position, and nothing is lost with it: what is missing at its end is copied again, and a
//! damaged copy can be thrown away. So it needs no syncs, and never changes its name by itself.

use std::io;
use std::sync::{Arc, PoisonError};

use tidings_hub::{AppendError, Check, Draft, LogIdentity, Position, Timestamp};

use crate::DiskStore;
use crate::block::{LAST_OF_COMMIT, SEALED};
use crate::config::DiskConfig;
use crate::disk::Disk;
use crate::error::OpenError;
use crate::limits::SCAN_CHUNK_BYTES;
use crate::log_identity::LogName;
use crate::recovery::{Found, Role, open_folder};
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
        if position_in(&name, ".log").or(position_in(&name, ".index")).is_some() {
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
    let mut segments = folder.firsts();
    segments.retain(|first| *first >= name.kept_from);
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
    for first in segments {
        // A segment has the name that the log had when it began.
        if let Some(log) = SegmentLog::open(disk, first, &name)?
            && new_name.epochs().all(|epoch| epoch != log.epoch)
        {
            let renamed = log.rename(new_name.epoch, log.durability);
            renamed.map_err(failed("rename the copy in", config))?;
        }
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
