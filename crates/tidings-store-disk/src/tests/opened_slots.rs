//! The table of newest records of a log that was opened. It is made from what is stored, and no
//! record is made for it; a table that is made from the records must be the same.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use tidings_hub::limits::SLOTS_NOTES_MAX;
use tidings_hub::{
    Appended, Bounds, Catalog, Erase, Eraser as _, Erasing, Health, LogIdentity, Page, Piece,
    Pointer, Slots,
};

use super::*;
use crate::Rule;
use crate::disk::Disk as _;

/// Number of logs.
const SEEDS: u64 = 12;

#[test]
fn the_table_of_an_opened_log_is_that_of_its_records() {
    let mut seen = Seen::default();
    for seed in seeds(SEEDS) {
        let _running = Running(seed);
        let mut dice = Dice(seed);
        let config = match seed % 3 {
            0 => small(u64::MAX),
            1 => small(64 << 10),
            _ => rules::with_rules(rules::some_rules()),
        };
        let mut disk = SimulatedDisk::new(seed);
        let mut lengths = HashMap::new();
        for life in 0..4 {
            let store = Arc::new(open(&disk, &config).unwrap());
            compare(&store, &mut seen);
            for batch in 0..20 {
                let drafts = (0..=dice.below(8)).map(|_| keyed(&mut dice, &mut lengths));
                let now = at(life * 1_000 + batch * 50);
                store.append(drafts.collect(), now).unwrap();
                if dice.one_in(12) {
                    erase(&store, &mut dice);
                }
            }
            if dice.one_in(2) {
                rules::keep(&store);
            }
            store.wait_for_background();
            let store = Arc::into_inner(store).unwrap();
            match dice.below(4) {
                0 => drop(store),
                1 => disk = disk.after_kill(),
                2 => disk = disk.after_power_cut(),
                // Without indexes, or with some of them.
                _ => {
                    drop(store);
                    for (name, _) in disk.contents() {
                        let is_index = name.ends_with(".index") || name.ends_with(".runx");
                        if is_index && !dice.one_in(3) {
                            disk.remove(&name).unwrap();
                        }
                    }
                }
            }
        }
        compare(&Arc::new(open(&disk, &config).unwrap()), &mut seen);
    }
    assert!(seen.keys > 0 && seen.removed > 0 && seen.growing > 0 && seen.cut > 0, "{seen:?}");
    assert!(seen.superseded > 0 && seen.erased > 0 && seen.runs > 0, "{seen:?}");
}

/// The table takes in the first notes while the next ones are read, and has all of them, each slot
/// with the last of its records, once the log is open.
#[test]
fn a_log_with_more_keys_than_are_noted_at_once_is_opened_with_all_of_them() {
    const RECORDS: usize = SLOTS_NOTES_MAX * 5 / 2;
    const KEYS: usize = SLOTS_NOTES_MAX * 3 / 4;
    let disk = SimulatedDisk::new(1);
    let config = DiskConfig::new("/simulated");
    let store = open(&disk, &config).unwrap();
    let key_of = |record: usize| Key::new(&format!("key-{}", record % KEYS)).unwrap();
    for batch in (0..RECORDS).step_by(4096) {
        let drafts = (batch..RECORDS.min(batch + 4096)).map(|record| {
            let is_removal = record.is_multiple_of(7);
            let kind = if is_removal { Kind::Removal } else { Kind::Event };
            Draft { key: Some(key_of(record)), kind, ..Draft::new(topic_of(1), "") }
        });
        store.append(drafts.collect(), at(1)).unwrap();
    }
    drop(store);
    let store = open(&disk, &config).unwrap();
    let slots = store.slots();
    assert!(slots.is_whole());
    assert_eq!(slots.keys(), KEYS);
    let last_of_each = RECORDS - KEYS..RECORDS;
    for record in last_of_each.clone() {
        let newest = slots.newest(&topic_of(1), &key_of(record)).unwrap();
        let expected = (Position::new(record as u64 + 1), record.is_multiple_of(7));
        assert_eq!((newest.position, newest.is_removal), expected);
    }
    let live = last_of_each.filter(|record| !record.is_multiple_of(7)).count();
    assert_eq!(slots.keys_of(&topic_of(1)), live as u64);
}

