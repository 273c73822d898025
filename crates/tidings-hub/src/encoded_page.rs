use std::sync::Arc;

use tidings_codec::gzip::{Checksum, Deflater, STORED_OVERHEAD_BYTES};

use crate::coding::{Coding, Sharing};
use crate::epoch::Epoch;
use crate::error::ReadError;
use crate::frame::Frame;
use crate::framing::Framing;
use crate::half_sent::HalfSent;
use crate::interest::Interest;
use crate::limits::BLOCK_TEXT_BYTES_MAX;
use crate::position::Position;
use crate::record::Record;
use crate::store::{Log, Page, StatePage};
use crate::stream_form::StreamForm;
use crate::topic::Topic;

/// Records of the log, as the bytes that a subscriber gets.
#[derive(Debug, Default)]
pub struct EncodedPage {
    /// The frames, one after the other, in the form of the subscriber's stream.
    pub bytes: Vec<u8>,
    /// Where each ends in `bytes`.
    pub ends: Vec<(Position, usize)>,
    /// How far the read came; see [`Page::reached`](crate::Page).
    pub reached: Position,
    /// Topics of the interest whose newest record, when the page was read, was an end no later than
    /// `reached`. A topic may end after a subscriber asked for it and before a shard has registered
    /// the subscriber: then only the topic's history shows it.
    pub ended: Vec<Topic>,
    /// See [`StatePage::successor`].
    pub(crate) successor: Position,
    /// What follows the end of the state: the ends of topics.
    pub(crate) after_state: Vec<u8>,
    /// Positions of records that are not [steady](Frame::is_steady), ascending; nearly always none.
    unsteady: Vec<Position>,
    /// Whether one of the records is the end of a topic.
    has_end: bool,
    /// The last frame, if it is the end of a topic.
    last_end: Option<Box<Frame>>,
    /// Whether the stream ends with the page: everything that its reader wants had ended.
    pub(crate) is_last: bool,
    /// Where each block ends in `bytes` if they are compressed, with the checksum of all the text
    /// up to there. Records of one block all end with it.
    blocks: Vec<(usize, Checksum)>,
}

impl EncodedPage {
    /// The bytes of `page`, of the log named `epoch`, in `form`: record for record the same bytes
    /// that a [`Frame`] of each would hold.
    pub fn encode(page: &Page, form: StreamForm, epoch: Epoch) -> Self {
        let mut encoded = Self { reached: page.reached, ..Self::default() };
        let mut block = match form.coding {
            Coding::Identity => None,
            Coding::Gzip(sharing) => Some(Block::new(form.framing, sharing)),
        };
        for record in &page.records {
            let frame = Frame::encode(Arc::clone(record), epoch);
            match &mut block {
                None => encoded.bytes.extend_from_slice(frame.bytes(form)),
                Some(block) => encoded.compress(block, record, &frame, form),
            }
            let ends_topic = record.kind.ends_topic();
            encoded.has_end |= ends_topic;
            encoded.ends.push((record.position(), encoded.bytes.len()));
            if !frame.is_steady(form) {
                encoded.unsteady.push(record.position());
            }
            encoded.last_end = ends_topic.then(|| Box::new(frame));
        }
        if let Some(block) = &mut block {
            encoded.finish(block);
        }
        encoded
    }

    /// Adds a record to the block, or as bytes of its own, which are then the same whenever it is
    /// encoded: the first record, of which a reader may have a part, and what is private, large, or
    /// the end of a topic.
    fn compress(
        &mut self,
        block: &mut Block,
        record: &Arc<Record>,
        frame: &Frame,
        form: StreamForm,
    ) {
        let text = frame.text(form);
        if text.is_empty() {
            return;
        }
        let is_first = self.blocks.is_empty() && block.text.is_empty();
        if is_first || !Sharing::admits(record) || text.len() > BLOCK_TEXT_BYTES_MAX {
            self.finish(block);
            block.last = None;
            self.bytes.extend_from_slice(frame.bytes(form));
            self.blocks.push((self.bytes.len(), self.sum().then(Checksum::of(text))));
            return;
        }
        let last = block.last.replace(Arc::clone(record));
        if !last.is_some_and(|last| block.sharing.joins(&last, record)) {
            self.finish(block);
            block.deflater.forget();
        } else if block.text.len() + text.len() > BLOCK_TEXT_BYTES_MAX {
            self.finish(block);
        }
        if block.text.is_empty() {
            block.first = self.ends.len();
        }
        block.text.extend_from_slice(text);
    }

    /// Adds the block, if there is anything in it: its records end here.
    fn finish(&mut self, block: &mut Block) {
        if block.text.is_empty() {
            return;
        }
        let mut compressed = Vec::with_capacity(block.text.len() / 2);
        block.deflater.block(&mut compressed, &block.text);
        block.framing.wrap(&mut self.bytes, &compressed);
        self.blocks.push((self.bytes.len(), self.sum().then(Checksum::of(&block.text))));
        for (_, end) in &mut self.ends[block.first..] {
            *end = self.bytes.len();
        }
        block.text.clear();
    }

