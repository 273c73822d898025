//! The newest records, in memory, for polls: a request that waits for the next event reads no disk
//! when it comes, and uses no thread, however many others wait for the same event.
//!
//! The fan-out puts in here what it gives to the workers anyway. Where a reader's place is older
//! than what is held, or newer than what the fan-out has seen, the reader asks the store.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tidings_hub::{FrameBatch, Interest, Page, Position, Timestamp};

use crate::limits::{PAGE_BYTES_MAX, RECENT_BATCHES_MAX, RECENT_BYTES_MAX};

pub(crate) struct Recent {
    /// Whether a page was asked for since the last batch came.
    is_asked: AtomicBool,
    window: Mutex<Window>,
}

/// An unbroken run of batches.
struct Window {
    /// Position after which the run begins.
    after: Position,
    /// Each with its bytes.
    batches: VecDeque<(Arc<FrameBatch>, usize)>,
    bytes: usize,
}

impl Recent {
    /// Nothing yet: the next batch is the one after `head`.
    pub(crate) fn starting_after(head: Position) -> Self {
        let window = Mutex::new(Window::starting_after(head));
        Self { is_asked: AtomicBool::new(false), window }
    }

    /// Adds `batch`, of `bytes`. If it does not begin where the last one ended, it begins the run.
    pub(crate) fn push(&self, batch: &Arc<FrameBatch>, bytes: usize) {
        let mut window = self.lock();
        if window.end() != batch.after {
            *window = Window::starting_after(batch.after);
        }
        window.batches.push_back((Arc::clone(batch), bytes));
        window.bytes += bytes;
        while window.batches.len() > RECENT_BATCHES_MAX || window.bytes > RECENT_BYTES_MAX {
            let Some((oldest, bytes)) = window.batches.pop_front() else { break };
            window.after = oldest.upto.position;
            window.bytes -= bytes;
        }
    }

    /// Forgets all that is held, because something of it was erased.
    pub(crate) fn forget(&self) {
        let mut window = self.lock();
        *window = Window::starting_after(window.end());
    }

    /// Whether a page was asked for since the last call: then there are readers, even if none of
    /// them waits at this moment.
    pub(crate) fn was_asked(&self) -> bool {
        self.is_asked.swap(false, Ordering::Relaxed)
    }

    /// The records after `after` that `interest` admits at `now`, at most `records_max`; `None` if
    /// not all records from there to `head` are held.
    pub(crate) fn page(
        &self,
        interest: &Interest,
        after: Position,
        head: Position,
        records_max: usize,
        now: Timestamp,
    ) -> Option<Page> {
        self.is_asked.store(true, Ordering::Relaxed);
        let (end, batches) = {
            let window = self.lock();
            let end = window.end();
            if after < window.after || end < head.max(after) {
                return None;
            }
            let begin = window.batches.partition_point(|(batch, _)| batch.upto.position <= after);
            let batches: Vec<_> =
                window.batches.range(begin..).map(|(batch, _)| Arc::clone(batch)).collect();
            (end, batches)
        };
        let mut page = Page { records: Vec::new(), reached: end };
        let mut bytes = 0;
        let records = batches.iter().flat_map(|batch| &batch.frames).map(|frame| frame.record());
        for record in records.skip_while(|record| record.position() <= after) {
            if !interest.admits(record) || record.is_over(now) {
                continue;
            }
            bytes += record.cost();
            page.records.push(Arc::clone(record));
            if page.records.len() >= records_max || bytes >= PAGE_BYTES_MAX {
                page.reached = record.position();
                break;
            }
        }
        Some(page)
    }

    fn lock(&self) -> MutexGuard<'_, Window> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Window {
    fn starting_after(after: Position) -> Self {
        Self { after, batches: VecDeque::new(), bytes: 0 }
    }

