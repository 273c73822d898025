use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use http::request::Parts;
use tidings_engine::spawn_outliving;
use tidings_hub::{Grant, Matcher, Timestamp};
use tokio::sync::watch;
use tokio::time::timeout;

use super::answer::after;
use super::backend::Backend;
use super::cache::Cache;
use super::counts::RuleCounts;
use super::outcome::{Granted, Outcome, Unavailable};
use super::question::{Asked, AskedTopic, Question, QuestionKey};
use super::rule::{Action, AuthorizeRule, OnFailure};
use crate::clock;
use crate::problem::Problem;

/// All rules, and the answers to the questions that were asked.
#[derive(Debug)]
pub(crate) struct Authorizer {
    backends: Vec<Backend>,
    /// Questions that wait for a slot, by rule.
    waiting: Vec<AtomicUsize>,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    cache: Cache,
    /// Questions under way, each with its answer to come.
    flights: HashMap<QuestionKey, watch::Receiver<Option<Outcome>>>,
}

/// What is known of a question before it is asked.
enum Known {
    Outcome(Outcome),
    Flight(watch::Receiver<Option<Outcome>>),
}

impl Authorizer {
    /// `None` without rules.
    pub(crate) fn new(rules: &[AuthorizeRule]) -> Option<Arc<Self>> {
        let backends: Vec<_> = rules.iter().cloned().map(Backend::new).collect();
        let waiting = rules.iter().map(|_| AtomicUsize::new(0)).collect();
        let is_any = !backends.is_empty();
        is_any.then(|| Arc::new(Self { backends, waiting, inner: Mutex::default() }))
    }

    /// The rules, with what became of the requests they are about.
    pub(crate) fn rules(&self) -> impl Iterator<Item = (&AuthorizeRule, &RuleCounts, bool)> {
        self.backends.iter().map(|backend| (&backend.rule, &backend.counts, backend.is_failing()))
    }

    /// The question about a request, by the first rule that `is_wanted`, is about its action,
    /// covers all its topics and has something of it to send. What everybody may do is not asked
    /// about: it does not depend on a backend.
    ///
    /// # Errors
    ///
    /// As [`Question::of`].
    pub(crate) fn question(
        &self,
        parts: &Parts,
        asked: &Asked<'_>,
        everybody: &Grant,
        is_wanted: impl Fn(&AuthorizeRule) -> bool,
    ) -> Result<Option<Arc<Question>>, Problem> {
        let is_about = |backend: &Backend| {
            backend.rule.actions.contains(&asked.action) && is_wanted(&backend.rule)
        };
        if !self.backends.iter().any(is_about) {
            return Ok(None);
        }
        let Some(topics) = (asked.topics)() else { return Ok(None) };
        let is_public = |topic: &AskedTopic| match (asked.action, &topic.matcher) {
            (Action::Subscribe, matcher) => everybody.may_subscribe(matcher),
            (Action::Publish, Matcher::Exact(topic)) => everybody.may_publish(topic),
            (Action::Publish, _) => false,
        };
        if !topics.is_empty() && topics.iter().all(is_public) {
            return Ok(None);
        }
        for (place, backend) in self.backends.iter().enumerate() {
            let rule = &backend.rule;
            if !is_about(backend) || !rule.covers(topics.iter().map(|topic| &topic.matcher)) {
                continue;
            }
            let question = Question::of(place, rule, asked.action, &topics, asked.config, parts)?;
            if let Some(question) = question {
                return Ok(Some(Arc::new(question)));
            }
        }
        Ok(None)
    }

    /// What the backend says: an answer that is kept, or that of a question, asked once however
    /// many want to know.
    pub(crate) async fn ask(self: &Arc<Self>, question: &Arc<Question>) -> Outcome {
        let backend = &self.backends[question.rule];
        let outcome = match self.look_up(question) {
            Known::Outcome(outcome) => outcome,
            Known::Flight(flight) => landed(flight, backend).await,
        };
        let Outcome::Unavailable(why) = outcome else { return outcome };
        match self.stale(question) {
            Some(granted) => Outcome::Granted(granted),
            None => {
                backend.counts.without_answer(why);
                Outcome::Unavailable(why)
            }
        }
    }

