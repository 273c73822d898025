//! Acknowledged means stored, and nobody was sent what is not: the real program is killed with
//! SIGKILL under load, again and again over the same history, and after each start its history is
//! compared with the answers to publishers and the events of subscribers.
//!
//! `KILL_ROUNDS` sets how often; 200 unless set.
#![allow(clippy::print_stdout)]

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::world::wire::Wire;
use crate::world::{Folder, Hub};
use tidings_hub::Random;

#[test]
fn whatever_was_acknowledged_is_there_after_kill_9_and_nothing_else_was_delivered() {
    let rounds = std::env::var("KILL_ROUNDS").map_or(200, |text| text.parse().unwrap());
    let seed = RandomState::new().hash_one(0);
    println!("seed {seed}");
    let mut random = Random::new(seed);
    let folder = Folder::new();
    let mut history = History::default();
    let mut seen = Seen::default();
    let mut counts = (0, 0);
    let started = Instant::now();
    for round in 0..=rounds {
        let mut hub = Hub::serve(&folder, &SETTINGS);
        if random.below(8) == 0 {
            // Dying in idleness, right after a death, is dying too.
            hub.process.kill();
            hub = Hub::serve(&folder, &SETTINGS);
        }
        // From time to time all of it is read again.
        history.read(&hub.address, round % 50 == 0 || round == rounds);
        history.judge(&seen, round);
        counts = (counts.0 + seen.acknowledged.len(), counts.1 + seen.delivered.len());
        if round < rounds {
            let load = Load::start(&hub.address, round);
            thread::sleep(Duration::from_micros(random.below(LOAD_MICROS_MAX)));
            hub.process.kill();
            seen = load.join();
        }
    }
    let (acknowledged, delivered) = counts;
    println!(
        "{rounds} rounds, {acknowledged} events acknowledged, {delivered} delivered, {} stored, \
         {:?} a round",
        history.positions.len(),
        started.elapsed() / rounds
    );
    assert!(acknowledged > 0 && delivered > 0, "the load was none");
}

/// Small segments, so that some deaths are between two; and little memory, so that history is read
/// from disk.
const SETTINGS: [&str; 6] =
    ["--retention-bytes", "128MiB", "--recent-bytes", "64KiB", "--durability", "fsync"];

/// The longest time between the start of the load and the death.
const LOAD_MICROS_MAX: u64 = 50_000;

/// What the hub's history was seen to be.
#[derive(Default)]
struct History {
    /// The data of every event, which is different for each, with its position.
    positions: HashMap<String, u64>,
    /// The last id seen.
    last: Option<String>,
}

impl History {
    /// Holds it against what a round has seen, before it was read.
    fn judge(&self, seen: &Seen, round: u32) {
        for data in &seen.acknowledged {
            assert!(self.positions.contains_key(data), "before round {round}: {data} is lost");
        }
        for (position, data) in &seen.delivered {
            let stored = self.positions.get(data);
            assert_eq!(stored, Some(position), "before round {round}: {data} was delivered");
        }
        let in_order = seen.delivered.is_sorted_by(|(a, _), (b, _)| a < b);
        assert!(in_order, "before round {round}: delivered twice, or out of order");
    }

    /// Reads what is new, or everything.
    fn read(&mut self, address: &str, everything: bool) {
        let mut after = match (everything, &self.last) {
            (false, Some(last)) => format!("after={last}"),
            _ => "since=24h".to_owned(),
        };
        let mut seen = HashSet::new();
        let mut last_position = 0;
        let mut wire = Wire::connect(address).unwrap();
        loop {
            let path = format!("/events?{after}&limit=1000");
            let page = wire.get(&path, "application/json").unwrap();
            assert_eq!(page.status, 200, "{}", String::from_utf8_lossy(&page.body));
            let page = page.json();
            assert!(page.get("reset").is_none(), "{page}");
            for event in page["events"].as_array().unwrap() {
                let position = position(event["id"].as_str().unwrap());
                let data = event["data"].as_str().unwrap().to_owned();
                assert!(position > last_position, "the order is that of the positions");
                last_position = position;
                if everything {
                    seen.insert(data.clone());
                }
                let known = self.positions.insert(data.clone(), position);
                // What is read again is where it was; what is new was never there.
                let is_sound = known == Some(position) && everything || known.is_none();
                assert!(is_sound, "{data} is at {position}, and was at {known:?}");
            }
            let next = page["next"].as_str().unwrap().to_owned();
            let came_from = after;
            after = format!("after={next}");
            self.last = Some(next);
            // A page may have nothing on it and yet lead further.
            if after == came_from {
                break;
            }
        }
        if everything {
            let lost = self.positions.keys().find(|data| !seen.contains(*data));
            assert_eq!(lost, None, "it was there before");
        }
    }
}

