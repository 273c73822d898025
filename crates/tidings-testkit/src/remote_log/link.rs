use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::journal::{Behind, Entry, Journal};

/// The link from a node to the [`Journal`], and its failures.
#[derive(Debug)]
pub struct Link {
    journal: Arc<Journal>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    latency: Duration,
    is_down: bool,
    /// The mishap that the next request to append meets.
    next: Option<Mishap>,
    /// Requests that are still on their way.
    late: Vec<(usize, Entry)>,
}

/// A failure of a request to append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mishap {
    /// It is carried out; the answer is lost.
    AnswerLost,
    /// It is carried out; the answer is lost, and the link with it.
    AnswerLostThenDown,
    /// It arrives when [`Link::deliver_late`] is called; until then the link works.
    Late,
    /// The same, and the link is down.
    LateThenDown,
}

/// Why a request failed.
#[derive(Debug)]
pub(super) enum LinkError {
    /// It was not sent.
    Down,
    /// It was sent, but nothing came back.
    NoAnswer,
    /// There are more entries than the writer knows: nothing was appended.
    Behind,
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Down => "the journal cannot be reached",
            Self::NoAnswer => "the journal did not answer",
            Self::Behind => "another writer was faster",
        })
    }
}

impl std::error::Error for LinkError {}

impl From<Behind> for LinkError {
    fn from(_: Behind) -> Self {
        Self::Behind
    }
}

impl Link {
    /// A link that works, and takes `latency` for each request.
    pub fn new(journal: &Arc<Journal>, latency: Duration) -> Arc<Self> {
        let state = Mutex::new(State { latency, ..State::default() });
        Arc::new(Self { journal: Arc::clone(journal), state })
    }

    /// Nothing passes until [`up`](Self::up).
    pub fn down(&self) {
        self.lock().is_down = true;
    }

    /// The outage is over.
    pub fn up(&self) {
        self.lock().is_down = false;
    }

    /// Makes the next request to append meet `mishap`.
    pub fn next_append(&self, mishap: Mishap) {
        self.lock().next = Some(mishap);
    }

    /// Delivers late requests. The journal rejects those that no longer fit.
    pub fn deliver_late(&self) {
        let late = std::mem::take(&mut self.lock().late);
        for (expected, entry) in late {
            let _ = self.journal.append(expected, entry);
        }
    }

    pub(super) fn is_down(&self) -> bool {
        self.lock().is_down
    }

    /// Asks the journal to append; see [`Journal::append`].
    pub(super) fn append(&self, expected: usize, entry: Entry) -> Result<usize, LinkError> {
        self.pass()?;
        let mishap = self.lock().next.take();
        match mishap {
            None => Ok(self.journal.append(expected, entry)?),
            Some(Mishap::AnswerLost | Mishap::AnswerLostThenDown) => {
                let _ = self.journal.append(expected, entry);
                self.lock().is_down = mishap == Some(Mishap::AnswerLostThenDown);
                Err(LinkError::NoAnswer)
            }
            Some(Mishap::Late | Mishap::LateThenDown) => {
                let mut state = self.lock();
                state.late.push((expected, entry));
                state.is_down = mishap == Some(Mishap::LateThenDown);
                Err(LinkError::NoAnswer)
            }
        }
    }

    /// The entry with this number, if it exists.
    pub(super) fn get(&self, number: usize) -> Result<Option<Entry>, LinkError> {
        self.pass()?;
        Ok(self.journal.get(number))
    }

    /// Whether the journal can be reached, and how long it is.
    pub(super) fn len(&self) -> Result<usize, LinkError> {
        self.pass()?;
        Ok(self.journal.len())
    }

    /// Waits for entries after the first `known`, or until `patience` is over.
    pub(super) fn wait(&self, known: usize, patience: Duration) {
        match self.is_down() {
            true => thread::sleep(patience),
            false => self.journal.wait(known, patience),
        }
    }

    fn pass(&self) -> Result<(), LinkError> {
        let latency = self.lock().latency;
        thread::sleep(latency);
        if self.is_down() { Err(LinkError::Down) } else { Ok(()) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
