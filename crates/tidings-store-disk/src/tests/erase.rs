//! Erasing: what is erased is in no file, and everything else is as it was, whenever the machine
//! stops.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tidings_hub::{Erase, EraseError, Erased, Eraser as _, Erasing, EventType, where_erased};

use super::*;
use crate::Rule;
use crate::disk::Disk as _;
use crate::disk::simulated::Trouble;

/// Number of lives.
const SEEDS: u64 = 16;

fn topic(number: u64) -> Topic {
    Topic::new(format!("topic/{number}")).unwrap()
}

/// An event in which everything but its topic can be searched for.
fn event(dice: &mut Dice, n: u64) -> Draft {
    let length = if dice.one_in(12) { 9_000 } else { 120 };
    let data = format!("payload-{n}-{}", "x".repeat(dice.below(length) as usize));
    let mut draft = Draft::new(topic(dice.below(5)), data);
    draft.event_type = Some(EventType::new(format!("type-{n}-")).unwrap());
    if dice.one_in(4) {
        draft.alternates.push(topic(dice.below(5)));
    }
    if dice.one_in(2) {
        draft.id = Some(EventId::new(format!("ident-{n}-")).unwrap());
        draft.once = true;
    }
    if dice.one_in(3) {
        draft.key = Some(Key::new(&format!("key-{}-", dice.below(6))).unwrap());
    } else if dice.one_in(10) {
        draft.kind = Kind::LastEvent;
    }
    draft
}

/// Whether an event is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    There,
    /// An erasure of it was begun.
    Doubtful,
    Erased,
}

struct World {
    dice: Dice,
    disk: SimulatedDisk,
    config: DiskConfig,
    events: Vec<(Draft, Standing)>,
    /// Whether the end of a topic was erased with the topic.
    time: u64,
    unanswered: usize,
}

impl World {
    fn new(seed: u64) -> Self {
        let rule = Rule {
            name: "some".into(),
            topics: vec![Matcher::parse("topic/1").unwrap(), Matcher::parse("topic/2").unwrap()],
            age: None,
            bytes: None,
            promise: None,
        };
        let rules = if seed.is_multiple_of(2) { vec![rule] } else { Vec::new() };
        let config = DiskConfig { rules, hot_bytes: Some(20 << 10), ..small(u64::MAX) };
        let (dice, disk) = (Dice(seed), SimulatedDisk::new(seed + 7_000_000));
        Self { dice, disk, config, events: Vec::new(), time: 1_000, unanswered: 0 }
    }

    /// Takes over what a crash has left.
    fn settle(&mut self, store: &DiskStore) {
        let head = store.bounds().head.get() as usize;
        let answered = self.events.len() - std::mem::take(&mut self.unanswered);
        assert!(head == self.events.len() || head == answered, "an append is whole or not there");
        self.events.truncate(head);
    }

    /// Appends, erases and sorts, until the machine stops.
    fn use_store(&mut self, store: &DiskStore, times: u64) -> Result<(), ()> {
        for _ in 0..times {
            match self.dice.below(10) {
                0..6 => self.append(store)?,
                6..9 => self.erase(store)?,
                _ => {
                    let mut keeper = store.keeper.lock().unwrap();
                    keeper.step(&store.shared, &mut |_| Ok(()));
                }
            }
        }
        Ok(())
    }

    fn append(&mut self, store: &DiskStore) -> Result<(), ()> {
        self.time += 1;
        let count = 1 + self.dice.below(20);
        let first = self.events.len() as u64 + 1;
        let drafts: Vec<_> = (first..first + count).map(|n| event(&mut self.dice, n)).collect();
        self.events.extend(drafts.iter().map(|draft| (draft.clone(), Standing::There)));
        if let Err(error) = store.append(drafts, at(self.time)) {
            assert!(self.disk.has_stopped(), "{error}");
            self.unanswered = count as usize;
            return Err(());
        }
        Ok(())
    }

    fn erase(&mut self, store: &DiskStore) -> Result<(), ()> {
        let count = if self.dice.one_in(3) { 1 + self.dice.below(5) } else { 1 };
        let all: Vec<_> = (0..count).filter_map(|_| self.some_erasure()).collect();
        self.erase_these(store, &all).map_err(|error| {
            assert!(self.disk.has_stopped(), "{error}");
        })
    }

    /// One event, a key, or a topic; `None` of an empty log.
    fn some_erasure(&mut self) -> Option<Erase> {
        let head = self.events.len() as u64;
        if head == 0 {
            return None;
        }
        let n = 1 + self.dice.below(head);
        let draft = &self.events[n as usize - 1].0;
        let what = match self.dice.below(8) {
            0 => Erasing::All,
            1..4 => match &draft.key {
                Some(key) => Erasing::Key(key.clone()),
                None => Erasing::At(vec![Position::new(n)]),
            },
            _ => Erasing::At(vec![Position::new(n)]),
        };
        Some(Erase { topic: draft.topic.clone(), what, upto: Position::new(head) })
    }

