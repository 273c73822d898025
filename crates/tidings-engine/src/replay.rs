//! Reads history for those who catch up, away from the workers.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tidings_hub::limits::CATCH_UP_PAGE_BYTES_MAX;
use tidings_hub::{EncodedPage, ReadOrder, ReadQuery, Store};

use crate::mailbox::{Mailbox, Message};

/// Orders from all workers. Bounded by what each shard orders at a time
/// ([`CATCH_UP_READS_MAX`](tidings_hub::limits::CATCH_UP_READS_MAX)).
#[derive(Default)]
pub(crate) struct Replay {
    orders: Mutex<Orders>,
    filled: Condvar,
}

#[derive(Default)]
struct Orders {
    waiting: VecDeque<(Arc<Mailbox>, ReadOrder)>,
    stopping: bool,
}

impl Replay {
    /// Reads what is ordered, and posts the page to `mailbox`.
    pub(crate) fn order(&self, mailbox: &Arc<Mailbox>, order: ReadOrder) {
        self.lock().waiting.push_back((Arc::clone(mailbox), order));
        self.filled.notify_one();
    }

    /// Ends all [`run`](Self::run)s.
    pub(crate) fn stop(&self) {
        self.lock().stopping = true;
        self.filled.notify_all();
    }

    /// A thread.
    pub(crate) fn run(&self, store: &dyn Store) {
        while let Some((mailbox, order)) = self.next() {
            let page = store.read(&ReadQuery {
                after: order.after,
                upto: order.upto,
                interest: Some(&order.interest),
                records_max: order.records_max,
                bytes_max: CATCH_UP_PAGE_BYTES_MAX,
            });
            if let Err(error) = &page {
                tracing::debug!(%error, "history could not be read for a subscriber");
            }
            let page = page.and_then(|page| {
                EncodedPage::encode(&page, order.framing, store.epoch()).with_ended(
                    store,
                    &order.interest,
                    order.upto,
                )
            });
            mailbox.post(Message::Page(order.id, page));
        }
    }

    fn next(&self) -> Option<(Arc<Mailbox>, ReadOrder)> {
        let empty = |orders: &mut Orders| orders.waiting.is_empty() && !orders.stopping;
        let waited = self.filled.wait_while(self.lock(), empty);
        let mut orders = waited.unwrap_or_else(PoisonError::into_inner);
        if orders.stopping { None } else { orders.waiting.pop_front() }
    }

    fn lock(&self) -> MutexGuard<'_, Orders> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
