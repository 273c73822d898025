//! What several hubs on one log do, and what an engine can do to them: one case at a time. (The
//! store suite checks that a shared store is a log: `stores.rs`; the simulation mixes everything:
//! `shared_simulation.rs`.)
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tidings_hub::{
    AppendError, Appended, Draft, EventId, Expected, Following, Key, Log, Mark, Position,
    ReadQuery, SharedLog as _,
};
use tidings_store_disk::DiskConfig;
use tidings_store_shared::{
    Block, Content, Halt, Journal as _, Maxima, Nonce, OpenError, Seq, SharedConfig, SharedStore,
};
use tidings_testkit::shared_log::{Connection, Engine, Faults};
use tidings_testkit::store_suite::{at, draft};
use tidings_testkit::test_folder::TestFolder;

/// Time after which a test fails that waits for something.
const PATIENCE: Duration = Duration::from_secs(30);

/// An engine, and folders for hubs on it.
struct World {
    engine: Arc<Engine>,
    folder: TestFolder,
}

impl World {
    fn new() -> Self {
        Self { engine: Engine::new(1), folder: TestFolder::new("shared-store") }
    }

    fn path(&self, hub: &str) -> PathBuf {
        self.folder.join(hub)
    }

    fn config(&self, hub: &str) -> SharedConfig {
        SharedConfig {
            create: true,
            append_patience: Duration::ZERO,
            trim_interval: Duration::ZERO,
            ..SharedConfig::new(self.path(hub))
        }
    }

    /// Starts a hub. What it follows, the test decides.
    fn hub(&self, name: &str) -> SharedStore {
        self.try_hub(self.config(name)).unwrap()
    }

    fn try_hub(&self, config: SharedConfig) -> Result<SharedStore, OpenError> {
        SharedStore::open(config, Connection::to(&self.engine))
    }

    fn follow(&self, hub: &SharedStore) {
        hub.follow(&mut *Connection::to(&self.engine));
    }

    /// Sequence of the newest block.
    fn newest(&self) -> Seq {
        self.engine.observe().last().unwrap().0
    }

    /// Adds a block that continues another one than the newest.
    fn add_void(&self) {
        let (_, oldest) = self.engine.observe().remove(0);
        let newest = self.newest();
        let nonce = Nonce { run: 77, number: newest.get() };
        let mut journal = Connection::to(&self.engine);
        journal.append(newest, nonce, &oldest.block, Duration::ZERO).unwrap();
    }
}

fn publish(hub: &SharedStore, data: &str) -> Mark {
    let appended = append(hub, draft("t", data)).unwrap();
    mark(hub, appended.position)
}

fn append(hub: &SharedStore, draft: Draft) -> Result<Appended, AppendError> {
    Ok(hub.append(vec![draft], at(1))?.remove(0))
}

fn once(id: &str, data: &str) -> Draft {
    Draft { id: Some(EventId::new(id).unwrap()), once: true, ..draft("t", data) }
}

fn mark(hub: &SharedStore, position: Position) -> Mark {
    let log: &dyn Log = hub;
    log.mark(position).unwrap()
}

fn following(hub: &SharedStore) -> Following {
    hub.shared().unwrap().following()
}

/// Everything that can be read.
fn all(hub: &SharedStore) -> Vec<String> {
    let bounds = hub.bounds();
    let query = ReadQuery { after: bounds.first.previous(), ..ReadQuery::everything() };
    let page = hub.read(&query).unwrap();
    page.records.iter().map(|record| record.data.to_string()).collect()
}

