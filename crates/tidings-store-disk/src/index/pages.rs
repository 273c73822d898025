//! A file of pages, each with a checksum, addressed as if the checksums were not there.
//!
//! No damage to an index file goes unnoticed: a page is [`PAGE_BYTES`] bytes of content and their
//! CRC-32.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::block::u32_at;
use crate::disk::DiskFile;
use crate::error::Fault;

/// Bytes of content in a page.
pub(super) const PAGE_BYTES: usize = 4092;

/// Bytes of a page in the file.
const STRIDE: usize = PAGE_BYTES + 4;

/// Pages collected before they are written.
const WRITE_PAGES: usize = 64;

/// A file of pages being written from its beginning.
pub(super) struct PageWriter {
    file: Arc<dyn DiskFile>,
    /// Content of the page being filled.
    page: Vec<u8>,
    /// Whole pages, not yet written.
    ready: Vec<u8>,
    /// Their offset in the file.
    written: u64,
}

impl PageWriter {
    pub(super) fn new(file: Arc<dyn DiskFile>) -> Self {
        Self { file, page: Vec::new(), ready: Vec::new(), written: 0 }
    }

    /// The address of the next byte.
    pub(super) fn offset(&self) -> u64 {
        let pages = (self.written + self.ready.len() as u64) / STRIDE as u64;
        pages * PAGE_BYTES as u64 + self.page.len() as u64
    }

    pub(super) fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let room = PAGE_BYTES - self.page.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.page.extend_from_slice(now);
            bytes = later;
            if self.page.len() == PAGE_BYTES {
                self.end_page()?;
            }
        }
        Ok(())
    }

    /// Begins a new page, unless the current one is empty.
    pub(super) fn align(&mut self) -> io::Result<()> {
        if self.page.is_empty() { Ok(()) } else { self.end_page() }
    }

    /// Writes what is left, and syncs the file.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.align()?;
        self.flush()?;
        self.file.sync()
    }

    fn end_page(&mut self) -> io::Result<()> {
        self.page.resize(PAGE_BYTES, 0);
        self.ready.extend_from_slice(&self.page);
        self.ready.extend_from_slice(&crc32fast::hash(&self.page).to_le_bytes());
        self.page.clear();
        if self.ready.len() < WRITE_PAGES * STRIDE {
            return Ok(());
        }
        self.flush()
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.write_at(&self.ready, self.written)?;
        self.written += self.ready.len() as u64;
        self.ready.clear();
        Ok(())
    }
}

/// A file of pages being read.
pub(super) struct PageReader {
    file: Arc<dyn DiskFile>,
    path: PathBuf,
    file_bytes: u64,
}

impl PageReader {
    /// `None` if the file does not consist of whole pages.
    pub(super) fn open(file: Arc<dyn DiskFile>, path: PathBuf) -> io::Result<Option<Self>> {
        let file_bytes = file.len()?;
        let whole = file_bytes > 0 && file_bytes.is_multiple_of(STRIDE as u64);
        Ok(whole.then_some(Self { file, path, file_bytes }))
    }

    /// Length of the file.
    pub(super) fn file_bytes(&self) -> u64 {
        self.file_bytes
    }

    /// The address after the last page.
    pub(super) fn end(&self) -> u64 {
        self.file_bytes / STRIDE as u64 * PAGE_BYTES as u64
    }

    /// The `count` bytes at an address.
    pub(super) fn read(&self, address: u64, count: usize) -> Result<Vec<u8>, Fault> {
        let to = address.checked_add(count as u64).filter(|to| *to <= self.end());
        let to = to.ok_or_else(|| self.damaged("it points beyond its end"))?;
        let page = PAGE_BYTES as u64;
        let first = address / page;
        let pages = (to.div_ceil(page).max(first + 1) - first) as usize;
        let mut raw = vec![0; pages * STRIDE];
        let read = self.file.read_at(&mut raw, first * STRIDE as u64);
        let read = read.map_err(|error| Fault::io("read", &self.path, error))?;
        if read < raw.len() {
            return Err(self.damaged("it was truncated"));
        }
        let mut content = Vec::with_capacity(pages * PAGE_BYTES);
        for (n, page) in raw.chunks_exact(STRIDE).enumerate() {
            let (bytes, crc) = page.split_at(PAGE_BYTES);
            if u32_at(crc, 0) != crc32fast::hash(bytes) {
                let at = (first + n as u64) * STRIDE as u64;
                return Err(self.damaged(&format!("the checksum of the page at byte {at}")));
            }
            content.extend_from_slice(bytes);
        }
        let skip = (address - first * page) as usize;
        content.drain(..skip);
        content.truncate(count);
        Ok(content)
    }

    pub(super) fn damaged(&self, what: &str) -> Fault {
        Fault::damaged(&self.path, format_args!("{what}; it will be rebuilt"))
    }
}
