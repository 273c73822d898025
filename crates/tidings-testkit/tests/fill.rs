//! The log of one hub is put into a journal, for several: it stays what it was.
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use tidings_hub::{
    Erase, Eraser as _, Erasing, EventId, Interest, Log, Matcher, Outcome, Position, ReadQuery,
    Start, Topic,
};
use tidings_store_disk::{DiskConfig, DiskStore, Promise, Rule, restore};
use tidings_store_shared::{
    AppendFault, FillError, Journal as _, JournalError, Nonce, OpenError, Seq, SharedConfig,
    SharedStore, fill,
};
use tidings_testkit::layers::{JournalLayer, Layered};
use tidings_testkit::shared_log::{Connection, Engine, Faults};
use tidings_testkit::store_suite::{at, draft};
use tidings_testkit::test_folder::TestFolder;

/// A backup, restored into a folder, and an engine.
struct World {
    engine: Arc<Engine>,
    folder: TestFolder,
    ids: Vec<EventId>,
}

impl World {
    /// A hub had a log of its own with events of several times, one of them large.
    fn new() -> Self {
        let folder = TestFolder::new("fill");
        let old = DiskStore::open(DiskConfig::new(folder.join("old"))).unwrap();
        let mut ids = Vec::new();
        for second in 1..=20 {
            let large = "x".repeat(if second == 7 { 2 << 20 } else { 1 });
            let drafts = vec![draft("a", &large), draft("b", &second.to_string())];
            ids.extend(old.append(drafts, at(second)).unwrap().into_iter().map(|one| one.id));
        }
        drop(old);
        restore(&folder.join("old"), &folder.join("restored")).unwrap();
        Self { engine: Engine::new(1), folder, ids }
    }

    fn restored(&self) -> DiskStore {
        DiskStore::open(DiskConfig::new(self.folder.join("restored"))).unwrap()
    }

    fn fill(&self, create: bool) -> Result<(), FillError> {
        fill(&mut *Connection::to(&self.engine), &self.restored(), create)
    }

    fn hub(&self, name: &str) -> Result<SharedStore, OpenError> {
        let config = SharedConfig::new(self.folder.join(name));
        SharedStore::open(config, Connection::to(&self.engine))
    }
}

/// Position, time, topic and length of every event.
fn all(log: &dyn Log) -> Vec<(u64, u64, String, usize)> {
    let (mut after, mut shown) = (log.bounds().first.previous(), Vec::new());
    while after < log.bounds().head {
        let page = log.read(&ReadQuery { after, ..ReadQuery::everything() }).unwrap();
        after = page.reached;
        shown.extend(page.records.iter().map(|record| {
            let topic = record.topic.to_string();
            (record.position().get(), record.time().as_millis(), topic, record.data.len())
        }));
    }
    shown
}

#[test]
fn positions_times_data_and_ids_are_those_of_the_former_hub() {
    let world = World::new();
    world.fill(true).unwrap();
    let hubs = ["one", "two"].map(|name| world.hub(name).unwrap());
    let restored = world.restored();
    for hub in &hubs {
        assert_eq!(all(hub), all(&restored));
        assert_eq!(hub.identity(), hubs[0].identity());
        // A subscriber that comes with an id of the former hub resumes.
        let start = Start::After(world.ids[9].to_string());
        let resolved = start.resolve(hub, &Interest::new(vec![Matcher::All], Vec::new())).unwrap();
        assert_eq!(resolved.outcome, Outcome::Resumed, "{resolved:?}");
        assert_eq!(resolved.position, Position::new(10));
    }
    hubs[0].append(vec![draft("a", "next")], at(30)).unwrap();
    hubs[1].follow(&mut *Connection::to(&world.engine));
    assert_eq!(hubs[1].bounds().head, Position::new(41));
}

#[test]
fn nothing_is_written_over_and_nothing_created_without_a_word() {
    let world = World::new();
    assert!(matches!(world.fill(false), Err(FillError::NoStream)));
    assert!(world.engine.observe().is_empty());
    world.fill(true).unwrap();
    let before = world.engine.observe().len();
    assert!(matches!(world.fill(true), Err(FillError::NotEmpty)));
    assert_eq!(world.engine.observe().len(), before);
    // A stream that is there and empty is filled without that word.
    let world = World::new();
    Connection::to(&world.engine).create().unwrap();
    world.fill(false).unwrap();
    assert_eq!(all(&world.hub("one").unwrap()).len(), 40);
}

