//! Pages of history and of the state.

use tidings_hub::{Interest, Log, Page, Position, ReadError, ReadQuery, StatePage, StateRead};

use super::Engine;
use crate::limits::PAGE_BYTES_MAX;

impl Engine {
    /// A page of history: admitted records after `after`, oldest first, at most `records_max`.
    ///
    /// # Errors
    ///
    /// [`ReadError`].
    pub async fn history(
        &self,
        interest: Interest,
        after: Position,
        records_max: usize,
    ) -> Result<Page, ReadError> {
        self.history_knowing(interest, after, Position::ZERO, records_max).await
    }

    /// The same for a reader that knows of losses up to `told`, as one that starts where
    /// [`resolve`](Self::resolve) says.
    ///
    /// # Errors
    ///
    /// [`ReadError`].
    pub async fn history_knowing(
        &self,
        interest: Interest,
        after: Position,
        told: Position,
        records_max: usize,
    ) -> Result<Page, ReadError> {
        self.read(move |store| store.read(&query(store, &interest, after, told, records_max))).await
    }

    /// A page of the state, for a reader that starts where [`resolve`](Self::resolve) says, and
    /// whether it is the last one. A last page may have more than `records_max` records.
    ///
    /// # Errors
    ///
    /// [`ReadError`].
    pub async fn state_page(
        &self,
        interest: Interest,
        after: Position,
        told: Position,
        has_removals: bool,
        records_max: usize,
    ) -> Result<(Page, bool), ReadError> {
        self.read(move |store| {
            let query = query(store, &interest, after, told, records_max);
            let state = StateRead { from: after, has_removals, has_superseded: false, half: None };
            let StatePage { mut page, successor, .. } = state.read(store, &query)?;
            let mut is_complete = page.reached >= query.upto;
            if is_complete && successor > query.upto {
                let state = StateRead { has_removals: true, has_superseded: true, ..state };
                let upto = successor;
                let rest = state.read(store, &ReadQuery { after: query.upto, upto, ..query })?;
                is_complete = rest.page.reached >= upto;
                page.records.extend(rest.page.records);
                page.reached = rest.page.reached;
            }
            Ok((page, is_complete))
        })
        .await
    }
}

/// A page of what `interest` admits, up to the head.
fn query<'a>(
    store: &dyn Log,
    interest: &'a Interest,
    after: Position,
    told: Position,
    records_max: usize,
) -> ReadQuery<'a> {
    let upto = store.bounds().head;
    let interest = Some(interest);
    ReadQuery { after, upto, told, interest, records_max, bytes_max: PAGE_BYTES_MAX }
}
