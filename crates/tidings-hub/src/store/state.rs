//! Reading the state: of each slot the newest record, in log order.
//!
//! A record that is superseded is passed over, because its reader gets the later one. If that is
//! beyond the place where the read is to end, the page says so ([`StatePage::successor`]): once the
//! reader has also had everything up to there, what it has is the state as of that place.
//!
//! A value that has pieces is always given whole: its newest piece with all the others put into it.
//! If one page comes to all of them, that is done on the way ([`Begun`]); else they are read once
//! more ([`Values`]). A reader of the state may have none of its pieces, or only some. A value of
//! which retention has dropped a part is no part of the state: a reader that may have it gets a
//! removal. That can happen while the state is read, after the value got pieces beyond the place
//! where the read is to end. They are no value without what is before them, so the reader has to
//! come to them as a reader of the state: they count as successors ([`Slots::cut`]).

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use crate::draft::Kind;
use crate::error::ReadError;
use crate::limits::{PIECES_LOOK_RECORDS, SCAN_RECORDS_MAX};
use crate::position::Position;
use crate::record::Record;

use super::pieces::{Begun, Values};
use super::slots::{Place, SlotHash};
use super::{Log, Page, ReadQuery};

/// How to read a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateRead {
    /// Position after which the reader began: it gets the ends of topics that came later.
    pub from: Position,
    /// Whether to return records that removed a key: to a reader that may have the key.
    pub has_removals: bool,
    /// Whether to return superseded records, too: of each slot the last one that the page comes
    /// to.
    pub has_superseded: bool,
    /// Position of the record of which the reader has a part, if it has: the page is this record,
    /// even if it is superseded.
    pub half: Option<Position>,
}

/// A page of the state.
#[derive(Clone, Debug, Default)]
pub struct StatePage {
    /// The records. Ends of topics are not among them.
    pub page: Page,
    /// Position of the newest record beyond the end of the query that superseded a record of the
    /// page, or is a piece of a value that is no longer whole. If it is not beyond the end, there
    /// is none.
    pub successor: Position,
    /// If the page reaches the end of the query: the ends of the topics asked for, where all that
    /// is asked for are exact topics, in log order.
    pub ends: Vec<Arc<Record>>,
    /// Whether these are all topics asked for.
    pub is_over: bool,
}

impl StateRead {
    /// Reads a page.
    ///
    /// # Errors
    ///
    /// [`ReadError`] as of [`Log::read`].
    pub fn read(&self, store: &dyn Log, query: &ReadQuery<'_>) -> Result<StatePage, ReadError> {
        let upto = query.upto.min(store.bounds().head);
        let mut chosen = Chosen::new(self, store, upto);
        let (mut after, mut looked) = (self.half.map_or(query.after, Position::previous), 0);
        let mut told = query.told;
        loop {
            let left = query.records_max - chosen.count;
            // Most of what is read may be superseded.
            let records_max = left.max(LOOK_RECORDS);
            let page = match store.read(&ReadQuery { after, upto, told, records_max, ..*query }) {
                // Retention goes on while a state is read. What it drops because it is superseded
                // is nothing that the reader misses.
                Err(ReadError::Expired { lost, .. })
                    if lost > told && self.misses_nothing(store, query, after)? =>
                {
                    told = lost;
                    continue;
                }
                page => page?,
            };
            looked += page.records.len().max(1);
            let reached = page.reached;
            let is_full = chosen.add(page.records, query, &mut after);
            if is_full {
                break;
            }
            after = reached;
            // A page that ends among the pieces of a value has to read them once more.
            let looks =
                if chosen.pieces.is_empty() { SCAN_RECORDS_MAX } else { PIECES_LOOK_RECORDS };
            if after >= upto || looked >= looks {
                break;
            }
        }
        let mut state = chosen.into_page(query)?;
        state.page.reached = after;
        if after >= upto {
            // Asked after the last record was looked at.
            state.successor = state.successor.max(store.slots().cut());
            self.find_ends(store, query, upto, &mut state)?;
        }
        Ok(state)
    }