/// The answers to publishers and the events of a subscriber in one round.
#[derive(Default)]
struct Seen {
    acknowledged: Vec<String>,
    delivered: Vec<(u64, String)>,
}

/// Those who publish and listen in one round.
struct Load {
    publishers: Vec<JoinHandle<()>>,
    subscriber: JoinHandle<()>,
    acknowledged: Arc<Mutex<Vec<String>>>,
    delivered: Arc<Mutex<Vec<(u64, String)>>>,
}

impl Load {
    fn start(address: &str, round: u32) -> Self {
        let acknowledged: Arc<Mutex<Vec<String>>> = Arc::default();
        let delivered: Arc<Mutex<Vec<(u64, String)>>> = Arc::default();
        let kinds =
            [publish_singly, publish_singly, publish_singly, publish_batches, publish_stream];
        let publishers = kinds.into_iter().enumerate().map(|(number, publish)| {
            let (address, acknowledged) = (address.to_owned(), Arc::clone(&acknowledged));
            thread::spawn(move || {
                let mut events = Events { name: format!("{round}/{number}"), next: 0 };
                // The end of the connection is the end of the round.
                let _ = publish(&address, &mut events, &acknowledged);
            })
        });
        let publishers = publishers.collect();
        let (subscriber_address, seen) = (address.to_owned(), Arc::clone(&delivered));
        let subscriber = thread::spawn(move || {
            let Ok(wire) = Wire::connect(&subscriber_address) else { return };
            let _ = wire.listen("/events", |id, data| {
                seen.lock().unwrap().push((position(&id), data));
            });
        });
        Self { publishers, subscriber, acknowledged, delivered }
    }

    fn join(self) -> Seen {
        for publisher in self.publishers {
            publisher.join().unwrap();
        }
        self.subscriber.join().unwrap();
        let acknowledged = std::mem::take(&mut *self.acknowledged.lock().unwrap());
        let delivered = std::mem::take(&mut *self.delivered.lock().unwrap());
        Seen { acknowledged, delivered }
    }
}

/// The events of one publisher: no two have the same data.
struct Events {
    name: String,
    next: u64,
}

impl Events {
    fn next(&mut self) -> String {
        self.next += 1;
        // Of very different lengths.
        let filler = "x".repeat((self.next * self.next % 311) as usize);
        format!("{}-{}-{filler}", self.name, self.next)
    }

    fn lines(&mut self, count: usize) -> (Vec<String>, String) {
        let events: Vec<_> = (0..count).map(|_| self.next()).collect();
        let line = |data: &String| format!("{{\"topic\":\"lines\",\"data\":\"{data}\"}}\n");
        let lines = events.iter().map(line).collect();
        (events, lines)
    }
}

type Acknowledged = Mutex<Vec<String>>;

fn publish_singly(address: &str, events: &mut Events, done: &Acknowledged) -> std::io::Result<()> {
    let mut wire = Wire::connect(address)?;
    loop {
        let event = events.next();
        let answer = wire.post("/events/single", "text/plain", event.as_bytes())?;
        assert_eq!(answer.status, 200);
        done.lock().unwrap().push(event);
    }
}

fn publish_batches(address: &str, events: &mut Events, done: &Acknowledged) -> std::io::Result<()> {
    let mut wire = Wire::connect(address)?;
    loop {
        let (batch, lines) = events.lines(20);
        let answer = wire.post("/events", "application/x-ndjson", lines.as_bytes())?;
        assert_eq!((answer.status, &answer.json()["published"]), (200, &20.into()));
        done.lock().unwrap().extend(batch);
    }
}

fn publish_stream(address: &str, events: &mut Events, done: &Acknowledged) -> std::io::Result<()> {
    let mut wire = Wire::connect(address)?;
    loop {
        let mut all = Vec::new();
        let pieces = (0..10).map(|_| {
            let (batch, lines) = events.lines(7);
            all.extend(batch);
            lines
        });
        let answer = wire.post_pieces("/events", "application/x-ndjson", pieces)?;
        assert_eq!((answer.status, &answer.json()["published"]), (200, &70.into()));
        done.lock().unwrap().extend(all);
    }
}

/// The place of a hub's own id in its log.
fn position(id: &str) -> u64 {
    id.split_once(':').unwrap().1.parse().unwrap()
}
