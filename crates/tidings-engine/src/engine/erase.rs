//! Erasing events: out of the store, and then out of what workers hold for subscribers.
//!
//! An erasure goes on when the request that asked for it is gone, and who asks for the same waits
//! for the one that is under way. Before a key is erased, or the event that stands for it, the key
//! is removed by an event as usual; once subscribers have that, it is erased with the rest.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tidings_hub::{
    Draft, Erase, EraseError, Erased, Erasing, EventId, Expected, Interest, Key, Kind, Log,
    Matcher, Position, ReadError, ReadQuery, Record, Topic, erased_key, where_erased,
};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::Engine;
use crate::error::PublishError;
use crate::forgetting::order_all;
use crate::limits::{
    ERASE_CATCH_UP_PATIENCE, ERASE_LOOK_INTERVAL, ERASE_READ_RECORDS, ERASURES_MAX,
    QUESTION_PATIENCE,
};

/// Which events of a topic are erased.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum EraseTarget {
    /// All of them.
    Topic,
    /// Those with this id, as subscribers know it.
    Id(EventId),
    /// Those with this key.
    Key(Key),
}

/// Why events are not erased.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum EraseFailure {
    /// There is no such event, and there was none as far as the log knows.
    Unknown,
    /// The event removes a key, or is of a value that grew by pieces: only together with all events
    /// of the key can it be erased.
    OnlyWithKey,
    /// The store cannot erase.
    Unsupported,
    /// The maximum number of erasures is under way.
    TooMany,
    /// The event by which subscribers learn of it was not published.
    Publish(PublishError),
    /// The store did not erase them, or only some.
    Store(EraseError),
}

/// An erasure that is under way.
pub struct Erasure {
    outcome: Receiver,
}

type Outcome = Result<u64, Arc<EraseFailure>>;

type Receiver = watch::Receiver<Option<Outcome>>;

/// All that are under way.
#[derive(Default)]
pub(super) struct Erasures(Mutex<HashMap<(Topic, EraseTarget), Receiver>>);

impl Erasure {
    /// The number of events that were erased; `None` if that is not over after `patience`.
    ///
    /// # Errors
    ///
    /// [`EraseFailure`].
    pub async fn wait(mut self, patience: Duration) -> Option<Outcome> {
        let over = timeout(patience, self.outcome.wait_for(Option::is_some)).await;
        over.ok().and_then(Result::ok).and_then(|outcome| outcome.clone())
    }
}

impl Engine {
    /// Whether the log is shared by several hubs: then an erasure reaches the copies of all, each
    /// when its hub follows it, and not what holds the log.
    pub fn has_shared_log(&self) -> bool {
        self.inner.store.shared().is_some()
    }

    /// Erases events of `topic`: when it is over, nothing of them is in the store or in memory. Of
    /// a log that hubs share, that is this hub's copy.
    ///
    /// # Errors
    ///
    /// [`EraseFailure::Unsupported`], [`EraseFailure::TooMany`].
    pub fn erase(&self, topic: Topic, target: EraseTarget) -> Result<Erasure, EraseFailure> {
        // Before subscribers hear of anything.
        if self.inner.store.eraser().is_none() {
            return Err(EraseFailure::Unsupported);
        }
        let erasures = &self.inner.erasures.0;
        let mut under_way = erasures.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = (topic, target);
        if let Some(outcome) = under_way.get(&asked) {
            return Ok(Erasure { outcome: outcome.clone() });
        }
        if under_way.len() >= ERASURES_MAX {
            return Err(EraseFailure::TooMany);
        }
        let (done, outcome) = watch::channel(None);
        under_way.insert(asked.clone(), outcome.clone());
        drop(under_way);
        let under_way = UnderWay::new(self.clone(), asked, done);
        self.begin(async move {
            let (topic, target) = &under_way.asked;
            let outcome = under_way.engine.carry_out(topic, target).await;
            under_way.end(outcome);
        });
        Ok(Erasure { outcome })
    }

    async fn carry_out(&self, topic: &Topic, target: &EraseTarget) -> Result<u64, EraseFailure> {
        match target {
            EraseTarget::Topic => self.erase_topic(topic).await,
            EraseTarget::Key(key) => self.erase_key(topic, key).await,
            EraseTarget::Id(id) => match self.erase_id(topic, id).await {
                Err(EraseFailure::Unknown) if self.has_shared_log() => {
                    self.get_whole_log().await?;
                    self.erase_id(topic, id).await
                }
                outcome => outcome,
            },
        }
    }