    fn erase_this(&mut self, store: &DiskStore, what: &Erase) -> Result<(), EraseError> {
        self.erase_these(store, std::slice::from_ref(what))
    }

    fn erase_these(&mut self, store: &DiskStore, all: &[Erase]) -> Result<(), EraseError> {
        let mut meant = 0;
        let takes =
            |draft: &Draft, at: u64| all.iter().any(|what| what.takes(draft, Position::new(at)));
        for (n, (draft, standing)) in self.events.iter_mut().enumerate() {
            if takes(draft, n as u64 + 1) {
                meant += u64::from(*standing == Standing::There);
                if *standing == Standing::There {
                    *standing = Standing::Doubtful;
                }
            }
        }
        let erased = store.erase_each(all, &|| true)?;
        assert!(erased.iter().map(|one| one.events).sum::<u64>() >= meant, "{erased:?}");
        for (n, (draft, standing)) in self.events.iter_mut().enumerate() {
            if takes(draft, n as u64 + 1) {
                *standing = Standing::Erased;
            }
        }
        Ok(())
    }

    /// Everything is there but what was erased, of which nothing is in any file.
    fn check(&mut self, store: &DiskStore) {
        let all = read_all(store, None).unwrap();
        let named = self.named();
        let mut found = BTreeMap::new();
        for record in &all {
            found.insert(record.position(), record);
        }
        for (n, (draft, standing)) in self.events.iter_mut().enumerate() {
            let n = n as u64 + 1;
            let record = found[&Position::new(n)];
            let is_there = ***record == *draft;
            match standing {
                Standing::There => assert!(is_there, "event {n} is gone: {record:?}"),
                Standing::Erased => assert!(!is_there, "event {n} is back"),
                Standing::Doubtful => {}
            }
            if is_there {
                *standing = Standing::There;
                continue;
            }
            *standing = Standing::Erased;
            let is_nothing = record.kind == Kind::Erased
                || (record.kind == Kind::SilentEnd && draft.kind == Kind::LastEvent);
            assert!(is_nothing, "{record:?}");
            assert!(record.data.bytes().all(|byte| byte == 0) && record.event_type.is_none());
            let is_event = draft.kind == Kind::Event && record.kind == Kind::Erased;
            if let Some(id) = draft.id.as_ref().filter(|_| is_event) {
                assert!(where_erased(store, &draft.topic, id).unwrap().is_some(), "{id}");
                assert_eq!(store.shared.find(id, &[Matcher::All]).unwrap(), None);
            }
            for needle in ["payload", "type", "ident"].map(|word| format!("{word}-{n}-")) {
                assert_eq!(named.get(&needle), None, "{needle} is still in a file");
            }
        }
        for number in 0..5 {
            self.check_topic(store, &all, &topic(number));
        }
        for number in 0..6 {
            let key = format!("key-{number}-");
            let is_used = self.events.iter().any(|(draft, standing)| {
                *standing == Standing::There
                    && draft.key.as_ref().is_some_and(|used| used.as_str() == key)
            });
            assert_eq!(named.contains_key(&key), is_used, "{key}");
        }
    }

    /// The words that can be searched for, each with a file that has it.
    fn named(&self) -> BTreeMap<String, String> {
        let mut named = BTreeMap::new();
        for (name, bytes) in self.disk.contents() {
            for word in [&b"payload-"[..], b"type-", b"ident-", b"key-"] {
                let starts = (0..bytes.len())
                    .filter(|at| bytes[*at] == word[0] && bytes[*at..].starts_with(word));
                for start in starts {
                    let rest = &bytes[start + word.len()..];
                    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
                    let end = start + word.len() + digits + 1;
                    let found = String::from_utf8_lossy(&bytes[start..end.min(bytes.len())]);
                    named.entry(found.into_owned()).or_insert_with(|| name.clone());
                }
            }
        }
        named
    }

    fn check_topic(&self, store: &DiskStore, all: &[Arc<Record>], topic: &Topic) {
        let on_topic: Vec<_> =
            all.iter().filter(|record| record.topics().any(|on| on == topic)).collect();
        let interest = Interest::new(vec![Matcher::Exact(topic.clone())], vec![Matcher::All]);
        let read = read_all(store, Some(&interest)).unwrap();
        let events = on_topic.iter().filter(|record| record.kind.is_event());
        assert!(read.iter().eq(events.copied()), "{topic}");
        let state = store.catalog().topic(topic).unwrap();
        assert_eq!(state.as_ref().map_or(0, |state| state.records), on_topic.len() as u64);
        let ended = on_topic.last().is_some_and(|record| record.kind.ends_topic());
        assert_eq!(state.is_some_and(|state| state.ended), ended, "{topic}");
        for record in on_topic.iter().filter(|record| record.id.is_some()) {
            let on = [Matcher::Exact(topic.clone())];
            let found = store.shared.find(record.id.as_ref().unwrap(), &on).unwrap();
            assert_eq!(found, Some(record.position()));
        }
    }
}

