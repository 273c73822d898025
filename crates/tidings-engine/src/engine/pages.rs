//! Pages of history and of the state.

use std::sync::Arc;

use tidings_hub::{
    Interest, Log, Mark, Outcome, Page, Position, ReadError, ReadQuery, Record, Resolved, Start,
    StatePoll,
};

use super::Engine;
use crate::clock::wall_clock;
use crate::error::OpenError;
use crate::limits::{PAGE_BYTES_MAX, PAGE_TRIES};

/// The first page of a reader.
#[derive(Clone, Debug)]
pub struct FirstPage {
    /// Where it begins, and what to tell the reader of that.
    pub resolved: Resolved,
    /// The page. A last page of a state may have more records than were asked for.
    pub page: Page,
    /// Of a state: the ends of topics that this page has passed. A page of history has them among
    /// its records.
    pub ends: Vec<Arc<Record>>,
    /// Whether it is a page of the state; else it is one of history.
    pub is_state: bool,
    /// Of a state, whether this page is the last one; `true` of history.
    pub is_complete: bool,
}

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
        self.read_page(&interest, after, Position::ZERO, records_max).await
    }

    /// The page that begins at `start`, of at most `records_max` records: of history, or of the
    /// state if that is where it starts.
    ///
    /// # Errors
    ///
    /// [`OpenError::Rejected`] if this node does not have the position yet, and
    /// [`OpenError::Store`].
    pub async fn first_page(
        &self,
        interest: &Interest,
        start: Start,
        records_max: usize,
    ) -> Result<FirstPage, OpenError> {
        if let Some(first) = self.first_page_in_memory(interest, &start, records_max) {
            return Ok(first);
        }
        let interest = Arc::new(interest.clone());
        // `look` is copied, so it has what the start makes of each outcome.
        let on_reset = start.reads_state(&Outcome::State { is_resumed: false });
        let on_resume = start.reads_state(&Outcome::Resumed);
        let mut tries = 1;
        loop {
            let look = move |store: &dyn Log, interest: &Interest, resolved: Resolved| {
                let Resolved { position, told, .. } = resolved;
                let query = query(store, interest, position, told, records_max);
                let is_resumed = resolved.outcome == Outcome::Resumed;
                let is_state = if is_resumed { on_resume } else { on_reset };
                let (page, ends, is_complete) = match is_state {
                    true => {
                        let has_removals = resolved.outcome == Outcome::State { is_resumed: true };
                        let poll = StatePoll::read(store, &query, has_removals)?;
                        (poll.page, poll.ends, poll.is_complete)
                    }
                    false => (store.read(&query)?, Vec::new(), true),
                };
                Ok(FirstPage { resolved, page, ends, is_state, is_complete })
            };
            match self.find(&interest, start.clone(), look).await {
                // Retention has dropped the start between the two looks at the store.
                Err(OpenError::Store(ReadError::Expired { .. })) if tries < PAGE_TRIES => {
                    tries += 1
                }
                found => return found,
            }
        }
    }

    /// Waits for records after `after` and reads them, for a reader that knows of losses up to
    /// `told`. The page is empty if none of them is admitted. Drop the future to stop waiting.
    ///
    /// # Errors
    ///
    /// [`ReadError`].
    pub async fn next_page(
        &self,
        interest: &Interest,
        after: Position,
        told: Position,
        records_max: usize,
    ) -> Result<Page, ReadError> {
        self.wait(after).await;
        let recent = &self.inner.recent;
        match recent.page(interest, after, Position::ZERO, records_max, wall_clock()) {
            Some(page) => Ok(page),
            None => self.read_page(interest, after, told, records_max).await,
        }
    }

    /// The page of a reader that has nearly everything. If the log is shared, or the id of its
    /// place has a check, the store must say whether the place is one of this log.
    fn first_page_in_memory(
        &self,
        interest: &Interest,
        start: &Start,
        records_max: usize,
    ) -> Option<FirstPage> {
        let store = &self.inner.store;
        let (Start::After(id) | Start::AfterOldest(id) | Start::AfterOrState(id), None) =
            (start, store.shared())
        else {
            return None;
        };
        let Mark { position, check: None } = store.identity().mark_of(id)? else { return None };
        let head = store.bounds().head;
        let recent = &self.inner.recent;
        let page = recent.page(interest, position, head, records_max, wall_clock())?;
        let resolved = Resolved { position, told: position, outcome: Outcome::Resumed };
        let ends = Vec::new();
        Some(FirstPage { resolved, page, ends, is_state: false, is_complete: true })
    }

    async fn read_page(
        &self,
        interest: &Interest,
        after: Position,
        told: Position,
        records_max: usize,
    ) -> Result<Page, ReadError> {
        let interest = interest.clone();
        self.read(move |store| store.read(&query(store, &interest, after, told, records_max))).await
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