/// What was read for the table and is dropped by rules before the table has it does not stand for
/// its slot.
#[test]
fn a_record_dropped_by_rules_while_the_table_is_made_does_not_come_back() {
    let disk = SimulatedDisk::new(1);
    let config = rules::with_rules(Vec::new());
    let store = Arc::new(open(&disk, &config).unwrap());
    let of_number = |n: u64| Draft::new(topic_of(n % 100), "x".repeat(300));
    store.append((0..300).map(of_number).collect(), at(1_000)).unwrap();
    store.append((300..600).map(|n| of_number(n % 50)).collect(), at(9_000)).unwrap();
    let before = all_that_is_there(&store);
    assert!(!store.slots().is_whole(), "nobody has asked for a state");

    let (started, start) = mpsc::sync_channel(0);
    let (done, is_done) = mpsc::sync_channel(1);
    let kept = Arc::clone(&store);
    let rule = Rule {
        name: "short".into(),
        topics: vec![Matcher::parse("topic/*").unwrap()],
        age: Some(Duration::from_millis(400)),
        bytes: None,
        promise: None,
    };
    let thread = thread::spawn(move || {
        start.recv().unwrap();
        kept.set_rules(vec![rule]).unwrap();
        kept.note_time(at(9_100));
        rules::keep(&kept);
        let _ = done.send(());
    });
    let between = move || {
        started.send(()).unwrap();
        // It waits for the table.
        let _ = is_done.recv_timeout(Duration::from_millis(300));
    };
    let log = ByRecords { between: Mutex::new(Some(Box::new(between))), ..ByRecords::of(&store) };
    store.slots().complete(&log).unwrap();
    thread.join().unwrap();

    let after = all_that_is_there(&store);
    let dropped = before.iter().filter(|record| !after.contains(record));
    let dropped: Vec<_> = dropped.map(|record| (record, record.position())).collect();
    assert!(dropped.len() > 100, "rules dropped {}", dropped.len());
    for (record, position) in dropped {
        let slot = store.slots().slot_of(record).unwrap();
        assert!(!store.slots().stands(slot, position), "{record:?}");
    }
}

/// What the logs had. A test of what is never there would pass, too.
#[derive(Debug, Default)]
struct Seen {
    keys: usize,
    removed: usize,
    growing: usize,
    cut: usize,
    superseded: usize,
    erased: usize,
    runs: usize,
}

fn compare(store: &Arc<DiskStore>, seen: &mut Seen) {
    let (opened, by_records) = (store.slots(), Slots::default());
    by_records.complete(&ByRecords::of(store)).unwrap();
    // A log without keys is not looked up when it is opened.
    opened.complete(&**store).unwrap();
    assert_eq!(opened.keys(), by_records.keys());
    assert_eq!(opened.erased(), by_records.erased());
    assert_eq!(opened.purged(), by_records.purged());
    assert_eq!(opened.cut(), by_records.cut());
    let places = [None, Some(Pointer::new("/text").unwrap())];
    for (topic, key) in (0..9).flat_map(|topic| (0..4).map(move |key| (topic, key))) {
        let (topic, key) = (topic_of(topic), key_of(key));
        let newest = |slots: &Slots| {
            slots.newest(&topic, &key).map(|newest| {
                let growing = newest.growing.map(|value| {
                    let at = places.each_ref().map(|at| slots.grows_at(&value, at.as_ref()));
                    (value.first, value.bytes, at)
                });
                (newest.position, newest.is_removal, newest.is_piece, growing)
            })
        };
        let found = newest(opened);
        assert_eq!(found, newest(&by_records), "{key} of {topic}");
        assert_eq!(opened.keys_of(&topic), by_records.keys_of(&topic), "keys of {topic}");
        if let Some((_, is_removal, is_piece, growing)) = found {
            seen.keys += 1;
            seen.removed += usize::from(is_removal);
            seen.growing += usize::from(growing.is_some());
            seen.cut += usize::from(is_piece && growing.is_none());
        }
    }
    let records = all_that_is_there(store);
    let erased = records.iter().rev().find(|record| record.kind == Kind::Erased);
    let erased = erased.map_or(Position::ZERO, |record| record.position());
    assert_eq!(opened.erased(), erased);
    for record in records {
        let position = record.position();
        let newer = opened.superseded_by(&record, position);
        assert_eq!(newer, by_records.superseded_by(&record, position), "{record:?}");
        let stands =
            |slots: &Slots| slots.slot_of(&record).map(|slot| slots.stands(slot, position));
        assert_eq!(stands(opened), stands(&by_records), "{record:?}");
        seen.superseded += usize::from(newer.is_some());
        seen.erased += usize::from(record.kind == Kind::Erased);
    }
    seen.runs += store.shared.read_state().lanes.runs().count();
}