fn remove(folder: &Path) {
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn hubs_that_publish_in_turn_have_one_order_and_the_same_ids() {
    let world = World::new();
    let (a, b) = (world.hub("a"), world.hub("b"));
    assert_eq!(a.identity(), b.identity());
    let mut marks = Vec::new();
    for (hub, data) in [(&a, "1"), (&b, "2"), (&b, "3"), (&a, "4"), (&b, "5")] {
        marks.push(publish(hub, data));
    }
    assert!(following(&a).conflicts > 0, "it had not followed what the other one had appended");
    world.follow(&a);
    for hub in [&a, &b] {
        assert_eq!(following(hub).void, 0);
        assert_eq!(all(hub), ["1", "2", "3", "4", "5"]);
        for known in &marks {
            assert_eq!(mark(hub, known.position), *known);
            assert!(known.check.is_some());
        }
    }
    let epoch = a.identity().epoch;
    let answered = append(&a, draft("t", "6")).unwrap();
    assert_eq!(answered.id, mark(&a, answered.position).event_id(epoch));
}

#[test]
fn a_repetition_is_recognised_although_another_hub_has_the_event_and_this_one_has_not_yet() {
    let world = World::new();
    let (a, b) = (world.hub("a"), world.hub("b"));
    let first = append(&a, once("x", "1")).unwrap();
    assert!(!first.duplicate);
    // `b` has not followed: it learns of it from the conflict.
    let again = b.append(vec![draft("t", "2"), once("x", "1"), once("y", "3")], at(1)).unwrap();
    let told: Vec<_> = again.iter().map(|one| (one.position.get(), one.duplicate)).collect();
    assert_eq!(told, [(2, false), (1, true), (3, false)]);
    // The same id with other content is not stored, nor what came with it.
    append(&a, once("z", "4")).unwrap();
    let reused = b.append(vec![draft("t", "5"), once("z", "other")], at(1));
    assert!(matches!(reused, Err(AppendError::Away { .. })), "{reused:?}");
    world.follow(&b);
    assert_eq!(all(&b), ["1", "2", "3", "4"]);
    // If everything is a repetition, nothing is stored.
    append(&a, once("w", "5")).unwrap();
    assert!(append(&b, once("w", "5")).unwrap().duplicate);
    assert_eq!(b.bounds().head, Position::new(5));
}

#[test]
fn a_log_is_created_only_on_request_and_never_by_a_hub_that_followed_one() {
    let world = World::new();
    let careful = SharedConfig { create: false, ..world.config("a") };
    assert!(matches!(world.try_hub(careful.clone()), Err(OpenError::NoLog)));
    drop(world.hub("b"));
    let a = world.try_hub(careful).unwrap();
    publish(&a, "1");
    drop(a);
    world.engine.lose_stream();
    // The cache serves; nothing is created, and nothing is taken.
    let a = world.hub("a");
    assert_eq!(all(&a), ["1"]);
    assert!(matches!(append(&a, draft("t", "2")), Err(AppendError::Away { .. })));
    assert!(world.engine.observe().is_empty());
    drop(a);
    // Not even if the cache is lost, as long as the hub knows that it had one.
    remove(&world.path("a").join("log"));
    assert!(matches!(world.try_hub(world.config("a")), Err(OpenError::LogGone)));
    assert!(world.engine.observe().is_empty());
}

#[test]
fn an_engine_that_is_away_stops_publishing_and_nothing_else() {
    let world = World::new();
    let no_pause = SharedConfig { bell_patience: Duration::ZERO, ..world.config("a") };
    let a = world.try_hub(no_pause).unwrap();
    publish(&a, "1");
    world.engine.set_faults(Faults { away: 1, ..Faults::NONE });
    let before = following(&a).behind;
    std::thread::sleep(Duration::from_millis(5));
    world.follow(&a);
    assert!(following(&a).behind > before, "it does not know what else the log has");
    assert!(matches!(append(&a, draft("t", "2")), Err(AppendError::Away { .. })));
    assert!(a.health().failure.is_some_and(|failure| !failure.is_final()));
    assert_eq!(all(&a), ["1"]);
    drop(a);
    let a = world.hub("a");
    assert_eq!(all(&a), ["1"], "a hub starts with what its cache holds");
    assert!(matches!(world.try_hub(world.config("b")), Err(OpenError::Away { .. })));
    world.engine.set_faults(Faults::NONE);
    publish(&a, "2");
    assert!(a.health().failure.is_none());
    assert_eq!(all(&a), ["1", "2"]);
}

#[test]
fn an_append_without_an_answer_is_decided_by_what_the_log_holds() {
    let world = World::new();
    let a = world.hub("a");
    world.engine.set_faults(Faults { answer_lost: 1, ..Faults::NONE });
    publish(&a, "1");
    assert_eq!(all(&a), ["1"]);
    world.engine.set_faults(Faults { request_lost: 1, ..Faults::NONE });
    let lost = append(&a, draft("t", "2"));
    assert!(matches!(lost, Err(AppendError::Undecided { .. })), "{lost:?}");
    world.engine.set_faults(Faults { late: 1, ..Faults::NONE });
    let late = append(&a, once("x", "3"));
    assert!(matches!(late, Err(AppendError::Undecided { .. })), "{late:?}");
    world.engine.set_faults(Faults::NONE);
    // It arrives, once, however often it was sent.
    for _ in 0..20 {
        world.engine.deliver_late();
    }
    assert!(append(&a, once("x", "3")).unwrap().duplicate);
    assert_eq!(all(&a), ["1", "3"]);
}

#[test]
fn a_block_that_an_engine_should_not_have_taken_is_void_and_its_events_are_stored_all_the_same() {
    let world = World::new();
    let (a, b) = (world.hub("a"), world.hub("b"));
    publish(&a, "1");
    world.engine.set_faults(Faults { broken_cas: 1, ..Faults::NONE });
    // `b` does not know of 1, and its block is taken after it.
    publish(&b, "2");
    world.follow(&a);
    for hub in [&a, &b] {
        assert_eq!(all(hub), ["1", "2"]);
        assert_eq!(hub.void_blocks(), 1);
    }
    // Neither is what is no block, or continues nothing.
    let block = Block {
        epoch: a.identity().epoch,
        first: Position::new(3),
        time: at(1),
        prev: tidings_store_shared::BlockHash::of(b"?"),
        nonce: Nonce { run: 1, number: 1 },
        content: Content::Events(vec![draft("t", "x")]),
    };
    for bytes in [&block.encode()[..], b"something else"] {
        let last = world.engine.observe().last().unwrap().0;
        let nonce = Nonce { run: 0, number: last.get() };
        Connection::to(&world.engine).append(last, nonce, bytes, Duration::ZERO).unwrap();
    }
    publish(&a, "3");
    world.follow(&b);
    for hub in [&a, &b] {
        assert_eq!(all(hub), ["1", "2", "3"]);
    }
}

#[test]
fn a_hub_that_hears_nothing_finds_what_comes_after_void_blocks() {
    let world = World::new();
    let [a, b] = ["a", "b"].map(|name| world.hub(name));
    let mut deaf = Connection::to(&world.engine);
    let mut follow = || a.follow(&mut *deaf);
    publish(&b, "1");
    world.add_void();
    world.add_void();
    // It looks at the void blocks. They stay after the newest one that counts.
    (0..3).for_each(|_| follow());
    assert_eq!((all(&a), a.void_blocks()), (vec!["1".to_owned()], 2));
    world.engine.set_faults(Faults { ring_lost: 1, ..Faults::NONE });
    publish(&b, "2");
    publish(&b, "3");
    // At least one block each time.
    (0..3).for_each(|_| follow());
    assert_eq!(all(&a), ["1", "2", "3"]);
}

#[test]
fn hubs_that_followed_what_the_log_lost_stop_and_continue_under_a_new_name() {
    for grows in [false, true] {
        let world = World::new();
        let (a, b, c) = (world.hub("a"), world.hub("b"), world.hub("c"));
        let kept = publish(&a, "1");
        world.follow(&c);
        let lost = publish(&a, "2");
        append(&a, once("x", "3")).unwrap();
        world.follow(&b);
        append(&b, once("y", "4")).unwrap();
        let epoch = a.identity().epoch;
        world.engine.lose_tail(3);
        if grows {
            // Beyond where it was, by a hub that does not know what was lost.
            for data in ["20", "30", "40", "50"] {
                publish(&c, data);
            }
        }
        // `a` and `b` differ in how much of the lost part they have. An idle hub looks, too.
        world.follow(&a);
        world.follow(&b);
        for hub in [&a, &b] {
            assert!(matches!(hub.halt(), Some(Halt::Forked { .. })), "{:?}", hub.halt());
            assert!(hub.health().failure.is_some_and(|failure| failure.is_final()));
            let refused = append(hub, draft("t", "no"));
            assert!(matches!(refused, Err(AppendError::Poisoned { .. })), "{refused:?}");
        }
        drop((a, b));
        let (a, b) = (world.hub("a"), world.hub("b"));
        assert_ne!(a.identity().epoch, epoch);
        assert_eq!(a.identity(), b.identity());
        let former = a.identity().former[0];
        assert_eq!((former.epoch, former.upto), (epoch, kept.position));
        // The third learns of it, and has nothing to cut.
        world.follow(&c);
        assert!(matches!(c.halt(), Some(Halt::Renamed { .. })), "{:?}", c.halt());
        drop(c);
        let c = world.hub("c");
        let expected: &[_] = if grows { &["1", "20", "30", "40", "50"] } else { &["1"] };
        world.follow(&a);
        for hub in [&a, &b, &c] {
            assert_eq!(hub.identity(), a.identity());
            assert_eq!(all(hub), expected);
            assert_eq!(mark(hub, kept.position), kept);
            assert_ne!(mark(hub, lost.position), lost);
            // Also `y`, which only `b` had.
            world.follow(hub);
            for id in ["x", "y"] {
                let fork = hub.fork_before(&EventId::new(id).unwrap()).unwrap();
                assert_eq!(fork, Some(kept.position), "{id}");
            }
            assert_eq!(hub.fork_before(&EventId::new("z").unwrap()).unwrap(), None);
        }
        publish(&c, "6");
        drop(a);
        assert_eq!(all(&world.hub("a")).last().unwrap(), "6");
    }
}

#[test]
fn a_proof_that_the_log_lost_its_end_is_never_the_same_block_twice() {
    let world = World::new();
    let (hub, other) = (world.hub("a"), world.hub("b"));
    let kept = publish(&hub, "kept");
    publish(&hub, "lost");
    world.follow(&other);
    drop(hub);
    world.engine.lose_tail(1);
    // It proves the loss by a block, and gives the log a new name by another.
    let hub = world.hub("a");
    let lost = world.engine.lose_tail(2);
    let (at, proof) = lost[0].clone();
    assert!(matches!(Block::decode(&proof.block).unwrap().content, Content::Barrier));
    world.follow(&hub);
    assert!(matches!(hub.halt(), Some(Halt::Forked { .. })));
    let now = world.engine.observe().into_iter().find(|(seq, _)| *seq == at).unwrap().1;
    assert!(matches!(Block::decode(&now.block).unwrap().content, Content::Barrier));
    assert_ne!(now.block, proof.block, "hubs that followed the first would take it for that one");
    assert_eq!(hub.bounds().head, kept.position);
}

#[test]
fn a_hub_that_was_away_for_longer_than_the_retention_begins_anew() {
    let world = World::new();
    let cache = DiskConfig {
        retention_bytes: 8 << 10,
        segment_bytes: Some(2 << 10),
        ..DiskConfig::new("")
    };
    let config = |hub| SharedConfig { cache: cache.clone(), ..world.config(hub) };
    let (a, b) = (world.try_hub(config("a")).unwrap(), world.try_hub(config("b")).unwrap());
    publish(&b, "0");
    for n in 1..400 {
        publish(&a, &n.to_string());
    }
    a.retain(at(1)).unwrap();
    let first = a.bounds().first;
    assert!(first > Position::new(100));
    world.follow(&b);
    assert!(matches!(b.halt(), Some(Halt::Trimmed { .. })), "{:?}", b.halt());
    drop(b);
    let (b, c) = (world.try_hub(config("b")).unwrap(), world.try_hub(config("c")).unwrap());
    for hub in [&b, &c] {
        assert_eq!(hub.bounds().head, a.bounds().head);
        // Each drops whole segments, a while after they are due, and theirs begin at other events.
        let (here, there) = (all(hub), all(&a));
        assert!(here.len() > 20 && there.len() > 20, "{here:?}, {there:?}");
        assert!(there.ends_with(&here) || here.ends_with(&there), "{here:?}, {there:?}");
        assert_eq!(hub.identity(), a.identity());
    }
}

#[test]
fn a_block_of_an_unknown_version_is_never_skipped() {
    let world = World::new();
    let a = world.hub("a");
    publish(&a, "1");
    let (last, newest) = world.engine.observe().pop().unwrap();
    let mut bytes = newest.block.to_vec();
    bytes[4] = 9;
    let end = bytes.len() - 4;
    let crc = crc32fast::hash(&bytes[..end]);
    bytes[end..].copy_from_slice(&crc.to_le_bytes());
    let nonce = Nonce { run: 0, number: 0 };
    Connection::to(&world.engine).append(last, nonce, &bytes, Duration::ZERO).unwrap();
    world.follow(&a);
    assert!(matches!(a.halt(), Some(Halt::Version { version: 9, .. })), "{:?}", a.halt());
    drop(a);
    let opened = world.try_hub(world.config("a"));
    assert!(matches!(opened, Err(OpenError::Version { version: 9, .. })), "{opened:?}");
}

#[test]
fn what_no_block_can_hold_is_rejected_as_too_large() {
    let world = World::new();
    let a = world.hub("a");
    let large = append(&a, draft("t", &"x".repeat(4 << 20)));
    assert!(matches!(large, Err(AppendError::TooLarge { .. })), "{large:?}");
    assert!(a.health().failure.is_none());
    publish(&a, "1");
}

#[test]
fn the_head_is_proved_by_a_write_that_takes_no_position() {
    let world = World::new();
    let (a, b) = (world.hub("a"), world.hub("b"));
    publish(&a, "1");
    // `b` has not followed.
    assert_eq!(b.prove_head().unwrap(), Position::new(1));
    assert_eq!(all(&b), ["1"]);
    publish(&a, "2");
    assert_eq!(all(&a), ["1", "2"]);
    world.engine.lose_tail(1);
    assert!(a.prove_head().is_err(), "what it has followed is lost");
}

#[test]
fn a_folder_is_used_by_one_hub_at_a_time() {
    let world = World::new();
    let _a = world.hub("a");
    assert!(matches!(world.try_hub(world.config("a")), Err(OpenError::InUse { .. })));
}

#[test]
fn a_damaged_cache_is_followed_anew_and_the_log_keeps_its_name() {
    let world = World::new();
    let a = world.hub("a");
    for data in ["1", "2", "3"] {
        publish(&a, data);
    }
    let identity = a.identity().clone();
    drop(a);
    let log = world.path("a").join("log");
    for entry in std::fs::read_dir(&log).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "log") {
            let mut bytes = std::fs::read(&path).unwrap();
            bytes[20] ^= 1;
            std::fs::write(&path, bytes).unwrap();
        }
    }
    let a = world.hub("a");
    assert_eq!(all(&a), ["1", "2", "3"]);
    assert_eq!(a.identity(), &identity);
}

