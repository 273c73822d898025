//! The table of newest records, beside everything that changes the log at the same time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use tidings_hub::{
    Draft, Erase, Erasing, Interest, Key, Log, Position, ReadError, ReadQuery, SlotNotes,
};

use super::{Retention, Stores, append, at, draft, read, topic};
use crate::layers::{Layered, LogLayer};

/// A reader that passes a record over because the table has a later one gets that one: it can be
/// read from then on. And a reader that can read a record finds it in the table, or a later one.
pub fn the_table_of_newest_records_is_never_ahead_of_the_log_or_behind(stores: &dyn Stores) {
    const BATCHES: u64 = 1_500;
    let store = stores.fresh(Retention::ALL);
    let key = Key::new("K").expect("a valid key");
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let on = topic("a");
                while !is_over.load(Ordering::Relaxed) {
                    let visible = store.bounds().head;
                    let newest = store.slots().newest(&on, &key);
                    let newest = newest.map_or(Position::ZERO, |newest| newest.position);
                    let head = store.bounds().head;
                    assert!(newest <= head, "{newest} is in the table, and {head} is the head");
                    assert!(newest >= visible, "{visible} can be read, the table has {newest}");
                }
            });
        }
        for _ in 0..BATCHES {
            let keyed = || Draft { key: Some(key.clone()), ..draft("a", "x") };
            append(&*store, (0..20).map(|_| keyed()).collect());
        }
        is_over.store(true, Ordering::Relaxed);
    });
}

/// What was read for the table and is erased before the table has it does not stand for its slot.
pub fn a_record_erased_while_the_table_is_made_does_not_come_back(stores: &dyn Stores) {
    let store = stores.fresh(Retention::ALL);
    let keyed = |on: &str, name| Draft { key: Key::new(name).ok(), ..draft(on, "x") };
    append(&*store, vec![draft("a", "older"), draft("a", "newer"), keyed("a", "K")]);
    append(&*store, vec![keyed("b", "K"), draft("b", "of the other topic")]);
    if store.eraser().is_none() {
        return;
    }
    assert!(!store.slots().is_whole(), "nobody has asked for a state");
    let erase = |on: &str, what| Erase { topic: topic(on), what, upto: Position::new(5) };
    let positions = vec![Position::new(2), Position::new(3)];
    let all = [erase("a", Erasing::At(positions)), erase("b", Erasing::All)];
    complete_beside(&store, move |store| {
        let eraser = store.eraser().expect("it erases");
        for erase in &all {
            eraser.erase(erase, &|| true).expect("erased");
        }
    });
    let slots = store.slots();
    assert_eq!((slots.keys(), slots.keys_of(&topic("a"))), (0, 0));
    for on in ["a", "b"] {
        let key = Key::new("K").expect("a valid key");
        assert_eq!(slots.newest(&topic(on), &key), None, "the key of {on} is gone");
    }
    let older = read(&*store, ReadQuery::one(Position::new(1))).records.remove(0);
    let slot = slots.slot_of(&older).expect("it has a slot");
    assert_eq!(slots.superseded_by(&older, older.position()), None);
    assert!(slots.stands(slot, older.position()), "the older event stands for its topic");
}

/// An event that was erased under another of its topics no longer stands for its own: the one
/// before it does.
pub fn the_event_before_one_that_was_erased_under_another_topic_stands(stores: &dyn Stores) {
    let store = stores.fresh(Retention::ALL);
    let Some(eraser) = store.eraser() else { return };
    let also_on =
        |on: &str, other: &str| Draft { alternates: vec![topic(other)], ..draft(on, "x") };
    append(&*store, vec![draft("a", "older"), also_on("a", "all"), draft("b", "older")]);
    append(&*store, vec![also_on("b", "one")]);
    store.slots().complete(&*store).expect("the log can be read");
    let erase = |on: &str, what| Erase { topic: topic(on), what, upto: Position::new(4) };
    for erase in [erase("all", Erasing::All), erase("one", Erasing::At(vec![Position::new(4)]))] {
        assert_eq!(eraser.erase(&erase, &|| true).expect("erased").events, 1);
    }
    for position in [1, 3].map(Position::new) {
        let older = read(&*store, ReadQuery::one(position)).records.remove(0);
        let slot = store.slots().slot_of(&older).expect("it has a slot");
        assert!(store.slots().stands(slot, position), "{position} stands for its topic");
    }
}