    /// Whether retention has dropped nothing after `after` that a reader of the state needs.
    fn misses_nothing(
        &self,
        store: &dyn Log,
        query: &ReadQuery<'_>,
        after: Position,
    ) -> Result<bool, ReadError> {
        Ok(match query.interest {
            Some(interest) if self.half.is_none() => {
                store.lost_of_state(interest, after.max(query.told))?.is_none()
            }
            _ => false,
        })
    }

    /// Adds to `state` the ends of the topics asked for, up to `upto`.
    pub(super) fn find_ends(
        &self,
        store: &dyn Log,
        query: &ReadQuery<'_>,
        upto: Position,
        state: &mut StatePage,
    ) -> Result<(), ReadError> {
        let Some(interest) = query.interest else { return Ok(()) };
        let mut ended = interest.ended_topics(store)?;
        ended.retain(|(_, at)| *at <= upto);
        state.is_over = ended.len() == interest.wanted().len();
        ended.sort_unstable_by_key(|(_, at)| *at);
        for (_, at) in ended.into_iter().filter(|(_, at)| *at > self.from) {
            let page = store.read(&ReadQuery::one(at))?;
            let is_end = |record: &Arc<Record>| {
                interest.admits(record) && record.kind.ends_topic() && !record.kind.is_removal()
            };
            state.ends.extend(page.records.into_iter().filter(is_end));
        }
        Ok(())
    }
}

/// The records of a page.
struct Chosen<'a> {
    read: &'a StateRead,
    store: &'a dyn Log,
    upto: Position,
    /// In log order; `None` where a later one of the same slot came.
    records: Vec<Option<One>>,
    /// Number of those that are there.
    count: usize,
    /// What they cost with their values.
    bytes: usize,
    /// If superseded records are chosen: where in `records` each slot is.
    slots: HashMap<SlotHash, usize, foldhash::fast::RandomState>,
    /// The values whose beginning the page has passed, and not yet their end.
    pieces: Begun,
    successor: Position,
}

/// A record of a page.
struct One {
    record: Arc<Record>,
    /// Where the value begins of which it is a piece, if that is yet to be put together.
    first: Option<Position>,
    cost: usize,
}

impl<'a> Chosen<'a> {
    fn new(read: &'a StateRead, store: &'a dyn Log, upto: Position) -> Self {
        let (records, slots, pieces) = (Vec::new(), HashMap::default(), Begun::default());
        let successor = Position::ZERO;
        Self { read, store, upto, records, count: 0, bytes: 0, slots, pieces, successor }
    }

    /// Chooses from `records`. If the page is full, says so, and sets `after` to the position of
    /// the last record that was looked at.
    fn add(
        &mut self,
        records: Vec<Arc<Record>>,
        query: &ReadQuery<'_>,
        after: &mut Position,
    ) -> bool {
        for record in records {
            let position = record.position();
            if let Some(one) = self.choose(record) {
                let is_full = self.count == query.records_max || self.bytes >= query.bytes_max;
                if !self.push(one, is_full) {
                    return true;
                }
                // Later records of slots that are in the page cost nothing more.
                let is_full = self.count == query.records_max || self.bytes >= query.bytes_max;
                let is_full = is_full && !self.read.has_superseded;
                if is_full || self.read.half == Some(position) {
                    *after = position;
                    return true;
                }
            }
            *after = position;
        }
        false
    }

