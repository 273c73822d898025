//! Running streams whose rights come from a backend.
//!
//! An answer is good for a while, and a stream runs for longer. So before an answer ends, the
//! backend is asked again, with the values of the client that are kept for it: once for all streams
//! with the same question, and behind the questions about newcomers. As long as it says yes,
//! nothing happens to the streams. They are closed if it says no, if it grants less than they read,
//! or if the credential is another user's by now. If it says nothing, they go on until some time
//! after the end of the last answer, so that a backend may be away.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tidings_engine::{ConnectionId, Engine, Look, Term, spawn_outliving};
use tidings_hub::{CloseReason, Grant, Interest, Timestamp};
use tokio::task::AbortHandle;

use super::authorizer::Authorizer;
use super::outcome::{Granted, Outcome};
use super::question::{Question, QuestionKey};
use crate::auth::session::live::covers;
use crate::clock;
use crate::limits::AUTHORIZE_PROBE_PAUSE;

/// What a caller may do because a backend says so.
#[derive(Clone, Debug)]
pub struct Authorized {
    pub(crate) question: Arc<Question>,
    pub(crate) granted: Arc<Granted>,
}

impl Authorized {
    /// What the backend grants.
    pub fn grant(&self) -> &Arc<Grant> {
        &self.granted.grant
    }
}

/// The streams that run, by the question about them.
#[derive(Debug, Default)]
pub(crate) struct Kept(Mutex<HashMap<QuestionKey, Watch>>);

/// All streams with one question.
#[derive(Debug)]
struct Watch {
    /// What each of them reads.
    streams: HashMap<ConnectionId, Interest>,
    term: Arc<AnswerTerm>,
    /// Asks again. It ends with the last stream.
    task: AbortHandle,
}

/// How long all streams with one question may run, if the backend says nothing more.
#[derive(Debug)]
struct AnswerTerm {
    /// Milliseconds since 1970.
    ends_ms: AtomicU64,
}

impl Term for AnswerTerm {
    fn look(&self, _: ConnectionId, now: Timestamp) -> Look {
        let next = self.end();
        if next > now { Look::Good { next, block: None } } else { Look::Ended }
    }
}

impl AnswerTerm {
    fn end(&self) -> Timestamp {
        Timestamp::from_millis(self.ends_ms.load(Ordering::Acquire))
    }

    fn move_to(&self, end: Timestamp) {
        self.ends_ms.store(end.as_millis(), Ordering::Release);
    }
}

/// A stream's place among those that are kept; it leaves when this is dropped.
pub(crate) struct Place {
    kept: Arc<Kept>,
    authorizer: Arc<Authorizer>,
    rule: usize,
    key: QuestionKey,
    id: ConnectionId,
}

