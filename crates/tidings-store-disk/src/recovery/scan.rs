//! Reading a whole segment: the newest one when the log is opened, any other when its index is
//! missing.

use std::io;

use tidings_hub::{Draft, Position, Timestamp};

use crate::block::{self, ALIGN, CLOSED, Header, LAST_OF_COMMIT, SEALED};
use crate::config::Durability;
use crate::error::OpenError;
use crate::index::{BlockEntry, MemoryIndex};
use crate::record::{self, TopicTexts};
use crate::segment::{HEADER_BYTES, Scanner, SegmentLog, Step};

/// Bytes read from the disk at once.
const CHUNK_BYTES: usize = 1 << 20;

/// The content of a segment.
pub(super) struct Scan {
    pub(super) index: MemoryIndex,
    /// The position after its last record.
    pub(super) next: Position,
    pub(super) first_time: Timestamp,
    pub(super) last_time: Timestamp,
    /// Offset at which the last complete append ends.
    pub(super) end: u64,
    /// Offset of the first block that is not valid.
    pub(super) stopped: u64,
    pub(super) file_bytes: u64,
    pub(super) is_sealed: bool,
    /// Whether nothing was ever written after its header.
    pub(super) is_untouched: bool,
    /// Whether there is an incomplete append after `end`.
    pub(super) is_torn: bool,
    /// Whether the last block written says that the log was closed cleanly, so that all of it was
    /// synced.
    pub(super) is_closed: bool,
    /// In a log that is not synced at every append: a valid block after a broken one.
    pub(super) later: Option<Later>,
}

/// A valid block after a broken one.
#[derive(Clone, Copy)]
pub(super) struct Later {
    pub(super) offset: u64,
    /// Whether one of them says that the log was closed cleanly: then the broken one had been
    /// synced.
    pub(super) is_synced: bool,
}

/// Reads all of `log`.
///
/// # Errors
///
/// [`OpenError::Damaged`] if a block that was once intact is broken.
pub(super) fn scan(log: &SegmentLog) -> Result<Scan, OpenError> {
    let fail = |source| OpenError::Io { action: "read", path: log.path.clone(), source };
    let mut scanner = log.scan(HEADER_BYTES as u64, CHUNK_BYTES);
    let mut walk = Walk::new(log.first);
    loop {
        match scanner.next().map_err(fail)? {
            // The end of the file, zeros, or a block that is not valid.
            Step::Stop => break,
            Step::Block { offset, header, body } => {
                // Its checksum is right, so no torn write explains what is wrong from here on.
                if !walk.follows(&header) {
                    return Err(OpenError::Damaged {
                        path: log.path.clone(),
                        what: format!("the block at byte {offset} is out of order"),
                    });
                }
                if !walk.take(offset, &header, body) {
                    return Err(OpenError::Damaged {
                        path: log.path.clone(),
                        what: format!("the records at byte {offset} cannot be decoded"),
                    });
                }
                if walk.is_sealed {
                    break;
                }
            }
        }
    }
    // Preallocated room is zeros. Any other byte after the last append is one that was not
    // completed, or one that was and has been damaged: a later block tells them apart. Preallocated
    // room is zeros. Any other byte after the last append is one that was not completed, or one
    // that was and has been damaged: a later block tells them apart.
    let stopped = scanner.offset();
    let file_bytes = log.file.len().map_err(fail)?;
    let rest_is_zero = is_zero(&mut scanner, walk.end, file_bytes).map_err(fail)?;
    let mut later = None;
    if !rest_is_zero {
        let any = find_later(log, &walk, stopped, file_bytes, |_| true).map_err(fail)?;
        if let Some(offset) = any {
            // With fsync the later append was written only after the broken one was synced.
            // With fsync the later append was written only after the broken one was synced.
            if log.durability == Durability::Fsync {
                return Err(broken_before(log, stopped, offset));
            }
            // Without, only a clean end was certainly preceded by a sync.
            // Without, only a clean end was certainly preceded by a sync.
            let closed = |header: &Header| header.is(CLOSED);
            let closed = find_later(log, &walk, stopped, file_bytes, closed).map_err(fail)?;
            later = Some(Later { offset, is_synced: closed.is_some() });
        }
    }
    Ok(Scan {
        is_untouched: walk.end == HEADER_BYTES as u64 && rest_is_zero,
        is_torn: !rest_is_zero,
        is_closed: walk.is_closed && rest_is_zero,
        later,
        index: walk.index,
        next: walk.next,
        first_time: walk.first_time,
        last_time: walk.last_time,
        end: walk.end,
        stopped,
        file_bytes,
        is_sealed: walk.is_sealed,
    })
}

/// The error for a block that was damaged after it was on the disk.
pub(super) fn broken_before(log: &SegmentLog, stopped: u64, later: u64) -> OpenError {
    OpenError::Damaged {
        path: log.path.clone(),
        what: format!(
            "the block at byte {stopped} is broken, and there are later ones, at {later}"
        ),
    }
}

/// Cuts off an incomplete append, and makes sure that the rest is on the disk: the process may have
/// ended between a write and its sync.
pub(super) fn take_away_torn_end(log: &SegmentLog, scan: &mut Scan) -> io::Result<()> {
    if scan.is_torn {
        if log.durability == Durability::Fsync {
            tracing::warn!(
                path = %log.path.display(),
                from_byte = scan.end,
                bytes = scan.file_bytes - scan.end,
                next_position = %scan.next,
                "removing an append that was not completed before the process or the machine \
                 stopped; it was never acknowledged"
            );
        }
        // When the file grows again, these bytes read as zeros, so they are not found a second
        // time.
        return cut(log, scan);
    }
    log.file.sync()
}

