//! Last wills: what is published when a publisher is lost and nobody goes on in its place.
//!
//! A will is written into the log as a [note](note::Note) before its publisher's first event, and
//! crossed out by another: together with the publisher's last event, or with the will itself when
//! it is carried out. A hub that starts reads the notes and goes on where it was killed: publishers
//! of the process before are lost, and others have the whole time to take over.

mod last_will;
mod note;

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake};
use std::thread::Thread;
use std::time::{Duration, Instant};

use tidings_hub::{Interest, Log, Position, ReadError, ReadQuery};

use crate::error::PublishError;
use crate::limits::{PAGE_BYTES_MAX, PAGE_RECORDS_MAX, WILLS_MAX};
use crate::topic_share::TopicShare;

pub use last_will::LastWill;
pub(crate) use note::Note;

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
    stopping: bool,
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

    /// The next will with which something is to be done; `None` at the end.
    pub(crate) fn next(&self) -> Option<(Position, Waiting)> {
        let mut state = self.lock();
        loop {
            if state.stopping {
                return None;
            }
            let now = Instant::now();
            let times = state.waiting.iter().filter_map(|(position, waiting)| {
                let time = match waiting.stage {
                    Stage::Held => return None,
                    Stage::Lost | Stage::Withdrawn => waiting.pause_end,
                    Stage::Noted(_, due) => due.max(waiting.pause_end),
                };
                Some((time, *position))
            });
            let first = times.min();
            if let Some((time, position)) = first
                && time <= now
            {
                return state.waiting.get(&position).map(|waiting| (position, waiting.clone()));
            }
            state = match first {
                Some((time, _)) => {
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

/// The wills that `store` has up to `head` and that are not crossed out, each with the position
/// behind which others may have gone on.
pub(crate) fn read_waiting(
    store: &dyn Log,
    head: Position,
) -> Result<Vec<(Position, LastWill, Position)>, ReadError> {
    let interest = Interest::notes();
    let mut waiting = BTreeMap::new();
    let mut after = store.bounds().first.previous();
    let mut told = Position::ZERO;
    while after < head {
        let page = store.read(&ReadQuery {
            after,
            upto: head,
            told,
            interest: Some(&interest),
            records_max: PAGE_RECORDS_MAX,
            bytes_max: PAGE_BYTES_MAX,
        });
        let page = match page {
            // Only what is there is asked for.
            Err(ReadError::Expired { lost, .. }) => {
                told = lost;
                continue;
            }
            page => page?,
        };
        for record in &page.records {
            match Note::read(record) {
                Some(Note::Will(will)) => {
                    waiting.insert(record.position(), (will, head));
                }
                Some(Note::Lost(will)) => {
                    waiting.entry(will).and_modify(|(_, mark)| *mark = record.position());
                }
                Some(Note::Done(will)) => {
                    waiting.remove(&will);
                }
                None => {}
            }
        }
        after = page.reached;
    }
    Ok(waiting.into_iter().map(|(at, (will, mark))| (at, will, mark)).collect())
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
