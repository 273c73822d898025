use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use tidings_hub::{AppendError, Appended, Draft, Log, Position, Timestamp};
use tidings_store_shared::SharedStore;
use tidings_testkit::layers::LogLayer;

/// What keeps appends of a hub waiting.
#[derive(Debug, Default)]
pub(super) struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    is_closed: bool,
    /// Appends that have come since it was closed.
    came: usize,
    /// How many of them may pass while it is closed.
    may_pass: usize,
    /// Publishers whose drafts are in the hub's queue.
    queued: usize,
}

impl Gate {
    pub(super) fn close(&self) {
        *self.lock() = State { is_closed: true, ..State::default() };
    }

    pub(super) fn open(&self) {
        self.lock().is_closed = false;
        self.changed.notify_all();
    }

    pub(super) fn let_one_pass(&self) {
        self.lock().may_pass += 1;
        self.changed.notify_all();
    }

    /// Waits until this many appends have come.
    pub(super) fn wait_for(&self, count: usize) {
        self.wait_while(|state| state.came < count);
    }

    pub(super) fn wait_until_queued(&self, count: usize) {
        self.wait_while(|state| state.queued < count);
    }

    pub(super) fn queued(self: &Arc<Self>) -> Queued {
        Queued(Arc::clone(self))
    }

    fn pass(&self) {
        let number = {
            let mut state = self.lock();
            state.came += 1;
            state.came
        };
        self.changed.notify_all();
        self.wait_while(|state| state.is_closed && number > state.may_pass);
    }

    fn wait_while(&self, mut holds: impl FnMut(&State) -> bool) {
        let patience = Duration::from_secs(30);
        let waited = self.changed.wait_timeout_while(self.lock(), patience, |it| holds(it));
        let (state, waited) = waited.unwrap();
        assert!(!waited.timed_out(), "{state:?}");
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

/// Tells a gate when a publisher's drafts are in the queue.
pub(super) struct Queued(Arc<Gate>);

impl Queued {
    /// The future has put its drafts into the queue once it was polled for the first time.
    pub(super) async fn poll_then_tell<T>(self, future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        let mut gate = Some(self.0);
        poll_fn(|context| {
            let polled = future.as_mut().poll(context);
            if let Some(gate) = gate.take() {
                gate.lock().queued += 1;
                gate.changed.notify_all();
            }
            polled
        })
        .await
    }
}

/// A hub's view of a shared log whose appends wait at a gate, once they were judged.
#[derive(Debug)]
pub(super) struct Gated {
    pub(super) store: SharedStore,
    pub(super) gate: Arc<Gate>,
}

impl LogLayer for Gated {
    fn under(&self) -> &dyn Log {
        &self.store
    }

    fn append(
        &self,
        drafts: Vec<Draft>,
        judged: Option<Position>,
        now: Timestamp,
    ) -> Result<Vec<Appended>, AppendError> {
        self.gate.pass();
        self.append_below(drafts, judged, now)
    }
}
