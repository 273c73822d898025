//! Forgetting what was erased from the copy of a shared log, because any of its hubs asked for it.
//!
//! The store erases on a thread of its own. It asks here whether the fan-out has read what is to be
//! erased, so that live subscribers get the events that announce it, and says here what was erased.
//! The fan-out then tells the workers, behind the frames that it has given them before.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tidings_hub::{CopyReaders, Erased, Position, Topic};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::limits::FORGETTING_MAX;
use crate::mailbox::Mailbox;
use crate::message::Message;
use crate::recent::Recent;

pub(crate) struct Forgetting {
    /// How far the fan-out has read.
    read: AtomicU64,
    orders: Mutex<Vec<Order>>,
    questions: Arc<Semaphore>,
}

/// Records to be forgotten.
struct Order {
    /// The topics on which they were; `None` for any.
    topics: Option<Arc<BTreeSet<Topic>>>,
    upto: Position,
}

impl Forgetting {
    pub(crate) fn new(head: Position, questions: Arc<Semaphore>) -> Self {
        Self { read: AtomicU64::new(head.get()), orders: Mutex::default(), questions }
    }

    /// Notes that the fan-out has given to the workers what is up to `position`, and has them
    /// forget what was erased of it.
    pub(crate) fn passed(&self, position: Position, recent: &Recent, mailboxes: &[Arc<Mailbox>]) {
        self.read.store(position.get(), Ordering::Release);
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(due) = orders.iter().position(|order| order.upto <= position) {
            // Otherwise it is tried again in a moment.
            let Ok(permit) = Arc::clone(&self.questions).try_acquire_owned() else { return };
            let Order { topics, upto } = orders.swap_remove(due);
            recent.forget();
            order_all(mailboxes, topics.as_ref(), upto, permit);
        }
    }
}

/// Has all workers forget records up to `upto` that were on `topics`, on any if there are none.
/// Each says when it has.
pub(crate) fn order_all(
    mailboxes: &[Arc<Mailbox>],
    topics: Option<&Arc<BTreeSet<Topic>>>,
    upto: Position,
    permit: OwnedSemaphorePermit,
) -> Vec<oneshot::Receiver<()>> {
    let permit = Arc::new(permit);
    let order = |mailbox: &Arc<Mailbox>| {
        let (done, is_done) = oneshot::channel();
        let (topics, permit) = (topics.cloned(), Arc::clone(&permit));
        mailbox.post(Message::Erased { topics, upto, done, permit });
        is_done
    };
    mailboxes.iter().map(order).collect()
}

impl CopyReaders for Forgetting {
    fn have_read(&self, upto: Position) -> bool {
        self.read.load(Ordering::Acquire) >= upto.get()
    }

    fn forget(&self, erased: &Erased, upto: Position) {
        if erased.topics.is_empty() {
            return;
        }
        let topics = erased.few_topics().cloned().map(Arc::new);
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        orders.push(Order { topics, upto });
        if orders.len() > FORGETTING_MAX {
            let upto = orders.drain(..).map(|order| order.upto).max().unwrap_or(upto);
            orders.push(Order { topics: None, upto });
        }
    }
}