/// What was read for the table and is dropped before the table has it does not stand for its slot.
pub fn a_record_dropped_while_the_table_is_made_does_not_come_back(stores: &dyn Stores) {
    const RECORDS: u64 = 4_000;
    let store = stores.fresh(Retention { age: Duration::from_secs(5), ..Retention::ALL });
    for number in 0..RECORDS / 50 {
        let drafts = (0..50).map(|n| of_key(number * 50 + n)).collect();
        let time = if number * 50 < RECORDS / 2 { 1_000 } else { 8_000 };
        store.append(drafts, at(time)).expect("the store takes events");
    }
    assert!(!store.slots().is_whole(), "nobody has asked for a state");
    complete_beside(&store, |store| {
        let deadline = Instant::now() + Duration::from_secs(20);
        while store.bounds().first < Position::new(RECORDS / 4) {
            store.retain(at(9_000)).expect("retained");
            assert!(Instant::now() < deadline, "{:?}", store.bounds());
            thread::sleep(Duration::from_millis(5));
        }
    });
    let (slots, first) = (store.slots(), store.bounds().first);
    for number in 0..RECORDS {
        let position = Position::new(number + 1);
        let key = of_key(number).key.expect("it has a key");
        let newest = slots.newest(&topic("a"), &key).map(|newest| newest.position);
        assert_eq!(newest, Some(position).filter(|position| *position >= first), "{key}");
    }
    assert_eq!(slots.keys() as u64, RECORDS + 1 - first.get());
    assert!(slots.purged() >= first.previous(), "each stood for its key");
}

/// A reader of the state that can no longer read a record which stood for its slot learns of that:
/// the table has forgotten the record, and says so, before the reader can miss it.
pub fn the_table_of_newest_records_knows_of_losses_before_readers_do(stores: &dyn Stores) {
    let store = stores.fresh(Retention { bytes: 256 << 10, ..Retention::ALL });
    store.slots().complete(&*store).expect("the log can be read");
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let gone = store.bounds().first.previous();
                    if gone > Position::ZERO {
                        let lost = store.lost_of_state(&Interest::everything(), Position::ZERO);
                        let lost = lost.expect("nothing has to be read");
                        assert!(lost >= Some(gone), "{gone} is gone, and {lost:?} is said to be");
                    }
                }
            });
        }
        for number in 0..300 {
            append(&*store, (0..50).map(|n| of_key(number * 50 + n)).collect());
            store.retain(at(1)).expect("retained");
        }
        is_over.store(true, Ordering::Relaxed);
    });
    assert!(store.bounds().first > Position::new(1), "something was dropped");
}

/// An event with a key of its own.
fn of_key(number: u64) -> Draft {
    let key = Key::new(&format!("key-{number}")).ok();
    Draft { key, ..draft("a", &"x".repeat(100)) }
}

/// How long something that was begun beside the table gets, before the table goes on. Where it has
/// to wait for the table, that is how long the test waits for nothing.
const PATIENCE: Duration = Duration::from_millis(300);

/// Makes the table of newest records, and does something else once the first records are read for
/// it, and before the table has them. Returns when both are done.
fn complete_beside(store: &Arc<dyn Log>, beside: impl FnOnce(&dyn Log) + Send + 'static) {
    let (started, start) = mpsc::sync_channel(0);
    let (done, is_done) = mpsc::sync_channel(1);
    let changed = Arc::clone(store);
    let thread = thread::spawn(move || {
        start.recv().expect("the table is made");
        beside(&*changed);
        let _ = done.send(());
    });
    let between = Mutex::new(Some((started, is_done)));
    let log = Layered(Interrupted { log: Arc::clone(store), between });
    store.slots().complete(&log).expect("the log can be read");
    thread.join().expect("it is done");
}

/// A log in which something else is done after its records were first read for the table.
struct Interrupted {
    log: Arc<dyn Log>,
    /// What starts it, and what says that it is done.
    between: Mutex<Option<(mpsc::SyncSender<()>, mpsc::Receiver<()>)>>,
}

impl LogLayer for Interrupted {
    fn under(&self) -> &dyn Log {
        &*self.log
    }

    fn note_slots(
        &self,
        after: Position,
        upto: Position,
        notes: &mut SlotNotes<'_>,
    ) -> Result<Position, ReadError> {
        let reached = self.log.note_slots(after, upto, notes);
        let between = self.between.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((start, is_done)) = between {
            start.send(()).expect("somebody waits for it");
            let _ = is_done.recv_timeout(PATIENCE);
        }
        reached
    }
}
