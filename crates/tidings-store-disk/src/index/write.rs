use std::io;
use std::sync::Arc;

use tidings_hub::{Position, Timestamp};

use crate::disk::{Disk, DiskFile};

use super::MemoryIndex;
use super::file::Footer;
use super::filter::{Filter, KeyKind};
use super::keys::Entry;

/// Bytes collected before they are written.
const WRITE_BYTES: usize = 256 << 10;

/// What is known of the segment that the index belongs to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Indexed {
    pub(crate) salt: u64,
    pub(crate) first: Position,
    pub(crate) log_bytes: u64,
    pub(crate) first_time: Timestamp,
    pub(crate) last_time: Timestamp,
}

/// Writes `index` to the file `name`, under another name until it is whole and synced.
pub(crate) fn write_index(
    disk: &dyn Disk,
    name: &str,
    index: &MemoryIndex,
    segment: Indexed,
) -> io::Result<()> {
    let unfinished = format!("{name}.new");
    match disk.remove(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut out = Output { file: disk.create(&unfinished)?, buffer: Vec::new(), flushed: 0 };

    let mut filter = Filter::new(index.keys());
    let mut topic_offsets = Vec::new();
    let mut postings = 0;
    for (topic, summary, records) in index.in_order() {
        topic_offsets.push(out.offset());
        let entry = Entry {
            text: topic.as_str().to_owned(),
            place: summary.last,
            records: summary.records,
            postings,
            ended: summary.ended,
        };
        out.write(|buffer| entry.encode(buffer))?;
        filter.insert(KeyKind::Topic, topic.as_str());
        postings += records.len() as u32;
    }
    topic_offsets.push(out.offset());
    let ids = index.ids_in_order();
    let mut id_offsets = Vec::new();
    for (id, place) in &ids {
        id_offsets.push(out.offset());
        let text = id.as_str().to_owned();
        let entry = Entry { text, place: *place, records: 0, postings: 0, ended: false };
        out.write(|buffer| entry.encode(buffer))?;
        filter.insert(KeyKind::Id, id.as_str());
    }
    id_offsets.push(out.offset());

    let postings_at = out.offset();
    for (_, _, records) in index.in_order() {
        for posting in records {
            out.write(|buffer| buffer.extend_from_slice(&posting.to_bytes()))?;
        }
    }
    let blocks_at = out.offset();
    for block in index.blocks() {
        out.write(|buffer| buffer.extend_from_slice(&block.to_bytes()))?;
    }
    let offsets_at = out.offset();
    for offset in topic_offsets.iter().chain(&id_offsets) {
        // Entries hold texts that are in the segment too, and a segment is far below 4 GiB.
        let offset = u32::try_from(*offset).map_err(|_| io::ErrorKind::FileTooLarge)?;
        out.write(|buffer| buffer.extend_from_slice(&offset.to_le_bytes()))?;
    }
    let filter_at = out.offset();
    let filter = filter.to_bytes();
    out.write(|buffer| buffer.extend_from_slice(&filter))?;
    let footer = Footer {
        salt: segment.salt,
        first: segment.first,
        records: index.records(),
        log_bytes: segment.log_bytes,
        first_time: segment.first_time,
        last_time: segment.last_time,
        topics: topic_offsets.len() as u32 - 1,
        ids: ids.len() as u32,
        blocks: index.blocks().len() as u32,
        filter_crc: crc32fast::hash(&filter),
        postings_at,
        blocks_at,
        offsets_at,
        filter_at,
    };
    out.write(|buffer| buffer.extend_from_slice(&footer.encode()))?;
    out.flush()?;
    out.file.sync()?;
    disk.rename(&unfinished, name)?;
    disk.sync()
}

/// A file being written from its beginning.
struct Output {
    file: Arc<dyn DiskFile>,
    buffer: Vec<u8>,
    flushed: u64,
}

impl Output {
    fn offset(&self) -> u64 {
        self.flushed + self.buffer.len() as u64
    }

    fn write(&mut self, fill: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        fill(&mut self.buffer);
        if self.buffer.len() < WRITE_BYTES {
            return Ok(());
        }
        self.flush()
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.write_at(&self.buffer, self.flushed)?;
        self.flushed += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}
