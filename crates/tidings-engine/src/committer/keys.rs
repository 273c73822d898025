//! Which drafts with keys are appended: what their publishers expect of a key must be so, a key
//! must be there to be removed, new keys must have room, and a piece must fit the value that it is
//! added to.

use std::collections::HashMap;
use std::sync::Arc;

use tidings_hub::{
    Draft, Expected, Fate, Growing, Key, Kind, Log, Newest, Piece, Pointer, ReadError, ReadQuery,
    Record, Topic,
};

use super::maxima::Maxima;
use crate::error::{Misfit, PublishError};

/// The keys of the drafts judged so far.
pub(super) struct Keys<'a> {
    store: &'a dyn Log,
    maxima: Maxima,
    /// The newest draft of each key that will be stored with this batch.
    batch: HashMap<(&'a Topic, &'a Key), New<'a>>,
    /// Number of keys in it that the log does not have.
    begun: usize,
    /// Number of drafts that will be stored.
    stored: usize,
    /// The pieces among them: the number of each, and the bytes of text before it.
    pieces: Vec<(usize, u64)>,
}

/// A draft that will be stored.
#[derive(Clone, Copy)]
struct New<'a> {
    draft: &'a Draft,
    /// Its number among those that will be stored.
    number: usize,
    /// Whether the log does not have the key.
    begins: bool,
    /// If it is a piece: the value with it.
    value: Option<Grown<'a>>,
}

/// A value with its newest piece.
#[derive(Clone, Copy)]
struct Grown<'a> {
    at: Option<&'a Pointer>,
    /// Bytes of its text before the piece, and with it.
    from: u64,
    bytes: u64,
}

/// The newest event of a key.
enum Current<'a> {
    /// None, or one that removed it.
    None,
    Stored(Arc<Record>),
    New(New<'a>),
}

/// Why a draft is not published.
pub(super) struct Refusal {
    pub(super) error: PublishError,
    /// The draft with this number, among those that will be stored, has the current id, which is
    /// yet to be made.
    pub(super) current: Option<usize>,
}

impl<'a> Keys<'a> {
    pub(super) fn new(store: &'a dyn Log, maxima: Maxima) -> Self {
        Self { store, maxima, batch: HashMap::new(), begun: 0, stored: 0, pieces: Vec::new() }
    }

    /// The pieces among the drafts that will be stored: the number of each, and the bytes of its
    /// value's text before it.
    pub(super) fn into_pieces(self) -> Vec<(usize, u64)> {
        self.pieces
    }

    /// Judges the drafts of a job, whose `fates` are known unless all are stored, after those
    /// judged before. If one of them is not published, says so with its index. Those before it
    /// count as stored, unless the job is published as a `whole`.
    pub(super) fn check(
        &mut self,
        drafts: &'a [Draft],
        fates: Option<&[Fate]>,
        whole: bool,
    ) -> Result<(), (usize, Refusal)> {
        let before = (self.begun, self.stored);
        let mut replaced = Vec::new();
        for (at, draft) in drafts.iter().enumerate() {
            if fates.is_some_and(|fates| fates[at] != Fate::Store) {
                continue;
            }
            if let Some(key) = &draft.key {
                let new = match self.judge(at, draft, key) {
                    Ok(new) => new,
                    Err(refusal) => {
                        if whole {
                            (self.begun, self.stored) = before;
                            self.pieces.retain(|(number, _)| *number < before.1);
                            self.put_back(replaced);
                        }
                        return Err((at, refusal));
                    }
                };
                self.begun += usize::from(new.begins);
                self.pieces.extend(new.value.map(|value| (new.number, value.from)));
                let slot = (&draft.topic, key);
                let old = self.batch.insert(slot, new);
                if whole && drafts.len() > 1 {
                    replaced.push((slot, old));
                }
            }
            self.stored += 1;
        }
        Ok(())
    }

