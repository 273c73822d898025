//! Publishers that repeat an event for as long as it is safe to do so.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::Value;
use tidings_testkit::transcript::Seen;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use crate::client::{Client, Failure};
use crate::hub::PATH;

/// Pause before an event that was not taken is published again.
const AGAIN: Duration = Duration::from_millis(100);

/// Publishes one event after the other.
pub(crate) struct Publisher {
    /// Its events have this in the upper half of their numbers.
    pub(crate) number: u64,
    pub(crate) hubs: Arc<[SocketAddr]>,
    /// The hub to which it goes with each event. If that does not take it, another one may.
    pub(crate) hub: usize,
    /// Whether its events have ids of their own: then they can be repeated whatever happened.
    pub(crate) is_named: bool,
    pub(crate) interval: Duration,
    /// Whether an event that was late delays those after it. Otherwise their waiting counts.
    pub(crate) waits: bool,
    pub(crate) bytes: usize,
}

/// An acknowledged event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Acknowledged {
    pub(crate) seen: Seen,
    /// The hub that acknowledged it.
    pub(crate) hub: usize,
    /// When it was due.
    pub(crate) due: Instant,
    pub(crate) took: Duration,
}

/// What came of everything.
#[derive(Debug, Default)]
pub(crate) struct Published {
    pub(crate) acknowledged: Vec<Acknowledged>,
    /// Every number, acknowledged or not.
    pub(crate) all: Vec<u64>,
    /// Events without an id of their own of which nobody knows whether they are stored.
    pub(crate) undecided: usize,
    /// Answers that were neither an acknowledgement nor a 503.
    pub(crate) strange: Vec<String>,
}

impl Published {
    pub(crate) fn add(&mut self, other: Self) {
        self.acknowledged.extend(other.acknowledged);
        self.all.extend(other.all);
        self.undecided += other.undecided;
        self.strange.extend(other.strange);
    }
}

enum Outcome {
    Stored(Seen),
    /// It is surely not stored.
    No,
    /// Nobody knows.
    Unknown,
    Strange(String),
}

impl Publisher {
    /// Publishes until `stop`.
    pub(crate) async fn run(mut self, stop: Arc<AtomicBool>) -> Published {
        let mut published = Published::default();
        let mut client = Client::new(self.hubs[self.hub]);
        let home = self.hub;
        let mut due = Instant::now() + self.interval.mul_f64((self.number % 16) as f64 / 16.0);
        let mut count = 0;
        while !stop.load(Ordering::Relaxed) {
            sleep_until(due).await;
            count += 1;
            if self.hub != home {
                self.hub = home;
                client = Client::new(self.hubs[home]);
            }
            let number = self.number << 32 | count;
            published.all.push(number);
            loop {
                match self.publish(&mut client, number).await {
                    Outcome::Stored(seen) => {
                        let (hub, took) = (self.hub, due.elapsed());
                        published.acknowledged.push(Acknowledged { seen, hub, due, took });
                        break;
                    }
                    Outcome::Unknown if !self.is_named => {
                        published.undecided += 1;
                        break;
                    }
                    Outcome::No | Outcome::Unknown => {}
                    Outcome::Strange(answer) => {
                        published.strange.push(answer);
                        break;
                    }
                }
                self.hub = (self.hub + 1) % self.hubs.len();
                client = Client::new(self.hubs[self.hub]);
                sleep(AGAIN).await;
            }
            due += self.interval;
            if self.waits {
                due = due.max(Instant::now());
            }
        }
        published
    }

    async fn publish(&self, client: &mut Client, number: u64) -> Outcome {
        let target = if self.is_named { format!("{PATH}?id=e{number}") } else { PATH.to_owned() };
        let body = format!("{number} {:1$}", "", self.bytes.saturating_sub(20));
        let answer = client.send(Method::POST, &target, &[], body).await;
        let (status, body) = match answer {
            Ok(answer) => answer,
            Err(Failure::NotSent) => return Outcome::No,
            Err(Failure::Unknown) => return Outcome::Unknown,
        };
        let said: Value = serde_json::from_slice(&body).unwrap_or_default();
        match (status, said["id"].as_str(), said["code"].as_str()) {
            (StatusCode::OK, Some(id), _) => match Seen::parse(id, &number.to_string()) {
                Some(seen) => Outcome::Stored(seen),
                None => Outcome::Strange(said.to_string()),
            },
            (StatusCode::SERVICE_UNAVAILABLE, _, Some("store_undecided")) => Outcome::Unknown,
            (StatusCode::SERVICE_UNAVAILABLE, ..) => Outcome::No,
            _ => Outcome::Strange(format!("{status}: {said}")),
        }
    }
}

/// Publishers at work.
pub(crate) struct Publishers {
    tasks: JoinSet<Published>,
    stop: Arc<AtomicBool>,
}

impl Publishers {
    pub(crate) fn start(publishers: impl IntoIterator<Item = Publisher>) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let tasks = publishers.into_iter().map(|one| one.run(Arc::clone(&stop))).collect();
        Self { tasks, stop }
    }

    /// Lets each finish its event.
    pub(crate) async fn finish(mut self, patience: Duration) -> Result<Published, String> {
        self.stop.store(true, Ordering::Relaxed);
        let mut published = Published::default();
        let all = async {
            while let Some(one) = self.tasks.join_next().await {
                published.add(one.expect("a publisher does not panic"));
            }
        };
        if tokio::time::timeout(patience, all).await.is_err() {
            return Err(format!("a publisher has no answer {patience:?} after the last fault"));
        }
        Ok(published)
    }
}
