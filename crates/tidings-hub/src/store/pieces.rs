//! Putting growing values together.
//!
//! A page of the state that comes to all pieces of a value puts them together on its way. For the
//! others, the records that stand for a key are read once more, from the one that its value begins
//! with. Values of one topic are read in one pass, so that a page with many of them costs no more
//! than the part of the topic's history over which they have grown.

use std::collections::HashMap;
use std::sync::Arc;

use crate::error::ReadError;
use crate::fold::Fold;
use crate::interest::Interest;
use crate::key::Key;
use crate::limits::{PIECES_HELD_BYTES, PIECES_READ_BYTES, PIECES_READ_RECORDS};
use crate::matcher::Matcher;
use crate::position::Position;
use crate::record::Record;
use crate::topic::Topic;

use super::{Log, ReadQuery};

/// Values whose records come one after the other.
#[derive(Debug, Default)]
pub(super) struct Begun {
    /// By the position of the record that a value begins with.
    by_first: HashMap<Position, Beginning, foldhash::fast::RandomState>,
    /// Bytes of data that were added.
    bytes: usize,
    /// Whether that was too much: then no value is put together here any more.
    is_full: bool,
}

/// What has come of a value.
#[derive(Debug)]
enum Beginning {
    /// The record that was published whole: where it grows, the next one says.
    Whole(Arc<Record>),
    Pieces(Fold),
}

impl Begun {
    pub(super) fn is_empty(&self) -> bool {
        self.by_first.is_empty()
    }

    /// Adds the next record of the value that begins at `first` and ends at `newest`. If that is
    /// the last one, and all others have come, the value in its place.
    pub(super) fn add(
        &mut self,
        first: Position,
        newest: Position,
        record: &Arc<Record>,
    ) -> Option<Record> {
        let position = record.position();
        if self.is_full || (position > first && !self.by_first.contains_key(&first)) {
            return None;
        }
        self.bytes += record.data.len();
        if self.bytes > PIECES_HELD_BYTES {
            (self.by_first, self.is_full) = (HashMap::default(), true);
            return None;
        }
        let before = if position > first { self.by_first.remove(&first) } else { None };
        let value = Beginning::of(before, record)?;
        match value {
            Beginning::Pieces(fold) if position == newest => fold.into_whole(),
            value => {
                self.by_first.insert(first, value);
                None
            }
        }
    }
}

impl Beginning {
    /// What was there `before`, with the next record; `None` if something between them is missing.
    fn of(before: Option<Self>, record: &Arc<Record>) -> Option<Self> {
        let Some(piece) = &record.piece else {
            return before.is_none().then(|| Self::Whole(Arc::clone(record)));
        };
        let mut fold = match before {
            Some(Self::Pieces(fold)) => fold,
            Some(Self::Whole(whole)) => {
                let mut fold = Fold::new(piece.at.clone());
                fold.add(&whole).ok()?;
                fold
            }
            None => Fold::new(piece.at.clone()),
        };
        fold.add(record).ok()?;
        Some(Self::Pieces(fold))
    }
}

/// Values to be put together.
#[derive(Debug, Default)]
pub(super) struct Values {
    by_topic: HashMap<Topic, HashMap<Key, Value>>,
}

/// One of them.
#[derive(Debug)]
struct Value {
    first: Position,
    /// Position of the piece that it ends with.
    last: Position,
    /// `None` once something is found to be missing.
    fold: Option<Fold>,
}

impl Values {
    pub(super) fn is_empty(&self) -> bool {
        self.by_topic.is_empty()
    }

    /// Adds the value that begins at `first` and has `last` as its last piece. A page has one of
    /// each key.
    pub(super) fn add(&mut self, first: Position, last: &Record) {
        let (Some(key), Some(piece)) = (&last.key, &last.piece) else { return };
        let fold = Some(Fold::new(piece.at.clone()));
        let value = Value { first, last: last.position(), fold };
        self.by_topic.entry(last.topic.clone()).or_default().insert(key.clone(), value);
    }

    /// Reads them from `store`, for a reader with `interest`.
    pub(super) fn read(
        &mut self,
        store: &dyn Log,
        interest: Option<&Interest>,
    ) -> Result<(), ReadError> {
        for (topic, values) in &mut self.by_topic {
            read_topic(store, interest, topic, values)?;
        }
        Ok(())
    }

    /// The value that has `last` as its last piece, in its place; `None` if it is not whole: then
    /// it is no part of the state.
    pub(super) fn take(&mut self, last: &Record) -> Option<Record> {
        let values = self.by_topic.get_mut(&last.topic)?;
        let whole = values.remove(last.key.as_ref()?)?.fold?.into_whole()?;
        (whole.position() == last.position()).then_some(whole)
    }
}

fn read_topic(
    store: &dyn Log,
    interest: Option<&Interest>,
    topic: &Topic,
    values: &mut HashMap<Key, Value>,
) -> Result<(), ReadError> {
    let (Some(first), Some(upto)) = (
        values.values().map(|value| value.first).min(),
        values.values().map(|value| value.last).max(),
    ) else {
        return Ok(());
    };
    let exact = || vec![Matcher::Exact(topic.clone())];
    let on_topic = Interest::new(exact(), exact());
    let mut after = first.previous();
    while after < upto {
        let page = store.read(&ReadQuery {
            after,
            upto,
            // What is missing is noticed by what is left.
            told: Position::new(u64::MAX),
            interest: Some(&on_topic),
            records_max: PIECES_READ_RECORDS,
            bytes_max: PIECES_READ_BYTES,
        })?;
        after = page.reached;
        for record in &page.records {
            if record.topic == *topic
                && let Some(value) = record.key.as_ref().and_then(|key| values.get_mut(key))
            {
                value.add(record, interest);
            }
        }
    }
    Ok(())
}

impl Value {
    fn add(&mut self, record: &Arc<Record>, interest: Option<&Interest>) {
        if record.position() < self.first || record.position() > self.last {
            return;
        }
        let Some(fold) = &mut self.fold else { return };
        let is_admitted = interest.is_none_or(|interest| interest.admits(record));
        if !is_admitted || fold.add(record).is_err() {
            self.fold = None;
        }
    }
}