    /// The checksum of all its text.
    fn sum(&self) -> Checksum {
        self.blocks.last().map_or(Checksum::default(), |(_, sum)| *sum)
    }

    /// The checksum of the text in the blocks that end within the first `sent` bytes.
    pub(crate) fn sum_at(&self, sent: usize) -> Checksum {
        let whole = self.blocks.partition_point(|(end, _)| *end <= sent);
        whole.checked_sub(1).map_or(Checksum::default(), |last| self.blocks[last].1)
    }

    /// Where the block ends that is cut after `sent` bytes, if one is, and is not too large to be
    /// kept for a reader. A larger one is a single record, of which the rest can be found again.
    pub(crate) fn rest_of_block(&self, sent: usize) -> Option<usize> {
        let cut = self.blocks.partition_point(|(end, _)| *end <= sent);
        let start = cut.checked_sub(1).map_or(0, |before| self.blocks[before].0);
        let (end, _) = *self.blocks.get(cut)?;
        (sent > start && end - start <= BLOCK_BYTES_KEPT_MAX).then_some(end)
    }

    /// The bytes of a page of the state.
    pub fn encode_state(state: &StatePage, form: StreamForm, epoch: Epoch) -> Self {
        let mut encoded = Self::encode(&state.page, form, epoch);
        encoded.successor = state.successor;
        for end in &state.ends {
            let frame = Frame::encode(Arc::clone(end), epoch);
            let text = if state.is_over { frame.last_text(form) } else { frame.text(form).into() };
            encoded.after_state.extend_from_slice(&text);
            encoded.ended.push(end.topic.clone());
        }
        encoded
    }

    /// The bytes from `sent` to the end of record number `whole`.
    pub(crate) fn rest_of(&self, whole: usize, sent: usize) -> &[u8] {
        self.ends.get(whole).map_or(&[], |(_, end)| &self.bytes[sent..*end])
    }

    /// Adds the topics of `interest` that have ended, if the page, which was to be read up to
    /// `upto`, can be the last one before its reader is live: asking the store takes as long as
    /// reading a short page.
    ///
    /// # Errors
    ///
    /// [`ReadError`](crate::ReadError) if the store cannot be read.
    pub fn with_ended(
        mut self,
        store: &dyn Log,
        interest: &Interest,
        form: StreamForm,
        upto: Position,
    ) -> Result<Self, ReadError> {
        if !self.has_end && self.reached < upto {
            return Ok(self);
        }
        let ended = interest.ended_topics(store)?.into_iter();
        self.ended = ended.filter(|(_, at)| *at <= self.reached).map(|(topic, _)| topic).collect();
        if self.ended.len() == interest.wanted().len()
            && let Some(last) = self.last_end.take()
        {
            self.is_last = true;
            self.ends.pop();
            let start = self.ends.last().map_or(0, |(_, end)| *end);
            self.bytes.truncate(start);
            self.bytes.extend_from_slice(&last.last_bytes(form));
            self.ends.push((last.position(), self.bytes.len()));
            if form.coding.is_gzip() && self.bytes.len() > start {
                self.blocks.pop_if(|(end, _)| *end > start);
                let sum = self.sum().then(Checksum::of(&last.last_text(form)));
                self.blocks.push((self.bytes.len(), sum));
            }
        }
        Ok(self)
    }

    /// Position of the first record with bytes, if it is [steady](Frame::is_steady): then the rest
    /// of it fits a part of it that was sent before.
    pub(crate) fn begins_with(&self) -> Option<Position> {
        let first = self.ends.iter().find(|(_, end)| *end > 0);
        first.and_then(|(position, _)| self.steady(*position))
    }

    /// The place in the log after the first `sent` bytes of the page, which begins after `after`:
    /// the number of records sent in full, the last of them, and the part of the next one.
    pub(crate) fn place_after(&self, sent: usize, after: Position) -> (usize, Position, HalfSent) {
        let whole = self.ends.partition_point(|(_, end)| *end <= sent);
        let (after, start) = whole.checked_sub(1).map_or((after, 0), |last| self.ends[last]);
        let next = self.ends.get(whole).and_then(|(position, _)| self.steady(*position));
        (whole, after, HalfSent::new(sent - start, after, next))
    }

    fn steady(&self, position: Position) -> Option<Position> {
        Some(position).filter(|position| self.unsteady.binary_search(position).is_err())
    }
}

/// Records that are compressed together.
struct Block {
    framing: Framing,
    sharing: Sharing,
    deflater: Deflater,
    text: Vec<u8>,
    /// Index of its first record in the page.
    first: usize,
    /// The record before, if the next one may refer to it.
    last: Option<Arc<Record>>,
}

impl Block {
    fn new(framing: Framing, sharing: Sharing) -> Self {
        let (deflater, text) = (Deflater::new(), Vec::new());
        Self { framing, sharing, deflater, text, first: 0, last: None }
    }
}

/// Bytes of the largest block that is kept for a reader: stored, and in a chunk.
pub(crate) const BLOCK_BYTES_KEPT_MAX: usize = BLOCK_TEXT_BYTES_MAX + STORED_OVERHEAD_BYTES + 16;
