//! Reading the state: of each slot the newest record, in log order.
//!
//! A record that is superseded is passed over, because its reader gets the later one. If that is
//! beyond the place where the read is to end, the page says so ([`StatePage::successor`]): once the
//! reader has also had everything up to there, nothing passed over, what it has is the state as of
//! that place.

use std::sync::Arc;

use crate::error::ReadError;
use crate::limits::SCAN_RECORDS_MAX;
use crate::position::Position;
use crate::record::Record;

use super::{Log, Page, ReadQuery};

/// How to read a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateRead {
    /// Position after which the reader began: it gets the ends of topics that came later.
    pub from: Position,
    /// Whether to return records that removed a key: to a reader that may have the key.
    pub has_removals: bool,
    /// Whether to return superseded records, too.
    pub has_superseded: bool,
}

/// A page of the state.
#[derive(Clone, Debug, Default)]
pub struct StatePage {
    /// The records. Ends of topics are not among them.
    pub page: Page,
    /// Position of the newest record beyond the end of the query that superseded a record of the
    /// page; zero if there is none.
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
        let mut state = StatePage::default();
        let (mut after, mut looked, mut bytes) = (query.after, 0, 0);
        loop {
            let left = query.records_max - state.page.records.len();
            // Most of what is read may be superseded.
            let records_max = left.max(LOOK_RECORDS);
            let page = store.read(&ReadQuery { after, upto, records_max, ..*query })?;
            looked += page.records.len().max(1);
            after = page.reached;
            for record in page.records {
                let position = record.position();
                if !self.takes(store, &record, upto, &mut state.successor) {
                    continue;
                }
                bytes += record.cost();
                state.page.records.push(record);
                if state.page.records.len() == query.records_max || bytes >= query.bytes_max {
                    after = position;
                    looked = SCAN_RECORDS_MAX;
                    break;
                }
            }
            if after >= upto || looked >= SCAN_RECORDS_MAX {
                break;
            }
        }
        state.page.reached = after;
        if after >= upto {
            self.find_ends(store, query, upto, &mut state)?;
        }
        Ok(state)
    }

    fn takes(
        &self,
        store: &dyn Log,
        record: &Record,
        upto: Position,
        successor: &mut Position,
    ) -> bool {
        let is_removal = record.kind.is_removal();
        if record.kind.ends_topic() && !is_removal {
            return false;
        }
        if self.has_superseded {
            return true;
        }
        match store.slots().superseded_by(record, record.position()) {
            None => self.has_removals || !is_removal,
            Some(later) => {
                if later > upto {
                    *successor = later.max(*successor);
                }
                false
            }
        }
    }

    fn find_ends(
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
            let page = store.read(&ReadQuery { told: upto, ..ReadQuery::one(at) })?;
            let is_end = |record: &Arc<Record>| {
                interest.admits(record) && record.kind.ends_topic() && !record.kind.is_removal()
            };
            state.ends.extend(page.records.into_iter().filter(is_end));
        }
        Ok(())
    }
}

/// Records that are read at once, at least.
const LOOK_RECORDS: usize = 256;
