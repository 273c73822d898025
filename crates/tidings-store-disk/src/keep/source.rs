use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use tidings_hub::{Position, Timestamp};

use crate::error::Fault;
use crate::limits::SCAN_CHUNK_BYTES;
use crate::record;
use crate::records::{Entry, Records};
use crate::segment::{HEADER_BYTES, Scanner, Sealed};

/// All records of some files, in log order. Each stream is a number of files in order.
pub(super) struct Source<'a> {
    streams: Vec<Stream<'a>>,
}

/// Files that are read one after the other, block by block.
struct Stream<'a> {
    files: &'a [Arc<Sealed>],
    scanner: Option<Scanner<'a>>,
    /// The body of the block that was read last.
    body: Vec<u8>,
    /// Its records that were not given out yet.
    records: VecDeque<(Position, Timestamp, Range<usize>)>,
}

impl<'a> Source<'a> {
    pub(super) fn of(streams: &'a [Vec<Arc<Sealed>>]) -> Self {
        let stream = |files: &'a Vec<Arc<Sealed>>| Stream {
            files,
            scanner: None,
            body: Vec::new(),
            records: VecDeque::new(),
        };
        Self { streams: streams.iter().map(stream).collect() }
    }

    /// The next record; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Entry<'_>>, Fault> {
        for stream in &mut self.streams {
            stream.fill()?;
        }
        let next = |stream: &Stream<'_>| stream.records.front().map(|(position, ..)| *position);
        let with_any = self.streams.iter_mut().filter(|stream| !stream.records.is_empty());
        let Some(stream) = with_any.min_by_key(|stream| next(stream)) else {
            return Ok(None);
        };
        stream.take().map(Some)
    }
}

impl Stream<'_> {
    /// Reads blocks until there is a record, or no more blocks.
    fn fill(&mut self) -> Result<(), Fault> {
        while self.records.is_empty() {
            let Some(file) = self.files.first() else {
                return Ok(());
            };
            let log = &*file.log;
            let start = HEADER_BYTES as u64;
            let scanner = self.scanner.get_or_insert_with(|| log.scan(start, SCAN_CHUNK_BYTES));
            if scanner.offset() >= file.log_bytes {
                (self.files, self.scanner) = (&self.files[1..], None);
                continue;
            }
            let block = log.next_block(scanner)?;
            let mut records = Records::of(&block);
            while let Some(entry) = records.next(log)? {
                let start = entry.raw.as_ptr() as usize - block.body.as_ptr() as usize;
                let range = start..start + entry.raw.len();
                self.records.push_back((entry.position, entry.time, range));
            }
            self.body.clear();
            self.body.extend_from_slice(block.body);
        }
        Ok(())
    }

    fn take(&mut self) -> Result<Entry<'_>, Fault> {
        let (position, time, range) = self.records.pop_front().expect("it has one");
        let raw = &self.body[range];
        let file = self.files.first().expect("the record is in it");
        let (view, _) = record::split(raw).ok_or_else(|| file.log.unreadable(position))?;
        Ok(Entry { position, time, view, raw })
    }
}
