//! Publishing: single appends, streams of them, and runs of a topic.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use tidings_hub::{Appended, Draft, Topic};
use tokio::runtime::Handle;

use super::{Engine, Inner};
use crate::committer::{JobStream, Taking};
use crate::error::{PublishError, StreamError};
use crate::topic_share::TopicShare;

/// How a publisher's events are a run of their topic.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// The topic that they are about, if they are about one: once another publisher has ended it,
    /// they are refused with [`PublishError::TopicEnded`].
    pub topic: Option<Topic>,
    /// They begin their topics, which must have no events and must not have ended: else they are
    /// refused with [`PublishError::TopicExists`].
    pub begins: bool,
}

/// A stream of drafts; made by [`Engine::publish_stream`]. The first wrong draft ends it: all
/// drafts before it are published, and none after it, although later parts may already have been
/// handed over.
#[derive(Clone)]
pub struct PublishStream {
    engine: Engine,
    stream: JobStream,
}

impl PublishStream {
    /// Publishes the next part. Parts have the order in which their futures are first polled.
    ///
    /// # Errors
    ///
    /// [`StreamError`] says what is published of this part.
    pub async fn publish(self, drafts: Vec<Draft>) -> Result<Vec<Appended>, StreamError> {
        self.engine.append(drafts, Some(self.stream), Taking::UpToTheFirstWrongOne).await
    }

    /// Publishes the next part all or nothing.
    ///
    /// # Errors
    ///
    /// [`PublishError`]; nothing of this part was published, and nothing after it is.
    pub async fn publish_whole(self, drafts: Vec<Draft>) -> Result<Vec<Appended>, PublishError> {
        let appended = self.engine.append(drafts, Some(self.stream), Taking::AllOrNothing);
        appended.await.map_err(|failed| failed.error)
    }

    /// Waits until another publisher has ended the [topic](Run::topic) of the stream; for ever if
    /// it is about none. From then on nothing more of it is published.
    pub async fn topic_ended(&self) {
        self.stream.ended().await;
    }
}

impl Engine {
    /// The same engine for publishers that begin topics within `share` only.
    #[must_use]
    pub fn with_topic_share(&self, share: Option<Arc<TopicShare>>) -> Self {
        Self { topic_share: share, ..self.clone() }
    }

    /// Stores `drafts`, in order, all or nothing, as firmly as the store promises. Returns one
    /// entry per draft. They reach subscribers by the store's tail, soon after.
    ///
    /// # Errors
    ///
    /// [`PublishError`]; nothing was published.
    pub async fn publish(&self, drafts: Vec<Draft>) -> Result<Vec<Appended>, PublishError> {
        self.append(drafts, None, Taking::AllOrNothing).await.map_err(|failed| failed.error)
    }

    /// Begins a stream of drafts that are published in several parts, in order.
    pub fn publish_stream(&self, run: Run) -> PublishStream {
        let stream = self.inner.committer.streams.open(run.topic, run.begins);
        PublishStream { engine: self.clone(), stream }
    }

    /// Whether a [stream of drafts](Run) about `topic` is being published, and the topic has not
    /// ended since it began.
    pub fn has_publisher(&self, topic: &Topic) -> bool {
        self.inner.committer.streams.has(topic)
    }

    async fn append(
        &self,
        drafts: Vec<Draft>,
        stream: Option<JobStream>,
        taking: Taking,
    ) -> Result<Vec<Appended>, StreamError> {
        let came = Instant::now();
        // What drafts are compared with is not there yet.
        let is_fetched = self.inner.store.is_fetched();
        is_fetched.map_err(|reason| PublishError::Store(reason.into()))?;
        let share = self.topic_share.clone();
        let has_keys = drafts.iter().any(|draft| draft.key.is_some());
        let desk = Arc::<Inner>::clone(&self.inner);
        let appended = self.inner.committer.append(desk, drafts, share, stream, taking, came).await;
        if appended.is_ok() {
            self.inner.counters.timings.publishes.observe(came.elapsed());
            if has_keys && !self.inner.has_keys.swap(true, Ordering::Relaxed) {
                self.look_up_slots();
            }
        }
        appended
    }

    /// Looks up the slots of the log, which takes as long as reading it: there will be readers of
    /// the state, and the first one should not wait for that.
    fn look_up_slots(&self) {
        let (store, engine) = (&self.inner.store, self.clone());
        // Without a runtime, or if this one ends, or the log cannot be read now, the first reader
        // does it.
        if let Ok(runtime) = Handle::try_current()
            && !store.slots().is_whole()
        {
            runtime.spawn(async move {
                if let Err(error) = engine.read(|store| store.slots().complete(store)).await {
                    tracing::debug!(%error, "the slots of the log could not be looked up");
                }
            });
        }
    }
}