#[test]
fn a_hub_whose_newest_block_was_dropped_continues_with_the_one_that_names_it() {
    for is_void_between in [false, true] {
        let world = World::new();
        let (a, b) = (world.hub("a"), world.hub("b"));
        publish(&a, "1");
        world.follow(&b);
        if is_void_between {
            world.add_void();
        }
        publish(&a, "2");
        let second = world.newest();
        world.add_void();
        publish(&a, "3");
        // Other hubs drop what is before a block that counts.
        Connection::to(&world.engine).trim(second).unwrap();
        world.follow(&b);
        assert_eq!(b.halt(), None, "void block between: {is_void_between}");
        assert_eq!(all(&b), ["1", "2", "3"]);
    }
}

#[test]
fn a_hub_that_lacks_a_block_that_was_dropped_does_not_continue() {
    let world = World::new();
    let (a, b) = (world.hub("a"), world.hub("b"));
    publish(&a, "1");
    world.follow(&b);
    publish(&a, "2");
    world.add_void();
    publish(&a, "3");
    Connection::to(&world.engine).trim(world.newest()).unwrap();
    world.follow(&b);
    assert!(matches!(b.halt(), Some(Halt::Trimmed { .. })), "{:?}", b.halt());
    assert_eq!(all(&b), ["1"]);
}

