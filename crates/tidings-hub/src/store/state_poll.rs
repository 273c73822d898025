//! Reading the state by pages that a reader asks for one by one.

use std::sync::Arc;

use crate::error::ReadError;
use crate::record::Record;

use super::{Log, Page, ReadQuery, StateRead};

/// A page of the state, for a reader whose place between two pages is a position and nothing else.
///
/// A stream remembers what was passed over until it has everything up to its successor. A poll
/// cannot, so the last page has that, too; and if something more was passed over for a record
/// beyond it, the page is not the last one: the next page begins with what came since.
#[derive(Clone, Debug, Default)]
pub struct StatePoll {
    /// The records. A last page may have more of them than the query allows.
    pub page: Page,
    /// The ends of topics that the page has passed, of those asked for. The next page begins behind
    /// them; a stream has them behind all of the state.
    pub ends: Vec<Arc<Record>>,
    /// Whether it is the last page: what its reader has now is the state as of
    /// [`Page::reached`].
    pub is_complete: bool,
}

impl StatePoll {
    /// Reads the page that `query` asks for. `has_removals`: see [`StateRead::has_removals`].
    ///
    /// # Errors
    ///
    /// [`ReadError`] as of [`Log::read`].
    pub fn read(
        store: &dyn Log,
        query: &ReadQuery<'_>,
        has_removals: bool,
    ) -> Result<Self, ReadError> {
        let state =
            StateRead { from: query.after, has_removals, has_superseded: false, half: None };
        let mut read = state.read(store, query)?;
        let mut upto = query.upto;
        if read.page.reached >= upto && read.successor > upto {
            let state = StateRead { has_removals: true, has_superseded: true, ..state };
            let query = ReadQuery { after: upto, upto: read.successor, ..*query };
            let mut records = read.page.records;
            upto = query.upto;
            read = state.read(store, &query)?;
            records.append(&mut read.page.records);
            read.page.records = records;
        }
        let is_complete = read.page.reached >= upto && read.successor <= upto;
        let reached = read.page.reached;
        if reached < upto {
            state.find_ends(store, query, reached, &mut read)?;
        }
        Ok(Self { page: read.page, ends: read.ends, is_complete })
    }
}