/// Cuts the file after the last complete append, and makes sure that the rest is on the disk.
pub(super) fn cut(log: &SegmentLog, scan: &mut Scan) -> io::Result<()> {
    log.file.set_len(scan.end)?;
    scan.file_bytes = scan.end;
    log.file.sync()
}

/// Follows the blocks of a segment, append by append.
struct Walk {
    index: MemoryIndex,
    /// The position after the last complete append.
    next: Position,
    first_time: Timestamp,
    last_time: Timestamp,
    /// Offset at which the last complete append ends.
    end: u64,
    is_sealed: bool,
    is_closed: bool,
    texts: TopicTexts,
    /// Blocks of an append whose last block has not been seen yet.
    open: Vec<(BlockEntry, Vec<(Draft, usize)>)>,
    /// The position after them.
    open_next: Position,
}

impl Walk {
    fn new(first: Position) -> Self {
        Self {
            index: MemoryIndex::default(),
            next: first,
            first_time: Timestamp::default(),
            last_time: Timestamp::default(),
            end: HEADER_BYTES as u64,
            is_sealed: false,
            is_closed: false,
            texts: TopicTexts::default(),
            open: Vec::new(),
            open_next: first,
        }
    }

    fn follows(&self, header: &Header) -> bool {
        header.first == self.open_next
            && header.commit == self.next
            && (self.open.is_empty() || header.count > 0)
    }

    /// Takes a block; `false` if its records cannot be decoded.
    fn take(&mut self, offset: u64, header: &Header, body: &[u8]) -> bool {
        let mut drafts = Vec::with_capacity(header.count as usize);
        let mut rest = body;
        for _ in 0..header.count {
            let Some((view, behind)) = record::split(rest) else {
                return false;
            };
            let Some(draft) = view.head(&mut self.texts) else {
                return false;
            };
            drafts.push((draft, rest.len() - behind.len()));
            rest = behind;
        }
        let Ok(at) = u32::try_from(offset) else {
            return false;
        };
        if header.count > 0 {
            let place = self.index.records() + (header.first.get() - self.next.get()) as u32;
            self.open.push((BlockEntry { place, offset: at, time: header.time }, drafts));
        }
        // Events count only with the last block of their append: an append is whole or not there.
        // Events count only with the last block of their append: an append is whole or not there.
        self.open_next = header.next();
        if header.is(LAST_OF_COMMIT) {
            if !self.open.is_empty() {
                if self.index.records() == 0 {
                    self.first_time = header.time;
                }
                self.last_time = header.time;
            }
            for (block, drafts) in self.open.drain(..) {
                self.index.add_block(block);
                for (draft, bytes) in &drafts {
                    self.index.add_record(draft, *bytes);
                }
            }
            self.next = self.open_next;
            self.end = offset + header.stride() as u64;
            self.is_sealed = header.is(SEALED);
            self.is_closed = header.is(CLOSED);
        }
        true
    }
}

fn is_zero(scanner: &mut Scanner<'_>, from: u64, to: u64) -> io::Result<bool> {
    let mut at = from;
    while at < to {
        let bytes = scanner.raw(at, CHUNK_BYTES)?;
        if bytes.is_empty() {
            break;
        }
        if bytes.iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
        at += bytes.len() as u64;
    }
    Ok(true)
}

/// Finds a block after `stopped` that was written after the broken one was synced.
fn find_later(
    log: &SegmentLog,
    walk: &Walk,
    stopped: u64,
    file_bytes: u64,
    is_wanted: impl Fn(&Header) -> bool,
) -> io::Result<Option<u64>> {
    let mut scanner = log.scan(stopped, CHUNK_BYTES);
    // Blocks begin at multiples of the alignment, so every such place is tried. A window
    // begins with the first place whose header did not fit into the window before.
    // Blocks begin at multiples of the alignment, so every such place is tried. The windows overlap
    // by less than a header, so none is missed between two of them.
    let mut at = stopped + ALIGN as u64;
    let mut window = Vec::new();
    while at + block::HEADER_BYTES as u64 <= file_bytes {
        window.clear();
        window.extend_from_slice(scanner.raw(at, CHUNK_BYTES)?);
        if window.len() < block::HEADER_BYTES {
            break;
        }
        let last = window.len() - block::HEADER_BYTES;
        for start in (0..=last).step_by(ALIGN) {
            let bytes = window[start..][..block::HEADER_BYTES].try_into().expect("of that length");
            let Some(header) = Header::decode(bytes, log.salt) else {
                continue;
            };
            let offset = at + start as u64;
            // It is a later append, or the first block of the one that should be at `stopped`.
            let begins_next = header.first == header.commit && header.count > 0;
            let is_later = header.commit > walk.next
                || (header.commit == walk.next && begins_next && offset != walk.end);
            if !is_later || !is_wanted(&header) {
                continue;
            }
            // The salt makes an accident unlikely; the checksum of the whole block rules it out.
            // The salt makes an accident unlikely; the checksum of the whole block rules it out.
            let mut whole = log.scan(offset, header.stride());
            if matches!(whole.next()?, Step::Block { .. }) {
                return Ok(Some(offset));
            }
        }
        at += (last / ALIGN * ALIGN + ALIGN) as u64;
    }
    Ok(None)
}
