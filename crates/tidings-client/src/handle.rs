//! `SourceHandle`: controls a source from outside the task that reads it.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::time::Duration;

use tidings_codec::EventId;

/// The state of a source (HTML §9.2.2, `readyState`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReadyState {
    /// It is connecting, or waiting to.
    Connecting,
    /// It has a connection.
    Open,
    /// It has ended, and will not connect again.
    Closed,
}

/// Controls a source from outside the task that reads it: closes or restarts it, and reads its
/// state.
///
/// Clones control the same source.
#[derive(Debug, Clone)]
pub struct SourceHandle(pub(crate) Arc<Shared>);

impl SourceHandle {
    /// Closes the source for good: the connection is dropped and nothing more is yielded, not even
    /// items that have already arrived.
    pub fn close(&self) {
        self.0.order(Order::CLOSE);
    }

    /// Drops the connection, or the wait for one, and reconnects at once. A closed source stays
    /// closed.
    pub fn restart(&self) {
        self.0.order(Order::RESTART);
    }

    /// The state of the source. After [`close`](Self::close) it is closed at once.
    #[must_use]
    pub fn ready_state(&self) -> ReadyState {
        if self.0.orders.load(Ordering::Acquire) & Order::CLOSE != 0 {
            return ReadyState::Closed;
        }
        self.0.view().ready_state
    }

    /// The last event id, as of the event that was last yielded.
    #[must_use]
    pub fn last_event_id(&self) -> Option<EventId> {
        self.0.view().last_event_id.clone()
    }

    /// The reconnection time that the server has set with `retry:`, if any: from
    /// [`RECONNECTION_TIME_MIN`](crate::limits::RECONNECTION_TIME_MIN) to
    /// [`RECONNECTION_TIME_MAX`](crate::limits::RECONNECTION_TIME_MAX).
    #[must_use]
    pub fn reconnection_time(&self) -> Option<Duration> {
        self.0.view().reconnection_time
    }
}

/// Pending orders, as bits.
pub(crate) struct Order;

impl Order {
    pub(crate) const CLOSE: u8 = 1;
    pub(crate) const RESTART: u8 = 2;
}

/// State shared by a source and its handles.
#[derive(Debug)]
pub(crate) struct Shared {
    orders: AtomicU8,
    view: Mutex<View>,
}

#[derive(Debug)]
pub(crate) struct View {
    pub(crate) ready_state: ReadyState,
    pub(crate) last_event_id: Option<EventId>,
    pub(crate) reconnection_time: Option<Duration>,
    /// The task that reads the source, if it is asleep.
    sleeper: Option<Waker>,
}

impl Shared {
    pub(crate) fn new(last_event_id: Option<EventId>) -> Self {
        Self {
            orders: AtomicU8::new(0),
            view: Mutex::new(View {
                ready_state: ReadyState::Connecting,
                last_event_id,
                reconnection_time: None,
                sleeper: None,
            }),
        }
    }

    fn order(&self, order: u8) {
        self.orders.fetch_or(order, Ordering::AcqRel);
        let sleeper = self.view().sleeper.take();
        if let Some(sleeper) = sleeper {
            sleeper.wake();
        }
    }

    #[inline]
    pub(crate) fn take_orders(&self) -> u8 {
        match self.orders.load(Ordering::Acquire) {
            0 => 0,
            // A closed source stays closed to observers.
            _ => self.orders.fetch_and(Order::CLOSE, Ordering::AcqRel),
        }
    }

    /// Whether there are no orders; if so, the next one will wake this task.
    pub(crate) fn fall_asleep(&self, cx: &Context<'_>) -> bool {
        let mut view = self.view();
        match &mut view.sleeper {
            Some(sleeper) => sleeper.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        drop(view);
        self.orders.load(Ordering::Acquire) == 0
    }

    /// Locks the view, whose few fields are valid at all times.
    pub(crate) fn view(&self) -> MutexGuard<'_, View> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