    /// Has the copy of a shared log follow all that the log has. It may lack what other hubs
    /// appended before the request, so without that it does not count that it has nothing.
    async fn get_whole_log(&self) -> Result<(), EraseFailure> {
        match self.proved_head(Instant::now()).await {
            Some(_) => Ok(()),
            None => Err(EraseFailure::Store(EraseError::GivenUp)),
        }
    }

    async fn erase_topic(&self, topic: &Topic) -> Result<u64, EraseFailure> {
        let mut erased = self.erased_upto(topic).await;
        if !matches!(erased, Ok(None)) && self.has_shared_log() {
            self.get_whole_log().await?;
            erased = self.erased_upto(topic).await;
        }
        let upto = match erased? {
            // An erasure that was interrupted may have left something in files.
            Some(upto) => upto,
            None => {
                let erasure = Draft { kind: Kind::Erasure, ..Draft::new(topic.clone(), "") };
                self.append_one(erasure).await?.previous()
            }
        };
        self.erase_in_store(topic, Erasing::All, upto).await
    }

    /// Position up to which all of the topic was erased, if there is nothing after that.
    async fn erased_upto(&self, topic: &Topic) -> Result<Option<Position>, EraseFailure> {
        let known = self.topic(topic.clone()).await?.ok_or(EraseFailure::Unknown)?;
        let last = self.record_at(known.last).await?;
        let is_erased = known.records == 1 && last.is_some_and(|one| one.kind == Kind::Erasure);
        Ok(is_erased.then(|| known.last.previous()))
    }

    async fn erase_key(&self, topic: &Topic, key: &Key) -> Result<u64, EraseFailure> {
        // Where the key has no value, one that is published from now on stays: no removal is before
        // it that its subscribers would get.
        let mut before = self.inner.store.bounds().head;
        let mut removal = self.remove(topic, key, None).await?;
        if removal.is_none() && self.has_shared_log() {
            self.get_whole_log().await?;
            before = self.inner.store.bounds().head;
            removal = self.remove(topic, key, None).await?;
        }
        let upto = removal.unwrap_or(before);
        let events = self.erase_in_store(topic, Erasing::Key(key.clone()), upto).await?;
        let mark = erased_key(topic, key);
        let notes = [Matcher::Exact(Topic::of_notes())];
        let is_known = self.read(move |store| store.catalog().find(&mark, &notes)).await?;
        if events == 0 && is_known.is_none() {
            return Err(EraseFailure::Unknown);
        }
        Ok(events)
    }

    /// Erases the events with this id: a publisher may have used its id several times.
    async fn erase_id(&self, topic: &Topic, id: &EventId) -> Result<u64, EraseFailure> {
        let mut events = 0;
        loop {
            match self.erase_one(topic, id, events == 0).await {
                Ok(0) => return Ok(events),
                Ok(more) => events += more,
                Err(EraseFailure::Unknown) if events > 0 => return Ok(events),
                Err(failure) => return Err(failure),
            }
        }
    }

    /// Erases an event with this id. The `first` time, an event of a shared log that was erased
    /// before is erased again, at every hub.
    async fn erase_one(
        &self,
        topic: &Topic,
        id: &EventId,
        first: bool,
    ) -> Result<u64, EraseFailure> {
        let (on, asked) = (topic.clone(), id.clone());
        let found = self.read(move |store| find_one(store, &on, &asked)).await?;
        let record = match found {
            Found::Record(record) => record,
            // The engine of a shared log may have lost the erasure before others followed it.
            Found::Erased(at) if first && self.has_shared_log() => {
                return self.erase_in_store(topic, Erasing::At(vec![at]), at).await;
            }
            Found::Erased(_) => return Ok(0),
            Found::Nothing => return Err(EraseFailure::Unknown),
        };
        if record.kind.is_removal() || self.is_of_growing_value(&record).await? {
            return Err(EraseFailure::OnlyWithKey);
        }
        let mut positions = vec![record.position()];
        let mut upto = record.position();
        // Otherwise an older event would stand for the key again.
        if let Some(key) = record.key.clone() {
            let version = record.event_id(self.epoch());
            let owner = record.topic.clone();
            if let Some(removal) = self.remove(&owner, &key, Some(version)).await?
                && self.is_only_one(&owner, &key, record.position(), removal).await?
            {
                positions.push(removal);
                upto = removal;
            }
        }
        self.erase_in_store(topic, Erasing::At(positions), upto).await
    }