/// A log with rules of retention has gaps, and a stream cannot have any: an operator learns that
/// before there is an incomplete stream to be deleted.
#[test]
fn a_log_with_gaps_is_refused_before_anything_is_written() {
    let world = World::new();
    let rule = Rule {
        name: "last".into(),
        topics: vec![Matcher::All],
        age: Some(Duration::from_secs(1)),
        bytes: None,
        promise: NonZeroU32::new(1).map(Promise::Last),
    };
    let config = DiskConfig {
        rules: vec![rule],
        segment_bytes: Some(2 << 10),
        hot_bytes: Some(4 << 10),
        ..DiskConfig::new(world.folder.join("gaps"))
    };
    let log = DiskStore::open(config).unwrap();
    log.append(vec![draft("first", "x")], at(1)).unwrap();
    for second in 1..100 {
        log.append(vec![draft("a", &"x".repeat(200))], at(second)).unwrap();
    }
    log.retain(at(100_000)).unwrap();
    log.wait_for_background();
    log.keep();
    assert_eq!(log.bounds().first, Position::new(1), "the first event is the last of its topic");
    let refused = fill(&mut *Connection::to(&world.engine), &log, true).unwrap_err();
    let text = refused.to_string();
    assert_eq!(text, "the backup has no event at position 2, but earlier ones");
    assert!(refused.hint().contains("tidings relay"), "{}", refused.hint());
    assert_eq!(Connection::to(&world.engine).bounds().unwrap(), None, "nothing was created");
    Connection::to(&world.engine).create().unwrap();
    assert!(matches!(
        fill(&mut *Connection::to(&world.engine), &log, false),
        Err(FillError::Gap { .. })
    ));
    assert_eq!(world.engine.observe().len(), 0);
    assert_eq!(Connection::to(&world.engine).terms().unwrap(), None);
}

/// Erasures leave no gaps: the places stay.
#[test]
fn a_log_in_which_events_were_erased_is_put_there_without_them() {
    let world = World::new();
    let log = world.restored();
    let id = world.ids[4].to_string();
    let erase = Erase {
        topic: Topic::new("a").unwrap(),
        what: Erasing::At(vec![Position::new(5)]),
        upto: Position::new(5),
    };
    assert_eq!(log.erase(&erase, &|| true).unwrap().events, 1);
    fill(&mut *Connection::to(&world.engine), &log, true).unwrap();
    let hub = world.hub("one").unwrap();
    assert_eq!(all(&hub).len(), 40, "with the place of the one that was erased");
    let interest = Interest::everything();
    let there = hub.read(&ReadQuery { interest: Some(&interest), ..ReadQuery::everything() });
    assert_eq!(there.unwrap().records.len(), 39);
    let start = Start::After(id).resolve(&hub, &interest).unwrap();
    assert_eq!((start.position, start.outcome), (Position::new(5), Outcome::Resumed));
}

#[test]
fn an_engine_that_loses_requests_and_answers_gets_each_block_once() {
    let world = World::new();
    world.engine.set_faults(Faults { answer_lost: 7, request_lost: 9, ..Faults::NONE });
    world.fill(true).unwrap();
    world.engine.set_faults(Faults::NONE);
    let hub = world.hub("one").unwrap();
    assert_eq!((all(&hub), hub.void_blocks()), (all(&world.restored()), 0));
}

#[test]
fn no_hub_starts_on_a_log_that_was_not_put_there_whole() {
    let world = World::new();
    let mut failing = Layered(Failing { inner: Connection::to(&world.engine), appends: 5 });
    let failed = fill(&mut failing, &world.restored(), true);
    assert!(matches!(failed, Err(FillError::Overtaken)), "{failed:?}");
    assert!(!world.engine.observe().is_empty());
    assert!(matches!(world.hub("one"), Err(OpenError::Incomplete)));
    assert!(matches!(world.fill(true), Err(FillError::NotEmpty)));
    world.engine.lose_stream();
    world.fill(true).unwrap();
    assert_eq!(all(&world.hub("one").unwrap()).len(), 40);
}

/// A journal to which something else writes after some appends.
struct Failing {
    inner: Box<Connection>,
    appends: u32,
}

impl JournalLayer for Failing {
    fn under(&mut self) -> Result<&mut Connection, JournalError> {
        Ok(&mut self.inner)
    }

    fn append(
        &mut self,
        after: Seq,
        nonce: Nonce,
        block: &[u8],
        patience: Duration,
    ) -> Result<Seq, AppendFault> {
        self.appends -= 1;
        if self.appends == 0 {
            let other = Nonce { run: 1, number: 1 };
            self.inner.append(after, other, b"something else", patience)?;
        }
        self.inner.append(after, nonce, block, patience)
    }
}