impl Kept {
    /// Keeps a stream: from now on its end is that of the answers about it, which the term says.
    pub(crate) fn keep(
        self: &Arc<Self>,
        authorizer: &Arc<Authorizer>,
        engine: &Engine,
        everybody: &Arc<Grant>,
        authorized: Authorized,
        id: ConnectionId,
        interest: Interest,
    ) -> (Place, Arc<dyn Term>) {
        let Authorized { question, granted } = authorized;
        let (rule, key) = (question.rule, question.key);
        let mut all = self.lock();
        let watch = all.entry(key).or_insert_with(|| {
            let ends_ms = authorizer.stale_end(&question, &granted).as_millis().into();
            let term = Arc::new(AnswerTerm { ends_ms });
            let asking = Asking {
                kept: Arc::clone(self),
                authorizer: Arc::clone(authorizer),
                engine: engine.clone(),
                everybody: Arc::clone(everybody),
                question,
                granted,
                term: Arc::clone(&term),
                failures: 0,
            };
            // It is for all streams with this answer, of whichever connection.
            let task = spawn_outliving(asking.run()).abort_handle();
            Watch { streams: HashMap::new(), term, task }
        });
        watch.streams.insert(id, interest);
        let term = Arc::clone(&watch.term);
        drop(all);
        authorizer.stream_kept(rule);
        let (kept, authorizer) = (Arc::clone(self), Arc::clone(authorizer));
        (Place { kept, authorizer, rule, key, id }, term)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<QuestionKey, Watch>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes out the streams that read more than `is_covered` allows. Returns them, and whether no
    /// stream is left.
    fn take(
        &self,
        key: QuestionKey,
        is_covered: impl Fn(&Interest) -> bool,
    ) -> (Vec<ConnectionId>, bool) {
        let mut all = self.lock();
        let Some(watch) = all.get_mut(&key) else { return (Vec::new(), true) };
        let taken = watch.streams.extract_if(|_, interest| !is_covered(interest));
        let taken = taken.map(|(id, _)| id).collect();
        let is_over = watch.streams.is_empty();
        if is_over {
            all.remove(&key);
        }
        (taken, is_over)
    }
}

/// The task that asks again about the streams of one question.
struct Asking {
    kept: Arc<Kept>,
    authorizer: Arc<Authorizer>,
    engine: Engine,
    everybody: Arc<Grant>,
    question: Arc<Question>,
    /// The last positive answer.
    granted: Arc<Granted>,
    term: Arc<AnswerTerm>,
    /// Questions in a row without an answer.
    failures: u32,
}

impl Asking {
    async fn run(mut self) {
        loop {
            tokio::time::sleep(self.pause()).await;
            match self.authorizer.ask_again(&self.question, &self.granted).await {
                Outcome::Granted(granted) if granted.who.subject == self.granted.who.subject => {
                    self.failures = 0;
                    self.term.move_to(self.authorizer.stale_end(&self.question, &granted));
                    let Granted { grant, .. } = &*granted;
                    let is_covered = |interest: &Interest| covers(grant, &self.everybody, interest);
                    if self.close(is_covered, CloseReason::GrantNarrowed).await {
                        return;
                    }
                    self.granted = granted;
                }
                Outcome::Unavailable(_) if clock::now() < self.term.end() => {
                    self.failures = self.failures.saturating_add(1);
                }
                _ => {
                    self.close(|_| false, CloseReason::GrantExpired).await;
                    return;
                }
            }
        }
    }

    /// The time until the next question: in the last fifth of an answer, each stream at its own
    /// moment; and later after every failure.
    fn pause(&self) -> Duration {
        let now = clock::now();
        if self.failures > 0 {
            let (shortest, longest) = AUTHORIZE_PROBE_PAUSE;
            let pause = shortest * 2_u32.saturating_pow(self.failures.min(16) - 1);
            let pause = Duration::from_millis(clock::jittered_ms(pause.min(longest)));
            return pause.min(left(now, self.term.end()));
        }
        let whole = left(now, self.granted.good_until).min(self.granted.good_for);
        // Between 80 and 100 per cent.
        let whole_ms = u64::try_from(whole.as_millis()).unwrap_or(u64::MAX);
        let jitter_ms = clock::jittered_ms(Duration::from_millis(whole_ms / 5));
        Duration::from_millis((whole_ms - whole_ms / 5 - whole_ms / 10 + jitter_ms).max(1))
    }

    /// Closes the streams that read what is not covered. A page comes back by itself, and hears
    /// then what it may not read. Returns whether no stream is left.
    async fn close(&self, is_covered: impl Fn(&Interest) -> bool, reason: CloseReason) -> bool {
        let (ids, is_over) = self.kept.take(self.question.key, is_covered);
        if !ids.is_empty() {
            self.engine.close(&ids, reason).await;
        }
        is_over
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.authorizer.stream_left(self.rule);
        let mut all = self.kept.lock();
        let Some(watch) = all.get_mut(&self.key) else { return };
        watch.streams.remove(&self.id);
        if watch.streams.is_empty() {
            watch.task.abort();
            all.remove(&self.key);
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place").field("id", &self.id).finish_non_exhaustive()
    }
}

fn left(now: Timestamp, end: Timestamp) -> Duration {
    Duration::from_millis(end.as_millis().saturating_sub(now.as_millis()))
}
