//! What is erased stays erased: the real program is killed with SIGKILL in the middle of erasures,
//! again and again over the same log. After each start nothing that was erased is back, `grep`
//! finds nothing of it in the data folder, and every other event is there.
//!
//! `KILL_ROUNDS` sets how often; 12 unless set.
#![allow(clippy::print_stdout)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::world::wire::{Answer, Wire};
use crate::world::{Folder, Hub, eventually, run, text};
use serde_json::json;
use tidings_hub::Random;

#[test]
fn nothing_that_was_erased_is_back_after_kill_9_and_everything_else_is_there() {
    let rounds = std::env::var("KILL_ROUNDS").map_or(12, |text| text.parse().unwrap());
    let seed = u64::from(std::process::id());
    println!("seed {seed}");
    let mut random = Random::new(seed);
    let folder = Folder::new();
    let world = Arc::new(Mutex::new(World::default()));
    let (mut answered, mut interrupted) = (0, 0);
    for round in 0..rounds {
        let mut hub = serve(&folder);
        world.lock().unwrap().publish(&hub, &mut random, round);
        let publisher = go_on_publishing(&hub.address, &world, round);
        let eraser = erase(&hub.address, &world, random.below(u64::MAX));
        thread::sleep(Duration::from_micros(random.below(KILL_MICROS_MAX)));
        hub.process.kill();
        publisher.join().unwrap();
        let (done, unanswered) = eraser.join().unwrap();
        answered += done;

        let mut world = world.lock().unwrap();
        let hub = serve(&folder);
        world.check(&hub, &folder, round);
        // Whoever has no answer asks again.
        if let Some(target) = unanswered {
            interrupted += 1;
            assert!(world.erase(&mut Wire::connect(&hub.address).unwrap(), &target).is_ok());
            world.check(&hub, &folder, round);
        }
    }
    let world = world.lock().unwrap();
    let erased = world.events.values().filter(|event| event.standing == Standing::Erased).count();
    let files = fs::read_dir(folder.path().join("data")).unwrap().count();
    println!(
        "{rounds} rounds, {answered} erasures answered, {interrupted} interrupted; {} events, \
         {erased} of them erased; {files} files",
        world.events.len()
    );
    assert!(answered > 0 && interrupted > 0, "nothing was erased, or nothing was interrupted");
}

/// Small segments, which the rules sort into other files, so that an erasure goes through several.
const SETTINGS: [&str; 4] = ["--retention-bytes", "4MiB", "--durability", "fsync"];

/// Nothing is dropped.
const RULES: &str = r#"
[[retention]]
topics = ["users/**"]
age = "1d"

[[retention]]
topics = ["orders/**"]
age = "1d"
"#;

fn serve(folder: &Folder) -> Hub {
    let file = folder.file("hub.toml", RULES);
    let arguments = [&["--config", file.to_str().unwrap()], &SETTINGS[..]].concat();
    Hub::serve(folder, &arguments)
}

/// The longest time between the first erasure and the death.
const KILL_MICROS_MAX: u64 = 300_000;

/// Events that are published in each round to be erased.
const EVENTS: u64 = 80;

/// Topics whose events are erased. On others nothing is.
const TOPICS: u64 = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    There,
    /// Its publisher had no answer, or an erasure of it had none.
    Doubtful,
    Erased,
}

#[derive(Debug)]
struct Event {
    topic: String,
    key: Option<String>,
    standing: Standing,
}

/// What may be erased by one request.
#[derive(Clone, Debug)]
enum Target {
    Event(u64),
    Key { topic: String, key: String },
    Topic(String),
}

/// What the log is to have.
#[derive(Default)]
struct World {
    /// By the number that is in each event's data, id and type.
    events: BTreeMap<u64, Event>,
    erased_keys: BTreeSet<String>,
}

impl World {
    fn next(&self) -> u64 {
        self.events.last_key_value().map_or(1, |(last, _)| last + 1)
    }