fn all_that_is_there(store: &DiskStore) -> Vec<Arc<Record>> {
    let (mut records, mut after, head) = (Vec::new(), Position::ZERO, store.bounds().head);
    while after < head {
        let query = ReadQuery { after, upto: head, told: head, ..ReadQuery::everything() };
        let page = store.read(&query).unwrap();
        after = page.reached;
        records.extend(page.records);
    }
    records
}

/// An event of any kind, most with a key, and of those many a piece.
fn keyed(dice: &mut Dice, lengths: &mut HashMap<(Topic, Key), u64>) -> Draft {
    let topic = topic_of(dice.below(9));
    let text = "x".repeat(dice.below(200) as usize);
    if dice.one_in(4) {
        let mut draft = Draft::new(topic, text);
        draft.kind = match dice.below(8) {
            0 => Kind::End,
            1 => Kind::LastEvent,
            2 => Kind::SilentEnd,
            _ => Kind::Event,
        };
        return draft;
    }
    let key = key_of(dice.below(4));
    let length = lengths.entry((topic.clone(), key.clone())).or_default();
    let mut draft = Draft::new(topic, text);
    draft.key = Some(key);
    match dice.below(6) {
        0 => (draft.kind, *length) = (Kind::Removal, 0),
        1 => *length = draft.data.len() as u64,
        2 => {
            draft.data = format!("{{\"text\":\"{}\"}}", draft.data).into();
            let at = Some(Pointer::new("/text").unwrap());
            draft.piece = Some(Box::new(Piece { at, from: 0 }));
            *length = 0;
        }
        _ => {
            draft.piece = Some(Box::new(Piece { at: None, from: *length }));
            *length += draft.data.len() as u64;
        }
    }
    draft
}

fn erase(store: &DiskStore, dice: &mut Dice) {
    let bounds = store.bounds();
    let what = match dice.below(3) {
        0 => Erasing::Key(key_of(dice.below(4))),
        _ => {
            let near = |dice: &mut Dice| bounds.head.get() - dice.below(30).min(bounds.head.get());
            Erasing::At((0..20).map(|_| Position::new(near(dice))).collect())
        }
    };
    let erase = Erase { topic: topic_of(dice.below(9)), what, upto: bounds.head };
    store.erase(&erase, &|| true).unwrap();
}

fn topic_of(number: u64) -> Topic {
    Topic::new(format!("topic/{number}")).unwrap()
}

fn key_of(number: u64) -> Key {
    Key::new(&format!("key-{number}")).unwrap()
}

/// The same log. Whoever looks up its slots gets whole records, as from a log of any kind.
struct ByRecords {
    log: Arc<DiskStore>,
    /// What is done once records were read for the first time.
    between: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl ByRecords {
    fn of(log: &Arc<DiskStore>) -> Self {
        Self { log: Arc::clone(log), between: Mutex::default() }
    }
}

impl Log for ByRecords {
    fn identity(&self) -> &LogIdentity {
        self.log.identity()
    }

    fn bounds(&self) -> Bounds {
        self.log.bounds()
    }

    fn append(&self, drafts: Vec<Draft>, now: Timestamp) -> Result<Vec<Appended>, AppendError> {
        self.log.append(drafts, now)
    }

    fn read(&self, query: &ReadQuery<'_>) -> Result<Page, ReadError> {
        let page = self.log.read(query);
        let between = self.between.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(between) = between {
            between();
        }
        page
    }

    fn wait(&self, after: Position, timeout: Duration) -> Position {
        self.log.wait(after, timeout)
    }

    fn retain(&self, now: Timestamp) -> Result<(), AppendError> {
        self.log.retain(now)
    }

    fn note_time(&self, now: Timestamp) {
        self.log.note_time(now);
    }

    fn health(&self) -> Health {
        self.log.health()
    }

    fn catalog(&self) -> &dyn Catalog {
        self.log.catalog()
    }

    fn slots(&self) -> &Slots {
        self.log.slots()
    }
}