    fn put_back(&mut self, replaced: Vec<((&'a Topic, &'a Key), Option<New<'a>>)>) {
        for (slot, old) in replaced.into_iter().rev() {
            match old {
                Some(old) => self.batch.insert(slot, old),
                None => self.batch.remove(&slot),
            };
        }
    }

    fn judge(&self, at: usize, draft: &'a Draft, key: &'a Key) -> Result<New<'a>, Refusal> {
        let refusal = |error| Refusal { error, current: None };
        let in_batch = self.batch.get(&(&draft.topic, key)).copied();
        let stored = self.store.slots().newest(&draft.topic, key);
        let asks = draft.expected.is_some() || draft.kind.is_removal();
        let current = match (in_batch, stored) {
            (Some(new), _) if !new.draft.kind.is_removal() => Current::New(new),
            (None, Some(newest)) if asks && !newest.is_removal => self.stored(newest)?,
            _ => Current::None,
        };
        if let Some(expected) = &draft.expected {
            self.meets(expected, &current, at, draft, key)?;
        }
        if draft.kind.is_removal() && matches!(current, Current::None) {
            let (topic, key) = (draft.topic.clone(), key.clone());
            return Err(refusal(PublishError::KeyUnknown { at, topic, key }));
        }
        let begins = in_batch.is_none() && stored.is_none();
        let keys_max = self.maxima.keys;
        if begins && self.store.slots().keys() + self.begun >= keys_max {
            return Err(refusal(PublishError::TooManyKeys { at, keys_max }));
        }
        if begins && let Some(rule) = self.store.catalog().full_rule_of_keys(&draft.topic) {
            return Err(refusal(PublishError::RuleFull { rule }));
        }
        let value = match &draft.piece {
            Some(piece) => Some(self.grow(at, draft, key, piece, in_batch, stored)?),
            None => None,
        };
        Ok(New { draft, number: self.stored, begins, value })
    }

    /// The value of the key with `piece`, which is of `draft`.
    fn grow(
        &self,
        at: usize,
        draft: &Draft,
        key: &Key,
        piece: &'a Piece,
        in_batch: Option<New<'a>>,
        stored: Option<Newest>,
    ) -> Result<Grown<'a>, Refusal> {
        let refusal = |error| Refusal { error, current: None };
        let slot = || (draft.topic.clone(), key.clone());
        let misfit = |misfit| {
            let (topic, key) = slot();
            refusal(PublishError::AppendMismatch { at, topic, key, misfit })
        };
        let from = match (in_batch, stored) {
            (Some(new), _) => text_before(&new, piece),
            (None, Some(newest)) => self.stored_text(newest, piece)?,
            (None, None) => Ok(0),
        };
        let from = from.map_err(misfit)?;
        let own = draft.text_at(piece.at.as_ref()).map_err(|_| misfit(Misfit::NoString))?;
        let bytes_max = self.maxima.value_bytes;
        let bytes = from + draft.data.len() as u64;
        if bytes > bytes_max as u64 {
            let (topic, key) = slot();
            return Err(refusal(PublishError::ValueFull { at, topic, key, bytes, bytes_max }));
        }
        Ok(Grown { at: piece.at.as_ref(), from, bytes: from + own.len() as u64 })
    }

    /// Bytes of the text that `piece` is added to, if the newest record of the key is in the log.
    fn stored_text(&self, newest: Newest, piece: &Piece) -> Result<Result<u64, Misfit>, Refusal> {
        if newest.is_removal {
            return Ok(Ok(0));
        }
        if !newest.is_piece {
            return Ok(match self.stored(newest)? {
                Current::Stored(whole) => text_of(&whole, piece),
                Current::None | Current::New(_) => Ok(0),
            });
        }
        let Some(value) = newest.growing else { return Ok(Err(Misfit::Cut)) };
        if !self.store.slots().grows_at(&value, piece.at.as_ref()) {
            return Ok(Err(Misfit::Elsewhere));
        }
        Ok(if self.is_cut(&value)? { Err(Misfit::Cut) } else { Ok(value.bytes) })
    }

    /// Whether retention has dropped the beginning of a value.
    fn is_cut(&self, value: &Growing) -> Result<bool, Refusal> {
        if value.first > self.store.slots().purged() {
            return Ok(value.first < self.store.bounds().first);
        }
        let first =
            Newest { position: value.first, is_removal: false, is_piece: false, growing: None };
        Ok(matches!(self.stored(first)?, Current::None))
    }

    /// The record at the place that the table names, unless retention has dropped it.
    fn stored(&self, newest: Newest) -> Result<Current<'a>, Refusal> {
        match self.store.read(&ReadQuery::one(newest.position)) {
            Ok(page) => {
                let record = page.records.into_iter().next();
                let record = record.filter(|record| record.position() == newest.position);
                Ok(record.map_or(Current::None, Current::Stored))
            }
            Err(ReadError::Expired { .. }) => Ok(Current::None),
            Err(error) => {
                tracing::error!(%error, "the store cannot be asked for the version of a key");
                Err(Refusal { error: PublishError::Unread(error), current: None })
            }
        }
    }

    /// Whether the publisher of `draft` is right about its key.
    fn meets(
        &self,
        expected: &Expected,
        current: &Current<'a>,
        at: usize,
        draft: &Draft,
        key: &Key,
    ) -> Result<(), Refusal> {
        let (id, new) = match current {
            Current::None => (None, None),
            Current::New(new) => (new.draft.id.clone(), Some(new.number)),
            Current::Stored(record) => {
                let identity = self.store.identity();
                // The id may have been made under another name of the log.
                if let Expected::Version(wanted) = expected
                    && record.id.is_none()
                    && identity.mark_of(wanted.as_str()) == Some(record.mark())
                {
                    return Ok(());
                }
                (Some(record.event_id(identity.epoch)), None)
            }
        };
        let is_met = match expected {
            Expected::Absent => matches!(current, Current::None),
            Expected::Version(wanted) => id.as_ref() == Some(wanted),
            // That is no matter of the key.
            Expected::NothingAfter(_) => true,
        };
        if is_met {
            return Ok(());
        }
        let is_known = id.is_some();
        let (topic, key) = (draft.topic.clone(), key.clone());
        let error = PublishError::VersionDiffers { at, topic, key, current: id };
        Err(Refusal { error, current: new.filter(|_| !is_known) })
    }
}