#[test]
fn hubs_that_publish_at_once_make_no_void_blocks_on_an_engine_that_keeps_its_promise() {
    let world = World::new();
    let config = |hub| SharedConfig { append_patience: PATIENCE, ..world.config(hub) };
    let hubs = ["a", "b", "c"].map(|name| {
        let hub = world.try_hub(config(name)).unwrap();
        hub.following(Connection::to(&world.engine), Connection::to(&world.engine)).unwrap()
    });
    std::thread::scope(|scope| {
        for hub in &hubs {
            scope.spawn(move || {
                for number in 0..200 {
                    publish(hub, &number.to_string());
                }
            });
        }
    });
    for hub in &hubs {
        hub.wait(Position::new(599), PATIENCE);
        assert_eq!(hub.bounds().head, Position::new(600));
        assert_eq!(hub.void_blocks(), 0);
    }
}

#[test]
fn hubs_that_begin_the_last_topic_at_once_begin_one() {
    let world = World::new();
    let maxima = Maxima { topics: 2, keys: 1 };
    let config = |hub| SharedConfig { maxima, ..world.config(hub) };
    let (a, b) = (world.try_hub(config("a")).unwrap(), world.try_hub(config("b")).unwrap());
    append(&a, draft("one", "1")).unwrap();
    world.follow(&b);
    // Both have compared with the log as it is now: there is room for one more.
    let judged = b.bounds().head;
    append(&a, draft("two", "2")).unwrap();
    let refused = b.append_judged(vec![draft("three", "3")], judged, at(1));
    let Err(AppendError::Away { retry, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(retry, Duration::ZERO, "its publisher may ask again, and gets the exact answer");
    assert_eq!(b.catalog().topic_count(), 2);
    assert!(b.health().failure.is_none(), "that is no failure of the log");
    // The same topic, and what is there anyway, have room.
    b.append_judged(vec![draft("two", "3"), draft("one", "4")], judged, at(1)).unwrap();
    // So it is with keys.
    let keyed = |key| Draft { key: Some(Key::new(key).unwrap()), ..draft("one", "5") };
    let judged = a.bounds().head;
    b.append_judged(vec![keyed("x")], b.bounds().head, at(1)).unwrap();
    assert!(a.append_judged(vec![keyed("y")], judged, at(1)).is_err());
    a.append_judged(vec![keyed("x")], judged, at(1)).unwrap();
    assert_eq!(a.slots().keys(), 1);
}

#[test]
fn hubs_that_begin_a_topic_at_once_begin_it_once() {
    let world = World::new();
    let (a, b) = (world.hub("a"), world.hub("b"));
    append(&a, draft("other", "1")).unwrap();
    world.follow(&b);
    let begins = |topic| Draft { begins: true, ..draft(topic, "2") };
    // Neither hub has the topic when it looks.
    let judged = b.bounds().head;
    a.append_judged(vec![begins("t")], judged, at(1)).unwrap();
    let refused = b.append_judged(vec![begins("t")], judged, at(1));
    assert!(matches!(refused, Err(AppendError::Away { retry: Duration::ZERO, .. })), "{refused:?}");
    assert!(b.health().failure.is_none(), "that is no failure of the log");
    // Another topic is begun all the same, and the same one is published to.
    b.append_judged(vec![begins("u"), draft("t", "3")], judged, at(1)).unwrap();
    assert_eq!(all(&b), ["1", "2", "2", "3"]);
}

#[test]
fn what_a_publisher_expects_of_a_key_that_another_hub_changed_before_is_stored_at_once() {
    let world = World::new();
    let (a, b) = (world.hub("a"), world.hub("b"));
    let on = |expected| Draft {
        key: Some(Key::new("k").unwrap()),
        expected: Some(Box::new(expected)),
        ..draft("t", "1")
    };
    let begun = append(&a, on(Expected::Absent)).unwrap();
    world.follow(&b);
    // It was compared with what the other hub stored.
    let next = on(Expected::Version(begun.id.clone()));
    b.append_judged(vec![next.clone()], b.bounds().head, at(1)).unwrap();
    // At the other hub, which has not followed that, the same expectation is not stored.
    let refused = a.append_judged(vec![next], begun.position, at(1));
    assert!(matches!(refused, Err(AppendError::Away { retry: Duration::ZERO, .. })), "{refused:?}");
    assert_eq!(all(&a).len(), 2);
}
