use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tidings_engine::ConnectionId;
use tidings_hub::CloseReason;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::counts::ReceiverCounts;
use super::delivery::Delivery;
use super::fact::{Fact, Opened};
use super::outbox::Outbox;
use super::receiver::NotifyReceiver;
use crate::auth::who::Who;
use crate::clock;
use crate::limits::NOTIFY_LAST_MAX;

/// All receivers.
pub(crate) struct Notifier {
    outboxes: Vec<Arc<Outbox>>,
    /// The number of this process.
    run: u32,
    ending: watch::Sender<bool>,
    /// A task for each receiver, once they have begun.
    deliveries: Mutex<Option<JoinSet<()>>>,
}

impl Notifier {
    /// `None` without receivers.
    pub(crate) fn new(receivers: &[NotifyReceiver], run: u32) -> Option<Arc<Self>> {
        let outboxes: Vec<_> = receivers.iter().cloned().map(Outbox::new).map(Arc::new).collect();
        let (ending, deliveries) = (watch::Sender::new(false), Mutex::default());
        let is_any = !outboxes.is_empty();
        is_any.then(|| Arc::new(Self { outboxes, run, ending, deliveries }))
    }

    /// Begins to tell: at first, that this process has begun. Later calls change nothing.
    pub(crate) fn start(&self) {
        let mut deliveries = self.deliveries.lock().unwrap_or_else(PoisonError::into_inner);
        if let (None, Ok(runtime)) = (&*deliveries, Handle::try_current()) {
            let mut tasks = JoinSet::new();
            for outbox in &self.outboxes {
                let (outbox, ending) = (Arc::clone(outbox), self.ending.subscribe());
                tasks.spawn_on(Delivery::new(outbox, self.run, ending).run(), &runtime);
            }
            *deliveries = Some(tasks);
        }
    }

    /// Tells what is left, as far as receivers take it at once.
    pub(crate) async fn finish(&self) {
        self.end();
        let deliveries = self.deliveries.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut deliveries) = deliveries else { return };
        let all = async { while deliveries.join_next().await.is_some() {} };
        if timeout(NOTIFY_LAST_MAX, all).await.is_err() {
            tracing::warn!("the last news of connections did not reach every receiver");
        }
    }

    fn end(&self) {
        self.ending.send_replace(true);
        self.outboxes.iter().for_each(|outbox| outbox.ring());
    }

    pub(super) fn connected(&self, opened: Opened<'_>) {
        // An application that serves connections itself has not begun before.
        self.start();
        for outbox in &self.outboxes {
            outbox.push(Fact::connected(opened, outbox.receiver.addresses));
        }
    }

    pub(super) fn gone(&self, id: ConnectionId, who: &Who, reason: CloseReason) {
        let at = clock::now();
        for outbox in &self.outboxes {
            outbox.push(Fact::gone(id, who, reason, at));
        }
    }

    /// What became of what there was to tell each receiver, and the number of facts that wait.
    pub(crate) fn receivers(&self) -> impl Iterator<Item = (&ReceiverCounts, usize)> {
        self.outboxes.iter().map(|outbox| (&outbox.counts, outbox.waiting()))
    }
}

impl Drop for Notifier {
    fn drop(&mut self) {
        self.end();
        // They end by themselves, once the rest was sent.
        let deliveries = self.deliveries.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(deliveries) = deliveries {
            deliveries.detach_all();
        }
    }
}

impl fmt::Debug for Notifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notifier").field("outboxes", &self.outboxes).finish_non_exhaustive()
    }
}