#[test]
fn what_is_erased_is_in_no_file_and_everything_else_stays() {
    for seed in seeds(SEEDS / 2) {
        let _running = Running(seed);
        let mut world = World::new(seed);
        for _ in 0..3 {
            let store = open(&world.disk, &world.config).unwrap();
            world.check(&store);
            world.use_store(&store, 25).unwrap();
            world.check(&store);
        }
    }
}

#[test]
fn erasures_that_are_carried_out_together_do_what_they_do_one_after_the_other() {
    for seed in seeds(SEEDS) {
        let _running = Running(seed);
        let [mut one, mut other] = [0, 1].map(|_| World::new(seed + 3_000));
        let stores = [&one, &other].map(|world| open(&world.disk, &world.config).unwrap());
        for _ in 0..4 {
            for (world, store) in [&mut one, &mut other].into_iter().zip(&stores) {
                (0..5).for_each(|_| world.append(store).unwrap());
            }
            let all: Vec<_> = (0..6).filter_map(|_| one.some_erasure()).collect();
            let _ = (0..6).filter_map(|_| other.some_erasure()).count();
            let each: Vec<_> =
                all.iter().map(|what| stores[0].erase(what, &|| true).unwrap()).collect();
            assert_eq!(stores[1].erase_each(&all, &|| true).unwrap(), each, "seed {seed}: {all:?}");
            let [there, here] = stores.each_ref().map(|store| read_all(store, None).unwrap());
            assert_eq!(there, here, "seed {seed}: {all:?}");
        }
    }
}

/// Kills and power cuts in the middle of erasures, and of their repair.
#[test]
fn nothing_comes_back_and_nothing_else_is_lost_wherever_the_machine_stops() {
    for seed in seeds(SEEDS) {
        let _running = Running(seed);
        let mut world = World::new(seed + 1_000);
        for _ in 0..6 {
            let stops = if world.dice.one_in(4) { 8 } else { 400 };
            world.disk.set_trouble(Trouble::StopsAfter(1 + world.dice.below(stops)));
            match open(&world.disk, &world.config) {
                Ok(store) => {
                    world.settle(&store);
                    let _ = world.use_store(&store, 40);
                }
                Err(error) => assert!(world.disk.has_stopped(), "{error}"),
            }
            let is_power_cut = world.dice.one_in(2);
            world.disk =
                if is_power_cut { world.disk.after_power_cut() } else { world.disk.after_kill() };
            if world.dice.one_in(2) {
                let store = open(&world.disk, &world.config).unwrap();
                world.settle(&store);
                world.check(&store);
            }
        }
        let store = open(&world.disk, &world.config).unwrap();
        world.settle(&store);
        world.check(&store);
    }
}

/// A fault at any step of an erasure: the log goes on, or takes no more events and says so. What
/// was asked for is erased by the same request again, or by the next one after a restart.
#[test]
fn an_erasure_that_failed_is_made_good_by_the_next_one() {
    let mut failed = 0;
    for seed in seeds(2 * SEEDS) {
        let _running = Running(seed);
        let mut world = World::new(seed + 2_000);
        for round in 0..3 {
            let store = open(&world.disk, &world.config).unwrap();
            world.check(&store);
            for _ in 0..4 {
                world.use_store(&store, 6).unwrap();
                let Some(what) = world.some_erasure() else { continue };
                let trouble = super::job_faults::some_trouble(&mut world.dice);
                eprintln!("seed {seed}, round {round}, {trouble:?}, {what:?}");
                world.disk.set_trouble(trouble);
                let done = world.erase_this(&store, &what);
                failed += u64::from(done.is_err());
                let other = world.some_erasure().filter(|_| world.dice.one_in(4));
                let other = other.filter(|other| world.erase_this(&store, other).is_err());
                world.disk.set_trouble(Trouble::None);
                if store.health().failure.is_some_and(|failure| failure.is_final()) {
                    break;
                }
                for what in done.is_err().then_some(what).iter().chain(&other) {
                    world.erase_this(&store, what).unwrap();
                }
                world.check(&store);
            }
            drop(store);
            let is_power_cut = world.dice.one_in(2);
            world.disk =
                if is_power_cut { world.disk.after_power_cut() } else { world.disk.after_kill() };
        }
        let store = open(&world.disk, &world.config).unwrap();
        world.check(&store);
    }
    let lives = seeds(2 * SEEDS).count() as u64;
    assert!(lives < SEEDS || 2 * failed >= lives, "{failed} erasures failed");
}

