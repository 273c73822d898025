use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tidings_hub::Topic;
use tokio::sync::Notify;

/// One publisher's events in several jobs, in order. If one of them is wrong, nothing after it is
/// published, although further jobs may be in the queue by then.
#[derive(Clone, Debug)]
pub(crate) struct JobStream(Arc<State>);

#[derive(Debug)]
struct State {
    /// The topic that the stream is about, if it is about one.
    topic: Option<Topic>,
    /// The next job is the first, and must begin the topic.
    begins: AtomicBool,
    broken: AtomicBool,
    /// The topic has ended since the stream began.
    past_end: AtomicBool,
    /// Another publisher has ended the topic.
    ended: AtomicBool,
    ending: Notify,
    streams: Arc<OpenStreams>,
}

impl JobStream {
    /// Whether the next job must begin the topic: only the first, if any.
    pub(super) fn take_begins(&self) -> bool {
        self.0.begins.swap(false, Ordering::Relaxed)
    }

    /// The topic that the stream is about, if it is about one.
    pub(super) fn topic(&self) -> Option<&Topic> {
        self.0.topic.as_ref()
    }

    /// Stops the stream: nothing more of it is published. Only the committer sets and reads this.
    pub(super) fn break_off(&self) {
        self.0.broken.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_broken(&self) -> bool {
        self.0.broken.load(Ordering::Relaxed)
    }

    /// Whether another publisher has ended its topic.
    pub(super) fn is_ended(&self) -> bool {
        self.0.ended.load(Ordering::Acquire)
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Waits until another publisher has ended the topic of the stream.
    pub(crate) async fn ended(&self) {
        loop {
            let ending = self.0.ending.notified();
            if self.is_ended() {
                return;
            }
            ending.await;
        }
    }
}

impl Drop for State {
    fn drop(&mut self) {
        if let Some(topic) = &self.topic {
            self.streams.forget_closed(topic);
        }
    }
}

/// The streams that are being published and are about one topic each, so that a client that ends
/// the topic stops their publishers. As many as there are requests at most.
#[derive(Debug, Default)]
pub(crate) struct OpenStreams(Mutex<HashMap<Topic, Vec<Weak<State>>>>);

impl OpenStreams {
    /// A new stream; with `begins`, its first job must begin the topic.
    pub(crate) fn open(self: &Arc<Self>, topic: Option<Topic>, begins: bool) -> JobStream {
        let state = Arc::new(State {
            topic: topic.clone(),
            begins: AtomicBool::new(begins),
            broken: AtomicBool::new(false),
            past_end: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            ending: Notify::new(),
            streams: Arc::clone(self),
        });
        if let Some(topic) = topic {
            self.lock().entry(topic).or_default().push(Arc::downgrade(&state));
        }
        JobStream(state)
    }

    /// Whether any stream is about `topic`, which has not ended since. One that has seen the end,
    /// its own or another's, is held for a while yet: until its answer has left, for one.
    pub(crate) fn has(&self, topic: &Topic) -> bool {
        let streams: Vec<_> = match self.lock().get(topic) {
            Some(streams) => streams.iter().filter_map(Weak::upgrade).collect(),
            None => return false,
        };
        // Not under the lock: what is held last takes it when it is dropped.
        streams.iter().any(|stream| !stream.past_end.load(Ordering::Acquire))
    }

    /// `topic` has ended: stops its publishers, all but the stream that has ended it.
    pub(super) fn end(&self, topic: &Topic, by: Option<&JobStream>) {
        let streams: Vec<_> = match self.lock().get(topic) {
            Some(streams) => streams.iter().filter_map(Weak::upgrade).map(JobStream).collect(),
            None => return,
        };
        for stream in streams {
            stream.0.past_end.store(true, Ordering::Release);
            if by.is_some_and(|by| by.is_same(&stream)) {
                continue;
            }
            stream.break_off();
            stream.0.ended.store(true, Ordering::Release);
            stream.0.ending.notify_waiters();
        }
    }

    fn forget_closed(&self, topic: &Topic) {
        let mut topics = self.lock();
        if let Some(streams) = topics.get_mut(topic) {
            streams.retain(|stream| stream.strong_count() > 0);
            if streams.is_empty() {
                topics.remove(topic);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Topic, Vec<Weak<State>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