    /// Position up to which the run goes.
    fn end(&self) -> Position {
        self.batches.back().map_or(self.after, |(batch, _)| batch.upto.position)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tidings_hub::{Draft, Epoch, Log, Matcher, MemoryStore, Topic};

    use super::*;
    use crate::frames::next_batch;

    /// A log of as many events as `topics`.
    fn log(topics: &[&str]) -> MemoryStore {
        let epoch = Epoch::parse("k7q2ma").expect("a valid epoch");
        let store = MemoryStore::new(epoch, 1 << 20, Duration::from_secs(3600));
        for topic in topics {
            let topic = Topic::new(topic).expect("a valid topic");
            store.append(vec![Draft::new(topic, "x")], Timestamp::default()).expect("stored");
        }
        store
    }

    fn batch(store: &MemoryStore, after: u64, upto: u64) -> Arc<FrameBatch> {
        let batch = next_batch(store, Position::new(after), Position::new(upto));
        Arc::new(batch.expect("memory can be read"))
    }

    fn positions(
        recent: &Recent,
        interest: &Interest,
        after: u64,
        head: u64,
    ) -> Option<(Vec<u64>, u64)> {
        let (after, head) = (Position::new(after), Position::new(head));
        let page = recent.page(interest, after, head, 100, Timestamp::default())?;
        let records = page.records.iter().map(|record| record.position().get());
        Some((records.collect(), page.reached.get()))
    }

    #[test]
    fn a_page_has_all_that_is_wanted_after_a_place_that_is_held() {
        let store = log(&["a", "b", "a", "a", "b"]);
        let recent = Recent::starting_after(Position::new(1));
        recent.push(&batch(&store, 1, 3), 10);
        recent.push(&batch(&store, 3, 5), 10);
        let wanted = vec![Matcher::parse("a").expect("a valid matcher")];
        let interest = Interest::new(wanted.clone(), wanted);
        assert_eq!(positions(&recent, &interest, 1, 5), Some((vec![3, 4], 5)));
        assert_eq!(positions(&recent, &interest, 2, 5), Some((vec![3, 4], 5)));
        assert_eq!(positions(&recent, &interest, 3, 5), Some((vec![4], 5)));
        assert_eq!(positions(&recent, &interest, 4, 5), Some((vec![], 5)));
        assert_eq!(positions(&recent, &interest, 5, 5), Some((vec![], 5)));
    }

    #[test]
    fn what_is_not_held_is_not_answered() {
        let store = log(&["a"; 8]);
        let recent = Recent::starting_after(Position::new(2));
        recent.push(&batch(&store, 2, 4), 10);
        let all = Interest::everything();
        assert_eq!(positions(&recent, &all, 1, 4), None, "older than what is held");
        assert_eq!(positions(&recent, &all, 2, 5), None, "the fan-out has not come so far");
        assert_eq!(positions(&recent, &all, 6, 4), None, "a place that is still to come");
        recent.push(&batch(&store, 6, 8), 10);
        assert_eq!(positions(&recent, &all, 4, 8), None, "a gap");
        assert_eq!(positions(&recent, &all, 6, 8), Some((vec![7, 8], 8)));
    }

    #[test]
    fn memory_is_bounded_by_batches_and_by_bytes() {
        let store = log(&["a"; 500]);
        let recent = Recent::starting_after(Position::ZERO);
        for position in 0..500 {
            recent.push(&batch(&store, position, position + 1), 10);
        }
        let all = Interest::everything();
        let oldest = 500 - RECENT_BATCHES_MAX as u64;
        assert_eq!(positions(&recent, &all, oldest - 1, 500), None);
        assert!(positions(&recent, &all, oldest, 500).is_some());
        recent.push(&batch(&log(&["a"; 501]), 500, 501), RECENT_BYTES_MAX);
        assert_eq!(positions(&recent, &all, 499, 501), None);
        assert_eq!(positions(&recent, &all, 500, 501), Some((vec![501], 501)));
    }

    #[test]
    fn what_is_forgotten_is_read_from_the_store_and_the_run_goes_on() {
        let store = log(&["a"; 6]);
        let recent = Recent::starting_after(Position::ZERO);
        recent.push(&batch(&store, 0, 4), 10);
        recent.forget();
        let all = Interest::everything();
        assert_eq!(positions(&recent, &all, 3, 4), None);
        recent.push(&batch(&store, 4, 6), 10);
        assert_eq!(positions(&recent, &all, 4, 6), Some((vec![5, 6], 6)));
    }

    #[test]
    fn a_page_ends_where_it_is_full() {
        let store = log(&["a"; 5]);
        let recent = Recent::starting_after(Position::ZERO);
        recent.push(&batch(&store, 0, 5), 10);
        let (after, head) = (Position::new(1), Position::new(5));
        let page = recent.page(&Interest::everything(), after, head, 2, Timestamp::default());
        let page = page.expect("all of it is held");
        assert_eq!((page.records.len(), page.reached.get()), (2, 3));
    }
}
