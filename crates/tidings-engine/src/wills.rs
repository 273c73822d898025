//! Last wills: what is published when a publisher is lost and nobody goes on in its place.
//!
//! A will is written into the log as a [note](note::Note) before its publisher's first event, and
//! crossed out by another: together with the publisher's last event, or with the will itself when
//! it is carried out. A hub that starts reads the notes and goes on where it was killed: publishers
//! of the process before are lost, and others have the whole time to take over.
//!
//! In a log that hubs share, there are wills of publishers at [other hubs](elsewhere), too.

mod elsewhere;
mod last_will;
mod note;
mod read;

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake};
use std::thread::Thread;
use std::time::{Duration, Instant};

use tidings_hub::Position;

use crate::error::PublishError;
use crate::limits::WILLS_MAX;
use crate::topic_share::TopicShare;

pub(crate) use elsewhere::{Elsewhere, Errand};
pub use last_will::LastWill;
pub(crate) use note::Note;
pub(crate) use read::{OpenNote, has_notes_after, open_notes, read_notes, read_will};

/// The wills that wait, by the positions of their notes.
#[derive(Debug, Default)]
pub(crate) struct Wills {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: BTreeMap<Position, Waiting>,
    /// Places for wills whose notes are being written.
    reserved: usize,
    /// If hubs share the log.
    elsewhere: Option<Elsewhere>,
    stopping: bool,
}

/// What the thread does next.
#[derive(Debug)]
pub(crate) enum Task {
    /// Read what is new in the log.
    Look,
    /// Something with a will of this hub.
    Own(Position, Waiting),
    /// Something about the other hubs.
    Elsewhere(Errand),
}

/// A will, and what is to be done next.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    pub(crate) will: LastWill,
    /// Bounds the topics that its publisher begins.
    pub(crate) share: Option<Arc<TopicShare>>,
    pub(crate) stage: Stage,
    /// Nothing is tried before this time.
    pub(crate) pause_end: Instant,
}

impl Waiting {
    pub(crate) fn new(will: LastWill, share: Option<Arc<TopicShare>>, stage: Stage) -> Self {
        Self { will, share, stage, pause_end: Instant::now() }
    }
}

/// How far a will has come.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stage {
    /// Its publisher is there.
    Held,
    /// Its publisher is lost: that is to be noted.
    Lost,
    /// That was noted at this position. If nobody goes on behind it, the will is carried out at
    /// this time.
    Noted(Position, Instant),
    /// It is to be crossed out.
    Withdrawn,
}

impl State {
    /// The first will of this hub with which something is to be done, and when.
    fn next_own(&self) -> Option<(Instant, Position)> {
        let times = self.waiting.iter().filter_map(|(position, waiting)| {
            let time = match waiting.stage {
                Stage::Held => return None,
                Stage::Lost | Stage::Withdrawn => waiting.pause_end,
                Stage::Noted(_, due) => due.max(waiting.pause_end),
            };
            Some((time, *position))
        });
        times.min()
    }
}

/// A place for one more will, until its note is written.
#[derive(Debug)]
pub(crate) struct Reserved(Arc<Wills>);

impl Drop for Reserved {
    fn drop(&mut self) {
        self.0.lock().reserved -= 1;
    }
}

impl Wills {
    /// A place for one more.
    pub(crate) fn reserve(self: &Arc<Self>) -> Result<Reserved, PublishError> {
        let mut state = self.lock();
        if state.waiting.len() + state.reserved >= WILLS_MAX {
            return Err(PublishError::TooManyWills { wills_max: WILLS_MAX });
        }
        state.reserved += 1;
        Ok(Reserved(Arc::clone(self)))
    }

    /// Sets what there is to know of the will at `position`.
    pub(crate) fn set(&self, position: Position, waiting: Waiting) {
        self.lock().waiting.insert(position, waiting);
        self.changed.notify_all();
    }

    /// Adds a will that was found in the log, unless it is known: it is of a publisher of this
    /// process then.
    pub(crate) fn find(&self, position: Position, waiting: Waiting) {
        self.lock().waiting.entry(position).or_insert(waiting);
        self.changed.notify_all();
    }

    /// What was to be done with the will at `position` has failed: it is tried again then.
    pub(crate) fn pause(&self, position: Position, pause_end: Instant) {
        if let Some(waiting) = self.lock().waiting.get_mut(&position) {
            waiting.pause_end = pause_end;
        }
    }

    /// The will at `position` has come so far.
    pub(crate) fn advance(&self, position: Position, stage: Stage) {
        if let Some(waiting) = self.lock().waiting.get_mut(&position) {
            waiting.stage = stage;
        }
        self.changed.notify_all();
    }

    /// The will at `position` is crossed out.
    pub(crate) fn remove(&self, position: Position) {
        self.lock().waiting.remove(&position);
    }

    /// Ends [`next`](Self::next).
    pub(crate) fn stop(&self) {
        self.lock().stopping = true;
        self.changed.notify_all();
    }

    /// Begins to keep the wills at the other hubs of a shared log.
    pub(crate) fn share(&self, elsewhere: Elsewhere) {
        self.lock().elsewhere = Some(elsewhere);
    }

    /// Does something with the wills at the other hubs, if hubs share the log.
    pub(crate) fn elsewhere<T>(&self, act: impl FnOnce(&mut Elsewhere) -> T) -> Option<T> {
        let done = self.lock().elsewhere.as_mut().map(act);
        self.changed.notify_all();
        done
    }

    /// The next thing to do; `None` at the end. At `look_at`, if there is such a time, that is to
    /// look: first of all, as another hub may have to be answered.
    pub(crate) fn next(&self, look_at: Option<Instant>) -> Option<Task> {
        let mut state = self.lock();
        loop {
            if state.stopping {
                return None;
            }
            let now = Instant::now();
            if look_at.is_some_and(|time| time <= now) {
                return Some(Task::Look);
            }
            let own = state.next_own();
            let elsewhere = state.elsewhere.as_ref().and_then(Elsewhere::next);
            let own_time = own.map(|(time, _)| time);
            let elsewhere_time = elsewhere.map(|(time, _)| time);
            if let Some((time, errand)) = elsewhere
                && time <= now
                && own_time.is_none_or(|own| time <= own)
            {
                return Some(Task::Elsewhere(errand));
            }
            if let Some((time, position)) = own
                && time <= now
            {
                let waiting = state.waiting.get(&position);
                return waiting.map(|waiting| Task::Own(position, waiting.clone()));
            }
            state = match [look_at, own_time, elsewhere_time].into_iter().flatten().min() {
                Some(time) => {
                    let waited = self.changed.wait_timeout(state, time - now);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// Sleeps, unless it is stopped; returns whether it is.
    pub(crate) fn sleep(&self, time: Duration) -> bool {
        let state = self.lock();
        let waited = self.changed.wait_timeout_while(state, time, |state| !state.stopping);
        waited.unwrap_or_else(PoisonError::into_inner).0.stopping
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What `future` gives; this thread sleeps until then.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Unpark(std::thread::current())).into();
    let mut cx = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut cx) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}