    /// Events for this round, some of which have keys, and of different lengths.
    fn publish(&mut self, hub: &Hub, random: &mut Random, round: u64) {
        let mut lines = String::new();
        for n in self.next()..self.next() + EVENTS {
            let topic = format!("users/{}", random.below(TOPICS));
            let key = (random.below(3) == 0)
                .then(|| format!("key-{}-", round * TOPICS + topic_number(&topic)));
            let length = if random.below(4) == 0 { 20_000 } else { 120 };
            let data = format!("payload-{n}-{}", "x".repeat(random.below(length) as usize));
            let mut line = json!({
                "topic": topic, "data": data, "id": format!("ident-{n}-"),
                "event": format!("type-{n}-"),
            });
            if let Some(key) = &key {
                line["key"] = json!(key);
            }
            lines += &format!("{line}\n");
            self.events.insert(n, Event { topic, key, standing: Standing::There });
        }
        let mut wire = Wire::connect(&hub.address).unwrap();
        let answer = wire.post("/events", "application/x-ndjson", lines.as_bytes()).unwrap();
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    }

    fn aim(&self, random: &mut Random) -> Target {
        let n = 1 + random.below(self.next() - 1);
        let event = &self.events[&n];
        if !event.topic.starts_with("users/") {
            return self.aim(random);
        }
        match (random.below(8), &event.key) {
            (0, _) => Target::Topic(event.topic.clone()),
            (1..4, Some(key)) => Target::Key { topic: event.topic.clone(), key: key.clone() },
            _ => Target::Event(n),
        }
    }

    /// Notes what becomes of all that is meant. Whether any of it was there for certain.
    fn mark(&mut self, target: &Target, standing: Standing) -> bool {
        let mut was_there = false;
        for (n, event) in &mut self.events {
            let is_meant = match target {
                Target::Event(one) => one == n,
                Target::Key { key, .. } => event.key.as_ref() == Some(key),
                Target::Topic(topic) => event.topic == *topic,
            };
            if is_meant && event.standing != Standing::Erased {
                was_there |= event.standing == Standing::There;
                event.standing = standing;
            }
        }
        if let (Target::Key { key, .. }, Standing::Erased) = (target, standing) {
            self.erased_keys.insert(key.clone());
        }
        was_there
    }

    /// Erases, as one who notes what is asked for before, and what is done after.
    fn erase(&mut self, wire: &mut Wire, target: &Target) -> std::io::Result<()> {
        let was_there = self.mark(target, Standing::Doubtful);
        let path = target.path(self);
        let answer = wire.delete(&path)?;
        target.accept(&answer, was_there);
        self.mark(target, Standing::Erased);
        Ok(())
    }

    /// Compares what the hub has with what it is to have, and looks into its files.
    fn check(&mut self, hub: &Hub, folder: &Folder, round: u64) {
        let mut there = BTreeSet::new();
        for event in Wire::connect(&hub.address).unwrap().pages("/events", "since=24h") {
            let Some(n) = number(event["data"].as_str().unwrap()) else { continue };
            assert_eq!(event["id"], format!("ident-{n}-"));
            assert!(there.insert(n), "round {round}: event {n} is there twice");
        }
        for (n, event) in &mut self.events {
            match (event.standing, there.contains(n)) {
                (Standing::There, false) => panic!("round {round}: {n} is lost: {event:?}"),
                (Standing::Erased, true) => panic!("round {round}: {n} is back: {event:?}"),
                (Standing::Doubtful, true) => event.standing = Standing::There,
                (Standing::Doubtful, false) => event.standing = Standing::Erased,
                (Standing::There, true) | (Standing::Erased, false) => {}
            }
        }
        // A job may move an event to another file while `grep` goes through the folder.
        let mut found = words(folder);
        let is_missed = |found: &BTreeSet<String>| {
            there.iter().any(|n| !found.contains(&format!("payload-{n}-")))
        };
        eventually(|| {
            let is_missed = is_missed(&found);
            if is_missed {
                found = words(folder);
            }
            !is_missed
        });
        for n in self.events.keys() {
            for word in ["payload", "ident", "type"].map(|word| format!("{word}-{n}-")) {
                let is_found = found.contains(&word);
                assert_eq!(is_found, there.contains(n), "round {round}: {word} in the files");
            }
        }
        for key in &self.erased_keys {
            assert!(!found.contains(key), "round {round}: {key} is in a file");
        }
    }
}

