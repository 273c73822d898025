//! The hubs of a shared log, and what they say to each other past the log.
//!
//! The log itself needs none of this: every hub follows it. But who is connected where, and what
//! operators want done to a connection, is in no log. Each hub owns these facts for its own
//! subscribers, and tells or answers the others.
//!
//! # What may be relied on
//!
//! A message may be lost, so a fact is repeated until it has arrived ([`HubHandler::beat`]), and a
//! question ends after [`ANSWER_PATIENCE`] with the answers that came. How many did is part of the
//! result ([`HubCount`]): a sum over some of the hubs is never taken for one over all.
//!
//! A hub that was silent for [`SILENCE_MAX`] is lost, with everything it said about itself. Nothing
//! is stored, so nothing outlives that.

mod known;
mod message;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde::Serialize;
use serde_json::Value;
use tidings_hub::Wire;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{MissedTickBehavior, interval, timeout_at};

use crate::limits::{
    ANSWER_PATIENCE, ANSWERS_MAX, BEAT_INTERVAL, HEARD_BYTES_MAX, HUB_MESSAGE_BYTES_MAX, HUBS_MAX,
    HUBS_QUESTIONS_MAX, TELL_INTERVAL,
};
use known::Known;
use message::{Content, Message};

#[cfg(doc)]
use crate::limits::SILENCE_MAX;

/// The other hubs of a shared log.
pub struct Hubs {
    /// The number of this hub: the [run](tidings_engine::Engine::run) of its engine.
    run: u32,
    wire: Arc<dyn Wire>,
    known: Mutex<Known>,
    /// Where the answers to open questions go.
    questions: Mutex<HashMap<u64, mpsc::Sender<(u32, Value)>>>,
    next_question: AtomicU64,
    asking: Semaphore,
    answering: Arc<Semaphore>,
}

/// What a hub does with what the others say. Only [`asked`](Self::asked) may take its time.
pub trait HubHandler: Send + Sync + 'static {
    /// The answer to a question; `None` if it has none, which counts as no answer.
    fn asked(self: Arc<Self>, body: Value) -> Pin<Box<dyn Future<Output = Option<Value>> + Send>>;

    /// The hub `from` told something about `subject`.
    fn told(&self, from: u32, subject: &str, body: Value);

    /// Tells again what must have arrived at some time. Called every [`BEAT_INTERVAL`], and when a
    /// hub is new.
    fn beat(&self);

    /// Tells what is new. Called every [`TELL_INTERVAL`].
    fn tell_news(&self);

    /// The hub `run` is gone.
    fn left(&self, run: u32);
}

/// The number of hubs behind an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct HubCount {
    /// Hubs that have answered, this one included.
    pub answered: usize,
    /// Hubs that are known, this one included.
    pub known: usize,
    /// Whether the others cannot be reached at the moment, so that there may be more.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub away: bool,
}

/// The answers of other hubs to a question.
#[derive(Debug)]
pub struct Answers {
    /// By the number of the hub.
    pub by_hub: BTreeMap<u32, Value>,
    /// Known hubs that have not answered.
    pub silent: Vec<u32>,
    /// How many have answered.
    pub hubs: HubCount,
}

/// A message that was heard, with its room in memory.
type HeardMessage = (Vec<u8>, OwnedSemaphorePermit);

impl Hubs {
    pub(crate) fn new(run: u32, wire: Arc<dyn Wire>) -> Self {
        Self {
            run,
            wire,
            known: Mutex::default(),
            questions: Mutex::default(),
            next_question: AtomicU64::new(0),
            asking: Semaphore::new(HUBS_QUESTIONS_MAX),
            answering: Arc::new(Semaphore::new(ANSWERS_MAX)),
        }
    }

