use std::io;

use tidings_hub::{Position, Timestamp};

use crate::disk::Disk;

use super::MemoryIndex;
use super::file::Footer;
use super::filter::{Filter, KeyKind};
use super::ids::key_of_all;
use super::keys::Entry;
use super::pages::PageWriter;

/// What the name of an index ends with while it is being written.
pub(crate) const UNFINISHED_ENDING: &str = ".new";

/// Facts about the segment that the index belongs to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Indexed {
    pub(crate) salt: u64,
    pub(crate) first: Position,
    pub(crate) log_bytes: u64,
    pub(crate) first_time: Timestamp,
    pub(crate) last_time: Timestamp,
}

/// Writes `index` to the file `name`, under another name until it is complete and synced.
pub(crate) fn write_index(
    disk: &dyn Disk,
    name: &str,
    index: &MemoryIndex,
    segment: Indexed,
) -> io::Result<()> {
    let unfinished = format!("{name}{UNFINISHED_ENDING}");
    disk.remove_if_there(&unfinished)?;
    let mut out = PageWriter::new(disk.create(&unfinished)?);
    let mut filter = Filter::new(index.filter_keys());
    let topic_offsets = write_entries(&mut out, &mut filter, KeyKind::Topic, topics(index))?;
    let id_offsets = write_entries(&mut out, &mut filter, KeyKind::Id, ids(index))?;
    for (id, _) in index.ids_in_order() {
        filter.insert(KeyKind::Id, &key_of_all(id));
    }

    let postings_at = out.offset();
    for (_, _, records) in index.in_order() {
        for posting in records {
            out.write(&posting.to_bytes())?;
        }
    }
    let blocks_at = out.offset();
    for block in index.blocks() {
        out.write(&block.to_bytes())?;
    }
    let offsets_at = out.offset();
    for offset in topic_offsets.iter().chain(&id_offsets) {
        // Entries hold texts that are also in the segment, and a segment is far below 4 GiB.
        let offset = u32::try_from(*offset).map_err(|_| io::ErrorKind::FileTooLarge)?;
        out.write(&offset.to_le_bytes())?;
    }
    let filter_at = out.offset();
    out.write(&filter.to_bytes())?;
    out.align()?;
    let footer = Footer {
        salt: segment.salt,
        first: segment.first,
        records: index.records(),
        log_bytes: segment.log_bytes,
        first_time: segment.first_time,
        last_time: segment.last_time,
        topics: topic_offsets.len() as u32 - 1,
        ids: id_offsets.len() as u32 - 1,
        blocks: index.blocks().len() as u32,
        filter_keys: index.filter_keys() as u32,
        postings_at,
        blocks_at,
        offsets_at,
        filter_at,
    };
    out.write(&footer.encode())?;
    out.finish()?;
    disk.rename(&unfinished, name)?;
    disk.sync()
}

/// An entry for each topic.
fn topics(index: &MemoryIndex) -> impl Iterator<Item = Entry> {
    let mut postings = 0;
    index.in_order().map(move |(topic, summary, records)| {
        let entry = Entry {
            text: topic.as_str().to_owned(),
            place: summary.last,
            records: summary.records,
            postings,
            first: summary.first,
            bytes: summary.bytes,
            ended: summary.ended,
        };
        postings += records.len() as u32;
        entry
    })
}

/// An entry for each topic of a publisher's own id, and one for all of them if there are several.
fn ids(index: &MemoryIndex) -> impl Iterator<Item = Entry> {
    let keys = index.ids_in_order().into_iter().flat_map(|(id, places)| places.keys(id));
    keys.map(|(text, place)| Entry { text, place, ..Entry::default() })
}

/// Writes `entries`. Returns the offset of each, and of the end of the last one.
fn write_entries(
    out: &mut PageWriter,
    filter: &mut Filter,
    kind: KeyKind,
    entries: impl Iterator<Item = Entry>,
) -> io::Result<Vec<u64>> {
    let mut offsets = Vec::new();
    let mut bytes = Vec::new();
    for entry in entries {
        offsets.push(out.offset());
        bytes.clear();
        entry.encode(kind, &mut bytes);
        out.write(&bytes)?;
        filter.insert(kind, &entry.text);
    }
    offsets.push(out.offset());
    Ok(offsets)
}