impl Target {
    fn path(&self, world: &World) -> String {
        match self {
            Self::Event(n) => format!("/events/{}?erase=ident-{n}-", world.events[n].topic),
            Self::Key { topic, key } => format!("/events/{topic}?key={key}&erase"),
            Self::Topic(topic) => format!("/events/{topic}?erase"),
        }
    }

    /// Checks that an answer says that nothing of it is left.
    fn accept(&self, answer: &Answer, was_there: bool) {
        let said = String::from_utf8_lossy(&answer.body);
        // What was erased in other ways, as a key is with its topic, is known no more.
        let is_unknown = answer.status == 404 && said.contains("event_unknown") && !was_there;
        assert!(answer.status == 200 || is_unknown, "{self:?}: {said}");
    }
}

/// Erases one thing after the other until the hub dies. The number of answers, and what had none.
fn erase(
    address: &str,
    world: &Arc<Mutex<World>>,
    seed: u64,
) -> thread::JoinHandle<(u64, Option<Target>)> {
    let (address, world) = (address.to_owned(), Arc::clone(world));
    thread::spawn(move || {
        let mut random = Random::new(seed);
        let mut answered = 0;
        let Ok(mut wire) = Wire::connect(&address) else { return (0, None) };
        loop {
            let (target, path, was_there) = {
                let mut world = world.lock().unwrap();
                let target = world.aim(&mut random);
                let was_there = world.mark(&target, Standing::Doubtful);
                let path = target.path(&world);
                (target, path, was_there)
            };
            match wire.delete(&path) {
                Ok(answer) => {
                    target.accept(&answer, was_there);
                    world.lock().unwrap().mark(&target, Standing::Erased);
                    answered += 1;
                }
                Err(_) => return (answered, Some(target)),
            }
        }
    })
}

/// Publishes to a topic of which nothing is erased, until the hub dies.
fn go_on_publishing(
    address: &str,
    world: &Arc<Mutex<World>>,
    round: u64,
) -> thread::JoinHandle<()> {
    let (address, world) = (address.to_owned(), Arc::clone(world));
    thread::spawn(move || {
        let Ok(mut wire) = Wire::connect(&address) else { return };
        let topic = format!("orders/{round}");
        loop {
            let n = {
                let mut world = world.lock().unwrap();
                let (n, topic) = (world.next(), topic.clone());
                world.events.insert(n, Event { topic, key: None, standing: Standing::Doubtful });
                n
            };
            let path = format!("/events/{topic}?id=ident-{n}-&event=type-{n}-");
            let data = format!("payload-{n}-{}", "y".repeat(200));
            let Ok(answer) = wire.post(&path, "text/plain", data.as_bytes()) else { return };
            assert_eq!(answer.status, 200);
            world.lock().unwrap().events.get_mut(&n).unwrap().standing = Standing::There;
            thread::sleep(Duration::from_millis(1));
        }
    })
}

/// The words of events that `grep` finds in any file of the data folder.
fn words(folder: &Folder) -> BTreeSet<String> {
    let mut grep = Command::new("grep");
    grep.args(["-rhoaE", "(payload|ident|type|key)-[0-9]+-"]).arg(folder.path().join("data"));
    let output = run(grep.env("LC_ALL", "C"));
    text(output.stdout).lines().map(str::to_owned).collect()
}

fn number(data: &str) -> Option<u64> {
    data.strip_prefix("payload-")?.split_once('-')?.0.parse().ok()
}

fn topic_number(topic: &str) -> u64 {
    topic.split_once('/').unwrap().1.parse().unwrap()
}