    /// The same about streams that run, before the end of their last answer. Newcomers come first.
    pub(super) async fn ask_again(
        self: &Arc<Self>,
        question: &Arc<Question>,
        last: &Granted,
    ) -> Outcome {
        let backend = &self.backends[question.rule];
        // A newcomer may have asked the same since.
        let kept = self.lock().cache.grant(&question.key);
        let newer = kept.map(|kept| kept.granted);
        let newer = newer.filter(|granted| {
            granted.good_until > last.good_until && granted.good_until > clock::now()
        });
        if let Some(granted) = newer {
            return Outcome::Granted(granted);
        }
        // It is not closed while this exists.
        let _turn = backend.renewals.acquire().await;
        let known = if backend.is_failing() {
            Known::Outcome(Outcome::Unavailable(Unavailable::Open))
        } else {
            let mut inner = self.lock();
            match inner.flights.get(&question.key) {
                Some(flight) => Known::Flight(flight.clone()),
                None => self.launch(&mut inner, Flight::board_again(self, question)),
            }
        };
        let outcome = match known {
            Known::Outcome(outcome) => outcome,
            Known::Flight(flight) => landed(flight, backend).await,
        };
        if let Outcome::Unavailable(why) = outcome {
            backend.counts.without_answer(why);
        }
        outcome
    }

    /// When streams with this last answer end, if the backend says nothing more.
    pub(super) fn stale_end(&self, question: &Question, last: &Granted) -> Timestamp {
        after(last.good_until, self.backends[question.rule].rule.stale_max)
    }

    pub(super) fn stream_kept(&self, rule: usize) {
        self.backends[rule].counts.stream_kept();
    }

    pub(super) fn stream_left(&self, rule: usize) {
        self.backends[rule].counts.stream_left();
    }

    fn look_up(self: &Arc<Self>, question: &Arc<Question>) -> Known {
        let backend = &self.backends[question.rule];
        let (now, key) = (Instant::now(), question.key);
        let mut inner = self.lock();
        if let Some(kept) = inner.cache.grant(&key).filter(|kept| now < kept.fresh_until) {
            backend.counts.kept();
            return Known::Outcome(Outcome::Granted(kept.granted));
        }
        if inner.cache.is_refused(&key, now) {
            backend.counts.kept();
            return Known::Outcome(Outcome::Refused);
        }
        if let Some(flight) = inner.flights.get(&key) {
            backend.counts.joined();
            return Known::Flight(flight.clone());
        }
        if backend.is_failing() {
            return Known::Outcome(Outcome::Unavailable(Unavailable::Open));
        }
        let Some(flight) = Flight::board(self, question) else {
            return Known::Outcome(Outcome::Unavailable(Unavailable::Full));
        };
        self.launch(&mut inner, flight)
    }

    /// Asks in a task of its own: the request that asked may be cancelled, and the others still
    /// need the answer. The place in the queue belongs to the task.
    fn launch(&self, inner: &mut Inner, flight: Flight) -> Known {
        let landing = flight.landing.subscribe();
        inner.flights.insert(flight.question.key, landing.clone());
        spawn_outliving(flight.fly());
        Known::Flight(landing)
    }