/// Bytes of the text that `piece` is added to, if the newest record of the key is `new`.
fn text_before(new: &New<'_>, piece: &Piece) -> Result<u64, Misfit> {
    match &new.value {
        _ if new.draft.kind.is_removal() => Ok(0),
        Some(value) if value.at == piece.at.as_ref() => Ok(value.bytes),
        Some(_) => Err(Misfit::Elsewhere),
        None => text_of(new.draft, piece),
    }
}

/// The same if that is an event with the whole value.
fn text_of(whole: &Draft, piece: &Piece) -> Result<u64, Misfit> {
    let text = whole.text_at(piece.at.as_ref()).map_err(|_| Misfit::NoString)?;
    Ok(text.len() as u64)
}

/// Notes in the pieces among `drafts` how much text comes before each.
pub(super) fn set_places(drafts: &mut [Draft], pieces: &[(usize, u64)]) {
    for (number, from) in pieces {
        if let Some(piece) = drafts.get_mut(*number).and_then(|draft| draft.piece.as_mut()) {
            piece.from = *from;
        }
    }
}

/// Marks the removals on topics that have ended: these topics stay ended.
pub(super) fn keep_ended(store: &dyn Log, drafts: &mut [Draft]) -> Result<(), ReadError> {
    if !drafts.iter().any(|draft| draft.kind.is_removal()) {
        return Ok(());
    }
    let mut ended: HashMap<Topic, bool> = HashMap::new();
    for draft in drafts {
        if draft.kind.is_removal() {
            let is_ended = match ended.get(&draft.topic) {
                Some(is_ended) => *is_ended,
                None => store.catalog().topic(&draft.topic)?.is_some_and(|topic| topic.ended),
            };
            draft.kind = if is_ended { Kind::LateRemoval } else { Kind::Removal };
        }
        for topic in draft.topics() {
            ended.insert(topic.clone(), draft.kind.ends_topic());
        }
    }
    Ok(())
}
