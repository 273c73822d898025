//! `Head`: a block's fields other than data, and the last event id.

use alloc::string::String;
use core::mem;

use crate::limits::BUFFER_BYTES_KEPT_MAX;

/// The buffers for type, ids and retry. A block is the lines up to the next blank line.
#[derive(Debug, Clone, Default)]
pub(crate) struct Head {
    /// The type buffer.
    pub(crate) event_type: String,
    /// The id buffer. After a commit it holds the previous last event id.
    id: String,
    /// Whether the block has a valid id.
    pub(crate) has_id: bool,
    /// The block's reconnection time, in milliseconds.
    pub(crate) retry_ms: Option<u64>,
    /// The last event id.
    last_event_id: String,
}

impl Head {
    /// Sets the id buffer.
    pub(crate) fn set_id(&mut self, id: &str) {
        self.id.clear();
        self.id.push_str(id);
        self.has_id = true;
    }

    /// Sets the last event id, as if by an event.
    pub(crate) fn set_last_event_id(&mut self, id: &str) {
        self.last_event_id.clear();
        self.last_event_id.push_str(id);
    }

    /// Makes the id of the complete block, if it has one, the last event id.
    #[inline]
    pub(crate) fn commit_id(&mut self) {
        if self.has_id {
            mem::swap(&mut self.id, &mut self.last_event_id);
        }
    }

    /// Forgets the block, but not the last event id.
    #[inline]
    pub(crate) fn clear(&mut self) {
        recycle(&mut self.event_type);
        recycle(&mut self.id);
        self.has_id = false;
        self.retry_ms = None;
    }

    /// Frees the buffers that are empty.
    pub(crate) fn release(&mut self) {
        for buffer in [&mut self.event_type, &mut self.id] {
            if buffer.is_empty() {
                *buffer = String::new();
            }
        }
    }

    /// Number of bytes kept for the block.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.event_type.len() + self.id.len()
    }

    /// The last event id.
    pub(crate) fn last_event_id(&self) -> &str {
        &self.last_event_id
    }
}

/// Empties a buffer, and frees its memory if there is much of it.
#[inline]
fn recycle(buffer: &mut String) {
    if buffer.capacity() > BUFFER_BYTES_KEPT_MAX {
        *buffer = String::new();
    }
    buffer.clear();
}