#[test]
fn a_full_disk_refuses_an_erasure_and_changes_nothing() {
    let disk = SimulatedDisk::new(5);
    let store = open(&disk, &small(u64::MAX)).unwrap();
    let draft = Draft::new(topic(1), "payload-1-");
    store.append(vec![draft.clone(), Draft::new(topic(2), "other")], at(1)).unwrap();
    let what = Erase {
        topic: topic(1),
        what: Erasing::At(vec![Position::new(1)]),
        upto: Position::new(2),
    };
    // The mark of the format comes before.
    let first = Erase { what: Erasing::At(vec![Position::new(9)]), ..what.clone() };
    store.erase(&first, &|| true).unwrap();
    disk.set_trouble(Trouble::FullAfter(0));
    let refused = store.erase(&what, &|| true);
    assert!(matches!(refused, Err(EraseError::Store(AppendError::Full { .. }))), "{refused:?}");
    let record = read_all(&store, None).unwrap().remove(0);
    assert_eq!(**record, draft);
    disk.set_trouble(Trouble::None);
    assert_eq!(store.erase(&what, &|| true).unwrap().events, 1);
    assert_eq!(store.erase(&what, &|| true).unwrap().events, 0, "a second time there is nothing");
    assert_eq!(disk.file_with(b"payload-1-"), None);
    assert!(disk.names().unwrap().iter().all(|name| name != "redo"));
    store.append(vec![draft], at(2)).unwrap();
}

/// Otherwise what is in memory of these would be forgotten by nobody.
#[test]
fn what_an_erasure_erased_before_it_failed_is_named_by_the_next_one_that_reaches_as_far() {
    let disk = SimulatedDisk::new(8);
    let store = open(&disk, &small(u64::MAX)).unwrap();
    let twice = Draft { alternates: vec![topic(2)], ..Draft::new(topic(1), "x".repeat(9_000)) };
    for _ in 0..20 {
        store.append(vec![twice.clone()], at(1)).unwrap();
    }
    store.append(vec![Draft::new(topic(1), "the last one")], at(1)).unwrap();
    assert!(store.shared.read_state().complete().count() > 1);
    let erase = |what, upto| {
        let what = Erase { topic: topic(1), what, upto: Position::new(upto) };
        store.erase(&what, &|| true)
    };
    // The mark of the format comes before.
    erase(Erasing::At(vec![Position::new(99)]), 99).unwrap();
    let left = || {
        let all = read_all(&store, None).unwrap();
        all.iter().filter(|record| record.kind.is_event()).count()
    };
    disk.set_trouble(Trouble::FullAfter(100_000));
    erase(Erasing::All, 20).unwrap_err();
    assert!((1..21).contains(&left()), "some are erased: {}", left());
    disk.set_trouble(Trouble::None);
    let earlier = erase(Erasing::At(vec![Position::new(1)]), 1).unwrap();
    assert_eq!(earlier.topics, BTreeSet::new(), "it does not reach as far");
    let positions = (1..=21).map(Position::new).collect();
    let last = erase(Erasing::At(vec![Position::new(21)]), 21).unwrap();
    assert_eq!(last.topics, BTreeSet::from([topic(1), topic(2)]));
    let rest = erase(Erasing::At(positions), 21).unwrap();
    assert!(rest.events > 0 && left() == 0, "{rest:?}");
    assert_eq!(erase(Erasing::All, 21).unwrap(), Erased::default(), "it is named once");
}

#[test]
fn erased_events_of_a_rule_take_no_room_from_those_that_no_rule_covers() {
    let disk = SimulatedDisk::new(6);
    let rule = Rule {
        name: "some".into(),
        topics: vec![Matcher::Exact(topic(1))],
        age: Some(Duration::from_secs(3600)),
        bytes: None,
        promise: None,
    };
    let config = DiskConfig { rules: vec![rule], hot_bytes: Some(64 << 10), ..small(1 << 20) };
    let store = open(&disk, &config).unwrap();
    store.append(vec![Draft::new(topic(2), "of another topic")], at(1)).unwrap();
    for n in 0..150 {
        let id = Some(EventId::new(format!("ident-{n}-")).unwrap());
        let secret = Draft { id, once: true, ..Draft::new(topic(1), "x".repeat(12_000)) };
        store.append(vec![secret], at(2)).unwrap();
        let what = Erase { topic: topic(1), what: Erasing::All, upto: store.bounds().head };
        assert_eq!(store.erase(&what, &|| true).unwrap().events, 1);
        super::rules::keep(&store);
    }
    let first = read_all(&store, None).unwrap().remove(0);
    assert_eq!(&*first.data, "of another topic");
    let id = EventId::new("ident-7-").unwrap();
    assert!(where_erased(&store, &topic(1), &id).unwrap().is_some(), "the log still knows the id");
}