    /// Removes a key from the state, if it is there; with `version`, only if that is its newest
    /// event. Returns the position of the removal, which subscribers then have.
    async fn remove(
        &self,
        topic: &Topic,
        key: &Key,
        version: Option<EventId>,
    ) -> Result<Option<Position>, EraseFailure> {
        let draft = Draft {
            key: Some(key.clone()),
            expected: version.map(|version| Box::new(Expected::Version(version))),
            kind: Kind::Removal,
            ..Draft::new(topic.clone(), "")
        };
        match self.append_one(draft).await {
            Ok(position) => Ok(Some(position)),
            Err(EraseFailure::Publish(
                PublishError::KeyUnknown { .. } | PublishError::VersionDiffers { .. },
            )) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    async fn append_one(&self, draft: Draft) -> Result<Position, EraseFailure> {
        let appended = self.publish(vec![draft]).await.map_err(EraseFailure::Publish)?;
        let position = appended[0].position;
        // Those who are there get it before it may be erased.
        self.wait_for_fan_out(position).await;
        let patience = Instant::now() + ERASE_CATCH_UP_PATIENCE;
        while Instant::now() < patience {
            let backlog = self.backlog().await;
            if backlog.catching_up <= backlog.blocked {
                break;
            }
            sleep(ERASE_LOOK_INTERVAL).await;
        }
        Ok(position)
    }

    /// Whether the value of the record's key has pieces, so that the record may be one of them.
    async fn is_of_growing_value(&self, record: &Record) -> Result<bool, EraseFailure> {
        let Some(key) = &record.key else { return Ok(false) };
        if record.piece.is_some() {
            return Ok(true);
        }
        let Some(newest) = self.inner.store.slots().newest(&record.topic, key) else {
            return Ok(false);
        };
        let newest = self.record_at(newest.position).await?;
        Ok(newest.is_some_and(|newest| newest.piece.is_some()))
    }

    /// Whether no other record has the key.
    async fn is_only_one(
        &self,
        topic: &Topic,
        key: &Key,
        one: Position,
        removal: Position,
    ) -> Result<bool, EraseFailure> {
        let (topic, key) = (topic.clone(), key.clone());
        let only = self.read(move |store| {
            let interest = Interest::new(vec![Matcher::Exact(topic.clone())], vec![Matcher::All]);
            let mut after = Position::ZERO;
            while after < removal {
                let page = store.read(&ReadQuery {
                    after,
                    upto: removal,
                    told: removal,
                    interest: Some(&interest),
                    records_max: ERASE_READ_RECORDS,
                    bytes_max: usize::MAX,
                })?;
                after = page.reached;
                let is_other = |record: &Arc<Record>| {
                    record.topic == topic
                        && record.key.as_ref() == Some(&key)
                        && ![one, removal].contains(&record.position())
                };
                if page.records.iter().any(is_other) {
                    return Ok(false);
                }
            }
            Ok(true)
        });
        Ok(only.await?)
    }

    async fn record_at(&self, position: Position) -> Result<Option<Arc<Record>>, EraseFailure> {
        Ok(self.read(move |store| record_at(store, position)).await?)
    }

    async fn erase_in_store(
        &self,
        topic: &Topic,
        what: Erasing,
        upto: Position,
    ) -> Result<u64, EraseFailure> {
        let what = Erase { topic: topic.clone(), what, upto };
        let inner = Arc::clone(&self.inner);
        let erased = tokio::task::spawn_blocking(move || {
            let go_on = || !inner.stopping.load(Ordering::Acquire);
            inner.store.eraser().map(|eraser| eraser.erase(&what, &go_on))
        });
        let erased = erased.await.unwrap_or(Some(Err(EraseError::GivenUp)));
        let erased = erased.ok_or(EraseFailure::Unsupported)?.map_err(EraseFailure::Store)?;
        self.forget(&erased, upto).await;
        Ok(erased.events)
    }

    /// Forgets what is held in memory of erased records, in the workers and for polls. When this
    /// returns, they have. The copy of a shared log has the fan-out tell them the same, and nobody
    /// waits for that: it can come after the answer to this request.
    async fn forget(&self, erased: &Erased, upto: Position) {
        // What the fan-out read before it was erased is then with the workers.
        self.wait_for_fan_out(upto).await;
        self.inner.recent.forget();
        let permit = Arc::clone(&self.inner.questions).acquire_owned().await;
        let Ok(permit) = permit else { return };
        let topics = erased.few_topics().cloned().map(Arc::new);
        let heard = order_all(&self.inner.mailboxes, topics.as_ref(), upto, permit);
        for is_done in heard {
            let _ = timeout(QUESTION_PATIENCE, is_done).await;
        }
    }

    async fn wait_for_fan_out(&self, position: Position) {
        let mut head = self.inner.head.subscribe();
        let _ = timeout(QUESTION_PATIENCE, head.wait_for(|head| *head >= position)).await;
    }
}

/// An erasure that is carried out. It is over, however it ended, when this is dropped.
struct UnderWay {
    engine: Engine,
    asked: (Topic, EraseTarget),
    done: watch::Sender<Option<Outcome>>,
    outcome: Result<u64, EraseFailure>,
}

impl UnderWay {
    fn new(
        engine: Engine,
        asked: (Topic, EraseTarget),
        done: watch::Sender<Option<Outcome>>,
    ) -> Self {
        // Unless it ends otherwise.
        Self { engine, asked, done, outcome: Err(EraseFailure::Store(EraseError::GivenUp)) }
    }

    fn end(mut self, outcome: Result<u64, EraseFailure>) {
        self.outcome = outcome;
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let Self { engine, asked, done, outcome } = self;
        let outcome = std::mem::replace(outcome, Err(EraseFailure::Store(EraseError::GivenUp)));
        if let Ok(events) = outcome {
            engine.inner.counters.erased(events);
        }
        let erasures = &engine.inner.erasures.0;
        erasures.lock().unwrap_or_else(PoisonError::into_inner).remove(asked);
        // Requests that wait for it say in the log what became of it.
        if done.is_closed() {
            let topic = &asked.0;
            match &outcome {
                Ok(events) => tracing::info!(%topic, events, "events were erased in the end"),
                Err(failure) => {
                    let reason = format!("{failure:?}");
                    tracing::warn!(%topic, reason, "events were not erased in the end");
                }
            }
        }
        done.send_replace(Some(outcome.map_err(Arc::new)));
    }
}

/// What an id stands for.
enum Found {
    Record(Arc<Record>),
    /// It was at this position.
    Erased(Position),
    Nothing,
}

fn find_one(store: &dyn Log, topic: &Topic, id: &EventId) -> Result<Found, ReadError> {
    let on = [Matcher::Exact(topic.clone())];
    if let Some(position) = store.catalog().find(id, &on)? {
        return Ok(record_at(store, position)?.map_or(Found::Nothing, Found::Record));
    }
    if let Some(position) = where_erased(store, topic, id)? {
        return Ok(Found::Erased(position));
    }
    let Some(mark) = store.identity().mark_of(id.as_str()) else {
        return Ok(Found::Nothing);
    };
    Ok(match record_at(store, mark.position)? {
        Some(record) if record.kind == Kind::Erased => Found::Erased(mark.position),
        Some(record) if record.topics().any(|on| on == topic) && record.kind != Kind::Erasure => {
            Found::Record(record)
        }
        _ => Found::Nothing,
    })
}

fn record_at(store: &dyn Log, position: Position) -> Result<Option<Arc<Record>>, ReadError> {
    let bounds = store.bounds();
    if position < bounds.first || position > bounds.head {
        return Ok(None);
    }
    let page = store.read(&ReadQuery::one(position))?;
    Ok(page.records.into_iter().next())
}

impl From<ReadError> for EraseFailure {
    fn from(error: ReadError) -> Self {
        Self::Store(EraseError::Read(error))
    }
}

impl std::fmt::Debug for Erasure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Erasure").finish_non_exhaustive()
    }
}