    /// The last answer, if it still counts although the backend gives none.
    fn stale(&self, question: &Question) -> Option<Arc<Granted>> {
        let rule = &self.backends[question.rule].rule;
        if rule.on_failure != OnFailure::AllowCached {
            return None;
        }
        let kept = self.lock().cache.grant(&question.key)?;
        (Instant::now() < kept.good_until + rule.stale_max).then(|| {
            let Granted { grant, who, good_for, good_until } = &*kept.granted;
            let expires = Some(after(*good_until, rule.stale_max));
            let grant = Arc::new(Grant { expires, ..Grant::clone(grant) });
            let (good_for, good_until) = (*good_for, *good_until);
            Arc::new(Granted { grant, who: Arc::clone(who), good_for, good_until })
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The answer of a question that is under way.
async fn landed(mut flight: watch::Receiver<Option<Outcome>>, backend: &Backend) -> Outcome {
    let lost = Outcome::Unavailable(Unavailable::Failed);
    let landed = timeout(backend.patience() * 2, flight.wait_for(Option::is_some)).await;
    match landed {
        Ok(Ok(outcome)) => outcome.clone().unwrap_or(lost),
        _ => lost,
    }
}

/// A question under way: first it waits for a slot, then it is asked. While it exists, it has a
/// place among the questions that wait, or a slot.
struct Flight {
    authorizer: Arc<Authorizer>,
    question: Arc<Question>,
    landing: watch::Sender<Option<Outcome>>,
    /// Whether it counts as waiting.
    is_waiting: bool,
}

impl Flight {
    /// `None` if too many wait.
    fn board(authorizer: &Arc<Authorizer>, question: &Arc<Question>) -> Option<Self> {
        let backend = &authorizer.backends[question.rule];
        // One that finds a slot at once counts as waiting for a moment, too.
        let max = backend.rule.waiting + backend.slots.available_permits();
        let waiting = &authorizer.waiting[question.rule];
        if waiting.fetch_add(1, Ordering::AcqRel) >= max {
            waiting.fetch_sub(1, Ordering::AcqRel);
            return None;
        }
        let mut flight = Self::board_again(authorizer, question);
        flight.is_waiting = true;
        Some(flight)
    }

    /// One about streams that run: there are no more of these than may be asked at once.
    fn board_again(authorizer: &Arc<Authorizer>, question: &Arc<Question>) -> Self {
        Self {
            authorizer: Arc::clone(authorizer),
            question: Arc::clone(question),
            landing: watch::Sender::new(None),
            is_waiting: false,
        }
    }

    async fn fly(mut self) {
        let outcome = self.outcome().await;
        self.land(outcome);
    }

    async fn outcome(&mut self) -> Outcome {
        let authorizer = Arc::clone(&self.authorizer);
        let backend = &authorizer.backends[self.question.rule];
        let slot = timeout(backend.rule.wait, Arc::clone(&backend.slots).acquire_owned()).await;
        self.stop_waiting();
        let Ok(Ok(_slot)) = slot else { return Outcome::Unavailable(Unavailable::Full) };
        // It may have opened meanwhile.
        if !backend.admits() {
            return Outcome::Unavailable(Unavailable::Open);
        }
        match backend.ask(&self.question).await {
            Ok(Some(granted)) => Outcome::Granted(Arc::new(granted)),
            Ok(None) => Outcome::Refused,
            Err(_) => Outcome::Unavailable(Unavailable::Failed),
        }
    }

    /// Keeps the outcome and tells it. In one step for the others: each finds the flight or the
    /// answer.
    fn land(&self, outcome: Outcome) {
        let key = self.question.key;
        let rule = &self.authorizer.backends[self.question.rule].rule;
        let now = Instant::now();
        let mut inner = self.authorizer.lock();
        inner.flights.remove(&key);
        match &outcome {
            Outcome::Granted(granted) => {
                let fresh = rule.cache.min(granted.good_for);
                inner.cache.keep_grant(key, Arc::clone(granted), fresh, now);
            }
            Outcome::Refused => inner.cache.keep_refusal(key, rule.cache_refused, now),
            Outcome::Unavailable(_) => {}
        }
        drop(inner);
        self.landing.send_replace(Some(outcome));
    }

    fn stop_waiting(&mut self) {
        if std::mem::take(&mut self.is_waiting) {
            self.authorizer.waiting[self.question.rule].fetch_sub(1, Ordering::AcqRel);
        }
    }
}

impl Drop for Flight {
    /// However it ends, also by a panic: nobody waits for it.
    fn drop(&mut self) {
        self.stop_waiting();
        if self.landing.borrow().is_none() {
            self.land(Outcome::Unavailable(Unavailable::Failed));
        }
    }
}
