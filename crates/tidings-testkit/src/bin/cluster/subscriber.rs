//! Subscribers that move from hub to hub, and write down what they get.

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use tidings_codec::{Decoder, EventId, Item};
use tidings_testkit::store_suite::Dice;
use tidings_testkit::transcript::{Entry, Seen, Transcript, fingerprint};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::client::Client;
use crate::hub::PATH;
use crate::world::PATIENCE;

/// Time for the head of an answer: a hub that is behind waits five seconds before it turns a
/// subscriber away.
const HEAD_PATIENCE: Duration = Duration::from_secs(8);

/// Pause before a subscriber that was turned away comes again.
const AGAIN: Duration = Duration::from_millis(200);

/// How subscribers behave.
#[derive(Clone, Debug)]
pub(crate) struct Habits {
    pub(crate) hubs: Arc<[SocketAddr]>,
    /// Milliseconds on a hub before it moves to another one.
    pub(crate) stay_ms: Range<u64>,
    /// Whether each notes when an event arrives.
    pub(crate) watches: bool,
    /// Whether they are on no hub at the moment.
    pub(crate) stays_away: Arc<AtomicBool>,
}

/// One subscriber.
struct Subscriber {
    habits: Habits,
    dice: Dice,
    /// The hub where it is, or was.
    hub: usize,
    last_id: Option<EventId>,
    got: Got,
    progress: Arc<Progress>,
}

/// What one got.
#[derive(Debug, Default)]
pub(crate) struct Got {
    pub(crate) transcript: Transcript,
    /// Arrivals: number of the event, hub, time.
    pub(crate) arrivals: Vec<(u64, usize, Instant)>,
    /// Connections on which a hub sent a stream: hub, time.
    pub(crate) moves: Vec<(usize, Instant)>,
    /// Connections on which a hub did not.
    pub(crate) turned_away: usize,
}

/// What can be seen of one while it reads.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Number of events.
    events: AtomicUsize,
}

impl Subscriber {
    async fn run(mut self, stop: Arc<AtomicBool>) -> Got {
        while !stop.load(Ordering::Relaxed) {
            let stay = &self.habits.stay_ms;
            let stay = stay.start + self.dice.below(stay.end - stay.start);
            let until = Instant::now() + Duration::from_millis(stay);
            if self.habits.stays_away.load(Ordering::Relaxed) {
                sleep(AGAIN).await;
                continue;
            }
            let began = Instant::now();
            if self.connect(until, &stop).await {
                self.got.moves.push((self.hub, began));
            } else {
                self.got.turned_away += 1;
                sleep(AGAIN).await;
            }
            // To another one, always.
            let count = self.habits.hubs.len() as u64;
            if count > 1 {
                let step = 1 + self.dice.below(count - 1) as usize;
                self.hub = (self.hub + step) % self.habits.hubs.len();
            }
        }
        self.got
    }

    /// Reads from the current hub. Returns whether it sent a stream.
    async fn connect(&mut self, until: Instant, stop: &AtomicBool) -> bool {
        let mut client = Client::new(self.habits.hubs[self.hub]);
        let came_with = self.last_id.clone();
        let mut headers = vec![("accept", "text/event-stream")];
        let mut target = PATH.to_owned();
        match &came_with {
            Some(id) => headers.push(("last-event-id", id.as_str())),
            None => target += "?from=start",
        }
        let answer = client.begin(Method::GET, &target, &headers, Bytes::new());
        let Ok(Ok(mut answer)) = timeout(HEAD_PATIENCE, answer).await else { return false };
        if answer.status() != StatusCode::OK {
            return false;
        }
        let stays_away = Arc::clone(&self.habits.stays_away);
        let mut decoder = Decoder::new();
        let mut is_open = false;
        let is_here = || !stop.load(Ordering::Relaxed) && !stays_away.load(Ordering::Relaxed);
        while is_here() {
            // Looks up now and then, whether it should stop.
            let look_up = until.min(Instant::now() + Duration::from_secs(1));
            let frame = match timeout_at(look_up, answer.body_mut().frame()).await {
                Err(_) if Instant::now() < until => continue,
                Ok(Some(Ok(frame))) => frame,
                Err(_) | Ok(_) => break,
            };
            let Ok(chunk) = frame.into_data() else { continue };
            is_open |= self.take(&chunk, &mut decoder, came_with.as_ref());
        }
        is_open
    }

    /// Takes bytes of a stream. Returns whether there was anything that has an id.
    fn take(&mut self, chunk: &[u8], decoder: &mut Decoder, came_with: Option<&EventId>) -> bool {
        let mut input = chunk;
        while let Ok(Some(item)) = decoder.next(&mut input) {
            let Item::Event(event) = item else { continue };
            match event.event_type() {
                "message" => {
                    let seen = Seen::parse(event.last_event_id(), event.data());
                    let entry = seen.map_or(Entry::Foreign, Entry::Event);
                    self.got.transcript.push(entry);
                    if let Some(seen) = seen.filter(|_| self.habits.watches) {
                        self.got.arrivals.push((seen.number, self.hub, Instant::now()));
                    }
                    self.progress.events.fetch_add(1, Ordering::Relaxed);
                }
                "tidings.reset" => {
                    let after = came_with.map(|id| fingerprint(id.as_str()));
                    self.got.transcript.push(Entry::Reset { after });
                }
                _ => {}
            }
        }
        match EventId::new(decoder.last_event_id()) {
            Ok(id) => {
                self.last_id = Some(id);
                true
            }
            Err(_) => false,
        }
    }
}

/// Subscribers at work.
pub(crate) struct Subscribers {
    tasks: JoinSet<Got>,
    progress: Vec<Arc<Progress>>,
    stop: Arc<AtomicBool>,
}

impl Subscribers {
    /// Starts `count`, on all hubs in turn.
    pub(crate) fn start(count: usize, habits: &Habits) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let progress: Vec<_> = (0..count).map(|_| Arc::<Progress>::default()).collect();
        let one = |(number, progress): (usize, &Arc<Progress>)| {
            let subscriber = Subscriber {
                habits: habits.clone(),
                dice: Dice::new(number as u64),
                hub: number % habits.hubs.len(),
                last_id: None,
                got: Got::default(),
                progress: Arc::clone(progress),
            };
            subscriber.run(Arc::clone(&stop))
        };
        let tasks = progress.iter().enumerate().map(one).collect();
        Self { tasks, progress, stop }
    }

    /// Number of events that each has got, the least of all.
    pub(crate) fn events_min(&self) -> usize {
        let events = self.progress.iter().map(|one| one.events.load(Ordering::Relaxed));
        events.min().unwrap_or(0)
    }

    /// Waits until each has got `events`.
    pub(crate) async fn reach(&self, events: usize) -> Result<(), String> {
        let until = Instant::now() + PATIENCE;
        while self.events_min() < events {
            if Instant::now() > until {
                let least = self.events_min();
                let what = format!("a subscriber has {least} of {events} events");
                return Err(format!("{what} within {PATIENCE:?}"));
            }
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Waits until each has `events`, `patience` at most, and ends them.
    pub(crate) async fn finish(self, events: usize, patience: Duration) -> Vec<Got> {
        let until = Instant::now() + patience;
        while self.events_min() < events && Instant::now() < until {
            sleep(AGAIN).await;
        }
        self.stop.store(true, Ordering::Relaxed);
        self.tasks.join_all().await
    }
}
