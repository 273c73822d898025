use std::sync::Arc;

use tidings_codec::gzip::Deflater;

use crate::limits::{WINDOW_EVENTS_MAX, WINDOW_MS_MAX};
use crate::record::Record;

/// The text that the next event of a group may refer to when it is compressed.
#[derive(Debug)]
pub(crate) struct Window {
    deflater: Deflater,
    /// The last event in it.
    last: Arc<Record>,
    events: usize,
    began_ms: u64,
}

impl Window {
    /// One that begins with `record`, whose text is `text`, at `now_ms`.
    pub(crate) fn new(record: &Arc<Record>, text: &[u8], now_ms: u64) -> Self {
        let mut deflater = Deflater::new();
        deflater.begin_with(text);
        Self { deflater, last: Arc::clone(record), events: 1, began_ms: now_ms }
    }

    /// Begins anew.
    pub(crate) fn restart(&mut self, record: &Arc<Record>, text: &[u8], now_ms: u64) {
        self.deflater.begin_with(text);
        (self.last, self.events, self.began_ms) = (Arc::clone(record), 1, now_ms);
    }

    /// Adds an event; returns its block.
    pub(crate) fn block(&mut self, record: &Arc<Record>, text: &[u8]) -> Vec<u8> {
        let mut block = Vec::with_capacity(text.len());
        self.deflater.block(&mut block, text);
        self.last = Arc::clone(record);
        self.events += 1;
        block
    }

    /// The last event in it.
    pub(crate) fn last(&self) -> &Record {
        &self.last
    }

    /// Whether the next event may still refer to it at `now_ms`.
    pub(crate) fn is_open(&self, now_ms: u64) -> bool {
        self.events < WINDOW_EVENTS_MAX && now_ms < self.began_ms + WINDOW_MS_MAX
    }
}