    /// Listens to the others and answers them with `handler`, until the future is dropped.
    pub async fn run(self: Arc<Self>, handler: Arc<dyn HubHandler>) {
        let mut heard = self.listen();
        let mut beat = interval(BEAT_INTERVAL);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut news = interval(TELL_INTERVAL);
        news.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                message = heard.recv() => match message {
                    Some((bytes, _room)) => self.handle(&bytes, &handler),
                    // The wire has ended, as at the end of the process.
                    None => return,
                },
                _ = beat.tick() => self.beat(&*handler),
                _ = news.tick() => {
                    let is_connected = self.wire.is_connected();
                    let lost = self.known().expire(Instant::now(), is_connected);
                    for run in lost {
                        tracing::warn!("the hub {run:08x} on the same log is silent");
                        handler.left(run);
                    }
                    handler.tell_news();
                }
            }
        }
    }

    /// Says that this hub leaves, so that the others need not wait for it.
    pub fn leave(&self) {
        self.say(None, Content::Gone);
    }

    /// Asks all hubs that are known.
    pub async fn ask(&self, body: &impl Serialize) -> Answers {
        let away = !self.wire.is_connected();
        let mut silent = self.known().runs();
        let mut by_hub = BTreeMap::new();
        if !silent.is_empty() {
            // The semaphore is never closed.
            let _permit = self.asking.acquire().await;
            let mut question = Question::open(self);
            let body = serde_json::to_value(body).expect("a question is JSON");
            self.say(None, Content::Ask { question: question.number, body });
            let deadline = tokio::time::Instant::now() + ANSWER_PATIENCE;
            while !silent.is_empty()
                && let Ok(Some((from, answer))) =
                    timeout_at(deadline, question.answers.recv()).await
            {
                silent.retain(|run| *run != from);
                by_hub.insert(from, answer);
            }
        }
        let answered = by_hub.len() + 1;
        let hubs = HubCount { answered, known: answered + silent.len(), away };
        Answers { by_hub, silent, hubs }
    }

    /// Tells all other hubs, or one, something about `subject`. Returns whether it was short enough
    /// for a message.
    pub fn tell(&self, to: Option<u32>, subject: &str, body: &impl Serialize) -> bool {
        let body = serde_json::to_value(body).expect("news is JSON");
        self.say(to, Content::Tell { subject: subject.into(), body })
    }

    /// Number of hubs that are known, this one included.
    pub fn count(&self) -> usize {
        self.known().runs().len() + 1
    }

    fn say(&self, to: Option<u32>, content: Content) -> bool {
        let message = Message { from: self.run, to, content };
        let message = serde_json::to_vec(&message).expect("a message is JSON");
        let fits = message.len() <= HUB_MESSAGE_BYTES_MAX;
        if fits {
            self.wire.say(message);
        }
        fits
    }

    fn beat(&self, handler: &dyn HubHandler) {
        self.say(None, Content::Beat);
        handler.beat();
    }

    fn listen(&self) -> mpsc::UnboundedReceiver<HeardMessage> {
        let (inbox, heard) = mpsc::unbounded_channel();
        let room = Arc::new(Semaphore::new(HEARD_BYTES_MAX));
        self.wire.listen(Box::new(move |bytes| {
            // Each takes room for the message that holds it, too.
            let size = bytes.len().saturating_add(64);
            if size > HUB_MESSAGE_BYTES_MAX + 64 {
                return;
            }
            let permits = u32::try_from(size).unwrap_or(u32::MAX);
            if let Ok(room) = Arc::clone(&room).try_acquire_many_owned(permits) {
                let _ = inbox.send((bytes.to_vec(), room));
            }
        }));
        heard
    }

    fn handle(&self, bytes: &[u8], handler: &Arc<dyn HubHandler>) {
        // One that cannot be read is of a later version.
        let Ok(Message { from, to, content }) = serde_json::from_slice(bytes) else { return };
        if from == self.run || to.is_some_and(|run| run != self.run) {
            return;
        }
        if let Content::Gone = content {
            if self.known().remove(from) {
                tracing::info!("the hub {from:08x} on the same log has left");
                handler.left(from);
            }
            return;
        }
        if self.known().heard(from, Instant::now()) {
            tracing::info!("the hub {from:08x} is on the same log");
            // It has to know this one, and what this one tells.
            self.beat(&**handler);
        }
        match content {
            Content::Beat | Content::Gone => {}
            Content::Ask { question, body } => self.answer(from, question, body, handler),
            Content::Answer { question, body } => {
                let answers = self.questions().get(&question).cloned();
                if let Some(answers) = answers {
                    let _ = answers.try_send((from, body));
                }
            }
            Content::Tell { subject, body } => handler.told(from, &subject, body),
        }
    }

    fn answer(&self, to: u32, question: u64, body: Value, handler: &Arc<dyn HubHandler>) {
        let Ok(permit) = Arc::clone(&self.answering).try_acquire_owned() else { return };
        let (handler, wire, run) = (Arc::clone(handler), Arc::clone(&self.wire), self.run);
        tokio::spawn(async move {
            let _permit = permit;
            let Some(body) = handler.asked(body).await else { return };
            let content = Content::Answer { question, body };
            let message = Message { from: run, to: Some(to), content };
            let message = serde_json::to_vec(&message).expect("a message is JSON");
            if message.len() <= HUB_MESSAGE_BYTES_MAX {
                wire.say(message);
            }
        });
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn questions(&self) -> MutexGuard<'_, HashMap<u64, mpsc::Sender<(u32, Value)>>> {
        self.questions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Hubs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hubs").field("run", &self.run).finish_non_exhaustive()
    }
}

/// An open question; dropping it ends it.
struct Question<'a> {
    hubs: &'a Hubs,
    number: u64,
    answers: mpsc::Receiver<(u32, Value)>,
}

impl<'a> Question<'a> {
    fn open(hubs: &'a Hubs) -> Self {
        let (sender, answers) = mpsc::channel(HUBS_MAX);
        let number = hubs.next_question.fetch_add(1, Ordering::Relaxed);
        hubs.questions().insert(number, sender);
        Self { hubs, number, answers }
    }
}

impl Drop for Question<'_> {
    fn drop(&mut self) {
        self.hubs.questions().remove(&self.number);
    }
}
