//! Reads history for subscribers that are catching up, away from the workers.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tidings_hub::limits::CATCH_UP_PAGE_BYTES_MAX;
use tidings_hub::{EncodedPage, Log, ReadError, ReadOrder, ReadQuery};

use crate::limits::{FIRST_IN_A_ROW_MAX, READ_RETRY};
use crate::mailbox::Mailbox;
use crate::message::Message;
use crate::on_panic::OnPanic;

/// Orders from all workers. Bounded by what each shard orders at a time
/// ([`CATCH_UP_READS_MAX`](tidings_hub::limits::CATCH_UP_READS_MAX), and
/// [`CATCH_UP_FIRST_READS_MAX`](tidings_hub::limits::CATCH_UP_FIRST_READS_MAX) more).
#[derive(Default)]
pub(crate) struct Replay {
    orders: Mutex<Orders>,
    filled: Condvar,
}

#[derive(Default)]
struct Orders {
    /// First pages, of one record each. They go before the others, each of which takes
    /// milliseconds.
    first: VecDeque<(Arc<Mailbox>, ReadOrder)>,
    further: VecDeque<(Arc<Mailbox>, ReadOrder)>,
    /// First pages given out since the last further one.
    in_a_row: usize,
    stopping: bool,
}

impl Orders {
    fn is_empty(&self) -> bool {
        self.first.is_empty() && self.further.is_empty()
    }

    /// However many first pages come, earlier orders get their turn too.
    fn next(&mut self) -> Option<(Arc<Mailbox>, ReadOrder)> {
        if (self.in_a_row < FIRST_IN_A_ROW_MAX || self.further.is_empty())
            && let Some(first) = self.first.pop_front()
        {
            self.in_a_row += 1;
            return Some(first);
        }
        self.in_a_row = 0;
        self.further.pop_front()
    }
}

impl Replay {
    /// Queues a read, whose page will be posted to `mailbox`.
    pub(crate) fn order(&self, mailbox: &Arc<Mailbox>, order: ReadOrder) {
        let mut orders = self.lock();
        if orders.stopping {
            drop(orders);
            return fail(mailbox, &order);
        }
        let queue = if order.is_first { &mut orders.first } else { &mut orders.further };
        queue.push_back((Arc::clone(mailbox), order));
        drop(orders);
        self.filled.notify_one();
    }

    /// Ends all [`run`](Self::run)s. What is still ordered fails.
    pub(crate) fn stop(&self) {
        let mut orders = self.lock();
        orders.stopping = true;
        let left: Vec<_> = std::mem::take(&mut orders.first).into();
        let further = std::mem::take(&mut orders.further);
        drop(orders);
        self.filled.notify_all();
        for (mailbox, order) in left.into_iter().chain(further) {
            fail(&mailbox, &order);
        }
    }

    /// A thread.
    pub(crate) fn run(&self, store: &dyn Log) {
        while let Some((mailbox, order)) = self.next() {
            // If the store panics, the reader must not wait for ever.
            let _guard = OnPanic(|| fail(&mailbox, &order));
            let query = ReadQuery {
                after: order.after,
                upto: order.upto,
                told: order.told,
                interest: Some(&order.interest),
                records_max: order.records_max,
                bytes_max: CATCH_UP_PAGE_BYTES_MAX,
            };
            if let Some(state) = &order.state {
                let page = state.read(store, &query);
                let epoch = store.identity().epoch;
                let page = page.map(|page| EncodedPage::encode_state(&page, order.form, epoch));
                mailbox.post(Message::Page(order.id, page));
                continue;
            }
            let page = store.read(&query);
            if let Err(error) = &page {
                tracing::debug!(%error, "history could not be read for a subscriber");
            }
            let page = page.and_then(|page| {
                EncodedPage::encode(&page, order.form, store.identity().epoch).with_ended(
                    store,
                    &order.interest,
                    order.form,
                    order.upto,
                )
            });
            mailbox.post(Message::Page(order.id, page));
        }
    }

    fn next(&self) -> Option<(Arc<Mailbox>, ReadOrder)> {
        let empty = |orders: &mut Orders| orders.is_empty() && !orders.stopping;
        let waited = self.filled.wait_while(self.lock(), empty);
        let mut orders = waited.unwrap_or_else(PoisonError::into_inner);
        if orders.stopping { None } else { orders.next() }
    }

    fn lock(&self) -> MutexGuard<'_, Orders> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers an order that no thread will read.
fn fail(mailbox: &Mailbox, order: &ReadOrder) {
    let source = Arc::new(io::Error::other("the thread that reads history has ended"));
    let error = ReadError::Away { retry: READ_RETRY, source };
    mailbox.post(Message::Page(order.id, Err(error)));
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tidings_hub::{
        Coding, ControlStyle, EventForm, Framing, Interest, Matcher, Position, StreamForm,
        SubscriberId,
    };

    use super::*;
    use crate::sys::Poller;

    fn order(number: u64, is_first: bool) -> ReadOrder {
        ReadOrder {
            id: SubscriberId::from_u64(number),
            interest: Interest::new(vec![Matcher::All], Vec::new()),
            form: StreamForm {
                framing: Framing::Plain,
                control_style: ControlStyle::Native,
                event_form: EventForm::AsPublished,
                coding: Coding::Identity,
            },
            after: Position::ZERO,
            upto: Position::new(1),
            told: Position::ZERO,
            state: None,
            records_max: 1,
            is_first,
        }
    }

    #[test]
    fn first_pages_go_before_others_and_others_are_not_forgotten() {
        let replay = Replay::default();
        let mailbox = Arc::new(Mailbox::new(Poller::new().unwrap().bell()));
        replay.order(&mailbox, order(1000, false));
        replay.order(&mailbox, order(1001, false));
        for number in 0..2 * FIRST_IN_A_ROW_MAX as u64 {
            replay.order(&mailbox, order(number, true));
        }
        let count = 2 * FIRST_IN_A_ROW_MAX + 2;
        let read: Vec<_> = (0..count).map(|_| replay.next().unwrap().1.id.to_u64()).collect();
        let (one, rest) = read.split_at(FIRST_IN_A_ROW_MAX);
        assert!(one.iter().all(|number| *number < 1000), "{read:?}");
        assert_eq!((rest[0], rest[count - FIRST_IN_A_ROW_MAX - 1]), (1000, 1001), "{read:?}");
    }
}