    /// Adds a record, unless it needs room that a full page does not have.
    fn push(&mut self, one: One, is_full: bool) -> bool {
        let slot = match self.read.has_superseded {
            true => self.store.slots().slot_of(&one.record),
            false => None,
        };
        let place = slot.map(|slot| self.slots.entry(slot));
        let before = match &place {
            Some(Entry::Occupied(entry)) => self.records[*entry.get()].take(),
            _ => None,
        };
        if before.is_none() && is_full {
            return false;
        }
        match place {
            Some(Entry::Occupied(mut entry)) => *entry.get_mut() = self.records.len(),
            Some(Entry::Vacant(entry)) => {
                entry.insert(self.records.len());
            }
            None => {}
        }
        self.bytes -= before.as_ref().map_or(0, |before| before.cost);
        self.count -= usize::from(before.is_some());
        self.bytes += one.cost;
        self.count += 1;
        self.records.push(Some(one));
        true
    }

    /// Whether the reader gets a record, and as what.
    fn choose(&mut self, record: Arc<Record>) -> Option<One> {
        let is_removal = record.kind.is_removal();
        if record.kind.ends_topic() && !is_removal {
            return None;
        }
        // A reader that has nothing yet has nothing to forget.
        if record.kind == Kind::Erasure && !self.read.has_removals && !self.read.has_superseded {
            return None;
        }
        let position = record.position();
        let has_superseded = self.read.has_superseded || self.read.half == Some(position);
        let place = self.store.slots().place_of(&record, position);
        let whole = match place {
            Place::Piece { first, newest } if newest <= self.upto && !has_superseded => {
                self.pieces.add(first, newest, &record)
            }
            _ => None,
        };
        let later = match place {
            Place::Superseded(later) => Some(later),
            Place::Piece { newest, .. } => Some(newest).filter(|newest| *newest > position),
            Place::Newest | Place::Cut | Place::Gone => None,
        };
        if let Some(later) = later {
            let begins = record.is_whole();
            // Where a value begins that is no longer there, nobody knows.
            let is_known = begins || matches!(place, Place::Piece { .. });
            if !has_superseded || !is_known {
                if later > self.upto {
                    self.successor = later.max(self.successor);
                }
                return None;
            }
        }
        if (is_removal || place == Place::Gone) && !self.read.has_removals {
            return None;
        }
        if let Some(whole) = whole {
            return Some(One { cost: whole.cost(), record: Arc::new(whole), first: None });
        }
        let mut cost = record.cost();
        let first = match (&record.piece, place) {
            // What superseded it may be gone with it.
            (_, Place::Gone) if record.key.is_some() => {
                return Some(One { record: Arc::new(record.as_removal()), first: None, cost });
            }
            (None, _) => None,
            (Some(piece), _) if piece.from == 0 => Some(position),
            (Some(piece), Place::Piece { first, .. }) => {
                cost += usize::try_from(piece.from).unwrap_or(usize::MAX / 2);
                Some(first)
            }
            // The rest of it is gone: it is no part of the state.
            (Some(_), _) if !self.read.has_removals => return None,
            (Some(_), _) => {
                return Some(One { record: Arc::new(record.as_removal()), first: None, cost });
            }
        };
        Some(One { record, first, cost })
    }

    /// The page, with all values whole.
    fn into_page(self, query: &ReadQuery<'_>) -> Result<StatePage, ReadError> {
        let mut values = Values::default();
        let records: Vec<_> = self.records.into_iter().flatten().collect();
        for One { record, first, .. } in &records {
            if let Some(first) = first {
                values.add(*first, record);
            }
        }
        if !values.is_empty() {
            values.read(self.store, query.interest)?;
        }
        let whole = records.into_iter().filter_map(|One { record, first, .. }| match first {
            None => Some(record),
            Some(_) => match values.take(&record) {
                None if self.read.has_removals => Some(Arc::new(record.as_removal())),
                whole => whole.map(Arc::new),
            },
        });
        let page = Page { records: whole.collect(), reached: Position::ZERO };
        Ok(StatePage { page, successor: self.successor, ..StatePage::default() })
    }
}

/// Records that are read at once, at least.
const LOOK_RECORDS: usize = 256;
